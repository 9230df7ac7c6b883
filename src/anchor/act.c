/* One step of a cluster's machine, and what its effects become. */
#include <assert.h>
#include <string.h>

#include "anchor/inside.h"
#include "wire/pulse.h"

/* However soon a machine wants to be told of the time again: a thread of real-time priority that
 * spins is a host that hangs. */
#define STEP_AT_LEAST SPAN_MS(1)

static void effect_send(struct anchor_core *c, struct anchor_entry *e)
{
	struct writer w = writer_of(c->frame, sizeof(c->frame));

	group_compose(&e->group, &c->heartbeat);
	heartbeat_write(&w, e->where.address, &c->heartbeat, e->record->key);
	assert(!w.failed);
	e->sent++;
	c->ops->send(c->ctx, &e->where, w.start, writer_used(&w));
}

static void effect_ask(struct anchor_core *c, struct anchor_entry *e, const struct group_effect *f)
{
	struct writer w = writer_of(c->frame, sizeof(c->frame));
	const struct pulse p = {
		.to = f->address,
		.from = e->where.address,
		.kind = PULSE_QUESTION,
		.cluster = e->group.cluster_hash,
		.secret = f->secret,
	};

	e->asked++;
	pulse_write(&w, &p);
	c->ops->send(c->ctx, &e->where, w.start, writer_used(&w));
}

static void effect_report(struct anchor_core *c, struct anchor_entry *e,
			  const struct group_effect *f, enum anchor_report_kind kind)
{
	struct anchor_report r = {
		.kind = kind,
		.cluster = e->record->id,
		.view = f->view,
		.epoch = f->epoch,
		.member = f->member,
		.host = f->host,
		.face = f->face,
		.reason = f->reason,
		.has_face = f->has_face,
	};

	if (kind == ANCHOR_INSTALL) {
		r.fresh = e->group.fresh;
		r.known = e->group.known;
		r.choices = c->choices;
		r.choice_count = group_choices(&e->group, c->choices, CLUSTER_MEMBERS_MAX);
	}
	if (kind == ANCHOR_HOLD)
		r.has_face = true;
	if ((kind == ANCHOR_NOTE || kind == ANCHOR_ALARM) && f->reason == GROUP_REASON_LATE)
		e->late++;
	c->ops->report(c->ctx, &r);
}

static void effect_do(struct anchor_core *c, struct anchor_entry *e, const struct group_effect *f)
{
	switch (f->kind) {
	case GROUP_LEASE:
		c->ops->lease(c->ctx, e->where.slot, f->face, f->serve, f->speak);
		break;
	case GROUP_OWN:
		c->ops->own(c->ctx, e->where.slot, f->serve);
		break;
	case GROUP_SEND:
		effect_send(c, e);
		break;
	case GROUP_ASK:
		effect_ask(c, e, f);
		break;
	case GROUP_STANDING:
		c->ops->standing(c->ctx, e->where.slot, &e->group.standing);
		break;
	case GROUP_INSTALL:
		effect_report(c, e, f, ANCHOR_INSTALL);
		break;
	case GROUP_COMMIT_VIEW:
		effect_report(c, e, f, ANCHOR_COMMIT);
		break;
	case GROUP_ANNOUNCE:
		entry_announce(c, e, f->face, e->group.faces[f->face].epoch);
		break;
	case GROUP_HOLD:
		effect_report(c, e, f, ANCHOR_HOLD);
		break;
	case GROUP_NOTE:
		effect_report(c, e, f, ANCHOR_NOTE);
		break;
	case GROUP_ALARM:
		effect_report(c, e, f, ANCHOR_ALARM);
		break;
	case GROUP_EFFECT_COUNT:
		assert(!"an effect");
	}
}

static unsigned int faces_active(const struct group *g)
{
	unsigned int active = 0;

	for (unsigned int i = 0; i < CLUSTER_FACES_MAX; i++)
		active |= (unsigned int)g->faces[i].active << i;
	return active;
}

/* Nothing is held any more, nor served on until a successor is heard. */
static bool has_left(const struct anchor_entry *e, mono_t now)
{
	if (!e->leaving)
		return false;
	if (mono_due(e->leave_by, now))
		return true;
	for (unsigned int i = 0; i < CLUSTER_FACES_MAX; i++)
		if (e->group.faces[i].active || e->group.faces[i].yielded)
			return false;
	return true;
}

void entry_step(struct anchor_core *c, struct anchor_entry *e, const struct group_event *event,
		mono_t now)
{
	const unsigned int before = faces_active(&e->group);
	struct group_effect effects[GROUP_EFFECTS_MAX];
	unsigned int n = group_step(&e->group, event, now, effects);
	int64_t due;

	assert(n <= GROUP_EFFECTS_MAX);
	for (unsigned int i = 0; i < n; i++)
		effect_do(c, e, &effects[i]);
	e->transitions += (unsigned int)__builtin_popcount(before ^ faces_active(&e->group));
	if (has_left(e, now)) {
		entry_unlisten(c, e, e->record, NULL);
		entry_drop(c, e);
		return;
	}
	entry_listen(c, e, entry_hosts(e), now);
	due = group_next_expiry(&e->group).ns;
	if (e->listen_due.ns < due)
		due = e->listen_due.ns;
	if (e->leaving && e->leave_by.ns < due)
		due = e->leave_by.ns;
	if (event->kind == GROUP_TIME && due < mono_after(now, STEP_AT_LEAST).ns)
		due = mono_after(now, STEP_AT_LEAST).ns;
	c->due[e->record->id] = due;
}
