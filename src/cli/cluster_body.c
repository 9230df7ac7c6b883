/* vmac cluster: from options to the API's body. */
#include "cli/cluster.h"

#include <errno.h>
#include <string.h>

#include "cli/call.h"

static void put(json_t *object, const char *key, json_t *value)
{
	if (!value || json_object_set_new(object, key, value) < 0)
		call_no_memory();
}

static json_t *append(json_t *array)
{
	json_t *object = json_object();

	if (!object || json_array_append_new(array, object) < 0)
		call_no_memory();
	return object;
}

/* The options of one verb are known by name: `add` and `set` have not all in common. */
static bool given(const struct command *c, const char *name)
{
	for (unsigned int i = 0; i < c->verb->option_count; i++)
		if (strcmp(c->verb->options[i].name, name) == 0)
			return c->values[i].count > 0;
	return false;
}

/* "tcp/80=dropped"; what it means the daemon says. */
static int rule_add(const struct command *c, const char *text, json_t *rules)
{
	const char *equals = strchr(text, '=');
	json_t *rule;

	if (!equals)
		return command_misuse(c, "--rule: \"%s\" is not MATCH=ACTION", text);
	rule = append(rules);
	put(rule, "match", json_stringn(text, (size_t)(equals - text)));
	put(rule, "action", json_string(equals + 1));
	return 0;
}

static int member_word(const struct command *c, json_t *member, const char *word, size_t len)
{
	static const char *const numbers[] = { "weight", "priority" };
	const char *equals = memchr(word, '=', len);
	size_t name = equals ? (size_t)(equals - word) : 0;

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		char text[24], *end;
		long long n;

		if (name != strlen(numbers[i]) || strncmp(word, numbers[i], name) != 0)
			continue;
		len -= name + 1;
		if (len == 0 || len >= sizeof(text))
			break;
		memcpy(text, equals + 1, len);
		text[len] = '\0';
		errno = 0;
		n = strtoll(text, &end, 10);
		if (*end || errno || text[0] < '0' || text[0] > '9')
			break;
		put(member, numbers[i], json_integer(n));
		return 0;
	}
	return command_misuse(c, "--member: \"%s\": weight=N or priority=N may stand behind it",
			      word);
}

/* WHO[,weight=N][,priority=N] */
static int member_add(const struct command *c, const char *text, json_t *members)
{
	size_t len = strcspn(text, ",");
	json_t *member;

	if (len == 0)
		return command_misuse(c, "--member: says nobody");
	member = append(members);
	put(member, "member", json_stringn(text, len));
	while (text[len]) {
		int r;

		text += len + 1;
		len = strcspn(text, ",");
		r = member_word(c, member, text, len);
		if (r != 0)
			return r;
	}
	return 0;
}

/* Each value of a list through its reader, into an array of the body. */
static int list_put(const struct command *c, const char *option, const char *key, json_t *body,
		    int (*add)(const struct command *c, const char *text, json_t *to))
{
	const struct values *v;
	json_t *array;
	int r = 0;

	if (!given(c, option))
		return 0;
	array = json_array();
	put(body, key, array);
	v = command_values(c, option);
	for (unsigned int i = 0; i < v->count && r == 0; i++)
		r = add(c, v->text[i], array);
	return r;
}

static int text_add(const struct command *c, const char *text, json_t *to)
{
	if (json_array_append_new(to, json_string(text)) < 0)
		return command_misuse(c, "a value is not UTF-8");
	return 0;
}

static int flags_put(const struct command *c, json_t *body)
{
	static const struct {
		const char *yes, *no, *key;
		bool list;
	} flags[] = {
		{ "nat", "no-nat", "nat", false },
		{ "rule", "no-rules", "rules", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		bool yes = given(c, flags[i].yes), no = given(c, flags[i].no);

		if (yes && no)
			return command_misuse(c, "--%s and --%s do not go together", flags[i].yes,
					      flags[i].no);
		if (no && flags[i].list)
			put(body, flags[i].key, json_array());
		else if ((yes || no) && !flags[i].list)
			put(body, flags[i].key, json_boolean(yes));
	}
	return 0;
}

int cluster_body(const struct command *c, json_t **ret)
{
	JSON_AUTO body = NULL;
	int r = call_body(c, &body);

	if (r == 0)
		r = flags_put(c, body);
	if (r == 0)
		r = list_put(c, "address", "addresses", body, text_add);
	if (r == 0)
		r = list_put(c, "mac", "faces", body, text_add);
	if (r == 0)
		r = list_put(c, "rule", "rules", body, rule_add);
	if (r == 0)
		r = list_put(c, "member", "members", body, member_add);
	if (r == 0)
		*ret = TAKE_PTR(body);
	return r;
}
