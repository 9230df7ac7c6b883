/* One machine under test, with what the last step wanted. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "migrate/migrate.h"

enum { A = 1, B = 2, C = 3 }; /* hosts; this one is A unless said otherwise */

struct rig {
	struct migrate m;
	mono_t now;
	unsigned int count, alarms, announces;
	uint8_t alarm; /* the last one's reason */
	struct migrate_effect effects[MIGRATE_EFFECTS_MAX];
};

static inline struct uuid host(int n)
{
	return (struct uuid){ .octet = { [15] = (uint8_t)n } };
}

static inline struct uuid move(int n)
{
	return (struct uuid){ .octet = { [0] = (uint8_t)n } };
}

static inline const struct migrate_effect *find(const struct rig *t, enum migrate_effect_kind k)
{
	for (unsigned int i = 0; i < t->count; i++)
		if (t->effects[i].kind == k)
			return &t->effects[i];
	return NULL;
}

static inline void step(struct rig *t, struct migrate_event e)
{
	t->count = migrate_step(&t->m, &e, t->now, t->effects);
	for (unsigned int i = 0; i < t->count; i++) {
		t->announces += t->effects[i].kind == MIGRATE_ANNOUNCE;
		if (t->effects[i].kind != MIGRATE_ALARM)
			continue;
		t->alarms++;
		t->alarm = t->effects[i].reason;
	}
}

static inline void happen(struct rig *t, enum migrate_event_kind k)
{
	step(t, (struct migrate_event){ .kind = k });
}

static inline void pass(struct rig *t, span_t s)
{
	t->now = mono_after(t->now, s);
	happen(t, MIGRATE_TIME);
}

static inline void record_of(struct rig *t, enum shared_vmac_state state, int holder, int to,
			     int mv, uint64_t epoch)
{
	const struct shared_vmac r = {
		.segment = "lan",
		.state = (uint8_t)state,
		.holder = host(holder),
		.to = host(to),
		.move = move(mv),
		.epoch = epoch,
		.lifetime_ms = 60000,
	};

	step(t, (struct migrate_event){ .kind = MIGRATE_RECORD, .record = &r });
}

static inline void held_by(struct rig *t, int holder, uint64_t epoch)
{
	record_of(t, SHARED_HELD, holder, 0, 0, epoch);
}

static inline void moving(struct rig *t, int holder, int to, uint64_t epoch)
{
	record_of(t, SHARED_MOVING, holder, to, 1, epoch);
}

static inline void no_record(struct rig *t)
{
	happen(t, MIGRATE_RECORD);
}

static inline void ask_by(struct rig *t, int by, enum ask_why why, const char *refused)
{
	const struct shared_ask a = { .segment = "lan",
				      .why = (uint8_t)why,
				      .host = host(by),
				      .move = move(why == ASK_PREPARE),
				      .lifetime_ms = 60000,
				      .refused = refused };

	step(t, (struct migrate_event){ .kind = MIGRATE_ASK, .ask = &a });
}

static inline void ask_gone(struct rig *t)
{
	happen(t, MIGRATE_ASK);
}

static inline void prepare(struct rig *t)
{
	step(t, (struct migrate_event){
			.kind = MIGRATE_PREPARE, .move = move(1), .lifetime_ms = 60000 });
}

static inline void tag_of(struct rig *t, int by, uint64_t epoch)
{
	step(t, (struct migrate_event){ .kind = MIGRATE_TAG, .host = host(by), .epoch = epoch });
}

static inline void dead(struct rig *t, int who)
{
	step(t, (struct migrate_event){ .kind = MIGRATE_HOST_DEAD, .host = host(who) });
}

static inline void port_up(struct rig *t, uint64_t epoch)
{
	step(t, (struct migrate_event){ .kind = MIGRATE_PORT_UP, .epoch = epoch });
}

static inline struct rig new_rig(int self)
{
	const struct uuid u = host(self);
	struct rig t = { .now = { SPAN_S(1).ns } };

	migrate_init(&t.m, &u, true);
	return t;
}

/* A holds it at epoch 5, with a port. */
static inline struct rig holder(void)
{
	struct rig t = new_rig(A);

	port_up(&t, 5);
	return t;
}

/* … and has reserved it for B, which the registry has. */
static inline struct rig offered(void)
{
	struct rig t = holder();

	ask_by(&t, B, ASK_PREPARE, "");
	moving(&t, A, B, 5);
	ask_gone(&t);
	return t;
}

/* B, for which A reserved it. */
static inline struct rig ready(void)
{
	struct rig t = new_rig(B);

	prepare(&t);
	ask_by(&t, B, ASK_PREPARE, "");
	port_up(&t, 0);
	moving(&t, A, B, 5);
	ask_gone(&t);
	return t;
}

static inline struct rig live(void)
{
	struct rig t = ready();

	happen(&t, MIGRATE_FLIPPED);
	return t;
}

/* B, after the claim was told. */
static inline struct rig moved_here(void)
{
	struct rig t = live();

	held_by(&t, B, 6);
	return t;
}

#define assert_state(t, s)     assert_int_equal((t).m.state, MIGRATE_##s)
#define assert_wants(t, k)     assert_non_null(find(&(t), MIGRATE_##k))
#define assert_wants_not(t, k) assert_null(find(&(t), MIGRATE_##k))
#define assert_gate(t, g)                                                                          \
	do {                                                                                       \
		assert_wants(t, GATE);                                                             \
		assert_int_equal((t).effects[0].kind, MIGRATE_GATE);                               \
		assert_int_equal((t).effects[0].gate, MIGRATE_GATE_##g);                           \
	} while (0)
#define assert_epoch(t, k, n) assert_int_equal(find(&(t), MIGRATE_##k)->epoch, n)
