/* The command: seeds, cases, proofs; see usage. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "range.h"
#include "small.h"

static const char usage[] =
	"sim --seeds FIRST..LAST [--scenario FAMILY]   runs that many scenarios\n"
	"sim --seed N [--scenario FAMILY] [--trace]    runs one, and says what happens\n"
	"sim --small [PART/PARTS]                      all small cases\n"
	"sim --small-case N [--trace]                  one of them\n"
	"sim --prove                                   breaks a rule each, and expects it to be "
	"found\n"
	"sim --replay FIRST..LAST                      runs each twice, and compares all that "
	"happened\n"
	"Exit: 0 all rules were kept; 1 a finding, which is printed with its seed; 2 wrong "
	"arguments.\n";

static void print_finding(const struct scenario *s, const char *how, uint64_t number,
			  const struct result *r)
{
	printf("FOUND %s at %.6f s: %s\n  scenario %s, %u hosts; replay: sim %s %" PRIu64
	       " --scenario %s --trace\n",
	       rule_name(r->finding.rule), (double)r->finding.at / 1e9, r->finding.what, s->name,
	       s->host_count, how, number, s->name);
}

struct totals {
	uint64_t runs, found, events, frames, transitions, passed, dropped, contentions;
};

static void count(struct totals *t, const struct result *r)
{
	t->runs++;
	t->found += r->finding.rule != RULE_NONE;
	t->events += r->events;
	t->frames += r->frames;
	t->transitions += r->transitions;
	t->passed += r->passed;
	t->dropped += r->dropped;
	t->contentions += r->contentions;
}

static int conclude(const struct totals *t, double began)
{
	double s = (double)clock() / CLOCKS_PER_SEC - began;

	printf("%" PRIu64 " runs, %" PRIu64 " findings; %" PRIu64 " events, %" PRIu64
	       " frames, %" PRIu64 " transitions, %" PRIu64 " contentions; with a vMAC %" PRIu64
	       " passed, %" PRIu64 " stopped; %.0f runs a second\n",
	       t->runs, t->found, t->events, t->frames, t->transitions, t->contentions, t->passed,
	       t->dropped, s > 0 ? (double)t->runs / s : 0);
	return t->found > 0;
}

#define FINDINGS_SHOWN 20

static int run_seeds(uint64_t first, uint64_t last, const char *family)
{
	struct totals totals = { 0 };
	struct scenario s;
	struct result r;

	for (uint64_t seed = first; seed <= last && totals.found < FINDINGS_SHOWN; seed++) {
		scenario_make(&s, seed, family);
		world_run(&s, false, &r);
		count(&totals, &r);
		if (r.finding.rule != RULE_NONE)
			print_finding(&s, "--seed", seed, &r);
	}
	return conclude(&totals, 0);
}

static void print_scenario(const struct scenario *s)
{
	printf("%s: %u hosts, interval %" PRId64 " ms, hold %" PRId64 " ms, settled within %" PRId64
	       " ms\n",
	       s->name, s->host_count, (int64_t)(s->interval / SIM_MS), (int64_t)(s->hold / SIM_MS),
	       (int64_t)(s->settle / SIM_MS));
	for (unsigned int i = 0; i < s->host_count; i++) {
		const struct router *r = &s->candidates[i].record;

		printf("  host %u: %s priority %u%s%s, auth %s %s%s, preempt delay %u ms, boot "
		       "hold "
		       "%u ms, linger %d ms%s\n",
		       i, router_protocol_name(r->protocol), r->priority,
		       r->preempt ? " preempt" : "", r->learn ? " learn" : "",
		       router_auth_name(r->auth), router_auth_mode_name(r->auth_mode),
		       s->candidates[i].wrong_key ? " WRONG KEY" : "", r->preempt_delay_ms,
		       r->boot_hold_ms, (int)r->linger_ms,
		       s->candidates[i].sets[0].peer_count ? ", unicast" : "");
	}
}

static int run_one(const struct scenario *s, uint64_t number, const char *how, bool trace)
{
	struct result r;

	if (trace)
		print_scenario(s);
	world_run(s, trace, &r);
	printf("%u events, %u frames, %u transitions, hash %016" PRIx64 "\n", r.events, r.frames,
	       r.transitions, r.hash);
	if (r.finding.rule != RULE_NONE)
		print_finding(s, how, number, &r);
	return r.finding.rule != RULE_NONE;
}

static int replay(uint64_t first, uint64_t last)
{
	struct result a, b;
	struct scenario s;

	for (uint64_t seed = first; seed <= last; seed++) {
		scenario_make(&s, seed, NULL);
		world_run(&s, false, &a);
		scenario_make(&s, seed, NULL);
		world_run(&s, false, &b);
		if (a.hash != b.hash || a.events != b.events || a.frames != b.frames) {
			printf("seed %" PRIu64 " has two histories\n", seed);
			return 1;
		}
	}
	printf("%" PRIu64 " histories, each the same twice\n", last - first + 1);
	return 0;
}

static int run_small(unsigned int part, unsigned int parts)
{
	struct totals totals = { 0 };
	struct scenario s;
	struct result r;

	for (unsigned int i = part; i < small_count() && totals.found < FINDINGS_SHOWN;
	     i += parts) {
		if (!small_make(&s, i))
			continue;
		world_run(&s, false, &r);
		count(&totals, &r);
		if (r.finding.rule != RULE_NONE)
			print_finding(&s, "--small-case", i, &r);
	}
	return conclude(&totals, 0);
}

/* Each mutation of the model (never of production code) must be found by the rule made for it. */
static int prove(void)
{
	static const struct {
		const char *name;
		enum mutation mutation;
		enum rule rule;
	} proofs[] = {
		{ "no lease", MUTATE_NO_LEASE, RULE_LEASE_BROKEN },
		{ "long lease", MUTATE_LONG_LEASE, RULE_LEASE_TOO_LONG },
		{ "backup sends", MUTATE_BACKUP_SENDS, RULE_BACKUP_SPOKE },
		{ "deaf", MUTATE_DEAF, RULE_TWO_ACTIVE },
		{ "dead", MUTATE_DEAD, RULE_NOBODY },
		{ "liar", MUTATE_LIAR, RULE_WRONG_ONE },
		{ "key known", MUTATE_KEY_KNOWN, RULE_WRONG_KEY },
		{ "unequal", MUTATE_UNEQUAL, RULE_NOT_EQUAL },
		{ "silent", MUTATE_SILENT, RULE_NOT_ANNOUNCED },
		{ "blind switch", MUTATE_BLIND_SWITCH, RULE_SWITCH },
		{ "restless", MUTATE_RESTLESS, RULE_UNSETTLED },
	};
	const uint64_t most = 2000;
	struct scenario s;
	struct result r;
	int missed = 0;

	for (unsigned int i = 0; i < sizeof(proofs) / sizeof(proofs[0]); i++) {
		uint64_t seed = 0;

		for (; seed < most; seed++) {
			scenario_make(&s, seed, NULL);
			s.mutation = proofs[i].mutation;
			world_run(&s, false, &r);
			if (r.finding.rule == proofs[i].rule)
				break;
		}
		printf("%-14s %s by %s, seed %" PRIu64 ": %s\n", proofs[i].name,
		       seed < most ? "found" : "MISSED", rule_name(proofs[i].rule), seed,
		       seed < most ? r.finding.what : "");
		missed += seed == most;
	}
	return missed > 0;
}

int main(int argc, char **argv)
{
	const char *family = NULL, *seeds = NULL, *twice = NULL, *one = NULL, *single = NULL;
	bool trace = false, small = false;
	unsigned int part = 0, parts = 1;
	struct scenario s;
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
	if (single) {
		if (!small_make(&s, (unsigned int)strtoul(single, NULL, 10)))
			goto wrong;
		return run_one(&s, strtoul(single, NULL, 10), "--small-case", trace);
	}
	if (family && !scenario_make(&s, 0, family))
		goto wrong;
	if (twice && read_range(twice, &first, &last))
		return replay(first, last);
	if (seeds && read_range(seeds, &first, &last))
		return run_seeds(first, last, family);
	if (one && scenario_make(&s, strtoull(one, NULL, 10), family))
		return run_one(&s, strtoull(one, NULL, 10), "--seed", trace);
wrong:
	fputs(usage, stderr);
	return 2;
}
