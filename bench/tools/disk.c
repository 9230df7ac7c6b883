/* What the disk itself does: one write and one fdatasync, again and again, for a while.
 *
 * bench-disk DIR PATTERN SECONDS, with PATTERN append-64, append-4096 or overwrite-4096; prints
 * JSON. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OVERWRITTEN (1 << 20)

static int fail(const char *what)
{
	fprintf(stderr, "bench-disk: %s: %s\n", what, strerror(errno));
	return 1;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int prepare(int fd)
{
	static char zeros[OVERWRITTEN];

	if (pwrite(fd, zeros, sizeof(zeros), 0) != (ssize_t)sizeof(zeros))
		return -1;
	return fsync(fd);
}

int main(int argc, char **argv)
{
	static const char block[4096] = "vmac bench";
	unsigned long long turns = 0;
	double start, seconds, took;
	off_t at = 0, wrap = 0;
	size_t size = 4096;
	char path[4096];
	int fd;

	if (argc != 4) {
		errno = EINVAL;
		return fail("usage: DIR append-64|append-4096|overwrite-4096 SECONDS");
	}
	snprintf(path, sizeof(path), "%s/disk", argv[1]);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(path);
	unlink(path);
	if (strcmp(argv[2], "append-64") == 0)
		size = 64;
	else if (strcmp(argv[2], "overwrite-4096") == 0)
		wrap = OVERWRITTEN;
	if (wrap && prepare(fd) < 0)
		return fail("cannot prepare the file");
	seconds = atof(argv[3]);
	start = now();
	do {
		if (pwrite(fd, block, size, at) != (ssize_t)size || fdatasync(fd) < 0)
			return fail("cannot write");
		at += (off_t)size;
		if (wrap && at >= wrap)
			at = 0;
		turns++;
		took = now() - start;
	} while (took < seconds);
	printf("{\"turns\": %llu, \"seconds\": %.6f}\n", turns, took);
	return 0;
}
