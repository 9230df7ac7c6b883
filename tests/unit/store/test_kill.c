/* Killed at any moment: what was answered is there, and nothing is there by half.
 *
 * A child submits transactions that make a batch of vMACs or delete one, and writes a word into a
 * pipe for each answer.  The parent kills it, loads the registry and compares.  What was submitted
 * and not answered may be there or not, but wholly.  Rounds: VMAC_KILL_ROUNDS, 50 by itself. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

#define ROUNDS	   50
#define BATCHES	   (1 << 20) /* numbers for batches, more than a run uses */
#define BATCH_MOST 40
#define FLIGHT	   16 /* transactions that wait at once */

/* --- the child ------------------------------------------------------------------------------- */

struct report {
	uint32_t batch;
	uint32_t deleted;
};

struct job {
	struct deed *deed;
	struct vmac *vmacs[BATCH_MOST];
	struct shared_record kept; /* goes with them */
	unsigned int count, batch;
	bool deletes;
};

struct child {
	struct store *store;
	uint64_t seed;
	unsigned int next, in_flight;
	int pipe;
	/* Batches of this round that are durable and not deleted; the next to delete is the oldest.
	 */
	struct job *alive[BATCHES / 64];
	size_t first, last;
};

static uint32_t child_random(struct child *c, uint32_t below)
{
	c->seed = c->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(c->seed >> 33) % below;
}

static void job_answered(struct deed *d);

static void child_make(struct child *c)
{
	struct job *j = calloc(1, sizeof(*j));
	char name[32], owner[32];

	j->batch = c->next++;
	j->count = 1 + child_random(c, BATCH_MOST);
	j->deed = deed_new();
	snprintf(owner, sizeof(owner), "%u/%u", j->batch, j->count);
	for (unsigned int i = 0; i < j->count; i++) {
		snprintf(name, sizeof(name), "b%u-%u", j->batch, i);
		j->vmacs[i] =
			fixture_vmac(1, 0x2a0000000000 + (uint64_t)j->batch * 64 + i, name, owner);
		deed_add(j->deed, CHANGE_VMAC, NULL, j->vmacs[i], "allocate");
	}
	j->kept = (struct shared_record){
		.kind = SHARED_BLOCK,
		.revision = j->count,
		.block = { .pool = "p", .number = j->batch },
	};
	deed_add(j->deed, CHANGE_SHARED, NULL, &j->kept, "");
	j->deed->after = job_answered;
	j->deed->ctx = j;
	store_submit(c->store, &j->deed->txn);
	c->in_flight++;
}

static void child_delete(struct child *c)
{
	struct job *j = c->alive[c->first++];

	j->deletes = true;
	j->deed = deed_new();
	for (unsigned int i = 0; i < j->count; i++)
		deed_add(j->deed, CHANGE_VMAC, j->vmacs[i], NULL, "release");
	deed_add(j->deed, CHANGE_SHARED, &j->kept, NULL, "");
	j->deed->after = job_answered;
	j->deed->ctx = j;
	store_submit(c->store, &j->deed->txn);
	c->in_flight++;
}

static struct child *the_child;

static void job_answered(struct deed *d)
{
	struct child *c = the_child;
	struct job *j = d->ctx;
	struct report report = { j->batch, j->deletes };

	if (d->error.code != ERROR_NONE ||
	    write(c->pipe, &report, sizeof(report)) != sizeof(report))
		_exit(1);
	c->in_flight--;
	deed_free(d);
	if (!j->deletes && c->last < BATCHES / 64)
		c->alive[c->last++] = j;
}

static void child_run(const char *directory, unsigned int first, uint64_t seed, int pipe_fd)
{
	struct child *c = the_child = calloc(1, sizeof(*c));

	*c = (struct child){ .seed = seed, .next = first, .pipe = pipe_fd };
	c->store = fixture_open("sqlite", directory);
	for (;;) {
		while (c->in_flight < FLIGHT) {
			if (c->first < c->last && child_random(c, 3) == 0)
				child_delete(c);
			else
				child_make(c);
		}
		fixture_wait(c->store);
		store_dispatch(c->store);
	}
}

/* --- the parent ------------------------------------------------------------------------------ */

enum fate { UNKNOWN, MADE, DELETED };

struct parent {
	char directory[FIXTURE_PATH_MAX];
	uint8_t *fates;	   /* by batch: what was answered last */
	unsigned int next; /* the first batch number that no child has used */
	unsigned int answers;
	uint64_t seed;
};

static unsigned int parent_random(struct parent *p, unsigned int below)
{
	p->seed = p->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned int)(p->seed >> 33) % below;
}

static void parent_kill_one(struct parent *p)
{
	struct report report;
	int pipes[2], status;
	pid_t child;

	assert_int_equal(pipe(pipes), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(pipes[0]);
		child_run(p->directory, p->next, p->seed, pipes[1]);
	}
	close(pipes[1]);
	/* From before it has opened the registry to well after its log has gone round. */
	usleep(1000 + parent_random(p, 120000));
	kill(child, SIGKILL);
	while (read(pipes[0], &report, sizeof(report)) == sizeof(report)) {
		assert_true(report.batch < BATCHES);
		p->fates[report.batch] = report.deleted ? DELETED : MADE;
		p->answers++;
		if (report.batch >= p->next)
			p->next = report.batch + 1;
	}
	close(pipes[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void parent_check(struct parent *p)
{
	uint8_t *seen = calloc(BATCHES, 1), *sizes = calloc(BATCHES, 1), *kept = calloc(BATCHES, 1);
	unsigned int batch, count, most = p->next;
	struct loaded loaded;
	struct error error;
	struct store *s = fixture_open("sqlite", p->directory);

	if (loaded_try(s, &loaded, &error) < 0)
		fail_msg("%s", error.message);
	for (size_t i = 0; i < loaded.vmac_count; i++) {
		assert_int_equal(sscanf(loaded.vmacs[i]->owner, "%u/%u", &batch, &count), 2);
		assert_true(batch < BATCHES);
		seen[batch]++;
		sizes[batch] = (uint8_t)count;
		most = batch >= most ? batch + 1 : most;
	}
	/* What is kept of the shared registry is there with its batch, and only then. */
	for (size_t i = 0; i < loaded.shared_count; i++) {
		batch = (unsigned int)loaded.shared[i]->block.number;
		assert_true(batch < BATCHES && sizes[batch] == loaded.shared[i]->revision);
		kept[batch] = 1;
	}
	loaded_done(&loaded);
	store_close(s);
	for (batch = 0; batch < most; batch++) {
		assert_int_equal(kept[batch], seen[batch] > 0);
		/* Never by half. */
		assert_true(seen[batch] == 0 || seen[batch] == sizes[batch]);
		if (p->fates[batch] == DELETED)
			assert_int_equal(seen[batch], 0);
		/* A batch that was answered may be gone only if a deletion was under way; from now
		 * on nobody touches it. */
		if (p->fates[batch] == MADE && seen[batch] == 0)
			p->fates[batch] = UNKNOWN;
		else if (p->fates[batch] == UNKNOWN && seen[batch] > 0)
			p->fates[batch] = MADE;
	}
	p->next = most;
	free(seen);
	free(kept);
	free(sizes);
}

/* Deletions that were under way are lost answers at most FLIGHT a round; more is a lost record. */
static unsigned int parent_gone(const struct parent *p, const uint8_t *before)
{
	unsigned int gone = 0;

	for (unsigned int batch = 0; batch < p->next; batch++)
		gone += before[batch] == MADE && p->fates[batch] != MADE;
	return gone;
}

static int64_t number(const char *directory, const char *sql)
{
	char path[FIXTURE_PATH_MAX];
	sqlite3_stmt *statement;
	sqlite3 *db;
	int64_t n;

	assert_int_equal(sqlite3_open(fixture_path(directory, "registry.db", path), &db),
			 SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	n = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return n;
}

static void test_killed_at_random(void **state)
{
	const char *want = getenv("VMAC_KILL_ROUNDS");
	unsigned long rounds = want ? strtoul(want, NULL, 10) : ROUNDS;
	struct parent p = { .fates = calloc(BATCHES, 1), .seed = (uint64_t)time(NULL) };
	uint8_t *before = malloc(BATCHES);

	fixture_directory(p.directory);
	print_message("seed %llu\n", (unsigned long long)p.seed);
	for (unsigned long i = 0; i < rounds; i++) {
		parent_kill_one(&p);
		memcpy(before, p.fates, BATCHES);
		parent_check(&p);
		assert_true(parent_gone(&p, before) <= FLIGHT);
	}
	print_message("%lu kills, %u answers\n", rounds, p.answers);
	assert_true(p.answers > rounds);
	/* Each row has its lines, and no line is without its change. */
	assert_int_equal(number(p.directory,
				"SELECT sum(CASE verb WHEN 'allocate' THEN 1 ELSE -1 END)"
				" FROM history"),
			 number(p.directory, "SELECT count(*) FROM vmac"));
	assert_int_equal(number(p.directory, "SELECT count(*) FROM vmac") -
				 number(p.directory, "SELECT count(DISTINCT key) FROM vmac"),
			 0);
	assert_int_equal(number(p.directory, "SELECT count(*) FROM history"),
			 number(p.directory, "SELECT max(seq) FROM history"));
	assert_int_equal(number(p.directory, "SELECT integrity_check = 'ok' FROM"
					     " pragma_integrity_check"),
			 1);
	fixture_remove(p.directory);
	free(p.fates);
	free(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
