/* The actions of the tables: what each does to the machine, and which effects it asks for. */
#include "fhrp/machine.h"

#include <string.h>

/* Announcements after a take-over are no further apart than this. */
#define ANNOUNCE_SECOND	      SPAN_MS(50)
#define ANNOUNCE_SPACING_MOST SPAN_S(1)

/* The interval that tells a BSD backup not to wait for us (CARP's bow-out). */
#define CARP_BOW_OUT_BASE SPAN_S(255)

struct fhrp_effect *machine_effect(struct step *s, enum fhrp_effect_kind kind)
{
	struct fhrp_effect *e;

	assert(s->out->count < FHRP_EFFECTS_MAX);
	e = &s->out->list[s->out->count++];
	memset(e, 0, sizeof(*e));
	e->kind = kind;
	return e;
}

static bool is_hsrp(const struct fhrp *m)
{
	return m->config.protocol == ROUTER_HSRP1 || m->config.protocol == ROUTER_HSRP2;
}

void machine_lease(struct step *s, mono_t until)
{
	if (s->m->lease.ns == until.ns)
		return;
	s->m->lease = until;
	machine_effect(s, FHRP_EFFECT_LEASE)->until = until;
}

/* --- sending --------------------------------------------------------------------------------- */

static uint8_t hsrp_state_of(enum fhrp_state s)
{
	switch (s) {
	case FHRP_LEARN:
		return HSRP_STATE_LEARN;
	case FHRP_LISTEN:
		return HSRP_STATE_LISTEN;
	case FHRP_SPEAK:
		return HSRP_STATE_SPEAK;
	case FHRP_STANDBY:
		return HSRP_STATE_STANDBY;
	case FHRP_ACTIVE:
	case FHRP_LEAVING:
		return HSRP_STATE_ACTIVE;
	case FHRP_INITIALIZE:
	case FHRP_BACKUP:
	case FHRP_STATE_COUNT:
		break;
	}
	return HSRP_STATE_INITIAL;
}

static struct fhrp_send *send_effect(struct step *s, enum fhrp_message message,
				     enum fhrp_state state, bool from_vmac)
{
	const struct fhrp *m = s->m;
	struct fhrp_send *e = &machine_effect(s, FHRP_EFFECT_SEND)->send;

	e->message = (uint8_t)message;
	e->priority = m->priority;
	e->state = is_hsrp(m) ? hsrp_state_of(state) : 0;
	e->from_vmac = from_vmac;
	e->interval = is_hsrp(m) ? m->interval : m->config.interval;
	e->hold = is_hsrp(m) ? m->hold : SPAN_NS(0);
	return e;
}

/* The cadence is kept: a step that comes late does not put off those that follow. */
static void advertise_again(struct step *s)
{
	const span_t period = s->p->period(s->m, s->now);
	mono_t next = MONO_NEVER;

	if (mono_due(s->m->advertise, s->now))
		next = mono_after(s->m->advertise, period);
	s->m->advertise = mono_due(next, s->now) || next.ns == MONO_NEVER.ns
				  ? mono_after(s->now, period)
				  : next;
}

static void lease_extend(struct step *s)
{
	machine_lease(s, mono_after(s->now, s->p->term(s->m)));
}

static void advertise(struct step *s)
{
	const bool active = s->m->state == FHRP_ACTIVE;

	if (active)
		lease_extend(s);
	send_effect(s, FHRP_HELLO, s->m->state, active);
	advertise_again(s);
}

/* Called from the active role, while its lease still lasts. */
static void resign(struct step *s)
{
	const enum fhrp_message message = is_hsrp(s->m) ? FHRP_RESIGN : FHRP_HELLO;
	struct fhrp_send *e = send_effect(s, message, FHRP_ACTIVE, true);

	if (is_hsrp(s->m))
		return;
	e->priority = VRRP_PRIORITY_STOP;
	if (s->m->config.protocol == ROUTER_CARP)
		e->interval = CARP_BOW_OUT_BASE;
}

/* --- announcing ------------------------------------------------------------------------------ */

static void announce(struct step *s)
{
	struct fhrp *m = s->m;
	span_t spacing = span_least(m->interval, ANNOUNCE_SPACING_MOST);

	/* Whoever was active may have a last word with the vMAC (keepalived: an IGMP report), which
	 * moves it back to his port of the switch. */
	if (m->announced == 0)
		spacing = span_least(spacing, ANNOUNCE_SECOND);
	machine_effect(s, FHRP_EFFECT_ANNOUNCE);
	if (m->announced < UINT8_MAX)
		m->announced++;
	if (m->announced < m->config.announce_count)
		m->announce_at = mono_after(s->now, spacing);
	else if (m->config.announce_refresh.ns > 0)
		m->announce_at = mono_after(s->now, m->config.announce_refresh);
	else
		m->announce_at = MONO_NEVER;
}

/* --- timers and peers ------------------------------------------------------------------------ */

/* During the boot hold nobody is declared dead. */
static mono_t after_hold(const struct step *s, span_t span)
{
	const mono_t at = mono_after(s->now, span);

	return s->m->held ? mono_later(at, s->m->boot_until) : at;
}

static void peer_remember(struct step *s, struct fhrp_peer *peer)
{
	const struct fhrp_heard *h = s->heard;

	*peer = (struct fhrp_peer){
		.known = true,
		.address = h->from,
		.set = h->set,
		.version = h->version,
		.priority = h->priority,
		.interval = machine_span(h->interval, s->m->config.interval),
		.hold = machine_span(h->hold, s->m->hold),
		.heard = s->now,
	};
}

static void active_learn(struct step *s)
{
	peer_remember(s, &s->m->active);
	if (s->p->learns)
		s->m->interval = s->m->active.interval;
}

static bool heard_from(const struct step *s, enum fhrp_state state)
{
	return s->heard && s->heard->message == FHRP_HELLO &&
	       s->heard->state == hsrp_state_of(state);
}

static void active_timer(struct step *s)
{
	struct fhrp *m = s->m;

	if (heard_from(s, FHRP_ACTIVE)) {
		peer_remember(s, &m->active);
		/* Who was the standby and now is active is not the standby any more. */
		if (machine_same(&m->standby.address, &m->active.address))
			m->standby.known = false;
		m->active_down = after_hold(s, m->active.hold);
		return;
	}
	if (s->heard)
		m->active.known = false;
	m->active_down = after_hold(s, m->hold);
}

static void standby_timer(struct step *s)
{
	struct fhrp *m = s->m;

	if (heard_from(s, FHRP_STANDBY)) {
		peer_remember(s, &m->standby);
		m->standby_down = after_hold(s, m->standby.hold);
		return;
	}
	m->standby_down = after_hold(s, m->hold);
}

/* RFC 2281 section 5.1: both times or none, and the hold time is the greater one.  The tables have
 * this action in no row of Active, which must not learn. */
static void parameters_learn(struct step *s)
{
	static const uint8_t untold[16];
	const struct fhrp_heard *h = s->heard;
	struct fhrp *m = s->m;
	struct fhrp_change *note;

	if (!m->config.know_address && h->set == 0 &&
	    memcmp(h->virtual_address, untold, sizeof(untold)) != 0 &&
	    (!m->address_learned ||
	     memcmp(m->address, h->virtual_address, sizeof(m->address)) != 0)) {
		memcpy(m->address, h->virtual_address, sizeof(m->address));
		m->address_learned = true;
		memcpy(machine_effect(s, FHRP_EFFECT_LEARNED)->learned, m->address,
		       sizeof(m->address));
	}
	if (!m->config.learn || h->interval.ns <= 0 || h->hold.ns <= h->interval.ns)
		return;
	if (m->timers_learned && m->interval.ns == machine_span(h->interval, m->interval).ns &&
	    m->hold.ns == machine_span(h->hold, m->hold).ns)
		return;
	m->interval = machine_span(h->interval, m->interval);
	m->hold = machine_span(h->hold, m->hold);
	m->timers_learned = true;
	note = &machine_effect(s, FHRP_EFFECT_NOTE)->state;
	*note = (struct fhrp_change){ m->state, m->state, FHRP_REASON_TIMERS_LEARNED };
}

/* --- the active role ------------------------------------------------------------------------- */

static void release(struct step *s)
{
	machine_effect(s, FHRP_EFFECT_DISEMBODY);
	machine_lease(s, (mono_t){ 0 });
}

static void linger(struct step *s)
{
	struct fhrp *m = s->m;
	const span_t span = m->config.linger.ns < 0 ? s->p->linger(m) : m->config.linger;

	m->linger_until = mono_after(s->now, span);
	machine_lease(s, m->linger_until);
}

/* Both routers speak with the same vMAC, so what a contention spoils at once is the switches'
 * table, and the advertisement that is sent at once puts it right.  What hosts may have learned
 * from the other is put right when it has stopped: an announcement before that would be undone. */
static void contend(struct step *s)
{
	struct fhrp *m = s->m;
	span_t quiet;

	peer_remember(s, &m->active);
	quiet = span_most(m->active.interval, m->interval);
	m->contended = true;
	m->quiet_at = mono_after(s->now, SPAN_NS(quiet.ns + quiet.ns / 2));
}

static void yield(struct step *s)
{
	struct fhrp *m = s->m;

	m->yielded = true;
	m->priority = VRRP_PRIORITY_OWNER - 1;
	m->yield_until = after_hold(s, span_times(m->active.interval, 3));
}

/* --- all of them ----------------------------------------------------------------------------- */

void machine_act(struct step *s, enum action a, enum fhrp_state from)
{
	struct fhrp *m = s->m;

	switch (a) {
	case do_stop_timers:
		/* Done by entering the state: here for those who read the table. */
		return;
	case do_remember:
		return peer_remember(s, &m->active);
	case do_learn:
		return active_learn(s);
	case do_down_timer:
		m->active_down = after_hold(s, s->p->hold(m));
		return;
	case do_skew_timer:
		m->active_down = after_hold(s, s->p->skew(m));
		return;
	case do_lease:
		return lease_extend(s);
	case do_embody:
		machine_effect(s, FHRP_EFFECT_EMBODY);
		return;
	case do_announce:
	case do_I:
		if (from != FHRP_ACTIVE)
			m->announced = 0;
		return announce(s);
	case do_again:
		m->contended = m->active.known = false;
		machine_effect(s, FHRP_EFFECT_ANNOUNCE);
		return;
	case do_send:
	case do_F:
		return advertise(s);
	case do_resign:
		return resign(s);
	case do_linger:
		return linger(s);
	case do_release:
		return release(s);
	case do_contend:
		return contend(s);
	case do_yield:
		return yield(s);
	case do_reclaim:
		m->yielded = false;
		m->priority = VRRP_PRIORITY_OWNER;
		return;
	case do_A:
		return active_timer(s);
	case do_B:
		return standby_timer(s);
	case do_C:
		m->active_down = MONO_NEVER;
		return;
	case do_D:
		m->standby_down = MONO_NEVER;
		return;
	case do_E:
		return parameters_learn(s);
	case do_G:
		/* As the router that we were: the vMAC speaks for the active router only. */
		send_effect(s, FHRP_COUP, from, from == FHRP_ACTIVE);
		return;
	case do_H:
		send_effect(s, FHRP_RESIGN, m->state, false);
		return;
	case do_nothing:
	case ACTION_COUNT:
		break;
	}
	assert(!"an action");
}
