/* The step that all protocols share: events and timers become occurrences, occurrences rows. */
#include "fhrp/machine.h"

#include <string.h>

#include "base/cleanup.h"

/* For how many intervals the set that decided a tie decides it for the others. */
#define TIE_INTERVALS 16

span_t machine_span(span_t heard, span_t otherwise)
{
	if (heard.ns <= 0)
		return otherwise;
	return span_least(span_most(heard, MACHINE_SPAN_LEAST), MACHINE_SPAN_MOST);
}

bool machine_is_own(const struct fhrp *m, const struct fhrp_heard *h)
{
	return m->own[h->set].len > 0 && machine_same(&m->own[h->set], &h->from);
}

bool machine_higher_address(struct fhrp *m, const struct fhrp_heard *h, mono_t now)
{
	const bool won = !mono_due(m->tie_won_until, now), lost = !mono_due(m->tie_lost_until, now);
	const mono_t until = mono_after(now, span_times(m->interval, TIE_INTERVALS));
	const struct fhrp_own *own = &m->own[h->set];
	const bool higher = own->len != h->from.len || own->len > sizeof(own->address) ||
			    memcmp(h->from.address, own->address, own->len) > 0;

	/* Two equal routers may be told apart the other way round on another link.  Were each
	 * advertisement judged by its own set, both would yield, and again after every silence.
	 * So the first of the sets on which they meet decides.  Nothing tells which router of one
	 * link is which of another: where several equals were met, and not all alike, what was
	 * decided about one says nothing of the next. */
	if (h->set > m->tie_set && (won || lost))
		return won && lost ? higher : lost;
	if (h->set != m->tie_set)
		m->tie_won_until = m->tie_lost_until = (mono_t){ 0 };
	m->tie_set = h->set;
	if (higher)
		m->tie_lost_until = until;
	else
		m->tie_won_until = until;
	return higher;
}

bool machine_may_preempt(const struct fhrp *m, mono_t now)
{
	return m->config.preempt && mono_due(m->preempt_at, now);
}

bool machine_active_lives(const struct fhrp *m, mono_t now)
{
	return m->active.known && m->active.priority > 0 &&
	       mono_since(now, m->active.heard).ns < span_times(m->active.interval, 2).ns;
}

/* RFC 2281 section 5.1: greater than the hello time; 3 and 10 seconds are its defaults. */
static span_t machine_hold(const struct fhrp_config *c)
{
	const span_t interval = machine_span(c->interval, SPAN_S(1));

	return c->hold.ns > interval.ns ? machine_span(c->hold, interval)
					: SPAN_NS(interval.ns * 10 / 3);
}

/* --- entering a state ------------------------------------------------------------------------ */

static void timers_stop(struct fhrp *m)
{
	m->active_down = m->standby_down = m->advertise = MONO_NEVER;
	m->boot_until = m->linger_until = m->announce_at = MONO_NEVER;
	m->yield_until = m->quiet_at = MONO_NEVER;
}

/* What a state implies for timers, whichever row led to it. */
static void state_enter(struct fhrp *m, enum fhrp_state next, mono_t now)
{
	if (m->state == FHRP_ACTIVE) {
		m->advertise = m->announce_at = m->quiet_at = MONO_NEVER;
		m->contended = false;
	}
	switch (next) {
	case FHRP_INITIALIZE:
		timers_stop(m);
		if (m->yielded)
			m->priority = VRRP_PRIORITY_OWNER;
		m->held = m->yielded = false;
		m->active.known = m->standby.known = false;
		break;
	case FHRP_LEARN:
	case FHRP_LISTEN:
	case FHRP_BACKUP:
		m->advertise = m->linger_until = MONO_NEVER;
		break;
	case FHRP_SPEAK:
		/* At once: the other routers are to know of us. */
		m->advertise = now;
		break;
	case FHRP_STANDBY:
		/* RFC 2281 has no row for the active timer's expiry in Speak.  It is not lost: it
		 * is met here, or the group would be without an active router for ever. */
		if (m->active_down.ns == MONO_NEVER.ns)
			m->active_down = now;
		break;
	case FHRP_ACTIVE:
		m->active_down = m->linger_until = MONO_NEVER;
		m->active.known = false;
		if (protocol_of(m)->learns)
			m->interval = machine_span(m->config.interval, SPAN_S(1));
		break;
	case FHRP_LEAVING:
		m->active_down = m->standby_down = MONO_NEVER;
		break;
	case FHRP_STATE_COUNT:
		assert(!"a state");
	}
	m->state = (uint8_t)next;
	m->since = now;
}

/* --- running a row --------------------------------------------------------------------------- */

static void row_tell(struct step *s, const struct rule *r, enum fhrp_state from)
{
	struct fhrp_change *change;
	unsigned int reason = r->reason;

	if (reason == FHRP_REASON_UNTOLD)
		return;
	if (reason == FHRP_REASON_BY_EVENT)
		reason = s->reason;
	change = &machine_effect(s, r->next == from ? FHRP_EFFECT_NOTE : FHRP_EFFECT_STATE)->state;
	*change = (struct fhrp_change){ (uint8_t)from, r->next, (uint8_t)reason };
	if (r->next == from)
		return;
	s->m->last_reason = (uint8_t)reason;
	s->m->transitions++;
}

void machine_fire(struct step *s, enum occurrence o)
{
	const enum fhrp_state from = s->m->state;

	if (s->p->name)
		o = s->p->name(s->m, o);
	if (o == NOTHING)
		return;
	for (size_t i = 0; i < s->p->rule_count; i++) {
		const struct rule *r = &s->p->rules[i];

		if (r->state != from || r->occurrence != o)
			continue;
		if (r->next != from)
			state_enter(s->m, r->next, s->now);
		for (unsigned int k = 0; k < RULE_ACTIONS_MAX && r->actions[k] != do_nothing; k++)
			machine_act(s, r->actions[k], from);
		row_tell(s, r, from);
		return;
	}
}

/* --- events ---------------------------------------------------------------------------------- */

static void started(struct step *s, bool boot)
{
	struct fhrp *m = s->m;

	if (m->state != FHRP_INITIALIZE && m->state != FHRP_LEAVING)
		return;
	m->interval = machine_span(m->config.interval, SPAN_S(1));
	m->hold = machine_hold(&m->config);
	m->timers_learned = false;
	m->preempt_at = mono_after(s->now, m->config.preempt_delay);
	m->held = boot && m->config.boot_hold.ns > 0;
	m->boot_until = m->held ? mono_after(s->now, m->config.boot_hold) : MONO_NEVER;
	machine_fire(s, machine_owns(&m->config) && !m->held ? STARTED_OWNER : STARTED);
}

static void stopped(struct step *s)
{
	const bool at_once = s->m->state == FHRP_ACTIVE && s->m->config.linger.ns == 0;

	machine_fire(s, at_once ? STOPPED_AT_ONCE : STOPPED);
}

static void halted(struct step *s)
{
	machine_fire(s, s->reason == FHRP_REASON_FAULT || s->reason == FHRP_REASON_DISABLED ? FAILED
											    : CUT);
}

/* 255 is an owner's in VRRP, and no tracking makes one. */
static uint8_t priority_within(const struct fhrp_config *c, int priority)
{
	const int most = c->protocol == ROUTER_VRRP2 || c->protocol == ROUTER_VRRP3
				 ? VRRP_PRIORITY_OWNER - 1
				 : UINT8_MAX;

	if (machine_owns(c))
		return VRRP_PRIORITY_OWNER;
	return (uint8_t)(priority < 1 ? 1 : priority > most ? most : priority);
}

static void adjusted(struct step *s, uint8_t priority)
{
	struct fhrp *m = s->m;

	if (machine_owns(&m->config))
		return;
	priority = priority_within(&m->config, priority);
	if (priority == m->priority)
		return;
	m->priority = priority;
	machine_fire(s, ADJUSTED);
}

/* A timer that runs is brought forward to what the new configuration says, never put off: the next
 * advertisement does that. */
static void timer_shorten(mono_t *timer, mono_t now, span_t span, mono_t least)
{
	if (timer->ns != MONO_NEVER.ns)
		*timer = mono_earlier(*timer, mono_later(mono_after(now, span), least));
}

static void configured_timers(struct step *s, const struct fhrp_config *old)
{
	const mono_t least = s->m->held ? s->m->boot_until : (mono_t){ 0 };
	struct fhrp *m = s->m;

	m->preempt_at = mono_after(m->preempt_at,
				   SPAN_NS(m->config.preempt_delay.ns - old->preempt_delay.ns));
	if (m->config.interval.ns != old->interval.ns || m->config.hold.ns != old->hold.ns ||
	    m->config.learn != old->learn) {
		timer_shorten(&m->active_down, s->now, s->p->hold(m), least);
		timer_shorten(&m->standby_down, s->now, m->hold, least);
		timer_shorten(&m->advertise, s->now, s->p->period(m, s->now), (mono_t){ 0 });
	}
	if (m->state != FHRP_ACTIVE)
		return;
	machine_lease(s, mono_earlier(m->lease, mono_after(s->now, s->p->term(m))));
	if (m->announced < m->config.announce_count)
		return;
	if (m->config.announce_refresh.ns <= 0)
		m->announce_at = MONO_NEVER;
	else
		m->announce_at = mono_earlier(m->announce_at,
					      mono_after(s->now, m->config.announce_refresh));
}

static void configured(struct step *s, const struct fhrp_config *config)
{
	struct fhrp *m = s->m;
	const struct fhrp_config old = m->config;
	int priority = config->priority;

	assert(config->protocol == old.protocol);
	m->config = *config;
	/* What tracking makes of the priority stays; a new sum of weights comes as ADJUST. */
	if (!machine_owns(&old))
		priority += m->priority - old.priority;
	if (!machine_owns(config)) {
		m->yielded = false;
		m->yield_until = MONO_NEVER;
	}
	if (!m->timers_learned || !config->learn) {
		const bool heard = s->p->learns && m->state == FHRP_BACKUP && m->active.known;

		m->timers_learned = false;
		m->hold = machine_hold(config);
		if (!heard)
			m->interval = machine_span(config->interval, SPAN_S(1));
	}
	configured_timers(s, &old);
	if (!m->yielded && priority_within(config, priority) != m->priority) {
		m->priority = priority_within(config, priority);
		machine_fire(s, ADJUSTED);
	}
	if (config->know_address && !old.know_address)
		machine_fire(s, ADDRESS_CONFIGURED);
}

/* --- time ------------------------------------------------------------------------------------ */

static bool timer_take(mono_t *timer, mono_t now)
{
	if (!mono_due(*timer, now))
		return false;
	*timer = MONO_NEVER;
	return true;
}

/* Each timer once, in the order in which one may start another; none starts one that stands before
 * it and is due at once, so that nothing is left over. */
static void time_passed(struct step *s)
{
	struct fhrp *m = s->m;

	if (timer_take(&m->boot_until, s->now))
		m->held = false;
	if (timer_take(&m->yield_until, s->now))
		machine_fire(s, OWNER_FREE);
	if (timer_take(&m->standby_down, s->now)) {
		m->standby.known = false;
		machine_fire(s, D);
	}
	if (timer_take(&m->active_down, s->now)) {
		machine_fire(s, s->p->down(m, s->now));
		if (m->state != FHRP_INITIALIZE && !machine_active_lives(m, s->now))
			m->active.known = false;
	}
	if (timer_take(&m->linger_until, s->now))
		machine_fire(s, LINGER_OVER);
	if (mono_due(m->advertise, s->now))
		machine_fire(s, ADVERTISE_DUE);
	if (timer_take(&m->quiet_at, s->now))
		machine_fire(s, QUIET);
	if (timer_take(&m->announce_at, s->now))
		machine_fire(s, ANNOUNCE_DUE);
}

/* --- the contract ---------------------------------------------------------------------------- */

void fhrp_init(struct fhrp *m, const struct fhrp_config *config, const struct fhrp_own *own,
	       mono_t now)
{
	assert(config->set_count >= 1 && config->set_count <= ROUTER_SETS_MAX);
	memset(m, 0, sizeof(*m));
	m->config = *config;
	m->own = own;
	m->state = FHRP_INITIALIZE;
	m->priority = config->priority;
	m->interval = machine_span(config->interval, SPAN_S(1));
	m->hold = machine_hold(config);
	m->since = now;
	m->preempt_at = MONO_NEVER;
	m->last_reason = FHRP_REASON_SHUTDOWN;
	timers_stop(m);
}

void fhrp_step(struct fhrp *m, const struct fhrp_event *event, mono_t now, struct fhrp_effects *out)
{
	struct step s = { .m = m, .p = protocol_of(m), .now = now, .out = out };

	out->count = 0;
	/* Whatever it is that comes first after we were late: we are no longer the router. */
	if (m->state == FHRP_ACTIVE && mono_due(m->lease, now))
		machine_fire(&s, LATE);
	switch (event->kind) {
	case FHRP_EVENT_START:
		started(&s, event->boot);
		return;
	case FHRP_EVENT_STOP:
		s.reason = event->reason;
		stopped(&s);
		return;
	case FHRP_EVENT_HALT:
		s.reason = event->reason;
		halted(&s);
		return;
	case FHRP_EVENT_HEARD:
		assert(event->heard->set < m->config.set_count);
		s.heard = event->heard;
		if (m->state != FHRP_INITIALIZE && !machine_is_own(m, s.heard))
			machine_fire(&s, s.p->heard(m, s.heard, now));
		return;
	case FHRP_EVENT_TIME:
		time_passed(&s);
		return;
	case FHRP_EVENT_ADJUST:
		adjusted(&s, event->priority);
		return;
	case FHRP_EVENT_LATE:
		machine_fire(&s, LATE);
		return;
	case FHRP_EVENT_CONFIG:
		configured(&s, event->config);
		return;
	case FHRP_EVENT_KIND_COUNT:
		break;
	}
	assert(!"an event");
}

mono_t fhrp_next_expiry(const struct fhrp *m)
{
	const mono_t timers[] = { m->active_down,  m->standby_down, m->advertise,   m->boot_until,
				  m->linger_until, m->announce_at,  m->yield_until, m->quiet_at };
	mono_t next = MONO_NEVER;

	for (size_t i = 0; i < ARRAY_LEN(timers); i++)
		next = mono_earlier(next, timers[i]);
	return next;
}

bool fhrp_embodies(const struct fhrp *m)
{
	return m->state == FHRP_ACTIVE || m->state == FHRP_LEAVING;
}

span_t fhrp_hold(const struct fhrp *m)
{
	return protocol_of(m)->hold(m);
}

const struct fhrp_row *fhrp_table(enum router_protocol p, size_t *ret_count)
{
	const struct fhrp m = { .config = { .protocol = p } };
	const struct protocol *protocol = protocol_of(&m);

	*ret_count = protocol->rule_count;
	return protocol->rows;
}
