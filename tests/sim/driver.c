#include "driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FINDINGS_SHOWN	10
#define PROOF_SEEDS	2000
#define SCALE_HOSTS	1000
#define SCALE_ADDRESSES 1000000

static const char usage[] =
	"--seeds FIRST..LAST [--scenario FAMILY]   runs that many scenarios\n"
	"--seed N [--scenario FAMILY] [--trace]    runs one, and says what happens\n"
	"--small [PART/PARTS]                      runs all small cases\n"
	"--small-case N [--trace]                  one of them\n"
	"--replay FIRST..LAST [--scenario FAMILY]  runs each twice, and compares all that "
	"happened\n"
	"--prove                                   breaks a thing each, and expects the rule made "
	"for it to find that\n"
	"… --break N                               any of these (but --prove) with its Nth thing "
	"broken\n";
static const char usage_scale[] =
	"--scale [HOSTS ADDRESSES]                 1,000 hosts and 1,000,000 addresses\n";
static const char usage_exit[] =
	"Exit: 0 all rules were kept; 1 a finding, which is printed with its seed; 2 wrong "
	"arguments.\n";

enum mode { NOTHING, SEEDS, SEED, SMALL, SMALL_CASE, REPLAY, PROVE, SCALE };

struct order {
	enum mode mode;
	uint64_t first, last, step; /* numbers of seeds or small cases; SCALE: hosts, addresses */
	uint64_t broken;	    /* which of the proofs; 0: none */
	const char *family;
	bool trace;
};

static bool is_small(const struct order *o)
{
	return o->mode == SMALL || o->mode == SMALL_CASE;
}

static const char *make(const struct sim_kind *k, const struct order *o, uint64_t number)
{
	const char *name =
		is_small(o) ? k->make_small((unsigned int)number) : k->make(number, o->family);

	k->mutate((unsigned int)o->broken);
	return name;
}

static void print_finding(const struct sim_kind *k, const struct order *o, const char *name,
			  uint64_t number, const struct sim_finding *f)
{
	printf("FOUND %s at %.6f s: %s\n  in %s; replay: %s ", k->rule_name(f->rule),
	       (double)f->at / 1e9, f->what, name, k->command);
	if (is_small(o))
		printf("--small-case %" PRIu64, number);
	else
		printf("--seed %" PRIu64 " --scenario %s", number, name);
	if (o->broken)
		printf(" --break %" PRIu64, o->broken);
	printf(" --trace\n");
	fflush(stdout);
}

static void print_counts(const struct sim_result *r)
{
	printf("%" PRIu64 " events, %" PRIu64 " frames", r->events, r->frames);
	for (unsigned int i = 0; i < SIM_COUNTS_MAX && r->counts[i].of; i++)
		printf(", %" PRIu64 " %s", r->counts[i].count, r->counts[i].of);
}

static int run_many(const struct sim_kind *k, const struct order *o)
{
	struct sim_result r, all = { 0 };
	uint64_t runs = 0, found = 0;

	for (uint64_t n = o->first; n <= o->last; n += o->step) {
		const char *name = make(k, o, n);

		k->run(false, &r);
		runs++;
		all.events += r.events;
		all.frames += r.frames;
		for (unsigned int i = 0; i < SIM_COUNTS_MAX && r.counts[i].of; i++) {
			all.counts[i].of = r.counts[i].of;
			all.counts[i].count += r.counts[i].count;
		}
		if (r.finding.rule) {
			print_finding(k, o, name, n, &r.finding);
			found++;
		}
		if (found == FINDINGS_SHOWN || o->last - n < o->step)
			break;
	}
	printf("%" PRIu64 " runs, %" PRIu64 " findings; ", runs, found);
	print_counts(&all);
	printf("; %.1f s\n", (double)clock() / CLOCKS_PER_SEC);
	return found > 0;
}

static int run_one(const struct sim_kind *k, const struct order *o)
{
	const char *name = make(k, o, o->first);
	struct sim_result r;

	if (o->trace)
		k->print();
	k->run(o->trace, &r);
	print_counts(&r);
	printf(", hash %016" PRIx64 "\n", r.hash);
	if (r.finding.rule)
		print_finding(k, o, name, o->first, &r.finding);
	return r.finding.rule != 0;
}

static int replay(const struct sim_kind *k, const struct order *o)
{
	struct sim_result a, b;

	for (uint64_t n = o->first;; n++) {
		make(k, o, n);
		k->run(false, &a);
		make(k, o, n);
		k->run(false, &b);
		if (a.hash != b.hash || a.events != b.events || a.frames != b.frames) {
			printf("seed %" PRIu64 " has two histories\n", n);
			return 1;
		}
		if (n == o->last)
			break;
	}
	printf("%" PRIu64 " histories, each the same twice\n", o->last - o->first + 1);
	return 0;
}

static int prove(const struct sim_kind *k)
{
	struct order o = { .mode = SEED };
	struct sim_result r;
	int missed = 0;

	for (o.broken = 1; o.broken < k->proof_count; o.broken++) {
		const struct sim_proof *p = &k->proofs[o.broken];
		uint64_t seed = 0;

		for (; seed < PROOF_SEEDS; seed++) {
			make(k, &o, seed);
			k->run(false, &r);
			if (r.finding.rule == p->rule)
				break;
		}
		printf("--break %-2" PRIu64 " %-58s ", o.broken, p->what);
		if (seed < PROOF_SEEDS)
			printf("found by %s, --seed %" PRIu64 ": %s\n", k->rule_name(p->rule), seed,
			       r.finding.what);
		else
			printf("MISSED by %s\n", k->rule_name(p->rule));
		fflush(stdout);
		missed += seed == PROOF_SEEDS;
	}
	return missed > 0;
}

/* --- arguments ------------------------------------------------------------------------------- */

/* One number, or two with `between` between them. */
static bool read_numbers(const char *text, const char *between, uint64_t *first, uint64_t *second)
{
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	*first = strtoull(text, &end, 10);
	if (between && strncmp(end, between, strlen(between)) == 0)
		return read_numbers(end + strlen(between), NULL, second, NULL);
	return !between && *end == '\0';
}

static bool is_family(const struct sim_kind *k, const char *name)
{
	for (unsigned int i = 0; name && k->family(i); i++)
		if (strcmp(k->family(i), name) == 0)
			return true;
	return false;
}

/* The argument that follows, if there is one. */
static const char *take(char ***argv)
{
	return **argv && (**argv)[0] != '-' ? *(*argv)++ : NULL;
}

/* What a mode goes by follows its name. */
static bool read_mode(const struct sim_kind *k, struct order *o, char ***argv)
{
	const char *text = take(argv);

	switch (o->mode) {
	case SEEDS:
	case REPLAY:
		return read_numbers(text, "..", &o->first, &o->last) && o->first <= o->last;
	case SEED:
		return read_numbers(text, NULL, &o->first, NULL);
	case SMALL_CASE:
		return read_numbers(text, NULL, &o->first, NULL) && o->first < k->small_count();
	case SMALL:
		o->last = k->small_count() - 1;
		return !text ||
		       (read_numbers(text, "/", &o->first, &o->step) && o->first < o->step);
	case SCALE:
		o->first = SCALE_HOSTS;
		o->last = SCALE_ADDRESSES;
		return k->scale && (!text || (read_numbers(text, NULL, &o->first, NULL) &&
					      read_numbers(take(argv), NULL, &o->last, NULL) &&
					      o->first <= UINT32_MAX && o->last <= UINT32_MAX));
	case PROVE:
		return !text;
	case NOTHING:
		break;
	}
	return false;
}

static bool read_option(const struct sim_kind *k, struct order *o, char ***argv)
{
	static const char *const modes[] = {
		[NOTHING] = "", /* no mode is told by that */
		[SEEDS] = "--seeds",   [SEED] = "--seed",
		[SMALL] = "--small",   [SMALL_CASE] = "--small-case",
		[REPLAY] = "--replay", [PROVE] = "--prove",
		[SCALE] = "--scale",
	};
	const char *option = *(*argv)++;

	if (strcmp(option, "--trace") == 0)
		return o->trace = true;
	if (strcmp(option, "--scenario") == 0)
		return is_family(k, o->family = take(argv));
	if (strcmp(option, "--break") == 0)
		return read_numbers(take(argv), NULL, &o->broken, NULL) && o->broken > 0 &&
		       o->broken < k->proof_count;
	for (unsigned int i = SEEDS; o->mode == NOTHING && i <= SCALE; i++)
		if (strcmp(option, modes[i]) == 0) {
			o->mode = (enum mode)i;
			return read_mode(k, o, argv);
		}
	return false;
}

static bool read_order(const struct sim_kind *k, struct order *o, char **argv)
{
	*o = (struct order){ .step = 1 };
	while (*argv)
		if (!read_option(k, o, &argv))
			return false;
	if (o->trace && o->mode != SEED && o->mode != SMALL_CASE)
		return false;
	if (o->family && (is_small(o) || o->mode == PROVE || o->mode == SCALE))
		return false;
	return !o->broken || (o->mode != PROVE && o->mode != SCALE);
}

static int explain(const struct sim_kind *k)
{
	fprintf(stderr, "%s, with one of\n%s%sFAMILY is one of", k->command, usage,
		k->scale ? usage_scale : "");
	for (unsigned int i = 0; k->family(i); i++)
		fprintf(stderr, " %s", k->family(i));
	fprintf(stderr, "; --small-case 0 … %u; --break 1 … %u\n%s", k->small_count() - 1,
		k->proof_count - 1, usage_exit);
	return 2;
}

int sim_command(const struct sim_kind *k, int argc, char **argv)
{
	struct order o;

	if (argc < 1 || !read_order(k, &o, argv + 1))
		return explain(k);
	switch (o.mode) {
	case SEEDS:
	case SMALL:
		return run_many(k, &o);
	case SEED:
	case SMALL_CASE:
		return run_one(k, &o);
	case REPLAY:
		return replay(k, &o);
	case PROVE:
		return prove(k);
	case SCALE:
		return k->scale((unsigned int)o.first, (unsigned int)o.last);
	case NOTHING:
		break;
	}
	return explain(k);
}
