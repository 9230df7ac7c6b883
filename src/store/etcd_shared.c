/* The shared registry in etcd: records become keys and values here.
 *
 * Key: PREFIX "r/" KEY, or for images PREFIX "i/" KEY, where KEY and the value are
 * shared_encode()'s.
 *
 * The client itself (etcd.h) is a module that is loaded when somebody asks for etcd: to link
 * libcurl would cost every vmacd 27 libraries and some MiB, whether it shares a registry or not. */
#include "store/etcd_shared.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"

struct etcd_shared {
	struct shared base;
	const struct etcd_module *module;
	struct etcd *etcd;
	struct shared_config config; /* its texts are not kept */
	struct uuid cluster;
};

/* A transaction or a read under way. */
struct call {
	struct etcd_shared *s;
	shared_done_fn done;
	shared_read_fn read;
	void *ctx;
};

/* --- the module ------------------------------------------------------------------------------ */

/* It belongs to us as the daemon itself does, so who may write it is not looked at. */
static const char *module_file(void)
{
	const char *given =
		secure_getenv("VMAC_ETCD_MODULE"); /* of a build that is not installed */

	return given ? given : VMAC_MODULEDIR "/libvmac_etcd.so";
}

/* Never unloaded: a name that libcurl is looking up may outlast its registry. */
int etcd_module_get(const struct etcd_module **ret, struct error *ret_error)
{
	static const struct etcd_module *module;
	void *handle;

	if (!module) {
		handle = dlopen(module_file(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
		module = handle ? dlsym(handle, "etcd_module") : NULL;
		if (!module)
			return error_set(ret_error, ERROR_REGISTRY_FAILED,
					 "is vmac installed whole, with libcurl?",
					 "the client of etcd cannot be loaded: %.200s", dlerror());
	}
	if (module->version != ETCD_MODULE_VERSION)
		return error_set(ret_error, ERROR_REGISTRY_FAILED, "install vmac anew",
				 "%s is of another version", module_file());
	*ret = module;
	return 0;
}

/* --- records and keys ------------------------------------------------------------------------ */

struct etcd_config etcd_config_of(const struct shared_config *c, enum etcd_mode mode)
{
	return (struct etcd_config){ .mode = mode,
				     .endpoint_count = c->endpoint_count,
				     .endpoints = c->endpoints,
				     .prefix = c->prefix,
				     .ca = c->ca,
				     .cert = c->cert,
				     .key = c->key,
				     .user = c->user,
				     .password_file = c->password_file,
				     .timeout = c->timeout,
				     .reconcile = c->reconcile,
				     .lease = c->lease,
				     .mem = c->mem };
}

int etcd_encode(const struct mem *mem, const struct shared_record *r, char **ret_key,
		char **ret_value, struct error *ret_error)
{
	const char *part = r->kind == SHARED_IMAGE ? ETCD_IMAGES : ETCD_WATCHED;
	char *key, *value = NULL, *whole;
	int result = shared_encode(mem, r, &key, ret_value ? &value : NULL, ret_error);
	size_t size;

	if (result < 0)
		return result;
	size = strlen(part) + strlen(key) + 1;
	whole = mem_alloc(mem, size);
	if (whole)
		snprintf(whole, size, "%s%s", part, key);
	mem_free(mem, key);
	if (!whole) {
		mem_free(mem, value);
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for a record");
	}
	*ret_key = whole;
	if (ret_value)
		*ret_value = value;
	return 0;
}

int etcd_decode(const struct mem *mem, const struct etcd_kv *kv, struct shared_record **ret,
		struct error *ret_error)
{
	size_t skip = strlen(ETCD_WATCHED);

	if (strncmp(kv->key, ETCD_WATCHED, skip) != 0 && strncmp(kv->key, ETCD_IMAGES, skip) != 0)
		return error_set(ret_error, ERROR_NOT_FOUND, NULL, "%s is no key of vmac's",
				 kv->key);
	return shared_decode(mem, kv->key + skip, kv->value, kv->len, kv->revision, ret, ret_error);
}

/* --- told ------------------------------------------------------------------------------------ */

/* What cannot be read is of a newer vmac, or was written by hand: it is passed over, and said. */
static struct shared_record *record_of(struct etcd_shared *s, const struct etcd_kv *kv)
{
	struct shared_record *r;
	struct error error;

	if (etcd_decode(s->config.mem, kv, &r, &error) == 0)
		return r;
	if (error.code != ERROR_NOT_FOUND)
		log_warning("shared registry: %s", error.message);
	return NULL;
}

static void hear_told(void *ctx, const struct etcd_kv *kv)
{
	struct etcd_shared *s = ctx;
	struct shared_record *r = record_of(s, kv);

	if (!r)
		return;
	if (r->kind == SHARED_META && r->revision)
		s->cluster = r->meta.cluster;
	s->config.told(s->config.ctx, r);
	mem_free(s->config.mem, r);
}

static void hear_complete(void *ctx, uint64_t revision)
{
	struct etcd_shared *s = ctx;

	s->config.complete(s->config.ctx, revision);
}

static void hear_reach(void *ctx, const struct error *error)
{
	struct etcd_shared *s = ctx;

	s->config.reach(s->config.ctx, error);
}

/* --- open and close -------------------------------------------------------------------------- */

static struct etcd_shared *shared_of(struct shared *s)
{
	assert(s->backend == &shared_etcd);
	return (struct etcd_shared *)s;
}

static int etcd_open(const struct shared_config *config, struct shared **ret,
		     struct error *ret_error)
{
	struct etcd_config c = etcd_config_of(config, ETCD_FOLLOW);
	struct etcd_shared *s = mem_alloc(config->mem, sizeof(*s));
	int r;

	if (!s)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for the registry");
	*s = (struct etcd_shared){ .base.backend = &shared_etcd, .config = *config };
	c.told = hear_told;
	c.complete = hear_complete;
	c.reach = hear_reach;
	c.ctx = s;
	r = etcd_module_get(&s->module, ret_error);
	if (r == 0)
		r = s->module->open(&c, &s->etcd, ret_error);
	if (r < 0) {
		mem_free(config->mem, s);
		return r;
	}
	*ret = &s->base;
	return 0;
}

static void etcd_close(struct shared *shared)
{
	struct etcd_shared *s = shared_of(shared);

	s->module->close(s->etcd);
	mem_free(s->config.mem, s);
}

static int etcd_fd(struct shared *shared)
{
	struct etcd_shared *s = shared_of(shared);

	return s->module->fd(s->etcd);
}

static void etcd_dispatch(struct shared *shared)
{
	struct etcd_shared *s = shared_of(shared);

	s->module->dispatch(s->etcd);
}

/* --- transactions and reads ------------------------------------------------------------------ */

static void call_done(void *ctx, enum shared_outcome outcome, uint64_t revision,
		      const struct error *error)
{
	struct call *call = ctx, c = *call;

	mem_free(c.s->config.mem, call);
	c.done(c.ctx, outcome, revision, error);
}

static void call_read(void *ctx, const struct etcd_kv *kv, const struct error *error)
{
	struct call *call = ctx, c = *call;
	struct shared_record *r = NULL;
	struct error bad;

	mem_free(c.s->config.mem, call);
	if (!error && kv && etcd_decode(c.s->config.mem, kv, &r, &bad) < 0)
		error = &bad;
	c.read(c.ctx, r, error);
	mem_free(c.s->config.mem, r);
}

static void call_refused(void *ctx, enum shared_outcome outcome, uint64_t revision,
			 const struct error *error)
{
	call_read(ctx, NULL, error);
}

static struct call *call_new(struct etcd_shared *s, shared_done_fn done, shared_read_fn read,
			     void *ctx)
{
	struct call *call = mem_alloc(s->config.mem, sizeof(*call));

	assert(call); /* there is no other way to say that there is no memory even for an answer */
	*call = (struct call){ .s = s, .done = done, .read = read, .ctx = ctx };
	return call;
}

static int op_of(const struct mem *mem, const struct shared_put *put, struct etcd_op *ret,
		 struct error *ret_error)
{
	const struct shared_record *r = put->record;
	bool is_put = !put->gone && !put->compare_only;
	char *key, *value = NULL;
	int result = etcd_encode(mem, r, &key, is_put ? &value : NULL, ret_error);

	if (result < 0)
		return result;
	*ret = (struct etcd_op){ .act = is_put	    ? ETCD_PUT
					: put->gone ? ETCD_DELETE
						    : ETCD_COMPARE,
				 .leased = is_put && r->kind == SHARED_ALIVE,
				 .kv = { .key = key,
					 .value = value,
					 .len = value ? strlen(value) : 0,
					 .revision = r->revision } };
	return 0;
}

static void etcd_submit(struct shared *shared, const struct shared_put *puts, unsigned int count,
			shared_done_fn done, void *ctx)
{
	struct etcd_shared *s = shared_of(shared);
	const struct mem *mem = s->config.mem;
	struct call *call = call_new(s, done, NULL, ctx);
	struct etcd_op ops[ETCD_OPS_MAX];
	unsigned int n = 0;
	struct error error;

	while (n < count && op_of(mem, &puts[n], &ops[n], &error) == 0)
		n++;
	if (n == count)
		s->module->submit(s->etcd, ops, count, call_done, call);
	else
		s->module->refuse(s->etcd, &error, call_done, call);
	while (n-- > 0) {
		mem_free(mem, (char *)ops[n].kv.key);
		mem_free(mem, (char *)ops[n].kv.value);
	}
}

static void etcd_read(struct shared *shared, const struct shared_record *record,
		      shared_read_fn done, void *ctx)
{
	struct etcd_shared *s = shared_of(shared);
	struct call *call = call_new(s, NULL, done, ctx);
	struct error error;
	char *key;

	if (etcd_encode(s->config.mem, record, &key, NULL, &error) < 0) {
		s->module->refuse(s->etcd, &error, call_refused, call);
		return;
	}
	s->module->read(s->etcd, key, call_read, call);
	mem_free(s->config.mem, key);
}

static void etcd_reconcile(struct shared *shared)
{
	struct etcd_shared *s = shared_of(shared);

	s->module->reconcile(s->etcd);
}

static void etcd_facts(struct shared *shared, struct shared_facts *ret)
{
	struct etcd_shared *s = shared_of(shared);
	struct etcd_facts f;

	s->module->facts(s->etcd, &f);
	*ret = (struct shared_facts){ .backend = shared_etcd.name,
				      .endpoint = f.endpoint,
				      .reachable = f.reachable,
				      .since = f.since,
				      .error = f.error,
				      .revision = f.revision,
				      .records = f.keys,
				      .txns = f.txns,
				      .lost = f.lost,
				      .unreachable = f.unreachable,
				      .refused = f.refused,
				      .reads = f.reads,
				      .watches = f.watches,
				      .reconnects = f.reconnects,
				      .reconciles = f.reconciles,
				      .txn_ns_last = f.txn_ns_last,
				      .txn_ns_most = f.txn_ns_most,
				      .read_ns_last = f.read_ns_last,
				      .cluster = s->cluster };
}

const struct shared_backend shared_etcd = {
	.name = "etcd",
	.open = etcd_open,
	.close = etcd_close,
	.fd = etcd_fd,
	.dispatch = etcd_dispatch,
	.submit = etcd_submit,
	.read = etcd_read,
	.reconcile = etcd_reconcile,
	.facts = etcd_facts,
	.dump = etcd_dump,
	.restore = etcd_restore,
};
