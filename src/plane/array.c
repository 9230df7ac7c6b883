#include "plane/array.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void *reserve(void *at, size_t size)
{
	void *p = mmap(at, size, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0), -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void map_page(const struct array *a, size_t page)
{
	void *p = mmap(a->base + page * a->page, a->page, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, a->fd, (off_t)(page * a->page));

	if (p == MAP_FAILED) {
		fprintf(stderr, "cannot map a page of the data plane: %s\n", strerror(errno));
		abort();
	}
	a->is_there[page] = true;
}

int array_open(struct array *a, int fd, size_t count, size_t value)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t stride = (value + 7) & ~(size_t)7;
	struct array fresh = { .fd = fd, .value = stride, .page = page };

	fresh.size = (count * stride + page - 1) / page * page;
	fresh.is_there = calloc(fresh.size / page, sizeof(bool));
	fresh.base = reserve(NULL, fresh.size);
	if (!fresh.is_there || !fresh.base) {
		array_close(&fresh);
		return -ENOMEM;
	}
	*a = fresh;
	return 0;
}

void array_close(struct array *a)
{
	if (a->base)
		munmap(a->base, a->size);
	free(a->is_there);
	memset(a, 0, sizeof(*a));
}

void *array_at(const struct array *a, size_t i)
{
	size_t from = i * a->value, page = from / a->page;

	assert(from + a->value <= a->size);
	if (!a->is_there[page])
		map_page(a, page);
	page = (from + a->value - 1) / a->page; /* a value may lie across two */
	if (!a->is_there[page])
		map_page(a, page);
	return a->base + from;
}

void array_release(const struct array *a)
{
	/* Where that fails all is as it was. */
	if (a->base && reserve(a->base, a->size))
		memset(a->is_there, 0, a->size / a->page * sizeof(bool));
}
