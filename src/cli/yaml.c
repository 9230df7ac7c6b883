#include "cli/yaml.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

/* Words that YAML 1.1 takes for something else than a text. */
static const char *const reserved[] = { "y",	"n",	 "yes",	 "no",	"on", "off",
					"true", "false", "null", "inf", "nan" };

static bool plain(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	if (!text[0] || !strchr(letters, text[0]))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (strcasecmp(text, reserved[i]) == 0)
			return false;
	for (const char *p = text; *p; p++)
		if (!strchr(letters, *p) && !strchr("0123456789._-", *p))
			return false;
	return true;
}

/* JSON's quoting is YAML's, too (YAML 1.2 section 1.3). */
void yaml_text(FILE *f, const char *text)
{
	json_t *value;

	if (plain(text)) {
		fputs(text, f);
		return;
	}
	value = json_string(text);
	if (!value)
		value = json_string("?");
	json_dumpf(value, f, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	json_decref(value);
}

static void scalar(FILE *f, const json_t *value)
{
	if (json_is_string(value))
		yaml_text(f, json_string_value(value));
	else
		json_dumpf(value, f, JSON_ENCODE_ANY);
}

static void array(FILE *f, const json_t *value, unsigned int indent)
{
	const json_t *item;
	size_t i;

	if (!json_is_object(json_array_get(value, 0))) {
		fputs(" [", f);
		json_array_foreach (value, i, item) {
			fputs(i > 0 ? ", " : "", f);
			scalar(f, item);
		}
		fputs("]\n", f);
		return;
	}
	fputc('\n', f);
	json_array_foreach (value, i, item) {
		fprintf(f, "%*s- ", (int)indent, "");
		yaml_members(f, item, indent + 2);
	}
}

void yaml_members(FILE *f, const json_t *object, unsigned int indent)
{
	bool first = true;
	const char *key;
	json_t *value;

	/* The first stands behind the dash of its list, or where its caller has put the cursor. */
	json_object_foreach ((json_t *)object, key, value) {
		fprintf(f, "%*s%s:", first ? 0 : (int)indent, "", key);
		first = false;
		if (json_is_array(value)) {
			array(f, value, indent + 2);
		} else if (json_is_object(value)) {
			fprintf(f, "\n%*s", (int)indent + 2, "");
			yaml_members(f, value, indent + 2);
		} else {
			fputc(' ', f);
			scalar(f, value);
			fputc('\n', f);
		}
	}
}
