/* Devices that carry a vMAC: macvlans in private mode on the link of a router.
 *
 * Theory of operation.  A device is made once, long before it is needed, and stays up from then on:
 * down and up cost a grace period of the kernel each time, giving and taking addresses does not
 * (address.c).  So it has to be harmless while it waits.  Without an address IPv4 says nothing;
 * IPv6 makes no address and solicits no router, or is disabled where it is not needed.
 *
 * What a router's device needs of IPv4 (and what happens otherwise):
 *   arp_ignore 1	only this device answers for its address, not each one of the host
 *   arp_announce 2	it never tells another device's address as its own
 *   arp_filter 0	else it is silent: the route to whoever asks is the parent's
 *   arp_notify 0	announcing is the election's affair
 *   rp_filter 2	packets come in here whose way back is the parent; "loose" accepts that even
 *			where net.ipv4.conf.all.rp_filter is 1, because the greater one counts
 *   promote_secondaries 1	else with one of several addresses those of its subnet are lost
 *   forwarding		as the parent's
 * All of them go in one netlink message and are read in another, so that looking is enough to know
 * that nothing has to be done.  IPv6 takes its own by /proc only: accept_ra 0, forwarding (it makes
 * the router flag of neighbour advertisements), disable_ipv6.
 *
 * The order: make it; configure it; /proc; bring it up.  Address generation cannot be told in the
 * first message.  Each step is done for all devices at once. */
#include "host/virtual.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include "host/device.h"
#include "model/record.h"

static const uint32_t ipv4_wishes[IPV4_VALUES] = {
	[ARP_IGNORE] = 1, [ARP_ANNOUNCE] = 2, [RP_FILTER] = 2, [PROMOTE_SECONDARIES] = 1,
	/* 0: ARP_FILTER, ARP_NOTIFY; the parent's: FORWARDING */
};

static const char *const ipv6_names[IPV6_VALUES] = {
	[ACCEPT_RA] = "accept_ra",
	[FORWARDING6] = "forwarding",
	[DISABLE_IPV6] = "disable_ipv6",
};

/* --- the making of many ---------------------------------------------------------------------- */

struct making {
	struct host *host;
	const struct host_virtual *v;
	unsigned int count;
	struct host_link *links;
	struct error *errors;
	struct devices devices;	     /* as last looked at */
	const struct device *parent; /* the one asked for last */
	struct plan {
		const struct device *device; /* NULL = not there yet */
		bool failed, made;
		bool ipv4_forwarding, ipv6_forwarding; /* the parent's */
	} * plans;
	bool changed;	  /* anything, since it was looked at */
	const char *step; /* for messages */
};

static void give_up(struct making *m, unsigned int i)
{
	m->plans[i].failed = true;
}

static void step_failed(void *ctx, unsigned int i, int r, const char *detail)
{
	struct making *m = ctx;
	const struct host_virtual *v = &m->v[i];
	struct error *e = &m->errors[i];

	give_up(m, i);
	if (r == -EBUSY && !m->plans[i].device)
		error_set(e, ERROR_INTERFACE_IN_USE,
			  "use the bridge or bond itself, not what belongs to it",
			  "cannot make %s: interface %d belongs to another one or hands its frames "
			  "to somebody else",
			  v->ifname, v->parent);
	else if (r == -EBUSY || r == -EADDRINUSE)
		error_set(e, ERROR_ADDRESS_IN_USE, "\"ip -d link\" shows who has it",
			  "cannot %s %s: another device on interface %d has its address", m->step,
			  v->ifname, v->parent);
	else if (r == -EOPNOTSUPP && !m->plans[i].device)
		error_set(e, ERROR_KERNEL_UNSUPPORTED, "\"modprobe macvlan\" loads the driver",
			  "this kernel has no macvlan driver");
	else if (r == -EEXIST)
		error_set(e, ERROR_INTERFACE_IN_USE, NULL,
			  "cannot make %s: an interface of that name has just appeared", v->ifname);
	else
		netlink_fail_detail(r, detail, e, "%s %s", m->step, v->ifname);
}

static int parent_check(const struct host_virtual *v, const struct device *parent,
			struct error *ret_error)
{
	if (!parent)
		return error_set(ret_error, ERROR_NO_INTERFACE, NULL,
				 "there is no interface with index %d for %s", v->parent,
				 v->ifname);
	/* The kernel would put ours beside it, not on it. */
	if (strcmp(parent->link.pub.kind, "macvlan") == 0)
		return error_set(ret_error, ERROR_INTERFACE_IN_USE,
				 "use the interface that it is on",
				 "%s is a macvlan itself: %s cannot be on it",
				 parent->link.pub.ifname, v->ifname);
	return 0;
}

static int device_check(const struct host_virtual *v, const struct device *d,
			struct error *ret_error)
{
	if (strcmp(d->link.pub.kind, "macvlan") != 0 || d->mode != MACVLAN_MODE_PRIVATE ||
	    d->link.peer != v->parent || d->link.peer_nsid != -1)
		return error_set(ret_error, ERROR_INTERFACE_IN_USE,
				 "choose another name, or delete it: \"ip link delete DEV\"",
				 "%s is there already and is something else: no private macvlan on "
				 "interface %d",
				 v->ifname, v->parent);
	if (d->link.pub.master)
		return error_set(ret_error, ERROR_INTERFACE_IN_USE,
				 "\"ip link set DEV nomaster\" takes it out of there",
				 "%s belongs to another interface (a bridge, a bond, …)",
				 v->ifname);
	return 0;
}

/* What no device of ours can make up for, because it holds for all. */
static int system_check(struct error *ret_error)
{
	static const struct {
		const char *name;
		char least; /* from this value on it is in the way */
		const char *hint;
	} checks[] = {
		{ "arp_filter", '1', "set it to 0, or nobody is told the virtual addresses" },
		{ "arp_ignore", '3',
		  "set it to 0, 1 or 2, or nobody is told the virtual addresses" },
	};

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		char path[64], value = '0';
		int fd;

		snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/all/%s", checks[i].name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, &value, 1) != 1)
			value = '0';
		close(fd);
		if (value >= checks[i].least)
			return error_set(
				ret_error, ERROR_WRONG_STATE, checks[i].hint,
				"net.ipv4.conf.all.%s is %c: this host does not answer ARP "
				"for virtual addresses",
				checks[i].name, value);
	}
	return 0;
}

static int plan_one(struct making *m, unsigned int i, const struct error *system)
{
	const struct host_virtual *v = &m->v[i];
	struct plan *plan = &m->plans[i];
	struct error *e = &m->errors[i];
	int r;

	assert(v->parent > 0 && strlen(v->alias ? v->alias : "") <= DEVICE_ALIAS_MAX);
	r = ifname_check("interface", v->ifname, e);
	if (r < 0)
		return r;
	if (vmac_mac_is_group(v->address) || vmac_mac_u64(v->address) == 0)
		return error_set(e, ERROR_BAD_ADDRESS, NULL,
				 "an interface needs the address of one station");
	if (system && !v->no_ipv4) {
		*e = *system;
		return -EBUSY;
	}
	if (!m->parent || m->parent->link.pub.ifindex != v->parent)
		m->parent = device_indexed(&m->devices, v->parent);
	r = parent_check(v, m->parent, e);
	if (r < 0)
		return r;
	plan->ipv4_forwarding = m->parent->ipv4[FORWARDING];
	plan->ipv6_forwarding = m->parent->ipv6[FORWARDING6];
	plan->device = device_named(&m->devices, v->ifname);
	return plan->device ? device_check(v, plan->device, e) : 0;
}

/* Looks again at what was changed, and finds the devices anew. */
static int renew(struct making *m)
{
	int r;

	if (!m->changed)
		return 0;
	m->changed = false;
	r = devices_look(&m->host->command, m->v, m->count, m->host->links.count, &m->devices);
	for (unsigned int i = 0; i < m->count; i++) {
		struct plan *plan = &m->plans[i];

		if (plan->failed && !plan->made)
			continue;
		plan->device = r == 0 ? device_named(&m->devices, m->v[i].ifname) : NULL;
		if (plan->device || plan->failed)
			continue;
		give_up(m, i);
		netlink_fail_errno(r < 0 ? r : -ENODEV, &m->errors[i], "look at %s",
				   m->v[i].ifname);
	}
	return r;
}

static int build_create(void *ctx, unsigned int i, struct nl_msg **ret)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct making *m = ctx;
	const struct host_virtual *v = &m->v[i];
	struct nlattr *link_info, *data;
	struct nl_msg *msg;

	if (m->plans[i].failed || m->plans[i].device)
		return 0;
	msg = netlink_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	if (!msg)
		return -ENOMEM;
	netlink_put(msg, IFLA_IFNAME, v->ifname, strlen(v->ifname) + 1);
	netlink_put(msg, IFLA_ADDRESS, v->address.octet, VMAC_MAC_LEN);
	netlink_put_u32(msg, IFLA_LINK, (uint32_t)v->parent);
	netlink_put_u32(msg, IFLA_GROUP, v->group);
	link_info = netlink_nest(msg, IFLA_LINKINFO);
	netlink_put(msg, IFLA_INFO_KIND, "macvlan", sizeof("macvlan"));
	data = netlink_nest(msg, IFLA_INFO_DATA);
	netlink_put_u32(msg, IFLA_MACVLAN_MODE, MACVLAN_MODE_PRIVATE);
	nla_nest_end(msg, data);
	nla_nest_end(msg, link_info);
	m->plans[i].made = true;
	m->changed = true;
	*ret = msg;
	return 0;
}

static uint32_t ipv4_wish(const struct plan *plan, int value)
{
	return value == FORWARDING ? plan->ipv4_forwarding : ipv4_wishes[value];
}

static void put_conf(struct nl_msg *msg, const struct plan *plan, bool conf, bool mode)
{
	struct nlattr *families = netlink_nest(msg, IFLA_AF_SPEC), *family, *values;

	if (conf) {
		family = netlink_nest(msg, AF_INET);
		values = netlink_nest(msg, IFLA_INET_CONF);
		for (int k = 0; k < IPV4_VALUES; k++)
			if (plan->device->ipv4[k] != ipv4_wish(plan, k))
				netlink_put_u32(msg, device_ipv4_numbers[k], ipv4_wish(plan, k));
		nla_nest_end(msg, values);
		nla_nest_end(msg, family);
	}
	if (mode) {
		family = netlink_nest(msg, AF_INET6);
		netlink_put(msg, IFLA_INET6_ADDR_GEN_MODE, &(uint8_t){ IN6_ADDR_GEN_MODE_NONE }, 1);
		nla_nest_end(msg, family);
	}
	nla_nest_end(msg, families);
}

static int build_configure(void *ctx, unsigned int i, struct nl_msg **ret)
{
	struct making *m = ctx;
	const struct host_virtual *v = &m->v[i];
	const struct plan *plan = &m->plans[i];
	const struct device *d = plan->device;
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	const char *text = v->alias ? v->alias : "";
	bool address, group, alias, conf = false, mode;
	struct nl_msg *msg;

	if (plan->failed)
		return 0;
	address = !vmac_mac_equal(d->link.pub.address, v->address);
	group = d->group != v->group;
	alias = strcmp(d->alias, text) != 0;
	for (int k = 0; k < IPV4_VALUES; k++)
		conf |= d->ipv4[k] != ipv4_wish(plan, k);
	mode = d->link.has_ipv6 && d->link.makes_addresses;
	if (!address && !group && !alias && !conf && !mode)
		return 0;
	info.ifi_index = d->link.pub.ifindex;
	msg = netlink_message(RTM_NEWLINK, 0, &info, sizeof(info));
	if (!msg)
		return -ENOMEM;
	if (address)
		netlink_put(msg, IFLA_ADDRESS, v->address.octet, VMAC_MAC_LEN);
	if (group)
		netlink_put_u32(msg, IFLA_GROUP, v->group);
	if (alias) /* no octet at all takes it away */
		netlink_put(msg, IFLA_IFALIAS, text, *text ? strlen(text) + 1 : 0);
	if (conf || mode)
		put_conf(msg, plan, conf, mode);
	m->changed = true;
	*ret = msg;
	return 0;
}

static int build_up(void *ctx, unsigned int i, struct nl_msg **ret)
{
	struct making *m = ctx;
	const struct plan *plan = &m->plans[i];
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };

	if (plan->failed || (plan->device->link.flags & IFF_UP))
		return 0;
	info.ifi_index = plan->device->link.pub.ifindex;
	info.ifi_flags = info.ifi_change = IFF_UP;
	*ret = netlink_message(RTM_NEWLINK, 0, &info, sizeof(info));
	m->changed = true;
	return *ret ? 0 : -ENOMEM;
}

/* A link too narrow for IPv6, and a kernel without it, have no such file: then nothing is wrong. */
static int ipv6_write(const char *ifname, const char *name, bool on)
{
	char path[80];
	int fd, r;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", ifname, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = write(fd, on ? "1" : "0", 1) == 1 ? 0 : -errno;
	close(fd);
	return r;
}

/* IPv6 is enabled last, when nothing can be said any more that should not be. */
static void ipv6_configure(struct making *m, unsigned int i)
{
	const struct host_virtual *v = &m->v[i];
	const struct plan *plan = &m->plans[i];
	const bool wish[IPV6_VALUES] = {
		[ACCEPT_RA] = false,
		[FORWARDING6] = plan->ipv6_forwarding,
		[DISABLE_IPV6] = v->no_ipv6,
	};
	int r = 0;

	if (plan->failed || !plan->device->link.has_ipv6)
		return;
	for (int k = 0; k < IPV6_VALUES && r == 0; k++) {
		if (plan->device->ipv6[k] == wish[k] || (v->no_ipv6 && k != DISABLE_IPV6))
			continue;
		r = ipv6_write(v->ifname, ipv6_names[k], wish[k]);
		m->changed = true;
	}
	if (r < 0) {
		give_up(m, i);
		netlink_fail_errno(r, &m->errors[i], "set up IPv6 on %s", v->ifname);
	}
}

static void run(struct making *m, const char *step,
		int (*build)(void *ctx, unsigned int i, struct nl_msg **ret))
{
	const struct netlink_batch batch = { build, step_failed, m };

	m->step = step;
	netlink_batch_run(&m->host->command, m->count, &batch);
}

/* What was made by a call that failed then is nobody's; what was taken over stays. */
static unsigned int finish(struct making *m)
{
	unsigned int failed = 0;
	struct error ignored;

	for (unsigned int i = 0; i < m->count; i++) {
		const struct plan *plan = &m->plans[i];

		if (plan->failed && plan->made && plan->device)
			host_link_delete(m->host, plan->device->link.pub.ifindex, &ignored);
		if (m->v[i].made)
			*m->v[i].made = plan->made;
		m->links[i] = plan->failed ? (struct host_link){ 0 } : plan->device->link.pub;
		failed += plan->failed;
	}
	return failed;
}

unsigned int host_virtual_make_many(struct host *h, const struct host_virtual *v,
				    unsigned int count, struct host_link *ret_links,
				    struct error *ret_errors)
{
	struct making m = {
		.host = h, .v = v, .count = count, .links = ret_links, .errors = ret_errors
	};
	struct error system;
	unsigned int failed;
	bool in_the_way;
	int r;

	m.plans = calloc(count ? count : 1, sizeof(*m.plans));
	r = m.plans ? devices_look(&h->command, v, count, h->links.count, &m.devices) : -ENOMEM;
	if (r < 0) {
		for (unsigned int i = 0; i < count; i++) {
			netlink_fail(&h->command, r, &ret_errors[i], "list the interfaces");
			ret_links[i] = (struct host_link){ 0 };
		}
		devices_done(&m.devices);
		free(m.plans);
		return count;
	}
	in_the_way = system_check(&system) < 0;
	for (unsigned int i = 0; i < count; i++)
		if (plan_one(&m, i, in_the_way ? &system : NULL) < 0)
			give_up(&m, i);
	run(&m, "make", build_create);
	renew(&m);
	run(&m, "configure", build_configure);
	for (unsigned int i = 0; i < count; i++)
		ipv6_configure(&m, i);
	run(&m, "bring up", build_up);
	renew(&m);
	failed = finish(&m);
	devices_done(&m.devices);
	free(m.plans);
	return failed;
}

int host_virtual_make(struct host *h, const struct host_virtual *v, struct host_link *ret,
		      struct error *ret_error)
{
	struct error error = { 0 };
	struct host_link l;

	if (host_virtual_make_many(h, v, 1, &l, &error) > 0) {
		*ret_error = error;
		return -error_errno(error.code);
	}
	*ret = l;
	return 0;
}

/* --- groups ---------------------------------------------------------------------------------- */

int host_virtual_list(struct host *h, uint32_t group,
		      void (*fn)(void *ctx, const struct host_link *link, int parent), void *ctx,
		      struct error *ret_error)
{
	struct devices d = { 0 };
	int r = devices_look_all(&h->command, &d);

	if (r == 0 && d.no_memory)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < d.count; i++)
		if (d.items[i].group == group)
			fn(ctx, &d.items[i].link.pub, d.items[i].link.peer);
	devices_done(&d);
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "list the interfaces");
	return 0;
}

int host_virtual_delete_group(struct host *h, uint32_t group, struct error *ret_error)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct nl_msg *m CLEANUP(nlmsg_free_p) =
		netlink_message(RTM_DELLINK, 0, &info, sizeof(info));
	int r;

	assert(group != 0); /* that is everybody else's */
	if (m)
		netlink_put_u32(m, IFLA_GROUP, group);
	r = m ? netlink_request(&h->command, m, NULL, NULL) : -ENOMEM;
	if (r < 0 && r != -ENODEV)
		return netlink_fail(&h->command, r, ret_error, "delete the interfaces of group %u",
				    group);
	return 0;
}

int host_virtual_set_group(struct host *h, int ifindex, uint32_t group, struct error *ret_error)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = ifindex };
	struct nl_msg *m CLEANUP(nlmsg_free_p) =
		netlink_message(RTM_NEWLINK, 0, &info, sizeof(info));
	int r;

	assert(ifindex > 0);
	if (m)
		netlink_put_u32(m, IFLA_GROUP, group);
	r = m ? netlink_request(&h->command, m, NULL, NULL) : -ENOMEM;
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "put interface %d into group %u",
				    ifindex, group);
	return 0;
}
