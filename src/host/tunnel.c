/* The tunnel's device: VXLAN in metadata mode, without a single peer of its own.
 *
 * Theory of operation.  The kernel makes such a link with two sockets (IPv4 and IPv6) and neither
 * table nor learning: who sends a frame through it says with the frame where to, and who receives
 * one is told where from.  Both are the data plane's programs.  So the link needs no address, is
 * silenced like a port, and differs from any other by its UDP port alone.  The port cannot be
 * changed: another one is another link, made in place of ours.
 *
 * Its mtu is such that the outer packet is still an IP packet.  What does not fit the network
 * between the hosts in one piece is fragmented (IPv4 without DF, IPv6 by the sender). */
#include "host/tunnel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include "host/private.h"
#include "model/record.h"

/* 65,535 less IPv6, UDP, VXLAN and the inner Ethernet header. */
#define TUNNEL_MTU (65535 - 40 - 8 - 8 - 14)

/* What of a VXLAN link says whether it is ours. */
struct vxlan {
	bool metadata, learning;
	uint16_t port;
	struct ip local;
};

static const char *name_of(const char *ifname)
{
	return ifname ? ifname : TUNNEL_IFNAME;
}

/* --- looking --------------------------------------------------------------------------------- */

static uint8_t u8_of(struct nlattr *a)
{
	return a && nla_len(a) >= 1 ? nla_get_u8(a) : 0;
}

static void read_data(struct nlattr *data, struct vxlan *v)
{
	struct nlattr *a[IFLA_VXLAN_MAX + 1], *local;

	if (!data || nla_parse_nested(a, IFLA_VXLAN_MAX, data, NULL) < 0)
		return;
	v->metadata = u8_of(a[IFLA_VXLAN_COLLECT_METADATA]);
	v->learning = u8_of(a[IFLA_VXLAN_LEARNING]);
	if (a[IFLA_VXLAN_PORT] && nla_len(a[IFLA_VXLAN_PORT]) >= 2)
		v->port = ntohs(nla_get_u16(a[IFLA_VXLAN_PORT]));
	local = a[IFLA_VXLAN_LOCAL] ? a[IFLA_VXLAN_LOCAL] : a[IFLA_VXLAN_LOCAL6];
	if (local && (nla_len(local) == 4 || nla_len(local) == 16)) {
		v->local.family = nla_len(local) == 4 ? 4 : 6;
		memcpy(v->local.octet, nla_data(local), (size_t)nla_len(local));
	}
}

static void on_vxlan(void *ctx, const struct nlmsghdr *answer)
{
	struct nlattr *a[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];

	if (nlmsg_parse((struct nlmsghdr *)answer, sizeof(struct ifinfomsg), a, IFLA_MAX, NULL) <
		    0 ||
	    !a[IFLA_LINKINFO] || nla_parse_nested(info, IFLA_INFO_MAX, a[IFLA_LINKINFO], NULL) < 0)
		return;
	read_data(info[IFLA_INFO_DATA], ctx);
}

static int vxlan_look(struct netlink *n, int ifindex, struct vxlan *ret)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = ifindex };
	struct nl_msg *m CLEANUP(nlmsg_free_p) =
		netlink_message(RTM_GETLINK, 0, &info, sizeof(info));
	struct vxlan v = { 0 };
	int r = m ? netlink_request(n, m, on_vxlan, &v) : -ENOMEM;

	if (r == 0)
		*ret = v;
	return r;
}

/* --- making ---------------------------------------------------------------------------------- */

static int tunnel_create(struct netlink *n, const struct host_tunnel *t)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct nl_msg *m CLEANUP(nlmsg_free_p) =
		netlink_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	const char *ifname = name_of(t->ifname);
	const uint8_t yes = 1, no = 0;
	uint16_t port = htons(t->port);
	struct nlattr *link_info, *data;

	if (!m)
		return -ENOMEM;
	netlink_put(m, IFLA_IFNAME, ifname, strlen(ifname) + 1);
	netlink_put_u32(m, IFLA_MTU, TUNNEL_MTU);
	link_info = netlink_nest(m, IFLA_LINKINFO);
	netlink_put(m, IFLA_INFO_KIND, "vxlan", sizeof("vxlan"));
	data = netlink_nest(m, IFLA_INFO_DATA);
	netlink_put(m, IFLA_VXLAN_COLLECT_METADATA, &yes, sizeof(yes));
	netlink_put(m, IFLA_VXLAN_LEARNING, &no, sizeof(no));
	netlink_put(m, IFLA_VXLAN_PORT, &port, sizeof(port));
	/* For people to see; in this mode it decides nothing. */
	if (t->local.family == 4)
		netlink_put(m, IFLA_VXLAN_LOCAL, t->local.octet, 4);
	else if (t->local.family == 6)
		netlink_put(m, IFLA_VXLAN_LOCAL6, t->local.octet, 16);
	nla_nest_end(m, data);
	nla_nest_end(m, link_info);
	return netlink_request(n, m, NULL, NULL);
}

static int port_in_use(const struct host_tunnel *t, struct error *ret_error)
{
	return error_set(ret_error, ERROR_INTERFACE_IN_USE,
			 "choose another host.tunnel_port (the same on every host); \"ip -d link "
			 "show type vxlan\" and \"ss -ulpn\" show who has it",
			 "UDP port %u is another tunnel's or program's", t->port);
}

static int in_use(const char *ifname, struct error *ret_error, const char *why)
{
	return error_set(ret_error, ERROR_INTERFACE_IN_USE,
			 "rename it, or delete it: ip link delete IFNAME", "%s exists and %s",
			 ifname, why);
}

static int tunnel_make_new(struct host *h, const struct host_tunnel *t, struct link *ret,
			   struct error *ret_error)
{
	const char *ifname = name_of(t->ifname);
	int r = tunnel_create(&h->command, t);

	/* The name was free a moment ago: it is the port of which there can be one. */
	if (r == -EEXIST)
		return port_in_use(t, ret_error);
	if (r == -EOPNOTSUPP)
		return error_set(ret_error, ERROR_KERNEL_UNSUPPORTED,
				 "\"modprobe vxlan\" loads the driver",
				 "this kernel has no vxlan driver");
	if (r == 0)
		r = link_look(&h->command, 0, ifname, ret);
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "make the tunnel %s", ifname);
	return 0;
}

/* Whether the link of that name is as it is asked for; -errno where it is somebody else's. */
static int tunnel_fits(struct host *h, const struct host_tunnel *t, const struct link *l,
		       bool *ret_fits, struct error *ret_error)
{
	struct vxlan v;
	int r;

	if (strcmp(l->pub.kind, "vxlan") != 0)
		return in_use(l->pub.ifname, ret_error, "is no VXLAN link");
	r = vxlan_look(&h->command, l->pub.ifindex, &v);
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "look at %s", l->pub.ifname);
	if (!v.metadata)
		return in_use(l->pub.ifname, ret_error, "is a VXLAN of somebody else");
	if (l->pub.master)
		return in_use(l->pub.ifname, ret_error,
			      "belongs to another interface (a bridge, a bond, …)");
	*ret_fits = !v.learning && v.port == t->port &&
		    memcmp(&v.local, &t->local, sizeof(v.local)) == 0;
	return 0;
}

/* The sockets are made when it comes up, so it is then that a taken port shows. */
static int tunnel_up(struct host *h, const struct host_tunnel *t, const struct link *l,
		     struct error *ret_error)
{
	static const struct link_wish up = { .flags_on = IFF_UP };
	struct link now;
	int r;

	if (l->flags & IFF_UP)
		return 0;
	r = link_quieten(h, l, ret_error);
	if (r < 0)
		return r;
	r = link_look(&h->command, l->pub.ifindex, NULL, &now);
	if (r == 0)
		r = link_change(&h->command, &now, &up);
	if (r == -EADDRINUSE)
		return port_in_use(t, ret_error);
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "bring up %s", l->pub.ifname);
	return 0;
}

/* What a failed call made is deleted again. */
static int tunnel_bring(struct host *h, const struct host_tunnel *t, struct link *l, bool made,
			struct host_link *ret, struct error *ret_error)
{
	struct error ignored;
	int r = tunnel_up(h, t, l, ret_error);

	if (r == 0) {
		r = link_look(&h->command, l->pub.ifindex, NULL, l);
		if (r < 0)
			r = netlink_fail(&h->command, r, ret_error, "look at the tunnel");
	}
	if (r == 0)
		r = link_finish(h, l, TUNNEL_MTU, ret, ret_error);
	if (r < 0 && made)
		host_link_delete(h, l->pub.ifindex, &ignored);
	return r;
}

int host_tunnel_make(struct host *h, const struct host_tunnel *t, struct host_link *ret,
		     struct error *ret_error)
{
	const char *ifname = name_of(t->ifname);
	bool fits = false;
	struct link l;
	int r;

	r = ifname_check("tunnel", ifname, ret_error);
	if (r < 0)
		return r;
	if (!t->port)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "a tunnel needs a UDP port of 1 to 65535");
	r = link_look(&h->command, 0, ifname, &l);
	if (r < 0 && r != -ENODEV)
		return netlink_fail(&h->command, r, ret_error, "look at %s", ifname);
	if (r == 0) {
		r = tunnel_fits(h, t, &l, &fits, ret_error);
		if (r == 0 && !fits)
			r = host_link_delete(h, l.pub.ifindex, ret_error);
		if (r < 0)
			return r;
	}
	if (fits)
		return tunnel_bring(h, t, &l, false, ret, ret_error);
	r = tunnel_make_new(h, t, &l, ret_error);
	return r < 0 ? r : tunnel_bring(h, t, &l, true, ret, ret_error);
}

int host_tunnel_delete(struct host *h, const char *ifname, struct error *ret_error)
{
	struct vxlan v = { 0 };
	struct link l;
	int r = link_look(&h->command, 0, name_of(ifname), &l);

	if (r == -ENODEV)
		return 0;
	if (r == 0 && strcmp(l.pub.kind, "vxlan") != 0)
		return in_use(l.pub.ifname, ret_error, "is no VXLAN link");
	if (r == 0)
		r = vxlan_look(&h->command, l.pub.ifindex, &v);
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "look at %s", name_of(ifname));
	if (!v.metadata)
		return in_use(l.pub.ifname, ret_error, "is a VXLAN of somebody else");
	return host_link_delete(h, l.pub.ifindex, ret_error);
}
