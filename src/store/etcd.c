/* The owner's side: open, close, submit, dispatch. */
#include "store/etcd.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/etcd_inside.h"

DEFINE_CLEANUP(CURLU *, curl_url_cleanup);

/* --- items ----------------------------------------------------------------------------------- */

void etcd_give(struct etcd *e, struct item *item)
{
	bool first;

	pthread_mutex_lock(&e->mutex);
	first = !e->answers.first;
	item_put(&e->answers, item);
	pthread_mutex_unlock(&e->mutex);
	if (first)
		eventfd_write(e->ring, 1);
}

struct item_told *etcd_told_new(const struct etcd_kv *kv)
{
	size_t key = strlen(kv->key) + 1;
	struct item_told *t = malloc(sizeof(*t) + key + kv->len + 1);

	if (!t)
		return NULL;
	t->item = (struct item){ .kind = ITEM_TOLD };
	t->kv = *kv;
	t->kv.key = memcpy(t->text, kv->key, key);
	if (kv->value) {
		t->kv.value = memcpy(t->text + key, kv->value, kv->len);
		t->text[key + kv->len] = '\0';
	}
	return t;
}

static void order_answer(struct etcd *e, struct order *o)
{
	struct error none = { 0 };
	const struct error *error = o->error ? o->error : &none;

	e->pending--;
	if (o->done)
		o->done(o->ctx, o->outcome, o->revision, error);
	else
		o->read(o->ctx, o->answer ? &o->answer->kv : NULL,
			o->outcome == SHARED_DONE ? NULL : error);
	order_free(o);
}

static void item_call(struct etcd *e, struct item *item)
{
	const struct etcd_config *c = &e->config;

	switch (item->kind) {
	case ITEM_TOLD:
		c->told(c->ctx, &((struct item_told *)item)->kv);
		break;
	case ITEM_COMPLETE:
		c->complete(c->ctx, ((struct item_complete *)item)->revision);
		break;
	case ITEM_REACH: {
		struct item_reach *r = (struct item_reach *)item;

		c->reach(c->ctx, r->reachable ? NULL : &r->error);
		break;
	}
	case ITEM_ORDER:
		order_answer(e, (struct order *)item);
		return;
	}
	free(item);
}

static void module_dispatch(struct etcd *e)
{
	struct item_queue taken = { 0 };
	size_t before, after;
	struct item *item;
	eventfd_t rung;

	eventfd_read(e->ring, &rung);
	pthread_mutex_lock(&e->mutex);
	before = e->answers.count;
	while (taken.count < ETCD_DISPATCH_MAX && (item = item_take(&e->answers)))
		item_put(&taken, item);
	after = e->answers.count;
	pthread_mutex_unlock(&e->mutex);
	if (after > 0)
		eventfd_write(e->ring, 1);
	if (before > ETCD_TOLD_MAX && after <= ETCD_TOLD_MAX) /* it paused for us */
		curl_multi_wakeup(e->multi);
	while ((item = item_take(&taken)))
		item_call(e, item);
}

/* --- orders ---------------------------------------------------------------------------------- */

/* Answered by dispatch like all others. */
static void order_unable(struct etcd *e, struct order *o, enum shared_outcome outcome,
			 const struct error *error)
{
	o->outcome = outcome;
	o->error = malloc(sizeof(*o->error));
	if (o->error)
		*o->error = *error;
	etcd_give(e, &o->item);
}

static void order_send(struct etcd *e, struct order *o)
{
	struct error error;

	o->began = etcd_now();
	o->until = mono_after(o->began, SPAN_NS(e->config.timeout.ns * ETCD_TRIES));
	if (e->pending++ >= ETCD_PENDING_MAX) {
		error_set(&error, ERROR_LIMIT_REACHED, NULL,
			  "%d requests to the shared registry wait already", ETCD_PENDING_MAX);
		order_unable(e, o, SHARED_UNREACHABLE, &error);
		return;
	}
	pthread_mutex_lock(&e->mutex);
	item_put(&e->orders, &o->item);
	pthread_mutex_unlock(&e->mutex);
	curl_multi_wakeup(e->multi);
}

static void module_submit(struct etcd *e, const struct etcd_op *ops, unsigned int count,
			  etcd_done_fn done, void *ctx)
{
	struct order *o;

	assert(count > 0 && count <= ETCD_OPS_MAX && done);
	o = order_new(ops, count);
	assert(o); /* there is no other way to tell that there is no memory even for an answer */
	o->done = done;
	o->ctx = ctx;
	order_send(e, o);
}

static void module_read(struct etcd *e, const char *key, etcd_read_fn done, void *ctx)
{
	struct etcd_op op = { .act = ETCD_COMPARE, .kv = { .key = key } };
	struct order *o = order_new(&op, 1);

	assert(o && done);
	o->read = done;
	o->ctx = ctx;
	order_send(e, o);
}

static void module_refuse(struct etcd *e, const struct error *error, etcd_done_fn done, void *ctx)
{
	struct order *o = order_new(NULL, 0);

	assert(o && done);
	o->done = done;
	o->ctx = ctx;
	e->pending++;
	order_unable(e, o, SHARED_REFUSED, error);
}

static void module_reconcile(struct etcd *e)
{
	pthread_mutex_lock(&e->mutex);
	e->reconcile_asked = true;
	pthread_mutex_unlock(&e->mutex);
	curl_multi_wakeup(e->multi);
}

static void module_facts(struct etcd *e, struct etcd_facts *ret)
{
	pthread_mutex_lock(&e->mutex);
	*ret = e->facts;
	pthread_mutex_unlock(&e->mutex);
}

static int module_fd(const struct etcd *e)
{
	return e->ring;
}

/* --- open and close -------------------------------------------------------------------------- */

static int file_check(const char *what, const char *file, struct error *ret_error)
{
	if (!file || access(file, R_OK) == 0)
		return 0;
	return error_set(ret_error, ERROR_BAD_CONFIG, NULL, "registry.shared.%s: %s: %s", what,
			 file, strerror(errno));
}

/* scheme://host[:port] and nothing behind it. */
static int endpoint_check(const struct etcd_config *c, unsigned int i, char ret[static 256],
			  struct error *ret_error)
{
	CLEANUP(curl_url_cleanup_p) CURLU *url = curl_url();
	char *scheme = NULL, *path = NULL, *user = NULL;
	const char *text = c->endpoints[i];
	size_t len = strlen(text);
	bool good;

	if (!url)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for the registry");
	good = curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
	       curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	       curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK &&
	       curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
	       (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
	       strcmp(path, "/") == 0 && !strpbrk(text, "?#") && len < 256;
	curl_free(scheme);
	curl_free(path);
	curl_free(user);
	if (!good)
		return error_set(
			ret_error, ERROR_BAD_CONFIG,
			"http://ADDRESS:2379, or https://…; without a path, user or password",
			"registry.shared.endpoints: '%.100s' is no URL of an etcd", text);
	snprintf(ret, 256, "%s", text);
	if (ret[len - 1] == '/')
		ret[len - 1] = '\0';
	return 0;
}

static int config_check(struct etcd *e, const struct etcd_config *c, struct error *ret_error)
{
	size_t len = strlen(c->prefix);
	int r;

	if (c->endpoint_count == 0 || c->endpoint_count > SHARED_ENDPOINTS_MAX)
		return error_set(ret_error, ERROR_BAD_CONFIG, NULL,
				 "registry.shared.endpoints: 1 to %d are wanted",
				 SHARED_ENDPOINTS_MAX);
	if (len == 0 || len >= ETCD_PREFIX_MAX || c->prefix[len - 1] != '/')
		return error_set(
			ret_error, ERROR_BAD_CONFIG, NULL,
			"registry.shared.prefix: 1 to %d characters that end in '/' are wanted",
			ETCD_PREFIX_MAX - 1);
	if (!c->cert != !c->key)
		return error_set(ret_error, ERROR_BAD_CONFIG, NULL,
				 "registry.shared: cert and key belong together");
	for (unsigned int i = 0; i < c->endpoint_count; i++) {
		r = endpoint_check(c, i, e->endpoints[i], ret_error);
		if (r < 0)
			return r;
	}
	if ((r = file_check("ca", c->ca, ret_error)) < 0 ||
	    (r = file_check("cert", c->cert, ret_error)) < 0 ||
	    (r = file_check("key", c->key, ret_error)) < 0)
		return r;
	return file_check("password_file", c->password_file, ret_error);
}

static int config_copy(struct etcd *e, const struct etcd_config *c)
{
	const char **texts[] = { &e->config.prefix, &e->config.ca,   &e->config.cert,
				 &e->config.key,    &e->config.user, &e->config.password_file };
	size_t size = 0;
	char *at;

	e->config = *c;
	e->config.endpoints = NULL;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		size += *texts[i] ? strlen(*texts[i]) + 1 : 0;
	e->texts = at = malloc(size);
	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		size_t len = *texts[i] ? strlen(*texts[i]) + 1 : 0;

		if (len == 0)
			continue;
		*texts[i] = memcpy(at, *texts[i], len);
		at += len;
	}
	return 0;
}

static void etcd_free(struct etcd *e)
{
	if (e->multi)
		curl_multi_cleanup(e->multi);
	if (e->ring >= 0)
		close(e->ring);
	auth_done(e);
	lease_done(e);
	etcd_index_done(&e->index);
	pthread_mutex_destroy(&e->mutex);
	free(e->texts);
	free(e);
}

static int etcd_start(struct etcd *e, const struct etcd_config *c)
{
	if (config_copy(e, c) < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	e->ring = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->multi = curl_multi_init();
	if (e->ring < 0 || !e->multi)
		return -ENOMEM;
	/* Requests, the watch and one that is being left. */
	curl_multi_setopt(e->multi, CURLMOPT_MAXCONNECTS, (long)ETCD_REQUESTS_MAX + 4);
	curl_multi_setopt(e->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	return pthread_create(&e->thread, NULL, etcd_thread, e) == 0 ? 0 : -ENOMEM;
}

static int module_open(const struct etcd_config *config, struct etcd **ret, struct error *ret_error)
{
	struct etcd *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for the registry");
	e->ring = -1;
	pthread_mutex_init(&e->mutex, NULL);
	etcd_index_init(&e->index, config->mem);
	e->facts.endpoint = "";
	e->facts.since = etcd_now();
	e->sync.wanted = config->mode != ETCD_ORDERS;
	e->sync.reconcile = e->watch.created_until = MONO_NEVER;
	r = config_check(e, config, ret_error);
	if (r == 0 && etcd_start(e, config) < 0)
		r = error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for the registry");
	if (r < 0) {
		etcd_free(e);
		return r;
	}
	*ret = e;
	return 0;
}

static void queue_end(struct etcd *e, struct item_queue *q)
{
	struct item *item;

	while ((item = item_take(q))) {
		struct order *o = (struct order *)item;

		if (item->kind != ITEM_ORDER) {
			free(item);
		} else if (o->own) {
			order_free(o);
		} else {
			if (q != &e->answers) {
				o->outcome = SHARED_UNREACHABLE;
				if (!o->error && (o->error = malloc(sizeof(*o->error))))
					error_set(o->error, ERROR_REGISTRY_UNREACHABLE, NULL,
						  "the shared registry was closed meanwhile");
			}
			order_answer(e, o);
		}
	}
}

static void module_close(struct etcd *e)
{
	if (!e)
		return;
	pthread_mutex_lock(&e->mutex);
	e->stop = true;
	pthread_mutex_unlock(&e->mutex);
	curl_multi_wakeup(e->multi);
	pthread_join(e->thread, NULL);
	queue_end(e, &e->answers);
	queue_end(e, &e->waiting);
	queue_end(e, &e->orders);
	etcd_free(e);
}

__attribute__((visibility("default"))) const struct etcd_module etcd_module = {
	.version = ETCD_MODULE_VERSION,
	.open = module_open,
	.close = module_close,
	.fd = module_fd,
	.dispatch = module_dispatch,
	.submit = module_submit,
	.read = module_read,
	.refuse = module_refuse,
	.reconcile = module_reconcile,
	.facts = module_facts,
};
