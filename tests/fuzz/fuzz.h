/* What every target shares. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that must hold for every input: says which one broke, and dies where it broke. */
#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #x);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The input as a text of its own, cut at its first zero; free() it.  It has exactly its length, so
 * that a sanitizer sees every octet read behind it. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	size_t len;

	MUST(text);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	len = strlen(text);
	if (len < size)
		text = realloc(text, len + 1);
	MUST(text);
	return text;
}
