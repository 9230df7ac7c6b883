/* Clusters as a command (driver.h). */
#include <stdio.h>

#include "cluster_sim.h"

static const struct sim_proof proofs[] = {
#define CS_PROOF_(c, meaning, rule) [CS_MUTATE_##c] = { meaning, CS_RULE_##rule },
	CS_MUTATIONS(CS_PROOF_)
#undef CS_PROOF_
};

static struct cs_scenario scenario;

static const char *make(uint64_t seed, const char *family)
{
	return cs_scenario_make(&scenario, seed, family) ? scenario.family : NULL;
}

static const char *make_small(unsigned int number)
{
	cs_small_make(&scenario, number);
	return scenario.family;
}

static void mutate(unsigned int proof)
{
	scenario.mutation = (enum cs_mutation)proof;
}

static void print(void)
{
	const struct cs_scenario *s = &scenario;

	printf("%s: %u hosts, %u faces, %s\n", s->family, s->hosts, s->faces,
	       s->mode == CLUSTER_DIRECTOR ? "director" : "distributed");
}

static void run(bool trace, struct sim_result *ret)
{
	cs_run(&scenario, trace, ret);
}

int main(int argc, char **argv)
{
	static const struct sim_kind clusters = {
		.command = "sim-cluster",
		.rule_name = cs_rule_name,
		.family = cs_family,
		.small_count = cs_small_count,
		.proofs = proofs,
		.proof_count = CS_MUTATION_COUNT,
		.make = make,
		.make_small = make_small,
		.mutate = mutate,
		.print = print,
		.run = run,
	};

	return sim_command(&clusters, argc, argv);
}
