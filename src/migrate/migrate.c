/* One step of the machine, and what is asked of it. */
#include "migrate/machine.h"

/* --- time ------------------------------------------------------------------------------------ */

static bool timer_take(mono_t *timer, mono_t now)
{
	if (!mono_due(*timer, now))
		return false;
	*timer = MONO_NEVER;
	return true;
}

static mono_t moves_forgotten(const struct migrate *m)
{
	return mono_after(m->moved[0], SPAN_NS(MIGRATE_MOVES_IN.ns + 1));
}

static void time_passed(struct step *s)
{
	struct migrate *m = s->m;

	if (timer_take(&m->expires, s->now))
		moving_fire(s, EXPIRED);
	if (timer_take(&m->redirect_until, s->now))
		moving_fire(s, DRAINED);
	if (timer_take(&m->thaw, s->now))
		moving_fire(s, THAW);
	if (mono_due(moving_announce_at(m), s->now))
		moving_fire(s, ANNOUNCE_DUE);
	if (mono_due(moves_forgotten(m), s->now))
		moving_forgive(m);
}

/* --- the gate -------------------------------------------------------------------------------- */

struct gate {
	enum migrate_gate gate;
	struct uuid peer; /* none but where it is REDIRECT */
};

static struct gate gate_of(const struct migrate *m)
{
	struct gate g = { .gate = migrate_gate(m->state) };

	if (g.gate == MIGRATE_GATE_REDIRECT)
		g.peer = m->peer;
	return g;
}

/* It goes before all else that the step wants: nothing is granted by a host that still speaks. */
static void gate_first(struct step *s, const struct gate *before)
{
	const struct gate g = gate_of(s->m);

	if (g.gate == before->gate && uuid_equal(&g.peer, &before->peer) && !s->regate)
		return;
	assert(s->count < MIGRATE_EFFECTS_MAX);
	memmove(&s->out[1], &s->out[0], s->count * sizeof(s->out[0]));
	s->count++;
	s->out[0] = (struct migrate_effect){
		.kind = MIGRATE_GATE,
		.gate = (uint8_t)g.gate,
		.peer = g.peer,
	};
}

/* --- the contract ---------------------------------------------------------------------------- */

void migrate_init(struct migrate *m, const struct uuid *self, bool reachable)
{
	*m = (struct migrate){
		.self = *self,
		.reachable = reachable,
		.announced = MIGRATE_ANNOUNCES,
		.redirect_until = MONO_NEVER,
		.expires = MONO_NEVER,
		.retry = MONO_NEVER,
		.thaw = MONO_NEVER,
	};
	moving_forgive(m);
}

unsigned int migrate_step(struct migrate *m, const struct migrate_event *event, mono_t now,
			  struct migrate_effect ret[static MIGRATE_EFFECTS_MAX])
{
	struct step s = { .m = m, .e = event, .now = now, .out = ret };
	const struct gate before = gate_of(m);
	bool try_anyway = false;

	if (event->kind == MIGRATE_TIME) {
		time_passed(&s);
		try_anyway = timer_take(&m->retry, now);
	} else {
		moving_fire(&s, occur(&s));
	}
	if (m->state == MIGRATE_HELD && moved_too_often(m, now))
		moving_fire(&s, TOO_OFTEN);
	tell_answer(&s);
	tell_wants(&s, try_anyway);
	gate_first(&s, &before);
	return s.count;
}

mono_t migrate_next_expiry(const struct migrate *m)
{
	const mono_t timers[] = { m->expires, m->redirect_until,     m->thaw,
				  m->retry,   moving_announce_at(m), moves_forgotten(m) };
	mono_t next = MONO_NEVER;

	for (size_t i = 0; i < ARRAY_LEN(timers); i++)
		next = mono_earlier(next, timers[i]);
	return next;
}

bool migrate_idle(const struct migrate *m)
{
	if (m->state != MIGRATE_NONE && m->state != MIGRATE_HELD)
		return false;
	if (m->state == MIGRATE_NONE && is_holder_by_record(m))
		return false;
	return !m->writing && !m->ask_writing && !m->withdraw && !m->reassert &&
	       !(m->declined && uuid_equal(&m->to, &m->self)) && uuid_is_none(&m->asked) &&
	       migrate_next_expiry(m).ns == MONO_NEVER.ns;
}
