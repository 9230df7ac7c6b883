/* An array of the kernel's (BPF_F_MMAPABLE) in our memory, piece by piece.
 *
 * A map that is mapped counts to our memory with every page from the first moment, used or not, and
 * the tables are made for thousands of ports.  So its place is only reserved, and a piece is mapped
 * when it is first looked at.  Pointers stay good until array_release(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct array {
	int fd; /* borrowed */
	size_t value, size, page;
	char *base;	/* NULL = not open */
	bool *is_there; /* a page */
};

/* -errno; nothing is left behind on failure. */
int array_open(struct array *a, int fd, size_t count, size_t value);
void array_close(struct array *a); /* one that is not open is fine */

/* The i-th value.  That the kernel has no memory for a page's mapping is the end of us, as a stack
 * that cannot grow would be: what forwards is in the kernel, and goes on. */
void *array_at(const struct array *a, size_t i);

/* Lets go of all pages: after everything was looked at once. */
void array_release(const struct array *a);
