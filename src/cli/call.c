#include "cli/call.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmac/client.h>

#include "base/error.h"

#define NUMBER_MAX INT64_MAX

/* *to becomes *to + text, escaped or not. */
static void append(char **to, const char *text, bool escape)
{
	TEXT_AUTO escaped = escape ? vmac_escape(text) : NULL;
	char *longer;

	if (escape && !escaped)
		call_no_memory();
	if (asprintf(&longer, "%s%s", *to ? *to : "", escaped ? escaped : text) < 0)
		call_no_memory();
	free(*to);
	*to = longer;
}

static void append_query(char **to, const char *name, const char *value)
{
	append(to, strchr(*to, '?') ? "&" : "?", false);
	append(to, name, false);
	append(to, "=", false);
	append(to, value, true);
}

char *call_path(const struct command *c, const char *const *parts, bool with_options)
{
	char *path = NULL;

	append(&path, "/v1", false);
	for (; *parts; parts++) {
		append(&path, "/", false);
		append(&path, *parts, true);
	}
	for (unsigned int i = 0; with_options && i < c->verb->option_count; i++) {
		const struct option *o = &c->verb->options[i];

		if (o->field && c->values[i].count > 0)
			append_query(&path, o->field,
				     o->type == OPTION_FLAG ? "true" : c->values[i].text[0]);
	}
	if (with_options && c->reason)
		append_query(&path, "reason", c->reason);
	return path;
}

/* --- bodies ---------------------------------------------------------------------------------- */

static void set(json_t *object, const char *key, json_t *value)
{
	if (!value || json_object_set_new(object, key, value) < 0)
		call_no_memory();
}

/* The object that "inner.key" means, and its key. */
static json_t *place(json_t *root, const char *field, const char **ret_key)
{
	const char *dot = strchr(field, '.');
	char inner[32];

	*ret_key = dot ? dot + 1 : field;
	if (!dot)
		return root;
	snprintf(inner, sizeof(inner), "%.*s", (int)(dot - field), field);
	if (!json_object_get(root, inner))
		set(root, inner, json_object());
	return json_object_get(root, inner);
}

static json_t *text_value(const char *text)
{
	json_t *v = json_string(text);

	return v ? v : json_null(); /* not UTF-8: see value_of() */
}

static json_t *words_value(const char *text)
{
	json_t *array = json_array();

	while (array && *text) {
		size_t len = strcspn(text, ",");

		if (len > 0)
			json_array_append_new(array, json_stringn(text, len));
		text += len + (text[len] == ',');
	}
	return array;
}

static json_t *list_value(const struct values *v)
{
	json_t *array = json_array();

	for (unsigned int i = 0; array && i < v->count; i++)
		json_array_append_new(array, text_value(v->text[i]));
	return array;
}

static int number_value(const struct command *c, const struct option *o, const char *text,
			json_t **ret)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || n > NUMBER_MAX)
		return command_misuse(c, "--%s: \"%s\" is no number", o->name, text);
	*ret = json_integer((json_int_t)n);
	return 0;
}

static int value_of(const struct command *c, const struct option *o, const struct values *v,
		    json_t **ret)
{
	switch (o->type) {
	case OPTION_FLAG:
		*ret = json_true();
		return 0;
	case OPTION_NUMBER:
		return number_value(c, o, v->text[0], ret);
	case OPTION_LIST:
		*ret = list_value(v);
		return 0;
	case OPTION_WORDS:
		*ret = words_value(v->text[0]);
		return 0;
	case OPTION_TEXT:
	case OPTION_TYPE_COUNT:
		break;
	}
	*ret = json_string(v->text[0]);
	if (!*ret)
		return command_misuse(c, "--%s: not UTF-8", o->name);
	return 0;
}

int call_body(const struct command *c, json_t **ret)
{
	JSON_AUTO root = json_object();

	if (!root)
		call_no_memory();
	for (unsigned int i = 0; i < c->verb->option_count; i++) {
		const struct option *o = &c->verb->options[i];
		json_t *object, *value;
		const char *key;
		int r;

		if (!o->field || c->values[i].count == 0)
			continue;
		r = value_of(c, o, &c->values[i], &value);
		if (r != 0)
			return r;
		object = place(root, o->field, &key);
		set(object, key, value);
	}
	if (c->reason)
		set(root, "reason", text_value(c->reason));
	*ret = TAKE_PTR(root);
	return 0;
}

/* --- calling --------------------------------------------------------------------------------- */

static void put_clean(const char *before, const char *text)
{
	fputs(before, stderr);
	for (; *text; text++)
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, stderr);
	fputc('\n', stderr);
}

void call_complain(const char *message, const char *hint)
{
	put_clean("vmac: ", message);
	if (hint && hint[0])
		put_clean("hint: ", hint);
}

int call_open(struct command *c)
{
	int r;

	if (c->client)
		return 0;
	r = vmac_client_open(c->socket, &c->client);
	if (r == -ENAMETOOLONG)
		return command_misuse(c, "the socket's path is too long");
	if (r < 0)
		call_no_memory();
	return 0;
}

void call_close(struct command *c)
{
	vmac_client_close(c->client);
	c->client = NULL;
}

static int take_answer(struct command *c, const struct vmac_reply *reply, json_t **ret)
{
	*ret = NULL;
	if (reply->len == 0)
		return 0;
	if (c->json) {
		fwrite(reply->body, 1, reply->len, stdout);
		return 0;
	}
	*ret = json_loadb(reply->body, reply->len, 0, NULL);
	if (!*ret) {
		call_complain("the daemon's answer is no JSON",
			      "are vmac and vmacd of one version?");
		return 1;
	}
	return 0;
}

int call(struct command *c, const char *method, const char *path, const json_t *body, json_t **ret)
{
	TEXT_AUTO text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct vmac_reply reply;
	int r = call_open(c);

	if (r != 0)
		return r;
	if (body && !text)
		call_no_memory();
	if (vmac_client_call(c->client, method, path, text, &reply) == 0) {
		r = take_answer(c, &reply, ret);
	} else {
		call_complain(reply.message, reply.hint);
		r = reply.exit_status;
	}
	vmac_reply_done(&reply);
	return r;
}

/* --- answers --------------------------------------------------------------------------------- */

char *json_words(const json_t *object, const char *key, const char *separator)
{
	const json_t *array = json_object_get(object, key), *item;
	char *text = NULL;
	size_t i;

	append(&text, "", false);
	json_array_foreach (array, i, item) {
		if (i > 0)
			append(&text, separator, false);
		append(&text, json_is_string(item) ? json_string_value(item) : "", false);
	}
	return text;
}
