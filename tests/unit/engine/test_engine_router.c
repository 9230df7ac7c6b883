/* Routers in the engine: what is refused, what becomes durable, and what the elections hear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../model/router_case.h"
#include "fake_elect.h"
#include "rig.h"
#include "store/mem.h"

static struct router_case c;
static const struct caller root = { "uid 0", "because", true };

static int begin(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	rig_elect = fake_elect();
	fake_call_count = 0;
	rig_open(r, "sqlite");
	engine_elect_start(r->engine);
	assert_string_equal(fake_said(), "R");
	*state = r;
	return 0;
}

static int end(void **state)
{
	rig_close(*state);
	free(*state);
	rig_elect = NULL;
	return 0;
}

static enum error_code add_by(struct rig *r, const struct caller *who, struct rig_answer *a)
{
	engine_router_add(r->engine, who, &c.r, rig_answered, a);
	rig_settle(r);
	return a->code;
}

/* NAME on eth0 with GROUP and 10.0.GROUP.1. */
static void make(const char *name, uint16_t group)
{
	char text[32];

	case_init(&c, ROUTER_VRRP3);
	snprintf(c.r.name, sizeof(c.r.name), "%s", name);
	c.r.set_count = c.sets[0].address_count = 0;
	snprintf(text, sizeof(text), "10.0.%u.1/24", group);
	case_set(&c, "eth0", group, text);
}

static enum error_code add(struct rig *r, const char *name, uint16_t group, struct rig_answer *a)
{
	make(name, group);
	return add_by(r, &rig_caller, a);
}

static enum error_code set(struct rig *r, const char *name, struct rig_answer *a)
{
	engine_router_set(r->engine, &rig_caller, name, &c.r, rig_answered, a);
	rig_settle(r);
	return a->code;
}

static enum error_code del(struct rig *r, const char *name, struct rig_answer *a)
{
	engine_router_delete(r->engine, &rig_caller, name, rig_answered, a);
	rig_settle(r);
	return a->code;
}

static void a_life(void **state)
{
	struct rig_answer a = { 0 };
	struct rig *r = *state;
	struct router_view v;
	struct error error;

	assert_int_equal(add(r, "gw", 7, &a), ERROR_NONE);
	assert_string_equal(fake_said(), "s:1:gw");
	assert_int_equal(engine_router_view(r->engine, "gw", &v, &error), 0);
	assert_int_equal(v.router->created.ms, rig_wall_ms);
	assert_int_equal(v.live->priority, 77);
	c.r.priority = 120;
	assert_int_equal(set(r, "gw", &a), ERROR_NONE);
	assert_string_equal(fake_said(), "s:1:gw");
	/* An equal one: answered, and nobody is told. */
	assert_int_equal(set(r, "gw", &a), ERROR_NONE);
	assert_string_equal(fake_said(), "");
	snprintf(c.r.name, sizeof(c.r.name), "gx");
	assert_int_equal(set(r, "gw", &a), ERROR_NONE);
	assert_string_equal(fake_said(), "s:1:gx");
	assert_int_equal(engine_router_view(r->engine, "gw", &v, &error),
			 -error_errno(ERROR_NOT_FOUND));
	assert_int_equal(del(r, "gw", &a), ERROR_NOT_FOUND);
	assert_int_equal(del(r, "gx", &a), ERROR_NONE);
	assert_string_equal(fake_said(), "r:1");
	/* While the first hands over, the next one has another number. */
	assert_int_equal(add(r, "gy", 7, &a), ERROR_NONE);
	assert_string_equal(fake_said(), "s:2:gy");
	assert_int_equal(engine_router_view(r->engine, "gy", &v, &error), 0);
	assert_null(v.live);
}

static void a_restart_knows_them(void **state)
{
	struct rig_answer a = { 0 };
	struct rig *r = *state;

	add(r, "one", 1, &a);
	add(r, "two", 2, &a);
	fake_said();
	rig_reopen(r);
	/* Before the start of elections nothing is said. */
	assert_int_equal(add(r, "three", 3, &a), ERROR_NONE);
	assert_string_equal(fake_said(), "");
	engine_elect_start(r->engine);
	assert_string_equal(fake_said(), "s:1:one s:2:two s:3:three R");
	engine_elect_start(r->engine);
	assert_string_equal(fake_said(), "");
}

static void refusals(void **state)
{
	struct rig_answer a = { 0 };
	struct rig *r = *state;

	assert_int_equal(add(r, "gw", 7, &a), ERROR_NONE);
	assert_int_equal(add(r, "gw", 8, &a), ERROR_NAME_IN_USE);
	assert_int_equal(add(r, "two", 7, &a), ERROR_IN_USE);
	make("two", 8);
	c.addresses[0][0].ip.octet[2] = 7;
	assert_int_equal(add_by(r, &rig_caller, &a), ERROR_ADDRESS_IN_USE);
	assert_non_null(strstr(a.message, "10.0.7.1"));
	make("two", 8);
	c.sets[0].has_mac = true;
	c.sets[0].mac = vmac_mac_from_u64(0x00005e000107);
	assert_int_equal(add_by(r, &rig_caller, &a), ERROR_IN_USE);
	make("two", 8);
	c.r.priority = 0;
	assert_int_equal(add_by(r, &rig_caller, &a), ERROR_BAD_VALUE);
	/* Another family, another link, another kind of groups: no clash. */
	make("six", 7);
	c.sets[0].address_count = 0;
	case_address(&c, 0, "fe80::1");
	c.sets[0].family = 6;
	assert_int_equal(add_by(r, &rig_caller, &a), ERROR_NONE);
	make("link", 7);
	snprintf(c.sets[0].ifname, sizeof(c.sets[0].ifname), "eth1");
	c.addresses[0][0].ip.octet[2] = 70;
	assert_int_equal(add_by(r, &rig_caller, &a), ERROR_NONE);
	make("hsrp", 7);
	c.addresses[0][0].ip.octet[2] = 71;
	router_defaults(&c.r, ROUTER_HSRP2);
	snprintf(c.r.name, sizeof(c.r.name), "hsrp");
	c.r.sets = c.sets;
	c.r.set_count = 1;
	assert_int_equal(add_by(r, &rig_caller, &a), ERROR_NONE);
	/* CARP's numbers are VRRP's. */
	case_init(&c, ROUTER_CARP);
	c.addresses[0][0].ip.octet[2] = 72;
	snprintf(c.r.name, sizeof(c.r.name), "carp");
	assert_int_equal(add_by(r, &rig_caller, &a), ERROR_IN_USE);
	/* A change that would clash leaves all as it is. */
	fake_said();
	make("link", 7);
	c.addresses[0][0].ip.octet[2] = 70;
	assert_int_equal(set(r, "link", &a), ERROR_IN_USE);
	assert_string_equal(fake_said(), "");
}

static void a_station_has_the_address(void **state)
{
	struct rig_answer a = { 0 };
	struct rig *r = *state;
	struct segment_add segment = { .name = "lan", .uplink = "eth0" };

	engine_segment_add(r->engine, &rig_caller, &segment, rig_answered, &a);
	rig_settle(r);
	assert_int_equal(a.code, ERROR_NONE);
	assert_int_equal(rig_given(r, "0a:00:00:00:00:05", true, "vm", &a), ERROR_NONE);
	make("gw", 7);
	c.sets[0].has_mac = true;
	c.sets[0].mac = vmac_mac_from_u64(0x0a0000000005);
	assert_int_equal(add_by(r, &rig_caller, &a), ERROR_ADDRESS_IN_USE);
	assert_non_null(strstr(a.message, "lan"));
	snprintf(c.sets[0].ifname, sizeof(c.sets[0].ifname), "eth1");
	assert_int_equal(add_by(r, &rig_caller, &a), ERROR_NONE);
}

static void programs_are_for_root(void **state)
{
	struct rig_answer a = { 0 };
	struct rig *r = *state;

	make("gw", 7);
	c.r.notify = "/etc/vmac/notify";
	assert_int_equal(add_by(r, &rig_caller, &a), ERROR_FORBIDDEN);
	make("gw", 7);
	case_track(&c, ROUTER_TRACK_SCRIPT, "/bin/true");
	assert_int_equal(add_by(r, &rig_caller, &a), ERROR_FORBIDDEN);
	assert_true(a.hint[0]);
	c.r.notify = "/etc/vmac/notify";
	assert_int_equal(add_by(r, &root, &a), ERROR_NONE);
	/* What root has named may stay, but not become another. */
	c.r.priority = 50;
	assert_int_equal(set(r, "gw", &a), ERROR_NONE);
	c.r.notify = "/tmp/mine";
	assert_int_equal(set(r, "gw", &a), ERROR_FORBIDDEN);
	c.r.notify = "/etc/vmac/notify";
	snprintf(c.targets[0], sizeof(c.targets[0]), "/tmp/mine");
	assert_int_equal(set(r, "gw", &a), ERROR_FORBIDDEN);
	c.r.notify = "";
	c.r.track_count = 0;
	assert_int_equal(set(r, "gw", &a), ERROR_NONE);
}

static void a_disk_that_refuses(void **state)
{
	struct rig_answer a = { 0 };
	struct rig r;
	struct router_view v;
	struct error error;

	rig_open(&r, "mem");
	engine_elect_start(r.engine);
	assert_int_equal(add(&r, "gw", 7, &a), ERROR_NONE);
	fake_said();
	store_mem_fail_next(r.store, 1, ERROR_REGISTRY_FULL);
	c.r.priority = 7;
	assert_int_equal(set(&r, "gw", &a), ERROR_REGISTRY_FULL);
	assert_int_equal(engine_router_view(r.engine, "gw", &v, &error), 0);
	assert_int_equal(v.router->priority, 100);
	store_mem_fail_next(r.store, 1, ERROR_REGISTRY_FULL);
	assert_int_equal(del(&r, "gw", &a), ERROR_REGISTRY_FULL);
	store_mem_fail_next(r.store, 1, ERROR_REGISTRY_FULL);
	assert_int_equal(add(&r, "two", 8, &a), ERROR_REGISTRY_FULL);
	assert_int_equal(engine_router_view(r.engine, "gw", &v, &error), 0);
	assert_true(engine_router_view(r.engine, "two", &v, &error) < 0);
	assert_string_equal(fake_said(), "");
	rig_close(&r);
}

/* --- the configuration file ------------------------------------------------------------------ */

static struct router *block(void)
{
	return router_block_fill(malloc(router_block_size(&c.r)), &c.r);
}

static enum error_code apply(struct rig *r, struct router **list, size_t count,
			     struct rig_answer *a)
{
	unsigned int before = a->count;

	engine_routers_apply(r->engine, &root, (const struct router *const *)list, count,
			     rig_answered, a);
	rig_settle(r);
	assert_int_equal(a->count, before + 1);
	return a->code;
}

static void the_file_is_applied(void **state)
{
	struct router *list[3], *swapped[2];
	struct rig_answer a = { 0 };
	struct rig *r = *state;

	assert_int_equal(add(r, "hand", 9, &a), ERROR_NONE);
	make("one", 1);
	list[0] = block();
	make("two", 2);
	list[1] = block();
	assert_int_equal(apply(r, list, 2, &a), ERROR_NONE);
	assert_string_equal(fake_said(), "s:1:hand s:2:one s:3:two");
	/* A reload of an equal file: no txn, nobody is told. */
	assert_int_equal(apply(r, list, 2, &a), ERROR_NONE);
	assert_string_equal(fake_said(), "");
	/* They are the file's. */
	make("one", 1);
	assert_int_equal(set(r, "one", &a), ERROR_WRONG_STATE);
	assert_non_null(strstr(a.hint, "reload"));
	assert_int_equal(del(r, "one", &a), ERROR_WRONG_STATE);
	/* Two swap their groups, and addresses. */
	make("one", 2);
	swapped[0] = block();
	make("two", 1);
	swapped[1] = block();
	assert_int_equal(apply(r, swapped, 2, &a), ERROR_NONE);
	assert_string_equal(fake_said(), "s:2:one s:3:two");
	/* One that clashes takes the whole file down, and nothing changes. */
	make("three", 9);
	list[2] = block();
	assert_int_equal(apply(r, list, 3, &a), ERROR_IN_USE);
	assert_non_null(strstr(a.message, "router 'three'"));
	assert_string_equal(fake_said(), "");
	assert_int_equal(apply(r, swapped, 2, &a), ERROR_NONE);
	assert_string_equal(fake_said(), "");
	/* Another name for the same group is no new router. */
	free(list[2]);
	make("uno", 2);
	list[2] = block();
	free(swapped[0]);
	swapped[0] = list[2];
	assert_int_equal(apply(r, swapped, 2, &a), ERROR_NONE);
	assert_string_equal(fake_said(), "s:2:uno");
	/* What the file does not name any more goes; what was added by hand stays. */
	assert_int_equal(apply(r, swapped, 1, &a), ERROR_NONE);
	assert_string_equal(fake_said(), "r:3");
	assert_int_equal(apply(r, NULL, 0, &a), ERROR_NONE);
	assert_string_equal(fake_said(), "r:2");
	/* What was added by hand and is now in the file becomes the file's. */
	make("hand", 9);
	free(list[0]);
	list[0] = block();
	assert_int_equal(apply(r, list, 1, &a), ERROR_NONE);
	assert_int_equal(del(r, "hand", &a), ERROR_WRONG_STATE);
	free(list[0]);
	free(list[1]);
	free(swapped[0]);
	free(swapped[1]);
}

/* --- views and events ------------------------------------------------------------------------ */

struct seen {
	char text[256];
	unsigned int count;
};

static void see(void *ctx, const struct router_view *v)
{
	struct seen *s = ctx;

	snprintf(s->text + strlen(s->text), sizeof(s->text) - strlen(s->text), "%s ",
		 v->router->name);
}

static void see_transition(void *ctx, const struct elect_event *event)
{
	struct seen *s = ctx;

	snprintf(s->text + strlen(s->text), sizeof(s->text) - strlen(s->text), "%s>%s ",
		 event->from, event->to);
}

static void see_event(void *ctx, const struct engine_event *event)
{
	struct seen *s = ctx;

	snprintf(s->text, sizeof(s->text), "%s %s %s: %s>%s (%s)", event->what, event->verb,
		 event->subject, event->from, event->to, event->reason);
	s->count++;
}

static void what_is_seen(void **state)
{
	struct seen seen = { 0 }, history = { 0 }, events = { 0 };
	struct rig_answer a = { 0 };
	struct rig *r = *state;
	struct engine_status status;
	struct elect_facts facts;
	struct error error;

	add(r, "b", 1, &a);
	add(r, "a", 2, &a);
	engine_routers(r->engine, see, &seen);
	assert_string_equal(seen.text, "a b ");
	assert_int_equal(engine_router_history(r->engine, "b", see_transition, &history, &error),
			 0);
	assert_string_equal(history.text, "backup>active initialize>backup ");
	assert_true(engine_router_history(r->engine, "x", see_transition, &history, &error) < 0);
	engine_status(r->engine, &status);
	assert_int_equal(status.routers, 2);
	assert_true(engine_elections(r->engine, &facts));
	assert_int_equal(facts.routers, 5);
	engine_subscribe(r->engine, see_event, &events);
	fake_event = (struct elect_event){ .name = "b",
					   .transition = true,
					   .from = "backup",
					   .to = "active",
					   .reason = "silence",
					   .detail = "peer 10.0.0.2" };
	engine_elect_ready(r->engine);
	assert_string_equal(events.text,
			    "router transition b: backup>active (silence: peer 10.0.0.2)");
	fake_event.transition = false;
	fake_event.detail[0] = '\0';
	engine_elect_ready(r->engine);
	assert_string_equal(events.text, "router note b: backup>active (silence)");
	del(r, "a", &a);
	assert_int_equal(events.count, 3);
	assert_non_null(strstr(events.text, "router delete a: enabled"));
}

static void nobody_elects(void **state)
{
	struct rig_answer a = { 0 };
	struct elect_facts facts;
	struct router_view v;
	struct error error;
	struct rig r;

	rig_elect = NULL;
	rig_open(&r, "mem");
	engine_elect_start(r.engine);
	assert_int_equal(add(&r, "gw", 7, &a), ERROR_NONE);
	assert_int_equal(engine_router_view(r.engine, "gw", &v, &error), 0);
	assert_null(v.live);
	assert_false(engine_elections(r.engine, &facts));
	assert_string_equal(fake_said(), "");
	rig_close(&r);
	rig_elect = fake_elect();
}

/* Whatever passes the rules comes back after a restart as it went in. */
static void random_routers_live_on(void **state)
{
	struct rig *r = *state;
	struct rig_answer a = { 0 };
	unsigned int added = 0;

	for (uint64_t seed = 1; seed <= 150; seed++) {
		case_random(&c, seed);
		snprintf(c.r.name, sizeof(c.r.name), "r%llu", (unsigned long long)seed);
		added += add_by(r, &root, &a) == ERROR_NONE;
	}
	assert_true(added > 1);
	rig_reopen(r);
	for (uint64_t seed = 1; seed <= 150; seed++) {
		struct router_view v;
		struct error error;

		case_random(&c, seed);
		snprintf(c.r.name, sizeof(c.r.name), "r%llu", (unsigned long long)seed);
		c.r.from_file = false;
		if (engine_router_view(r->engine, c.r.name, &v, &error) < 0)
			continue;
		assert_true(router_equal(v.router, &c.r));
		added--;
	}
	assert_int_equal(added, 0);
	fake_call_count = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
		TEST(a_life),
		TEST(a_restart_knows_them),
		TEST(refusals),
		TEST(a_station_has_the_address),
		TEST(programs_are_for_root),
		TEST(a_disk_that_refuses),
		TEST(the_file_is_applied),
		TEST(what_is_seen),
		TEST(nobody_elects),
		TEST(random_routers_live_on),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
