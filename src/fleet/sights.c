/* Who else uses a vMAC on the wire.
 *
 * The data plane shows the beginning of a frame a second, and counts all.  What such a frame can
 * prove is little, and what it cannot is said:
 *
 *   move   a tag of this cluster's key names the host, or another host holds the vMAC anyway.
 *   loop   this host's own tag, or what this host announced a moment before, octet for octet.
 *   clone  a sender that the port's guard lets nobody here use; or frames that began when nothing
 *          with that address had left here for so long that they are no echo of anything.
 *
 * All else may be the guest's own frame that came back, or another station that says the same: a
 * copy of a guest has its IP addresses, too.  A loop in the network may carry a frame round and
 * round for hours, so silence counts only when the frames began in it.  None of this is more than a
 * hint: whoever can write frames can write each of these but a tag. */
#include <stdio.h>
#include <string.h>

#include "fleet/inside.h"
#include "model/ip.h"

#define SIGHTS_PAUSE   SPAN_S(60) /* frames after that are no more the same matter */
#define SIGHTS_SILENCE SPAN_S(5)  /* nothing comes back so late; port counters know to 1 s */

const char *fleet_use_name(enum fleet_use u)
{
	static const char *const names[] = {
		[FLEET_USE_UNKNOWN] = "unknown",
		[FLEET_USE_MOVE] = "move",
		[FLEET_USE_LOOP] = "loop",
		[FLEET_USE_CLONE] = "clone",
	};

	return names[u];
}

/* --- what it is ------------------------------------------------------------------------------ */

struct finding {
	enum fleet_use use;
	char because[sizeof(((struct sights *)NULL)->because)];
};

static void tagged(struct fleet *f, const struct host *h, const struct fleet_claim *tag,
		   struct finding *ret)
{
	const unsigned long long epoch = tag->epoch;

	if (h && h == f->me) {
		ret->use = FLEET_USE_LOOP;
		snprintf(ret->because, sizeof(ret->because),
			 "this host's own announcement of epoch %llu came back", epoch);
	} else if (h) {
		ret->use = FLEET_USE_MOVE;
		snprintf(ret->because, sizeof(ret->because),
			 "host %s announced it at epoch %llu, with a valid tag",
			 host_name(f, &h->uuid), epoch);
	} else {
		snprintf(ret->because, sizeof(ret->because),
			 "a valid tag of host number %u, which nobody has", tag->host);
	}
}

static bool is_elsewhere(const struct place *p)
{
	return p->machine.state == MIGRATE_HANDED || p->machine.state == MIGRATE_FENCED;
}

/* By the wire, which may know of it first. */
static const struct uuid *holder_of(const struct place *p)
{
	return uuid_is_none(&p->machine.peer) && p->record ? &p->record->vmac.holder
							   : &p->machine.peer;
}

static bool is_reserved(const struct place *p)
{
	return p->machine.state == MIGRATE_OFFERED || p->machine.state == MIGRATE_PAUSED ||
	       p->machine.state == MIGRATE_RETURNING;
}

/* "IPv4 of 10.0.0.7", "RARP", "a frame" */
static const char *looks(const struct fleet_sight *s, char *buf, size_t size)
{
	char ip[IP_TEXT_MAX];

	snprintf(buf, size, "%s%s%s", s->what ? s->what : "a frame", s->sender.family ? " of " : "",
		 s->sender.family ? ip_format(&s->sender, ip) : "");
	return buf;
}

static void untagged(struct fleet *f, const struct place *p, const struct fleet_sight *s,
		     bool after_silence, struct finding *ret)
{
	char what[IP_TEXT_MAX + 32];
	char *text = ret->because;
	size_t size = sizeof(ret->because);

	looks(s, what, sizeof(what));
	if (s->forged) {
		snprintf(text, size,
			 "it bears a tag under another key: of a host with another key file, or "
			 "forged");
	} else if (is_elsewhere(p)) {
		ret->use = FLEET_USE_MOVE;
		snprintf(text, size, "%s, where host %s holds it", what,
			 host_name(f, holder_of(p)));
	} else if (s->echo) {
		ret->use = FLEET_USE_LOOP;
		snprintf(text, size, "%s, octet for octet what this host announced just before",
			 what);
	} else if (s->unbound) {
		ret->use = FLEET_USE_CLONE;
		snprintf(text, size, "%s, which the port here may not use", what);
	} else if (is_reserved(p)) {
		snprintf(text, size, "%s; it is reserved for host %s, where its guest may be", what,
			 host_name(f, &p->machine.peer));
	} else if (p->machine.announced < MIGRATE_ANNOUNCES) {
		snprintf(text, size, "%s; it moved here just now, and this may have been under way",
			 what);
	} else if (after_silence) {
		ret->use = FLEET_USE_CLONE;
		snprintf(text, size, "%s, and it began when nothing had left here for some time",
			 what);
	} else {
		snprintf(text, size,
			 "%s, soon after the guest here spoke: its own come back, or a copy of it",
			 what);
	}
}

/* --- counting -------------------------------------------------------------------------------- */

/* NULL: no memory, and it is not shown. */
static struct sights *sights_of(struct fleet *f, struct place *p, const struct fleet_sight *s)
{
	if (!p->sights) {
		p->sights = mem_alloc(f->mem, sizeof(*p->sights));
		if (!p->sights)
			return NULL;
		*p->sights = (struct sights){ .first = f->now };
	}
	if (p->sights->frames == 0 || mono_since(f->now, p->sights->last).ns >= SIGHTS_PAUSE.ns) {
		p->sights->after_silence = s->silent.ns >= SIGHTS_SILENCE.ns;
		p->sights->told = 0;
	}
	p->sights->frames += 1 + s->unseen;
	p->sights->last = f->now;
	return p->sights;
}

/* What is certain is not forgotten for what is not. */
static void sights_take(struct fleet *f, struct sights *sights, const struct finding *found)
{
	const bool certain = found->use != FLEET_USE_UNKNOWN;

	sights->looked[found->use]++;
	if (!certain && sights->certain &&
	    mono_since(f->now, sights->certain_at).ns < SIGHTS_PAUSE.ns)
		return;
	sights->certain = certain;
	sights->certain_at = f->now;
	sights->use = (uint8_t)found->use;
	snprintf(sights->because, sizeof(sights->because), "%s", found->because);
}

void fleet_wire(struct fleet *f, const struct fleet_name *n, const struct fleet_sight *sight,
		mono_t now)
{
	struct place *p = place_find(f, n->segment, n->address);
	const struct host *h = sight->tag ? host_numbered(f, sight->tag->host) : NULL;
	struct migrate_event e = { .kind = MIGRATE_STRANGER };
	struct finding found = { .use = FLEET_USE_UNKNOWN };
	struct sights *sights;

	f->now = now;
	if (!p)
		return;
	sights = sights_of(f, p, sight);
	if (sight->tag)
		tagged(f, h, sight->tag, &found);
	else
		untagged(f, p, sight, sights && sights->after_silence, &found);
	if (sights)
		sights_take(f, sights, &found);
	p->strangers += sight->unseen;
	if (sight->unseen)
		p->stranger_last = now;
	if (found.use == FLEET_USE_LOOP) {
		e.kind = MIGRATE_LOOPED;
	} else if (h) {
		e = (struct migrate_event){ .kind = MIGRATE_TAG,
					    .host = h->uuid,
					    .epoch = sight->tag->epoch };
	} else {
		p->strangers++;
		p->stranger_last = now;
	}
	move_event(f, p, &e);
	place_settle(f, p);
}
