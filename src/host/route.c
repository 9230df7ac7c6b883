/* Whether a route is there.
 *
 * A routing table may have a million routes, and who tracks one asks every second; so the kernel is
 * first asked for the best route to the prefix's own address: where that is shorter, or exactly
 * this, all is said.  Only where a longer one hides it (or a rule leads to another table, or it is
 * the default route, which no address stands for) the main table is read, and no further than
 * needed. */
#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/socket.h>

#include "host/private.h"
#include "host/virtual.h"

#define ROUTES_READ_MAX                                                                            \
	(32 << 10) /* octets a datagram of a dump: what the kernel makes at most                   \
		    */

struct wanted {
	const struct ip *prefix;
	uint8_t len;
	bool there, decided;
};

static int family_of(const struct ip *ip)
{
	return ip->family == 4 ? AF_INET : AF_INET6;
}

static size_t octets_of(const struct ip *ip)
{
	return ip->family == 4 ? 4 : 16;
}

/* What one RTM_NEWROUTE says of a route of the main table; -1 = something else. */
static int route_len(const struct wanted *w, const struct nlmsghdr *message, struct ip *ret_prefix)
{
	struct nlmsghdr *h = (struct nlmsghdr *)message;
	const struct rtmsg *route = nlmsg_data(h);
	struct ip prefix = { .family = w->prefix->family };
	struct nlattr *a[RTA_MAX + 1];
	uint32_t table;

	if (h->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(h, sizeof(*route), a, RTA_MAX, NULL) < 0 ||
	    route->rtm_family != family_of(w->prefix) || (route->rtm_flags & RTM_F_CLONED))
		return -1;
	table = a[RTA_TABLE] ? nla_get_u32(a[RTA_TABLE]) : route->rtm_table;
	if (table != RT_TABLE_MAIN)
		return -1;
	if (a[RTA_DST] && nla_len(a[RTA_DST]) == (int)octets_of(w->prefix))
		memcpy(prefix.octet, nla_data(a[RTA_DST]), octets_of(w->prefix));
	*ret_prefix = prefix;
	return route->rtm_dst_len;
}

static void on_best(void *ctx, const struct nlmsghdr *answer)
{
	struct wanted *w = ctx;
	struct ip prefix;
	int len = route_len(w, answer, &prefix);
	const struct rtmsg *route = nlmsg_data((struct nlmsghdr *)answer);

	/* As long as there are no rules, IPv4 keeps the local table's routes among the main one's,
	 * and says so of them, too. */
	if (len < 0 || len > w->len || route->rtm_type == RTN_LOCAL ||
	    route->rtm_type == RTN_BROADCAST || route->rtm_type == RTN_ANYCAST)
		return;
	w->decided = true;
	w->there = len == w->len;
}

static int ask_best(struct netlink *n, struct wanted *w)
{
	struct rtmsg header = {
		.rtm_family = (uint8_t)family_of(w->prefix),
		.rtm_dst_len = (uint8_t)(8 * octets_of(w->prefix)),
		.rtm_flags = RTM_F_FIB_MATCH | RTM_F_LOOKUP_TABLE,
	};
	struct nl_msg *m CLEANUP(nlmsg_free_p) =
		netlink_message(RTM_GETROUTE, 0, &header, sizeof(header));
	int r;

	if (!m)
		return -ENOMEM;
	netlink_put(m, RTA_DST, w->prefix->octet, octets_of(w->prefix));
	r = netlink_request(n, m, on_best, w);
	/* No route at all, not even a shorter one; or one that says so. */
	if (r == -ENETUNREACH || r == -EHOSTUNREACH || r == -EACCES || r == -EINVAL)
		return 0;
	return r;
}

/* Reads one datagram of the dump.  1 = that was the last. */
static int read_routes(struct wanted *w, int fd)
{
	alignas(NLMSG_ALIGNTO) char data[ROUTES_READ_MAX];
	struct nlmsghdr *h = (struct nlmsghdr *)data;
	ssize_t n;
	int left;

	do
		n = recv(fd, data, sizeof(data), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	left = (int)n;
	for (; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
		struct ip prefix;

		if (h->nlmsg_type == NLMSG_DONE)
			return 1;
		if (h->nlmsg_type == NLMSG_ERROR)
			return ((struct nlmsgerr *)nlmsg_data(h))->error;
		if (route_len(w, h, &prefix) == w->len && ip_equal(&prefix, w->prefix)) {
			w->there = true;
			return 1;
		}
	}
	return 0;
}

/* On a socket of its own, which is closed with what was not read. */
static int ask_all(struct wanted *w)
{
	struct rtmsg header = {
		.rtm_family = (uint8_t)family_of(w->prefix),
		.rtm_table = RT_TABLE_MAIN,
	};
	struct nl_msg *m CLEANUP(nlmsg_free_p) = NULL;
	struct netlink n;
	int r;

	r = netlink_open(&n);
	if (r < 0)
		return r;
	m = netlink_message(RTM_GETROUTE, NLM_F_DUMP, &header, sizeof(header));
	if (m) {
		netlink_put_u32(m, RTA_TABLE, RT_TABLE_MAIN);
		errno = 0;
		r = nl_send_auto(n.sock, m) < 0 ? (errno ? -errno : -EIO) : 0;
	} else {
		r = -ENOMEM;
	}
	while (r == 0)
		r = read_routes(w, nl_socket_get_fd(n.sock));
	netlink_close(&n);
	return r < 0 ? r : 0;
}

int host_route_there(struct host *h, const struct ip *prefix, uint8_t len, bool *ret,
		     struct error *ret_error)
{
	struct wanted w = { .prefix = prefix, .len = len };
	char text[IP_TEXT_MAX];
	int r = 0;

	assert((prefix->family == 4 || prefix->family == 6) && len <= 8 * octets_of(prefix));
	if (len > 0)
		r = ask_best(&h->command, &w);
	if (r == 0 && !w.decided)
		r = ask_all(&w);
	/* A family that the kernel does not speak, or a table that was never used. */
	if (r == -ENOENT || r == -EAFNOSUPPORT)
		r = 0;
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "look for the route %s/%u",
				    ip_format(prefix, text), len);
	*ret = w.there;
	return 0;
}
