/* Feeds every file of the folders that it is given to the target it is linked with: the corpus as a
 * plain test. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>

#include "fuzz.h"

#define INPUT_MAX (1 << 20)

static void replay(const char *path)
{
	uint8_t *data = malloc(INPUT_MAX), *exact;
	FILE *f = fopen(path, "rb");
	size_t size;

	if (!f || !data) {
		perror(path);
		exit(2);
	}
	/* Named before it runs, so that a crash tells its input. */
	printf("%s\n", path);
	fflush(stdout);
	size = fread(data, 1, INPUT_MAX, f);
	fclose(f);
	/* In a block of its exact size: a sanitizer then sees every octet read behind it. */
	exact = malloc(size ? size : 1);
	MUST(exact);
	memcpy(exact, data, size);
	free(data);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

static unsigned int replay_folder(const char *folder)
{
	unsigned int count = 0;
	struct dirent *entry;
	DIR *d = opendir(folder);

	if (!d) {
		perror(folder);
		exit(2);
	}
	while ((entry = readdir(d))) {
		char path[PATH_MAX];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		replay(path);
		count++;
	}
	closedir(d);
	return count;
}

int main(int argc, char **argv)
{
	unsigned int count = 0;

	for (int i = 1; i < argc; i++)
		count += replay_folder(argv[i]);
	printf("%u inputs\n", count);
	/* A corpus that is not found must not pass for one that is fine. */
	return count > 0 ? 0 : 1;
}
