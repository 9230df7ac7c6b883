#include "wire/query.h"

#include "wire/checksum.h"
#include "wire/eth.h"
#include "wire/ip.h"
#include "wire/nd.h"

#define IP_PROTOCOL_IGMP  2
#define IGMP_QUERY	  0x11
#define IGMP_REPORT	  0x16
#define IGMP_REPORT_LEN	  8
#define IGMP_QUERY_LEN	  12
#define MLD_QUERY	  130
#define MLD_QUERY_LEN	  28
#define MLD_REPORT	  131
#define MLD_DONE	  132
#define MLD_REPORT_LEN	  24
#define ROBUSTNESS	  2
#define INTERVAL_S	  125
#define INTERNETCONTROL	  0xc0
#define HOP_BY_HOP	  0
#define HOP_BY_HOP_LEN	  8
#define RESPONSE_MS_LEAST 100
#define RESPONSE_MS_MOST  12700 /* above, the field is no plain number */

static const uint8_t all_systems[4] = { 224, 0, 0, 1 };
static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };
static const uint8_t all_routers[16] = { 0xff, 2, [15] = 2 };

static bool in_bounds(struct writer *w, unsigned int ms)
{
	if (ms < RESPONSE_MS_LEAST || ms > RESPONSE_MS_MOST)
		w->failed = true;
	return !w->failed;
}

/* The packet that IGMP's `body` is in, once its checksum is set. */
static void write_igmp(struct writer *w, vmac_mac_t from, const uint8_t to[static 4], uint8_t *body,
		       size_t len)
{
	static const uint8_t router_alert[4] = { 0x94, 4, 0, 0 }; /* RFC 2113 */
	const struct eth eth = {
		.to = { { 0x01, 0, 0x5e, to[1] & 0x7f, to[2], to[3] } },
		.from = from,
		.type = ETH_TYPE_IPV4,
	};
	struct ipv4 ip = {
		.tos = INTERNETCONTROL,
		.payload_len = (uint16_t)len,
		.dont_fragment = true,
		.ttl = 1,
		.protocol = IP_PROTOCOL_IGMP,
		.options_len = sizeof(router_alert),
	};
	uint16_t sum = checksum_finish(checksum_add(0, body, len));

	memcpy(ip.to, to, sizeof(ip.to));
	memcpy(ip.options, router_alert, sizeof(router_alert));
	body[2] = (uint8_t)(sum >> 8);
	body[3] = (uint8_t)sum;
	eth_encode(w, &eth);
	ipv4_encode(w, &ip);
	write_bytes(w, body, len);
	eth_pad(w);
}

void query_igmp(struct writer *w, vmac_mac_t from, unsigned int max_response_ms)
{
	uint8_t body[IGMP_QUERY_LEN];
	struct writer b = writer_of(body, sizeof(body));

	if (!in_bounds(w, max_response_ms))
		return;
	write_u8(&b, IGMP_QUERY);
	write_u8(&b, max_response_ms / 100);
	write_u16(&b, 0); /* the checksum */
	write_zeros(&b, 4);
	write_u8(&b, ROBUSTNESS);
	write_u8(&b, INTERVAL_S);
	write_u16(&b, 0); /* no sources */
	write_igmp(w, from, all_systems, body, sizeof(body));
}

void query_report_igmp(struct writer *w, vmac_mac_t from, const uint8_t group[static 4])
{
	uint8_t body[IGMP_REPORT_LEN] = { IGMP_REPORT };

	memcpy(body + 4, group, 4);
	write_igmp(w, from, group, body, sizeof(body));
}

/* RFC 4291, appendix A. */
static void link_local(vmac_mac_t mac, uint8_t ret[static 16])
{
	const uint8_t address[16] = {
		0xfe, 0x80, [8] = mac.octet[0] ^ 2, mac.octet[1], mac.octet[2],
		0xff, 0xfe, mac.octet[3],	    mac.octet[4], mac.octet[5],
	};

	memcpy(ret, address, sizeof(address));
}

/* What MLD's `body` becomes, with its checksum. */
static void write_mld(struct writer *w, vmac_mac_t from, const uint8_t to[static 16], uint8_t *body,
		      size_t body_len)
{
	/* Hop-by-hop: ICMPv6 follows; router alert: MLD (RFC 2711); padding. */
	static const uint8_t alert[HOP_BY_HOP_LEN] = { IP_PROTOCOL_ICMPV6, 0, 5, 2, 0, 0, 1, 0 };
	const struct eth eth = {
		.to = nd_group_mac(to),
		.from = from,
		.type = ETH_TYPE_IPV6,
	};
	struct ipv6 ip = {
		.payload_len = (uint16_t)(HOP_BY_HOP_LEN + body_len),
		.next_header = HOP_BY_HOP,
		.hop_limit = 1,
	};
	uint8_t len[4] = { 0, 0, 0, (uint8_t)body_len };
	uint32_t sum;
	uint16_t field;

	link_local(from, ip.from);
	memcpy(ip.to, to, sizeof(ip.to));
	sum = checksum_add(ipv6_pseudo_sum(&ip, IP_PROTOCOL_ICMPV6), len, sizeof(len));
	field = checksum_finish(checksum_add(sum, body, body_len));
	body[2] = (uint8_t)(field >> 8);
	body[3] = (uint8_t)field;
	eth_encode(w, &eth);
	ipv6_encode(w, &ip);
	write_bytes(w, alert, sizeof(alert));
	write_bytes(w, body, body_len);
	eth_pad(w);
}

void query_mld(struct writer *w, vmac_mac_t from, unsigned int max_response_ms)
{
	uint8_t body[MLD_QUERY_LEN];
	struct writer b = writer_of(body, sizeof(body));

	if (!in_bounds(w, max_response_ms))
		return;
	write_u8(&b, MLD_QUERY);
	write_u8(&b, 0);
	write_u16(&b, 0); /* the checksum */
	write_u16(&b, max_response_ms);
	write_u16(&b, 0);
	write_zeros(&b, 16);
	write_u8(&b, ROBUSTNESS);
	write_u8(&b, INTERVAL_S);
	write_u16(&b, 0);
	write_mld(w, from, all_nodes, body, sizeof(body));
}

void query_report_mld(struct writer *w, vmac_mac_t from, const uint8_t group[static 16])
{
	uint8_t body[MLD_REPORT_LEN] = { MLD_REPORT };

	memcpy(body + 8, group, 16);
	write_mld(w, from, group, body, sizeof(body));
}

void query_done_mld(struct writer *w, vmac_mac_t from, const uint8_t group[static 16])
{
	uint8_t body[MLD_REPORT_LEN] = { MLD_DONE };

	memcpy(body + 8, group, 16);
	write_mld(w, from, all_routers, body, sizeof(body));
}
