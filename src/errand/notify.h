/* Inside of the errands: the queues of what programs are to be told, one a router. */
#pragma once

#include "errand/probe.h"

struct news;
struct notifier {
	struct teller *tellers; /* that have something to tell or are telling */
	unsigned int running;
	uint64_t told, lost;
};

/* NULL: out of memory. */
struct news *news_new(const struct errand_news *news);
void news_free(struct news *n);

/* Takes the news over. */
void notifier_add(struct notifier *t, struct news *n);
/* Begins, ends what is overdue, reaps; returns when to come back. */
mono_t notifier_turn(struct notifier *t, mono_t now);
unsigned int notifier_wait(struct notifier *t, struct pollfd *fds, unsigned int max);
bool notifier_idle(const struct notifier *t);
void notifier_done(struct notifier *t); /* kills */
