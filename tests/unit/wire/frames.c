#include "frames.h"

#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "hex.h"
#include "wire/advert.h"
#include "wire/announce.h"
#include "wire/claim.h"
#include "wire/ip.h"
#include "wire/nd.h"
#include "wire/query.h"

static const uint8_t vips4[] = { 10, 9, 0, 100, 10, 9, 0, 101 };
static const uint8_t vips6[] = {
	0xfe, 0x80, 0,	  0,	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x64,
	0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x64,
};
static const struct vrrp_path path4 = { 4, { 10, 9, 0, 1 }, VRRP_GROUP_IPV4 };
static const struct vrrp_path path6 = { 6, { 0xfe, 0x80, [15] = 1 }, VRRP_GROUP_IPV6 };

/* --- envelopes ------------------------------------------------------------------------------- */

static void write_packet(struct writer *w, vmac_mac_t from, const struct vrrp_path *path,
			 uint8_t ttl, uint8_t protocol, uint16_t port, const void *payload,
			 size_t len)
{
	size_t udp_len = port ? UDP_HEADER_LEN : 0;
	struct udp u = { .from = port, .to = port, .payload_len = (uint16_t)len };
	struct ipv4 ip4 = {
		.tos = 0xc0,
		.payload_len = (uint16_t)(udp_len + len),
		.ttl = ttl,
		.protocol = protocol,
	};
	struct ipv6 ip6 = {
		.traffic_class = 0xc0,
		.payload_len = (uint16_t)(udp_len + len),
		.next_header = protocol,
		.hop_limit = ttl,
	};
	struct eth eth = { .from = from };

	memcpy(ip4.from, path->from, 4);
	memcpy(ip4.to, path->to, 4);
	memcpy(ip6.from, path->from, 16);
	memcpy(ip6.to, path->to, 16);
	eth.type = path->family == 6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4;
	eth.to = path->family == 6 ? nd_group_mac(path->to)
				   : (vmac_mac_t){ { 1, 0, 0x5e, path->to[1] & 0x7f, path->to[2],
						     path->to[3] } };
	eth_encode(w, &eth);
	if (path->family == 6)
		ipv6_encode(w, &ip6);
	else
		ipv4_encode(w, &ip4);
	if (port && path->family == 6)
		udp6_encode(w, &ip6, &u, payload);
	else if (port)
		udp4_encode(w, &ip4, &u, payload);
	else
		write_bytes(w, payload, len);
	eth_pad(w);
}

/* --- VRRP ------------------------------------------------------------------------------------ */

static void write_vrrp(struct writer *w, struct vrrp v, const struct vrrp_path *path)
{
	vmac_mac_t mac = { { 0, 0, 0x5e, 0, path->family == 6 ? 2 : 1, 7 } };
	uint8_t message[FRAME_MAX];
	struct writer in = writer_of(message, sizeof(message));

	v.group = 7;
	v.priority = 200;
	v.interval_cs = 100;
	v.address_count = 2;
	v.addresses = path->family == 6 ? vips6 : vips4;
	if (v.version == 2 && v.auth == VRRP_AUTH_MD5)
		vrrp_md5_sign(&v, path, FRAME_KEY);
	vrrp_encode(&in, path, &v, NULL, 0);
	assert(!in.failed);
	write_packet(w, mac, path, VRRP_TTL, IP_PROTOCOL_VRRP, 0, message, writer_used(&in));
}

static void vrrp2_plain(struct writer *w)
{
	write_vrrp(w, (struct vrrp){ .version = 2 }, &path4);
}

static void vrrp2_text(struct writer *w)
{
	write_vrrp(w, (struct vrrp){ .version = 2, .auth = VRRP_AUTH_TEXT, .text = FRAME_KEY },
		   &path4);
}

static void vrrp2_md5(struct writer *w)
{
	write_vrrp(w,
		   (struct vrrp){ .version = 2, .auth = VRRP_AUTH_MD5, .md5_key_id = FRAME_KEY_ID },
		   &path4);
}

static void vrrp3_pseudo(struct writer *w)
{
	write_vrrp(w, (struct vrrp){ .version = 3 }, &path4);
}

static void vrrp3_plain(struct writer *w)
{
	write_vrrp(w, (struct vrrp){ .version = 3, .dialect = VRRP_DIALECT_PLAIN }, &path4);
}

static void vrrp3_ipv6(struct writer *w)
{
	write_vrrp(w, (struct vrrp){ .version = 3 }, &path6);
}

static void write_vrrp_hmac(struct writer *w, const struct vrrp_path *path)
{
	const struct vrrp v = {
		.version = 3,
		.group = 7,
		.priority = 200,
		.interval_cs = 100,
		.address_count = 1,
		.addresses = path->family == 6 ? vips6 : vips4,
	};
	vmac_mac_t mac = { { 0, 0, 0x5e, 0, path->family == 6 ? 2 : 1, 7 } };
	uint8_t message[FRAME_MAX];
	struct writer in = writer_of(message, sizeof(message));
	size_t len = vrrp_len(&v, path->family);

	vrrp_encode(&in, path, &v, NULL, 0);
	assert(!in.failed);
	vrrp_hmac_sign(path, message, len, FRAME_KEY_ID, UINT64_C(0x6543210000010002), FRAME_KEY,
		       strlen(FRAME_KEY), message + len);
	in = writer_of(message, sizeof(message));
	vrrp_encode(&in, path, &v, message + len, VRRP_HMAC_LEN);
	write_packet(w, mac, path, VRRP_TTL, IP_PROTOCOL_VRRP, 0, message, len + VRRP_HMAC_LEN);
}

static void vrrp3_hmac(struct writer *w)
{
	write_vrrp_hmac(w, &path4);
}

static void vrrp3_hmac_ipv6(struct writer *w)
{
	write_vrrp_hmac(w, &path6);
}

/* --- CARP ------------------------------------------------------------------------------------ */

static void carp(struct writer *w)
{
	struct carp c = { .group = 42, .skew = 100, .base = 1, .counter = 0x0123456789abcdef };
	vmac_mac_t mac = { { 0, 0, 0x5e, 0, 1, 42 } };
	uint8_t message[CARP_LEN];
	struct writer in = writer_of(message, sizeof(message));

	carp_sign(&c, FRAME_KEY, 4, vips4, 2);
	carp_encode(&in, &path4, &c);
	assert(!in.failed);
	write_packet(w, mac, &path4, VRRP_TTL, IP_PROTOCOL_VRRP, 0, message, sizeof(message));
}

/* --- HSRP ------------------------------------------------------------------------------------ */

static void write_hsrp(struct writer *w, struct hsrp h)
{
	struct vrrp_path path = { 4, { 10, 9, 0, 1 }, HSRP1_GROUP_IPV4 };
	vmac_mac_t mac = { { 0, 0, 0x0c, 7, 0xac, 9 } };
	uint8_t message[HSRP_LEN_MAX];
	struct writer in = writer_of(message, sizeof(message));
	bool ip6 = h.family == 6;

	h.group = 9;
	h.priority = 110;
	h.hello_ms = 3000;
	h.hold_ms = 10000;
	memcpy(h.address, ip6 ? vips6 : vips4, ip6 ? 16 : 4);
	if (h.auth == HSRP_AUTH_TEXT) {
		memcpy(h.text, HSRP_TEXT_DEFAULT, strlen(HSRP_TEXT_DEFAULT));
	} else {
		memcpy(h.md5_from, path.from, 4);
		h.md5_key_id = FRAME_KEY_ID;
	}
	if (h.version == 2) {
		h.identifier = (vmac_mac_t){ { 2, 0, 0, 0, 0, 1 } };
		mac = (vmac_mac_t){ { 0, 0, 0x0c, 0x9f, 0xf0, 9 } };
		memcpy(path.to, (const uint8_t[])HSRP2_GROUP_IPV4, 4);
	}
	if (ip6) {
		path = path6;
		memcpy(path.to, (const uint8_t[])HSRP2_GROUP_IPV6, 16);
		mac = (vmac_mac_t){ { 0, 5, 0x73, 0xa0, 0, 9 } };
	}
	hsrp_encode(&in, &h, FRAME_KEY);
	assert(!in.failed && writer_used(&in) == hsrp_len(&h));
	write_packet(w, mac, &path, ip6 ? HSRP_TTL_IPV6 : HSRP_TTL, IP_PROTOCOL_UDP,
		     ip6 ? HSRP_PORT_IPV6 : HSRP_PORT, message, writer_used(&in));
}

#define HSRP_FRAME(function, v, operation_, state_, family_, auth_)                                \
	static void function(struct writer *w)                                                     \
	{                                                                                          \
		write_hsrp(w, (struct hsrp){ .version = v,                                         \
					     .operation = operation_,                              \
					     .state = state_,                                      \
					     .family = family_,                                    \
					     .auth = auth_ });                                     \
	}

HSRP_FRAME(hsrp1_hello, 1, HSRP_HELLO, HSRP_STATE_ACTIVE, 4, HSRP_AUTH_TEXT)
HSRP_FRAME(hsrp1_coup, 1, HSRP_COUP, HSRP_STATE_LISTEN, 4, HSRP_AUTH_TEXT)
HSRP_FRAME(hsrp1_resign, 1, HSRP_RESIGN, HSRP_STATE_SPEAK, 4, HSRP_AUTH_TEXT)
HSRP_FRAME(hsrp1_md5, 1, HSRP_HELLO, HSRP_STATE_STANDBY, 4, HSRP_AUTH_MD5)
HSRP_FRAME(hsrp2_hello, 2, HSRP_HELLO, HSRP_STATE_ACTIVE, 4, HSRP_AUTH_TEXT)
HSRP_FRAME(hsrp2_coup, 2, HSRP_COUP, HSRP_STATE_ACTIVE, 4, HSRP_AUTH_TEXT)
HSRP_FRAME(hsrp2_resign, 2, HSRP_RESIGN, HSRP_STATE_SPEAK, 4, HSRP_AUTH_TEXT)
HSRP_FRAME(hsrp2_md5, 2, HSRP_HELLO, HSRP_STATE_STANDBY, 4, HSRP_AUTH_MD5)
HSRP_FRAME(hsrp2_ipv6, 2, HSRP_HELLO, HSRP_STATE_ACTIVE, 6, HSRP_AUTH_TEXT)
HSRP_FRAME(hsrp2_ipv6_md5, 2, HSRP_HELLO, HSRP_STATE_ACTIVE, 6, HSRP_AUTH_MD5)

static void write_advertise(struct writer *w, uint8_t version)
{
	const struct hsrp h = {
		.version = version,
		.operation = HSRP_ADVERTISE,
		.active_groups = 1,
		.passive_groups = 2,
	};
	struct vrrp_path path = { 4, { 10, 9, 0, 1 }, HSRP1_GROUP_IPV4 };
	uint8_t message[HSRP_LEN_MAX];
	struct writer in = writer_of(message, sizeof(message));

	if (version == 2)
		memcpy(path.to, (const uint8_t[])HSRP2_GROUP_IPV4, 4);
	hsrp_encode(&in, &h, NULL);
	assert(!in.failed && writer_used(&in) == hsrp_len(&h));
	write_packet(w, (vmac_mac_t){ { 2, 0, 0, 0, 0, 1 } }, &path, HSRP_TTL, IP_PROTOCOL_UDP,
		     HSRP_PORT, message, writer_used(&in));
}

static void hsrp1_advertise(struct writer *w)
{
	write_advertise(w, 1);
}

static void hsrp2_advertise(struct writer *w)
{
	write_advertise(w, 2);
}

/* --- GLBP: by hand, for we never send it ----------------------------------------------------- */

static const char *const glbp_message =
	"0100 0005 0000 020000000001"					     /* header */
	"030a 0106 736563726574"					     /* text */
	"011c 0020 0078 0000 00000bb8 00002710 0258 3840 0000 0104 0a090064" /* hello */
	"0214 0120 00a7 6400 3840 0258 0000 0007b4000501"		     /* forwarder */
	"0408 000000000000";						     /* unknown */

static void glbp(struct writer *w)
{
	const struct vrrp_path path = { 4, { 10, 9, 0, 1 }, HSRP2_GROUP_IPV4 };
	uint8_t message[128];
	size_t len = hex(glbp_message, message);

	write_packet(w, (vmac_mac_t){ { 0, 7, 0xb4, 0, 5, 1 } }, &path, 255, IP_PROTOCOL_UDP,
		     GLBP_PORT, message, len);
}

/* --- announcements --------------------------------------------------------------------------- */

static const vmac_mac_t vmac4 = { { 0, 0, 0x5e, 0, 1, 7 } };
static const vmac_mac_t vmac6 = { { 0, 0, 0x5e, 0, 2, 7 } };

static void garp_request(struct writer *w)
{
	announce_arp(w, ANNOUNCE_REQUEST, vmac4, vips4);
}

static void garp_reply(struct writer *w)
{
	announce_arp(w, ANNOUNCE_REPLY, vmac4, vips4);
}

static void na(struct writer *w)
{
	announce_nd(w, vmac6, vips6, vips6 + 16, true);
}

static void rarp(struct writer *w)
{
	announce_rarp(w, vmac4);
}

/* --- queries --------------------------------------------------------------------------------- */

static void igmp_query(struct writer *w)
{
	query_igmp(w, (vmac_mac_t){ { 0x02, 0, 0, 0, 0, 1 } }, 500);
}

static void mld_query(struct writer *w)
{
	query_mld(w, (vmac_mac_t){ { 0x02, 0, 0, 0, 0, 1 } }, 500);
}

static void claim(struct writer *w)
{
	static const uint8_t key[CLAIM_KEY_LEN] = "a cluster's key";

	claim_write(w, &(struct claim_tag){ .address = vmac4, .epoch = 6, .host = 2 }, key);
}

const struct frame frames[] = {
	{ "vrrp2_plain", vrrp2_plain, ADVERT_VRRP, 7 },
	{ "vrrp2_text", vrrp2_text, ADVERT_VRRP, 7 },
	{ "vrrp2_md5", vrrp2_md5, ADVERT_VRRP, 7 },
	{ "vrrp3_pseudo", vrrp3_pseudo, ADVERT_VRRP, 7 },
	{ "vrrp3_plain", vrrp3_plain, ADVERT_VRRP, 7 },
	{ "vrrp3_ipv6", vrrp3_ipv6, ADVERT_VRRP, 7 },
	{ "vrrp3_hmac", vrrp3_hmac, ADVERT_VRRP, 7 },
	{ "vrrp3_hmac_ipv6", vrrp3_hmac_ipv6, ADVERT_VRRP, 7 },
	{ "carp", carp, ADVERT_CARP, 42 },
	{ "hsrp1_hello", hsrp1_hello, ADVERT_HSRP, 9 },
	{ "hsrp1_coup", hsrp1_coup, ADVERT_HSRP, 9 },
	{ "hsrp1_resign", hsrp1_resign, ADVERT_HSRP, 9 },
	{ "hsrp1_md5", hsrp1_md5, ADVERT_HSRP, 9 },
	{ "hsrp1_advertise", hsrp1_advertise, ADVERT_HSRP, 0 },
	{ "hsrp2_hello", hsrp2_hello, ADVERT_HSRP, 9 },
	{ "hsrp2_coup", hsrp2_coup, ADVERT_HSRP, 9 },
	{ "hsrp2_resign", hsrp2_resign, ADVERT_HSRP, 9 },
	{ "hsrp2_md5", hsrp2_md5, ADVERT_HSRP, 9 },
	{ "hsrp2_ipv6", hsrp2_ipv6, ADVERT_HSRP, 9 },
	{ "hsrp2_ipv6_md5", hsrp2_ipv6_md5, ADVERT_HSRP, 9 },
	{ "hsrp2_advertise", hsrp2_advertise, ADVERT_HSRP, 0 },
	{ "glbp", glbp, ADVERT_GLBP, 5 },
	{ "garp_request", garp_request, -1, 0 },
	{ "garp_reply", garp_reply, -1, 0 },
	{ "na", na, -1, 0 },
	{ "rarp", rarp, -1, 0 },
	{ "igmp_query", igmp_query, -1, 0 },
	{ "mld_query", mld_query, -1, 0 },
	{ "claim", claim, -1, 0 },
};
const size_t frame_count = ARRAY_LEN(frames);
