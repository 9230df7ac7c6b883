/* Whose a face is: claims, leases, who takes over, who hands over, announcements. */
#include "balance/inside.h"
#include "balance/machine.h"

/* --- the order of hosts ---------------------------------------------------------------------- */

static uint64_t word_of(const uint8_t octets[static 8])
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < 8; i++)
		n = n << 8 | octets[i];
	return n;
}

/* Of a host, for a face: the highest is the first in order. */
static uint64_t place_of(const struct group *g, const uint8_t host[static 16], unsigned int face)
{
	uint64_t x = balance_mix(g->cluster_hash + face);

	x = balance_mix(x ^ word_of(host));
	return balance_mix(x ^ word_of(host + 8));
}

/* One that could be an anchor. */
static bool is_candidate(const struct group_peer *p)
{
	return p->there && bits_any(&p->hosted);
}

/* How many are before this host.  (Not by their records: for a moment each could think that it is
 * before the other.) */
static unsigned int rank_of(const struct group *g, unsigned int face)
{
	const uint64_t place = place_of(g, g->self.octet, face);
	unsigned int before = 0;

	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		const struct group_peer *p = &g->peers[i];

		before += is_candidate(p) && place_of(g, p->host, face) > place;
	}
	return before;
}

/* Who is to have a face that this host hands over; 0: nobody could. */
static uint16_t successor_of(const struct group *g, unsigned int face)
{
	const struct group_peer *best = NULL;

	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		const struct group_peer *p = &g->peers[i];

		if (!is_candidate(p))
			continue;
		if (!best || p->generation > best->generation ||
		    (p->generation == best->generation &&
		     place_of(g, p->host, face) > place_of(g, best->host, face)))
			best = p;
	}
	return best ? best->number : 0;
}

/* --- several faces, evenly over the hosts ---------------------------------------------------- */

struct place {
	uint16_t number;
	const uint8_t *host;
	unsigned int faces;
	mono_t since;
};

static unsigned int places_of(const struct group *g,
			      struct place places[static GROUP_PEERS_MAX + 1])
{
	unsigned int count = 0;

	places[count++] = (struct place){ g->number, g->self.octet, 0, g->started };
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		const struct group_peer *p = &g->peers[i];

		if (is_candidate(p) && p->generation == g->record->generation)
			places[count++] = (struct place){ p->number, p->host, 0, p->since };
	}
	return count;
}

/* Face by face the first in its order of those that have the least faces so far. */
static uint16_t better_host(const struct group *g, unsigned int face, mono_t now)
{
	struct place places[GROUP_PEERS_MAX + 1], *best = NULL;
	const unsigned int count = places_of(g, places);

	for (unsigned int f = 0; f <= face; f++) {
		best = &places[0];
		for (unsigned int i = 1; i < count; i++) {
			struct place *p = &places[i];

			if (p->faces < best->faces ||
			    (p->faces == best->faces &&
			     place_of(g, p->host, f) > place_of(g, best->host, f)))
				best = p;
		}
		best->faces++;
	}
	if (best->number == g->number || !mono_due(mono_after(best->since, GROUP_SPREAD), now))
		return 0;
	return best->number;
}

/* --- ours, and ours no more ------------------------------------------------------------------ */

/* Rows of an earlier run are nothing to choose by: who has no view yet takes the coordinator's
 * face, or waits for the one who does. */
static bool has_rows(const struct group *g, unsigned int i)
{
	return i == 0 || g->alone || g->committed.number;
}

static bool may_take(const struct group *g, unsigned int i, mono_t now)
{
	if (!group_takes_part(g) || !has_rows(g, i))
		return false;
	return g->alone || (g->linked && mono_due(mono_after(g->started, GROUP_LISTEN), now));
}

static void announce_anew(struct group_face *f, mono_t now)
{
	f->announced = 0;
	f->announce_base = now;
}

static void hold(struct step *s, unsigned int i)
{
	struct group_face *f = &s->g->faces[i];
	struct group_effect *e = step_add(s, GROUP_HOLD);

	f->epoch = f->beyond > f->epoch ? f->beyond : f->epoch;
	if (f->epoch < HEARTBEAT_EPOCH_MAX)
		f->epoch++;
	f->beyond = f->epoch;
	e->face = (uint8_t)i;
	e->has_face = true;
	e->epoch = f->epoch;
	announce_anew(f, s->now);
	s->send = true;
}

/* Who follows an anchor that was silent has waited for all that it leased but the difference. */
static span_t wait_of(const struct group *g, enum group_reason why)
{
	if (g->alone || !is_distributed(g))
		return SPAN_NS(0);
	if (why == GROUP_REASON_ANCHOR_SILENT || why == GROUP_REASON_STARTED)
		return SPAN_NS(GROUP_ROWS.ns - GROUP_DEAD.ns);
	return GROUP_ROWS;
}

static void take(struct step *s, unsigned int i, enum group_reason why)
{
	struct group_face *f = &s->g->faces[i];

	f->active = true;
	f->yielded = false;
	f->contender = 0;
	f->holder = s->g->number;
	f->lease = s->g->alone ? MONO_NEVER : mono_after(s->now, GROUP_DEAD);
	s->g->settled = s->now;
	hold(s, i);
	step_tell_face(s, GROUP_NOTE, i, s->g->number, why);
	if (i == 0)
		views_begin(s, wait_of(s->g, why));
}

static void drop(struct step *s, unsigned int i, uint16_t to, enum group_reason why)
{
	struct group_face *f = &s->g->faces[i];

	f->active = f->yielded = false;
	f->announced = GROUP_ANNOUNCES;
	f->holder = to;
	f->due = s->now;
	f->why = GROUP_REASON_STARTED;
	if (f->beyond > f->epoch)
		f->epoch = f->beyond;
	s->g->settled = s->now;
	step_tell_face(s, GROUP_NOTE, i, to, why);
}

/* Somebody comes: until now it may have had a face that is ours, and the switches may think so. */
void faces_announce_anew(struct step *s)
{
	for (unsigned int i = 0; i < CLUSTER_FACES_MAX; i++)
		if (s->g->faces[i].active)
			announce_anew(&s->g->faces[i], s->now);
}

void faces_drop_all(struct step *s, enum group_reason why)
{
	for (unsigned int i = 0; i < CLUSTER_FACES_MAX; i++)
		if (s->g->faces[i].active || s->g->faces[i].yielded)
			drop(s, i, 0, why);
}

static void yield(struct step *s, unsigned int i, uint16_t to, enum group_reason why)
{
	struct group_face *f = &s->g->faces[i];

	drop(s, i, to, why);
	if (!to)
		return;
	f->yielded = true;
	f->to = to;
	f->serve = mono_after(s->now, GROUP_SERVE);
	s->send = true;
}

/* --- what others say ------------------------------------------------------------------------- */

void faces_claimed(struct step *s, unsigned int face, uint64_t epoch, uint16_t host)
{
	struct group_peer *p = host ? peer_by_number(s->g, host) : NULL;
	struct group_claim *c;

	if (face >= s->g->record->face_count || epoch > HEARTBEAT_EPOCH_MAX)
		return;
	if (epoch > s->g->faces[face].beyond)
		s->g->faces[face].beyond = epoch;
	/* A host that is heard says so with its heartbeats, too; this may come before. */
	if (!p || p->claims[face].epoch >= epoch)
		return;
	c = &p->claims[face];
	*c = (struct group_claim){ .state = HEARTBEAT_ACTIVE, .epoch = epoch, .since = s->now };
}

/* Whether a claim still says that somebody has the face. */
static bool is_held(const struct group_claim *c, mono_t now)
{
	if (c->state == HEARTBEAT_YIELDED)
		return !mono_due(mono_after(c->since, GROUP_REACT), now);
	return c->state == HEARTBEAT_ACTIVE;
}

/* The claim that counts of all that are heard: the highest epoch, then the lowest host. */
static struct group_peer *claimant_of(struct group *g, unsigned int face, mono_t now)
{
	struct group_peer *best = NULL;

	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		struct group_peer *p = &g->peers[i];
		const struct group_claim *c = &p->claims[face];

		if (!p->there || !is_held(c, now))
			continue;
		if (!best || c->epoch > best->claims[face].epoch ||
		    (c->epoch == best->claims[face].epoch && p->number < best->number))
			best = p;
	}
	return best;
}

static bool is_yielded_to_us(const struct group *g, unsigned int face, mono_t now)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		const struct group_claim *c = &g->peers[i].claims[face];

		if (g->peers[i].there && c->state == HEARTBEAT_YIELDED && c->to == g->number &&
		    c->epoch >= g->faces[face].beyond && is_held(c, now))
			return true;
	}
	return false;
}

/* --- a face that is ours --------------------------------------------------------------------- */

static bool is_behind(const struct group *g, mono_t now)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		const struct group_peer *p = &g->peers[i];

		if (is_candidate(p) && p->generation > g->record->generation &&
		    mono_due(mono_after(p->differs, GROUP_BEHIND), now))
			return true;
	}
	return false;
}

static void hand_over(struct step *s, unsigned int i)
{
	struct group *g = s->g;
	uint16_t to = 0;

	if (!group_takes_part(g)) {
		yield(s, i, successor_of(g, i), GROUP_REASON_LEAVING);
		return;
	}
	if (g->alone)
		return;
	if (is_behind(g, s->now)) {
		yield(s, i, successor_of(g, i), GROUP_REASON_BEHIND);
		return;
	}
	if (g->record->face_count < 2 || !mono_due(mono_after(g->settled, GROUP_SPREAD), s->now))
		return;
	to = better_host(g, i, s->now);
	if (to)
		yield(s, i, to, GROUP_REASON_SPREAD);
}

static void review_active(struct step *s, unsigned int i)
{
	struct group_face *f = &s->g->faces[i];
	const struct group_peer *p = claimant_of(s->g, i, s->now);
	const struct group_claim *c = p ? &p->claims[i] : NULL;

	if (!s->g->alone && mono_due(f->lease, s->now)) {
		drop(s, i, 0, GROUP_REASON_LATE);
		s->g->started = s->now;
		return;
	}
	if (c && c->state == HEARTBEAT_ACTIVE) {
		if (c->epoch > f->epoch || (c->epoch == f->epoch && p->number < s->g->number)) {
			drop(s, i, p->number, GROUP_REASON_OVERTAKEN);
			return;
		}
		if (f->contender != p->number) {
			f->contender = p->number;
			step_tell_face(s, GROUP_NOTE, i, p->number, GROUP_REASON_CONTENDED);
			announce_anew(f, s->now);
			s->send = true;
		}
	} else if (f->contender) {
		f->contender = 0;
		announce_anew(f, s->now); /* it may have been the last to */
	}
	/* Somebody knows of a higher epoch, and who had it is not heard. */
	if (f->beyond <= f->epoch) {
		f->beyond_since = s->now;
	} else if (mono_due(mono_after(f->beyond_since, GROUP_REACT), s->now)) {
		hold(s, i);
		if (i == 0)
			views_begin(s, wait_of(s->g, GROUP_REASON_OVERTAKEN));
	}
	hand_over(s, i);
}

/* --- a face that is not ---------------------------------------------------------------------- */

static mono_t take_at(const struct group *g, unsigned int i)
{
	const struct group_face *f = &g->faces[i];
	const mono_t listened = mono_after(g->started, GROUP_LISTEN);

	if (g->alone)
		return f->due;
	return mono_after(mono_later(f->due, listened), SPAN_NS(GROUP_STEP.ns * rank_of(g, i)));
}

static enum group_reason why_lost(const struct group *g, unsigned int i)
{
	for (unsigned int n = 0; n < GROUP_PEERS_MAX; n++) {
		const struct group_peer *p = &g->peers[n];

		if (p->incarnation && p->number == g->faces[i].holder)
			return p->there || p->left ? GROUP_REASON_YIELDED
						   : GROUP_REASON_ANCHOR_SILENT;
	}
	return GROUP_REASON_STARTED;
}

static void review_idle(struct step *s, unsigned int i)
{
	const struct group_peer *p = claimant_of(s->g, i, s->now);
	struct group_face *f = &s->g->faces[i];
	const uint16_t holder = p ? p->number : 0;

	if (f->beyond > f->epoch)
		f->epoch = f->beyond;
	if (!holder && f->holder) {
		f->due = s->now;
		f->why = (uint8_t)why_lost(s->g, i);
	}
	f->holder = holder;
	if (!may_take(s->g, i, s->now))
		return;
	if (is_yielded_to_us(s->g, i, s->now))
		take(s, i, GROUP_REASON_YIELDED);
	else if (!holder && mono_due(take_at(s->g, i), s->now))
		take(s, i, (enum group_reason)f->why);
}

static void review_yielded(struct step *s, unsigned int i)
{
	const struct group_peer *p = claimant_of(s->g, i, s->now);
	struct group_face *f = &s->g->faces[i];

	if (p && p->claims[i].state == HEARTBEAT_ACTIVE && p->claims[i].epoch > f->epoch) {
		f->yielded = false;
		f->holder = p->number;
		f->epoch = f->beyond;
		s->send = true;
	} else if (mono_due(f->serve, s->now)) {
		f->yielded = false;
		f->holder = 0;
		f->due = s->now;
		s->send = true;
	}
}

void faces_review(struct step *s)
{
	for (unsigned int i = 0; i < CLUSTER_FACES_MAX; i++) {
		struct group_face *f = &s->g->faces[i];

		if (i >= s->g->record->face_count) {
			if (f->active || f->yielded)
				drop(s, i, 0, GROUP_REASON_LEAVING);
		} else if (f->active) {
			review_active(s, i);
		} else if (f->yielded) {
			review_yielded(s, i);
		} else {
			review_idle(s, i);
		}
	}
}

/* --- leases and announcements ---------------------------------------------------------------- */

void faces_extend(struct step *s)
{
	for (unsigned int i = 0; i < CLUSTER_FACES_MAX; i++)
		if (s->g->faces[i].active)
			s->g->faces[i].lease = mono_after(s->now, GROUP_DEAD);
}

static struct group_effect lease_of(const struct group_face *f, unsigned int i)
{
	struct group_effect e = { .kind = GROUP_LEASE, .face = (uint8_t)i, .has_face = true };

	e.epoch = f->epoch;
	if (f->active)
		e.serve = e.speak = f->lease;
	else if (f->yielded)
		e.serve = f->serve;
	return e;
}

void faces_lease(struct step *s)
{
	for (unsigned int i = s->g->record->face_count; i-- > 0;) {
		struct group_face *f = &s->g->faces[i];
		const struct group_effect e = lease_of(f, i);

		if (e.serve.ns == f->told_serve.ns && e.speak.ns == f->told_speak.ns)
			continue;
		f->told_serve = e.serve;
		f->told_speak = e.speak;
		step_add(s, GROUP_LEASE);
		memmove(&s->out[1], &s->out[0], (s->count - 1) * sizeof(s->out[0]));
		s->out[0] = e;
	}
}

static mono_t announce_at(const struct group *g, const struct group_face *f)
{
	static const span_t offsets[GROUP_ANNOUNCES] = { { 0 },		 { 50000000 },
							 { 200000000 },	 { 450000000 },
							 { 800000000 },	 { 2000000000 },
							 { 10000000000 } };

	const mono_t again = mono_after(f->refreshed, GROUP_RECLAIM);
	mono_t at;

	if (!f->active)
		return MONO_NEVER;
	at = f->announced < GROUP_ANNOUNCES ? mono_after(f->announce_base, offsets[f->announced])
					    : mono_after(f->refreshed, GROUP_REFRESH);
	/* Switches believe who spoke last.  And who hears nobody any more may itself be cut off:
	 * then what it says reaches nobody, and if the others leave before that ends, nothing will
	 * tell it that it has. */
	if (f->challenged ||
	    (g->deserted.ns && !mono_due(mono_after(g->deserted, GROUP_REFRESH), again)))
		at = mono_earlier(at, again);
	return at;
}

void faces_announce(struct step *s)
{
	for (unsigned int i = 0; i < s->g->record->face_count; i++) {
		struct group_face *f = &s->g->faces[i];
		struct group_effect *e;

		if (!mono_due(announce_at(s->g, f), s->now))
			continue;
		e = step_add(s, GROUP_ANNOUNCE);
		e->face = (uint8_t)i;
		e->has_face = true;
		e->epoch = f->epoch;
		e->count = f->announced;
		f->refreshed = s->now;
		if (f->challenged > 0)
			f->challenged--;
		if (f->announced < GROUP_ANNOUNCES)
			f->announced++;
	}
}

mono_t faces_expiry(const struct group *g)
{
	mono_t next = MONO_NEVER;

	for (unsigned int i = 0; i < g->record->face_count; i++) {
		const struct group_face *f = &g->faces[i];

		next = mono_earlier(next, announce_at(g, f));
		if (f->yielded)
			next = mono_earlier(next, f->serve);
		if (f->active && f->beyond > f->epoch)
			next = mono_earlier(next, mono_after(f->beyond_since, GROUP_REACT));
		if (f->active || f->yielded || f->holder || !group_takes_part(g) || !has_rows(g, i))
			continue;
		if (g->linked || g->alone)
			next = mono_earlier(next, take_at(g, i));
	}
	return next;
}
