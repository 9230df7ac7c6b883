/* veth pairs whose other end is somebody else's.
 *
 * Theory of operation.  One message makes both ends, the peer directly in its namespace with its
 * name, its vMAC and its mtu: nothing of it is ever seen in ours, and there is no half-made pair.
 * Both ends are down then.  The host side is silenced, the peer comes up, and *last* the host side
 * does: so a host side that is down says that a maker died on the way, and whoever takes the pair
 * over finishes it; a host side that is up says that the peer's state has been its owner's affair
 * since.
 *
 * Which pair is whose: the peer is found from inside its namespace by the index that our end names,
 * and the two namespaces' numbers must agree, so that an equal index elsewhere never passes for it.
 */
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <netlink/attr.h>

#include "host/private.h"
#include "model/record.h"

static void close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static int veth_create(struct netlink *n, const struct host_veth *veth, int netns)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct nl_msg *m CLEANUP(nlmsg_free_p) =
		netlink_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	struct nlattr *link_info, *data, *peer;

	if (!m)
		return -ENOMEM;
	netlink_put(m, IFLA_IFNAME, veth->ifname, strlen(veth->ifname) + 1);
	netlink_put_u32(m, IFLA_MTU, veth->mtu);
	link_info = netlink_nest(m, IFLA_LINKINFO);
	netlink_put(m, IFLA_INFO_KIND, "veth", sizeof("veth"));
	data = netlink_nest(m, IFLA_INFO_DATA);
	peer = netlink_nest(m, VETH_INFO_PEER);
	if (nlmsg_append(m, &info, sizeof(info), NLMSG_ALIGNTO) < 0)
		return -ENOMEM;
	netlink_put(m, IFLA_IFNAME, veth->peer_ifname, strlen(veth->peer_ifname) + 1);
	netlink_put(m, IFLA_ADDRESS, veth->peer_address.octet, VMAC_MAC_LEN);
	netlink_put_u32(m, IFLA_MTU, veth->mtu);
	netlink_put_u32(m, IFLA_NET_NS_FD, (uint32_t)netns);
	nla_nest_end(m, peer);
	nla_nest_end(m, data);
	nla_nest_end(m, link_info);
	return netlink_request(n, m, NULL, NULL);
}

static int veth_make_new(struct host *h, const struct host_veth *veth, int netns,
			 struct error *ret_error)
{
	int r = veth_create(&h->command, veth, netns);

	/* Our name was free a moment ago. */
	if (r == -EEXIST)
		return error_set(ret_error, ERROR_INTERFACE_IN_USE,
				 "choose another name for the inside",
				 "the namespace %s has an interface %s already", veth->peer_netns,
				 veth->peer_ifname);
	if (r == -EOPNOTSUPP)
		return error_set(ret_error, ERROR_KERNEL_UNSUPPORTED,
				 "\"modprobe veth\" loads the driver",
				 "this kernel has no veth driver");
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "make the veth pair %s",
				    veth->ifname);
	return 0;
}

static int in_use(const struct host_veth *veth, struct error *ret_error, const char *why)
{
	return error_set(ret_error, ERROR_INTERFACE_IN_USE,
			 "choose another name, or delete it: ip link delete IFNAME",
			 "%s exists and %s", veth->ifname, why);
}

/* Finds the other end of l in its namespace, and that it is the one that is asked for. */
static int peer_look(struct host *h, const struct host_veth *veth, int netns, const struct link *l,
		     struct netlink *inside, struct link *ret, struct error *ret_error)
{
	struct link peer;
	int id, r;

	if (strcmp(l->pub.kind, "veth") != 0)
		return in_use(veth, ret_error, "is no veth");
	if (l->pub.master)
		return in_use(veth, ret_error,
			      "belongs to another interface (a bridge, a bond, …)");
	r = netns_id(&h->command, netns, &id);
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "look up the namespace %s",
				    veth->peer_netns);
	if (id < 0 || id != l->peer_nsid)
		return in_use(veth, ret_error, "its other end is not in that namespace");
	r = link_look(inside, l->peer, NULL, &peer);
	if (r < 0)
		return netlink_fail(inside, r, ret_error, "look at the other end of %s",
				    veth->ifname);
	if (strcmp(peer.pub.ifname, veth->peer_ifname) != 0)
		return in_use(veth, ret_error, "its other end has another name");
	*ret = peer;
	return 0;
}

/* The host side must not carry the vMAC, or the host would take frames to the guest for its own. */
static int host_side_differs(struct host *h, const struct host_veth *veth, struct link *l,
			     struct error *ret_error)
{
	vmac_mac_t other;
	int r = 0;

	if (!vmac_mac_equal(l->pub.address, veth->peer_address))
		return 0;
	do {
		if (getrandom(&other, sizeof(other), 0) != (ssize_t)sizeof(other))
			return netlink_fail_errno(-errno, ret_error, "get random octets");
		other.octet[0] = 0x02; /* local, unicast */
	} while (vmac_mac_equal(other, veth->peer_address));
	r = link_change(&h->command, l, &(struct link_wish){ .address = &other });
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "give %s an address of its own",
				    veth->ifname);
	l->pub.address = other;
	return 0;
}

/* Both ends exist: brings them to what is asked for.  See the theory of operation for "finished".
 */
static int veth_bring(struct host *h, const struct host_veth *veth, int netns, struct link *l,
		      struct host_link *ret, struct error *ret_error)
{
	bool finished = l->flags & IFF_UP;
	struct netlink inside = { 0 };
	struct link_wish wish = {
		.mtu = veth->mtu,
		.address = &veth->peer_address,
		.flags_on = finished ? 0 : IFF_UP,
	};
	struct link peer;
	int r;

	r = netns_netlink(netns, &inside);
	if (r < 0)
		return netlink_fail_errno(r, ret_error, "reach into the namespace %s",
					  veth->peer_netns);
	r = peer_look(h, veth, netns, l, &inside, &peer, ret_error);
	if (r == 0)
		r = host_side_differs(h, veth, l, ret_error);
	if (r == 0 && !finished)
		r = link_quieten(h, l, ret_error);
	if (r == 0) {
		r = link_change(&inside, &peer, &wish);
		if (r < 0)
			r = netlink_fail(&inside, r, ret_error, "configure %s in %s",
					 veth->peer_ifname, veth->peer_netns);
	}
	netlink_close(&inside);
	return r < 0 ? r : link_finish(h, l, veth->mtu, ret, ret_error);
}

static int veth_check(const struct host_veth *veth, struct error *ret_error)
{
	int r;

	r = ifname_check("interface", veth->ifname, ret_error);
	if (r == 0)
		r = ifname_check("interface in the namespace", veth->peer_ifname, ret_error);
	if (r == 0)
		r = link_mtu_check(veth->mtu, ret_error);
	if (r < 0)
		return r;
	if (vmac_mac_is_group(veth->peer_address) || vmac_mac_is_zero(veth->peer_address))
		return error_set(ret_error, ERROR_BAD_ADDRESS, NULL,
				 "an interface needs the address of one station");
	return 0;
}

int host_veth_make(struct host *h, const struct host_veth *veth, struct host_link *ret,
		   struct error *ret_error)
{
	int netns CLEANUP(close_p) = -1;
	struct error ignored;
	struct stat st;
	struct link l;
	bool made;
	int r;

	r = veth_check(veth, ret_error);
	if (r < 0)
		return r;
	r = netns_open(veth->peer_netns, &netns, ret_error);
	if (r < 0)
		return r;
	if (fstat(netns, &st) < 0)
		return netlink_fail_errno(-errno, ret_error, "look at %s", veth->peer_netns);
	if (st.st_dev == h->netns_dev && st.st_ino == h->netns_ino)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "give the namespace of a container, or use a tap or a netdev port",
				 "%s is this host's own network namespace", veth->peer_netns);
	r = link_look(&h->command, 0, veth->ifname, &l);
	made = r == -ENODEV;
	if (made) {
		r = veth_make_new(h, veth, netns, ret_error);
		if (r < 0)
			return r;
		r = link_look(&h->command, 0, veth->ifname, &l);
	}
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "look at %s", veth->ifname);
	r = veth_bring(h, veth, netns, &l, ret, ret_error);
	if (r < 0 && made)
		host_link_delete(h, l.pub.ifindex, &ignored);
	return r;
}
