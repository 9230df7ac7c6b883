/* Shared records to test with: random ones that pass every rule, from small alphabets as from whole
 * ranges, so that equal keys and extremes both come up. */
#pragma once

#include <stdio.h>
#include <string.h>

#include "cluster_case.h"
#include "model/shared.h"

struct shared_case {
	struct shared_record r;
	uint64_t state;
	char texts[8][NOTE_MAX_LEN + 1];
	unsigned int texts_used;
	struct ip ips[BLOCK_SIZE_MAX * VMAC_IPS_MAX];
	size_t ips_used;
	struct vmac vmacs[BLOCK_SIZE_MAX];
	struct cluster_case cluster;
	char vmac_texts[BLOCK_SIZE_MAX][4][NOTE_MAX_LEN + 1];
};

static inline uint64_t case_next(struct shared_case *c)
{
	uint64_t x = c->state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static inline uint64_t case_below(struct shared_case *c, uint64_t n)
{
	return case_next(c) % n;
}

/* Small, great, or anything. */
static inline uint64_t case_number(struct shared_case *c, uint64_t most)
{
	switch (case_below(c, 4)) {
	case 0:
		return case_below(c, 3) % (most + (most < UINT64_MAX));
	case 1:
		return most;
	default:
		return most == UINT64_MAX ? case_next(c) : case_below(c, most + 1);
	}
}

static inline void case_uuid(struct shared_case *c, struct uuid *u, bool may_be_none)
{
	memset(u, 0, sizeof(*u));
	if (may_be_none && case_below(c, 4) == 0)
		return;
	for (unsigned int i = 0; i < sizeof(u->octet); i++)
		u->octet[i] = (uint8_t)case_next(c);
	u->octet[0] |= 1;
}

static inline void case_name(struct shared_case *c, char *to)
{
	static const char alphabet[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t len = 1 + case_number(c, NAME_MAX_LEN - 2);

	/* No address begins with this. */
	to[0] = 'n';
	for (size_t i = 1; i < len; i++)
		to[i] = alphabet[case_below(c, sizeof(alphabet) - 1)];
	to[len] = '\0';
}

/* UTF-8 of one to four octets, with what JSON has to escape. */
static inline void case_text(struct shared_case *c, char *to, size_t most)
{
	static const char *const parts[] = {
		"a", "Z", " ", "\"", "\\", "/", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x90\x8c",
		"%", "'", "<"
	};
	size_t wanted = case_number(c, most), len = 0;

	for (;;) {
		const char *part = parts[case_below(c, sizeof(parts) / sizeof(parts[0]))];

		if (len + strlen(part) > wanted)
			break;
		memcpy(to + len, part, strlen(part));
		len += strlen(part);
	}
	to[len] = '\0';
}

static inline const char *case_own_text(struct shared_case *c, size_t most)
{
	char *to = c->texts[c->texts_used++];

	case_text(c, to, most);
	return to;
}

static inline const char *case_own_name(struct shared_case *c, bool may_be_empty)
{
	char *to = c->texts[c->texts_used++];

	to[0] = '\0';
	if (!may_be_empty || case_below(c, 3) > 0)
		case_name(c, to);
	return to;
}

static inline struct ip case_ip(struct shared_case *c)
{
	struct ip ip = { .family = case_below(c, 2) ? 4 : 6 };

	for (unsigned int i = 0; i < (ip.family == 4 ? 4 : 16); i++)
		ip.octet[i] = (uint8_t)case_next(c);
	return ip;
}

static inline vmac_mac_t case_mac(struct shared_case *c)
{
	return vmac_mac_from_u64(case_next(c) & 0xfeffffffffffULL);
}

static inline const struct ip *case_ips(struct shared_case *c, uint8_t *ret_count)
{
	struct ip *ips = &c->ips[c->ips_used];

	*ret_count = (uint8_t)case_below(c, VMAC_IPS_MAX + 1);
	c->ips_used += *ret_count;
	for (unsigned int i = 0; i < *ret_count; i++)
		ips[i] = case_ip(c);
	return *ret_count ? ips : NULL;
}

static inline unsigned int case_ranges(struct shared_case *c, struct vmac_mac_range *to,
				       unsigned int least)
{
	unsigned int count = least + (unsigned int)case_below(c, POOL_RANGES_MAX + 1 - least);

	for (unsigned int i = 0; i < count; i++) {
		vmac_mac_t first = case_mac(c);

		to[i].first = first;
		if (vmac_mac_add(first, case_below(c, 1 << 20), &to[i].last) < 0)
			to[i].last = first;
	}
	return count;
}

static inline void case_pool(struct shared_case *c, struct shared_pool *p)
{
	case_name(c, p->pool.name);
	case_name(c, p->segment);
	p->pool.range_count = case_ranges(c, p->pool.ranges, 1);
	p->pool.exclude_count = case_ranges(c, p->pool.excludes, 0);
	for (unsigned int i = 0; i < 16; i++)
		p->pool.key[i] = (uint8_t)case_next(c);
	p->pool.quarantine_ms = (int64_t)case_number(c, INT64_MAX);
	p->pool.limit = case_number(c, INT64_MAX);
	p->block_size = 1u << case_below(c, 9);
}

static inline void case_vmac(struct shared_case *c, struct shared_vmac *v)
{
	v->segment = case_own_name(c, false);
	v->address = case_mac(c);
	v->state = (uint8_t)case_below(c, SHARED_VMAC_STATE_COUNT);
	v->kind = (uint8_t)case_below(c, VMAC_KIND_COUNT);
	v->origin = (uint8_t)case_below(c, VMAC_ORIGIN_COUNT);
	v->epoch = case_number(c, INT64_MAX);
	case_uuid(c, &v->holder, true);
	case_uuid(c, &v->to, true);
	case_uuid(c, &v->move, true);
	case_uuid(c, &v->request, true);
	v->lifetime_ms = (int64_t)case_number(c, MOVE_LIFETIME_MAX);
	v->quarantine_ms = (int64_t)case_number(c, INT64_MAX);
	v->pool = case_own_name(c, true);
	v->name = case_own_name(c, true);
	v->owner = case_own_text(c, OWNER_MAX_LEN);
	v->tenant = case_own_text(c, OWNER_MAX_LEN);
	v->note = case_own_text(c, NOTE_MAX_LEN);
	v->ips = case_ips(c, &v->ip_count);
	v->ttl_ms = (int64_t)case_number(c, INT64_MAX);
}

static inline void case_image(struct shared_case *c, struct shared_image *i)
{
	if (case_below(c, 4) > 0)
		case_name(c, i->pool);
	case_name(c, i->segment);
	i->number = case_number(c, INT64_MAX);
	case_uuid(c, &i->host, false);
	i->count = case_number(c, BLOCK_SIZE_MAX);
	i->vmacs = i->count ? c->vmacs : NULL;
	for (size_t n = 0; n < i->count; n++) {
		struct vmac *v = &c->vmacs[n];
		bool plain = case_below(c, 2);

		*v = (struct vmac){ .address = case_mac(c),
				    .name = "",
				    .owner = "",
				    .tenant = "",
				    .note = "",
				    .until = WALL_NEVER };
		v->state = (uint8_t)case_below(c, VMAC_STATE_COUNT);
		v->kind = (uint8_t)case_below(c, VMAC_KIND_COUNT);
		v->origin = (uint8_t)case_below(c, VMAC_ORIGIN_COUNT);
		v->epoch = case_number(c, INT64_MAX);
		v->created.ms = (int64_t)case_next(c);
		v->changed.ms = (int64_t)case_next(c);
		if (plain)
			continue;
		v->until.ms = (int64_t)case_next(c);
		v->ttl_ms = (int64_t)case_number(c, INT64_MAX);
		case_name(c, c->vmac_texts[n][0]);
		case_text(c, c->vmac_texts[n][1], OWNER_MAX_LEN);
		case_text(c, c->vmac_texts[n][2], OWNER_MAX_LEN);
		case_text(c, c->vmac_texts[n][3], NOTE_MAX_LEN);
		v->name = c->vmac_texts[n][0];
		v->owner = c->vmac_texts[n][1];
		v->tenant = c->vmac_texts[n][2];
		v->note = c->vmac_texts[n][3];
		v->ips = case_ips(c, &v->ip_count);
	}
}

static inline void case_host(struct shared_case *c, struct shared_host *h)
{
	case_uuid(c, &h->uuid, false);
	h->number = (uint16_t)(1 + case_below(c, HOST_NUMBER_MAX));
	h->state = (uint8_t)case_below(c, HOST_STATE_COUNT);
	case_name(c, h->name);
	if (case_below(c, 3) > 0)
		h->address = case_ip(c);
	h->tunnel_port = (uint16_t)case_next(c);
	case_text(c, h->version, sizeof(h->version) - 1);
	h->incarnation = case_number(c, INT64_MAX);
	case_text(c, h->fenced_by, sizeof(h->fenced_by) - 1);
}

/* A record of that kind; revision 0. */
static inline void case_shared(struct shared_case *c, enum shared_kind kind, uint64_t seed)
{
	memset(&c->r, 0, sizeof(c->r));
	c->texts_used = 0;
	c->ips_used = 0;
	c->state = seed;
	c->r.kind = kind;
	switch (kind) {
	case SHARED_META:
		c->r.meta.format = SHARED_FORMAT;
		case_uuid(c, &c->r.meta.cluster, false);
		return;
	case SHARED_HOST:
		case_host(c, &c->r.host);
		return;
	case SHARED_ALIVE:
		case_uuid(c, &c->r.alive.host, false);
		c->r.alive.incarnation = case_number(c, INT64_MAX);
		return;
	case SHARED_SEGMENT:
		case_name(c, c->r.segment.name);
		c->r.segment.vlan = (uint16_t)case_below(c, 4095);
		c->r.segment.number = 1 + (uint32_t)case_below(c, (1 << 24) - 1);
		return;
	case SHARED_POOL:
		case_pool(c, &c->r.pool);
		return;
	case SHARED_BLOCK:
		case_name(c, c->r.block.pool);
		c->r.block.number = case_number(c, INT64_MAX);
		case_uuid(c, &c->r.block.host, true);
		case_uuid(c, &c->r.block.request, true);
		return;
	case SHARED_VMAC:
		case_vmac(c, &c->r.vmac);
		return;
	case SHARED_IDENTITY:
		case_name(c, c->r.identity.pool);
		do
			case_text(c, c->r.identity.identity, sizeof(c->r.identity.identity) - 1);
		while (c->r.identity.identity[0] == '\0');
		c->r.identity.address = case_mac(c);
		case_uuid(c, &c->r.identity.host, true);
		case_uuid(c, &c->r.identity.request, true);
		return;
	case SHARED_ASK:
		c->r.ask.segment = case_own_name(c, false);
		c->r.ask.address = case_mac(c);
		c->r.ask.why = (uint8_t)case_below(c, ASK_WHY_COUNT);
		case_uuid(c, &c->r.ask.host, false);
		case_uuid(c, &c->r.ask.move, true);
		c->r.ask.lifetime_ms = (int64_t)case_number(c, MOVE_LIFETIME_MAX);
		c->r.ask.refused = case_own_text(c, NOTE_MAX_LEN);
		return;
	case SHARED_CLUSTER:
		c->r.cluster.segment = case_own_name(c, false);
		cluster_case_random(&c->cluster, case_next(c));
		c->r.cluster.cluster = &c->cluster.c;
		return;
	case SHARED_IMAGE:
		case_image(c, &c->r.image);
		return;
	case SHARED_KIND_COUNT:
		break;
	}
	__builtin_trap();
}
