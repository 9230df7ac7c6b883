/* Fleets as a command (driver.h). */
#include <stdio.h>

#include "fleet_sim.h"

static const struct sim_proof proofs[] = {
#define FS_PROOF_(c, meaning, rule) [FS_MUTATE_##c] = { meaning, FS_RULE_##rule },
	FS_MUTATIONS(FS_PROOF_)
#undef FS_PROOF_
};

static struct fs_scenario scenario;

static const char *make(uint64_t seed, const char *family)
{
	return fs_scenario_make(&scenario, seed, family) ? scenario.family : NULL;
}

static const char *make_small(unsigned int number)
{
	fs_small_make(&scenario, number);
	return scenario.family;
}

static void mutate(unsigned int proof)
{
	scenario.mutation = (enum fs_mutation)proof;
}

static void print(void)
{
	const struct fs_scenario *s = &scenario;

	printf("%s: %u hosts, pool of %u in blocks of %u, %u guests%s\n", s->family, s->hosts,
	       s->pool_size, s->block_size, s->vms, s->any_frame ? ", any frame opens" : "");
}

static void run(bool trace, struct sim_result *ret)
{
	fs_run(&scenario, trace, ret);
}

int main(int argc, char **argv)
{
	static const struct sim_kind fleets = {
		.command = "sim-fleet",
		.rule_name = fs_rule_name,
		.family = fs_family,
		.small_count = fs_small_count,
		.proofs = proofs,
		.proof_count = FS_MUTATION_COUNT,
		.make = make,
		.make_small = make_small,
		.mutate = mutate,
		.print = print,
		.run = run,
		.scale = fs_scale,
	};

	return sim_command(&fleets, argc, argv);
}
