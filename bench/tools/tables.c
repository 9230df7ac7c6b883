/* tables: how long a cluster's rows take to be made, and how evenly they are shared; a line of JSON
 * a kind and size, over KEYS keys: the median time, and the median over keys of the largest share.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "balance/table.h"

#define KEYS 21

static struct balance_row rows[CLUSTER_MAGLEV_ROWS];
static struct balance_choice members[CLUSTER_MEMBERS_MAX];
static uint32_t shares[CLUSTER_MEMBERS_MAX];

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double most_loaded(unsigned int row_count, unsigned int count)
{
	uint32_t most = 0;

	balance_shares(rows, row_count, members, count, shares);
	for (unsigned int i = 0; i < count; i++)
		if (shares[i] > most)
			most = shares[i];
	return (double)most * count / row_count;
}

static void measure(const char *system, bool maglev, unsigned int count, uint64_t *scratch)
{
	double took[KEYS], share[KEYS];

	for (unsigned int k = 0; k < KEYS; k++) {
		uint8_t key[16] = { (uint8_t)k, (uint8_t)(k * 7 + 1), 0x5e };
		double began = now_ms();

		if (maglev)
			balance_maglev(key, members, count, NULL, scratch, rows);
		else
			balance_rendezvous(key, members, count, scratch, rows);
		took[k] = now_ms() - began;
		share[k] = most_loaded(maglev ? CLUSTER_MAGLEV_ROWS : CLUSTER_ROWS, count);
	}
	qsort(took, KEYS, sizeof(*took), ascending);
	qsort(share, KEYS, sizeof(*share), ascending);
	printf("{\"case\": \"%u members\", \"system\": \"%s\", \"ms\": %.3f", count, system,
	       took[KEYS / 2]);
	if (count == 32)
		printf(", \"share\": %.4f, \"share_most\": %.4f", share[KEYS / 2], share[KEYS - 1]);
	puts("}");
}

int main(void)
{
	static const unsigned int counts[] = { 3, 32, 1000 };
	uint64_t *scratch = calloc(balance_scratch_words(CLUSTER_MEMBERS_MAX), sizeof(*scratch));

	if (!scratch)
		return 1;
	for (unsigned int i = 0; i < CLUSTER_MEMBERS_MAX; i++)
		members[i] = (struct balance_choice){
			.id = (uint16_t)(i + 1), .weight = 1, .fresh = true, .known = true
		};
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		measure("rendezvous", false, counts[i], scratch);
		measure("maglev", true, counts[i], scratch);
	}
	free(scratch);
	return 0;
}
