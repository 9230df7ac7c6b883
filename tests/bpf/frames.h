/* Frames by hand: appended piece by piece, lengths set at the end.  Deliberately not src/wire: the
 * guard is tested with frames that a codec of ours would refuse to make. */
#pragma once

#include <arpa/inet.h>
#include <string.h>

#include "lab.h"

struct frame {
	uint8_t octet[512];
	size_t len;
};

static inline void put(struct frame *f, const void *data, size_t len)
{
	memcpy(f->octet + f->len, data, len);
	f->len += len;
}

static inline void put8(struct frame *f, unsigned int v)
{
	f->octet[f->len++] = (uint8_t)v;
}

static inline void put16(struct frame *f, unsigned int v)
{
	put8(f, v >> 8);
	put8(f, v);
}

static inline void put32(struct frame *f, uint32_t v)
{
	put16(f, v >> 16);
	put16(f, v & 0xffff);
}

static inline void put_zeros(struct frame *f, size_t len)
{
	memset(f->octet + f->len, 0, len);
	f->len += len;
}

static inline struct frame eth(const char *to, const char *from, uint16_t type)
{
	struct frame f = { .len = 0 };
	vmac_mac_t d = lab_mac(to), s = lab_mac(from);

	put(&f, d.octet, 6);
	put(&f, s.octet, 6);
	put16(&f, type);
	return f;
}

static inline void put_ip(struct frame *f, const char *text)
{
	struct ip ip = lab_ip(text);

	put(f, ip.octet, ip.family == 4 ? 4 : 16);
}

static inline struct frame arp(const char *to, const char *from, unsigned int op, const char *sha,
			       const char *spa, const char *tpa)
{
	struct frame f = eth(to, from, op > 2 ? 0x8035 : 0x0806);
	vmac_mac_t m = lab_mac(sha);

	put16(&f, 1);
	put16(&f, 0x0800);
	put8(&f, 6);
	put8(&f, 4);
	put16(&f, op);
	put(&f, m.octet, 6);
	put_ip(&f, spa);
	put_zeros(&f, 6);
	put_ip(&f, tpa);
	return f;
}

/* `fragment`: the 16 bits of flags and offset. */
static inline struct frame ip4(const char *to, const char *from, const char *src,
			       unsigned int proto, unsigned int fragment, unsigned int payload)
{
	struct frame f = eth(to, from, 0x0800);

	put8(&f, 0x45);
	put8(&f, 0);
	put16(&f, 20 + payload);
	put16(&f, 1);
	put16(&f, fragment);
	put8(&f, 64);
	put8(&f, proto);
	put16(&f, 0);
	put_ip(&f, src);
	put_ip(&f, "198.51.100.9");
	return f;
}

static inline void put_udp(struct frame *f, unsigned int sport, unsigned int dport)
{
	put16(f, sport);
	put16(f, dport);
	put16(f, 16);
	put16(f, 0);
	put_zeros(f, 8);
}

static inline struct frame ip6(const char *to, const char *from, const char *src, unsigned int next)
{
	struct frame f = eth(to, from, 0x86dd);

	put32(&f, 0x60000000);
	put16(&f, 0); /* ip6_done() */
	put8(&f, next);
	put8(&f, 255);
	put_ip(&f, src);
	put_ip(&f, "ff02::1");
	return f;
}

static inline struct frame ip6_done(struct frame f)
{
	size_t len = f.len - 14 - 40;

	f.octet[18] = (uint8_t)(len >> 8);
	f.octet[19] = (uint8_t)len;
	return f;
}

/* A hop-by-hop, routing or destination options header of 8 octets. */
static inline void put_ext(struct frame *f, unsigned int next)
{
	put8(f, next);
	put8(f, 0);
	put8(f, 1);
	put8(f, 4);
	put_zeros(f, 4);
}

static inline void put_fragment(struct frame *f, unsigned int next, unsigned int offset_and_more)
{
	put8(f, next);
	put8(f, 0);
	put16(f, offset_and_more);
	put32(f, 7);
}

/* ND with target (NULL: none) and one link-layer address option (NULL: none). */
static inline void put_nd(struct frame *f, unsigned int type, const char *target,
			  unsigned int option, const char *mac)
{
	put8(f, type);
	put8(f, 0);
	put16(f, 0);
	put32(f, 0);
	if (type == 134)
		put_zeros(f, 8);
	if (target)
		put_ip(f, target);
	if (mac) {
		vmac_mac_t m = lab_mac(mac);

		put8(f, option);
		put8(f, 1);
		put(f, m.octet, 6);
	}
}
