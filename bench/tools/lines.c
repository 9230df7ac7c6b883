/* bench-lines: what a line of memory costs that is read at random, out of as much memory as the
 * flow table has, by who has something else to do for as long as a frame takes in between: no table
 * of a million flows can be searched in less.  (Read without a pause, the lines would stay in the
 * third cache, which others use, too.)
 *
 * Each line names the next, in one circle through all; and what is done in between ends before the
 * read begins, because its result is part of the address.  Turns of some reads on the circle and of
 * as many of one line alternate, short enough that the clock of the processor does not change.
 * Prints the median difference, in nanoseconds a line. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LINES 131072 /* of 64 octets: 8 MiB */
#define READS 128
#define TURNS (4 * LINES / READS) /* four times round */
#define PAUSE 2000 /* additions, each after the one before: half a microsecond */

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

/* `zero`, when it has been done. */
static uint32_t pause(uint32_t zero)
{
	for (unsigned int i = 0; i < PAUSE; i++) {
		zero += 1;
		__asm__ volatile("" : "+r"(zero));
	}
	zero -= PAUSE;
	__asm__ volatile("" : "+r"(zero));
	return zero;
}

/* Reads along the circle, or again and again the one where it stands; nanoseconds a read. */
static double turn(uint32_t *at, uint32_t along)
{
	uint64_t begin = ns_now();

	for (uint32_t i = 0; i < READS; i++) {
		uint32_t next = lines[*at + pause(*at & 0)].next;

		*at = along ? next : *at + (next & 0);
		__asm__ volatile("" : "+m"(*at));
	}
	return (double)(ns_now() - begin) / READS;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	static double more[TURNS];
	double spare;
	uint32_t at = 0;

	shuffle();
	for (unsigned int i = 0; i < TURNS; i++) {
		spare = turn(&at, 0);
		more[i] = turn(&at, 1) - spare;
	}
	qsort(more, TURNS, sizeof(more[0]), compare);
	printf("{\"line_ns\": %.1f}\n", more[TURNS / 2]);
	return at != 0; /* the circle has led back */
}
