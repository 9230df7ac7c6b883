#include "false_group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "balance/table.h"

struct false_event false_events[FALSE_EVENTS_MAX];
unsigned int false_event_count, false_inits;
struct group_config false_config;
char false_segment[64];
struct heartbeat false_heartbeat;
mono_t false_expiry = { INT64_MAX };
static struct group_effect said[GROUP_EFFECTS_MAX];
static unsigned int said_count;

void false_say(const struct group_effect *effects, unsigned int count)
{
	memcpy(said, effects, count * sizeof(*effects));
	said_count = count;
}

void false_forget(void)
{
	false_event_count = 0;
}

unsigned int false_told(enum group_event_kind kind, struct group_event *ret_last)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < false_event_count; i++)
		if (false_events[i].event.kind == kind) {
			n++;
			if (ret_last)
				*ret_last = false_events[i].event;
		}
	return n;
}

void group_init(struct group *g, const struct group_config *config, mono_t now)
{
	memset(g, 0, sizeof(*g));
	g->record = config->record;
	g->started = now;
	false_config = *config;
	snprintf(false_segment, sizeof(false_segment), "%s", config->segment);
	false_inits++;
}

unsigned int group_step(struct group *g, const struct group_event *event, mono_t now,
			struct group_effect ret[static GROUP_EFFECTS_MAX])
{
	const unsigned int n = said_count;

	assert_true(false_event_count < FALSE_EVENTS_MAX);
	false_events[false_event_count++] = (struct false_event){ g, *event, now };
	if (event->kind == GROUP_RECORD)
		g->record = event->record;
	memcpy(ret, said, n * sizeof(*said));
	said_count = 0;
	return n;
}

mono_t group_next_expiry(const struct group *g)
{
	return false_expiry;
}

void group_compose(const struct group *g, struct heartbeat *ret)
{
	*ret = false_heartbeat;
}

unsigned int group_choices(const struct group *g, struct balance_choice *ret, unsigned int max)
{
	for (unsigned int i = 0; i < g->record->member_count && i < max; i++)
		ret[i] = (struct balance_choice){ .id = g->record->members[i].id,
						  .weight = g->record->members[i].weight,
						  .fresh = true,
						  .known = true };
	return g->record->member_count;
}

const char *group_member_live(const struct group *g, uint16_t member)
{
	return member == 1 ? "up" : "absent";
}

uint16_t group_member_host(const struct group *g, uint16_t member)
{
	return member == 1 ? 5 : 0;
}

bool group_is_old(const struct group *g, const struct heartbeat *h)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++)
		if (g->peers[i].incarnation && memcmp(g->peers[i].host, h->host, 16) == 0)
			return g->peers[i].incarnation == h->incarnation &&
			       h->sequence <= g->peers[i].sequence;
	return false;
}

void group_overhear(struct group *g, const struct heartbeat *h, mono_t now)
{
}

bool group_asks(const struct group *g, uint64_t secret)
{
	return secret == 77;
}
