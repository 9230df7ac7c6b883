/* etcd-drive ENDPOINT,… [OPTION=VALUE]…: the client of etcd as a process, for the tests of
 * tests/lab/test_etcd.py.  Commands come on the standard input, a line each, words separated by
 * blanks; what it is told leaves on the standard output, a line each:
 *
 *     put ID KEY REVISION VALUE      a transaction of one put ("-" VALUE: delete; "=": compare
 * only) lput ID KEY REVISION VALUE     the same under the lease many ID COUNT PREFIX VALUE     so
 * many transactions that create PREFIX0 …, VALUE-N in each race ID COUNT KEY              COUNT
 * increments of a decimal number by compare-and-swap, one behind the other alloc ID COUNT PREFIX
 * DEPTH SPREAD OPS COUNT keys are created, OPS a transaction, DEPTH in flight read ID KEY |
 * reconcile | facts | close | sleep MS | count
 *
 *     told KEY REVISION VALUE | gone KEY | complete REVISION | reach ok | reach CODE MESSAGE
 *     done ID OUTCOME REVISION MESSAGE
 *
 * quiet=1: nothing is said of what is told, it is only counted. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <malloc.h>

#include "store/etcd.h"

#define WORDS_MAX 8

static const char *const outcomes[] = { "DONE", "LOST", "UNREACHABLE", "REFUSED" };

struct race {
	char key[64], id[32];
	unsigned int left, lost;
	uint64_t revision, number; /* as last told */
	bool busy;
};

static struct etcd *etcd;
static struct race race;
static bool quiet;
static unsigned long told_count, gone_count;

struct many {
	char id[32], prefix[64];
	unsigned int next, count, open, per, outcomes[4];
	struct timespec began;
};
static struct many alloc;

static unsigned int number(const char *text)
{
	return (unsigned int)strtoul(text, NULL, 10);
}

static double seconds(struct timespec a)
{
	struct timespec b;

	clock_gettime(CLOCK_MONOTONIC, &b);
	return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

static void *mem_get(void *ctx, size_t size)
{
	return calloc(1, size);
}

static void mem_end(void *ctx, void *p)
{
	free(p);
}

/* --- told ------------------------------------------------------------------------------------ */

static void race_step(void);

static void told(void *ctx, const struct etcd_kv *kv)
{
	told_count += kv->value != NULL;
	gone_count += kv->value == NULL;
	if (race.id[0] && strcmp(kv->key, race.key) == 0) {
		race.revision = kv->revision;
		race.number = kv->value ? strtoull(kv->value, NULL, 10) : 0;
	}
	if (quiet)
		return;
	if (kv->value)
		printf("told %s %llu %s\n", kv->key, (unsigned long long)kv->revision, kv->value);
	else
		printf("gone %s\n", kv->key);
}

static void complete(void *ctx, uint64_t revision)
{
	printf("complete %llu\n", (unsigned long long)revision);
}

static void reach(void *ctx, const struct error *error)
{
	if (error)
		printf("reach %s %s [%s]\n", error_name(error->code), error->message, error->hint);
	else
		printf("reach ok\n");
}

static void done(void *ctx, enum shared_outcome outcome, uint64_t revision, const struct error *e)
{
	char *id = ctx;

	printf("done %s %s %llu %s%s%s%s\n", id, outcomes[outcome], (unsigned long long)revision,
	       e->message, e->hint[0] ? " [" : "", e->hint, e->hint[0] ? "]" : "");
	free(id);
}

static void read_done(void *ctx, const struct etcd_kv *kv, const struct error *e)
{
	char *id = ctx;

	if (e)
		printf("done %s FAILED 0 %s\n", id, e->message);
	else
		printf("done %s READ %llu %s\n", id, kv ? (unsigned long long)kv->revision : 0,
		       kv ? kv->value : "");
	free(id);
}

/* --- work ------------------------------------------------------------------------------------ */

static void put(char **w, bool leased)
{
	struct etcd_op op = { .act = ETCD_PUT,
			      .leased = leased,
			      .kv = { .key = w[2], .revision = strtoull(w[3], NULL, 10) } };

	if (strcmp(w[4], "-") == 0)
		op.act = ETCD_DELETE;
	else if (strcmp(w[4], "=") == 0)
		op.act = ETCD_COMPARE;
	else
		op.kv.value = w[4], op.kv.len = strlen(w[4]);
	etcd_module.submit(etcd, &op, 1, done, strdup(w[1]));
}

static void many(char **w)
{
	unsigned int count = number(w[2]);

	for (unsigned int i = 0; i < count; i++) {
		char key[128], value[128], id[64];
		struct etcd_op op = { .act = ETCD_PUT, .kv = { .key = key, .value = value } };

		snprintf(key, sizeof(key), "%s%u", w[3], i);
		op.kv.len = (size_t)snprintf(value, sizeof(value), "%s-%u", w[4], i);
		snprintf(id, sizeof(id), "%s.%u", w[1], i);
		etcd_module.submit(etcd, &op, 1, done, strdup(id));
	}
}

static void race_done(void *ctx, enum shared_outcome outcome, uint64_t revision,
		      const struct error *e)
{
	race.busy = false;
	race.left -= outcome == SHARED_DONE;
	race.lost += outcome == SHARED_LOST;
	if (outcome == SHARED_UNREACHABLE || outcome == SHARED_REFUSED) {
		printf("done %s %s 0 %s\n", race.id, outcomes[outcome], e->message);
		race.left = 0;
	}
}

/* Values are unlike every other: whose increment it was stands behind the number. */
static void race_step(void)
{
	char value[64];
	struct etcd_op op = {
		.act = ETCD_PUT,
		.kv = { .key = race.key, .value = value, .revision = race.revision }
	};

	if (!race.id[0] || race.busy)
		return;
	if (race.left == 0) {
		printf("done %s DONE 0 lost=%u\n", race.id, race.lost);
		race.id[0] = '\0';
		return;
	}
	op.kv.len = (size_t)snprintf(value, sizeof(value), "%llu %d",
				     (unsigned long long)race.number + 1, getpid());
	race.busy = true;
	etcd_module.submit(etcd, &op, 1, race_done, NULL);
}

static void alloc_done(void *ctx, enum shared_outcome outcome, uint64_t revision,
		       const struct error *e);

static void alloc_one(void)
{
	char keys[ETCD_OPS_MAX][96], value[32];
	struct etcd_op ops[ETCD_OPS_MAX] = { 0 };

	for (unsigned int i = 0; i < alloc.per; i++) {
		snprintf(keys[i], sizeof(keys[i]), "%s%u", alloc.prefix, alloc.next++);
		ops[i] = (struct etcd_op){ .act = ETCD_PUT,
					   .kv = { .key = keys[i], .value = value } };
		ops[i].kv.len = (size_t)snprintf(value, sizeof(value), "%d", getpid());
	}
	alloc.open++;
	etcd_module.submit(etcd, ops, alloc.per, alloc_done, NULL);
}

static void alloc_done(void *ctx, enum shared_outcome outcome, uint64_t revision,
		       const struct error *e)
{
	alloc.open--;
	alloc.outcomes[outcome]++;
	if (alloc.next < alloc.count)
		alloc_one();
	else if (alloc.open == 0)
		printf("done %s ALLOC 0 done=%u lost=%u unreachable=%u refused=%u seconds=%.4f\n",
		       alloc.id, alloc.outcomes[0], alloc.outcomes[1], alloc.outcomes[2],
		       alloc.outcomes[3], seconds(alloc.began));
}

static void alloc_begin(char **w)
{
	unsigned int depth = number(w[4]);

	alloc = (struct many){ .count = number(w[2]), .per = number(w[5]) };
	snprintf(alloc.id, sizeof(alloc.id), "%s", w[1]);
	snprintf(alloc.prefix, sizeof(alloc.prefix), "%s", w[3]);
	clock_gettime(CLOCK_MONOTONIC, &alloc.began);
	for (unsigned int i = 0; i < depth && alloc.next < alloc.count; i++)
		alloc_one();
}

static void facts(void)
{
	struct etcd_facts f;

	malloc_trim(0);
	etcd_module.facts(etcd, &f);
	printf("facts endpoint=%s reachable=%d revision=%llu keys=%llu txns=%llu lost=%llu "
	       "unreachable=%llu refused=%llu watches=%llu reconnects=%llu reconciles=%llu "
	       "read_ms=%.1f txn_ms=%.1f told=%lu gone=%lu error=%s\n",
	       *f.endpoint ? f.endpoint : "-", f.reachable, (unsigned long long)f.revision,
	       (unsigned long long)f.keys, (unsigned long long)f.txns, (unsigned long long)f.lost,
	       (unsigned long long)f.unreachable, (unsigned long long)f.refused,
	       (unsigned long long)f.watches, (unsigned long long)f.reconnects,
	       (unsigned long long)f.reconciles, (double)f.read_ns_last / 1e6,
	       (double)f.txn_ns_most / 1e6, told_count, gone_count, f.error.message);
}

/* false: the end. */
static bool command(char *line)
{
	char *w[WORDS_MAX] = { 0 }, *next;
	int count = 0;

	for (char *p = strtok_r(line, " \n", &next); p && count < WORDS_MAX;
	     p = strtok_r(NULL, " \n", &next))
		w[count++] = p;
	if (count == 0)
		return true;
	if (strcmp(w[0], "put") == 0 && count == 5)
		put(w, false);
	else if (strcmp(w[0], "lput") == 0 && count == 5)
		put(w, true);
	else if (strcmp(w[0], "many") == 0 && count == 5)
		many(w);
	else if (strcmp(w[0], "alloc") == 0 && count == 6)
		alloc_begin(w);
	else if (strcmp(w[0], "read") == 0 && count == 3)
		etcd_module.read(etcd, w[2], read_done, strdup(w[1]));
	else if (strcmp(w[0], "reconcile") == 0)
		etcd_module.reconcile(etcd);
	else if (strcmp(w[0], "facts") == 0)
		facts();
	else if (strcmp(w[0], "sleep") == 0 && count == 2)
		usleep(number(w[1]) * 1000);
	else if (strcmp(w[0], "close") == 0)
		return false;
	else if (strcmp(w[0], "race") == 0 && count == 4) {
		snprintf(race.id, sizeof(race.id), "%s", w[1]);
		race.left = number(w[2]);
		snprintf(race.key, sizeof(race.key), "%s", w[3]);
	} else
		printf("what? %s\n", w[0]);
	return true;
}

static void option(struct etcd_config *c, char *text)
{
	char *value = strchr(text, '=');
	const struct {
		const char *name;
		const char **at;
	} texts[] = { { "prefix", &c->prefix }, { "ca", &c->ca },
		      { "cert", &c->cert },	{ "key", &c->key },
		      { "user", &c->user },	{ "password", &c->password_file } };

	if (!value)
		return;
	*value++ = '\0';
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(text, texts[i].name) == 0)
			*texts[i].at = value;
	if (strcmp(text, "timeout") == 0)
		c->timeout = SPAN_MS(number(value));
	else if (strcmp(text, "lease") == 0)
		c->lease = SPAN_MS(number(value));
	else if (strcmp(text, "reconcile") == 0)
		c->reconcile = SPAN_MS(number(value));
	else if (strcmp(text, "mode") == 0)
		c->mode = (enum etcd_mode)number(value);
	else if (strcmp(text, "quiet") == 0)
		quiet = number(value) != 0;
}

int main(int argc, char **argv)
{
	static const struct mem mem = { mem_get, mem_end, NULL };
	const char *endpoints[SHARED_ENDPOINTS_MAX + 1];
	struct etcd_config c = { .endpoints = endpoints,
				 .prefix = "/vmac-t/",
				 .timeout = SPAN_S(2),
				 .reconcile = SPAN_S(300),
				 .lease = SPAN_S(10),
				 .mem = &mem,
				 .told = told,
				 .complete = complete,
				 .reach = reach };
	static char line[65536];
	struct timespec began;
	struct error error;
	bool more = true;
	char *next;
	size_t have = 0;

	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	for (char *p = argc > 1 ? strtok_r(argv[1], ",", &next) : NULL; p && c.endpoint_count < 17;
	     p = strtok_r(NULL, ",", &next))
		endpoints[c.endpoint_count++] = p;
	for (int i = 2; i < argc; i++)
		option(&c, argv[i]);
	if (etcd_module.open(&c, &etcd, &error) < 0) {
		printf("failed %s %s [%s]\n", error_name(error.code), error.message, error.hint);
		return 1;
	}
	while (more) {
		struct pollfd p[2] = { { etcd_module.fd(etcd), POLLIN, 0 }, { 0, POLLIN, 0 } };
		char *end;
		ssize_t n;

		fflush(stdout);
		poll(p, 2, -1);
		if (p[0].revents)
			etcd_module.dispatch(etcd);
		if (p[1].revents) {
			n = read(0, line + have, sizeof(line) - have - 1);
			if (n <= 0)
				break;
			have += (size_t)n;
			line[have] = '\0';
			while (more && (end = strchr(line, '\n'))) {
				*end = '\0';
				more = command(line);
				have -= (size_t)(end + 1 - line);
				memmove(line, end + 1, have + 1);
			}
		}
		race_step();
	}
	clock_gettime(CLOCK_MONOTONIC, &began);
	etcd_module.close(etcd);
	printf("closed %.3f\n", seconds(began));
	return 0;
}
