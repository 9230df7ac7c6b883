#include "cli/options.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/call.h"

#define EXIT_MISUSE    2
#define SUGGEST_MAX    2  /* typing errors that still count as meant */
#define SUGGEST_LENGTH 32 /* of a word worth comparing */
#define HELP_COLUMN    26

/* What every verb takes. */
enum common {
	COMMON_SOCKET,
	COMMON_JSON,
	COMMON_QUIET,
	COMMON_HELP,
	COMMON_VERSION,
	COMMON_REASON
};

/* clang-format off */
static const struct option common[] = {
	[COMMON_SOCKET]  = { "socket", "PATH", OPTION_TEXT, "where vmacd listens (or $VMAC_SOCKET)" },
	[COMMON_JSON]    = { "json", NULL, OPTION_FLAG, "print the API's JSON" },
	[COMMON_QUIET]   = { "quiet", NULL, OPTION_FLAG, "print nothing when it went well" },
	[COMMON_HELP]    = { "help", NULL, OPTION_FLAG, "show this help" },
	[COMMON_VERSION] = { "version", NULL, OPTION_FLAG, "show the version" },
	[COMMON_REASON]  = { "reason", "TEXT", OPTION_TEXT, "why; kept in the history" },
};
/* clang-format on */

/* --- suggestions ----------------------------------------------------------------------------- */

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* How many letters to insert, delete, replace or swap (Damerau, Levenshtein); SUGGEST_MAX + 1 for
 * more. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int d[SUGGEST_LENGTH + 1][SUGGEST_LENGTH + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > SUGGEST_LENGTH || m > SUGGEST_LENGTH)
		return SUGGEST_MAX + 1;
	for (size_t i = 0; i <= n; i++)
		d[i][0] = (unsigned int)i;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= n; i++)
		for (size_t j = 1; j <= m; j++) {
			unsigned int cost = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			cost = least(cost, least(d[i - 1][j], d[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				cost = least(cost, d[i - 2][j - 2] + 1);
			d[i][j] = cost;
		}
	return d[n][m];
}

struct suggestion {
	const char *word; /* what was typed */
	const char *best;
	unsigned int distance;
};

static void suggest(struct suggestion *s, const char *candidate)
{
	unsigned int d = distance(s->word, candidate);

	if (d > SUGGEST_MAX || d >= strlen(candidate) || (s->best && d >= s->distance))
		return;
	s->best = candidate;
	s->distance = d;
}

/* dashes: what stands before the words, "--" or "". */
static int unknown(const char *what, const char *dashes, const struct suggestion *s,
		   const char *help)
{
	fprintf(stderr, "vmac: %s%s: no such %s\n", dashes, s->word, what);
	if (s->best)
		fprintf(stderr, "hint: did you mean %s%s?\n", dashes, s->best);
	else
		fprintf(stderr, "hint: %s lists them\n", help);
	return EXIT_MISUSE;
}

static void help_command(const struct command *c, char *buf, size_t size)
{
	const char *verb = c->verb ? c->verb->name : c->first ? c->first : "";

	snprintf(buf, size, "vmac%s%s%s%s --help", c->noun ? " " : "", c->noun ? c->noun->name : "",
		 verb[0] ? " " : "", verb);
}

int command_misuse(const struct command *c, const char *fmt, ...)
{
	char help[128];
	va_list ap;

	fputs("vmac: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	help_command(c, help, sizeof(help));
	fprintf(stderr, "\nhint: %s\n", help);
	return EXIT_MISUSE;
}

/* --- parsing --------------------------------------------------------------------------------- */

struct arguments {
	char **at, **end;
	bool only; /* "--" was seen */
};

static int common_set(struct command *c, enum common which, const char *value)
{
	switch (which) {
	case COMMON_SOCKET:
		c->socket = value;
		break;
	case COMMON_JSON:
		c->json = true;
		break;
	case COMMON_QUIET:
		c->quiet = true;
		break;
	case COMMON_HELP:
		c->help = true;
		break;
	case COMMON_VERSION:
		c->version = true;
		break;
	case COMMON_REASON:
		c->reason = value;
		break;
	}
	return 0;
}

static int value_add(struct command *c, const struct option *o, const char *value)
{
	struct values *v = &c->values[o - c->verb->options];

	if (v->count > 0 && o->type != OPTION_LIST)
		return command_misuse(c, "--%s: given twice", o->name);
	if (v->count == v->room) {
		v->room = v->room > 0 ? 2 * v->room : 1;
		v->text = reallocarray(v->text, v->room, sizeof(*v->text));
		if (!v->text)
			call_no_memory();
	}
	v->text[v->count++] = value;
	return 0;
}

static bool named(const struct option *o, const char *name, size_t len)
{
	return strlen(o->name) == len && strncmp(o->name, name, len) == 0;
}

/* The option of that name; *ret_common is its index there, or -1 for one of the verb's. */
static const struct option *option_find(const struct command *c, const char *name, size_t len,
					int *ret_common)
{
	*ret_common = -1;
	for (unsigned int i = 0; c->verb && i < c->verb->option_count; i++)
		if (named(&c->verb->options[i], name, len))
			return &c->verb->options[i];
	for (unsigned int i = 0; i < ARRAY_LEN(common); i++)
		if (named(&common[i], name, len) &&
		    (i != COMMON_REASON || (c->verb && c->verb->writes))) {
			*ret_common = (int)i;
			return &common[i];
		}
	return NULL;
}

static int option_unknown(const struct command *c, const char *name, size_t len)
{
	char typed[SUGGEST_LENGTH + 1], help[128];
	struct suggestion s = { .word = typed };

	snprintf(typed, sizeof(typed), "%.*s", (int)len, name);
	for (unsigned int i = 0; c->verb && i < c->verb->option_count; i++)
		suggest(&s, c->verb->options[i].name);
	for (unsigned int i = 0; i < ARRAY_LEN(common); i++)
		suggest(&s, common[i].name);
	help_command(c, help, sizeof(help));
	return unknown("option", "--", &s, help);
}

/* One "--name", "--name value" or "--name=value". */
static int option_parse(struct command *c, struct arguments *a)
{
	const char *name = *a->at + 2, *equals = strchr(name, '='), *value = NULL;
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option *o;
	int which;

	o = option_find(c, name, len, &which);
	if (!o)
		return option_unknown(c, name, len);
	a->at++;
	if (o->type == OPTION_FLAG) {
		if (equals)
			return command_misuse(c, "--%s takes no argument", o->name);
		value = "";
	} else if (equals) {
		value = equals + 1;
	} else {
		if (a->at == a->end)
			return command_misuse(c, "--%s needs %s", o->name, o->arg);
		value = *a->at++;
	}
	return which >= 0 ? common_set(c, (enum common)which, value) : value_add(c, o, value);
}

static int noun_choose(const struct noun *nouns, unsigned int count, const char *word,
		       struct command *c)
{
	struct suggestion s = { .word = word };

	for (unsigned int i = 0; i < count; i++) {
		if (strcmp(nouns[i].name, word) == 0) {
			c->noun = &nouns[i];
			if (c->noun->verb_count == 1 && !c->noun->verbs[0].name[0])
				c->verb = &c->noun->verbs[0];
			return 0;
		}
		suggest(&s, nouns[i].name);
	}
	return unknown("command", "", &s, "vmac --help");
}

static int verb_choose(const char *word, struct command *c)
{
	char whole[2 * SUGGEST_LENGTH + 2], help[128];
	struct suggestion s = { .word = whole };
	size_t len;

	len = (size_t)snprintf(whole, sizeof(whole), "%s%s%s", c->first ? c->first : "",
			       c->first ? " " : "", word);
	for (unsigned int i = 0; i < c->noun->verb_count; i++) {
		const struct verb *v = &c->noun->verbs[i];

		if (strcmp(v->name, whole) == 0 || (v->alias && strcmp(v->alias, whole) == 0)) {
			c->verb = v;
			return 0;
		}
		if (!c->first && len < sizeof(whole) && strncmp(v->name, whole, len) == 0 &&
		    v->name[len] == ' ') {
			c->first = word;
			return 0;
		}
		suggest(&s, v->name);
	}
	help_command(c, help, sizeof(help));
	return unknown("verb", "", &s, help);
}

static int argument_parse(const struct noun *nouns, unsigned int count, const char *word,
			  struct command *c)
{
	if (!c->noun)
		return noun_choose(nouns, count, word, c);
	if (!c->verb)
		return verb_choose(word, c);
	if (c->arg_count == c->verb->args_max || c->arg_count == ARGUMENTS_MAX)
		return command_misuse(c, "%s: one argument too many", word);
	c->args[c->arg_count++] = word;
	return 0;
}

int command_parse(const struct noun *nouns, unsigned int noun_count, int argc, char **argv,
		  struct command *ret)
{
	struct arguments a = { .at = argv + 1, .end = argv + argc };
	int r = 0;

	*ret = (struct command){ 0 };
	while (r == 0 && a.at < a.end) {
		const char *word = *a.at;

		if (!a.only && strcmp(word, "--") == 0) {
			a.only = true;
			a.at++;
		} else if (!a.only && strcmp(word, "-h") == 0) {
			ret->help = true;
			a.at++;
		} else if (!a.only && strncmp(word, "--", 2) == 0) {
			r = option_parse(ret, &a);
		} else if (!a.only && word[0] == '-' && word[1]) {
			r = command_misuse(ret, "%s: no such option", word);
		} else {
			r = argument_parse(nouns, noun_count, word, ret);
			a.at++;
		}
	}
	if (r != 0 || ret->help || ret->version)
		return r;
	if (!ret->noun)
		return command_misuse(ret, "what shall be done?");
	if (!ret->verb)
		return command_misuse(ret, "%s%s%s: what shall be done with it?", ret->noun->name,
				      ret->first ? " " : "", ret->first ? ret->first : "");
	if (ret->arg_count < ret->verb->args_min)
		return command_misuse(ret, "%s is missing", ret->verb->args);
	return 0;
}

const struct values *command_values(const struct command *c, const char *name)
{
	for (unsigned int i = 0; i < c->verb->option_count; i++)
		if (strcmp(c->verb->options[i].name, name) == 0)
			return &c->values[i];
	assert(!"an option of this verb");
	return NULL;
}

const char *command_option(const struct command *c, const char *name)
{
	const struct values *v = command_values(c, name);

	return v->count > 0 ? v->text[0] : NULL;
}

/* --- help ------------------------------------------------------------------------------------ */

static void help_row(const char *left, const char *right)
{
	if (strlen(left) + 2 < HELP_COLUMN)
		printf("  %-*s %s\n", HELP_COLUMN - 3, left, right);
	else
		printf("  %s\n%*s%s\n", left, HELP_COLUMN, "", right);
}

static void help_option(const struct option *o)
{
	char left[80];

	snprintf(left, sizeof(left), "--%s%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "",
		 o->type == OPTION_LIST ? " ..." : "");
	help_row(left, o->help);
}

static void help_verb(const struct noun *n, const struct verb *v)
{
	printf("Usage: vmac %s%s%s%s%s [OPTION]...\n\n%s.\n", n->name, v->name[0] ? " " : "",
	       v->name, v->args[0] ? " " : "", v->args, v->summary);
	if (v->more)
		printf("\n%s\n", v->more);
	if (v->alias)
		printf("\nAlso: vmac %s %s\n", n->name, v->alias);
	printf("\nOptions:\n");
	for (unsigned int i = 0; i < v->option_count; i++)
		help_option(&v->options[i]);
	if (v->writes)
		help_option(&common[COMMON_REASON]);
	for (unsigned int i = COMMON_SOCKET; i <= COMMON_HELP; i++)
		help_option(&common[i]);
	printf("\nExamples:\n%s", v->examples);
}

static void help_noun(const struct noun *n)
{
	char left[128];

	printf("Usage: vmac %s VERB [OPTION]...\n\n%s.\n\nVerbs:\n", n->name, n->summary);
	for (unsigned int i = 0; i < n->verb_count; i++) {
		snprintf(left, sizeof(left), "%s %s", n->verbs[i].name, n->verbs[i].args);
		help_row(left, n->verbs[i].summary);
	}
	printf("\nvmac %s VERB --help shows options and examples.\n", n->name);
}

static void help_all(const struct noun *nouns, unsigned int count)
{
	printf("Usage: vmac [OPTION]... NOUN [VERB] …\n\n"
	       "Virtual MAC addresses: who has which, where they are plugged in, and what "
	       "passes.\n\n"
	       "Nouns:\n");
	for (unsigned int i = 0; i < count; i++)
		help_row(nouns[i].name, nouns[i].summary);
	printf("\nOptions:\n");
	for (unsigned int i = COMMON_SOCKET; i <= COMMON_VERSION; i++)
		help_option(&common[i]);
	printf("\nFirst steps:\n"
	       "  vmac segment add lan --uplink eth0        # share eth0's network\n"
	       "  vmac pool add lab --segment lan           # where addresses come from\n"
	       "  vmac port add web1 --kind tap             # an address and a tap for a VM\n"
	       "  vmac status                               # what there is, and how it is\n"
	       "\nExit status: 0 done, 1 unexpected, 2 usage or bad input, 3 not found, 4 "
	       "conflict,\n"
	       "5 exhausted or limit, 6 daemon unreachable, 7 not permitted, 8 registry or kernel "
	       "failed,\n"
	       "9 import that lost something.\n"
	       "\nvmac NOUN --help and vmac NOUN VERB --help say more.\n");
}

void command_help(const struct noun *nouns, unsigned int noun_count, const struct command *c)
{
	if (c->verb)
		help_verb(c->noun, c->verb);
	else if (c->noun)
		help_noun(c->noun);
	else
		help_all(nouns, noun_count);
}
