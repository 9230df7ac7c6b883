/* A group machine that does what a test says, and remembers what it was told. */
#pragma once

#include "balance/group.h"

#define FALSE_EVENTS_MAX 4096

struct false_event {
	const struct group *group;
	struct group_event event;
	mono_t now;
};
extern struct false_event false_events[FALSE_EVENTS_MAX];
extern unsigned int false_event_count, false_inits;
extern struct group_config false_config; /* of the last group_init() */
extern char false_segment[64];

/* What the next group_step() says. */
void false_say(const struct group_effect *effects, unsigned int count);
/* How often that kind was told since false_forget(); the last of them. */
unsigned int false_told(enum group_event_kind kind, struct group_event *ret_last);
void false_forget(void);
/* The next heartbeat, and when the time is to be told. */
extern struct heartbeat false_heartbeat;
extern mono_t false_expiry;
