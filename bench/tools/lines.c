/* bench-lines: what a line of memory costs that is read at random, out of as much memory as the
 * flow table has: no table of a million flows can be searched in less.
 *
 * Each line names the next, in one circle through all, so that no read begins before the one
 * before it has ended.  Prints the median of TURNS in nanoseconds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LINES 131072 /* of 64 octets: 8 MiB */
#define TURNS 21

static struct line {
	_Alignas(64) uint32_t next;
} lines[LINES];

static uint64_t ns_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A circle (Sattolo), always the same: no prefetcher sees an order in it. */
static void shuffle(void)
{
	uint64_t state = 1;

	for (uint32_t i = 0; i < LINES; i++)
		lines[i].next = i;
	for (uint32_t i = LINES - 1; i > 0; i--) {
		uint32_t next = lines[i].next, j;

		state = state * 6364136223846793005 + 1442695040888963407; /* Knuth, MMIX */
		j = (uint32_t)(state >> 33) % i;
		lines[i].next = lines[j].next;
		lines[j].next = next;
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	double ns[TURNS];
	uint32_t at = 0;

	shuffle();
	for (unsigned int turn = 0; turn < TURNS; turn++) {
		uint64_t begin = ns_now();

		for (uint32_t i = 0; i < LINES; i++)
			at = lines[at].next;
		ns[turn] = (double)(ns_now() - begin) / LINES;
	}
	/* The circle has led back; and the reads are not left out. */
	if (at != 0)
		return 1;
	qsort(ns, TURNS, sizeof(ns[0]), compare);
	printf("{\"line_ns\": %.1f}\n", ns[TURNS / 2]);
	return 0;
}
