/* A machine on the bench: events in one line, effects as one line of text. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "invariants.h"

struct rig {
	struct fhrp m;
	struct fhrp_own own[ROUTER_SETS_MAX];
	struct fhrp_config config;
	struct fhrp_effects out;
	struct watched watched;
	mono_t now;
	char text[1024];
};

/* Everybody is 10.0.0.x; ours is .10. */
#define OWN_HOST 10

static inline struct fhrp_own rig_address(uint8_t host)
{
	return (struct fhrp_own){ .address = { 10, 0, 0, host }, .len = 4 };
}

static inline void rig_put(struct rig *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static inline void rig_put(struct rig *t, const char *format, ...)
{
	const size_t used = strlen(t->text);
	va_list args;

	if (used > 0)
		strncat(t->text, " ", sizeof(t->text) - used - 1);
	va_start(args, format);
	vsnprintf(t->text + strlen(t->text), sizeof(t->text) - strlen(t->text), format, args);
	va_end(args);
}

static inline void rig_put_effect(struct rig *t, const struct fhrp_effect *e)
{
	static const char *const messages[] = { "send", "coup", "resign" };

	switch (e->kind) {
	case FHRP_EFFECT_LEASE:
		if (e->until.ns == 0)
			rig_put(t, "lease-end");
		else
			rig_put(t, "lease");
		return;
	case FHRP_EFFECT_EMBODY:
		return rig_put(t, "embody");
	case FHRP_EFFECT_DISEMBODY:
		return rig_put(t, "disembody");
	case FHRP_EFFECT_SEND:
		return rig_put(t, "%s(%u)", messages[e->send.message], e->send.priority);
	case FHRP_EFFECT_ANNOUNCE:
		return rig_put(t, "announce");
	case FHRP_EFFECT_STATE:
		return rig_put(t, "%s>%s:%s", fhrp_state_name(e->state.from),
			       fhrp_state_name(e->state.to), fhrp_reason_name(e->state.reason));
	case FHRP_EFFECT_NOTE:
		return rig_put(t, "note:%s", fhrp_reason_name(e->state.reason));
	case FHRP_EFFECT_LEARNED:
		return rig_put(t, "learned");
	case FHRP_EFFECT_KIND_COUNT:
		break;
	}
	fail_msg("no effect");
}

static inline void rig_step(struct rig *t, const struct fhrp_event *e)
{
	fhrp_step(&t->m, e, t->now, &t->out);
	watch_step(&t->watched, &t->m, &t->out, e->kind == FHRP_EVENT_TIME, t->now);
	t->text[0] = '\0';
	for (unsigned int i = 0; i < t->out.count; i++)
		rig_put_effect(t, &t->out.list[i]);
}

/* What the last step asked for, in order. */
#define expect(t, wanted) assert_string_equal((t)->text, wanted)
#define expect_state(t, wanted)                                                                    \
	assert_string_equal(fhrp_state_name((t)->m.state), fhrp_state_name(wanted))
#define expect_timer(t, timer, ms) assert_int_equal((t)->m.timer.ns - (t)->now.ns, SPAN_MS(ms).ns)
#define expect_stopped(t, timer)   assert_int_equal((t)->m.timer.ns, MONO_NEVER.ns)

static inline const struct fhrp_effect *rig_effect(const struct rig *t, enum fhrp_effect_kind kind)
{
	for (unsigned int i = 0; i < t->out.count; i++)
		if (t->out.list[i].kind == kind)
			return &t->out.list[i];
	fail_msg("no such effect");
	return NULL;
}

static inline struct fhrp_config rig_config(enum router_protocol p)
{
	const bool hsrp = p == ROUTER_HSRP1 || p == ROUTER_HSRP2;

	return (struct fhrp_config){
		.protocol = p,
		.set_count = 1,
		.priority = 100,
		.interval = SPAN_S(hsrp ? 3 : 1),
		.hold = SPAN_S(hsrp ? 10 : 0),
		.preempt = !hsrp && p != ROUTER_CARP,
		.know_address = true,
		.linger = SPAN_NS(-1),
		.announce_count = 3,
	};
}

/* A machine in INITIALIZE, with t->config as its configuration. */
static inline void rig_init(struct rig *t)
{
	t->now = (mono_t){ SPAN_S(1000).ns };
	fhrp_init(&t->m, &t->config, t->own, t->now);
	for (unsigned int i = 0; i < t->config.set_count; i++)
		t->own[i] = rig_address(OWN_HOST);
	t->watched = (struct watched){ .state = FHRP_INITIALIZE };
}

static inline void rig_start(struct rig *t)
{
	rig_step(t, &(struct fhrp_event){ .kind = FHRP_EVENT_START });
}

static inline void rig_boot(struct rig *t)
{
	rig_step(t, &(struct fhrp_event){ .kind = FHRP_EVENT_START, .boot = true });
}

static inline void rig_stop(struct rig *t)
{
	rig_step(t,
		 &(struct fhrp_event){ .kind = FHRP_EVENT_STOP, .reason = FHRP_REASON_SHUTDOWN });
}

static inline void rig_halt(struct rig *t, enum fhrp_reason reason)
{
	rig_step(t, &(struct fhrp_event){ .kind = FHRP_EVENT_HALT, .reason = reason });
}

static inline void rig_late(struct rig *t)
{
	rig_step(t, &(struct fhrp_event){ .kind = FHRP_EVENT_LATE });
}

static inline void rig_adjust(struct rig *t, uint8_t priority)
{
	rig_step(t, &(struct fhrp_event){ .kind = FHRP_EVENT_ADJUST, .priority = priority });
}

static inline void rig_configure(struct rig *t)
{
	rig_step(t, &(struct fhrp_event){ .kind = FHRP_EVENT_CONFIG, .config = &t->config });
}

/* Time goes by without anybody looking. */
static inline void rig_pass(struct rig *t, int64_t ms)
{
	t->now = mono_after(t->now, SPAN_MS(ms));
}

/* … and with TIME at its end. */
static inline void rig_time(struct rig *t, int64_t ms)
{
	rig_pass(t, ms);
	rig_step(t, &(struct fhrp_event){ .kind = FHRP_EVENT_TIME });
}

/* TIME at the machine's own deadline. */
static inline void rig_expire(struct rig *t)
{
	t->now = fhrp_next_expiry(&t->m);
	rig_step(t, &(struct fhrp_event){ .kind = FHRP_EVENT_TIME });
}

/* As many deadlines as it takes to be in that state. */
static inline void rig_until(struct rig *t, enum fhrp_state state)
{
	for (unsigned int i = 0; i < 100 && t->m.state != state; i++)
		rig_expire(t);
	expect_state(t, state);
}

static inline void rig_hear(struct rig *t, const struct fhrp_heard *h)
{
	rig_step(t, &(struct fhrp_event){ .kind = FHRP_EVENT_HEARD, .heard = h });
}
