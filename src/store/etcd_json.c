#include "store/etcd_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <nettle/base64.h>

#include "base/cleanup.h"

/* --- bodies ---------------------------------------------------------------------------------- */

/* Octets as padded standard base64, the only form that the gateway takes. */
static json_t *coded(const void *data, size_t len)
{
	char *text = malloc(BASE64_ENCODE_RAW_LENGTH(len) + 1);
	json_t *v = NULL;

	if (!text)
		return NULL;
	base64_encode_raw(text, len, data);
	v = json_stringn_nocheck(text, BASE64_ENCODE_RAW_LENGTH(len));
	free(text);
	return v;
}

/* prefix, text and `extra` octets of 0 behind it: the first key after that. */
static json_t *coded_key(const char *prefix, const char *text, size_t extra)
{
	char key[ETCD_PREFIX_MAX + ETCD_KEY_MAX + 2] = { 0 };
	size_t first = strlen(prefix), second = strlen(text);

	if (first + second + extra > sizeof(key))
		return NULL;
	memcpy(key, prefix, first);
	memcpy(key + first, text, second);
	return coded(key, first + second + extra);
}

/* The first key behind all that begin with prefix and part: the last octet one higher.  Both are
 * ours and end in '/', so there is no carry. */
static json_t *coded_end(const char *prefix, const char *part)
{
	char key[ETCD_PREFIX_MAX + ETCD_KEY_MAX] = { 0 };
	size_t len = (size_t)snprintf(key, sizeof(key), "%s%s", prefix, part);

	if (len == 0 || len >= sizeof(key))
		return NULL;
	key[len - 1]++;
	return coded(key, len);
}

/* 64 bits are texts in JSON, for the sake of readers whose numbers are doubles. */
static json_t *number(uint64_t v)
{
	return json_sprintf("%" PRIu64, v);
}

/* Takes over v; a failure is sticky: the object becomes NULL. */
static void put(json_t **object, const char *name, json_t *v)
{
	if (!*object || !v || json_object_set_new_nocheck(*object, name, v) < 0) {
		if (!v || !*object)
			json_decref(v);
		json_decref(*object);
		*object = NULL;
	}
}

static void append(json_t **array, json_t *v)
{
	if (!*array || !v || json_array_append_new(*array, v) < 0) {
		if (!v || !*array)
			json_decref(v);
		json_decref(*array);
		*array = NULL;
	}
}

static json_t *wrapped(const char *name, json_t *v)
{
	json_t *object = json_object();

	put(&object, name, v);
	return object;
}

static char *text_of(json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	json_decref(object);
	return text;
}

static json_t *compare_of(const char *prefix, const struct etcd_op *op)
{
	json_t *c = json_object();

	put(&c, "key", coded_key(prefix, op->kv.key, 0));
	put(&c, "target", json_string("MOD"));
	put(&c, "result", json_string("EQUAL"));
	put(&c, "mod_revision", number(op->kv.revision));
	return c;
}

static json_t *range_of_key(const char *prefix, const char *key)
{
	json_t *r = json_object();

	put(&r, "key", coded_key(prefix, key, 0));
	return r;
}

static json_t *act_of(const char *prefix, const struct etcd_op *op, uint64_t lease)
{
	json_t *a = json_object();

	put(&a, "key", coded_key(prefix, op->kv.key, 0));
	if (op->act == ETCD_DELETE)
		return wrapped("request_delete_range", a);
	put(&a, "value", coded(op->kv.value, op->kv.len));
	if (op->leased)
		put(&a, "lease", number(lease));
	return wrapped("request_put", a);
}

char *etcd_body_txn(const char *prefix, const struct etcd_op *ops, unsigned int count,
		    uint64_t lease)
{
	json_t *compares = json_array(), *acts = json_array(), *reads = json_array();
	json_t *body = json_object();

	for (unsigned int i = 0; i < count; i++) {
		append(&compares, compare_of(prefix, &ops[i]));
		if (ops[i].act != ETCD_COMPARE)
			append(&acts, act_of(prefix, &ops[i], lease));
		append(&reads, wrapped("request_range", range_of_key(prefix, ops[i].kv.key)));
	}
	put(&body, "compare", compares);
	put(&body, "success", acts);
	put(&body, "failure", reads);
	return text_of(body);
}

char *etcd_body_get(const char *prefix, const char *key)
{
	return text_of(range_of_key(prefix, key));
}

char *etcd_body_range(const struct etcd_range *r)
{
	json_t *body = json_object();

	put(&body, "key",
	    r->last ? coded_key(r->prefix, r->last, 1) : coded_key(r->prefix, r->part, 0));
	put(&body, "range_end", coded_end(r->prefix, r->part));
	put(&body, "limit", number(r->limit));
	if (r->revision)
		put(&body, "revision", number(r->revision));
	if (r->keys_only)
		put(&body, "keys_only", json_true());
	return text_of(body);
}

char *etcd_body_watch(const char *prefix, const char *part, uint64_t start)
{
	json_t *create = json_object();

	put(&create, "key", coded_key(prefix, part, 0));
	put(&create, "range_end", coded_end(prefix, part));
	put(&create, "start_revision", number(start));
	put(&create, "progress_notify", json_true());
	put(&create, "fragment", json_true());
	return text_of(wrapped("create_request", create));
}

char *etcd_body_grant(unsigned int seconds)
{
	json_t *body = json_object();

	put(&body, "TTL", number(seconds));
	put(&body, "ID", number(0));
	return text_of(body);
}

char *etcd_body_lease(uint64_t id)
{
	return text_of(wrapped("ID", number(id)));
}

char *etcd_body_authenticate(const char *user, const char *password)
{
	json_t *body = json_object();

	put(&body, "name", json_string(user));
	put(&body, "password", json_string(password));
	return text_of(body);
}

/* --- answers --------------------------------------------------------------------------------- */

/* What is zero is left out; what is not comes as a text (64 bits) or a number. */
static uint64_t number_in(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	if (json_is_string(v))
		return strtoull(json_string_value(v), NULL, 10);
	return json_is_integer(v) ? (uint64_t)json_integer_value(v) : 0;
}

static const char *text_in(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static bool true_in(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

/* An error is {"error": TEXT, "message": TEXT, "code": N}; in a stream {"error": {"message": TEXT,
 * "grpc_code": N, …}}. */
static void error_in(const json_t *root, struct etcd_answer *a)
{
	const json_t *error = json_object_get(root, "error");

	if (json_is_object(error)) {
		a->code = (int)number_in(error, "grpc_code");
		a->message = text_in(error, "message");
	} else if (error) {
		a->code = (int)number_in(root, "code");
		a->message = text_in(root, json_object_get(root, "message") ? "message" : "error");
	} else {
		return;
	}
	if (a->code == 0)
		a->code = 2; /* unknown: an error it is */
}

int etcd_answer_parse(const char *text, size_t len, struct etcd_answer *ret)
{
	json_t *root = json_loadb(text, len, 0, NULL);
	struct etcd_answer a = { .json = root, .message = "" };
	const json_t *o = root, *header, *list;

	if (!json_is_object(root)) {
		json_decref(root);
		return -EBADMSG;
	}
	error_in(root, &a);
	if (json_is_object(json_object_get(root, "result")))
		o = json_object_get(root, "result");
	header = json_object_get(o, "header");
	a.cluster = number_in(header, "cluster_id");
	a.revision = number_in(header, "revision");
	a.id = number_in(o, "ID");
	a.ttl = number_in(o, "TTL");
	a.compacted = number_in(o, "compact_revision");
	a.succeeded = true_in(o, "succeeded");
	a.more = true_in(o, "more");
	a.created = true_in(o, "created");
	a.cancelled = true_in(o, "canceled");
	if (a.cancelled)
		a.message = text_in(o, "cancel_reason");
	a.token = json_string_value(json_object_get(o, "token"));
	list = json_object_get(o, "kvs");
	if (!list)
		list = json_object_get(o, "events");
	if (!list)
		list = json_object_get(o, "responses");
	a.list = json_is_array(list) ? (json_t *)list : NULL;
	*ret = a;
	return 0;
}

void etcd_answer_done(struct etcd_answer *a)
{
	json_decref(a->json);
	free(a->scratch);
	*a = (struct etcd_answer){ 0 };
}

/* Decodes into `at`, which has room; puts a 0 behind. */
static int decoded(const char *text, size_t len, char *at, size_t *ret_len)
{
	struct base64_decode_ctx ctx;

	base64_decode_init(&ctx);
	if (!base64_decode_update(&ctx, ret_len, (uint8_t *)at, len, text) ||
	    !base64_decode_final(&ctx))
		return -EBADMSG;
	at[*ret_len] = '\0';
	return 0;
}

/* The object with key and value, and whether it is gone. */
static const json_t *kv_object(const json_t *element, bool *gone)
{
	const json_t *range = json_object_get(element, "response_range");

	*gone = strcmp(text_in(element, "type"), "DELETE") == 0;
	if (range)
		return json_array_get(json_object_get(range, "kvs"), 0);
	if (json_object_get(element, "kv"))
		return json_object_get(element, "kv");
	return json_object_get(element, "key") ? element : NULL;
}

int etcd_answer_kv(struct etcd_answer *a, const char *prefix, size_t i, struct etcd_kv *ret)
{
	size_t key_len, value_len, need, skip = strlen(prefix);
	const json_t *o, *key, *value;
	char *more, *at;
	bool gone;

	o = kv_object(json_array_get(a->list, i), &gone);
	key = json_object_get(o, "key");
	value = json_object_get(o, "value");
	if (!o)
		return -ENOENT;
	if (!json_is_string(key))
		return -EBADMSG;
	key_len = BASE64_DECODE_LENGTH(json_string_length(key));
	value_len = value ? BASE64_DECODE_LENGTH(json_string_length(value)) : 0;
	need = key_len + value_len + 2;
	if (need > a->scratch_size) {
		more = realloc(a->scratch, need);
		if (!more)
			return -ENOMEM;
		a->scratch = more;
		a->scratch_size = need;
	}
	if (decoded(json_string_value(key), json_string_length(key), a->scratch, &key_len) < 0)
		return -EBADMSG;
	at = a->scratch + key_len + 1;
	at[0] = '\0';
	value_len = 0;
	if (value &&
	    decoded(json_string_value(value), json_string_length(value), at, &value_len) < 0)
		return -EBADMSG;
	if (key_len < skip || memcmp(a->scratch, prefix, skip) != 0 ||
	    key_len - skip > ETCD_KEY_MAX || strlen(a->scratch) != key_len)
		return -EBADMSG;
	*ret = (struct etcd_kv){ .key = a->scratch + skip,
				 .value = gone ? NULL : at,
				 .len = value_len,
				 .revision = number_in(o, "mod_revision") };
	return 0;
}
