/* What must hold after every step of every machine, whatever happened.  Shared by the exhaustive
 * test and the fuzzers. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "fhrp/fhrp.h"

#define HOLDS(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #x);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The world as somebody sees it who carries the effects out. */
struct watched {
	bool embodied;
	mono_t lease;
	uint8_t state;
};

static inline void watch_effect(struct watched *w, const struct fhrp *m,
				const struct fhrp_effect *e, mono_t now)
{
	switch (e->kind) {
	case FHRP_EFFECT_LEASE:
		HOLDS(e->until.ns == 0 || e->until.ns >= now.ns);
		HOLDS(e->until.ns != w->lease.ns);
		w->lease = e->until;
		return;
	case FHRP_EFFECT_EMBODY:
		HOLDS(!w->embodied);
		w->embodied = true;
		return;
	case FHRP_EFFECT_DISEMBODY:
		HOLDS(w->embodied);
		w->embodied = false;
		return;
	case FHRP_EFFECT_SEND:
		HOLDS(e->send.message < FHRP_MESSAGE_COUNT);
		HOLDS(e->send.interval.ns > 0 || m->config.protocol == ROUTER_CARP);
		HOLDS(!e->send.from_vmac || now.ns < w->lease.ns);
		return;
	case FHRP_EFFECT_ANNOUNCE:
		HOLDS(w->embodied && now.ns < w->lease.ns);
		return;
	case FHRP_EFFECT_STATE:
		HOLDS(e->state.from == w->state && e->state.to != e->state.from);
		HOLDS(e->state.reason < FHRP_REASON_COUNT);
		w->state = e->state.to;
		return;
	case FHRP_EFFECT_NOTE:
		HOLDS(e->state.from == e->state.to && e->state.reason < FHRP_REASON_COUNT);
		return;
	case FHRP_EFFECT_LEARNED:
		HOLDS(m->config.protocol == ROUTER_HSRP1 || m->config.protocol == ROUTER_HSRP2);
		return;
	case FHRP_EFFECT_KIND_COUNT:
		break;
	}
	HOLDS(!"an effect");
}

/* Holds one step against the rules: `out` is what it asked for. */
static inline void watch_step(struct watched *w, const struct fhrp *m,
			      const struct fhrp_effects *out, bool time, mono_t now)
{
	HOLDS(out->count <= FHRP_EFFECTS_MAX);
	for (unsigned int i = 0; i < out->count; i++)
		watch_effect(w, m, &out->list[i], now);
	HOLDS(w->state == m->state);
	HOLDS(w->embodied == fhrp_embodies(m));
	HOLDS(w->lease.ns == m->lease.ns);
	HOLDS((m->lease.ns != 0) == fhrp_embodies(m));
	HOLDS(fhrp_hold(m).ns > 0);
	if (time)
		HOLDS(fhrp_next_expiry(m).ns > now.ns);
	if (m->state == FHRP_INITIALIZE)
		HOLDS(fhrp_next_expiry(m).ns == MONO_NEVER.ns);
	if (m->state == FHRP_ACTIVE) {
		HOLDS(!m->held && m->lease.ns > now.ns);
		/* It comes back to advertise before the lease is over. */
		HOLDS(m->advertise.ns <= m->lease.ns);
	}
	/* Nobody waits for ever, but for an address that nobody tells. */
	if (m->state != FHRP_INITIALIZE && m->state != FHRP_LEARN)
		HOLDS(fhrp_next_expiry(m).ns < MONO_NEVER.ns);
}
