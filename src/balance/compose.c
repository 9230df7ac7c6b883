/* What the machine says: heartbeats, choices, names. */
#include "balance/machine.h"
#include "balance/table.h"

static void compose_faces(const struct group *g, struct heartbeat *h)
{
	h->face_count = g->record->face_count;
	for (unsigned int i = 0; i < h->face_count; i++) {
		const struct group_face *f = &g->faces[i];

		h->faces[i].epoch = f->epoch;
		if (f->active) {
			h->faces[i].state = HEARTBEAT_ACTIVE;
		} else if (f->yielded) {
			h->faces[i].state = HEARTBEAT_YIELDED;
			h->faces[i].to = f->to;
		}
	}
}

/* One that has other rows and does not get them is to know that it takes none. */
static bool is_echoed(const struct group *g, const struct group_peer *p)
{
	if (!p->there)
		return false;
	return !is_distributed(g) || p->differs.ns == INT64_MAX ||
	       mono_since(p->heard, p->differs).ns < GROUP_BEHIND.ns;
}

static unsigned int flags_of(const struct group *g, const struct group_peer *p)
{
	return (is_echoed(g, p) ? HEARTBEAT_COUNTS : 0) | (p->answers ? HEARTBEAT_ANSWERS : 0);
}

/* Believed or not: he is told that he is heard, so that he can answer. */
static bool is_noticed(const struct group_peer *p, mono_t now)
{
	return p->incarnation && !p->left && !mono_due(mono_after(p->noticed, GROUP_DEAD), now);
}

/* What is to be echoed of it; 0: nothing.  One that seems to be of an earlier run may be a host
 * whose clock was set back, and says so by its answer. */
static uint32_t sequence_of(const struct group_peer *p, mono_t now)
{
	if (is_noticed(p, now))
		return p->sequence;
	return p->overheard_at.ns && !mono_due(mono_after(p->overheard_at, GROUP_DEAD), now)
		       ? p->overheard
		       : 0;
}

/* By number, as the format wants them. */
static void compose_echoes(const struct group *g, struct heartbeat *h)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		const struct group_peer *p = &g->peers[i];
		const uint32_t sequence = sequence_of(p, g->sent[g->sequence % GROUP_SENT]);
		unsigned int at = h->echo_count;

		if (!sequence)
			continue;
		for (; at > 0 && h->echoes[at - 1].number > p->number; at--)
			h->echoes[at] = h->echoes[at - 1];
		if (at > 0 && h->echoes[at - 1].number == p->number) {
			/* Two hosts of one number: an echo is the first one's. */
			memmove(&h->echoes[at], &h->echoes[at + 1],
				(h->echo_count - at) * sizeof(h->echoes[0]));
			continue;
		}
		h->echoes[at].number = p->number;
		h->echoes[at].flags = (uint16_t)flags_of(g, p);
		h->echoes[at].sequence = sequence;
		h->echo_count++;
	}
}

static unsigned int octets_of(const struct heartbeat_bits *b)
{
	unsigned int octets = HEARTBEAT_BITMAP_MAX;

	while (octets > 0 && !b->octet[octets - 1])
		octets--;
	return octets;
}

static void widen(struct heartbeat *h, const struct heartbeat_bits *b)
{
	const unsigned int octets = octets_of(b);

	h->bitmap_octets = octets > h->bitmap_octets ? octets : h->bitmap_octets;
}

void group_compose(const struct group *g, struct heartbeat *ret)
{
	bool serves = false;

	*ret = (struct heartbeat){
		.number = g->number,
		.incarnation = g->incarnation,
		.sequence = g->sequence,
		.cluster = g->cluster_hash,
		.generation = g->record->generation,
		.committed = g->committed,
		.installed = g->installed,
		.hosted = g->hosted,
		.fit = g->fit,
		.busy = g->busy,
	};
	memcpy(ret->host, g->self.octet, sizeof(ret->host));
	for (unsigned int i = 0; i < CLUSTER_FACES_MAX; i++)
		serves |= g->faces[i].yielded;
	ret->leaving = !group_takes_part(g) && !serves;
	compose_faces(g, ret);
	compose_echoes(g, ret);
	if (g->faces[0].active && g->proposed.number) {
		ret->proposed = g->proposed;
		ret->proposed_generation = g->view_generation;
		ret->fresh = g->fresh;
		ret->known = g->known;
	}
	widen(ret, &ret->hosted);
	widen(ret, &ret->busy);
	widen(ret, &ret->known);
}

unsigned int group_choices(const struct group *g, struct balance_choice *ret, unsigned int max)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < g->record->member_count && count < max; i++) {
		const struct cluster_member *m = &g->record->members[i];
		const bool fresh = heartbeat_bit(&g->fresh, m->id);
		const bool known = heartbeat_bit(&g->known, m->id);

		if (fresh || known)
			ret[count++] = (struct balance_choice){ m->id, m->weight, fresh, known };
	}
	return count;
}

/* --- names ----------------------------------------------------------------------------------- */

const char *group_reason_name(enum group_reason r)
{
	static const char *const names[] = {
#define NAME_(constant, name, meaning) name,
		GROUP_REASONS(NAME_)
#undef NAME_
	};

	assert((size_t)r < ARRAY_LEN(names));
	return names[r];
}

const char *group_reason_meaning(enum group_reason r)
{
	static const char *const meanings[] = {
#define MEANING_(constant, name, meaning) meaning,
		GROUP_REASONS(MEANING_)
#undef MEANING_
	};

	assert((size_t)r < ARRAY_LEN(meanings));
	return meanings[r];
}
