/* HSRP machines in each state, and what they hear. */
#pragma once

#include "rig.h"

enum {
	LISTENER = HSRP_STATE_LISTEN,
	SPEAKER = HSRP_STATE_SPEAK,
	STANDBY = HSRP_STATE_STANDBY,
	ROUTER = HSRP_STATE_ACTIVE,
};

static inline void hsrp(struct rig *t)
{
	t->config = rig_config(ROUTER_HSRP1);
	rig_init(t);
}

static inline void listen(struct rig *t)
{
	hsrp(t);
	rig_start(t);
	expect(t, "initialize>listen:started");
}

static inline void learn(struct rig *t)
{
	t->config = rig_config(ROUTER_HSRP1);
	t->config.know_address = false;
	rig_init(t);
	rig_start(t);
	expect(t, "initialize>learn:started");
}

static inline void speak(struct rig *t)
{
	listen(t);
	rig_until(t, FHRP_SPEAK);
}

static inline void hear_as(struct rig *t, enum fhrp_message message, uint8_t sender,
			   uint32_t priority, uint8_t host)
{
	const struct fhrp_heard h = {
		.message = message,
		.state = sender,
		.priority = priority,
		.interval = SPAN_S(2),
		.hold = SPAN_S(7),
		.from = rig_address(host),
		.virtual_address = { 10, 0, 0, 1 },
	};

	rig_hear(t, &h);
}

static inline void hear(struct rig *t, uint8_t sender, uint32_t priority)
{
	hear_as(t, FHRP_HELLO, sender, priority, 20);
}

/* Standby, with an active router that was just heard. */
static inline void standby(struct rig *t)
{
	speak(t);
	hear(t, ROUTER, 200);
	hear_as(t, FHRP_HELLO, STANDBY, 50, 30);
	expect(t, "speak>standby:no_standby");
	rig_time(t, 1);
}

static inline void active(struct rig *t)
{
	speak(t);
	rig_until(t, FHRP_ACTIVE);
}

static inline void leaving(struct rig *t)
{
	active(t);
	rig_stop(t);
	expect_state(t, FHRP_LEAVING);
}
