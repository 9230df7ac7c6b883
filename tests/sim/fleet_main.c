/* The command: seeds, cases, proofs, scale; see usage. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fleet_sim.h"
#include "range.h"

#define FINDINGS_SHOWN 10

static const char usage[] =
	"sim-fleet --seeds FIRST..LAST [--scenario FAMILY]   runs that many scenarios\n"
	"sim-fleet --seed N [--scenario FAMILY] [--trace]    runs one, and says what happens\n"
	"sim-fleet --small [PART/PARTS]                      all small cases\n"
	"sim-fleet --small-case N [--trace]                  one of them\n"
	"sim-fleet --prove                                   breaks a thing each, and expects the "
	"rule made for it to find that\n"
	"sim-fleet --replay FIRST..LAST                      runs each twice, and compares all "
	"that "
	"happened\n"
	"sim-fleet --scale [HOSTS ADDRESSES]                 1,000 hosts and 1,000,000 addresses\n"
	"Exit: 0 all rules were kept; 1 a finding, which is printed with its seed; 2 wrong "
	"arguments.\n";

struct totals {
	uint64_t runs, found, events, frames, commits, moves, flips, redirected, alarms;
};

static void count(struct totals *t, const struct fs_result *r)
{
	t->runs++;
	t->found += r->finding.rule != FS_RULE_NONE;
	t->events += r->events;
	t->frames += r->frames;
	t->commits += r->commits;
	t->moves += r->moves;
	t->flips += r->flips;
	t->redirected += r->redirected;
	t->alarms += r->alarms;
}

static int conclude(const struct totals *t)
{
	printf("%" PRIu64 " runs, %" PRIu64 " findings; %" PRIu64 " events, %" PRIu64
	       " frames, %" PRIu64 " commits, %" PRIu64 " moves, %" PRIu64
	       " gates opened by a first frame, %" PRIu64 " frames redirected, %" PRIu64
	       " alarms; %.1f s\n",
	       t->runs, t->found, t->events, t->frames, t->commits, t->moves, t->flips,
	       t->redirected, t->alarms, (double)clock() / CLOCKS_PER_SEC);
	return t->found > 0;
}

static void print_finding(const struct fs_scenario *s, const char *how, uint64_t number,
			  const struct fs_result *r)
{
	printf("FOUND %s at %.6f s: %s\n  replay: sim-fleet %s %" PRIu64 "%s%s --trace\n",
	       fs_rule_name(r->finding.rule), (double)r->finding.at / 1e9, r->finding.what, how,
	       number, strcmp(how, "--seed") == 0 ? " --scenario " : "",
	       strcmp(how, "--seed") == 0 ? s->family : "");
	fflush(stdout);
}

static int run_seeds(uint64_t first, uint64_t last, const char *family)
{
	struct totals totals = { 0 };
	struct fs_scenario s;
	struct fs_result r;

	for (uint64_t seed = first; seed <= last && totals.found < FINDINGS_SHOWN; seed++) {
		fs_scenario_make(&s, seed, family);
		fs_run(&s, false, &r);
		count(&totals, &r);
		if (r.finding.rule != FS_RULE_NONE)
			print_finding(&s, "--seed", seed, &r);
	}
	return conclude(&totals);
}

static int run_small(unsigned int part, unsigned int parts)
{
	struct totals totals = { 0 };
	struct fs_scenario s;
	struct fs_result r;

	for (unsigned int i = part; i < fs_small_count() && totals.found < FINDINGS_SHOWN;
	     i += parts) {
		fs_small_make(&s, i);
		fs_run(&s, false, &r);
		count(&totals, &r);
		if (r.finding.rule != FS_RULE_NONE)
			print_finding(&s, "--small-case", i, &r);
	}
	return conclude(&totals);
}

static int run_one(const struct fs_scenario *s, const char *how, uint64_t number, bool trace)
{
	struct fs_result r;

	if (trace)
		printf("%s: %u hosts, pool of %u in blocks of %u, %u guests%s\n", s->family,
		       s->hosts, s->pool_size, s->block_size, s->vms,
		       s->any_frame ? ", any frame opens" : "");
	fs_run(s, trace, &r);
	printf("%" PRIu64 " events, %" PRIu64 " frames, hash %016" PRIx64 "\n", r.events, r.frames,
	       r.hash);
	if (r.finding.rule != FS_RULE_NONE)
		print_finding(s, how, number, &r);
	return r.finding.rule != FS_RULE_NONE;
}

static int replay(uint64_t first, uint64_t last)
{
	struct fs_result a, b;
	struct fs_scenario s;

	for (uint64_t seed = first; seed <= last; seed++) {
		fs_scenario_make(&s, seed, NULL);
		fs_run(&s, false, &a);
		fs_scenario_make(&s, seed, NULL);
		fs_run(&s, false, &b);
		if (a.hash != b.hash || a.events != b.events || a.frames != b.frames) {
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
		enum fs_rule rule;
	} proofs[FS_MUTATION_COUNT] = {
#define FS_PROOF_(c, meaning, rule) [FS_MUTATE_##c] = { meaning, FS_RULE_##rule },
		FS_MUTATIONS(FS_PROOF_)
#undef FS_PROOF_
	};
	const uint64_t most = 400;
	struct fs_scenario s;
	struct fs_result r;
	int missed = 0;

	for (unsigned int i = 1; i < FS_MUTATION_COUNT; i++) {
		uint64_t seed = 0;

		for (; seed < most; seed++) {
			fs_scenario_make(&s, seed, NULL);
			s.mutation = (enum fs_mutation)i;
			fs_run(&s, false, &r);
			if (r.finding.rule == proofs[i].rule)
				break;
		}
		printf("%-58s %s by %s, seed %" PRIu64 ": %s\n", proofs[i].what,
		       seed < most ? "found" : "MISSED", fs_rule_name(proofs[i].rule), seed,
		       seed < most ? r.finding.what : "");
		fflush(stdout);
		missed += seed == most;
	}
	return missed > 0;
}

static bool read_number(const char *text, unsigned int *ret)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || n == 0 || n > UINT32_MAX)
		return false;
	*ret = (unsigned int)n;
	return true;
}

static int scale(int argc, char **argv)
{
	unsigned int hosts = 1000, addresses = 1000000;

	if (argc != 0 &&
	    (argc != 2 || !read_number(argv[0], &hosts) || !read_number(argv[1], &addresses))) {
		fputs(usage, stderr);
		return 2;
	}
	return fs_scale(hosts, addresses);
}

int main(int argc, char **argv)
{
	const char *family = NULL, *seeds = NULL, *twice = NULL, *one = NULL, *single = NULL;
	bool trace = false, small = false;
	unsigned int part = 0, parts = 1;
	struct fs_scenario s;
	uint64_t first, last;

	for (int i = 1; i < argc; i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--trace") == 0)
			trace = true;
		else if (strcmp(argv[i], "--prove") == 0)
			return prove();
		else if (strcmp(argv[i], "--scale") == 0)
			return scale(argc - i - 1, argv + i + 1);
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
	if (single && strtoul(single, NULL, 10) < fs_small_count()) {
		fs_small_make(&s, (unsigned int)strtoul(single, NULL, 10));
		return run_one(&s, "--small-case", strtoul(single, NULL, 10), trace);
	}
	if (family && !fs_scenario_make(&s, 0, family))
		goto wrong;
	if (twice && read_range(twice, &first, &last))
		return replay(first, last);
	if (seeds && read_range(seeds, &first, &last))
		return run_seeds(first, last, family);
	if (one && fs_scenario_make(&s, strtoull(one, NULL, 10), family))
		return run_one(&s, "--seed", strtoull(one, NULL, 10), trace);
wrong:
	fputs(usage, stderr);
	return 2;
}
