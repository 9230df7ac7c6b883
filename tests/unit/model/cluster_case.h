/* Clusters to test with: one that passes, which a case spoils; and random ones that pass. */
#pragma once

#include <stdio.h>
#include <string.h>

#include "model/cluster.h"

struct cluster_case {
	struct cluster c;
	vmac_mac_t faces[CLUSTER_FACES_MAX + 1];
	struct ip addresses[CLUSTER_ADDRESSES_MAX + 1];
	struct cluster_rule rules[CLUSTER_RULES_MAX + 1];
	struct cluster_member members[CLUSTER_MEMBERS_MAX + 1];
	char target[CLUSTER_TARGET_MAX + 2], note[NOTE_MAX_LEN + 2];
};

static inline void cluster_case_face(struct cluster_case *k, uint64_t address)
{
	k->faces[k->c.face_count++] = vmac_mac_from_u64(address);
}

static inline void cluster_case_address(struct cluster_case *k, const char *text)
{
	if (ip_parse(text, &k->addresses[k->c.address_count++]) < 0)
		__builtin_trap();
}

static inline void cluster_case_rule(struct cluster_case *k, const char *text,
				     enum cluster_action action)
{
	struct cluster_rule *r = &k->rules[k->c.rule_count++];

	r->action = (uint8_t)action;
	if (cluster_rule_parse(text, r) < 0)
		__builtin_trap();
}

static inline void cluster_case_member(struct cluster_case *k, uint16_t id, uint64_t address)
{
	k->members[k->c.member_count++] = (struct cluster_member){
		.id = id, .address = vmac_mac_from_u64(address), .weight = 100, .priority = 1
	};
}

/* web: one face, 10.0.0.100, members 1, 2 and 3. */
static inline void cluster_case_init(struct cluster_case *k)
{
	memset(k, 0, sizeof(*k));
	cluster_defaults(&k->c);
	snprintf(k->c.name, sizeof(k->c.name), "web");
	k->c.faces = k->faces;
	k->c.addresses = k->addresses;
	k->c.rules = k->rules;
	k->c.members = k->members;
	k->c.generation = 1;
	cluster_case_face(k, 0x0a0000000001);
	cluster_case_address(k, "10.0.0.100");
	for (uint16_t id = 1; id <= 3; id++)
		cluster_case_member(k, id, UINT64_C(0x120000000000) + id);
}

/* --- random ones ----------------------------------------------------------------------------- */

static inline uint32_t cluster_case_next(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

static inline void cluster_case_random_members(struct cluster_case *k, uint64_t *seed)
{
	static const unsigned int counts[] = { 0, 1, 2, 7, 32, 100 };
	unsigned int count = counts[cluster_case_next(seed) % 6], id = 0;

	k->c.member_count = 0;
	if (cluster_case_next(seed) % 64 == 0)
		count = CLUSTER_MEMBERS_MAX;
	for (unsigned int i = 0; i < count; i++) {
		struct cluster_member *m = &k->members[i];

		uint64_t tail = (uint64_t)(cluster_case_next(seed) & 0xfffffff) << 12 | i;

		id += 1 + (count < 200 && cluster_case_next(seed) % 4 == 0);
		cluster_case_member(k, (uint16_t)id, UINT64_C(0x160000000000) | tail);
		m->weight = (uint16_t)(cluster_case_next(seed) % (CLUSTER_WEIGHT_MAX + 1));
		m->priority = (uint8_t)cluster_case_next(seed);
		m->state = (uint8_t)(cluster_case_next(seed) % MEMBER_STATE_COUNT);
		if (m->state == MEMBER_DRAINING)
			m->drain_ms = cluster_case_next(seed) % (CLUSTER_DRAIN_MAX_MS + 1);
	}
}

static inline void cluster_case_random_parts(struct cluster_case *k, uint64_t *seed)
{
	static const char *const rules[] = { "tcp/80", "udp/5000-6000", "icmp",	  "any",
					     "47",     "sctp/0-1",	"icmpv6", "tcp" };
	bool carry = k->c.mode == CLUSTER_CARRY;
	unsigned int count = cluster_case_next(seed) % (CLUSTER_ADDRESSES_MAX + 1);
	char text[40];

	k->c.face_count = k->c.address_count = 0;
	if (carry && cluster_case_next(seed) % 2)
		cluster_case_face(k, 0x03bf0a000064);
	else
		cluster_case_face(k, UINT64_C(0x0a0000000000) | cluster_case_next(seed));
	while (k->c.mode == CLUSTER_DIRECTOR && k->c.face_count < CLUSTER_FACES_MAX &&
	       cluster_case_next(seed) % 2)
		cluster_case_face(k, UINT64_C(0x0a0100000000) | (uint64_t)k->c.face_count << 24 |
					     cluster_case_next(seed) % 1000);
	for (unsigned int i = 0; i < (carry ? count : count + (count == 0)); i++) {
		snprintf(text, sizeof(text), cluster_case_next(seed) % 2 ? "10.%u.0.1" : "fd00::%x",
			 i + 1);
		cluster_case_address(k, text);
	}
	while (!carry && k->c.rule_count < CLUSTER_RULES_MAX && cluster_case_next(seed) % 3)
		cluster_case_rule(k, rules[cluster_case_next(seed) % 8],
				  cluster_case_next(seed) % CLUSTER_ACTION_COUNT);
	cluster_case_random_members(k, seed);
}

static inline void cluster_case_random(struct cluster_case *k, uint64_t seed)
{
	struct cluster *c = &k->c;

	cluster_case_init(k);
	snprintf(c->name, sizeof(c->name), "c%u", cluster_case_next(&seed));
	c->mode = (uint8_t)(cluster_case_next(&seed) % CLUSTER_MODE_COUNT);
	c->table = (uint8_t)(cluster_case_next(&seed) % CLUSTER_TABLE_COUNT);
	c->affinity = (uint8_t)(cluster_case_next(&seed) % CLUSTER_AFFINITY_COUNT);
	c->nat = c->mode != CLUSTER_CARRY && cluster_case_next(&seed) % 2;
	for (unsigned int i = 0; i < sizeof(c->key); i++)
		c->key[i] = (uint8_t)cluster_case_next(&seed);
	cluster_case_random_parts(k, &seed);
	c->check = (uint8_t)(cluster_case_next(&seed) % CLUSTER_CHECK_COUNT);
	if (c->mode == CLUSTER_CARRY && c->check >= CLUSTER_CHECK_TCP)
		c->check = CLUSTER_CHECK_NONE;
	if (c->check >= CLUSTER_CHECK_TCP)
		c->check_port = (uint16_t)(1 + cluster_case_next(&seed) % 65535);
	if (c->check == CLUSTER_CHECK_HTTP && cluster_case_next(&seed) % 2)
		c->check_target = "/ok?\"a\\b\"=1";
	c->check_interval_ms = 100 + cluster_case_next(&seed) % 3599901;
	c->check_timeout_ms = 100 + cluster_case_next(&seed) % (c->check_interval_ms - 99);
	c->rise = (uint8_t)(1 + cluster_case_next(&seed) % 255);
	c->fall = (uint8_t)(1 + cluster_case_next(&seed) % 255);
	if (cluster_case_next(&seed) % 2)
		c->note = "n\xc3\xb6te \"one\"";
	c->generation = 1 + (uint64_t)cluster_case_next(&seed) * cluster_case_next(&seed);
	c->changed.ms = 1790000000000 + cluster_case_next(&seed);
}
