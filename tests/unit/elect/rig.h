/* Hosts with a core each, whose orders are recorded, on LANs that this file plays.
 *
 * Frames are copied when the core flushes, not when it orders them: one that was written again in
 * between would be seen. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "elect/core.h"
#include "wire/advert.h"

#define RIG_ORDERS_MAX 8192
#define RIG_FRAME_MAX  2048
#define RIG_LINKS_MAX  4
#define RIG_START_NS   1000000000000LL

enum order_kind {
	ORDER_SEND,
	ORDER_SEND_TO,
	ORDER_LEASE,
	ORDER_EMBODY,
	ORDER_DISEMBODY,
	ORDER_REPORT,
	ORDER_FLUSH,
	ORDER_GONE,
	ORDER_KIND_COUNT
};

struct order {
	enum order_kind kind;
	uint32_t router;
	unsigned int set;
	int ifindex;
	struct ip peer;
	mono_t until;
	struct elect_report report;
	const void *lent; /* until the flush */
	uint8_t *frame;
	size_t len;
};

struct host {
	struct elect_core *core;
	unsigned int number;
	bool plugged[RIG_LINKS_MAX + 1];
	struct order orders[RIG_ORDERS_MAX];
	unsigned int count, flushed, delivered;
	unsigned int counts[ORDER_KIND_COUNT];
	bool embodied[ROUTERS_MAX + 1];
	size_t allocated; /* blocks alive */
	int refuse_after; /* allocations until one fails; < 0: never */
	int64_t clock_ms; /* wall clock, off the common one */
	struct mem mem;
};

extern mono_t rig_now;

struct host *host_new(unsigned int number, bool devices);
void host_free(struct host *h); /* asserts that nothing leaked */

/* Link 1 … RIG_LINKS_MAX is "lan1" …; host n has 10.0.LINK.n and fe80::LINK:n on it. */
void host_plug(struct host *h, int link);
void host_unplug(struct host *h, int link);
struct elect_link host_link(const struct host *h, int link, bool usable);
struct ip host_ip(const struct host *h, int link, uint8_t family);

void host_forget(struct host *h); /* its record of orders */
const struct order *host_last(const struct host *h, enum order_kind kind);
/* The last advertisement, which is no announcement: its frame from the Ethernet header on. */
const uint8_t *host_last_advert(const struct host *h);
unsigned int host_reports(const struct host *h, enum fhrp_reason reason);
uint8_t host_state(const struct host *h, uint32_t id);
struct elect_counters host_counters(const struct host *h, uint32_t id);

/* A record; the pieces lie in static memory that lasts for the test. */
struct router *record_of(uint32_t id, enum router_protocol p, uint16_t group, uint8_t priority);
struct router_set *record_add_set(struct router *r, int link, uint16_t group, uint8_t family);
void record_add_key(struct router *r, uint32_t id, const char *secret);
void host_set(struct host *h, const struct router *r);
/* The same error as the core's, 0 when it took it. */
int host_try(struct host *h, const struct router *r, struct error *e);

/* Lets hosts run until `span` from now; frames reach all others on the link at once. */
void lan_run(struct host **hosts, unsigned int count, span_t span);
/* Gives out what is not delivered yet. */
void lan_deliver(struct host **hosts, unsigned int count);

/* --- frames made by hand --------------------------------------------------------------------- */

struct vrrp vrrp_frame(uint8_t version, uint8_t group, uint8_t priority);
/* Sends it from host `from` of the link (or as unicast to `to`) to the host under test. */
enum verdict hear_vrrp(struct host *h, unsigned int from, struct vrrp *v, const char *hmac_key,
		       uint8_t key_id, uint64_t sequence);
enum verdict hear_hsrp(struct host *h, unsigned int from, struct hsrp *v, const char *key);
enum verdict hear_carp(struct host *h, unsigned int from, struct carp *v, const char *key);
enum verdict hear_raw(struct host *h, const void *frame, size_t len);
extern bool hear_unicast;   /* the next ones, until cleared */
extern bool hear_unflushed; /* the core is not flushed behind them */
extern uint8_t hear_ttl;    /* 0 = the protocol's */
extern int hear_link;	    /* 0 = 1 */
