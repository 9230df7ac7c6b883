#include "fixture.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <dirent.h>

/* A machine that needs longer for one commit is broken. */
#define WAIT_MS 60000

/* --- directories ----------------------------------------------------------------------------- */

char *fixture_directory(char buf[static FIXTURE_PATH_MAX])
{
	const char *base = getenv("TMPDIR");

	snprintf(buf, FIXTURE_PATH_MAX, "%s/vmac-store-XXXXXX", base ? base : "/tmp");
	assert_non_null(mkdtemp(buf));
	return buf;
}

char *fixture_path(const char *directory, const char *name, char buf[static FIXTURE_PATH_MAX])
{
	snprintf(buf, FIXTURE_PATH_MAX, "%s/%s", directory, name);
	return buf;
}

void fixture_remove(const char *directory)
{
	DIR *d = opendir(directory);
	char path[FIXTURE_PATH_MAX];
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlink(fixture_path(directory, e->d_name, path));
	if (d)
		closedir(d);
	rmdir(directory);
}

/* --- memory ---------------------------------------------------------------------------------- */

static atomic_long blocks;

static void *count_alloc(void *ctx, size_t size)
{
	atomic_fetch_add(&blocks, 1);
	return calloc(1, size);
}

static void count_free(void *ctx, void *p)
{
	if (p)
		atomic_fetch_sub(&blocks, 1);
	free(p);
}

const struct mem fixture_mem = { count_alloc, count_free, NULL };

long fixture_blocks(void)
{
	return atomic_load(&blocks);
}

/* --- stores ---------------------------------------------------------------------------------- */

int fixture_try(const char *backend, const char *directory, struct store **ret,
		struct error *ret_error)
{
	struct store_config config = {
		.backend = backend,
		.directory = directory,
		.mem = &fixture_mem,
	};

	*ret_error = (struct error){ 0 };
	return store_open(&config, ret, ret_error);
}

struct store *fixture_open(const char *backend, const char *directory)
{
	struct store *s = NULL;
	struct error error;

	if (fixture_try(backend, directory, &s, &error) < 0)
		fail_msg("open: %s (%s)", error.message, error.hint);
	return s;
}

void fixture_wait(struct store *s)
{
	struct pollfd p = { .fd = store_fd(s), .events = POLLIN };

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
}

void fixture_settle(struct store *s)
{
	while (store_pending(s) > 0) {
		fixture_wait(s);
		store_dispatch(s);
	}
}

/* --- records --------------------------------------------------------------------------------- */

struct vmac *fixture_vmac_copy(const struct vmac *v)
{
	return vmac_block_fill(calloc(1, vmac_block_size(v)), v);
}

struct vmac *fixture_vmac(uint32_t segment, uint64_t address, const char *name, const char *owner)
{
	struct vmac v = {
		.address = vmac_mac_from_u64(address),
		.segment = segment,
		.pool = 1,
		.created.ms = 1790000000000,
		.changed.ms = 1790000000000,
		.until = WALL_NEVER,
		.name = name,
		.owner = owner,
		.tenant = "",
		.note = "",
	};

	return fixture_vmac_copy(&v);
}

struct segment *fixture_segment(uint32_t id, const char *name)
{
	struct segment *s = calloc(1, sizeof(*s));

	s->id = id;
	s->created.ms = 1790000000000;
	snprintf(s->name, sizeof(s->name), "%s", name);
	return s;
}

/* --- transactions ---------------------------------------------------------------------------- */

unsigned int fixture_turns;

static void deed_done(struct store_txn *txn, const struct error *error)
{
	struct deed *d = (struct deed *)txn;

	assert_false(d->answered);
	d->answered = true;
	d->turn = ++fixture_turns;
	if (error)
		d->error = *error;
	if (d->after)
		d->after(d);
}

struct deed *deed_new(void)
{
	struct deed *d = calloc(1, sizeof(*d));

	d->txn.actor = "uid 0";
	d->txn.at.ms = 1790000000000;
	d->txn.done = deed_done;
	return d;
}

void deed_add(struct deed *d, enum change_kind kind, const void *before, const void *after,
	      const char *verb)
{
	if (d->txn.count == d->capacity) {
		d->capacity = d->capacity ? 2 * d->capacity : 4;
		d->changes = reallocarray(d->changes, d->capacity, sizeof(*d->changes));
	}
	d->changes[d->txn.count++] = (struct change){
		.kind = kind,
		.before = before,
		.after = after,
		.verb = verb,
		.reason = "a test",
	};
	d->txn.changes = d->changes;
}

void deed_free(struct deed *d)
{
	free(d->changes);
	free(d);
}

struct deed *deed_making(struct vmac *v)
{
	struct deed *d = deed_new();

	deed_add(d, CHANGE_VMAC, NULL, v, "allocate");
	return d;
}

void deed_do(struct store *s, struct deed *d)
{
	store_submit(s, &d->txn);
	fixture_settle(s);
	assert_true(d->answered);
	if (d->error.code != ERROR_NONE)
		fail_msg("%s", d->error.message);
	deed_free(d);
}

/* --- load ------------------------------------------------------------------------------------ */

static int take_segment(void *ctx, const struct segment *s)
{
	struct loaded *l = ctx;

	assert_true(l->segment_count < 16 && l->pool_count == 0);
	l->segments[l->segment_count++] = *s;
	return 0;
}

static int take_pool(void *ctx, const struct pool *p)
{
	struct loaded *l = ctx;

	assert_true(l->pool_count < 16 && l->port_count == 0);
	l->pools[l->pool_count++] = *p;
	return 0;
}

static int take_port(void *ctx, const struct port *p)
{
	struct loaded *l = ctx;

	assert_true(l->port_count < 16 && !l->vmacs);
	l->ports[l->port_count++] = *p;
	return 0;
}

static int take_router(void *ctx, const struct router *r)
{
	struct loaded *l = ctx;

	assert_true(l->router_count < LOADED_ROUTERS_MAX && !l->vmacs);
	l->routers[l->router_count++] = router_block_fill(malloc(router_block_size(r)), r);
	return 0;
}

static int take_cluster(void *ctx, const struct cluster *c)
{
	struct loaded *l = ctx;

	assert_true(l->cluster_count < CLUSTERS_MAX && !l->vmacs && !l->shared);
	l->clusters[l->cluster_count++] = cluster_block_fill(malloc(cluster_block_size(c)), c);
	return 0;
}

static int take_shared(void *ctx, const struct shared_record *kept)
{
	struct loaded *l = ctx;

	assert_null(l->vmacs);
	l->shared = reallocarray(l->shared, l->shared_count + 1, sizeof(struct shared_record *));
	l->shared[l->shared_count++] = shared_copy(&fixture_mem, kept);
	return 0;
}

static int take_expect(void *ctx, uint64_t count)
{
	struct loaded *l = ctx;

	l->expected = count;
	l->vmacs = calloc(count + 1, sizeof(struct vmac *));
	l->vmac_capacity = count;
	return 0;
}

static int take_vmac(void *ctx, struct vmac *owned)
{
	struct loaded *l = ctx;

	assert_true(l->vmac_count < l->vmac_capacity);
	if (l->vmac_count > 0)
		assert_true(l->vmacs[l->vmac_count - 1]->row < owned->row);
	l->vmacs[l->vmac_count++] = owned;
	return 0;
}

int loaded_try(struct store *s, struct loaded *ret, struct error *ret_error)
{
	struct store_visitor visitor = {
		.segment = take_segment,
		.pool = take_pool,
		.port = take_port,
		.router = take_router,
		.cluster = take_cluster,
		.shared = take_shared,
		.expect_vmacs = take_expect,
		.vmac = take_vmac,
		.ctx = ret,
	};
	int r;

	*ret = (struct loaded){ 0 };
	*ret_error = (struct error){ 0 };
	r = store_load(s, &visitor, ret_error);
	if (r == 0)
		assert_int_equal(ret->expected, ret->vmac_count);
	return r;
}

void loaded_done(struct loaded *l)
{
	for (size_t i = 0; i < l->vmac_count; i++)
		mem_free(&fixture_mem, l->vmacs[i]);
	for (size_t i = 0; i < l->router_count; i++)
		free(l->routers[i]);
	for (size_t i = 0; i < l->cluster_count; i++)
		free(l->clusters[i]);
	for (size_t i = 0; i < l->shared_count; i++)
		mem_free(&fixture_mem, l->shared[i]);
	free(l->shared);
	free(l->vmacs);
	*l = (struct loaded){ 0 };
}
