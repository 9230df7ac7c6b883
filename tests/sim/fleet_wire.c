/* The wire: the data plane of each host, two switches, and a station behind one of them. */
#include <stdlib.h>
#include <string.h>

#include "fleet_sim.h"

#define HOP	   (50 * MS / 1000)
#define TELL_LEAST (20 * MS / 1000)
#define TELL_MOST  MS
#define TOLD_EVERY SECOND /* of frames that were dropped, or strange */
#define TAGS_EVERY (100 * MS)

static const uint8_t cluster_key[CLAIM_KEY_LEN] = "a cluster's key";
static const uint8_t other_key[CLAIM_KEY_LEN] = "somebody's key.";

/* --- frames ---------------------------------------------------------------------------------- */

static void send(struct world *w, const struct frame *f, int64_t delay)
{
	struct frame *copy;

	if (chance_percent(&w->chance, w->loss) && !f->tunnel) {
		w->lost++;
		return;
	}
	copy = fs_alloc(sizeof(*copy));
	*copy = *f;
	world_push(w, w->now + delay, EVENT_FRAME, 0)->p = copy;
	w->frames++;
}

/* Out of an uplink. */
static void emit(struct host *h, const struct frame *f)
{
	struct frame out = *f;

	if (f->from >= 0)
		check_emit(h, (unsigned int)f->from);
	out.at_switch = true;
	out.at = (int)(h->index % FS_SWITCHES);
	out.port = (int)h->index;
	send(h->world, &out, HOP);
}

static void to_port(struct world *w, const struct frame *f, int sw, int port)
{
	struct frame out = *f;

	if (port == AT_TRUNK) {
		out.at = !sw;
		out.port = AT_TRUNK;
	} else {
		out.at_switch = false;
		out.at = port;
	}
	send(w, &out, HOP);
}

static void flood(struct world *w, const struct frame *f)
{
	for (unsigned int i = 0; i < w->host_count; i++)
		if ((int)(i % FS_SWITCHES) == f->at && (int)i != f->port && w->hosts[i].power)
			to_port(w, f, f->at, (int)i);
	if (f->at == 0 && f->port != AT_CLIENT)
		to_port(w, f, f->at, AT_CLIENT);
	if (f->port != AT_TRUNK)
		to_port(w, f, f->at, AT_TRUNK);
}

static struct learned *learned_of(struct world *w, int sw, int address)
{
	return &w->fdb[sw][address == FROM_CLIENT ? w->address_count : (unsigned int)address];
}

static void at_switch(struct world *w, const struct frame *f)
{
	struct learned *l = learned_of(w, f->at, f->from);

	if (l->seen && l->port != f->port)
		w->fdb_moves++;
	*l = (struct learned){ f->port, w->now };
	l = f->to == TO_ALL ? NULL : learned_of(w, f->at, f->to);
	if (!l || !l->seen || w->now - l->seen > FS_AGEING)
		flood(w, f);
	else if (l->port != f->port)
		to_port(w, f, f->at, l->port);
}

static void at_client(struct world *w, const struct frame *f)
{
	struct vm *v = f->from >= 0 ? vm_with(w, (unsigned int)f->from) : NULL;

	if (v && f->to == FROM_CLIENT)
		v->client_rx = w->now;
}

/* --- the data plane -------------------------------------------------------------------------- */

static void report(struct host *h, unsigned int n, enum event_kind kind, const struct frame *f)
{
	struct world *w = h->world;
	struct event *e;
	struct frame *copy;

	if (!h->fleet)
		return;
	e = world_push(w, w->now + chance_span(&w->chance, TELL_LEAST, TELL_MOST), kind, h->index);
	e->generation = h->generation;
	e->a = n;
	e->b = place_at(h, n)->port.incarnation;
	if (!f)
		return;
	copy = fs_alloc(sizeof(*copy));
	*copy = *f;
	e->p = copy;
}

static void stranger(struct host *h, unsigned int n, const struct frame *f)
{
	struct world *w = h->world;
	struct dport *p = &place_at(h, n)->port;
	struct claim_tag tag;
	bool tagged = f->len > 0 && claim_peek(f->data, f->len, &tag);
	int64_t *due = tagged ? &p->tagged_due : &p->stranger_due;

	if (*due > w->now)
		return;
	*due = w->now + (tagged ? TAGS_EVERY : TOLD_EVERY);
	report(h, n, EVENT_STRANGER, f);
}

static void to_guest(struct host *h, unsigned int n, const struct frame *f)
{
	struct world *w = h->world;
	struct vm *v = vm_with(w, n);

	w->forwarded++;
	if (!v || !(v->runs >> h->index & 1) || f->from != FROM_CLIENT)
		return;
	v->guest_rx = w->now;
	wire_guest(w, h->index, n, FROM_CLIENT, false);
}

static void redirect(struct host *h, const struct dport *p, const struct frame *f)
{
	struct world *w = h->world;
	struct frame out = *f;

	if (p->peer < 0 || f->from == f->to)
		return;
	out.at_switch = false;
	out.tunnel = true;
	out.at = p->peer;
	out.via = (int)h->index;
	out.hops++;
	w->redirected++;
	send(w, &out, 2 * HOP);
}

/* A mutation: its gate is not what keeps it silent. */
static void defend(struct host *h, const struct dport *p, const struct frame *f)
{
	struct frame own = { .from = f->from, .to = TO_ALL };

	if (h->world->scenario->mutation == FS_MUTATE_DEFENDS && p->exists &&
	    p->gate == MIGRATE_GATE_REDIRECT)
		emit(h, &own);
}

static void at_uplink(struct host *h, const struct frame *f)
{
	struct dport *p;

	if (f->from >= 0) {
		p = &place_at(h, (unsigned int)f->from)->port;
		if (p->exists &&
		    (p->gate == MIGRATE_GATE_OPEN || p->gate == MIGRATE_GATE_REDIRECT ||
		     p->gate == MIGRATE_GATE_FENCED))
			stranger(h, (unsigned int)f->from, f);
		defend(h, p, f);
		if (p->exists && p->gate == MIGRATE_GATE_OPEN)
			return;
	}
	if (f->to < 0)
		return;
	p = &place_at(h, (unsigned int)f->to)->port;
	if (p->exists && p->gate == MIGRATE_GATE_OPEN)
		to_guest(h, (unsigned int)f->to, f);
	else if (p->exists && p->gate == MIGRATE_GATE_REDIRECT)
		redirect(h, p, f);
}

static void at_tunnel(struct host *h, const struct frame *f)
{
	struct world *w = h->world;
	struct dport *p = &place_at(h, (unsigned int)f->to)->port;
	bool opens =
		p->exists && (p->gate == MIGRATE_GATE_OPEN || p->gate == MIGRATE_GATE_TUNNEL_IN);

	if (w->scenario->mutation == FS_MUTATE_TUNNEL_HOLE)
		opens = false;
	check_tunnel(h, f, opens);
	if (opens)
		to_guest(h, (unsigned int)f->to, f);
	if (w->scenario->mutation == FS_MUTATE_TUNNEL_LOOP)
		redirect(h, &(struct dport){ .peer = (int)((h->index + 1) % w->host_count) }, f);
}

void wire_frame(struct world *w, struct frame *f)
{
	if (f->at_switch)
		at_switch(w, f);
	else if (f->at == AT_CLIENT)
		at_client(w, f);
	else if (f->at == AT_FORGER || !w->hosts[f->at].power)
		w->lost++;
	else if (f->tunnel)
		at_tunnel(&w->hosts[f->at], f);
	else
		at_uplink(&w->hosts[f->at], f);
	free(f);
}

/* --- what guests and the daemon send --------------------------------------------------------- */

/* To a guest on the same host, or out. */
static void forward(struct host *h, const struct frame *f)
{
	struct dport *p = f->to >= 0 ? &place_at(h, (unsigned int)f->to)->port : NULL;

	if (p && p->exists && p->gate == MIGRATE_GATE_OPEN)
		to_guest(h, (unsigned int)f->to, f);
	else if (p && p->exists && p->gate == MIGRATE_GATE_REDIRECT)
		redirect(h, p, f);
	else if (!p || !p->exists || p->gate != MIGRATE_GATE_CLOSED || !h->fleet ||
		 !entry_held(&place_at(h, (unsigned int)f->to)->now))
		emit(h, f);
}

void wire_guest(struct world *w, unsigned int host, unsigned int n, int to, bool announcement)
{
	struct host *h = &w->hosts[host];
	struct dport *p = &place_at(h, n)->port;
	struct frame f = { .from = (int)n, .to = to, .announcement = announcement };

	if (!h->power || !p->exists || !p->up)
		return;
	if (p->gate == MIGRATE_GATE_TUNNEL_IN && (announcement || w->scenario->any_frame)) {
		p->gate = MIGRATE_GATE_OPEN;
		p->flipped = p->permit = true;
		w->flips++;
		world_tell(w, (int)host, "flip", n, 0);
		report(h, n, EVENT_FLIPPED, NULL);
		check_gate(h, n, MIGRATE_GATE_TUNNEL_IN);
	}
	if (p->gate == MIGRATE_GATE_OPEN) {
		forward(h, &f);
		return;
	}
	if (p->spoke_due > w->now)
		return;
	p->spoke_due = w->now + TOLD_EVERY;
	report(h, n, EVENT_SPOKE, NULL);
}

void wire_announce(struct host *h, unsigned int n, uint64_t epoch)
{
	struct dport *p = &place_at(h, n)->port;
	struct claim_tag tag = { .address = name_of(h, n).address, .epoch = epoch };
	struct frame f = { .from = (int)n, .to = TO_ALL, .announcement = true };
	struct writer w = writer_of(f.data, sizeof(f.data));
	struct fleet_facts facts;

	if (!p->exists || p->gate != MIGRATE_GATE_OPEN)
		return;
	fleet_facts(h->fleet, &facts);
	tag.host = facts.number;
	claim_write(&w, &tag, cluster_key);
	f.len = CLAIM_LEN;
	world_tell(h->world, (int)h->index, "announce", n, (int64_t)epoch);
	emit(h, &f);
}

/* Somebody on the wire: without a tag, under another key, or a neighbour's tag for this address. */
void wire_forge(struct world *w, unsigned int n, int how)
{
	struct claim_tag tag = { name_of(&w->hosts[0], how == 2 ? n + 1 : n).address, 1u << 20, 1 };
	struct frame f = { .from = (int)n,
			   .to = TO_ALL,
			   .at_switch = true,
			   .at = 0,
			   .port = AT_FORGER,
			   .announcement = true };
	struct writer out = writer_of(f.data, sizeof(f.data));

	if (how > 0) {
		claim_write(&out, &tag, how == 2 ? cluster_key : other_key);
		f.len = CLAIM_LEN;
	}
	send(w, &f, HOP);
}

void wire_client(struct world *w, unsigned int n)
{
	struct frame f = { .from = FROM_CLIENT,
			   .to = (int)n,
			   .at_switch = true,
			   .at = 0,
			   .port = AT_CLIENT,
			   .probe = true };

	send(w, &f, HOP);
}

/* --- what the daemon is told ----------------------------------------------------------------- */

static const struct fleet_claim *tag_of(struct host *h, unsigned int n, const struct frame *f,
					struct fleet_claim *buf)
{
	struct claim_tag tag;

	if (h->world->scenario->mutation == FS_MUTATE_YIELD_UNTAGGED && f->len == 0) {
		unsigned int o = (h->index + 1) % h->world->host_count;
		struct fleet_facts facts;

		if (!h->world->hosts[o].fleet)
			return NULL;
		fleet_facts(h->world->hosts[o].fleet, &facts);
		*buf = (struct fleet_claim){ facts.number, h->world->epochs[n] + 100 };
		return buf;
	}
	if (f->len == 0 || claim_read(f->data, f->len, cluster_key, &tag) != CLAIM_VALID ||
	    !vmac_mac_equal(tag.address, name_of(h, n).address))
		return NULL;
	*buf = (struct fleet_claim){ tag.host, tag.epoch };
	return buf;
}

void wire_report(struct host *h, const struct event *e)
{
	unsigned int n = (unsigned int)e->a;
	struct fleet_name name = name_of(h, n);
	struct fleet_claim buf;

	if (e->b != place_at(h, n)->port.incarnation)
		return;
	if (e->kind == EVENT_FLIPPED) {
		if (place_at(h, n)->port.flip_seen) {
			place_at(h, n)->port.flip_seen = false;
			h->flips--;
		}
		fleet_flipped(h->fleet, &name, host_now(h));
	} else if (e->kind == EVENT_SPOKE) {
		fleet_spoke(h->fleet, &name, host_now(h));
	} else {
		fleet_wire(h->fleet, &name,
			   &(struct fleet_sight){ .tag = tag_of(h, n, e->p, &buf) }, host_now(h));
	}
	host_leave(h);
}

/* What the data plane opened stays open where it is asked to be armed again. */
void wire_gate(struct host *h, unsigned int n, enum migrate_gate gate, int peer)
{
	struct world *w = h->world;
	struct dport *p = &place_at(h, n)->port;
	enum migrate_gate before = (enum migrate_gate)p->gate;
	enum fs_mutation m = w->scenario->mutation;

	if (!p->exists)
		return;
	p->gated = true;
	world_tell(w, (int)h->index, "gate", n, gate);
	if (m == FS_MUTATE_OPEN_AT_PREPARE && gate == MIGRATE_GATE_TUNNEL_IN)
		gate = MIGRATE_GATE_OPEN;
	if (m == FS_MUTATE_STUCK_GATE && before == MIGRATE_GATE_OPEN)
		return;
	if (m == FS_MUTATE_REDIRECT_FOREVER && gate == MIGRATE_GATE_FENCED)
		return;
	if (gate == MIGRATE_GATE_TUNNEL_IN && before == MIGRATE_GATE_OPEN && p->flipped) {
		h->flips += !p->flip_seen;
		p->flip_seen = true;
		return;
	}
	p->gate = (uint8_t)gate;
	p->peer = gate == MIGRATE_GATE_REDIRECT ? peer : -1;
	if (gate != MIGRATE_GATE_OPEN)
		p->flipped = false;
	check_gate(h, n, before);
}
