#include "api/body.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
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
	case FIELD_BOOL:
		return "true or false";
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

static int object_read(const struct schema *s, const char *prefix, const json_t *object,
		       void *target, struct error *ret_error);

static int list_read(const struct field *f, const char *path, const json_t *list, void *target,
		     struct error *ret_error)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		int r;

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

static int value_read(const struct field *f, const char *path, const json_t *v, void *target,
		      struct error *ret_error)
{
	switch (f->type) {
	case FIELD_NAME:
	case FIELD_IFNAME:
	case FIELD_PATH:
	case FIELD_TEXT:
	case FIELD_PARSED:
		if (json_is_string(v))
			return field_set_text(f, path, json_string_value(v), target, ret_error);
		break;
	case FIELD_LIST:
		if (json_is_array(v))
			return list_read(f, path, v, target, ret_error);
		break;
	case FIELD_UINT:
		if (json_is_integer(v) && json_integer_value(v) >= 0)
			return field_set_uint(f, path, (uint64_t)json_integer_value(v), target,
					      ret_error);
		break;
	case FIELD_BOOL:
		if (!json_is_boolean(v))
			break;
		field_set_bool(f, json_is_true(v), target);
		return 0;
	case FIELD_OBJECT:
		if (!json_is_object(v))
			break;
		field_mark(f, target);
		return object_read(f->object, path, v, (char *)target + f->at, ret_error);
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

static int object_read(const struct schema *s, const char *prefix, const json_t *object,
		       void *target, struct error *ret_error)
{
	const json_t *v;
	const char *key;
	char path[128];
	int r;

	json_object_foreach ((json_t *)object, key, v) {
		const struct field *f = schema_find(s, key);

		snprintf(path, sizeof(path), "%s%s%.64s", prefix, prefix[0] ? "." : "", key);
		r = f ? value_read(f, path, v, target, ret_error)
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

int body_read(const struct schema *schema, const char *data, size_t len, struct body *ret,
	      struct error *ret_error)
{
	struct body b = { 0 };
	int r;

	b.root = load(data, len, ret_error);
	if (!b.root)
		return len == 0 ? -ENOMEM : -EBADMSG;
	schema_init(schema, &b);
	if (json_is_object(b.root))
		r = object_read(schema, "", b.root, &b, ret_error);
	else
		r = error_set(ret_error, ERROR_WRONG_TYPE, NULL,
			      "the body: expected an object, found %s", found(b.root));
	if (r < 0) {
		body_done(&b);
		return r;
	}
	if (!b.reason)
		b.reason = "";
	*ret = b;
	return 0;
}

void body_done(struct body *b)
{
	json_decref(b->root);
	*b = (struct body){ 0 };
}
