/* What follows from a record: the room for its frames, the machine's configuration, and
 * what of another record can be taken over under way. */
#include "elect/inside.h"

#include <string.h>

struct elect_body *body_new(struct elect_core *c, const struct router *record)
{
	struct elect_body *body;
	size_t room = 0;

	for (unsigned int i = 0; i < record->set_count; i++)
		room += compose_room(record, &record->sets[i]);
	body = mem_alloc(c->mem, sizeof(*body) + room);
	if (body)
		body->record = router_hold(record);
	return body;
}

void body_free(struct elect_core *c, struct elect_body *body)
{
	if (body)
		router_release(body->record);
	mem_free(c->mem, body);
}

/* HSRP's hold time where none is configured: 10/3 of the hello time, as 3 s have 10 s (RFC 2281
 * section 5.1); version 1 says it in whole seconds. */
static span_t configured_hold(const struct router *r)
{
	int64_t ms = r->hold_ms;

	if (!router_is_hsrp(r->protocol))
		return SPAN_NS(0);
	if (ms == 0)
		ms = ((int64_t)r->interval_ms * 10 + 2) / 3;
	if (r->protocol == ROUTER_HSRP1)
		ms = (ms + 999) / 1000 * 1000;
	return SPAN_MS(ms);
}

void body_config(const struct router *r, struct fhrp_config *ret)
{
	*ret = (struct fhrp_config){
		.protocol = r->protocol,
		.set_count = r->set_count,
		.priority = r->priority,
		.interval = SPAN_MS(r->interval_ms),
		.hold = configured_hold(r),
		.learn = r->learn,
		.preempt = r->preempt,
		.know_address = r->sets[0].address_count > 0,
		.preempt_delay = SPAN_MS(r->preempt_delay_ms),
		.boot_hold = SPAN_MS(r->boot_hold_ms),
		.linger = r->linger_ms == ROUTER_LINGER_AUTO ? SPAN_NS(-1) : SPAN_MS(r->linger_ms),
		.announce_count = r->announce_count,
		.announce_refresh = SPAN_MS(r->announce_refresh_ms),
	};
}

bool body_same_shape(const struct router *a, const struct router *b)
{
	if (a->protocol != b->protocol || a->set_count != b->set_count)
		return false;
	for (unsigned int i = 0; i < a->set_count; i++) {
		const struct router_set *x = &a->sets[i], *y = &b->sets[i];

		if (strcmp(x->ifname, y->ifname) != 0 || strcmp(x->device, y->device) != 0 ||
		    x->group != y->group || x->family != y->family ||
		    !vmac_mac_equal(router_set_mac(a, x), router_set_mac(b, y)))
			return false;
	}
	return true;
}

static bool has_address(const struct router_set *s, const struct router_address *a)
{
	for (unsigned int i = 0; i < s->address_count; i++)
		if (ip_equal(&s->addresses[i].ip, &a->ip) && s->addresses[i].prefix == a->prefix)
			return true;
	return false;
}

bool body_adds_addresses(const struct router *a, const struct router *b)
{
	for (unsigned int i = 0; i < b->set_count; i++)
		for (unsigned int k = 0; k < b->sets[i].address_count; k++)
			if (!has_address(&a->sets[i], &b->sets[i].addresses[k]))
				return true;
	return false;
}
