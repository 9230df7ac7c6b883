/* The command: seeds, cases, proofs; see usage. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cluster_sim.h"
#include "range.h"

#define FINDINGS_SHOWN 10

static const char usage[] =
	"sim-cluster --seeds FIRST..LAST [--scenario FAMILY]   runs that many scenarios\n"
	"sim-cluster --seed N [--scenario FAMILY] [--trace]    runs one, and says what happens\n"
	"sim-cluster --small [PART/PARTS]                      all small cases\n"
	"sim-cluster --small-case N [--trace]                  one of them\n"
	"sim-cluster --prove                                   breaks a thing each, and expects "
	"the "
	"rule made for it to find that\n"
	"sim-cluster --replay FIRST..LAST                      runs each twice, and compares all "
	"that "
	"happened\n"
	"Exit: 0 all rules were kept; 1 a finding, which is printed with its seed; 2 wrong "
	"arguments.\n";

struct totals {
	uint64_t runs, found, events, sent, anchors, views, opened, delivered, broken;
};

static void count(struct totals *t, const struct cs_result *r)
{
	t->runs++;
	t->found += r->finding.rule != CS_RULE_NONE;
	t->events += r->events;
	t->sent += r->sent;
	t->anchors += r->anchors;
	t->views += r->views;
	t->opened += r->opened;
	t->delivered += r->delivered;
	t->broken += r->broken;
}

static int conclude(const struct totals *t)
{
	printf("%" PRIu64 " runs, %" PRIu64 " findings; %" PRIu64 " events, %" PRIu64
	       " frames, %" PRIu64 " times an anchor, %" PRIu64 " views committed; %" PRIu64
	       " flows, %" PRIu64 " packets delivered, %" PRIu64
	       " flows broken with their member or by a cut; %.1f s\n",
	       t->runs, t->found, t->events, t->sent, t->anchors, t->views, t->opened, t->delivered,
	       t->broken, (double)clock() / CLOCKS_PER_SEC);
	return t->found > 0;
}

static void print_finding(const struct cs_scenario *s, const char *how, uint64_t number,
			  const struct cs_result *r)
{
	printf("FOUND %s at %.6f s: %s\n  replay: sim-cluster %s %" PRIu64 "%s%s --trace\n",
	       cs_rule_name(r->finding.rule), (double)r->finding.at / 1e9, r->finding.what, how,
	       number, strcmp(how, "--seed") == 0 ? " --scenario " : "",
	       strcmp(how, "--seed") == 0 ? s->family : "");
	fflush(stdout);
}

static int run_seeds(uint64_t first, uint64_t last, const char *family)
{
	struct totals totals = { 0 };
	struct cs_scenario s;
	struct cs_result r;

	for (uint64_t seed = first; seed <= last && totals.found < FINDINGS_SHOWN; seed++) {
		cs_scenario_make(&s, seed, family);
		cs_run(&s, false, &r);
		count(&totals, &r);
		if (r.finding.rule != CS_RULE_NONE)
			print_finding(&s, "--seed", seed, &r);
	}
	return conclude(&totals);
}

static int run_small(unsigned int part, unsigned int parts)
{
	struct totals totals = { 0 };
	struct cs_scenario s;
	struct cs_result r;

	for (unsigned int i = part; i < cs_small_count() && totals.found < FINDINGS_SHOWN;
	     i += parts) {
		cs_small_make(&s, i);
		cs_run(&s, false, &r);
		count(&totals, &r);
		if (r.finding.rule != CS_RULE_NONE)
			print_finding(&s, "--small-case", i, &r);
	}
	return conclude(&totals);
}

static int run_one(const struct cs_scenario *s, const char *how, uint64_t number, bool trace)
{
	struct cs_result r;

	if (trace)
		printf("%s: %u hosts, %u faces, %s\n", s->family, s->hosts, s->faces,
		       s->mode == CLUSTER_DIRECTOR ? "director" : "distributed");
	cs_run(s, trace, &r);
	printf("%" PRIu64 " events, %" PRIu64 " frames, hash %016" PRIx64 "\n", r.events, r.sent,
	       r.hash);
	if (r.finding.rule != CS_RULE_NONE)
		print_finding(s, how, number, &r);
	return r.finding.rule != CS_RULE_NONE;
}

static int replay(uint64_t first, uint64_t last)
{
	struct cs_result a, b;
	struct cs_scenario s;

	for (uint64_t seed = first; seed <= last; seed++) {
		cs_scenario_make(&s, seed, NULL);
		cs_run(&s, false, &a);
		cs_scenario_make(&s, seed, NULL);
		cs_run(&s, false, &b);
		if (a.hash != b.hash || a.events != b.events || a.sent != b.sent) {
			printf("seed %" PRIu64 " has two histories\n", seed);
			return 1;
		}
	}
	printf("%" PRIu64 " histories, each the same twice\n", last - first + 1);
	return 0;
}

/* Each mutation must be found by the rule made for it. */
static int prove(void)
{
	static const struct {
		const char *what;
		enum cs_rule rule;
	} proofs[CS_MUTATION_COUNT] = {
#define CS_PROOF_(c, meaning, rule) [CS_MUTATE_##c] = { meaning, CS_RULE_##rule },
		CS_MUTATIONS(CS_PROOF_)
#undef CS_PROOF_
	};
	const uint64_t most = 400;
	struct cs_scenario s;
	struct cs_result r;
	int missed = 0;

	for (unsigned int i = 1; i < CS_MUTATION_COUNT; i++) {
		uint64_t seed = 0;

		for (; seed < most; seed++) {
			cs_scenario_make(&s, seed, NULL);
			s.mutation = (enum cs_mutation)i;
			cs_run(&s, false, &r);
			if (r.finding.rule == proofs[i].rule)
				break;
		}
		printf("%-58s %s by %s, seed %" PRIu64 ": %s\n", proofs[i].what,
		       seed < most ? "found" : "MISSED", cs_rule_name(proofs[i].rule), seed,
		       seed < most ? r.finding.what : "");
		fflush(stdout);
		missed += seed == most;
	}
	return missed > 0;
}

int main(int argc, char **argv)
{
	const char *family = NULL, *seeds = NULL, *twice = NULL, *one = NULL, *single = NULL;
	bool trace = false, small = false;
	unsigned int part = 0, parts = 1;
	struct cs_scenario s;
	uint64_t first, last;

	for (int i = 1; i < argc; i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--trace") == 0)
			trace = true;
		else if (strcmp(argv[i], "--prove") == 0)
			return prove();
		else if (strcmp(argv[i], "--small") == 0)
			small = true;
		else if (!next)
			goto wrong;
		else if (strcmp(argv[i], "--scenario") == 0)
			family = next, i++;
		else if (strcmp(argv[i], "--seeds") == 0)
			seeds = next, i++;
		else if (strcmp(argv[i], "--replay") == 0)
			twice = next, i++;
		else if (strcmp(argv[i], "--seed") == 0)
			one = next, i++;
		else if (strcmp(argv[i], "--small-case") == 0)
			single = next, i++;
		else
			goto wrong;
		if (small && next && sscanf(next, "%u/%u", &part, &parts) == 2) {
			if (parts == 0 || part >= parts)
				goto wrong;
			i++;
		}
	}
	if (small)
		return run_small(part, parts);
	if (single && strtoul(single, NULL, 10) < cs_small_count()) {
		cs_small_make(&s, (unsigned int)strtoul(single, NULL, 10));
		return run_one(&s, "--small-case", strtoul(single, NULL, 10), trace);
	}
	if (family && !cs_scenario_make(&s, 0, family))
		goto wrong;
	if (twice && read_range(twice, &first, &last))
		return replay(first, last);
	if (seeds && read_range(seeds, &first, &last))
		return run_seeds(first, last, family);
	if (one && cs_scenario_make(&s, strtoull(one, NULL, 10), family))
		return run_one(&s, "--seed", strtoull(one, NULL, 10), trace);
wrong:
	fputs(usage, stderr);
	return 2;
}
