/* A cluster to try: its record, its rows by hand, frames for its face. */
#pragma once

#include <time.h>

#include "balance/table.h"
#include "frames.h"
#include "plane/cluster.h"

#define FACE   "02:76:00:00:00:01"
#define VIP    "192.0.2.100"
#define VIP6   "2001:db8::100"
#define CLIENT "198.51.100.7"

struct test_cluster {
	struct cluster record;
	vmac_mac_t faces[CLUSTER_FACES_MAX];
	struct ip ips[CLUSTER_ADDRESSES_MAX];
	struct cluster_rule rules[CLUSTER_RULES_MAX];
	struct cluster_member members[CLUSTER_MEMBERS_MAX];
};

static inline void test_cluster_init(struct test_cluster *t)
{
	memset(t, 0, sizeof(*t));
	t->record = (struct cluster){ .id = 1, .segment = 1, .name = "web", .face_count = 1 };
	t->record.faces = t->faces;
	t->record.addresses = t->ips;
	t->record.rules = t->rules;
	t->record.members = t->members;
	for (int i = 0; i < 16; i++)
		t->record.key[i] = (uint8_t)(i * 7 + 1);
	t->faces[0] = lab_mac(FACE);
	t->ips[0] = lab_ip(VIP);
	t->ips[1] = lab_ip(VIP6);
	t->record.address_count = 2;
}

static inline void test_cluster_member(struct test_cluster *t, uint16_t id, const char *mac)
{
	t->members[t->record.member_count++] =
		(struct cluster_member){ .id = id, .address = lab_mac(mac), .weight = 1 };
}

static inline mono_t test_in_ms(int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (mono_t){ (int64_t)t.tv_sec * 1000000000 + t.tv_nsec + ms * 1000000 };
}

/* --- packets for the address ------------------------------------------------------------------ */

#define TCP_SYN 0x02
#define TCP_ACK 0x10
#define TCP_FIN 0x01
#define TCP_RST 0x04

static inline void put_tcp(struct frame *f, unsigned int sport, unsigned int dport,
			   unsigned int flags)
{
	put16(f, sport);
	put16(f, dport);
	put32(f, 1);
	put32(f, 1);
	put8(f, 0x50);
	put8(f, flags);
	put16(f, 1024);
	put32(f, 0);
}

/* IPv4 with so many octets of options (of no operation) and of payload. */
static inline struct frame ip4_to(const char *to, const char *from, const char *src,
				  const char *dst, unsigned int proto, unsigned int fragment,
				  unsigned int options, unsigned int payload)
{
	struct frame f = eth(to, from, 0x0800);

	put8(&f, 0x45 + options / 4);
	put8(&f, 0);
	put16(&f, 20 + options + payload);
	put16(&f, 1);
	put16(&f, fragment);
	put8(&f, 64);
	put8(&f, proto);
	put16(&f, 0);
	put_ip(&f, src);
	put_ip(&f, dst);
	memset(f.octet + f.len, 1, options);
	f.len += options;
	return f;
}

static inline struct frame tcp4(const char *from, const char *src, unsigned int sport,
				unsigned int flags)
{
	struct frame f = ip4_to(FACE, from, src, VIP, 6, 0, 0, 20);

	put_tcp(&f, sport, 80, flags);
	return f;
}

static inline struct frame udp4(const char *from, const char *src, unsigned int sport)
{
	struct frame f = ip4_to(FACE, from, src, VIP, 17, 0, 0, 16);

	put_udp(&f, sport, 53);
	return f;
}

static inline struct frame ip6_to(const char *to, const char *from, const char *src,
				  const char *dst, unsigned int next)
{
	struct frame f = eth(to, from, 0x86dd);

	put32(&f, 0x60000000);
	put16(&f, 0); /* ip6_done() */
	put8(&f, next);
	put8(&f, 64);
	put_ip(&f, src);
	put_ip(&f, dst);
	return f;
}

/* The frame with an 802.1Q tag in it. */
static inline struct frame tagged(struct frame f, unsigned int vlan)
{
	memmove(f.octet + 16, f.octet + 12, f.len - 12);
	f.octet[12] = 0x81;
	f.octet[13] = 0x00;
	f.octet[14] = (uint8_t)(vlan >> 8);
	f.octet[15] = (uint8_t)vlan;
	f.len += 4;
	return f;
}
