#include "wire/sight.h"

#include <string.h>

#include "base/bytes.h"
#include "wire/arp.h"
#include "wire/eth.h"

#define IPV4_FROM 12 /* where the sender stands in the header */
#define IPV6_FROM 8

static void sender(struct sight *s, uint8_t family, const uint8_t *from)
{
	static const uint8_t none[16] = { 0 };
	const size_t len = family == 4 ? 4 : 16;

	if (!from || memcmp(from, none, len) == 0)
		return;
	s->family = family;
	memcpy(s->sender, from, len);
}

static void read_arp(struct reader *r, uint16_t type, struct sight *s)
{
	struct arp arp;

	s->what = type == ETH_TYPE_ARP ? "ARP" : "RARP";
	if (arp_decode(r, type, &arp, NULL) == 0)
		sender(s, 4, arp.sender_ip);
}

static void read_ip(struct reader *r, uint8_t version, struct sight *s)
{
	const uint8_t *first;
	bool is_it;

	s->what = version == 4 ? "IPv4" : "IPv6";
	first = read_bytes(r, version == 4 ? IPV4_FROM : IPV6_FROM);
	is_it = first && first[0] >> 4 == version;
	if (is_it)
		sender(s, version, read_bytes(r, version == 4 ? 4 : 16));
}

void sight_read(const void *frame, size_t len, struct sight *ret)
{
	struct reader r = reader_of(frame, len);
	struct eth eth;

	*ret = (struct sight){ .what = "a frame" };
	if (eth_decode(&r, &eth, NULL) < 0)
		return;
	if (eth.type == ETH_TYPE_ARP || eth.type == ETH_TYPE_RARP)
		read_arp(&r, eth.type, ret);
	else if (eth.type == ETH_TYPE_IPV4)
		read_ip(&r, 4, ret);
	else if (eth.type == ETH_TYPE_IPV6)
		read_ip(&r, 6, ret);
}
