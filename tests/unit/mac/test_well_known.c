/* docs/addresses.md shows the table of well-known ranges as the code has it: every row, in order,
 * and none besides.  `test_well_known --print` writes the lines. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmac/classify.h>

#define LINE_MAX_LEN 512

static void row_line(const struct vmac_well_known *row, char line[static LINE_MAX_LEN])
{
	const char *group = row->group_name ? row->group_name : "";
	const char *member = row->member_name ? row->member_name : "";
	char first[VMAC_MAC_TEXT_MAX];

	vmac_mac_format(vmac_mac_from_u64(row->value), VMAC_MAC_COLON, first);
	snprintf(line, LINE_MAX_LEN, "| `%s/%u` | %s | %s | %s | %s%s%s |", first, row->bits,
		 vmac_well_known_use_name(row->use), row->protocol, row->meaning, group,
		 group[0] && member[0] ? ", " : "", member);
}

static int print(const struct vmac_well_known *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char line[LINE_MAX_LEN];

		row_line(&rows[i], line);
		puts(line);
	}
	return 0;
}

static int compare(const struct vmac_well_known *rows, size_t count, FILE *doc)
{
	char line[LINE_MAX_LEN], wanted[LINE_MAX_LEN];
	size_t found = 0;

	/* The table's lines are those that begin with a range. */
	while (fgets(line, sizeof(line), doc)) {
		line[strlen(line) - 1] = '\0';
		if (strncmp(line, "| `", 3) != 0)
			continue;
		if (found == count) {
			printf("FAIL: not in the code: %s\n", line);
			return 1;
		}
		row_line(&rows[found], wanted);
		if (strcmp(line, wanted) != 0) {
			printf("FAIL: the document says %s\n      the code says     %s\n", line,
			       wanted);
			return 1;
		}
		found++;
	}
	printf("%zu of %zu rows are in the document\n", found, count);
	return found == count ? 0 : 1;
}

int main(int argc, char **argv)
{
	const struct vmac_well_known *rows;
	size_t count;
	FILE *doc;
	int r;

	rows = vmac_well_known_table(&count);
	if (argc == 2 && strcmp(argv[1], "--print") == 0)
		return print(rows, count);
	doc = argc == 2 ? fopen(argv[1], "r") : NULL;
	if (!doc) {
		fprintf(stderr, "usage: test_well_known --print | docs/addresses.md\n");
		return 2;
	}
	r = compare(rows, count, doc);
	fclose(doc);
	return r;
}
