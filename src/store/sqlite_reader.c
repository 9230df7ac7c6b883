/* The thread that looks into the history, through a connection of its own. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "store/lines.h"
#include "store/sqlite.h"

void ask_free(struct ask *a)
{
	lines_done(&a->found);
	free(a->query);
	free(a);
}

static void ask_answer(struct sqlite_store *s, sqlite3 **db, struct ask *a)
{
	int r = 0;

	/* Opened when it is first needed, and again after a failure. */
	if (!*db)
		r = sqlite_connect(s->paths.main, false, db, &a->error);
	if (r == 0)
		r = history_read(*db, a->query, &a->found, &a->error);
	if (r < 0) {
		sqlite3_close(*db);
		*db = NULL;
	}
}

void *sqlite_reader_run(void *store)
{
	struct sqlite_store *s = store;
	sqlite3 *db = NULL;

	pthread_mutex_lock(&s->mutex);
	for (;;) {
		struct ask *a = ask_take(&s->reads);

		if (!a && s->stop)
			break;
		if (!a) {
			pthread_cond_wait(&s->read, &s->mutex);
			continue;
		}
		pthread_mutex_unlock(&s->mutex);
		ask_answer(s, &db, a);
		pthread_mutex_lock(&s->mutex);
		ask_put(&s->answered, a);
		eventfd_write(s->wake, 1);
	}
	pthread_mutex_unlock(&s->mutex);
	sqlite3_close(db);
	return NULL;
}
