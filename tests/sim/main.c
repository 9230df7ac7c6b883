/* The elections as a command (driver.h). */
#include <inttypes.h>
#include <stdio.h>

#include "small.h"

static const struct sim_proof proofs[] = {
#define PROOF_(c, meaning, rule) [MUTATE_##c] = { meaning, RULE_##rule },
	MUTATIONS(PROOF_)
#undef PROOF_
};

static struct scenario scenario;

static const char *make(uint64_t seed, const char *family)
{
	return scenario_make(&scenario, seed, family) ? scenario.name : NULL;
}

static const char *make_small(unsigned int number)
{
	small_make(&scenario, number);
	return scenario.name;
}

static void mutate(unsigned int proof)
{
	scenario.mutation = (enum mutation)proof;
}

static void print(void)
{
	const struct scenario *s = &scenario;

	printf("%s: %u hosts, interval %" PRId64 " ms, hold %" PRId64 " ms, settled within %" PRId64
	       " ms\n",
	       s->name, s->host_count, (int64_t)(s->interval / SIM_MS), (int64_t)(s->hold / SIM_MS),
	       (int64_t)(s->settle / SIM_MS));
	for (unsigned int i = 0; i < s->host_count; i++) {
		const struct candidate *c = &s->candidates[i];
		const struct router *r = &c->record;

		printf("  host %u: %s priority %u%s%s, auth %s %s%s, preempt delay %u ms, boot "
		       "hold %u ms, linger %d ms%s\n",
		       i, router_protocol_name(r->protocol), r->priority,
		       r->preempt ? " preempt" : "", r->learn ? " learn" : "",
		       router_auth_name(r->auth), router_auth_mode_name(r->auth_mode),
		       c->wrong_key ? " WRONG KEY" : "", r->preempt_delay_ms, r->boot_hold_ms,
		       (int)r->linger_ms, c->sets[0].peer_count ? ", unicast" : "");
	}
}

static void run(bool trace, struct sim_result *ret)
{
	world_run(&scenario, trace, ret);
}

int main(int argc, char **argv)
{
	static const struct sim_kind elections = {
		.command = "sim",
		.rule_name = rule_name,
		.family = scenario_family,
		.small_count = small_count,
		.proofs = proofs,
		.proof_count = MUTATION_COUNT,
		.make = make,
		.make_small = make_small,
		.mutate = mutate,
		.print = print,
		.run = run,
	};

	return sim_command(&elections, argc, argv);
}
