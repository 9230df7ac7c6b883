/* Elections that only note what they are told. */
#pragma once

#include "elect/elect.h"

#define FAKE_CALLS_MAX 4096

struct fake_call {
	char what; /* 's' set, 'r' remove, 'R' ready */
	uint32_t id;
	char name[NAME_MAX_LEN + 1];
};

extern struct fake_call fake_calls[FAKE_CALLS_MAX];
extern unsigned int fake_call_count;

/* "s:1:gw r:2 R", and forgets them; static memory. */
const char *fake_said(void);

/* What elect_dispatch() hands out next. */
extern struct elect_event fake_event;

/* There is only one, and it needs no memory. */
struct elect *fake_elect(void);
