/* Whether hosts that are heard no more still forward: they are asked (wire/pulse.h), and as long as
 * they answer, the flows of their members stay. */
#include "balance/machine.h"
#include "wire/pulse.h"

/* Somebody may have flows there. */
static bool is_of_interest(const struct group *g, const struct group_peer *p, mono_t now)
{
	if (p->there || p->counts)
		return bits_any(&p->had);
	for (unsigned int i = 0; i < g->record->member_count; i++) {
		const struct cluster_member *m = &g->record->members[i];

		if (heartbeat_bit(&p->had, m->id) && members_mourned(g, m, now))
			return true;
	}
	return false;
}

static bool can_ask(const struct group *g)
{
	return !g->alone && g->linked && !is_distributed(g) && group_takes_part(g);
}

/* A heartbeat that is late is none that is missing; but when a host is taken for silent, and
 * another takes over, the answer is to be there. */
static mono_t ask_at(const struct group_peer *p)
{
	return mono_later(mono_after(p->heard, GROUP_MISSED),
			  mono_after(p->asked, GROUP_HEARTBEAT));
}

static void ask(struct step *s, struct group_peer *p)
{
	struct group *g = s->g;
	const struct group_effect what = {
		.address = p->address,
		.secret = pulse_secret(g->record->key, g->incarnation, g->asks + 1),
	};

	if (!step_tell(s, GROUP_ASK, &what))
		return;
	g->asks++;
	p->asked = s->now;
	p->secret = what.secret;
}

static bool is_asked(const struct group_peer *p, uint64_t secret)
{
	return p->wanted && p->asked.ns && p->secret == secret;
}

bool group_asks(const struct group *g, uint64_t secret)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++)
		if (is_asked(&g->peers[i], secret))
			return true;
	return false;
}

void pulses_answered(struct step *s, uint64_t secret)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		struct group_peer *p = &s->g->peers[i];

		if (!is_asked(p, secret))
			continue;
		p->stands = mono_after(p->asked, GROUP_DEAD);
		if (!p->there && !p->counts)
			members_mourn(s->g, &p->had, s->now);
	}
}

static void review(struct step *s, struct group_peer *p, struct heartbeat_bits *standing)
{
	p->wanted = is_of_interest(s->g, p, s->now);
	if (p->wanted && mono_due(ask_at(p), s->now))
		ask(s, p);
	if (mono_due(p->stands, s->now))
		p->stands = (mono_t){ 0 };
	else
		members_left_to(s->g, &p->had, standing);
}

void pulses_review(struct step *s)
{
	struct heartbeat_bits standing = { { 0 } };
	struct group *g = s->g;

	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		struct group_peer *p = &g->peers[i];

		p->wanted = false;
		if (can_ask(g) && p->incarnation && !p->doubted)
			review(s, p, &standing);
	}
	if (bits_equal(&standing, &g->standing))
		return;
	g->standing = standing;
	step_add(s, GROUP_STANDING);
}

mono_t pulses_expiry(const struct group *g)
{
	mono_t next = MONO_NEVER;

	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		const struct group_peer *p = &g->peers[i];

		if (!p->wanted)
			continue;
		next = mono_earlier(next, ask_at(p));
		if (p->stands.ns)
			next = mono_earlier(next, p->stands);
	}
	return next;
}
