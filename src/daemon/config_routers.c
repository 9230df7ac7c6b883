/* The routers of the configuration file.
 *
 * They are written in the same words as the API's requests and read by the same tables: the part of
 * the document becomes JSON whose every scalar is a text, and the tables say what each one is.
 * libcyaml, which reads the rest, passes them over. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "api/router_form.h"
#include "base/cleanup.h"
#include "daemon/config.h"

#define DEPTH_MAX 8	 /* routers, router, sets, set, addresses: five are used */
#define NODES_MAX 200000 /* with those that aliases repeat */

/* --- from YAML to JSON ----------------------------------------------------------------------- */

struct translation {
	yaml_document_t *document;
	unsigned int nodes;
	struct error *error;
};

static json_t *translate(struct translation *t, const yaml_node_t *node, unsigned int depth);

static json_t *translate_failed(struct translation *t, const yaml_node_t *node, const char *why)
{
	error_set(t->error, ERROR_BAD_CONFIG, NULL, "line %zu: %s", node->start_mark.line + 1, why);
	return NULL;
}

/* What the canonical form could not say again is refused. */
static bool text_is_plain(const char *text, size_t len)
{
	return !memchr(text, '\0', len) && !strstr(text, "\xef\xbb\xbf") &&
	       !strstr(text, "\xef\xbf\xbe") && !strstr(text, "\xef\xbf\xbf");
}

static json_t *translate_scalar(struct translation *t, const yaml_node_t *node)
{
	const char *text = (const char *)node->data.scalar.value;
	size_t len = node->data.scalar.length;
	json_t *v;

	if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	    (len == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0))
		return json_null();
	if (!text_is_plain(text, len))
		return translate_failed(t, node, "a character that no text has");
	v = json_stringn(text, len);
	return v ? v : translate_failed(t, node, "not UTF-8, or no memory");
}

static json_t *translate_sequence(struct translation *t, const yaml_node_t *node,
				  unsigned int depth)
{
	json_t *array = json_array();

	for (const yaml_node_item_t *i = node->data.sequence.items.start;
	     i < node->data.sequence.items.top; i++) {
		json_t *v = translate(t, yaml_document_get_node(t->document, *i), depth + 1);

		if (!v || json_array_append_new(array, v) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static bool translate_pair(struct translation *t, const yaml_node_pair_t *pair, json_t *object,
			   unsigned int depth)
{
	const yaml_node_t *key = yaml_document_get_node(t->document, pair->key);
	const char *name = (const char *)key->data.scalar.value;
	json_t *v;

	if (key->type != YAML_SCALAR_NODE || !text_is_plain(name, key->data.scalar.length))
		return translate_failed(t, key, "a key that is no text");
	if (json_object_get(object, name))
		return translate_failed(t, key, "a key that was there before");
	v = translate(t, yaml_document_get_node(t->document, pair->value), depth + 1);
	if (!v)
		return false;
	return json_object_set_new(object, name, v) == 0 ||
	       translate_failed(t, key, "not UTF-8, or no memory");
}

static json_t *translate_mapping(struct translation *t, const yaml_node_t *node, unsigned int depth)
{
	json_t *object = json_object();

	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		if (!translate_pair(t, pair, object, depth)) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

/* NULL: t->error says why. */
static json_t *translate(struct translation *t, const yaml_node_t *node, unsigned int depth)
{
	if (depth > DEPTH_MAX)
		return translate_failed(t, node, "nested too deeply");
	if (++t->nodes > NODES_MAX)
		return translate_failed(t, node, "too much of it");
	switch (node->type) {
	case YAML_SCALAR_NODE:
		return translate_scalar(t, node);
	case YAML_SEQUENCE_NODE:
		return translate_sequence(t, node, depth);
	case YAML_MAPPING_NODE:
		return translate_mapping(t, node, depth);
	case YAML_NO_NODE:
		break;
	}
	return translate_failed(t, node, "nothing that is known");
}

/* --- from JSON to records -------------------------------------------------------------------- */

static int keep(struct config *c, const struct router *r, struct error *ret_error)
{
	void *block = malloc(router_block_size(r));

	if (!block)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	c->routers[c->routers_count++] = router_block_fill(block, r);
	return 0;
}

static int read_router(struct config *c, json_t *root, struct error *ret_error)
{
	struct router router;
	struct body body;
	int r = body_read_json(&body_router_add, root, true, &body, ret_error);

	if (r < 0)
		return r;
	router_form_fill(&body.router, NULL, &router);
	router.from_file = true;
	r = router_check(&router, ret_error);
	for (unsigned int i = 0; r == 0 && i < c->routers_count; i++)
		if (strcmp(c->routers[i]->name, router.name) == 0)
			r = error_set(ret_error, ERROR_BAD_CONFIG, NULL,
				      "there is a router '%s' already", router.name);
	if (r == 0)
		r = keep(c, &router, ret_error);
	body_done(&body);
	return r;
}

static int read_routers(yaml_document_t *document, const yaml_node_t *list, struct config *c,
			struct error *ret_error)
{
	struct translation t = { .document = document, .error = ret_error };
	size_t count;

	if (list->type != YAML_SEQUENCE_NODE)
		return error_set(ret_error, ERROR_BAD_CONFIG, "begin each router with '- name:'",
				 "line %zu: routers is no list", list->start_mark.line + 1);
	count = (size_t)(list->data.sequence.items.top - list->data.sequence.items.start);
	if (count > ROUTERS_MAX)
		return error_set(ret_error, ERROR_BAD_CONFIG, NULL,
				 "routers has %zu entries, %d are allowed", count, ROUTERS_MAX);
	c->routers = calloc(count + 1, sizeof(struct router *));
	if (!c->routers)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const yaml_node_t *node =
			yaml_document_get_node(document, list->data.sequence.items.start[i]);
		json_t *root = translate(&t, node, 1);
		int r = root ? read_router(c, root, ret_error) : -EINVAL;

		if (r < 0) {
			error_prefix(ret_error, "routers[%zu] (line %zu)", i,
				     node->start_mark.line + 1);
			ret_error->code = ERROR_BAD_CONFIG;
			return -error_errno(ERROR_BAD_CONFIG);
		}
	}
	return 0;
}

/* The value of the key in the document's mapping, or NULL. */
static const yaml_node_t *find(yaml_document_t *document, const char *name)
{
	const yaml_node_t *root = yaml_document_get_root_node(document);

	if (!root || root->type != YAML_MAPPING_NODE)
		return NULL;
	for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
	     pair < root->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_document_get_node(document, pair->key);

		if (key->type == YAML_SCALAR_NODE &&
		    strcmp((const char *)key->data.scalar.value, name) == 0)
			return yaml_document_get_node(document, pair->value);
	}
	return NULL;
}

int config_routers_parse(const char *name, const void *data, size_t len, struct config *c,
			 struct error *ret_error)
{
	yaml_document_t document;
	const yaml_node_t *list;
	yaml_parser_t parser;
	int r = 0;

	if (!yaml_parser_initialize(&parser))
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	yaml_parser_set_input_string(&parser, data, len);
	if (!yaml_parser_load(&parser, &document)) {
		r = error_set(ret_error, ERROR_BAD_CONFIG, NULL, "%s: line %zu: %s", name,
			      parser.problem_mark.line + 1,
			      parser.problem ? parser.problem : "no memory");
		yaml_parser_delete(&parser);
		return r;
	}
	list = find(&document, "routers");
	if (list)
		r = read_routers(&document, list, c, ret_error);
	if (r < 0)
		error_prefix(ret_error, "%s", name);
	yaml_document_delete(&document);
	yaml_parser_delete(&parser);
	return r;
}

void config_routers_free(struct config *c)
{
	for (unsigned int i = 0; i < c->routers_count; i++)
		free(c->routers[i]);
	free(c->routers);
	c->routers = NULL;
	c->routers_count = 0;
}

/* --- the canonical form: JSON is YAML -------------------------------------------------------- */

int config_routers_print(const struct config *c, bool secrets, FILE *to, struct error *ret_error)
{
	struct out o = { 0 };
	char *text;
	size_t len;

	if (c->routers_count > 0)
		out_puts(&o, secrets ? "routers:\n" : "routers: # without the secrets of keys\n");
	for (unsigned int i = 0; i < c->routers_count; i++) {
		struct out one = { 0 };

		out_open(&one, '{');
		router_form_write(&one, c->routers[i], secrets ? ROUTER_FORM_SECRETS : 0);
		out_close(&one, '}');
		out_puts(&o, "- ");
		if (one.data)
			out_bytes(&o, one.data, one.len);
		o.failed |= one.failed;
		out_done(&one);
		out_puts(&o, "\n");
	}
	out_puts(&o, "...\n");
	text = out_take(&o, &len);
	if (!text)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	fwrite(text, 1, len, to);
	free(text);
	return 0;
}
