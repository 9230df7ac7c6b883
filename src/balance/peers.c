/* Who else is there. */
#include "balance/machine.h"

static bool is_slot_free(const struct group_peer *p)
{
	return p->incarnation == 0;
}

struct group_peer *peer_by_number(struct group *g, uint16_t number)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++)
		if (g->peers[i].there && g->peers[i].number == number)
			return &g->peers[i];
	return NULL;
}

/* The host's own slot, or a free one, or that of the one longest gone; NULL: all are there. */
static struct group_peer *slot_of(struct group *g, const uint8_t host[static 16])
{
	struct group_peer *best = NULL;

	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		struct group_peer *p = &g->peers[i];

		if (!is_slot_free(p) && memcmp(p->host, host, sizeof(p->host)) == 0)
			return p;
		if (p->there || p->counts)
			continue;
		if (!best ||
		    (!is_slot_free(best) && (is_slot_free(p) || p->heard.ns < best->heard.ns)))
			best = p;
	}
	return best;
}

static void tell_host(struct step *s, const struct group_peer *p, enum group_reason reason)
{
	const struct group_effect what = { .host = p->number, .reason = (uint16_t)reason };

	step_tell(s, GROUP_NOTE, &what);
}

static void take_claims(struct step *s, struct group_peer *p, const struct heartbeat *h)
{
	for (unsigned int i = 0; i < CLUSTER_FACES_MAX; i++) {
		const bool says = i < h->face_count;
		struct group_claim *c = &p->claims[i];
		const uint8_t state = says ? h->faces[i].state : HEARTBEAT_IDLE;

		if (c->state != state || (says && c->epoch != h->faces[i].epoch))
			c->since = s->now;
		c->state = state;
		c->to = says ? h->faces[i].to : 0;
		c->epoch = says ? h->faces[i].epoch : 0;
		if (c->epoch > s->g->faces[i].beyond)
			s->g->faces[i].beyond = c->epoch;
	}
}

static void forget(struct group_peer *p)
{
	p->there = p->counts = false;
	p->hosted = p->fit = p->busy = (struct heartbeat_bits){ { 0 } };
	memset(p->claims, 0, sizeof(p->claims));
}

/* Its last word: what it hosts may come back with it. */
static void said_farewell(struct step *s, struct group_peer *p)
{
	const bool was_there = p->there;

	p->there = p->answers = p->proven = false;
	p->left = true;
	memset(p->claims, 0, sizeof(p->claims));
	p->counts = !is_distributed(s->g) && bits_any(&p->hosted);
	if (!p->counts) {
		members_forsake(s->g, &p->hosted);
		forget(p);
	}
	if (was_there)
		tell_host(s, p, GROUP_REASON_HOST_LEFT);
}

/* --- who hears us ---------------------------------------------------------------------------- */

mono_t peers_echo(const struct group *g, const struct heartbeat *h, bool counting)
{
	for (unsigned int i = 0; i < h->echo_count; i++)
		if (h->echoes[i].number == g->number && h->echoes[i].sequence <= g->sequence &&
		    g->sequence - h->echoes[i].sequence < GROUP_SENT &&
		    (!counting || h->echoes[i].flags & HEARTBEAT_COUNTS))
			return g->sent[h->echoes[i].sequence % GROUP_SENT];
	return (mono_t){ 0 };
}

bool group_is_old(const struct group *g, const struct heartbeat *h)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		const struct group_peer *p = &g->peers[i];

		if (is_slot_free(p) || memcmp(p->host, h->host, sizeof(p->host)) != 0)
			continue;
		if (h->incarnation == p->incarnation)
			return h->sequence <= p->sequence;
		/* What answers is new, whatever its clock said. */
		return (p->turned || h->incarnation < p->incarnation) &&
		       !peers_echo(g, h, false).ns;
	}
	return false;
}

void group_overhear(struct group *g, const struct heartbeat *h, mono_t now)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		struct group_peer *p = &g->peers[i];

		if (is_slot_free(p) || memcmp(p->host, h->host, sizeof(p->host)) != 0 ||
		    h->incarnation == p->incarnation)
			continue;
		p->overheard = h->sequence;
		p->overheard_at = now;
	}
}

static void prove(struct group_peer *p)
{
	p->proven = true;
	p->doubted = false;
	p->met = (mono_t){ 0 };
}

/* Of those that this host cannot speak to.  Not at second hand: two could else vouch for each
 * other's ghosts. */
static void vouch(struct group *g, const struct heartbeat *h)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		struct group_peer *p = &g->peers[i];

		if (is_slot_free(p) || p->proven)
			continue;
		for (unsigned int n = 0; n < h->echo_count; n++)
			if (h->echoes[n].number == p->number &&
			    h->echoes[n].flags & HEARTBEAT_ANSWERS &&
			    p->sequence - h->echoes[n].sequence < GROUP_SENT)
				prove(p);
	}
}

static bool is_answerable(const struct group *g)
{
	return g->linked && !g->silent;
}

static void doubt(struct step *s, struct group_peer *p)
{
	const struct group_effect what = { .host = p->number, .reason = GROUP_REASON_UNANSWERED };

	if (p->proven || !p->there || !is_answerable(s->g)) {
		p->met = (mono_t){ 0 };
		return;
	}
	if (!p->met.ns)
		p->met = s->now;
	if (!mono_due(mono_after(p->met, GROUP_PROVE), s->now) || !step_tell(s, GROUP_ALARM, &what))
		return;
	p->doubted = true;
	p->met = (mono_t){ 0 };
	p->there = false;
	memset(p->claims, 0, sizeof(p->claims));
}

/* --- heartbeats ------------------------------------------------------------------------------ */

struct group_peer *peers_hear(struct step *s, const struct heartbeat *h, vmac_mac_t sender)
{
	struct group *g = s->g;
	struct group_peer *p;

	if (h->cluster != g->cluster_hash || h->number == g->number ||
	    memcmp(h->host, g->self.octet, sizeof(h->host)) == 0)
		return NULL;
	if (group_is_old(g, h)) {
		group_overhear(g, h, s->now);
		return NULL;
	}
	p = slot_of(g, h->host);
	if (!p)
		return NULL;
	if (is_slot_free(p) || memcmp(p->host, h->host, sizeof(p->host)) != 0) {
		*p = (struct group_peer){ .differs = MONO_NEVER };
		memcpy(p->host, h->host, sizeof(p->host));
	} else if (h->incarnation < p->incarnation) {
		p->turned = true;
	}
	p->number = h->number;
	p->incarnation = h->incarnation;
	p->sequence = h->sequence;
	p->noticed = s->now;
	if (peers_echo(g, h, false).ns) {
		p->answers = true;
		prove(p);
	}
	if (p->doubted)
		return NULL;
	if (p->answers)
		vouch(g, h);
	p->heard = s->now;
	p->generation = h->generation;
	p->installed = h->installed;
	p->committed = h->committed;
	p->hosted = h->hosted;
	p->fit = h->fit;
	p->busy = h->busy;
	p->had = h->hosted;
	p->address = sender;
	p->stands = (mono_t){ 0 };
	take_claims(s, p, h);
	if (h->leaving) {
		said_farewell(s, p);
		return NULL;
	}
	p->left = false;
	if (!p->there) {
		p->there = true;
		p->since = s->now;
		s->g->deserted = (mono_t){ 0 };
		tell_host(s, p, GROUP_REASON_HOST_JOINED);
		faces_announce_anew(s);
	}
	return p;
}

static mono_t counts_until(const struct group *g, const struct group_peer *p)
{
	if (p->left)
		return mono_after(p->heard, GROUP_RESTART);
	return mono_after(p->heard, is_distributed(g) ? GROUP_ROWS : GROUP_DEAD);
}

static mono_t differs_for_good(const struct group_peer *p)
{
	return mono_after(p->differs, SPAN_NS(GROUP_BEHIND.ns + GROUP_ROWS.ns));
}

static bool is_anybody_there(const struct group *g)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++)
		if (g->peers[i].there)
			return true;
	return false;
}

static void review(struct step *s, struct group_peer *p)
{
	const bool differs = p->generation != s->g->record->generation;

	if (p->there && mono_due(mono_after(p->heard, GROUP_DEAD), s->now)) {
		p->there = p->answers = p->proven = false;
		memset(p->claims, 0, sizeof(p->claims));
		if (!is_anybody_there(s->g))
			s->g->deserted = s->now;
		tell_host(s, p, GROUP_REASON_HOST_SILENT);
	}
	doubt(s, p);
	if (p->counts && !p->there && mono_due(counts_until(s->g, p), s->now)) {
		members_mourn(s->g, &p->hosted, s->now);
		members_forsake(s->g, &p->hosted);
		forget(p);
	}
	if (!differs)
		p->differs = MONO_NEVER;
	else if (p->differs.ns == INT64_MAX)
		p->differs = s->now;
	/* It takes nothing any more: it was not echoed for so long (group_compose()). */
	if (is_distributed(s->g) && mono_due(differs_for_good(p), s->now)) {
		if (p->counts)
			members_forsake(s->g, &p->hosted);
		p->counts = false;
	} else if (p->there) {
		p->counts = true;
	}
}

void peers_unheard(struct step *s)
{
	s->g->started = s->now;
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++)
		if (s->g->peers[i].there)
			s->g->peers[i].heard = s->now;
}

void peers_review(struct step *s)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++)
		if (!is_slot_free(&s->g->peers[i]))
			review(s, &s->g->peers[i]);
}

mono_t peers_expiry(const struct group *g)
{
	mono_t next = MONO_NEVER;

	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		const struct group_peer *p = &g->peers[i];

		if (p->met.ns)
			next = mono_earlier(next, mono_after(p->met, GROUP_PROVE));
		if (p->there)
			next = mono_earlier(next, mono_after(p->heard, GROUP_DEAD));
		else if (p->counts)
			next = mono_earlier(next, counts_until(g, p));
		if (p->counts && is_distributed(g))
			next = mono_earlier(next, differs_for_good(p));
	}
	return next;
}
