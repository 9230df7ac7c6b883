/* keepalived's configuration as a tree.
 *
 * Theory of operation.  The language is one of lines: a logical line (several, where a backslash
 * ends all but the last) first loses its comment, then may be a condition ("@host rest"), then a
 * definition ("$NAME=value"), and only then has its definitions said, which may make several lines
 * of one.  What is left is cut into words; a bare "{" opens the block of the statement before it, a
 * bare "}" closes it, wherever on the line they stand.  A file closes what it opens. */
#include "cli/keepalived.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define NAME_LEN_MAX 64
#define MEMORY_MAX   (64u << 20)
#define LINES_MAX    200000 /* with those that definitions make */

struct memory {
	struct memory *next;
	max_align_t octets[];
};

struct variable {
	const char *name, *value;
};

struct keepalived {
	const char *host;
	keepalived_include_fn include;
	void *ctx;
	struct memory *memory;
	size_t memory_size;
	struct keepalived_node root;
	struct keepalived_node *open[KEEPALIVED_DEPTH_MAX + 1]; /* [0] is the root */
	unsigned int depth, files, line_count, node_count, variable_count;
	struct variable variables[KEEPALIVED_VARIABLES_MAX];
};

/* Where the parser is. */
struct place {
	struct keepalived *k;
	const char *file;
	unsigned int line;
	struct error *error;
};

static int __attribute__((format(printf, 2, 3))) refuse(const struct place *p, const char *fmt, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list ap;
	int r;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r = error_set(p->error, ERROR_BAD_CONFIG, "keepalived --config-test says what it thinks",
		      "%.160s:%u: %.120s", p->file, p->line, text);
	return r;
}

static void *keep(struct keepalived *k, size_t size)
{
	struct memory *m;

	if (size > MEMORY_MAX - k->memory_size)
		return NULL;
	m = calloc(1, sizeof(*m) + size);
	if (!m)
		return NULL;
	k->memory_size += size;
	m->next = k->memory;
	k->memory = m;
	return m->octets;
}

static char *keep_text(struct keepalived *k, const char *text, size_t len)
{
	char *copy = keep(k, len + 1);

	if (copy)
		memcpy(copy, text, len);
	return copy;
}

static int no_memory(const struct place *p)
{
	return error_set(p->error, ERROR_NO_MEMORY, NULL, "no memory");
}

/* --- definitions ----------------------------------------------------------------------------- */

static bool name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static size_t name_length(const char *text)
{
	size_t n = 0;

	while (name_char(text[n]))
		n++;
	return n;
}

static const char *variable_find(const struct keepalived *k, const char *name, size_t len)
{
	static const struct variable own[] = { { "_HASH", "#" }, { "_BANG", "!" } };

	for (unsigned int i = k->variable_count; i > 0; i--) {
		const struct variable *v = &k->variables[i - 1];

		if (strlen(v->name) == len && memcmp(v->name, name, len) == 0)
			return v->value;
	}
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (strlen(own[i].name) == len && memcmp(own[i].name, name, len) == 0)
			return own[i].value;
	return NULL;
}

/* Whether the line is "$NAME=…"; then *ret_value is what stands behind the sign. */
static bool is_definition(const char *line, size_t *ret_name, const char **ret_value)
{
	size_t n = line[0] == '$' ? name_length(line + 1) : 0;
	const char *at = line + 1 + n;

	if (n == 0 || n > NAME_LEN_MAX)
		return false;
	while (*at == ' ' || *at == '\t')
		at++;
	if (*at != '=')
		return false;
	*ret_name = n;
	*ret_value = at + 1 + strspn(at + 1, " \t");
	return true;
}

static int define(struct place *p, const char *name, size_t name_len, const char *value)
{
	struct keepalived *k = p->k;
	struct variable *v = &k->variables[k->variable_count];

	if (k->variable_count == KEEPALIVED_VARIABLES_MAX)
		return refuse(p, "more than %d definitions", KEEPALIVED_VARIABLES_MAX);
	v->name = keep_text(k, name, name_len);
	v->value = keep_text(k, value, strlen(value));
	if (!v->name || !v->value)
		return no_memory(p);
	k->variable_count++;
	return 0;
}

/* Says the definitions of a line once, into buf.  One that is not known stays as it stands, as
 * with keepalived: a secret may have a dollar. */
static int expand_once(struct place *p, const char *line, char *buf, bool *ret_changed)
{
	size_t used = 0;

	*ret_changed = false;
	while (*line) {
		bool brace = line[0] == '$' && line[1] == '{';
		size_t n = line[0] == '$' ? name_length(line + 1 + brace) : 0;
		const char *value = NULL;
		size_t len = 1;

		if (n > 0 && (!brace || line[2 + n] == '}'))
			value = variable_find(p->k, line + 1 + brace, n);
		if (value)
			len = strlen(value);
		if (used + len >= KEEPALIVED_LINE_MAX)
			return refuse(p, "longer than %d octets with its definitions",
				      KEEPALIVED_LINE_MAX);
		memcpy(buf + used, value ? value : line, len);
		used += len;
		line += value ? 1 + n + 2 * (size_t)brace : 1;
		*ret_changed |= value != NULL;
	}
	buf[used] = '\0';
	return 0;
}

/* --- words ----------------------------------------------------------------------------------- */

struct words {
	unsigned int count;
	char *text[KEEPALIVED_WORDS_MAX];
	bool bare_brace[KEEPALIVED_WORDS_MAX];
};

/* One word at *at, which moves behind it. */
static int word_read(struct place *p, const char **at, char *buf, bool *ret_quoted)
{
	const char *c = *at;
	bool quote = false;
	size_t used = 0;

	*ret_quoted = false;
	for (; *c && (quote || !strchr(" \t\r\n\v\f", *c)); c++) {
		if (*c == '"') {
			quote = !quote;
			*ret_quoted = true;
			continue;
		}
		if (*c == '\\' && c[1] && (!quote || c[1] == '"' || c[1] == '\\'))
			c++;
		buf[used++] = *c;
	}
	if (quote)
		return refuse(p, "a quotation is not closed");
	buf[used] = '\0';
	*at = c;
	return 0;
}

static int words_read(struct place *p, const char *line, struct words *w)
{
	char buf[KEEPALIVED_LINE_MAX];

	w->count = 0;
	for (;;) {
		bool quoted;
		int r;

		line += strspn(line, " \t\r\n\v\f");
		if (!*line)
			return 0;
		if (w->count == KEEPALIVED_WORDS_MAX - 1)
			return refuse(p, "more than %d words", KEEPALIVED_WORDS_MAX - 1);
		r = word_read(p, &line, buf, &quoted);
		if (r < 0)
			return r;
		w->text[w->count] = keep_text(p->k, buf, strlen(buf));
		if (!w->text[w->count])
			return no_memory(p);
		w->bare_brace[w->count] =
			!quoted && (strcmp(buf, "{") == 0 || strcmp(buf, "}") == 0);
		w->count++;
	}
}

/* --- statements ------------------------------------------------------------------------------ */

static int node_add(struct place *p, char *const *words, unsigned int count)
{
	struct keepalived *k = p->k;
	struct keepalived_node *parent = k->open[k->depth], *n;

	if (k->include && strcmp(words[0], "include") == 0) {
		if (count != 2)
			return refuse(p, "include takes one file");
		return k->include(k->ctx, k, words[1], p->error);
	}
	if (k->node_count == KEEPALIVED_NODES_MAX)
		return refuse(p, "more than %d statements", KEEPALIVED_NODES_MAX);
	n = keep(k, sizeof(*n));
	if (n)
		n->words = keep(k, (count + 1) * sizeof(*n->words));
	if (!n || !n->words)
		return no_memory(p);
	memcpy(n->words, words, count * sizeof(*words));
	n->word_count = count;
	n->file = p->file;
	n->line = p->line;
	if (parent->last)
		parent->last->next = n;
	else
		parent->children = n;
	parent->last = n;
	k->node_count++;
	return 0;
}

static int block_open(struct place *p)
{
	struct keepalived *k = p->k;
	struct keepalived_node *n = k->open[k->depth]->last;

	if (!n || n->block)
		return refuse(p, "a block that nothing stands before");
	if (k->depth == KEEPALIVED_DEPTH_MAX)
		return refuse(p, "more than %d blocks in each other", KEEPALIVED_DEPTH_MAX);
	n->block = true;
	k->open[++k->depth] = n;
	return 0;
}

/* floor: how many blocks were open when the file began. */
static int statements_add(struct place *p, const struct words *w, unsigned int floor)
{
	for (unsigned int i = 0, from = 0; i <= w->count; i++) {
		int r = 0;

		if (i < w->count && !w->bare_brace[i])
			continue;
		if (i > from)
			r = node_add(p, &w->text[from], i - from);
		from = i + 1;
		if (r < 0 || i == w->count)
			return r;
		if (w->text[i][0] == '{')
			r = block_open(p);
		else if (p->k->depth == floor)
			r = refuse(p, "a closing brace without an opening one");
		else
			p->k->depth--;
		if (r < 0)
			return r;
	}
	return 0;
}

/* A line whose comment is gone: says its definitions, and takes every line that comes of it. */
static int line_take(struct place *p, const char *line, unsigned int floor, unsigned int deep)
{
	char buf[KEEPALIVED_LINE_MAX], *at = buf, *next;
	struct words w;
	bool changed;
	int r;

	if (p->k->line_count++ == LINES_MAX)
		return refuse(p, "more than %d lines", LINES_MAX);
	if (line[0] == '~')
		return refuse(p, "ranges (~SEQ, ~LST) are not understood: write the lines out");
	r = expand_once(p, line, buf, &changed);
	if (r < 0)
		return r;
	if (!changed) {
		r = words_read(p, buf, &w);
		return r < 0 ? r : statements_add(p, &w, floor);
	}
	if (deep == KEEPALIVED_DEPTH_MAX)
		return refuse(p, "definitions in definitions more than %d deep",
			      KEEPALIVED_DEPTH_MAX);
	while (at && r == 0) {
		next = strchr(at, '\n');
		if (next)
			*next++ = '\0';
		r = line_take(p, at + strspn(at, " \t"), floor, deep + 1);
		at = next;
	}
	return r;
}

/* --- lines ----------------------------------------------------------------------------------- */

/* Ends the text where its comment begins. */
static void cut_comment(char *line)
{
	bool quote = false;

	for (; *line; line++) {
		if (*line == '\\' && line[1]) {
			line++;
		} else if (*line == '"') {
			quote = !quote;
		} else if (!quote && (*line == '#' || *line == '!')) {
			*line = '\0';
			return;
		}
	}
}

/* Whether a conditional line is for this host; *line moves behind the condition. */
static bool condition(const struct place *p, const char **line)
{
	const char *at = *line + 1;
	bool not = *at == '^';
	size_t len;

	at += not ;
	len = strcspn(at, " \t");
	*line = at + len + strspn(at + len, " \t");
	return not != (p->k->host && strlen(p->k->host) == len && memcmp(p->k->host, at, len) == 0);
}

static int logical_take(struct place *p, const char *line, unsigned int floor)
{
	const char *value;
	size_t name;

	line += strspn(line, " \t");
	if (*line == '@' && !condition(p, &line))
		return 0;
	if (is_definition(line, &name, &value))
		return define(p, line + 1, name, value);
	return line_take(p, line, floor, 0);
}

struct source {
	const char *at, *end;
	unsigned int line; /* the number of the next physical line */
};

/* One physical line without its end and comment into buf. */
static int physical_read(struct place *p, struct source *s, char *buf, size_t *ret_len)
{
	const char *end = memchr(s->at, '\n', (size_t)(s->end - s->at));
	size_t len = (size_t)((end ? end : s->end) - s->at);

	p->line = s->line++;
	if (len >= KEEPALIVED_LINE_MAX)
		return refuse(p, "longer than %d octets", KEEPALIVED_LINE_MAX);
	if (memchr(s->at, '\0', len))
		return refuse(p, "has a zero octet: this is no text");
	memcpy(buf, s->at, len);
	buf[len] = '\0';
	s->at = end ? end + 1 : s->end;
	cut_comment(buf);
	len = strlen(buf);
	while (len > 0 && strchr(" \t\r", buf[len - 1]))
		len--;
	buf[len] = '\0';
	*ret_len = len;
	return 0;
}

/* A line with those that continue it.  A definition keeps its line ends: it may be many lines. */
static int logical_read(struct place *p, struct source *s, char *buf)
{
	size_t used = 0, len = 0, name;
	unsigned int first = s->line;
	char part[KEEPALIVED_LINE_MAX];
	const char *value;
	bool more = true;
	int r;

	while (more && s->at < s->end) {
		r = physical_read(p, s, part, &len);
		if (r < 0)
			return r;
		more = len > 0 && part[len - 1] == '\\';
		if (more)
			part[--len] = '\0';
		if (used + len + 2 > KEEPALIVED_LINE_MAX)
			return refuse(p, "longer than %d octets with its continuation",
				      KEEPALIVED_LINE_MAX);
		memcpy(buf + used, part, len);
		used += len;
		buf[used] = '\0';
		if (more)
			buf[used++] =
				is_definition(buf + strspn(buf, " \t"), &name, &value) ? '\n' : ' ';
		buf[used] = '\0';
	}
	p->line = first;
	return 0;
}

int keepalived_parse(struct keepalived *k, const char *file, const char *text, size_t len,
		     struct error *ret_error)
{
	struct source s = { .at = text, .end = text + len, .line = 1 };
	struct place p = { .k = k, .line = 1, .error = ret_error };
	unsigned int floor = k->depth;
	char buf[KEEPALIVED_LINE_MAX];
	int r = 0;

	p.file = keep_text(k, file, strlen(file));
	if (!p.file)
		return no_memory(&p);
	if (k->files == KEEPALIVED_DEPTH_MAX)
		return refuse(&p, "files in files more than %d deep", KEEPALIVED_DEPTH_MAX);
	k->files++;
	while (r == 0 && s.at < s.end) {
		r = logical_read(&p, &s, buf);
		if (r == 0)
			r = logical_take(&p, buf, floor);
	}
	k->files--;
	if (r == 0 && k->depth != floor) {
		p.line = k->open[k->depth]->line;
		r = refuse(&p, "the block \"%.40s\" is not closed", k->open[k->depth]->words[0]);
	}
	return r;
}

struct keepalived *keepalived_new(const char *host, keepalived_include_fn include, void *ctx)
{
	struct keepalived *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->host = host;
	k->include = include;
	k->ctx = ctx;
	k->open[0] = &k->root;
	return k;
}

void keepalived_free(struct keepalived *k)
{
	if (!k)
		return;
	while (k->memory) {
		struct memory *m = k->memory;

		k->memory = m->next;
		free(m);
	}
	free(k);
}

const struct keepalived_node *keepalived_first(const struct keepalived *k)
{
	return k->root.children;
}
