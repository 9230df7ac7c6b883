/* Whether somebody on the wire has an address: asked by ARP probes (RFC 5227) and, for IPv6, the
 * solicitations of duplicate address detection (RFC 4862), which make nobody learn anything. */
#pragma once

#include "engine/cluster.h"
#include "host/listen.h"

#define ASK_TIMES 3
#define ASK_EVERY SPAN_MS(250)
#define ASK_WAIT  SPAN_MS(900) /* after the first: then nobody has it */

struct cluster_ask {
	struct listen *listen; /* NULL: nothing is asked */
	int ifindex;
	uint16_t vlan;
	vmac_mac_t own; /* the uplink's */
	const struct cluster *cluster;
	struct ip ips[CLUSTER_ADDRESSES_MAX];
	unsigned int count, sent;
	mono_t next, end;
	bool found;
	struct ip found_ip;
	vmac_mac_t found_at;
};

/* Begins to ask for what `before` (NULL: none) has not yet; false: there is nothing to ask, or
 * nobody to ask.  `c` is borrowed until the end. */
bool cluster_ask_begin(struct engine *e, struct cluster_ask *a, const struct cluster *c,
		       const struct cluster *before);
/* Returns whether it is known now. */
bool cluster_ask_turn(struct engine *e, struct cluster_ask *a, mono_t now);
mono_t cluster_ask_expiry(const struct cluster_ask *a);
int cluster_ask_result(const struct cluster_ask *a, struct error *ret_error);
void cluster_ask_end(struct cluster_ask *a);

/* The frames, for health checks too: to everybody, from `from`, for `ip`. */
void cluster_ask_frame(struct writer *w, vmac_mac_t from, uint16_t vlan, const struct ip *ip);
/* Whether a frame says that somebody has an address: which, and who. */
bool cluster_ask_read(const uint8_t *frame, size_t len, struct ip *ret_ip, vmac_mac_t *ret_at);
#define ASK_LEN_MAX 96
