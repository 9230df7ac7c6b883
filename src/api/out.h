/* A growing text that JSON is written into.
 *
 * Appending never fails visibly: when memory runs out the text is marked, every later append is
 * harmless, and out_take() says so once at the end.  Commas are placed by the text itself: a key or
 * an item that does not follow an opening bracket gets one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "model/model.h"

struct out {
	char *data;
	size_t len, capacity;
	bool failed;
};

void out_done(struct out *o);

void out_bytes(struct out *o, const char *data, size_t len);
void out_puts(struct out *o, const char *text);
void out_printf(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string.  Octets that are not UTF-8 (an error message cut in the middle of a character)
 * become U+FFFD, so that what leaves is always valid. */
void out_json(struct out *o, const char *text);

/* --- JSON structure -------------------------------------------------------------------------- */

void out_open(struct out *o, char bracket); /* '{' or '[', as a value */
void out_close(struct out *o, char bracket);
void out_key(struct out *o, const char *key);

/* One member of an object each. */
void out_text(struct out *o, const char *key, const char *text);
void out_u64(struct out *o, const char *key, uint64_t n);
void out_bool(struct out *o, const char *key, bool b);
void out_mac(struct out *o, const char *key, vmac_mac_t m);
void out_time(struct out *o, const char *key, wall_t t); /* RFC 3339, UTC, milliseconds */
void out_duration(struct out *o, const char *key, int64_t ms);
void out_trouble(struct out *o, const char *key, const struct error *e);

/* One element of an array each. */
void out_item_text(struct out *o, const char *text);
void out_item_mac(struct out *o, vmac_mac_t m);

/* {"error": {"code", "message", "hint"}} */
void out_error(struct out *o, const struct error *e);

/* Hands the memory (malloc) over with its length; NULL when memory ran out.  The text is empty
 * then. */
char *out_take(struct out *o, size_t *ret_len);
