/* Every interleaving up to a depth, then long random ones: world.c checks after each step that
 *
 *  - a gate that is open is that of the record's holder; or of one whose guest spoke first under a
 *    reservation (LIVE, or about to be); or of a holder that reserved the vMAC by a prepared move
 *    for the host that holds it now, and has not heard of it yet;
 *  - nobody claims what was not reserved for it, and without a plan only when the old holder's gate
 *    has closed;
 *  - epochs never fall, and grow with every change of holder;
 *  - the data plane's gate is the machine's;
 *
 * and where all settles, the host where the guest runs is the holder and alone is open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

/* --- exhaustive ------------------------------------------------------------------------------ */

#define SEEN (1u << 21)

struct explorer {
	unsigned int host_count;
	uint64_t *seen;
	uint64_t steps, states, settled;
};

static uint64_t hash(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = 1469598103934665603u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 1099511628211u;
	h ^= h >> 29;
	return h | 1;
}

/* Whether this world was met at this depth or nearer the start. */
static bool met(struct explorer *x, const struct world *w, unsigned int left)
{
	const uint64_t h = hash(w, sizeof(*w)) * 16 + left;

	for (unsigned int i = 0; i < 8; i++) {
		uint64_t *slot = &x->seen[(hash(&h, sizeof(h)) + i) % SEEN];

		if (*slot == h)
			return true;
		if (*slot == 0) {
			*slot = h;
			return false;
		}
	}
	return false;
}

static void explore(struct explorer *x, const struct world *from, unsigned int left)
{
	const unsigned int trace = world_trace_len;

	for (unsigned int host = 0; host < x->host_count; host++) {
		for (unsigned int a = 0; a < W_ACT_COUNT; a++) {
			struct world w = *from;

			world_trace_len = trace;
			if (!world_act(&w, a, (int)host))
				continue;
			x->steps++;
			if (met(x, &w, left))
				continue;
			x->states++;
			if (left > 1) {
				explore(x, &w, left - 1);
				continue;
			}
			world_settle(&w);
			x->settled++;
		}
	}
}

static void explore_from(unsigned int hosts, const struct world *start, unsigned int depth)
{
	struct explorer x = { .host_count = hosts, .seen = calloc(SEEN, sizeof(uint64_t)) };

	assert_non_null(x.seen);
	explore(&x, start, depth);
	printf("%u hosts, depth %u: %llu steps, %llu worlds, %llu settled\n", hosts, depth,
	       (unsigned long long)x.steps, (unsigned long long)x.states,
	       (unsigned long long)x.settled);
	free(x.seen);
}

static void prepared(struct world *w, unsigned int hosts)
{
	world_init(w, hosts);
	world_act(w, W_PREPARE, 1);
	world_act(w, W_LAND_ASK, 1);
	world_act(w, W_PORT_UP, 1);
}

static void two_hosts_from_rest(void **state)
{
	struct world w;

	world_init(&w, 2);
	explore_from(2, &w, 5);
}

static void two_hosts_prepared(void **state)
{
	struct world w;

	prepared(&w, 2);
	explore_from(2, &w, 5);
}

static void two_hosts_at_the_flip(void **state)
{
	struct world w;

	prepared(&w, 2);
	world_act(&w, W_TELL_ASK, 0);
	world_act(&w, W_LAND_RECORD, 0);
	world_act(&w, W_TELL, 1);
	assert_int_equal(w.host[1].m.state, MIGRATE_READY);
	world_act(&w, W_GUEST_HERE, 1);
	world_act(&w, W_SPEAK, 1);
	explore_from(2, &w, 5);
}

static void three_hosts_prepared(void **state)
{
	struct world w;

	prepared(&w, 3);
	world_act(&w, W_PORT_UP, 2);
	explore_from(3, &w, 4);
}

/* --- long ------------------------------------------------------------------------------------ */

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void walk(unsigned int hosts, uint64_t seed, unsigned int steps)
{
	struct world w;

	world_init(&w, hosts);
	for (unsigned int i = 0;
	     i < steps && w.count + 40 < VERSIONS && w.ask_count + 40 < VERSIONS; i++) {
		const uint64_t r = next_random(&seed);
		unsigned int a = (unsigned int)(r >> 8) % W_ACT_COUNT;

		/* What brings news is likelier than what makes it. */
		if ((r & 3) != 0)
			a = (unsigned int)(r >> 8) % W_GUEST_HERE;
		world_act(&w, a, (int)((r >> 32) % hosts));
	}
	world_settle(&w);
}

static void random_walks(void **state)
{
	const char *more = getenv("VMAC_MIGRATE_WALKS");
	const uint64_t walks = more ? strtoull(more, NULL, 10) : 20000;

	for (uint64_t i = 1; i <= walks; i++) {
		if (more && i % 100000 == 0)
			printf("%llu\n", (unsigned long long)i);
		walk(2 + i % 2, i * 0x9e3779b97f4a7c15u, 20 + (unsigned int)(i % 900));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_hosts_from_rest),	 cmocka_unit_test(two_hosts_prepared),
		cmocka_unit_test(two_hosts_at_the_flip), cmocka_unit_test(three_hosts_prepared),
		cmocka_unit_test(random_walks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
