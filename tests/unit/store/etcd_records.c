/* etcd-records ENDPOINT: the shared registry (store/shared.h) on a real etcd, through the module as
 * vmacd loads it.  For tests/lab/test_etcd.py; ends with 0 where all is as it should be, and says
 * else what is not. */
#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/cluster.h"
#include "store/shared.h"

#define SEEN_MAX 32

struct world {
	struct shared *shared;
	struct shared_record *seen[SEEN_MAX];
	size_t count;
	bool complete, reached, answered;
	enum shared_outcome outcome;
	uint64_t revision;
	struct error error;
	struct shared_record *read;
};

static void *mem_get(void *ctx, size_t size)
{
	return calloc(1, size);
}

static void mem_end(void *ctx, void *p)
{
	free(p);
}

static const struct mem mem = { mem_get, mem_end, NULL };

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("line %d: not so: %s\n", __LINE__, #condition);                     \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* --- callbacks ------------------------------------------------------------------------------- */

static void world_tell(struct world *w, const struct shared_record *r)
{
	size_t i = 0;

	while (i < w->count && !shared_same_key(w->seen[i], r))
		i++;
	if (i < w->count) {
		free(w->seen[i]);
		w->seen[i] = w->seen[--w->count];
	}
	if (r->revision == 0)
		return;
	CHECK(w->count < SEEN_MAX);
	w->seen[w->count++] = shared_copy(&mem, r);
}

static void told(void *ctx, const struct shared_record *r)
{
	world_tell(ctx, r);
}

static void complete(void *ctx, uint64_t revision)
{
	((struct world *)ctx)->complete = true;
}

static void reach(void *ctx, const struct error *error)
{
	((struct world *)ctx)->reached = !error;
}

static void done(void *ctx, enum shared_outcome outcome, uint64_t revision, const struct error *e)
{
	struct world *w = ctx;

	w->answered = true;
	w->outcome = outcome;
	w->revision = revision;
	w->error = *e;
}

static void read_done(void *ctx, const struct shared_record *r, const struct error *error)
{
	struct world *w = ctx;

	w->answered = true;
	w->error = error ? *error : (struct error){ 0 };
	w->read = r ? shared_copy(&mem, r) : NULL;
}

static void wait_for(struct world *w, const bool *what)
{
	for (int i = 0; !*what; i++) {
		struct pollfd p = { shared_fd(w->shared), POLLIN, 0 };

		CHECK(i < 1000);
		poll(&p, 1, 10);
		shared_dispatch(w->shared);
	}
}

static enum shared_outcome submit(struct world *w, const struct shared_put *puts, unsigned int n)
{
	w->answered = false;
	shared_submit(w->shared, puts, n, done, w);
	CHECK(!w->answered); /* never from inside */
	wait_for(w, &w->answered);
	return w->outcome;
}

static struct shared_record *find(const struct world *w, const struct shared_record *key)
{
	for (size_t i = 0; i < w->count; i++)
		if (shared_same_key(w->seen[i], key))
			return w->seen[i];
	return NULL;
}

static struct shared_config config_of(const char *endpoint, struct world *w)
{
	return (struct shared_config){ .backend = "etcd",
				       .endpoint_count = 1,
				       .endpoints = { endpoint },
				       .mem = &mem,
				       .told = told,
				       .complete = complete,
				       .reach = reach,
				       .ctx = w };
}

static void begin(struct world *w, const char *endpoint)
{
	struct shared_config c = config_of(endpoint, w);
	struct error error;

	if (shared_open(&c, &w->shared, &error) < 0) {
		printf("%s [%s]\n", error.message, error.hint);
		exit(1);
	}
	wait_for(w, &w->complete);
	CHECK(w->reached);
}

/* --- records --------------------------------------------------------------------------------- */

static const struct uuid here = { { 1, 2, 3 } };

static const vmac_mac_t face = { { 10, 0, 0, 0, 0, 1 } };
static const struct ip address = { 4, { 10, 0, 0, 100 } };
static const struct cluster web = { .name = "web",
				    .face_count = 1,
				    .faces = &face,
				    .address_count = 1,
				    .addresses = &address,
				    .check_interval_ms = 2000,
				    .check_timeout_ms = 1000,
				    .rise = 1,
				    .fall = 1,
				    .check_target = "",
				    .note = "",
				    .generation = 1 };

static struct shared_record records[] = {
	{ .kind = SHARED_META, .meta = { SHARED_FORMAT, { { 7, 7 } } } },
	{ .kind = SHARED_HOST,
	  .host = { .uuid = { { 1, 2, 3 } },
		    .number = 1,
		    .name = "kvm1",
		    .version = "1",
		    .incarnation = 1 } },
	{ .kind = SHARED_SEGMENT, .segment = { "lan", 0, 1 } },
	{ .kind = SHARED_BLOCK, .block = { "p", 77, { { 1, 2, 3 } }, { { 9 } } } },
	{ .kind = SHARED_CLUSTER, .cluster = { &web, "lan" } },
	{ .kind = SHARED_ALIVE, .alive = { { { 1, 2, 3 } }, 1 } },
};

#define RECORDS (sizeof(records) / sizeof(records[0]))
#define LASTING (RECORDS - 1)

static void test_records(struct world *a, struct world *b, const char *endpoint)
{
	struct shared_put puts[RECORDS];
	struct shared_facts facts;

	for (size_t i = 0; i < RECORDS; i++)
		puts[i] = (struct shared_put){ .record = &records[i] };
	CHECK(submit(a, puts, RECORDS) == SHARED_DONE);
	CHECK(a->count == RECORDS); /* told before done */
	for (int i = 0; b->count < RECORDS; i++) {
		struct pollfd p = { shared_fd(b->shared), POLLIN, 0 };

		CHECK(i < 1000);
		poll(&p, 1, 10);
		shared_dispatch(b->shared);
	}
	for (size_t i = 0; i < RECORDS; i++) {
		const struct shared_record *r = find(b, &records[i]);

		CHECK(r && r->revision == a->revision && shared_equal(r, &records[i]));
	}
	CHECK(submit(b, puts, RECORDS) == SHARED_LOST);
	shared_facts(b->shared, &facts);
	CHECK(facts.reachable && facts.lost == 1 && facts.records == RECORDS);
	CHECK(strcmp(facts.endpoint, endpoint) == 0);
	CHECK(uuid_equal(&facts.cluster, &records[0].meta.cluster));
	/* A deletion, and a compare beside it. */
	records[3].revision = a->revision;
	records[2].revision = a->revision;
	struct shared_put two[] = { { .record = &records[3], .gone = true },
				    { .record = &records[2], .compare_only = true } };
	CHECK(submit(b, two, 2) == SHARED_DONE);
	CHECK(!find(b, &records[3]) && find(b, &records[2]));
	records[3].revision = records[2].revision = 0;
	CHECK(submit(b, &puts[3], 1) == SHARED_DONE);
}

static void test_images(struct world *w)
{
	struct shared_record image = {
		.kind = SHARED_IMAGE,
		.image = { .pool = "p", .segment = "lan", .number = 77, .host = here }
	};
	struct shared_record other = { .kind = SHARED_IMAGE,
				       .image = { .pool = "p", .number = 78 } };
	size_t before = w->count;

	CHECK(submit(w, &(struct shared_put){ .record = &image }, 1) == SHARED_DONE);
	CHECK(w->count == before); /* nobody is told */
	w->answered = false;
	shared_read(w->shared, &image, read_done, w);
	wait_for(w, &w->answered);
	CHECK(w->read && w->read->revision == w->revision && shared_equal(w->read, &image));
	free(w->read);
	w->answered = false;
	shared_read(w->shared, &other, read_done, w);
	wait_for(w, &w->answered);
	CHECK(!w->read && w->error.code == ERROR_NONE);
	/* What cannot be written is refused, and not from inside. */
	struct shared_record bad = { .kind = SHARED_SEGMENT, .segment = { "no/name", 0, 1 } };
	CHECK(submit(w, &(struct shared_put){ .record = &bad }, 1) == SHARED_REFUSED);
	CHECK(w->error.message[0]);
	w->answered = false;
	shared_read(w->shared, &bad, read_done, w);
	CHECK(!w->answered);
	wait_for(w, &w->answered);
	CHECK(w->error.code != ERROR_NONE);
}

/* --- the whole of it -------------------------------------------------------------------------- */

static int dump_one(void *ctx, const struct shared_record *r)
{
	world_tell(ctx, r);
	return 0;
}

static size_t next_index;

static int next_record(void *ctx, struct shared_record *ret)
{
	struct world *w = ctx;

	if (next_index == w->count)
		return 0;
	*ret = *w->seen[next_index++];
	return 1;
}

static void test_whole(const char *endpoint, const char *prefix)
{
	struct shared_config c = config_of(endpoint, NULL);
	struct world there = { 0 }, copy = { 0 };
	struct error error;

	CHECK(shared_dump(&c, dump_one, &there, &error) == 0);
	CHECK(there.count == RECORDS + 1); /* and the image */
	c.prefix = prefix;
	CHECK(shared_restore(&c, false, next_record, &there, &error) == 0);
	CHECK(shared_dump(&c, dump_one, &copy, &error) == 0);
	CHECK(copy.count == LASTING + 1); /* nobody lives by being copied */
	for (size_t i = 0; i < copy.count; i++)
		CHECK(find(&there, copy.seen[i]) &&
		      shared_equal(find(&there, copy.seen[i]), copy.seen[i]));
	next_index = 0;
	CHECK(shared_restore(&c, false, next_record, &there, &error) < 0);
	CHECK(error.code == ERROR_IN_USE && strstr(error.message, "has "));
	next_index = 0;
	CHECK(shared_restore(&c, true, next_record, &there, &error) == 0);
	c.endpoints[0] = "http://127.0.0.1:9";
	c.timeout = SPAN_MS(100);
	CHECK(shared_dump(&c, dump_one, &copy, &error) < 0);
	CHECK(error.code == ERROR_REGISTRY_UNREACHABLE && strstr(error.message, "127.0.0.1:9"));
	for (size_t i = 0; i < there.count; i++)
		free(there.seen[i]);
	for (size_t i = 0; i < copy.count; i++)
		free(copy.seen[i]);
}

int main(int argc, char **argv)
{
	struct world a = { 0 }, b = { 0 };

	if (argc != 2)
		return 2;
	begin(&a, argv[1]);
	begin(&b, argv[1]);
	test_records(&a, &b, argv[1]);
	test_images(&b);
	test_whole(argv[1], "/copy/");
	/* The end of a host takes its ALIVE record along. */
	shared_close(a.shared);
	for (int i = 0; find(&b, &records[RECORDS - 1]); i++) {
		struct pollfd p = { shared_fd(b.shared), POLLIN, 0 };

		CHECK(i < 100);
		poll(&p, 1, 10);
		shared_dispatch(b.shared);
	}
	shared_close(b.shared);
	for (size_t i = 0; i < a.count; i++)
		free(a.seen[i]);
	for (size_t i = 0; i < b.count; i++)
		free(b.seen[i]);
	printf("all is as it should be\n");
	return 0;
}
