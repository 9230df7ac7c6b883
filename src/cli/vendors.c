#include "cli/vendors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static const char *const names[] = { "oui.csv", "mam.csv", "oui36.csv", "iab.csv" };

_Static_assert(ARRAY_LEN(names) == ARRAY_LEN(((struct vendors *)NULL)->files), "a place a file");

static inline void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* The whole file with a zero behind it, or NULL. */
static char *read_file(const char *directory, const char *name)
{
	CLEANUP(close_file) FILE *f = NULL;
	char path[4096], *text;
	long size;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	f = fopen(path, "re");
	if (!f || fseek(f, 0, SEEK_END) < 0)
		return NULL;
	size = ftell(f);
	if (size <= 0 || size > VENDORS_FILE_MAX || fseek(f, 0, SEEK_SET) < 0)
		return NULL;
	text = malloc((size_t)size + 1);
	if (!text)
		return NULL;
	n = fread(text, 1, (size_t)size, f);
	text[n] = '\0';
	return text;
}

static void add(struct vendors *v, const struct vmac_oui *oui)
{
	if (v->count == v->capacity) {
		size_t capacity = v->capacity ? 2 * v->capacity : 32768;
		struct vmac_oui *p = realloc(v->sorted, capacity * sizeof(*p));

		if (!p)
			return;
		v->sorted = p;
		v->capacity = capacity;
	}
	v->sorted[v->count++] = *oui;
}

/* A line that is none of IEEE's (the rest of a field with a line break in it) is passed over. */
static void read_lines(struct vendors *v, char *text)
{
	struct vmac_oui oui;
	char *line;

	while ((line = strsep(&text, "\n"))) {
		line[strcspn(line, "\r")] = '\0';
		if (vmac_oui_parse_csv(line, &oui) == 1)
			add(v, &oui);
	}
}

size_t vendors_load(struct vendors *v, const char *directory)
{
	*v = (struct vendors){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		v->files[i] = read_file(directory, names[i]);
		if (v->files[i])
			read_lines(v, v->files[i]);
	}
	if (v->count > 0)
		qsort(v->sorted, v->count, sizeof(*v->sorted), vmac_oui_compare);
	return v->count;
}

void vendors_done(struct vendors *v)
{
	for (size_t i = 0; i < ARRAY_LEN(v->files); i++)
		free(v->files[i]);
	free(v->sorted);
	*v = (struct vendors){ 0 };
}

const struct vmac_oui *vendors_find(const struct vendors *v, vmac_mac_t m)
{
	return v->count > 0 ? vmac_oui_find(v->sorted, v->count, m) : NULL;
}
