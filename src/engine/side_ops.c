/* fleet/'s orders -> gates, frames, the shared registry, events. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/cluster.h"
#include "engine/side.h"
#include "wire/announce.h"
#include "wire/query.h"

/* --- the shared registry --------------------------------------------------------------------- */

struct asked {
	struct fleet_side *s;
	uint64_t token;
};

static struct asked *ask(struct fleet_side *s, uint64_t token)
{
	struct asked *a = side_alloc(s, sizeof(*a));

	*a = (struct asked){ s, token };
	return a;
}

static void on_outcome(void *ctx, enum shared_outcome outcome, uint64_t revision,
		       const struct error *error)
{
	struct asked *a = ctx;
	struct fleet_side *s = a->s;

	fleet_outcome(s->fleet, a->token, outcome, revision, error, s->e->cfg.mono_now());
	engine_dispose(s->e, a);
}

static void op_submit(void *ctx, const struct shared_put *puts, unsigned int count, uint64_t token)
{
	struct fleet_side *s = ctx;

	if (s->shared)
		shared_submit(s->shared, puts, count, on_outcome, ask(s, token));
}

static void on_read(void *ctx, const struct shared_record *r, const struct error *error)
{
	struct asked *a = ctx;
	struct fleet_side *s = a->s;

	fleet_image(s->fleet, a->token, r, error, s->e->cfg.mono_now());
	engine_dispose(s->e, a);
}

static void op_read(void *ctx, const struct shared_record *key, uint64_t token)
{
	struct fleet_side *s = ctx;

	if (s->shared)
		shared_read(s->shared, key, on_read, ask(s, token));
}

/* fleet/ may not know of a port that it was told of.  Ports are told again when it has returned. */
static void op_reconcile(void *ctx)
{
	struct fleet_side *s = ctx;

	s->ports_due = true;
	if (s->shared)
		shared_reconcile(s->shared);
}

/* --- gates ----------------------------------------------------------------------------------- */

static const struct vmac *vmac_of(const struct fleet_side *s, const struct fleet_name *n)
{
	const struct world_segment *segment = world_segment_named(&s->e->world, n->segment);

	return segment ? world_vmac(&s->e->world, segment->record->id, n->address) : NULL;
}

uint32_t side_port_of(const struct fleet_side *s, const struct fleet_name *n)
{
	const struct vmac *v = vmac_of(s, n);

	return v && s->e->world.ports[v->port] ? v->port : 0;
}

void side_gate(struct fleet_side *s, uint32_t id, enum migrate_gate gate, const struct ip *peer)
{
	static const enum plane_gate gates[] = {
		[MIGRATE_GATE_CLOSED] = PLANE_CLOSED,	    [MIGRATE_GATE_OPEN] = PLANE_OPEN,
		[MIGRATE_GATE_TUNNEL_IN] = PLANE_TUNNEL_IN, [MIGRATE_GATE_FENCED] = PLANE_FENCED,
		[MIGRATE_GATE_REDIRECT] = PLANE_REDIRECT,
	};
	const struct port *p = s->e->world.ports[id];
	const struct vmac *v = world_vmac(&s->e->world, p->segment, p->address);
	struct port_state *st = &s->e->ports[id];

	log_debug("gate of port %s: %s", p->name, migrate_gate_text(gate));
	st->gated = true;
	st->gate = gates[gate];
	st->more = (struct plane_gate_more){
		.elsewhere = v->state == VMAC_MOVING || v->state == VMAC_AWAY,
		.armed = gate == MIGRATE_GATE_TUNNEL_IN,
		.any_frame = s->cfg.any_frame,
	};
	/* Or it has left: op_note() says so next. */
	st->paused = gate == MIGRATE_GATE_REDIRECT;
	if (gate == MIGRATE_GATE_REDIRECT && peer && s->cfg.tunnel_ifindex)
		st->more.peer = *peer;
	carry_gate(s->e, id);
	s->flips_seen |= st->flip_seen;
	s->gates_changed = true;
	side_prime(s, id);
}

static void op_gate(void *ctx, const struct fleet_name *n, enum migrate_gate gate,
		    const struct shared_host *peer)
{
	struct fleet_side *s = ctx;
	const struct world_segment *segment = world_segment_named(&s->e->world, n->segment);
	const struct ip *where = peer ? &peer->address : NULL;
	uint32_t id = side_port_of(s, n);

	if (id)
		side_gate(s, id, gate, where);
	if (segment)
		trail_follow(s->e, segment->record->id, n->address,
			     gate == MIGRATE_GATE_REDIRECT ? where : NULL);
}

/* --- frames ---------------------------------------------------------------------------------- */

#define FRAME_MAX (CLAIM_LEN > ANNOUNCE_LEN_MAX ? CLAIM_LEN : ANNOUNCE_LEN_MAX)
#define TAG_LEN	  4

/* Puts the segment's VLAN in, where it has one. */
static void send_out(struct fleet_side *s, const struct segment *segment, const struct writer *w)
{
	const struct uplink_state *u = &s->e->uplinks[segment_slot(segment)];
	uint8_t frame[FRAME_MAX + TAG_LEN];
	size_t len = writer_used(w), at = 0;

	if (w->failed || !u->present)
		return;
	memcpy(frame, w->start, 12);
	at = 12;
	if (segment->vlan) {
		const uint8_t tag[TAG_LEN] = { 0x81, 0, (uint8_t)(segment->vlan >> 8),
					       (uint8_t)segment->vlan };

		memcpy(frame + at, tag, sizeof(tag));
		at += sizeof(tag);
	}
	memcpy(frame + at, w->start + 12, len - 12);
	if (inject_send(s->inject, u->link.ifindex, frame, at + len - 12) < 0)
		s->send_failed++;
	else
		s->announced++;
}

/* RARP first, which moves the switches' entry and says to our peers who holds it, and since which
 * epoch; then what neighbours know it by. */
static void op_announce(void *ctx, const struct fleet_name *n, uint64_t epoch, unsigned int nth)
{
	struct fleet_side *s = ctx;
	const struct vmac *v = vmac_of(s, n);
	const struct segment *segment = v ? world_segment(&s->e->world, v->segment)->record : NULL;
	struct claim_tag tag = { .address = n->address, .epoch = epoch };
	struct fleet_facts facts;
	uint8_t buf[FRAME_MAX];
	struct writer w = writer_of(buf, sizeof(buf));

	if (!v || !s->inject || segment_slot(segment) == 0)
		return;
	log_debug("announcement %u of epoch %llu", nth, (unsigned long long)epoch);
	s->e->ports[v->port].announced = s->e->cfg.mono_now();
	fleet_facts(s->fleet, &facts);
	tag.host = facts.number;
	if (s->cfg.has_key)
		claim_write(&w, &tag, s->cfg.key);
	else
		announce_rarp(&w, n->address);
	send_out(s, segment, &w);
	for (unsigned int i = 0; i < v->ip_count; i++) {
		const struct ip *ip = &v->ips[i];

		w = writer_of(buf, sizeof(buf));
		if (ip->family == 4)
			announce_arp(&w, ANNOUNCE_REQUEST, n->address, ip->octet);
		else
			announce_nd(&w, n->address, ip->octet, ip->octet, false);
		send_out(s, segment, &w);
	}
}

#define QUERY_RESPONSE_MS 500

/* IGMP first; count: of the two kinds. */
static void query_guest(struct fleet_side *s, uint32_t id, unsigned int count)
{
	uint8_t buf[QUERY_LEN_MAX];
	struct writer w;
	struct host_link link;
	struct error ignored;
	void (*const kinds[])(struct writer * w, vmac_mac_t from, unsigned int ms) = {
		query_igmp,
		query_mld,
	};

	assert(count <= ARRAY_LEN(kinds));
	if (!s->inject || !s->e->ports[id].set ||
	    host_link_by_index(s->e->cfg.host, s->e->ports[id].ifindex, &link, &ignored) < 0)
		return;
	for (unsigned int i = 0; i < count; i++) {
		w = writer_of(buf, sizeof(buf));
		kinds[i](&w, link.address, QUERY_RESPONSE_MS);
		if (inject_send(s->inject, link.ifindex, buf, writer_used(&w)) < 0)
			s->send_failed++;
		else
			s->queried++;
	}
}

static void op_query(void *ctx, const struct fleet_name *n)
{
	struct fleet_side *s = ctx;
	uint32_t id = side_port_of(s, n);

	if (id)
		query_guest(s, id, 2);
}

/* A QEMU that waits for its guest reads one frame from its tap, which its NIC cannot take yet, and
 * forgets that one when the guest begins to run; the others wait in the tap.  Without this one it
 * would be the first that the old host sends after the guest.  Where it is not forgotten it is a
 * query like the one that follows. */
void side_prime(struct fleet_side *s, uint32_t id)
{
	struct port_state *st = &s->e->ports[id];

	if (st->primed || !st->told_up || !st->carrier || !st->gated ||
	    st->gate != PLANE_TUNNEL_IN || s->e->world.ports[id]->kind != PORT_TAP)
		return;
	st->primed = true;
	query_guest(s, id, 1);
}

/* --- looks ----------------------------------------------------------------------------------- */

static const struct vmac *op_journal(void *ctx, const struct fleet_name *n, const char **ret_pool)
{
	struct fleet_side *s = ctx;
	const struct vmac *v = vmac_of(s, n);
	uint64_t number;

	if (v)
		*ret_pool = side_pool_of(s, v->pool, v->address, &number);
	return v;
}

static bool op_locate(void *ctx, const struct fleet_name *n, const char **ret_pool,
		      uint64_t *ret_number)
{
	struct fleet_side *s = ctx;
	const struct world_segment *segment = world_segment_named(&s->e->world, n->segment);
	const struct world_pool *p =
		segment ? world_pool_over(&s->e->world, segment->record->id, n->address) : NULL;
	uint64_t number = p ? pool_machine_number(&p->machine, n->address) : POOL_NO_NUMBER;

	if (number == POOL_NO_NUMBER)
		return false;
	*ret_pool = p->record->name;
	*ret_number = number;
	return true;
}

static void op_each(void *ctx, const char *pool, uint64_t number,
		    void (*fn)(void *fn_ctx, const struct vmac *v), void *fn_ctx)
{
	struct fleet_side *s = ctx;
	const struct world_pool *p = world_pool_named(&s->e->world, pool);
	uint64_t first, size = p ? p->machine.usable.size : 0;

	if (!p || !p->machine.block_size || number > size / p->machine.block_size)
		return;
	first = number * p->machine.block_size;
	for (uint64_t i = first; i < first + p->machine.block_size && i < size; i++) {
		const struct vmac *v = world_vmac(&s->e->world, p->record->segment,
						  pool_machine_address(&p->machine, i));

		if (v)
			fn(fn_ctx, v);
	}
}

/* --- notes ----------------------------------------------------------------------------------- */

/* For clusters it is here as long as it stands still, and no longer. */
static void note_pause(struct fleet_side *s, const struct fleet_note *note)
{
	uint32_t id = side_port_of(s, &note->name);
	bool paused = note->to == MIGRATE_PAUSED;

	if (!id || s->e->ports[id].paused == paused)
		return;
	s->e->ports[id].paused = paused;
	cluster_port(s->e, s->e->world.ports[id]);
}

static void op_note(void *ctx, const struct fleet_note *note)
{
	static const char *const kinds[] = {
		[FLEET_MOVE] = "move", [FLEET_ALARM] = "move",	      [FLEET_BLOCK] = "pool",
		[FLEET_HOST] = "host", [FLEET_REGISTRY] = "registry",
	};
	struct fleet_side *s = ctx;
	bool move = note->kind == FLEET_MOVE, alarm = note->kind == FLEET_ALARM;
	const char *segment = note->name.segment ? note->name.segment : "";
	char address[VMAC_MAC_TEXT_MAX] = "", reason[512];
	const char *peer = note->peer ? note->peer : "", *text = note->text ? note->text : "";

	if (segment[0])
		vmac_mac_format(note->name.address, VMAC_MAC_COLON, address);
	if (move || alarm)
		snprintf(reason, sizeof(reason), "%s%s%s%s%s", migrate_reason_name(note->reason),
			 peer[0] ? ", " : "", peer, text[0] ? ": " : "", text);
	else
		snprintf(reason, sizeof(reason), "%s", text);
	if (move)
		note_pause(s, note);
	if (alarm)
		log_warning("%s in segment %s: %s", address, segment, reason);
	else if (move)
		log_info("%s in segment %s: %s -> %s: %s", address, segment,
			 migrate_state_name(note->from), migrate_state_name(note->to), reason);
	else
		log_info("%s%s%s: %s", kinds[note->kind], peer[0] ? " " : "", peer, reason);
	event_fleet(s->e, kinds[note->kind], segment,
		    address[0] ? address
		    : peer[0]  ? peer
			       : s->name,
		    alarm			? "alarm"
		    : move			? "transition"
		    : note->kind == FLEET_BLOCK ? "block"
						: "note",
		    move ? migrate_state_name(note->from) : "",
		    move ? migrate_state_name(note->to) : "", reason);
}

const struct fleet_ops side_ops = {
	.submit = op_submit,
	.read = op_read,
	.reconcile = op_reconcile,
	.gate = op_gate,
	.announce = op_announce,
	.query = op_query,
	.hold = side_hold,
	.yield = side_yield,
	.forget = side_forget,
	.keep = side_keep,
	.block = side_block,
	.pool = side_told_pool,
	.cluster = side_told_cluster,
	.journal = op_journal,
	.locate = op_locate,
	.each = op_each,
	.note = op_note,
};
