#include "engine/cluster_ask.h"

#include <string.h>

#include "host/inject.h"
#include "model/ip.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/ip.h"
#include "wire/nd.h"

/* --- frames ---------------------------------------------------------------------------------- */

static void frame_arp(struct writer *w, struct eth *eth, const struct ip *ip)
{
	struct arp arp = { .operation = ARP_REQUEST, .sender_mac = eth->from };

	memset(eth->to.octet, 0xff, sizeof(eth->to.octet));
	memcpy(arp.target_ip, ip->octet, sizeof(arp.target_ip));
	eth->type = ETH_TYPE_ARP;
	eth_encode(w, eth);
	arp_encode(w, &arp);
}

static void frame_nd(struct writer *w, struct eth *eth, const struct ip *ip)
{
	struct nd nd = { .kind = ND_NEIGHBOUR_SOLICIT };
	struct ipv6 head = { .next_header = IP_PROTOCOL_ICMPV6, .hop_limit = ND_HOP_LIMIT };

	memcpy(nd.target, ip->octet, sizeof(nd.target));
	nd_solicited_node(ip->octet, head.to);
	head.payload_len = (uint16_t)nd_len(&nd);
	eth->to = nd_group_mac(head.to);
	eth->type = ETH_TYPE_IPV6;
	eth_encode(w, eth);
	ipv6_encode(w, &head);
	nd_encode(w, &head, &nd);
}

void cluster_ask_frame(struct writer *w, vmac_mac_t from, uint16_t vlan, const struct ip *ip)
{
	struct eth eth = {
		.from = from,
		.tag_count = vlan ? 1 : 0,
		.tags = { { .type = ETH_TYPE_VLAN, .vlan = vlan } },
	};

	if (ip->family == 4)
		frame_arp(w, &eth, ip);
	else
		frame_nd(w, &eth, ip);
	eth_pad(w);
}

bool cluster_ask_read(const uint8_t *frame, size_t len, struct ip *ret_ip, vmac_mac_t *ret_at)
{
	struct reader r = reader_of(frame, len);
	const char *why;
	struct eth eth;
	struct ipv6 head;
	struct arp arp;
	struct nd nd;

	if (eth_decode(&r, &eth, &why) < 0)
		return false;
	*ret_ip = (struct ip){ 0 };
	*ret_at = eth.from;
	if (eth.type == ETH_TYPE_ARP && arp_decode(&r, eth.type, &arp, &why) == 0) {
		ret_ip->family = 4;
		memcpy(ret_ip->octet, arp.sender_ip, sizeof(arp.sender_ip));
		*ret_at = arp.sender_mac;
		return !arp_is_probe(&arp);
	}
	if (eth.type != ETH_TYPE_IPV6 || ipv6_decode(&r, &head, &why) < 0 ||
	    head.next_header != IP_PROTOCOL_ICMPV6 || nd_decode(&r, &head, &nd, &why) < 0 ||
	    nd.kind != ND_NEIGHBOUR_ADVERT)
		return false;
	ret_ip->family = 6;
	memcpy(ret_ip->octet, nd.target, sizeof(nd.target));
	if (nd.has_mac)
		*ret_at = nd.mac;
	return true;
}

/* --- a question ------------------------------------------------------------------------------ */

static bool is_address_of(const struct cluster *c, const struct ip *ip)
{
	for (unsigned int i = 0; c && i < c->address_count; i++)
		if (ip_equal(&c->addresses[i], ip))
			return true;
	return false;
}

bool cluster_ask_begin(struct engine *e, struct cluster_ask *a, const struct cluster *c,
		       const struct cluster *before)
{
	const struct segment *s = world_segment(&e->world, c->segment)->record;
	const struct uplink_state *u = &e->uplinks[segment_slot(s)];
	struct error error;

	*a = (struct cluster_ask){ .cluster = c, .vlan = s->vlan };
	for (unsigned int i = 0; i < c->address_count; i++)
		if (!is_address_of(before, &c->addresses[i]))
			a->ips[a->count++] = c->addresses[i];
	if (a->count == 0 || !segment_slot(s) || !u->present || !e->balancing->inject ||
	    c->mode == CLUSTER_CARRY)
		return false;
	/* A link that nobody can hear on has nobody who could have it. */
	if (listen_open(u->link.ifindex, s->vlan, &a->listen, &error) < 0)
		return false;
	a->ifindex = u->link.ifindex;
	a->own = u->link.address;
	a->next = e->cfg.mono_now();
	a->end = mono_after(a->next, ASK_WAIT);
	return true;
}

static void on_answer(void *ctx, const uint8_t *frame, size_t len)
{
	struct cluster_ask *a = ctx;
	vmac_mac_t at;
	struct ip ip;

	if (a->found || !cluster_ask_read(frame, len, &ip, &at) || vmac_mac_equal(at, a->own) ||
	    cluster_member_by_address(a->cluster, at))
		return;
	for (unsigned int i = 0; i < a->count; i++) {
		if (!ip_equal(&a->ips[i], &ip))
			continue;
		a->found = true;
		a->found_ip = ip;
		a->found_at = at;
	}
}

bool cluster_ask_turn(struct engine *e, struct cluster_ask *a, mono_t now)
{
	uint8_t buf[ASK_LEN_MAX];

	listen_read(a->listen, on_answer, a);
	if (a->found || mono_due(a->end, now))
		return true;
	if (!mono_due(a->next, now))
		return false;
	for (unsigned int i = 0; i < a->count; i++) {
		struct writer w = writer_of(buf, sizeof(buf));

		cluster_ask_frame(&w, a->own, a->vlan, &a->ips[i]);
		if (!w.failed)
			inject_send(e->balancing->inject, a->ifindex, buf, writer_used(&w));
	}
	a->next = ++a->sent < ASK_TIMES ? mono_after(now, ASK_EVERY) : a->end;
	return false;
}

mono_t cluster_ask_expiry(const struct cluster_ask *a)
{
	return a->next.ns < a->end.ns ? a->next : a->end;
}

int cluster_ask_result(const struct cluster_ask *a, struct error *ret_error)
{
	char ip[IP_TEXT_MAX], mac[VMAC_MAC_TEXT_MAX];

	if (!a->found)
		return 0;
	return error_set(ret_error, ERROR_ADDRESS_IN_USE,
			 "take it away there, make it a member, or choose another address",
			 "%s is in use on the wire: %s answers for it", ip_format(&a->found_ip, ip),
			 vmac_mac_format(a->found_at, VMAC_MAC_COLON, mac));
}

void cluster_ask_end(struct cluster_ask *a)
{
	listen_close(a->listen);
	a->listen = NULL;
}
