/* One step of the machine, and what is asked of it. */
#include "balance/inside.h"
#include "balance/machine.h"

#define NOTES_MAX (GROUP_EFFECTS_MAX - 32)

bool bits_any(const struct heartbeat_bits *b)
{
	uint8_t any = 0;

	for (unsigned int i = 0; i < HEARTBEAT_BITMAP_MAX; i++)
		any |= b->octet[i];
	return any;
}

void bits_add(struct heartbeat_bits *to, const struct heartbeat_bits *b)
{
	for (unsigned int i = 0; i < HEARTBEAT_BITMAP_MAX; i++)
		to->octet[i] |= b->octet[i];
}

bool bits_equal(const struct heartbeat_bits *a, const struct heartbeat_bits *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool group_takes_part(const struct group *g)
{
	return !g->leaving && (g->alone || bits_any(&g->hosted));
}

/* --- effects --------------------------------------------------------------------------------- */

struct group_effect *step_add(struct step *s, enum group_effect_kind kind)
{
	struct group_effect *e = &s->out[s->count];

	assert(s->count < GROUP_EFFECTS_MAX);
	s->count++;
	*e = (struct group_effect){ .kind = kind };
	return e;
}

bool step_tell(struct step *s, enum group_effect_kind kind, const struct group_effect *what)
{
	if (s->count >= NOTES_MAX) {
		s->g->more = true;
		return false;
	}
	*step_add(s, kind) = *what;
	s->out[s->count - 1].kind = kind;
	return true;
}

void step_tell_face(struct step *s, enum group_effect_kind kind, unsigned int face, uint16_t host,
		    enum group_reason reason)
{
	const struct group_effect what = {
		.face = (uint8_t)face,
		.has_face = true,
		.host = host,
		.epoch = s->g->faces[face].epoch,
		.reason = (uint16_t)reason,
	};

	step_tell(s, kind, &what);
}

/* --- heartbeats ------------------------------------------------------------------------------ */

static bool serves_on(const struct group *g)
{
	for (unsigned int i = 0; i < CLUSTER_FACES_MAX; i++)
		if (g->faces[i].yielded)
			return true;
	return false;
}

/* What is sent extends what is leased: nobody takes over from a host that was heard since. */
static void beat(struct step *s)
{
	struct group *g = s->g;
	const bool says = group_takes_part(g) || serves_on(g);

	if (g->alone || !g->linked || (!says && g->silent))
		return;
	if (says && !s->send && !mono_due(g->beat, s->now))
		return;
	g->silent = !says;
	g->sequence++;
	g->sent[g->sequence % GROUP_SENT] = s->now;
	g->beat = mono_after(s->now, GROUP_HEARTBEAT);
	faces_extend(s);
	views_extend(s);
	step_add(s, GROUP_SEND);
}

/* --- events ---------------------------------------------------------------------------------- */

static void link_changed(struct step *s, bool on)
{
	struct group *g = s->g;

	if (on == g->linked)
		return;
	g->linked = on;
	g->started = g->beat = s->now;
	if (g->alone || on)
		return;
	faces_drop_all(s, GROUP_REASON_LINK_DOWN);
	views_lapse(s);
}

static void member_changed(struct step *s, const struct group_event *e)
{
	struct group *g = s->g;

	if (e->hosted != heartbeat_bit(&g->hosted, e->member) ||
	    (e->hosted && e->fit) != heartbeat_bit(&g->fit, e->member))
		s->send = true;
	heartbeat_set_bit(&g->hosted, e->member, e->hosted);
	heartbeat_set_bit(&g->fit, e->member, e->hosted && e->fit);
	heartbeat_set_bit(&g->busy, e->member, e->busy);
}

static void take_event(struct step *s, const struct group_event *e)
{
	struct group *g = s->g;

	switch (e->kind) {
	case GROUP_RECORD:
		g->record = e->record;
		members_record(g, s->now);
		break;
	case GROUP_LINK:
		link_changed(s, e->on);
		break;
	case GROUP_HEARD:
		s->heard = e->heartbeat;
		s->from = peers_hear(s, e->heartbeat, e->address);
		break;
	case GROUP_PULSE:
		pulses_answered(s, e->secret);
		break;
	case GROUP_MEMBER:
		member_changed(s, e);
		break;
	case GROUP_INSTALLED:
		views_installed(s, e->view);
		break;
	case GROUP_COMMITTED:
		views_committed(s, e->view);
		break;
	case GROUP_CLAIMED:
		faces_claimed(s, e->face, e->epoch, e->host);
		break;
	case GROUP_STRANGER:
		if (e->face >= g->record->face_count)
			break;
		g->faces[e->face].challenged = GROUP_RECLAIMS;
		step_tell_face(s, GROUP_ALARM, e->face, 0, GROUP_REASON_FOREIGN);
		break;
	case GROUP_LEAVE:
		g->leaving = true;
		views_lapse(s);
		break;
	case GROUP_TIME:
	case GROUP_EVENT_COUNT:
		break;
	}
}

/* --- the contract ---------------------------------------------------------------------------- */

void group_init(struct group *g, const struct group_config *config, mono_t now)
{
	*g = (struct group){
		.self = config->self,
		.number = config->number,
		.alone = config->alone,
		.incarnation = config->incarnation,
		.cluster_hash = heartbeat_cluster(config->segment, config->record->name,
						  config->record->key),
		.record = config->record,
		.silent = true,
		/* Echoes bear no incarnation: none of an earlier one is to be taken for ours. */
		.sequence = (uint32_t)(balance_mix(config->incarnation) >> 34),
		.started = now,
		.beat = now,
		.settled = now,
		/* Whatever an earlier run left in the data plane is taken back with the first step.
		 */
		.told_own = MONO_NEVER,
	};
	for (unsigned int i = 0; i < CLUSTER_FACES_MAX; i++) {
		g->faces[i].told_serve = MONO_NEVER;
		g->faces[i].due = now;
		g->faces[i].why = GROUP_REASON_STARTED;
		g->faces[i].announced = GROUP_ANNOUNCES;
	}
	for (unsigned int id = 0; id <= CLUSTER_MEMBERS_MAX; id++)
		g->gone[id] = g->draining[id] = g->idle[id] = MONO_NEVER;
	/* Their hosts' daemons may have died with ours, and begin again a little later. */
	for (unsigned int id = 1; !g->alone && id <= CLUSTER_MEMBERS_MAX; id++)
		g->mourned[id] = mono_after(now, GROUP_MOURN);
	members_record(g, now);
}

unsigned int group_step(struct group *g, const struct group_event *event, mono_t now,
			struct group_effect ret[static GROUP_EFFECTS_MAX])
{
	struct step s = { .g = g, .now = now, .out = ret };

	if (!g->alone && !g->more && mono_due(mono_after(group_next_expiry(g), GROUP_LATE), now))
		peers_unheard(&s);
	g->more = false;
	take_event(&s, event);
	peers_review(&s);
	faces_review(&s);
	members_review(&s);
	pulses_review(&s);
	views_review(&s);
	faces_announce(&s);
	beat(&s);
	/* Before all else that the step wants: nobody is told of what the data plane still does. */
	views_own(&s);
	faces_lease(&s);
	return s.count;
}

mono_t group_next_expiry(const struct group *g)
{
	mono_t next = mono_earlier(peers_expiry(g), faces_expiry(g));

	next = mono_earlier(next, mono_earlier(views_expiry(g), members_expiry(g)));
	next = mono_earlier(next, pulses_expiry(g));
	if (!g->alone && g->linked && (!g->silent || group_takes_part(g)))
		next = mono_earlier(next, g->beat);
	return g->more ? (mono_t){ 0 } : next;
}
