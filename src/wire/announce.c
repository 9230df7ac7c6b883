#include "wire/announce.h"

#include <assert.h>
#include <string.h>

#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/nd.h"

static const vmac_mac_t broadcast = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };

/* A frame to everybody that carries an ARP packet, or RARP. */
static void write_frame(struct writer *w, const struct arp *a)
{
	const struct eth eth = {
		.to = broadcast,
		.from = a->sender_mac,
		.type = arp_eth_type(a->operation),
	};

	eth_encode(w, &eth);
	arp_encode(w, a);
	eth_pad(w);
}

void announce_arp(struct writer *w, enum announce_form form, vmac_mac_t mac,
		  const uint8_t ip[static 4])
{
	struct arp a = { .sender_mac = mac, .target_mac = mac };

	assert(form < ANNOUNCE_FORM_COUNT);
	a.operation = form == ANNOUNCE_REPLY ? ARP_REPLY : ARP_REQUEST;
	memcpy(a.sender_ip, ip, sizeof(a.sender_ip));
	memcpy(a.target_ip, ip, sizeof(a.target_ip));
	write_frame(w, &a);
}

void announce_rarp(struct writer *w, vmac_mac_t mac)
{
	const struct arp a = {
		.operation = RARP_REQUEST,
		.sender_mac = mac,
		.target_mac = mac,
	};

	write_frame(w, &a);
}

void announce_nd(struct writer *w, vmac_mac_t mac, const uint8_t from[static 16],
		 const uint8_t target[static 16], bool router)
{
	struct nd nd = {
		.kind = ND_NEIGHBOUR_ADVERT,
		.router = router,
		.override = true,
		.has_mac = true,
		.mac = mac,
	};
	struct ipv6 ip = { .next_header = IP_PROTOCOL_ICMPV6, .hop_limit = ND_HOP_LIMIT };
	const struct eth eth = {
		.to = nd_group_mac(all_nodes),
		.from = mac,
		.type = ETH_TYPE_IPV6,
	};

	memcpy(nd.target, target, sizeof(nd.target));
	memcpy(ip.from, from, sizeof(ip.from));
	memcpy(ip.to, all_nodes, sizeof(ip.to));
	ip.payload_len = (uint16_t)nd_len(&nd);
	eth_encode(w, &eth);
	ipv6_encode(w, &ip);
	nd_encode(w, &ip, &nd);
}
