/* Routers of the fake engine: kept as blocks, one of them ("active") with a live state. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_inside.h"

static struct router *routers[FAKE_MAX];

static int at(const char *name)
{
	for (int i = 0; i < FAKE_MAX; i++)
		if (routers[i] && strcmp(routers[i]->name, name) == 0)
			return i;
	return -1;
}

static struct router *block_of(const struct router *r, int i)
{
	struct router copy = *r;

	copy.id = (uint32_t)i + 1;
	copy.created.ms = copy.changed.ms = 1790000000000;
	return router_block_fill(malloc(router_block_size(&copy)), &copy);
}

void fake_routers_free(void)
{
	for (int i = 0; i < FAKE_MAX; i++) {
		free(routers[i]);
		routers[i] = NULL;
	}
}

void engine_router_add(struct engine *e, const struct caller *c, const struct router *r,
		       answer_fn done, void *ctx)
{
	struct error error;
	int i = 0;

	if (router_check(r, &error) < 0) {
		fake_refuse(e, done, ctx, &error);
		return;
	}
	if (!c->root && r->notify[0]) {
		error_set(&error, ERROR_FORBIDDEN, "ask as root", "notify is for root");
		fake_refuse(e, done, ctx, &error);
		return;
	}
	if (at(r->name) >= 0) {
		error_set(&error, ERROR_NAME_IN_USE, NULL, "router %s is there", r->name);
		fake_refuse(e, done, ctx, &error);
		return;
	}
	while (routers[i])
		i++;
	assert(i < FAKE_MAX);
	routers[i] = block_of(r, i);
	fake_accept(e, c, "router", "create", r->name, done, ctx)->answer.router = routers[i];
}

void engine_router_set(struct engine *e, const struct caller *c, const char *name,
		       const struct router *r, answer_fn done, void *ctx)
{
	struct router *before;
	struct error error;
	int i = at(name);

	assert(i >= 0); /* the API has just looked */
	if (router_check(r, &error) < 0) {
		fake_refuse(e, done, ctx, &error);
		return;
	}
	before = routers[i];
	routers[i] = block_of(r, i);
	free(before);
	fake_accept(e, c, "router", "change", name, done, ctx)->answer.router = routers[i];
}

void engine_router_delete(struct engine *e, const struct caller *c, const char *name,
			  answer_fn done, void *ctx)
{
	struct error error;
	int i = at(name);

	if (i < 0) {
		fake_not_found("router", name, &error);
		fake_refuse(e, done, ctx, &error);
		return;
	}
	fake_accept(e, c, "router", "delete", name, done, ctx);
	free(routers[i]);
	routers[i] = NULL;
}

/* --- views ----------------------------------------------------------------------------------- */

static const struct elect_view *live(const struct router *r)
{
	static struct elect_view v;

	if (strcmp(r->name, "active") != 0)
		return NULL;
	v = (struct elect_view){
		.state = "active",
		.reason = "silence",
		.priority = 110,
		.since.ms = 1790000000000,
		.embodied = true,
		.lease_ms = 2500,
		.active = { .family = 4, .octet = { 10, 0, 0, 2 } },
		.active_priority = 110,
		.interval_ms = 1000,
		.hold_ms = 3609,
		.checksum = "pseudo-header",
		.sent = 12,
		.received = 3,
		.transitions = 2,
		.set_count = 1,
		.track_count = 1,
	};
	v.verdicts[VERDICT_ACCEPTED] = 3;
	v.verdicts[VERDICT_AUTH_FAILED] = 1;
	v.sets[0].ifindex = 7;
	snprintf(v.sets[0].device, sizeof(v.sets[0].device), "vr1.0");
	v.sets[0].mac = router_set_mac(r, &r->sets[0]);
	v.tracks[0].up = v.tracks[0].known = true;
	return &v;
}

int engine_router_view(struct engine *e, const char *name, struct router_view *ret,
		       struct error *ret_error)
{
	int i = at(name);

	if (i < 0)
		return fake_not_found("router", name, ret_error);
	*ret = (struct router_view){ routers[i], live(routers[i]) };
	return 0;
}

void engine_routers(struct engine *e, void (*fn)(void *ctx, const struct router_view *v), void *ctx)
{
	for (int i = 0; i < FAKE_MAX; i++)
		if (routers[i])
			fn(ctx, &(struct router_view){ routers[i], live(routers[i]) });
}

int engine_router_history(struct engine *e, const char *name,
			  void (*fn)(void *ctx, const struct elect_event *event), void *ctx,
			  struct error *ret_error)
{
	struct elect_event event = { .at.ms = 1790000000000,
				     .transition = true,
				     .from = "backup",
				     .to = "active",
				     .reason = "silence",
				     .detail = "peer 10.0.0.2",
				     .priority = 110,
				     .seq = 2 };

	if (at(name) < 0)
		return fake_not_found("router", name, ret_error);
	fn(ctx, &event);
	return 0;
}

bool engine_elections(struct engine *e, struct elect_facts *ret)
{
	*ret = (struct elect_facts){ .routers = 1, .active = 1, .links = 1, .sockets = 3 };
	return true;
}

void engine_election_links(struct engine *e,
			   void (*fn)(void *ctx, const char *ifname, uint64_t received,
				      uint64_t overflowed, const uint64_t verdicts[VERDICT_COUNT]),
			   void *ctx)
{
	uint64_t verdicts[VERDICT_COUNT] = { [VERDICT_CHECKSUM] = 4 };

	fn(ctx, "eth9", 9, 0, verdicts);
}

const char *engine_verdict_name(unsigned int verdict)
{
	return verdict == VERDICT_AUTH_FAILED ? "auth_failed" : "checksum";
}

const char *engine_election_state_name(unsigned int state)
{
	return state == FHRP_ACTIVE ? "active" : "backup";
}
