/* Runs every line of Debian's ieee-data through the reader, the index and the classifier. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmac/classify.h>

#include "base/cleanup.h"

#define SKIP	  77
#define FOLDER	  "/usr/share/ieee-data/"
#define LINES_MAX 1000000

static const char *const files[] = { FOLDER "oui.csv", FOLDER "mam.csv", FOLDER "oui36.csv",
				     FOLDER "iab.csv" };

static struct vmac_oui all[LINES_MAX];
static size_t all_count;
static unsigned int failures;

static void fail(const char *what, const char *where, size_t line)
{
	printf("FAIL %s: %s %zu\n", what, where, line);
	failures++;
}

/* Whether an odd number of quotes stands in a text: then its last field goes on in the next line.
 */
static bool odd_quotes(const char *text)
{
	bool odd = false;

	for (; *text; text++)
		odd ^= *text == '"';
	return odd;
}

static int read_file(const char *path)
{
	size_t number = 0, records = 0, headings = 0, broken = 0;
	bool inside = false; /* of a quoted field that began in an earlier line */
	char *line = NULL;
	size_t size = 0;
	FILE *f = fopen(path, "r");

	if (!f)
		return -1;
	while (getline(&line, &size, f) >= 0) {
		bool odd = odd_quotes(line);
		char *copy = strdup(line); /* the vendor points into it, for as long as we run */
		int r = vmac_oui_parse_csv(copy, &all[all_count]);

		number++;
		if (inside) {
			/* The rest of an address is no record. */
			if (r > 0)
				fail("a continued address was read as a record", path, number);
			broken++;
		} else if (r < 0) {
			fail("a line was not read", path, number);
		} else if (r == 0) {
			headings++;
		} else {
			records++;
			all_count++;
		}
		inside ^= odd;
		if (r <= 0)
			free(copy);
	}
	free(line);
	fclose(f);
	printf("%s: %zu lines, %zu records, %zu headings, %zu continued\n", path, number, records,
	       headings, broken);
	if (headings != 1 || records < 1000)
		fail("too little was read", path, number);
	return 0;
}

/* An address of each prefix finds a vendor of that prefix, or one of a longer prefix inside it. */
static void look_up(size_t i, const char *vendor, struct vmac_oui own)
{
	uint64_t rest = (UINT64_C(1) << (48 - own.bits)) - 1;
	vmac_mac_t m = vmac_mac_from_u64(own.prefix | (UINT64_C(0x5a5a5a5a5a5a) & rest));
	const struct vmac_oui *o = vmac_oui_find(all, all_count, m);
	struct vmac_class c = vmac_classify(m);
	bool own_vendor = false;

	if (!o) {
		fail("no vendor was found for", vendor, i);
		return;
	}
	if (o->bits < own.bits || (o->prefix ^ own.prefix) >> (48 - own.bits))
		fail("a foreign prefix was found for", vendor, i);
	/* A few prefixes are registered twice: any of theirs will do. */
	for (const struct vmac_oui *p = o;
	     p < all + all_count && p->prefix == own.prefix && p->bits == own.bits; p++)
		own_vendor |= strcmp(p->vendor, vendor) == 0;
	if (o->bits == own.bits && !own_vendor)
		fail("another vendor was found for", vendor, i);
	if (c.local != ((own.prefix >> 41) & 1) || c.group != ((own.prefix >> 40) & 1))
		fail("bits are wrong for", vendor, i);
	if (c.local != (c.slap != VMAC_SLAP_NONE))
		fail("quadrant is wrong for", vendor, i);
}

int main(void)
{
	size_t longer = 0, local = 0, known = 0;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (read_file(files[i]) < 0) {
			printf("SKIP: %s is missing; install the package ieee-data\n", files[i]);
			return SKIP;
		}
	}
	qsort(all, all_count, sizeof(all[0]), vmac_oui_compare);
	for (size_t i = 0; i < all_count; i++) {
		vmac_mac_t m = vmac_mac_from_u64(all[i].prefix);

		look_up(i, all[i].vendor, all[i]);
		longer += vmac_oui_find(all, all_count, m)->bits > all[i].bits;
		local += vmac_mac_is_local(m);
		known += vmac_classify(m).well_known != NULL;
	}
	printf("%zu prefixes: %zu begin with a longer one, %zu local, %zu well known\n", all_count,
	       longer, local, known);
	if (longer == 0 || local == 0 || known == 0)
		fail("the data say nothing about", "the classifier", 0);
	printf("%u failures\n", failures);
	return failures ? 1 : 0;
}
