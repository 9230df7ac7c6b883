/* A full disk and a read-only one, for real: a small file system in a mount namespace of our own.
 * Needs root. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

#define DISK_SIZE "size=6m"
#define SKIP	  77

struct scene {
	char mount[FIXTURE_PATH_MAX], directory[FIXTURE_PATH_MAX];
	struct store *store;
};

static int scene_begin(void **state)
{
	struct scene *c = calloc(1, sizeof(*c));

	fixture_directory(c->mount);
	assert_int_equal(mount("tmpfs", c->mount, "tmpfs", 0, DISK_SIZE), 0);
	fixture_path(c->mount, "r", c->directory);
	assert_int_equal(mkdir(c->directory, 0700), 0);
	*state = c;
	return 0;
}

static int scene_end(void **state)
{
	struct scene *c = *state;

	store_close(c->store);
	umount2(c->mount, MNT_DETACH);
	rmdir(c->mount);
	free(c);
	return 0;
}

/* Takes all the room there is, but for about `leave` octets. */
static void fill_disk(struct scene *c, off_t leave)
{
	static const char zeros[4096];
	char path[FIXTURE_PATH_MAX];
	int fd = open(fixture_path(c->mount, "filler", path), O_WRONLY | O_CREAT | O_APPEND, 0600);
	struct stat st;

	while (write(fd, zeros, sizeof(zeros)) == sizeof(zeros))
		;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ftruncate(fd, st.st_size > leave ? st.st_size - leave : 0), 0);
	close(fd);
}

static void free_disk(struct scene *c)
{
	char path[FIXTURE_PATH_MAX];

	assert_int_equal(unlink(fixture_path(c->mount, "filler", path)), 0);
}

/* Batches of `size` until one fails or `most` are durable; returns how many are. */
static unsigned int make_batches(struct scene *c, unsigned int first, unsigned int most,
				 unsigned int size, struct error *ret_error)
{
	*ret_error = (struct error){ 0 };
	for (unsigned int n = 0; n < most; n++) {
		struct vmac **vmacs = calloc(size, sizeof(struct vmac *));
		struct deed *d = deed_new();
		char owner[32];

		snprintf(owner, sizeof(owner), "%u/%u", first + n, size);
		for (unsigned int i = 0; i < size; i++) {
			vmacs[i] = fixture_vmac(1, 0x2a0000000000 + (first + n) * 65536ULL + i, "",
						owner);
			deed_add(d, CHANGE_VMAC, NULL, vmacs[i], "allocate");
		}
		store_submit(c->store, &d->txn);
		fixture_settle(c->store);
		*ret_error = d->error;
		for (unsigned int i = 0; i < size; i++)
			free(vmacs[i]);
		free(vmacs);
		deed_free(d);
		if (ret_error->code != ERROR_NONE)
			return n;
	}
	return most;
}

/* Every batch whole, and so many of them. */
static void expect_batches(struct scene *c, unsigned int batches)
{
	static unsigned int seen[65536];
	struct loaded loaded;
	struct error error;
	unsigned int found = 0;

	memset(seen, 0, sizeof(seen));
	store_close(c->store);
	c->store = NULL;
	if (fixture_try("sqlite", c->directory, &c->store, &error) < 0 ||
	    loaded_try(c->store, &loaded, &error) < 0)
		fail_msg("%s", error.message);
	for (size_t i = 0; i < loaded.vmac_count; i++) {
		unsigned int batch, size;

		assert_int_equal(sscanf(loaded.vmacs[i]->owner, "%u/%u", &batch, &size), 2);
		assert_true(batch < 65536);
		if (++seen[batch] == size)
			found++;
		assert_true(seen[batch] <= size);
	}
	for (unsigned int b = 0; b < 65536; b++)
		found -= seen[b] > 0;
	assert_int_equal(found, 0); /* none by half */
	for (unsigned int b = 0; b < 65536; b++)
		found += seen[b] > 0;
	assert_int_equal(found, batches);
	loaded_done(&loaded);
}

static void test_full_and_free_again(void **state)
{
	struct scene *c = *state;
	struct store_facts facts;
	unsigned int made = 0, round;
	struct error error;

	c->store = fixture_open("sqlite", c->directory);
	for (round = 0; round < 3; round++) {
		fill_disk(c, 200000);
		made += make_batches(c, made, 1000, 400, &error);
		assert_int_equal(error.code, ERROR_REGISTRY_FULL);
		assert_non_null(strstr(error.hint, "make room"));
		store_facts(c->store, &facts);
		assert_false(facts.healthy);
		assert_int_equal(facts.last_error.code, ERROR_REGISTRY_FULL);
		/* Again, and it is the same. */
		assert_int_equal(make_batches(c, made, 1, 400, &error), 0);
		assert_int_equal(error.code, ERROR_REGISTRY_FULL);
		free_disk(c);
		assert_int_equal(make_batches(c, made, 1, 400, &error), 1);
		made++;
		store_facts(c->store, &facts);
		assert_true(facts.healthy);
	}
	expect_batches(c, made);
	assert_int_equal(make_batches(c, made, 2, 10, &error), 2);
	expect_batches(c, made + 2);
}

/* Closed while full, opened while full: what is there can be read. */
static void test_opened_while_full(void **state)
{
	struct scene *c = *state;
	unsigned int made;
	struct error error;

	c->store = fixture_open("sqlite", c->directory);
	fill_disk(c, 300000);
	made = make_batches(c, 0, 1000, 100, &error);
	assert_int_equal(error.code, ERROR_REGISTRY_FULL);
	assert_true(made > 0);
	expect_batches(c, made);
	assert_true(make_batches(c, made, 1000, 100, &error) < 1000);
	assert_int_equal(error.code, ERROR_REGISTRY_FULL);
}

static void test_nothing_made_on_a_full_disk(void **state)
{
	struct scene *c = *state;
	struct error error;

	for (off_t leave = 0; leave < 100000; leave += 12288) {
		fill_disk(c, leave);
		if (fixture_try("sqlite", c->directory, &c->store, &error) == 0) {
			/* That was room enough. */
			store_close(c->store);
			c->store = NULL;
			break;
		}
		assert_int_equal(error.code, ERROR_REGISTRY_FULL);
		assert_null(c->store);
		free_disk(c);
	}
	fill_disk(c, 0);
	free_disk(c);
	c->store = fixture_open("sqlite", c->directory);
	expect_batches(c, 0);
}

static void test_read_only(void **state)
{
	struct scene *c = *state;
	struct error error;

	c->store = fixture_open("sqlite", c->directory);
	assert_int_equal(make_batches(c, 0, 3, 10, &error), 3);
	store_close(c->store);
	c->store = NULL;
	assert_int_equal(mount(c->directory, c->directory, NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(NULL, c->directory, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL),
			 0);
	assert_true(fixture_try("sqlite", c->directory, &c->store, &error) < 0);
	assert_int_equal(error.code, ERROR_REGISTRY_READ_ONLY);
	assert_non_null(strstr(error.message, "Read-only file system"));
	assert_non_null(strstr(error.hint, "writable"));
	assert_int_equal(umount(c->directory), 0);
	c->store = fixture_open("sqlite", c->directory);
	expect_batches(c, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_begin, scene_end)
		TEST(test_full_and_free_again),
		TEST(test_opened_while_full),
		TEST(test_nothing_made_on_a_full_disk),
		TEST(test_read_only),
#undef TEST
	};

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		printf("skipped: no mount namespace (%m)\n");
		return SKIP;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
