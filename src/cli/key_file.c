/* Files of keys.  No message here quotes a line of one. */
#include "cli/key_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "cli/call.h"

#define KEY_LINE_MAX 1024

static void close_file(FILE **f)
{
	if (*f && *f != stdin)
		fclose(*f);
}

int key_file_read(const struct command *c, const char *path,
		  int (*take)(const struct command *c, void *ctx, const char *text), void *ctx)
{
	CLEANUP(close_file) FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	unsigned int count = 0;
	char line[KEY_LINE_MAX];
	struct stat st;

	if (!f)
		return command_misuse(c, "--key-file: %s: %s", path, strerror(errno));
	if (f != stdin && fstat(fileno(f), &st) == 0 && st.st_mode & 0077)
		call_complain("the key file may be read by others than its owner",
			      "chmod 600 keeps the secret secret");
	while (fgets(line, sizeof(line), f)) {
		size_t len = strcspn(line, "\r\n");
		int r;

		if (!line[len] && !feof(f))
			return command_misuse(c, "--key-file: %s: a line is too long", path);
		line[len] = '\0';
		if (len == 0)
			continue;
		r = take(c, ctx, line);
		explicit_bzero(line, sizeof(line));
		if (r != 0)
			return r;
		count++;
	}
	if (ferror(f))
		return command_misuse(c, "--key-file: %s: %s", path, strerror(errno));
	if (count == 0)
		return command_misuse(c, "--key-file: %s has no key", path);
	return 0;
}
