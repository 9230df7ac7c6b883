/* What the parts of the group machine share.
 *
 * A step takes its event (group.c), and then holds everything against everything anew, in this
 * order: who is there (peers.c), whose the faces are (faces.c), who the members are (members.c),
 * who is silent and still forwards (pulses.c), and what the views are (views.c).  So nothing
 * depends on which event was the occasion. */
#pragma once

#include <assert.h>
#include <string.h>

#include "balance/group.h"
#include "base/cleanup.h"

struct step {
	struct group *g;
	mono_t now;
	struct group_effect *out;
	unsigned int count;
	bool send; /* at once, not when the next heartbeat is due */
	const struct heartbeat *heard;
	struct group_peer *from; /* who said it; NULL: not believed, or nothing was heard */
};

static inline mono_t mono_earlier(mono_t a, mono_t b)
{
	return a.ns < b.ns ? a : b;
}

static inline mono_t mono_later(mono_t a, mono_t b)
{
	return a.ns > b.ns ? a : b;
}

static inline bool view_equal(struct heartbeat_view a, struct heartbeat_view b)
{
	return a.epoch == b.epoch && a.number == b.number;
}

static inline bool is_distributed(const struct group *g)
{
	return g->record->mode == CLUSTER_DISTRIBUTED;
}

/* --- group.c --------------------------------------------------------------------------------- */

/* An effect that must fit. */
struct group_effect *step_add(struct step *s, enum group_effect_kind kind);
/* A note or an alarm; false: no room now, and the step is to be repeated. */
bool step_tell(struct step *s, enum group_effect_kind kind, const struct group_effect *what);
void step_tell_face(struct step *s, enum group_effect_kind kind, unsigned int face, uint16_t host,
		    enum group_reason reason);
/* Has members, and is not to stop. */
bool group_takes_part(const struct group *g);
bool bits_any(const struct heartbeat_bits *b);
void bits_add(struct heartbeat_bits *to, const struct heartbeat_bits *b);
bool bits_equal(const struct heartbeat_bits *a, const struct heartbeat_bits *b);

/* --- peers.c --------------------------------------------------------------------------------- */

/* Believes a heartbeat, or returns NULL. */
struct group_peer *peers_hear(struct step *s, const struct heartbeat *h, vmac_mac_t sender);
/* When that heartbeat of ours was sent which this one echoes; ns 0: none of the last ones.
 * counting: only where its sender believes us. */
mono_t peers_echo(const struct group *g, const struct heartbeat *h, bool counting);
/* This host was late: what it did not hear until now says nothing. */
void peers_unheard(struct step *s);
void peers_review(struct step *s);
mono_t peers_expiry(const struct group *g);
struct group_peer *peer_by_number(struct group *g, uint16_t number);

/* --- pulses.c -------------------------------------------------------------------------------- */

void pulses_answered(struct step *s, uint64_t secret);
void pulses_review(struct step *s);
mono_t pulses_expiry(const struct group *g);

/* --- faces.c --------------------------------------------------------------------------------- */

void faces_claimed(struct step *s, unsigned int face, uint64_t epoch, uint16_t host);
void faces_announce_anew(struct step *s);
void faces_drop_all(struct step *s, enum group_reason why);
void faces_review(struct step *s);
void faces_extend(struct step *s);
void faces_announce(struct step *s);
void faces_lease(struct step *s);
mono_t faces_expiry(const struct group *g);

/* --- views.c --------------------------------------------------------------------------------- */

void views_begin(struct step *s, span_t wait); /* this host is the coordinator from now on */
void views_installed(struct step *s, struct heartbeat_view view);
void views_committed(struct step *s, struct heartbeat_view view);
void views_lapse(struct step *s);
void views_review(struct step *s);
void views_extend(struct step *s);
void views_own(struct step *s);
mono_t views_expiry(const struct group *g);

/* --- members.c ------------------------------------------------------------------------------- */

void members_record(struct group *g, mono_t now);
/* Of a host that fell silent: what it hosted counts no more. */
void members_forsake(struct group *g, const struct heartbeat_bits *hosted);
/* … but their flows stay for a while. */
void members_mourn(struct group *g, const struct heartbeat_bits *hosted, mono_t now);
void members_review(struct step *s);
mono_t members_expiry(const struct group *g);
/* It has flows, though its host is silent. */
bool members_mourned(const struct group *g, const struct cluster_member *m, mono_t now);
/* Of those the ones that nobody hosts by now are added. */
void members_left_to(const struct group *g, const struct heartbeat_bits *had,
		     struct heartbeat_bits *to);
/* Which members take new flows, and which may still have some, as it stands now; false: nobody is
 * fit, and they are those of the view in force. */
bool members_now(const struct group *g, mono_t now, struct heartbeat_bits *fresh,
		 struct heartbeat_bits *known);
