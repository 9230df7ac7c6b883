/* IP addresses of links, by the hundred.
 *
 * Theory of operation.  A router that becomes active gives its addresses to devices that were
 * prepared long before, and 250 of them do so at one instant; what counts then is the time until
 * the last is there.  So all go in as few datagrams as hold them (batch.c), and nothing is asked of
 * the kernel that is not needed: no duplicate address detection (a second of waiting; the election
 * has decided already whose the address is) and no prefix route (it would compete with that of the
 * parent, and hosts of the subnet would be asked for from the wrong device).
 *
 * An IPv4 address serves when the kernel has answered.  An IPv6 one has been noted then: a worker
 * of the kernel joins its multicast groups and makes its local route, and what comes for it before
 * is forwarded as if it were another host's.  That worker takes its turn behind those of all other
 * network namespaces, for seconds where many come and go.  So we make such a route ourselves,
 * beside which the worker's does no harm, and take it away with the address. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include "host/private.h"
#include "host/virtual.h"

struct request {
	const struct host_address *list;
	bool add;
	unsigned int failed;
	struct error *error; /* of the first */
};

/* Each is two messages: the address, and of IPv6 its route. */
static const struct host_address *address_of(const struct request *c, unsigned int i)
{
	return &c->list[i / 2];
}

static bool is_route(unsigned int i)
{
	return i % 2;
}

static struct nl_msg *address_message(const struct request *c, const struct host_address *a)
{
	const size_t len = a->ip.family == 4 ? 4 : 16;
	/* Link-local answers leave by the device they came to, or not at all. */
	const bool scoped = a->ip.family == 6 && ip_is_link_local(&a->ip);
	struct ifaddrmsg header = {
		.ifa_family = a->ip.family == 4 ? AF_INET : AF_INET6,
		.ifa_prefixlen = a->prefix,
		.ifa_scope = RT_SCOPE_UNIVERSE,
		.ifa_index = (uint32_t)a->ifindex,
	};
	struct nl_msg *m;

	assert(a->prefix >= 1 && a->prefix <= 8 * len);
	m = netlink_message(c->add ? RTM_NEWADDR : RTM_DELADDR,
			    c->add ? NLM_F_CREATE | NLM_F_EXCL : 0, &header, sizeof(header));
	if (!m)
		return NULL;
	netlink_put(m, IFA_LOCAL, a->ip.octet, len);
	netlink_put(m, IFA_ADDRESS, a->ip.octet, len);
	if (c->add)
		netlink_put_u32(m, IFA_FLAGS,
				(scoped ? 0 : IFA_F_NOPREFIXROUTE) |
					(a->ip.family == 6 ? IFA_F_NODAD : 0));
	return m;
}

static struct nl_msg *route_message(const struct request *c, const struct host_address *a)
{
	struct rtmsg header = {
		.rtm_family = AF_INET6,
		.rtm_dst_len = 128,
		.rtm_table = RT_TABLE_LOCAL,
		.rtm_protocol = HOST_ROUTE_PROTOCOL,
		.rtm_type = RTN_LOCAL,
	};
	struct nl_msg *m = netlink_message(c->add ? RTM_NEWROUTE : RTM_DELROUTE,
					   c->add ? NLM_F_CREATE | NLM_F_EXCL : 0, &header,
					   sizeof(header));

	if (!m)
		return NULL;
	netlink_put(m, RTA_DST, a->ip.octet, 16);
	netlink_put_u32(m, RTA_OIF, (uint32_t)a->ifindex);
	return m;
}

static int message_build(void *ctx, unsigned int i, struct nl_msg **ret)
{
	const struct request *c = ctx;
	const struct host_address *a = address_of(c, i);

	assert(a->ifindex > 0 && (a->ip.family == 4 || a->ip.family == 6));
	if (is_route(i) && a->ip.family == 4)
		return 0;
	*ret = is_route(i) ? route_message(c, a) : address_message(c, a);
	return *ret ? 0 : -ENOMEM;
}

static void message_failed(void *ctx, unsigned int i, int r, const char *detail)
{
	struct request *c = ctx;
	const struct host_address *a = address_of(c, i);
	char text[IP_TEXT_MAX];

	/* There already, or gone already with or without its link.  Without a route that was to be
	 * made the address serves all the same, a moment later. */
	if (c->add ? r == -EEXIST || is_route(i)
		   : r == -EADDRNOTAVAIL || r == -ENODEV || r == -ESRCH)
		return;
	if (c->failed++ > 0)
		return;
	ip_format(&a->ip, text);
	/* The kernel's word for a link that speaks no IPv6 is anything but clear. */
	if (c->add && a->ip.family == 6 && (r == -EACCES || r == -ENOBUFS))
		error_set(c->error, ERROR_KERNEL_FAILED,
			  "see net.ipv6.conf.*.disable_ipv6 of that interface",
			  "cannot give %s to interface %d: IPv6 is disabled there", text,
			  a->ifindex);
	else
		netlink_fail_detail(r, detail, c->error, "%s %s %s interface %d",
				    c->add ? "give" : "take", text, c->add ? "to" : "from",
				    a->ifindex);
}

static unsigned int request(struct host *h, const struct host_address *list, unsigned int count,
			    bool add, struct error *ret_error)
{
	struct request c = { .list = list, .add = add, .error = ret_error };
	const struct netlink_batch batch = { message_build, message_failed, &c };

	netlink_batch_run(&h->command, 2 * count, &batch);
	return c.failed;
}

unsigned int host_addresses_add(struct host *h, const struct host_address *list, unsigned int count,
				struct error *ret_error)
{
	return request(h, list, count, true, ret_error);
}

unsigned int host_addresses_delete(struct host *h, const struct host_address *list,
				   unsigned int count, struct error *ret_error)
{
	return request(h, list, count, false, ret_error);
}

/* --- list ------------------------------------------------------------------------------------ */

/* A dump may have to be begun again, so the addresses are told only when all are there. */
struct address_list {
	int ifindex;
	struct found {
		struct host_address address;
		enum host_address_state state;
	} * items;
	size_t count, capacity;
	bool no_memory;
};

static void on_address(void *ctx, const struct nlmsghdr *answer)
{
	const uint32_t unproven = IFA_F_TENTATIVE | IFA_F_DADFAILED;
	struct nlmsghdr *message = (struct nlmsghdr *)answer;
	const struct ifaddrmsg *header = nlmsg_data(message);
	struct nlattr *a[IFA_MAX + 1], *ip;
	struct address_list *list = ctx;
	struct found f = { 0 };
	uint32_t flags;

	if (nlmsg_parse(message, sizeof(*header), a, IFA_MAX, NULL) < 0 ||
	    (list->ifindex && (int)header->ifa_index != list->ifindex))
		return;
	/* Of a point-to-point link, IFA_ADDRESS is the other end's. */
	ip = a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS];
	f.address.ip.family = header->ifa_family == AF_INET ? 4 : 6;
	if (!ip || nla_len(ip) != (f.address.ip.family == 4 ? 4 : 16) ||
	    (header->ifa_family != AF_INET && header->ifa_family != AF_INET6))
		return;
	memcpy(f.address.ip.octet, nla_data(ip), (size_t)nla_len(ip));
	f.address.ifindex = (int)header->ifa_index;
	f.address.prefix = header->ifa_prefixlen;
	flags = a[IFA_FLAGS] ? nla_get_u32(a[IFA_FLAGS]) : header->ifa_flags;
	if (flags & unproven)
		f.state = HOST_ADDRESS_TENTATIVE;
	/* The bit of IPv6's temporary addresses means "secondary" in IPv4. */
	else if (flags & IFA_F_DEPRECATED ||
		 (f.address.ip.family == 6 && (flags & IFA_F_TEMPORARY)))
		f.state = HOST_ADDRESS_PASSING;
	else
		f.state = HOST_ADDRESS_LASTING;
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 64;
		struct found *more = reallocarray(list->items, capacity, sizeof(*more));

		if (!more) {
			list->no_memory = true;
			return;
		}
		list->items = more;
		list->capacity = capacity;
	}
	list->items[list->count++] = f;
}

int host_addresses_list(struct host *h, int ifindex,
			void (*fn)(void *ctx, const struct host_address *a,
				   enum host_address_state state),
			void *ctx, struct error *ret_error)
{
	struct ifaddrmsg filter = { .ifa_family = AF_UNSPEC, .ifa_index = (uint32_t)ifindex };
	struct address_list list = { .ifindex = ifindex };
	int r = -EAGAIN;

	for (int i = 0; i < NETLINK_DUMP_TRIES && r == -EAGAIN; i++) {
		struct nl_msg *m CLEANUP(nlmsg_free_p) =
			netlink_message(RTM_GETADDR, NLM_F_DUMP, &filter, sizeof(filter));

		list.count = 0;
		r = m ? netlink_request(&h->command, m, on_address, &list) : -ENOMEM;
	}
	/* A link that is gone has none. */
	if (r == -ENODEV)
		r = 0;
	if (r == 0 && list.no_memory)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < list.count; i++)
		fn(ctx, &list.items[i].address, list.items[i].state);
	free(list.items);
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "list the addresses of interface %d",
				    ifindex);
	return 0;
}
