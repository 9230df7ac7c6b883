/* vmac import: configurations of others as ours.  Works without a daemon. */
#include "cli/call.h"
#include "cli/keepalived.h"
#include "cli/nouns.h"
#include "cli/yaml.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_LOST 9 /* imported, but not all of it could be carried over */

/* The file that is being read, for the names that are relative to it. */
struct reading {
	const char *file;
};

static int read_text(const char *path, char **ret, size_t *ret_len, struct error *ret_error)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char *text = malloc(KEEPALIVED_FILE_MAX + 1);
	size_t len;
	int r = 0;

	if (!text)
		call_no_memory();
	if (!f) {
		r = error_set(ret_error, ERROR_NOT_FOUND, NULL, "%.200s: %s", path,
			      strerror(errno));
		free(text);
		return r;
	}
	len = fread(text, 1, KEEPALIVED_FILE_MAX + 1, f);
	if (ferror(f))
		r = error_set(ret_error, ERROR_NOT_FOUND, NULL, "%.200s: %s", path,
			      strerror(errno));
	else if (len > KEEPALIVED_FILE_MAX)
		r = error_set(ret_error, ERROR_TOO_LARGE, NULL, "%.200s has more than %d MiB", path,
			      KEEPALIVED_FILE_MAX >> 20);
	if (f != stdin)
		fclose(f);
	if (r < 0) {
		free(text);
		return r;
	}
	*ret = text;
	*ret_len = len;
	return 0;
}

static int read_file(struct reading *at, struct keepalived *k, const char *path,
		     struct error *ret_error)
{
	const char *before = at->file;
	TEXT_AUTO text = NULL;
	size_t len = 0;
	int r = read_text(path, &text, &len, ret_error);

	if (r < 0)
		return r;
	at->file = path;
	r = keepalived_parse(k, strcmp(path, "-") == 0 ? "<stdin>" : path, text, len, ret_error);
	at->file = before;
	return r;
}

/* As keepalived: relative to the file that says it, and no match is no error but worth a word. */
static int include(void *ctx, struct keepalived *k, const char *pattern, struct error *ret_error)
{
	struct reading *at = ctx;
	const char *slash = strrchr(at->file, '/');
	TEXT_AUTO path = NULL;
	glob_t found;
	int r = 0;

	if (pattern[0] == '/' || !slash)
		path = strdup(pattern);
	else if (asprintf(&path, "%.*s/%s", (int)(slash - at->file), at->file, pattern) < 0)
		path = NULL;
	if (!path)
		call_no_memory();
	if (glob(path, 0, NULL, &found) != 0) {
		char message[512];

		snprintf(message, sizeof(message), "include %.400s: there is no such file", path);
		call_complain(message, NULL);
		return 0;
	}
	for (size_t i = 0; i < found.gl_pathc && r == 0; i++)
		r = read_file(at, k, found.gl_pathv[i], ret_error);
	globfree(&found);
	return r;
}

/* --- output ---------------------------------------------------------------------------------- */

static void print_notes(const struct keepalived_import *m)
{
	for (unsigned int i = 0; i < m->note_count; i++) {
		const struct keepalived_note *n = &m->notes[i];

		fprintf(stderr, "%s:%u: %s: ", n->file, n->line, n->lost ? "lost" : "note");
		for (const char *p = n->text; *p; p++)
			fputc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, stderr);
		fputc('\n', stderr);
	}
}

/* A comment ends with its line, whatever the text has. */
static void print_comment(unsigned int indent, const char *prefix, const char *text)
{
	printf("%*s# %s", (int)indent, "", prefix);
	for (; *text; text++)
		putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
	putchar('\n');
}

static void print_yaml(const struct keepalived_import *m)
{
	const json_t *router;
	size_t i;

	puts("# Made by `vmac import keepalived`; docs/routers.md explains each member.");
	for (unsigned int n = 0; n < m->note_count; n++)
		if (m->notes[n].router < 0)
			print_comment(0, m->notes[n].lost ? "lost: " : "note: ", m->notes[n].text);
	puts(json_array_size(m->routers) > 0 ? "routers:" : "routers: []");
	json_array_foreach (m->routers, i, router) {
		const struct keepalived_node *at = m->origins[i];
		char from[512];

		snprintf(from, sizeof(from), "%.300s:%u, %.40s %.100s", at->file, at->line,
			 at->words[0], at->word_count > 1 ? at->words[1] : "");
		print_comment(2, "", from);
		for (unsigned int n = 0; n < m->note_count; n++)
			if (m->notes[n].router == (int)i)
				print_comment(2, m->notes[n].lost ? "lost: " : "note: ",
					      m->notes[n].text);
		printf("  - ");
		yaml_members(stdout, router, 4);
	}
}

static int convert(struct command *c, const char *path)
{
	struct reading at = { .file = path };
	struct keepalived *k = keepalived_new(command_option(c, "host"), include, &at);
	struct keepalived_import m;
	struct error e;
	int r;

	if (!k)
		call_no_memory();
	r = read_file(&at, k, path, &e);
	if (r < 0) {
		call_complain(e.message, e.hint);
		keepalived_free(k);
		return error_exit_status(e.code);
	}
	if (keepalived_map(k, &m) < 0)
		call_no_memory();
	keepalived_check(&m);
	print_notes(&m);
	if (c->json) {
		json_dumpf(m.routers, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (!c->quiet) {
		print_yaml(&m);
	}
	r = m.lost ? EXIT_LOST : 0;
	keepalived_import_done(&m);
	keepalived_free(k);
	return r;
}

static int keepalived(struct command *c)
{
	return convert(c, c->args[0]);
}

/* clang-format off */
static const struct option options[] = {
	{ "host", "NAME", OPTION_TEXT, "what lines such as @NAME are for (keepalived --config-id)" },
};

static const struct verb verbs[] = {
	{ .name = "keepalived", .args = "FILE|-", .args_min = 1, .args_max = 1, .run = keepalived,
	  OPTIONS(options), .summary = "Print a keepalived.conf as the routers: of vmacd.yaml",
	  .more = "Needs no daemon and changes nothing.  Standard error says, with file and line, what is\n"
		  "carried in another way (note) and what is not carried (lost); the exit status is 9\n"
		  "when something was lost.  --json prints the bodies for POST /v1/routers.",
	  .examples = "  vmac import keepalived /etc/keepalived/keepalived.conf\n"
		      "  vmac import keepalived --host lb1 /etc/keepalived/keepalived.conf\n" },
};
/* clang-format on */

const struct noun noun_import = { "import", "configurations of others as ours (offline)", verbs,
				  ARRAY_LEN(verbs) };
