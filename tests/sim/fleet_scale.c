/* A thousand hosts and a million addresses in one scenario: all join, share one pool, allocate
 * until every host has its part, lose the registry, go on, and come back. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "fleet_sim.h"

#define BLOCK 256

static double seconds(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

static void say(struct world *w, const char *what, double *since)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	printf("%-44s %7.1f s of processor, at %8.1f s simulated; %" PRIu64 " commits, %" PRIu64
	       " records told, %ld MiB\n",
	       what, seconds() - *since, (double)(w->now - FS_START) / 1e9, w->commits, w->told,
	       usage.ru_maxrss / 1024);
	fflush(stdout);
	*since = seconds();
}

static void until(struct world *w, int64_t end)
{
	while (w->heap_count > 0 && w->heap[0].at <= end)
		world_turn(w);
	if (w->now < end)
		w->now = end;
}

static unsigned int joined(struct world *w)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < w->host_count; i++) {
		struct fleet_facts facts;

		if (!w->hosts[i].fleet)
			continue;
		fleet_facts(w->hosts[i].fleet, &facts);
		count += facts.joined && facts.images_behind == 0;
	}
	return count;
}

/* Every host takes what it can have now; in the journal, with no port. */
static unsigned int allocate(struct world *w, unsigned int each, unsigned int *had)
{
	unsigned int total = 0;

	for (unsigned int i = 0; i < w->host_count; i++) {
		for (unsigned int k = 0; had[i] < each && k < BLOCK; k++, had[i]++)
			if (host_allocate(&w->hosts[i]) < 0)
				break;
		total += had[i];
	}
	return total;
}

static unsigned int doubled(struct world *w)
{
	uint8_t *owners = fs_alloc(w->address_count);
	unsigned int count = 0;

	for (unsigned int i = 0; i < w->host_count; i++)
		for (unsigned int b = 0; b < w->block_count; b++)
			for (unsigned int k = 0; w->hosts[i].blocks[b] && k < w->block_size; k++)
				if (entry_held(&w->hosts[i].blocks[b][k].durable))
					count += ++owners[b * w->block_size + k] == 2;
	free(owners);
	return count;
}

static void all_cut(struct world *w, bool cut)
{
	for (unsigned int i = 0; i < w->host_count; i++)
		registry_cut(&w->hosts[i], cut);
}

int fs_scale(unsigned int hosts, unsigned int addresses)
{
	static struct world w;
	const struct fs_scenario s = {
		.family = "scale",
		.seed = 1,
		.hosts = hosts,
		.block_size = BLOCK,
		.pool_size = (addresses + hosts * 2 * BLOCK + BLOCK - 1) / BLOCK * BLOCK,
		.addresses = (addresses + hosts * 2 * BLOCK + BLOCK - 1) / BLOCK * BLOCK,
		.beat = SECOND
	};
	unsigned int *had = fs_alloc(hosts * sizeof(*had)), each = addresses / hosts, total, twice;
	double since = seconds();

	if (hosts == 0 || hosts > HOSTS_MAX || each == 0)
		return 2;
	world_init(&w, &s, false);
	for (unsigned int i = 0; i < hosts; i++) {
		host_up(&w.hosts[i]);
		until(&w, w.now + 20 * MS);
		if (i == 0)
			host_agree(&w.hosts[0]);
	}
	until(&w, w.now + 20 * SECOND);
	say(&w, "all hosts have joined, one after another", &since);
	for (unsigned int round = 0; round < 200; round++) {
		total = allocate(&w, each, had);
		until(&w, w.now + 2 * SECOND);
		if (total == each * hosts)
			break;
	}
	say(&w, "all addresses are allocated", &since);
	until(&w, w.now + 60 * SECOND);
	say(&w, "a minute in which nothing happens", &since);
	all_cut(&w, true);
	for (unsigned int i = 0; i < hosts; i++)
		had[i] = 0;
	allocate(&w, BLOCK / 2, had);
	until(&w, w.now + 30 * SECOND);
	say(&w, "cut off, and half a block more allocated each", &since);
	all_cut(&w, false);
	until(&w, w.now + 60 * SECOND);
	say(&w, "back, and reconciled", &since);
	host_down(&w.hosts[0], false);
	until(&w, w.now + 15 * SECOND);
	host_up(&w.hosts[0]);
	until(&w, w.now + 15 * SECOND);
	say(&w, "one host crashed and came back", &since);
	twice = doubled(&w);
	printf("%u hosts, %u addresses and %u more while cut off, %u doubled, %u hosts joined with "
	       "nothing left to write, %zu keys, %" PRIu64 " events\n",
	       hosts, total, hosts * (BLOCK / 2), twice, joined(&w), w.live.count, w.events);
	free(had);
	return w.finding.rule != FS_RULE_NONE || twice > 0 || joined(&w) != hosts ||
	       total != each * hosts;
}
