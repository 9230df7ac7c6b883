/* Telling programs of transitions: see errands.h for what they are told and how. */
#include "errand/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct news {
	struct news *next;
	uint32_t router;
	uint8_t priority;
	const char *from, *to, *reason;
	char name[NAME_MAX_LEN + 1];
	char detail[128];
	char program[];
};

struct teller {
	struct teller *next;
	uint32_t router;
	unsigned int count;
	struct news *first, **last;
	struct run run;
};

struct news *news_new(const struct errand_news *news)
{
	size_t len = strlen(news->program) + 1;
	struct news *n = calloc(1, sizeof(*n) + len);

	if (!n)
		return NULL;
	n->router = news->router;
	n->priority = news->priority;
	n->from = news->from;
	n->to = news->to;
	n->reason = news->reason;
	snprintf(n->name, sizeof(n->name), "%s", news->name);
	snprintf(n->detail, sizeof(n->detail), "%s", news->detail);
	memcpy(n->program, news->program, len);
	return n;
}

void news_free(struct news *n)
{
	free(n);
}

static struct news *teller_take(struct teller *t)
{
	struct news *n = t->first;

	t->first = n->next;
	if (!t->first)
		t->last = &t->first;
	t->count--;
	return n;
}

void notifier_add(struct notifier *all, struct news *n)
{
	struct teller *t = all->tellers;

	while (t && t->router != n->router)
		t = t->next;
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t) {
			all->lost++;
			news_free(n);
			return;
		}
		t->router = n->router;
		t->last = &t->first;
		t->next = all->tellers;
		all->tellers = t;
	}
	if (t->count == NOTIFY_QUEUE_MAX) {
		news_free(teller_take(t));
		all->lost++;
	}
	*t->last = n;
	t->last = &n->next;
	t->count++;
}

static int news_run(const struct news *n, struct run *run, struct error *ret_error)
{
	char priority[4], text[6][192];
	char *argv[] = { (char *)n->program, (char[]){ "router" }, (char *)n->name, (char *)n->from,
			 (char *)n->to,	     (char *)n->reason,	   priority,	    NULL };
	char *environment[] = { (char[]){ "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
					  "/sbin:/bin" },
				text[0],
				text[1],
				text[2],
				text[3],
				text[4],
				text[5],
				NULL };

	snprintf(priority, sizeof(priority), "%u", n->priority);
	snprintf(text[0], sizeof(text[0]), "VMAC_ROUTER=%s", n->name);
	snprintf(text[1], sizeof(text[1]), "VMAC_FROM=%s", n->from);
	snprintf(text[2], sizeof(text[2]), "VMAC_TO=%s", n->to);
	snprintf(text[3], sizeof(text[3]), "VMAC_REASON=%s", n->reason);
	snprintf(text[4], sizeof(text[4]), "VMAC_PRIORITY=%s", priority);
	snprintf(text[5], sizeof(text[5]), "VMAC_DETAIL=%s", n->detail);
	return run_begin(run, n->program, argv, environment, SPAN_MS(NOTIFY_TIMEOUT_MS), ret_error);
}

static void teller_begin(struct notifier *all, struct teller *t)
{
	while (t->first && !t->run.pid && all->running < PROGRAMS_MAX) {
		struct news *n = teller_take(t);
		struct error error;

		if (news_run(n, &t->run, &error) < 0) {
			log_warning("router %s: not told: %s", n->name, error.message);
			all->lost++;
		} else {
			all->running++;
		}
		news_free(n);
	}
}

static void teller_look(struct notifier *all, struct teller *t)
{
	int status;

	if (!run_look(&t->run, &status))
		return;
	all->running--;
	if (t->run.overdue)
		all->lost++;
	else
		all->told++;
}

static void teller_free(struct teller *t)
{
	while (t->first)
		news_free(teller_take(t));
	free(t);
}

mono_t notifier_turn(struct notifier *all, mono_t now)
{
	mono_t next = MONO_NEVER;
	struct teller **at = &all->tellers;

	while (*at) {
		struct teller *t = *at;

		run_overdue(&t->run, now);
		teller_look(all, t);
		teller_begin(all, t);
		if (!t->run.pid && !t->first) {
			*at = t->next;
			teller_free(t);
			continue;
		}
		if (t->run.pid && !t->run.overdue && t->run.deadline.ns < next.ns)
			next = t->run.deadline;
		at = &t->next;
	}
	return next;
}

unsigned int notifier_wait(struct notifier *all, struct pollfd *fds, unsigned int max)
{
	unsigned int n = 0;

	for (struct teller *t = all->tellers; t && n < max; t = t->next)
		if (t->run.pid)
			fds[n++] = (struct pollfd){ .fd = t->run.fd, .events = POLLIN };
	return n;
}

bool notifier_idle(const struct notifier *all)
{
	return !all->tellers;
}

void notifier_done(struct notifier *all)
{
	while (all->tellers) {
		struct teller *t = all->tellers;

		all->tellers = t->next;
		all->lost += t->count + (t->run.pid != 0);
		run_end(&t->run);
		teller_free(t);
	}
}
