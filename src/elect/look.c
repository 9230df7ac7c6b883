/* Looks into the core from outside: nothing here changes anything. */
#include "elect/inside.h"

const struct router *elect_router_record(const struct elect_router *r)
{
	return router_record(r);
}

const struct fhrp *elect_router_machine(const struct elect_router *r)
{
	return &r->machine;
}

const struct elect_router *elect_set_router(const struct elect_set *s)
{
	return s->router;
}

unsigned int elect_set_index(const struct elect_set *s)
{
	return s->index;
}

unsigned int elect_set_slot(const struct elect_set *s)
{
	return s->slot;
}

const struct elect_set *elect_router_set(const struct elect_router *r, unsigned int index)
{
	return &r->sets[index];
}

int elect_set_ifindex(const struct elect_set *s)
{
	return s->wire->ifindex;
}

vmac_mac_t elect_set_mac(const struct elect_set *s)
{
	return s->mac;
}

struct ip elect_set_source(const struct elect_set *s)
{
	return s->source;
}

const struct router_address *elect_set_addresses(const struct elect_set *s, unsigned int *ret_count)
{
	const struct router_set *record = set_record(s);

	if (record->address_count == 0 && s->learned.ip.family != 0) {
		*ret_count = 1;
		return &s->learned;
	}
	*ret_count = record->address_count;
	return record->addresses;
}

const char *elect_router_checksum(const struct elect_router *r)
{
	const struct elect_set *s = &r->sets[0];

	if (router_record(r)->protocol != ROUTER_VRRP3 || s->family != 4)
		return "";
	return router_checksum_name(s->dialect == VRRP_DIALECT_PLAIN ? ROUTER_CHECKSUM_PLAIN
								     : ROUTER_CHECKSUM_PSEUDO);
}

void elect_router_counters(const struct elect_router *r, struct elect_counters *ret)
{
	const struct elect_counts *c = &r->counts;

	*ret = (struct elect_counters){
		.sent = c->sent,
		.sent_zero = c->sent_zero,
		.announced = c->announced,
		.received = c->accepted,
		.transitions = c->transitions,
		.late = c->late,
		.late_ns_most = c->late_ns_most,
	};
	for (unsigned int v = 0; r->verdicts && v < VERDICT_COUNT; v++) {
		ret->verdicts[v] = r->verdicts[v];
		ret->received += r->verdicts[v];
	}
	ret->verdicts[VERDICT_ACCEPTED] = c->accepted;
}

void elect_core_link_counters(const struct elect_core *c,
			      void (*fn)(void *ctx, const char *ifname,
					 const struct elect_counters *counters),
			      void *ctx)
{
	table_for_each (&c->wires, struct elect_wire, w)
		fn(ctx, w->ifname, &w->counters);
}
