/* A core whose orders are recorded, and clusters to give it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "anchor/core.h"

#define RIG_ORDERS_MAX 4096
#define RIG_START_NS   1000000000000LL

enum order_kind {
	ORDER_LEASE,
	ORDER_OWN,
	ORDER_STANDING,
	ORDER_SEND,
	ORDER_REPORT,
	ORDER_GONE
};

struct order_seen {
	enum order_kind kind;
	unsigned int slot, face;
	mono_t serve, speak;
	uint8_t standing; /* the first octet */
	int ifindex;
	uint16_t vlan;
	uint8_t frame[14 + HEARTBEAT_LEN_MAX];
	size_t len;
	struct anchor_report report;
	struct balance_choice choices[8];
	uint32_t cluster;
};

struct rig {
	struct anchor_core *core;
	struct mem mem;
	int refuse_after; /* allocations until one fails; < 0: never */
	size_t allocated; /* blocks alive */
	unsigned int count;
	struct order_seen orders[RIG_ORDERS_MAX];
	mono_t serve[CLUSTERS_MAX + 1][CLUSTER_FACES_MAX]; /* leases by slot, as stored */
};

extern mono_t rig_now;

/* A host of that number; 0: alone, as number 1. */
struct rig *rig_new(unsigned int number);
void rig_free(struct rig *r); /* asserts that nothing leaked */
struct anchor_identity rig_identity(unsigned int number);
void rig_forget(struct rig *r); /* its record of orders */
unsigned int rig_count(const struct rig *r, enum order_kind kind);
/* The n-th of that kind since rig_forget(), from 0. */
const struct order_seen *rig_order(const struct rig *r, enum order_kind kind, unsigned int n);
unsigned int rig_reports(const struct rig *r, enum anchor_report_kind kind);
const struct anchor_report *rig_report(const struct rig *r, enum anchor_report_kind kind);

/* Cluster `id`, "web" and its number, of segment "lan": faces 0a:00:00:00:ID:FACE, members 1 … n,
 * 10.0.0.ID and fd00::ID. */
struct rig_cluster {
	struct cluster record;
	vmac_mac_t faces[CLUSTER_FACES_MAX];
	struct ip addresses[2];
	struct cluster_member members[8];
};
void rig_cluster(struct rig_cluster *ret, uint32_t id, unsigned int faces, unsigned int members);
/* Sets it in slot `id` on link 1; returns what anchor_core_set() does. */
int rig_set(struct rig *r, const struct rig_cluster *c, uint16_t vlan);
int rig_set_at(struct rig *r, const struct rig_cluster *c, const struct anchor_where *where);
/* Member `id` and no other is here, and fit. */
void rig_host(struct rig *r, uint32_t cluster, uint16_t id);
