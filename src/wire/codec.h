/* What the codecs share.
 *
 * How a decoder says no: every decoder returns 0, or -EBADMSG with *ret_why (NULL: not wanted) set
 * to a static text that names what is wrong; the reader and *ret are then as they were.  Those of
 * the election protocols say it in the same way, with an enum verdict instead of a number. */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "wire/verdict.h"

static inline int wire_fault(const char **ret_why, const char *why)
{
	if (ret_why)
		*ret_why = why;
	return -EBADMSG;
}

static inline enum verdict wire_refuse(const char **ret_why, enum verdict verdict, const char *why)
{
	if (ret_why)
		*ret_why = why;
	return verdict;
}

/* Copies the next len octets; nothing when the reader has fewer (and marks it). */
static inline void wire_take(struct reader *r, void *to, size_t len)
{
	const uint8_t *from = read_bytes(r, len);

	if (from)
		memcpy(to, from, len);
}
