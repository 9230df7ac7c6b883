#include "api/body.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *found(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a number with a fraction";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	case JSON_NULL:
		return "null";
	}
	return "something else";
}

static const char *expected(const struct field *f)
{
	switch (f->type) {
	case FIELD_NAME:
	case FIELD_IFNAME:
	case FIELD_PATH:
	case FIELD_TEXT:
	case FIELD_PARSED:
		return "a string";
	case FIELD_LIST:
		return "an array of strings";
	case FIELD_UINT:
		return "an integer, not negative";
	case FIELD_INT:
		return "an integer";
	case FIELD_BOOL:
		return "true or false";
	case FIELD_ITEMS:
		return "an array of objects";
	case FIELD_OBJECT:
	case FIELD_TYPE_COUNT:
		break;
	}
	return "an object";
}

static int wrong_type(const struct field *f, const char *path, const json_t *v,
		      struct error *ret_error)
{
	return error_set(ret_error, ERROR_WRONG_TYPE, NULL, "%s: expected %s, found %s", path,
			 expected(f),
			 json_is_integer(v) && f->type == FIELD_UINT ? "a negative one" : found(v));
}

/* A block of memory that lives as long as the body. */
struct body_block {
	struct body_block *next;
	_Alignas(max_align_t) char data[];
};

struct reading {
	struct body_block *blocks;
	bool texts;
};

static int reading_alloc(struct reading *g, size_t count, size_t size, void **ret,
			 struct error *ret_error)
{
	struct body_block *block = calloc(1, sizeof(*block) + (count > 0 ? count : 1) * size);

	if (!block)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for the request");
	block->next = g->blocks;
	g->blocks = block;
	*ret = block->data;
	return 0;
}

static void blocks_free(struct body_block *blocks)
{
	while (blocks) {
		struct body_block *next = blocks->next;

		free(blocks);
		blocks = next;
	}
}

static int object_read(struct reading *g, const struct schema *s, const char *prefix,
		       const json_t *object, void *target, struct error *ret_error);

/* Elements that stand apart get their memory, as much as the request needs and a limit allows. */
static int elements_make(struct reading *g, const struct field *f, const char *path,
			 const json_t *list, void *target, struct error *ret_error)
{
	size_t count = json_array_size(list);

	if (count > f->most)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "%s: at most %u", path,
				 (unsigned int)f->most);
	return reading_alloc(g, count, f->size, (void **)((char *)target + f->at), ret_error);
}

static int list_read(struct reading *g, const struct field *f, const char *path, const json_t *list,
		     void *target, struct error *ret_error)
{
	const json_t *item;
	int r = f->apart ? elements_make(g, f, path, list, target, ret_error) : 0;
	size_t i;

	if (r < 0)
		return r;
	json_array_foreach (list, i, item) {
		if (!json_is_string(item))
			return error_set(ret_error, ERROR_WRONG_TYPE, NULL,
					 "%s[%zu]: expected a string, found %s", path, i,
					 found(item));
		r = field_add_text(f, path, (unsigned int)i, json_string_value(item), target,
				   ret_error);
		if (r < 0)
			return r;
	}
	field_mark(f, target);
	return 0;
}

static int items_read(struct reading *g, const struct field *f, const char *path,
		      const json_t *list, void *target, struct error *ret_error)
{
	int r = elements_make(g, f, path, list, target, ret_error);
	const json_t *item;
	char name[160];
	size_t i;

	if (r < 0)
		return r;
	json_array_foreach (list, i, item) {
		char *to = *(char **)((char *)target + f->at) + i * f->size;

		snprintf(name, sizeof(name), "%s[%zu]", path, i);
		if (!json_is_object(item))
			return error_set(ret_error, ERROR_WRONG_TYPE, NULL,
					 "%s: expected an object, found %s", name, found(item));
		schema_init(f->object, to);
		r = object_read(g, f->object, name, item, to, ret_error);
		if (r < 0)
			return r;
	}
	*(unsigned int *)((char *)target + f->count_at) = (unsigned int)json_array_size(list);
	field_mark(f, target);
	return 0;
}

static int number_read(const struct field *f, const char *path, const json_t *v, void *target,
		       struct error *ret_error)
{
	if (!json_is_integer(v) || (f->type == FIELD_UINT && json_integer_value(v) < 0))
		return wrong_type(f, path, v, ret_error);
	if (f->type == FIELD_INT)
		return field_set_int(f, path, json_integer_value(v), target, ret_error);
	return field_set_uint(f, path, (uint64_t)json_integer_value(v), target, ret_error);
}

/* A number or a boolean that came as a text. */
static int text_read(const struct field *f, const char *path, const char *text, void *target,
		     struct error *ret_error)
{
	long long n;
	char *end;

	if (f->type == FIELD_BOOL) {
		bool yes = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;

		if (!yes && strcmp(text, "false") != 0 && strcmp(text, "no") != 0)
			return error_set(ret_error, ERROR_WRONG_TYPE, NULL,
					 "%s: expected true or false, found \"%.40s\"", path, text);
		field_set_bool(f, yes, target);
		return 0;
	}
	errno = 0;
	n = strtoll(text, &end, 10);
	if (end == text || *end || errno || text[0] == ' ' || text[0] == '+' ||
	    (n < 0 && f->type == FIELD_UINT))
		return error_set(ret_error, ERROR_WRONG_TYPE, NULL,
				 "%s: expected %s, found \"%.40s\"", path, expected(f), text);
	if (f->type == FIELD_INT)
		return field_set_int(f, path, n, target, ret_error);
	return field_set_uint(f, path, (uint64_t)n, target, ret_error);
}

static int value_read(struct reading *g, const struct field *f, const char *path, const json_t *v,
		      void *target, struct error *ret_error)
{
	switch (f->type) {
	case FIELD_NAME:
	case FIELD_IFNAME:
	case FIELD_PATH:
	case FIELD_TEXT:
	case FIELD_PARSED:
		if (json_is_string(v))
			return field_set_text(f, path, json_string_value(v), target, ret_error);
		if (json_is_null(v) && f->nullable)
			return field_set_text(f, path, "", target, ret_error);
		break;
	case FIELD_LIST:
		if (json_is_array(v))
			return list_read(g, f, path, v, target, ret_error);
		break;
	case FIELD_UINT:
	case FIELD_INT:
		if (g->texts && json_is_string(v))
			return text_read(f, path, json_string_value(v), target, ret_error);
		return number_read(f, path, v, target, ret_error);
	case FIELD_BOOL:
		if (g->texts && json_is_string(v))
			return text_read(f, path, json_string_value(v), target, ret_error);
		if (!json_is_boolean(v))
			break;
		field_set_bool(f, json_is_true(v), target);
		return 0;
	case FIELD_OBJECT:
		if (!json_is_object(v))
			break;
		field_mark(f, target);
		return object_read(g, f->object, path, v, (char *)target + f->at, ret_error);
	case FIELD_ITEMS:
		if (json_is_array(v))
			return items_read(g, f, path, v, target, ret_error);
		break;
	case FIELD_TYPE_COUNT:
		break;
	}
	return wrong_type(f, path, v, ret_error);
}

static int unknown_field(const struct schema *s, const char *path, struct error *ret_error)
{
	char names[ERROR_TEXT_MAX - 16], hint[ERROR_TEXT_MAX];

	schema_names(s, names, sizeof(names));
	snprintf(hint, sizeof(hint), "known here: %s", names);
	return error_set(ret_error, ERROR_UNKNOWN_FIELD, hint, "%s: no such field", path);
}

static int object_read(struct reading *g, const struct schema *s, const char *prefix,
		       const json_t *object, void *target, struct error *ret_error)
{
	const json_t *v;
	const char *key;
	char path[128];
	int r;

	json_object_foreach ((json_t *)object, key, v) {
		const struct field *f = schema_find(s, key);

		snprintf(path, sizeof(path), "%s%s%.64s", prefix, prefix[0] ? "." : "", key);
		r = f ? value_read(g, f, path, v, target, ret_error)
		      : unknown_field(s, path, ret_error);
		if (r < 0)
			return r;
	}
	for (unsigned int i = 0; i < s->count; i++)
		if (s->fields[i].required && !json_object_get(object, s->fields[i].name))
			return error_set(ret_error, ERROR_MISSING_FIELD, NULL, "%s%s%s: missing",
					 prefix, prefix[0] ? "." : "", s->fields[i].name);
	return s->finish ? s->finish(target, ret_error) : 0;
}

static json_t *load(const char *data, size_t len, struct error *ret_error)
{
	json_error_t e;
	json_t *root;

	if (len == 0)
		return json_object();
	root = json_loadb(data, len, JSON_REJECT_DUPLICATES, &e);
	if (!root)
		error_set(ret_error, ERROR_BAD_JSON, NULL, "line %d, column %d: %s", e.line,
			  e.column, e.text);
	return root;
}

int body_read_json(const struct schema *schema, json_t *root, bool texts, struct body *ret,
		   struct error *ret_error)
{
	struct reading g = { .texts = texts };
	struct body b = { .root = root };
	int r;

	schema_init(schema, &b);
	if (json_is_object(b.root))
		r = object_read(&g, schema, "", b.root, &b, ret_error);
	else
		r = error_set(ret_error, ERROR_WRONG_TYPE, NULL,
			      "the body: expected an object, found %s", found(b.root));
	b.blocks = g.blocks;
	if (r < 0) {
		body_done(&b);
		return r;
	}
	if (!b.reason)
		b.reason = "";
	*ret = b;
	return 0;
}

int body_read(const struct schema *schema, const char *data, size_t len, struct body *ret,
	      struct error *ret_error)
{
	json_t *root = load(data, len, ret_error);

	if (!root)
		return len == 0 ? -ENOMEM : -EBADMSG;
	return body_read_json(schema, root, false, ret, ret_error);
}

void body_done(struct body *b)
{
	blocks_free(b->blocks);
	json_decref(b->root);
	*b = (struct body){ 0 };
}
