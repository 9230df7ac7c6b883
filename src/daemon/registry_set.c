#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/registry_tool.h"

#define LINK_WAIT_MS 15000 /* for the registry to answer at all */

static void *tool_alloc(void *ctx, size_t size)
{
	return calloc(1, size);
}

static void tool_free(void *ctx, void *p)
{
	free(p);
}

const struct mem tool_mem = { tool_alloc, tool_free, NULL };

/* --- sets ------------------------------------------------------------------------------------ */

void record_set_init(struct record_set *s)
{
	*s = (struct record_set){ 0 };
	table_init(&s->by_key, &tool_mem);
}

int record_set_add(struct record_set *s, const struct shared_record *r)
{
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 256;
		struct shared_record **list =
			reallocarray(s->list, room, sizeof(struct shared_record *));

		if (!list)
			return -ENOMEM;
		s->list = list;
		s->room = room;
	}
	s->list[s->count] = shared_copy(&tool_mem, r);
	if (!s->list[s->count])
		return -ENOMEM;
	s->count++;
	if (r->revision > s->revision)
		s->revision = r->revision;
	return 0;
}

void record_set_done(struct record_set *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->list[i]);
	free(s->list);
	table_done(&s->by_key);
	record_set_init(s);
}

char *record_key(const struct shared_record *r, char buf[static RECORD_KEY_MAX])
{
	struct error ignored;
	char *key = NULL;

	if (shared_encode(&tool_mem, r, &key, NULL, &ignored) < 0)
		snprintf(buf, RECORD_KEY_MAX, "%s", shared_kind_name(r->kind));
	else
		snprintf(buf, RECORD_KEY_MAX, "%s", key);
	free(key);
	return buf;
}

static int compare(const void *a, const void *b)
{
	const struct shared_record *r = *(struct shared_record *const *)a;
	const struct shared_record *q = *(struct shared_record *const *)b;
	char one[RECORD_KEY_MAX], two[RECORD_KEY_MAX];

	if (r->kind != q->kind)
		return r->kind < q->kind ? -1 : 1;
	return strcmp(record_key(r, one), record_key(q, two));
}

int record_set_sort(struct record_set *s)
{
	int r;

	if (s->count > 0)
		qsort(s->list, s->count, sizeof(struct shared_record *), compare);
	table_done(&s->by_key);
	table_init(&s->by_key, &tool_mem);
	r = table_reserve(&s->by_key, s->count);
	for (size_t i = 0; i < s->count && r == 0; i++)
		r = table_add(&s->by_key, shared_key_hash(s->list[i]), s->list[i]);
	return r;
}

static bool has_key(const void *item, const void *key)
{
	return shared_same_key(item, key);
}

const struct shared_record *record_set_get(const struct record_set *s,
					   const struct shared_record *key)
{
	return table_get(&s->by_key, shared_key_hash(key), key, has_key);
}

const struct shared_host *record_set_host(const struct record_set *s, const struct uuid *uuid)
{
	struct shared_record key = { .kind = SHARED_HOST, .host.uuid = *uuid };
	const struct shared_record *r = record_set_get(s, &key);

	return r ? &r->host : NULL;
}

const struct shared_pool *record_set_pool(const struct record_set *s, const char *name)
{
	struct shared_record key = { .kind = SHARED_POOL };
	const struct shared_record *r;

	snprintf(key.pool.pool.name, sizeof(key.pool.pool.name), "%s", name);
	r = record_set_get(s, &key);
	return r ? &r->pool : NULL;
}

const struct shared_block *record_set_block(const struct record_set *s, const char *pool,
					    uint64_t number)
{
	struct shared_record key = { .kind = SHARED_BLOCK, .block.number = number };
	const struct shared_record *r;

	snprintf(key.block.pool, sizeof(key.block.pool), "%s", pool);
	r = record_set_get(s, &key);
	return r ? &r->block : NULL;
}

static int keep(void *ctx, const struct shared_record *r)
{
	return record_set_add(ctx, r);
}

int record_set_dump(const struct shared_config *config, struct record_set *ret,
		    struct error *ret_error)
{
	int r;

	record_set_init(ret);
	*ret_error = (struct error){ 0 };
	r = shared_dump(config, keep, ret, ret_error);
	if (r == 0)
		r = record_set_sort(ret);
	if (r == -ENOMEM && ret_error->code == ERROR_NONE)
		error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for the shared registry");
	if (r < 0)
		record_set_done(ret);
	return r;
}

int record_set_is_whole(const struct record_set *s, struct error *ret_error)
{
	static const struct shared_record key = { .kind = SHARED_META };
	const struct shared_record *meta = record_set_get(s, &key);

	if (!meta || !meta->meta.importing)
		return 0;
	return error_set(ret_error, ERROR_IN_USE,
			 "import the same file again, or empty what is below the prefix",
			 "an import into the shared registry was begun, and has not ended");
}

/* --- numbers of a pool ----------------------------------------------------------------------- */

int registry_number(const struct pool_machine *m, vmac_mac_t address, uint64_t *ret)
{
	uint64_t index = pool_space_index(&m->usable, address);

	if (index == POOL_SPACE_NONE)
		return -ERANGE;
	*ret = permutation_inverse(&m->perm, index);
	return 0;
}

uint32_t registry_block_size(const struct pool *p)
{
	uint64_t size = pool_space_measure(p, POOL_SPACE_USABLE) / 64;
	uint32_t block = 1;

	while (block < BLOCK_SIZE_MAX && 2 * (uint64_t)block <= size)
		block *= 2;
	return block;
}

/* --- one transaction after the other --------------------------------------------------------- */

struct registry_link {
	struct shared *s;
	bool complete, answered;
	enum shared_outcome outcome;
	uint64_t revision;
	struct error error;
};

static void link_told(void *ctx, const struct shared_record *r)
{
}

static void link_complete(void *ctx, uint64_t revision)
{
	((struct registry_link *)ctx)->complete = true;
}

static void link_reach(void *ctx, const struct error *error)
{
	if (error)
		((struct registry_link *)ctx)->error = *error;
}

static void link_done(void *ctx, enum shared_outcome outcome, uint64_t revision,
		      const struct error *error)
{
	struct registry_link *l = ctx;

	l->answered = true;
	l->outcome = outcome;
	l->revision = revision;
	if (error)
		l->error = *error;
}

/* Until *flag; gives up when nothing has happened for LINK_WAIT_MS. */
static int link_wait(struct registry_link *l, const bool *flag, struct error *ret_error)
{
	struct pollfd p = { .fd = shared_fd(l->s), .events = POLLIN };

	shared_dispatch(l->s);
	while (!*flag) {
		if (poll(&p, 1, LINK_WAIT_MS) == 1) {
			shared_dispatch(l->s);
			continue;
		}
		if (l->error.code != ERROR_NONE)
			*ret_error = l->error;
		else
			error_set(ret_error, ERROR_REGISTRY_UNREACHABLE, NULL,
				  "the shared registry does not answer");
		return -error_errno(ret_error->code);
	}
	return 0;
}

int registry_link_open(const struct shared_config *config, struct registry_link **ret,
		       struct error *ret_error)
{
	struct registry_link *l = calloc(1, sizeof(*l));
	struct shared_config own = *config;
	int r;

	if (!l)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	own.mem = &tool_mem;
	own.told = link_told;
	own.complete = link_complete;
	own.reach = link_reach;
	own.ctx = l;
	r = shared_open(&own, &l->s, ret_error);
	if (r == 0)
		r = link_wait(l, &l->complete, ret_error);
	if (r < 0) {
		registry_link_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

int registry_link_do(struct registry_link *l, const struct shared_put *puts, unsigned int count,
		     uint64_t *ret_revision, struct error *ret_error)
{
	char key[RECORD_KEY_MAX];
	int r;

	l->answered = false;
	l->error = (struct error){ 0 };
	shared_submit(l->s, puts, count, link_done, l);
	r = link_wait(l, &l->answered, ret_error);
	if (r < 0)
		return r;
	if (l->outcome == SHARED_LOST)
		return error_set(ret_error, ERROR_CONFLICT, "try again",
				 "somebody changed %.200s (or what goes with it) meanwhile",
				 record_key(puts[0].record, key));
	if (l->outcome != SHARED_DONE) {
		*ret_error = l->error;
		return -error_errno(ret_error->code);
	}
	if (ret_revision)
		*ret_revision = l->revision;
	return 0;
}

void registry_link_close(struct registry_link *l)
{
	if (!l)
		return;
	shared_close(l->s);
	free(l);
}
