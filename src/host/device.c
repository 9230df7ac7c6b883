#include "host/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

/* What one link costs more when it is asked for by name than in a list of all of them. */
#define SINGLE_COSTS 3

const int device_ipv4_numbers[IPV4_VALUES] = {
	[ARP_IGNORE] = IPV4_DEVCONF_ARP_IGNORE,
	[ARP_ANNOUNCE] = IPV4_DEVCONF_ARP_ANNOUNCE,
	[ARP_FILTER] = IPV4_DEVCONF_ARPFILTER,
	[ARP_NOTIFY] = IPV4_DEVCONF_ARP_NOTIFY,
	[RP_FILTER] = IPV4_DEVCONF_RP_FILTER,
	[PROMOTE_SECONDARIES] = IPV4_DEVCONF_PROMOTE_SECONDARIES,
	[FORWARDING] = IPV4_DEVCONF_FORWARDING,
};

const int device_ipv6_numbers[IPV6_VALUES] = {
	[ACCEPT_RA] = DEVCONF_ACCEPT_RA,
	[FORWARDING6] = DEVCONF_FORWARDING,
	[DISABLE_IPV6] = DEVCONF_DISABLE_IPV6,
};

void devices_done(struct devices *d)
{
	free(d->items);
	*d = (struct devices){ 0 };
}

static void read_conf(struct nlattr *families, struct device *d)
{
	struct nlattr *family[AF_INET6 + 1], *a[IFLA_INET6_MAX + 1], *conf;

	if (nla_parse_nested(family, AF_INET6, families, NULL) < 0)
		return;
	if (family[AF_INET] && nla_parse_nested(a, IFLA_INET_MAX, family[AF_INET], NULL) == 0 &&
	    (conf = a[IFLA_INET_CONF]))
		for (int i = 0; i < IPV4_VALUES; i++)
			if (nla_len(conf) >= 4 * device_ipv4_numbers[i])
				memcpy(&d->ipv4[i],
				       (char *)nla_data(conf) + 4 * (device_ipv4_numbers[i] - 1),
				       4);
	if (family[AF_INET6] && nla_parse_nested(a, IFLA_INET6_MAX, family[AF_INET6], NULL) == 0 &&
	    (conf = a[IFLA_INET6_CONF]))
		for (int i = 0; i < IPV6_VALUES; i++)
			if (nla_len(conf) >= 4 * (device_ipv6_numbers[i] + 1))
				memcpy(&d->ipv6[i],
				       (char *)nla_data(conf) + 4 * device_ipv6_numbers[i], 4);
}

static bool device_read(const struct nlmsghdr *message, struct device *d)
{
	struct nlattr *a[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1], *data[IFLA_MACVLAN_MAX + 1];
	struct nlmsghdr *h = (struct nlmsghdr *)message;

	d->link.peer_nsid = -1;
	if (!link_read(message, &d->link) ||
	    nlmsg_parse(h, sizeof(struct ifinfomsg), a, IFLA_MAX, NULL) < 0)
		return false;
	d->group = a[IFLA_GROUP] ? nla_get_u32(a[IFLA_GROUP]) : 0;
	if (a[IFLA_IFALIAS])
		nla_strlcpy(d->alias, a[IFLA_IFALIAS], sizeof(d->alias));
	if (strcmp(d->link.pub.kind, "macvlan") == 0 && a[IFLA_LINKINFO] &&
	    nla_parse_nested(info, IFLA_INFO_MAX, a[IFLA_LINKINFO], NULL) == 0 &&
	    info[IFLA_INFO_DATA] &&
	    nla_parse_nested(data, IFLA_MACVLAN_MAX, info[IFLA_INFO_DATA], NULL) == 0 &&
	    data[IFLA_MACVLAN_MODE])
		d->mode = nla_get_u32(data[IFLA_MACVLAN_MODE]);
	if (a[IFLA_AF_SPEC])
		read_conf(a[IFLA_AF_SPEC], d);
	return true;
}

static void on_device(void *ctx, const struct nlmsghdr *answer)
{
	struct devices *d = ctx;

	if (d->count == d->capacity) {
		size_t capacity = d->capacity ? 2 * d->capacity : 64;
		struct device *more = reallocarray(d->items, capacity, sizeof(*more));

		if (!more) {
			d->no_memory = true;
			return;
		}
		d->items = more;
		d->capacity = capacity;
	}
	d->items[d->count] = (struct device){ 0 };
	if (answer->nlmsg_type == RTM_NEWLINK && device_read(answer, &d->items[d->count]))
		d->count++;
}

/* One link (by index, or by name where that is 0), or all where name is NULL too. */
static int look(struct netlink *n, int ifindex, const char *ifname, struct devices *d)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = ifindex };
	const bool all = ifindex == 0 && !ifname;
	struct nl_msg *m CLEANUP(nlmsg_free_p) =
		netlink_message(RTM_GETLINK, all ? NLM_F_DUMP : 0, &info, sizeof(info));

	if (!m)
		return -ENOMEM;
	if (ifindex == 0 && ifname)
		netlink_put(m, IFLA_IFNAME, ifname, strlen(ifname) + 1);
	netlink_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return netlink_request(n, m, on_device, d);
}

int devices_look_all(struct netlink *n, struct devices *d)
{
	int r = -EAGAIN;

	for (int i = 0; i < NETLINK_DUMP_TRIES && r == -EAGAIN; i++) {
		d->count = 0;
		r = look(n, 0, NULL, d);
	}
	return r;
}

static int by_name(const void *a, const void *b)
{
	const struct device *x = a, *y = b;

	return strcmp(x->link.pub.ifname, y->link.pub.ifname);
}

/* Looks at the devices and their parents. */
int devices_look(struct netlink *n, const struct host_virtual *v, unsigned int count, size_t links,
		 struct devices *ret)
{
	int r = 0;

	ret->count = 0;
	if ((size_t)count * SINGLE_COSTS > links) {
		r = devices_look_all(n, ret);
	} else {
		for (unsigned int i = 0; i < count && r == 0; i++) {
			r = look(n, 0, v[i].ifname, ret);
			if ((r == 0 || r == -ENODEV) && (i == 0 || v[i].parent != v[i - 1].parent))
				r = look(n, v[i].parent, NULL, ret);
			if (r == -ENODEV)
				r = 0;
		}
	}
	if (r == 0 && ret->no_memory)
		r = -ENOMEM;
	if (r == 0 && ret->count > 0)
		qsort(ret->items, ret->count, sizeof(*ret->items), by_name);
	return r;
}

const struct device *device_named(const struct devices *d, const char *ifname)
{
	size_t low = 0, high = d->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(ifname, d->items[middle].link.pub.ifname);

		if (order == 0)
			return &d->items[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct device *device_indexed(const struct devices *d, int ifindex)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->items[i].link.pub.ifindex == ifindex)
			return &d->items[i];
	return NULL;
}
