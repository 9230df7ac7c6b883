/* A port's gate, as the control plane changes it.
 *
 * Theory of operation
 *
 * The truth is one word a port (gates[slot].word), and two parties write it.  We write what is
 * asked for, by compare-and-swap from the word that we looked at.  The programs write one thing
 * only: an armed word to the open word of the same generation.  So either their swap comes first,
 * and we see an open gate and decide again; or ours does, and theirs fails, because no word of ours
 * equals an earlier one: each has a generation of its own.  Nothing that is written late can shut
 * or open a gate.
 *
 * What the programs opened bears GATE_FLIPPED until we say OPEN ourselves.  As long as it does,
 * TUNNEL_IN means "as it was asked for before", from an engine that has not heard yet, and the gate
 * stays open.
 *
 * The row and the member of an open port say so as well, for speed.  They say it after the word
 * does, and are made to say otherwise before: between the two a frame asks the word.  So to shut is
 * one store for all frames but those that are under way. */
#include <assert.h>
#include <string.h>

#include "plane/internal.h"

static uint64_t word_of(const struct plane *p, unsigned int slot)
{
	return __atomic_load_n(&tables_gate(&p->tables, slot)->word, __ATOMIC_ACQUIRE);
}

static bool swap(struct plane *p, unsigned int slot, uint64_t from, uint64_t to)
{
	__u64 expected = from;

	return __atomic_compare_exchange_n(&tables_gate(&p->tables, slot)->word, &expected, to,
					   false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

bool gate_is_open(const struct plane *p, unsigned int slot)
{
	return GATE_STATE(word_of(p, slot)) == GATE_IS_OPEN;
}

/* The first frame that a new gate stops, or that comes from elsewhere now, is told of at once. */
static void tell_at_once(struct plane *p, unsigned int slot)
{
	struct gate_slot *g = tables_gate(&p->tables, slot);

	for (unsigned int i = 0; i < TOLD_COUNT; i++)
		__atomic_store_n(&g->told[i].due, 0, __ATOMIC_RELAXED);
}

static struct tunnel_ip peer_of(const struct gate_slot *g, uint64_t word)
{
	return g->peer[word & GATE_PEER_1 ? 1 : 0];
}

/* State and flags of what is asked for, the peer aside. */
static uint32_t flags_of(enum plane_gate gate, const struct plane_gate_more *more)
{
	uint32_t flags = gate;

	if (gate == PLANE_CLOSED && more->elsewhere)
		flags |= GATE_ELSEWHERE;
	if (gate == PLANE_TUNNEL_IN && (more->armed || more->any_frame))
		flags |= GATE_ARMED | (more->any_frame ? GATE_ANY_FRAME : 0);
	return flags;
}

/* The peer where it will be read; GATE_PEER… or -errno. */
static int redirect_flags(struct plane *p, uint32_t id, const struct ip *peer)
{
	struct tunnel_ip wanted = tunnel_ip_of(peer), now;
	uint64_t word = word_of(p, id);
	int which;

	now = peer_of(tables_gate(&p->tables, id), word);
	if (word & GATE_PEER && memcmp(&now, &wanted, sizeof(now)) == 0)
		return (int)(word & (GATE_PEER | GATE_PEER_1));
	which = tables_peer_set(&p->tables, id, wanted);
	return which < 0 ? which : (int)(GATE_PEER | (which ? GATE_PEER_1 : 0));
}

int gate_apply(struct plane *p, uint32_t id, enum plane_gate gate,
	       const struct plane_gate_more *more, bool *ret_open, struct error *ret_error)
{
	uint32_t flags = flags_of(gate, more), generation;
	uint64_t was;
	int r = 0;

	assert(gate < PLANE_GATE_COUNT);
	if (gate == PLANE_REDIRECT && more->peer.family)
		r = redirect_flags(p, id, &more->peer);
	if (r < 0)
		return error_set(ret_error, ERROR_KERNEL_FAILED, NULL,
				 "cannot write the BPF maps: %s", strerror(-r));
	flags |= (uint32_t)r;
	do {
		was = word_of(p, id);
		if (gate == PLANE_TUNNEL_IN && was & GATE_FLIPPED) {
			p->found_open = true; /* plane_events() tells of it, if nobody did */
			flags = GATE_IS_OPEN | GATE_FLIPPED;
		}
		if (GATE_STATE(flags) != GATE_IS_OPEN)
			tables_say_open(&p->tables, id, false);
		if (flags == (uint32_t)was)
			break;
		/* A flip keeps its generation when we agree: its event is still true. */
		generation = GATE_GENERATION(was);
		if (!(was & GATE_FLIPPED && flags == GATE_IS_OPEN))
			generation++;
	} while (!swap(p, id, was, GATE_WORD(generation, flags)));
	if (flags != (uint32_t)was)
		tell_at_once(p, id);
	*ret_open = GATE_STATE(flags) == GATE_IS_OPEN;
	if (*ret_open)
		tables_say_open(&p->tables, id, true);
	return 0;
}

void gate_forget(struct plane *p, unsigned int slot)
{
	struct gate_slot *g = tables_gate(&p->tables, slot);
	uint64_t was;

	tables_say_open(&p->tables, slot, false);
	do
		was = word_of(p, slot);
	while (was && !swap(p, slot, was, GATE_WORD(GATE_GENERATION(was) + 1, GATE_IS_CLOSED)));
	p->gate_born[slot] = GATE_GENERATION(word_of(p, slot));
	tell_at_once(p, slot);
	__atomic_store_n(&g->redirected, 0, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < TOLD_COUNT; i++)
		__atomic_store_n(&g->told[i].count, 0, __ATOMIC_RELAXED);
}
