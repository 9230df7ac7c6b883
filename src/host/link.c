/* Links: look, change, quieten, delete.
 *
 * Theory of operation: what must be silent.  A port's host side is a netdev like any other, and the
 * host's own stack speaks out of every netdev that is up: IPv6 makes a link-local address, probes
 * it (DAD), reports multicast groups (MLD) and solicits routers (RS) within a second; IPv4 answers
 * ARP for any address of the host.  All of that would reach the guest, from a MAC that is nobody's.
 * So, before a link comes up: disable_ipv6 (no address, no MLD, no RS), addrgenmode none (should
 * somebody enable IPv6 again), IFF_NOARP (no ARP is sent, none is answered), and no IFF_MULTICAST
 * (mDNS, LLMNR and LLDP daemons pass such links over).  Order counts: the kernel acts on these when
 * the link comes up.
 *
 * Below an mtu of 1,280 a link has no IPv6 at all; raising it over that line gives it one with the
 * defaults of the host.  A link that is up is therefore taken down for the moment of such a change.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include "host/private.h"
#include "model/record.h"

#define MTU_MIN	     68	   /* of IPv4; the drivers' own least */
#define MTU_MAX	     65521 /* of a tap: 65,535 less the Ethernet header */
#define MTU_IPV6_MIN 1280

static uint32_t u32_or(struct nlattr *a, uint32_t otherwise)
{
	return a && nla_len(a) >= 4 ? nla_get_u32(a) : otherwise;
}

static bool flag_of(struct nlattr *a)
{
	return a && nla_len(a) >= 1 && nla_get_u8(a);
}

static void read_tun(struct nlattr *data, struct link *l)
{
	struct nlattr *a[IFLA_TUN_MAX + 1];

	if (nla_parse_nested(a, IFLA_TUN_MAX, data, NULL) < 0)
		return;
	l->tap = a[IFLA_TUN_TYPE] && nla_get_u8(a[IFLA_TUN_TYPE]) == IFF_TAP;
	l->packet_info = flag_of(a[IFLA_TUN_PI]);
	l->vnet_hdr = flag_of(a[IFLA_TUN_VNET_HDR]);
	l->persistent = flag_of(a[IFLA_TUN_PERSIST]);
	l->multi_queue = flag_of(a[IFLA_TUN_MULTI_QUEUE]);
	l->uid = u32_or(a[IFLA_TUN_OWNER], UINT32_MAX);
	l->gid = u32_or(a[IFLA_TUN_GROUP], UINT32_MAX);
}

static void read_info(struct nlattr *info, struct link *l)
{
	struct nlattr *a[IFLA_INFO_MAX + 1];

	if (nla_parse_nested(a, IFLA_INFO_MAX, info, NULL) < 0 || !a[IFLA_INFO_KIND])
		return;
	nla_strlcpy(l->pub.kind, a[IFLA_INFO_KIND], sizeof(l->pub.kind));
	if (strcmp(l->pub.kind, "tun") == 0 && a[IFLA_INFO_DATA])
		read_tun(a[IFLA_INFO_DATA], l);
}

static void read_families(struct nlattr *families, struct link *l)
{
	struct nlattr *family[AF_INET6 + 1], *a[IFLA_INET6_MAX + 1];

	if (nla_parse_nested(family, AF_INET6, families, NULL) < 0 || !family[AF_INET6] ||
	    nla_parse_nested(a, IFLA_INET6_MAX, family[AF_INET6], NULL) < 0)
		return;
	l->has_ipv6 = true;
	l->makes_addresses = !a[IFLA_INET6_ADDR_GEN_MODE] ||
			     nla_get_u8(a[IFLA_INET6_ADDR_GEN_MODE]) != IN6_ADDR_GEN_MODE_NONE;
}

bool link_read(const struct nlmsghdr *message, struct link *l)
{
	struct nlmsghdr *h = (struct nlmsghdr *)message; /* libnl reads only, but does not say so */
	const struct ifinfomsg *info = nlmsg_data(h);
	struct nlattr *a[IFLA_MAX + 1];
	struct host_link *pub = &l->pub;

	/* A bridge tells of its ports in the same words, with its own family. */
	if (nlmsg_parse(h, sizeof(*info), a, IFLA_MAX, NULL) < 0 || info->ifi_family != AF_UNSPEC)
		return false;
	pub->ifindex = info->ifi_index;
	pub->up = info->ifi_flags & IFF_UP;
	l->flags = info->ifi_flags;
	if (a[IFLA_IFNAME])
		nla_strlcpy(pub->ifname, a[IFLA_IFNAME], sizeof(pub->ifname));
	if (a[IFLA_WIRELESS])
		return true;
	if (a[IFLA_ADDRESS] && nla_len(a[IFLA_ADDRESS]) == VMAC_MAC_LEN)
		memcpy(pub->address.octet, nla_data(a[IFLA_ADDRESS]), VMAC_MAC_LEN);
	pub->mtu = u32_or(a[IFLA_MTU], pub->mtu);
	pub->promiscuity = u32_or(a[IFLA_PROMISCUITY], pub->promiscuity);
	pub->carrier = a[IFLA_CARRIER] ? flag_of(a[IFLA_CARRIER]) : pub->carrier;
	pub->master = (int)u32_or(a[IFLA_MASTER], 0);
	l->group = u32_or(a[IFLA_GROUP], l->group);
	if (a[IFLA_STATS64] &&
	    nla_len(a[IFLA_STATS64]) >= (int)offsetof(struct rtnl_link_stats64, multicast))
		memcpy(&pub->tx_dropped,
		       (const char *)nla_data(a[IFLA_STATS64]) +
			       offsetof(struct rtnl_link_stats64, tx_dropped),
		       sizeof(pub->tx_dropped));
	l->peer = (int)u32_or(a[IFLA_LINK], 0);
	l->peer_nsid = (int)u32_or(a[IFLA_LINK_NETNSID], (uint32_t)-1);
	if (a[IFLA_LINKINFO])
		read_info(a[IFLA_LINKINFO], l);
	if (a[IFLA_AF_SPEC])
		read_families(a[IFLA_AF_SPEC], l);
	return true;
}

static void on_link(void *ctx, const struct nlmsghdr *answer)
{
	link_read(answer, ctx);
}

int link_look(struct netlink *n, int ifindex, const char *ifname, struct link *ret)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = ifindex };
	struct link l = { .peer_nsid = -1, .uid = UINT32_MAX, .gid = UINT32_MAX };
	struct nl_msg *m CLEANUP(nlmsg_free_p) =
		netlink_message(RTM_GETLINK, 0, &info, sizeof(info));
	int r;

	if (!m)
		return -ENOMEM;
	if (ifindex == 0)
		netlink_put(m, IFLA_IFNAME, ifname, strlen(ifname) + 1);
	r = netlink_request(n, m, on_link, &l);
	if (r < 0)
		return r;
	if (l.pub.ifindex == 0)
		return -EIO;
	*ret = l;
	return 0;
}

int host_link_by_name(struct host *h, const char *ifname, struct host_link *ret,
		      struct error *ret_error)
{
	struct link l;
	int r;

	r = ifname_check("interface", ifname, ret_error);
	if (r < 0)
		return r;
	r = link_look(&h->command, 0, ifname, &l);
	if (r == -ENODEV)
		return error_set(ret_error, ERROR_NO_INTERFACE,
				 "\"ip link\" lists the interfaces of this host",
				 "there is no interface %s", ifname);
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "look at %s", ifname);
	*ret = l.pub;
	return 0;
}

int host_link_by_index(struct host *h, int ifindex, struct host_link *ret, struct error *ret_error)
{
	struct link l;
	int r;

	assert(ifindex > 0);
	r = link_look(&h->command, ifindex, NULL, &l);
	if (r == -ENODEV)
		return error_set(ret_error, ERROR_NO_INTERFACE, NULL,
				 "there is no interface with index %d", ifindex);
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "look at interface %d", ifindex);
	*ret = l.pub;
	return 0;
}

int link_mtu_check(unsigned int mtu, struct error *ret_error)
{
	if (mtu >= MTU_MIN && mtu <= MTU_MAX)
		return 0;
	return error_set(ret_error, ERROR_BAD_VALUE, NULL, "the mtu %u is not in %d to %d", mtu,
			 MTU_MIN, MTU_MAX);
}

/* --- change ---------------------------------------------------------------------------------- */

int link_change(struct netlink *n, const struct link *l, const struct link_wish *wish)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = l->pub.ifindex };
	struct nl_msg *m CLEANUP(nlmsg_free_p) = NULL;
	bool address, mtu, mode;

	assert((wish->flags_on & wish->flags_off) == 0);
	info.ifi_change = (wish->flags_on & ~l->flags) | (wish->flags_off & l->flags);
	info.ifi_flags = wish->flags_on & info.ifi_change;
	address = wish->address && !vmac_mac_equal(*wish->address, l->pub.address);
	mtu = wish->mtu && wish->mtu != l->pub.mtu;
	mode = wish->no_addresses && l->has_ipv6 && l->makes_addresses;
	if (!info.ifi_change && !address && !mtu && !mode)
		return 0;

	m = netlink_message(RTM_NEWLINK, 0, &info, sizeof(info));
	if (!m)
		return -ENOMEM;
	if (address)
		netlink_put(m, IFLA_ADDRESS, wish->address->octet, VMAC_MAC_LEN);
	if (mtu)
		netlink_put_u32(m, IFLA_MTU, wish->mtu);
	if (mode) {
		struct nlattr *families = netlink_nest(m, IFLA_AF_SPEC);
		struct nlattr *ipv6 = netlink_nest(m, AF_INET6);

		netlink_put(m, IFLA_INET6_ADDR_GEN_MODE, &(uint8_t){ IN6_ADDR_GEN_MODE_NONE }, 1);
		nla_nest_end(m, ipv6);
		nla_nest_end(m, families);
	}
	return netlink_request(n, m, NULL, NULL);
}

/* Writes 1 to the link's disable_ipv6, unless it says so already.  A kernel without IPv6, or a link
 * too narrow for it, has no such file. */
static int ipv6_disable(const char *ifname)
{
	char path[64], now = '0';
	ssize_t n;
	int fd, r;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", ifname);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	n = read(fd, &now, 1);
	close(fd);
	if (n == 1 && now == '1')
		return 0;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write(fd, "1\n", 2) == 2 ? 0 : -errno;
	close(fd);
	return r;
}

int link_quieten(struct host *h, const struct link *l, struct error *ret_error)
{
	static const struct link_wish silence = {
		.flags_on = IFF_NOARP,
		.flags_off = IFF_MULTICAST,
		.no_addresses = true,
	};
	int r;

	r = ipv6_disable(l->pub.ifname);
	if (r < 0)
		return netlink_fail_errno(r, ret_error, "disable IPv6 on %s", l->pub.ifname);
	r = link_change(&h->command, l, &silence);
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "silence %s", l->pub.ifname);
	return 0;
}

int link_finish(struct host *h, const struct link *l, unsigned int mtu, struct host_link *ret,
		struct error *ret_error)
{
	static const struct link_wish down = { .flags_off = IFF_UP }, up = { .flags_on = IFF_UP };
	const char *ifname = l->pub.ifname;
	struct link now = *l;
	int r = 0;

	if (mtu != l->pub.mtu && l->pub.up && l->pub.mtu < MTU_IPV6_MIN)
		r = link_change(&h->command, l, &down);
	if (r == 0)
		r = link_change(&h->command, l, &(struct link_wish){ .mtu = mtu });
	if (r == 0)
		r = link_look(&h->command, l->pub.ifindex, NULL, &now);
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "give %s the mtu %u", ifname, mtu);
	r = link_quieten(h, &now, ret_error);
	if (r < 0)
		return r;
	r = link_change(&h->command, &now, &up);
	if (r == 0)
		r = link_look(&h->command, l->pub.ifindex, NULL, &now);
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "bring up %s", ifname);
	*ret = now.pub;
	return 0;
}

/* --- quieten --------------------------------------------------------------------------------- */

static void on_address(void *ctx, const struct nlmsghdr *answer)
{
	const struct ifaddrmsg *a = nlmsg_data((struct nlmsghdr *)answer);
	bool *has = ctx;

	/* The link-local address that every link has while it is up is no sign of use; it goes with
	 * IPv6. */
	if (a->ifa_family == AF_INET6 && a->ifa_scope == RT_SCOPE_LINK)
		return;
	*has = true;
}

static int has_addresses(struct netlink *n, int ifindex, bool *ret)
{
	struct ifaddrmsg filter = { .ifa_family = AF_UNSPEC, .ifa_index = (uint32_t)ifindex };
	int r = -EAGAIN;

	for (int i = 0; i < NETLINK_DUMP_TRIES && r == -EAGAIN; i++) {
		struct nl_msg *m CLEANUP(nlmsg_free_p) =
			netlink_message(RTM_GETADDR, NLM_F_DUMP, &filter, sizeof(filter));

		if (!m)
			return -ENOMEM;
		*ret = false;
		r = netlink_request(n, m, on_address, ret);
	}
	return r;
}

int host_port_quieten(struct host *h, int ifindex, struct error *ret_error)
{
	struct host_link ignored;
	struct link l;
	bool used;
	int r;

	assert(ifindex > 0);
	r = link_look(&h->command, ifindex, NULL, &l);
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "look at interface %d", ifindex);
	if (l.pub.master)
		return error_set(ret_error, ERROR_INTERFACE_IN_USE,
				 "\"ip link set DEV nomaster\" takes it out of there",
				 "%s belongs to another interface (a bridge, a bond, …)",
				 l.pub.ifname);
	r = has_addresses(&h->command, ifindex, &used);
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "look at the addresses of %s",
				    l.pub.ifname);
	if (used)
		return error_set(ret_error, ERROR_INTERFACE_IN_USE,
				 "a port's interface carries no IP address of the host; "
				 "\"ip addr flush dev DEV\" removes them",
				 "%s has IP addresses: the host itself uses it", l.pub.ifname);
	return link_finish(h, &l, l.pub.mtu, &ignored, ret_error);
}

int host_link_delete(struct host *h, int ifindex, struct error *ret_error)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = ifindex };
	struct nl_msg *m CLEANUP(nlmsg_free_p) = NULL;
	int r;

	assert(ifindex > 0);
	m = netlink_message(RTM_DELLINK, 0, &info, sizeof(info));
	r = m ? netlink_request(&h->command, m, NULL, NULL) : -ENOMEM;
	if (r < 0 && r != -ENODEV)
		return netlink_fail(&h->command, r, ret_error, "delete interface %d", ifindex);
	return 0;
}
