/* What a device that carries a vMAC has, as the kernel describes it: more of a link than link.c
 * reads. */
#pragma once

#include "host/private.h"
#include "host/virtual.h"

#define DEVICE_ALIAS_MAX 255

/* What is read of IPv4's and IPv6's values, in this order. */
enum ipv4_value {
	ARP_IGNORE,
	ARP_ANNOUNCE,
	ARP_FILTER,
	ARP_NOTIFY,
	RP_FILTER,
	PROMOTE_SECONDARIES,
	FORWARDING,
	IPV4_VALUES,
};

enum ipv6_value { ACCEPT_RA, FORWARDING6, DISABLE_IPV6, IPV6_VALUES };

struct device {
	struct link link;
	uint32_t group, mode;
	char alias[DEVICE_ALIAS_MAX + 1];
	uint32_t ipv4[IPV4_VALUES];
	int32_t ipv6[IPV6_VALUES];
};

struct devices {
	struct device *items; /* by name when sorted */
	size_t count, capacity;
	bool no_memory;
};

void devices_done(struct devices *d);

/* Each begins anew: it reads all links, or the devices of the wishes and their parents (which may
 * come with others, or twice); `links`: how many there are, about.  0 or -errno. */
int devices_look_all(struct netlink *n, struct devices *ret);
int devices_look(struct netlink *n, const struct host_virtual *v, unsigned int count, size_t links,
		 struct devices *ret);

/* NULL = there is none.  By name only after devices_look(). */
const struct device *device_named(const struct devices *d, const char *ifname);
const struct device *device_indexed(const struct devices *d, int ifindex);

/* The kernel's numbers of the values: IPV4_DEVCONF_… and DEVCONF_…. */
extern const int device_ipv4_numbers[IPV4_VALUES], device_ipv6_numbers[IPV6_VALUES];
