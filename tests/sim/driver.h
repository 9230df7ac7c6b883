/* The command that a simulation is: seeds, small cases, replays, proofs.  What is simulated is said
 * by a struct sim_kind; the options and what they print are one for all (usage in driver.c). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SIM_COUNTS_MAX 8

/* The first rule that did not hold. */
struct sim_finding {
	unsigned int rule; /* of its kind's; 0: all held */
	int64_t at;	   /* ns since the start */
	char what[240];
};

/* Equal scenarios have equal results. */
struct sim_result {
	struct sim_finding finding;
	uint64_t hash, events, frames;
	struct {
		const char *of;
		uint64_t count;
	} counts[SIM_COUNTS_MAX]; /* what else happened how often; as many as are named */
};

/* Something that is broken in the model (never in production code), and the rule that must find
 * it.  The first of a kind breaks nothing. */
struct sim_proof {
	const char *what;
	unsigned int rule;
};

struct sim_kind {
	const char *command;
	const char *(*rule_name)(unsigned int rule);
	const char *(*family)(unsigned int i); /* NULL after the last */
	unsigned int (*small_count)(void);
	const struct sim_proof *proofs;
	unsigned int proof_count;
	/* One scenario is at hand: that of a seed (family NULL: the seed's own), or a small case of
	 * those that small_count() counts.  Returns its name. */
	const char *(*make)(uint64_t seed, const char *family);
	const char *(*make_small)(unsigned int number);
	/* … which one of the proofs may break, … */
	void (*mutate)(unsigned int proof);
	/* … and which is told about, and played to its end or first finding. */
	void (*print)(void);
	void (*run)(bool trace, struct sim_result *ret);
	/* Many more hosts than a scenario has; NULL: it cannot.  Returns what the command exits
	 * with. */
	int (*scale)(unsigned int hosts, unsigned int addresses);
};

/* Returns what to exit with. */
int sim_command(const struct sim_kind *k, int argc, char **argv);
