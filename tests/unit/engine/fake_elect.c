#include "fake_elect.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct elect {
	int nothing;
};

struct fake_call fake_calls[FAKE_CALLS_MAX];
unsigned int fake_call_count;
struct elect_event fake_event;

struct elect *fake_elect(void)
{
	static struct elect one;

	return &one;
}

static void note(char what, uint32_t id, const char *name)
{
	struct fake_call *c = &fake_calls[fake_call_count++ % FAKE_CALLS_MAX];

	*c = (struct fake_call){ .what = what, .id = id };
	snprintf(c->name, sizeof(c->name), "%s", name);
}

const char *fake_said(void)
{
	static char text[4096];
	size_t used = 0;

	text[0] = '\0';
	assert(fake_call_count < 40);
	for (unsigned int i = 0; i < fake_call_count; i++) {
		const struct fake_call *c = &fake_calls[i];

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%c", i ? " " : "",
					 c->what);
		if (c->id)
			used += (size_t)snprintf(text + used, sizeof(text) - used, ":%u", c->id);
		if (c->name[0])
			used += (size_t)snprintf(text + used, sizeof(text) - used, ":%s", c->name);
	}
	fake_call_count = 0;
	return text;
}

void elect_ready(struct elect *e)
{
	note('R', 0, "");
}

void elect_set(struct elect *e, const struct router *r)
{
	note('s', r->id, r->name);
}

void elect_remove(struct elect *e, uint32_t id)
{
	note('r', id, "");
}

void elect_dispatch(struct elect *e, void (*fn)(void *ctx, const struct elect_event *event),
		    void *ctx)
{
	fn(ctx, &fake_event);
}

bool elect_look(struct elect *e, uint32_t id, struct elect_view *ret)
{
	*ret = (struct elect_view){ .state = "backup", .reason = "started", .priority = 77 };
	return id != 2;
}

unsigned int elect_history(struct elect *e, uint32_t id, struct elect_event *ret, unsigned int max)
{
	assert(max == ELECT_HISTORY_MAX);
	ret[0] = (struct elect_event){ .router = id, .from = "backup", .to = "active", .seq = 2 };
	ret[1] = (struct elect_event){
		.router = id, .from = "initialize", .to = "backup", .seq = 1
	};
	return 2;
}

void elect_links(struct elect *e,
		 void (*fn)(void *ctx, const char *ifname, uint64_t received, uint64_t overflowed,
			    const uint64_t verdicts[VERDICT_COUNT]),
		 void *ctx)
{
	uint64_t verdicts[VERDICT_COUNT] = { 0 };

	fn(ctx, "eth0", 1, 0, verdicts);
}

void elect_facts(struct elect *e, struct elect_facts *ret)
{
	*ret = (struct elect_facts){ .routers = 5 };
}
