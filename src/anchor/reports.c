/* What the engine is told: the newest of each state, and notes, in the order in which they came.
 *
 * To install, to commit, to hold have a place of their own a cluster, so that none of them is ever
 * lost; a note that finds no memory is. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "anchor/thread.h"

#define DISPATCH_MAX 1024

void reports_init(struct anchors *a)
{
	a->reports.next = a->reports.prev = &a->reports;
}

static void unlink_report(struct report *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->queued = false;
}

static void append_report(struct anchors *a, struct report *n)
{
	n->next = &a->reports;
	n->prev = a->reports.prev;
	n->prev->next = n->next->prev = n;
	n->queued = true;
}

static struct report *place_of(struct anchors *a, uint32_t cluster, enum anchor_report_kind kind,
			       unsigned int face)
{
	struct mailbox *m = &a->mailboxes[cluster];

	switch (kind) {
	case ANCHOR_INSTALL:
		m->install.choices = m->choices;
		return &m->install;
	case ANCHOR_COMMIT:
		return &m->commit;
	case ANCHOR_HOLD:
		return &m->holds[face];
	case ANCHOR_NOTE:
	case ANCHOR_ALARM:
	case ANCHOR_REPORT_COUNT:
		break;
	}
	return NULL;
}

void report_add(struct anchors *a, const struct anchor_report *r)
{
	const bool is_note = r->kind == ANCHOR_NOTE || r->kind == ANCHOR_ALARM;
	struct report *note = is_note ? calloc(1, sizeof(*note)) : NULL, *n;

	pthread_mutex_lock(&a->queues);
	n = place_of(a, r->cluster, r->kind, r->face);
	if (note && a->note_count < NOTES_MAX) {
		a->note_count++;
		note->note = true;
		n = note;
		note = NULL;
	}
	if (n) {
		if (n->queued)
			unlink_report(n);
		n->report = *r;
		if (n->choices)
			memcpy(n->choices, r->choices, r->choice_count * sizeof(*r->choices));
		append_report(a, n);
		n->stands = true;
	}
	pthread_mutex_unlock(&a->queues);
	free(note);
	eventfd_write(a->reports_fd, 1);
}

void anchor_again(struct anchors *a, uint32_t cluster, enum anchor_report_kind kind)
{
	struct report *n = place_of(a, cluster, kind, 0);

	pthread_mutex_lock(&a->queues);
	if (n && n->stands && !n->queued)
		append_report(a, n);
	pthread_mutex_unlock(&a->queues);
	eventfd_write(a->reports_fd, 1);
}

void reports_forget(struct anchors *a, uint32_t cluster)
{
	struct mailbox *m = &a->mailboxes[cluster];

	pthread_mutex_lock(&a->queues);
	if (m->install.queued)
		unlink_report(&m->install);
	if (m->commit.queued)
		unlink_report(&m->commit);
	m->install.stands = m->commit.stands = false;
	pthread_mutex_unlock(&a->queues);
}

/* The first, out of the queue: its place is free for the next at once. */
static bool report_take(struct anchors *a, struct anchor_report *ret)
{
	struct report *n, *note = NULL;

	pthread_mutex_lock(&a->queues);
	n = a->reports.next;
	if (n != &a->reports) {
		unlink_report(n);
		*ret = n->report;
		ret->choices = NULL;
		if (n->choices) {
			memcpy(a->telling, n->choices,
			       n->report.choice_count * sizeof(*n->choices));
			ret->choices = a->telling;
		}
		if (n->note) {
			a->note_count--;
			note = n;
		}
	}
	pthread_mutex_unlock(&a->queues);
	free(note);
	return n != &a->reports;
}

int anchor_fd(const struct anchors *a)
{
	return a->reports_fd;
}

void anchor_dispatch(struct anchors *a, void (*fn)(void *ctx, const struct anchor_report *r),
		     void *ctx)
{
	struct anchor_report r;
	eventfd_t ignored;
	unsigned int n = 0;

	eventfd_read(a->reports_fd, &ignored);
	while (n < DISPATCH_MAX && report_take(a, &r)) {
		fn(ctx, &r);
		n++;
	}
	if (n == DISPATCH_MAX) /* more another time: others wait for the caller, too */
		eventfd_write(a->reports_fd, 1);
	thread_reap(a);
}

static void on_nothing(void *ctx, const struct anchor_report *r)
{
}

void reports_free(struct anchors *a)
{
	while (a->reports.next != &a->reports)
		anchor_dispatch(a, on_nothing, NULL);
}
