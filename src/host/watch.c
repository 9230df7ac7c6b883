/* What happens to links, whoever did it.
 *
 * Theory of operation.  The kernel tells what a link *is*, never what it was; so the last
 * description of each is kept, and an event is the difference.  A message that changes nothing of
 * what host_link tells (statistics, IPv6 details) is no event.  The monitoring socket joins before
 * the links are first read, so nothing falls in between; what is heard twice makes no difference
 * and so no event.
 *
 * The kernel drops messages when the socket's buffer is full, and says so once (ENOBUFS).  Then
 * what is still queued is worth nothing: it is thrown away, the links are read anew, and the caller
 * is told to look at everything again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/handlers.h>
#include <netlink/socket.h>

#include "host/private.h"
#include "host/virtual.h"

#define WATCH_BUFFER	  (4 << 20) /* octets: some 2,000 messages */
#define WATCH_MESSAGE_MAX (64 << 10)
#define WATCH_BATCH_MAX                                                                            \
	1024 /* datagrams a dispatch; the descriptor stays readable for the rest                   \
	      */
#define WATCH_DISCARD_MAX 65536 /* datagrams thrown away at most after a loss */

struct dispatch {
	struct host *host;
	void (*fn)(void *ctx, const struct host_event *event);
	void *ctx;
};

static void *memory_alloc(void *ctx, size_t size)
{
	return calloc(1, size);
}

static void memory_free(void *ctx, void *p)
{
	free(p);
}

static const struct mem memory = { memory_alloc, memory_free, NULL };

/* Indices are small and consecutive: nothing spreads better. */
static uint64_t hash_of(int ifindex)
{
	return (uint64_t)(uint32_t)ifindex;
}

static bool has_index(const void *item, const void *key)
{
	const struct host_link *l = item;

	return l->ifindex == *(const int *)key;
}

static struct host_link *known(const struct host *h, int ifindex)
{
	return table_get(&h->links, hash_of(ifindex), &ifindex, has_index);
}

static int remember(struct host *h, const struct host_link *l)
{
	struct host_link *copy = malloc(sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	*copy = *l;
	if (table_add(&h->links, hash_of(l->ifindex), copy) < 0) {
		free(copy);
		return -ENOMEM;
	}
	return 0;
}

static bool is_passed_over(const struct host *h, const struct link *l)
{
	return h->passed_mask && (l->group & h->passed_mask) == h->passed_group;
}

static void forget_all(struct host *h)
{
	table_for_each (&h->links, struct host_link, l)
		free(l);
	table_done(&h->links);
	table_init(&h->links, &memory);
}

/* --- reading all links ----------------------------------------------------------------------- */

struct reading {
	struct host *host;
	bool no_memory;
};

static void on_known(void *ctx, const struct nlmsghdr *answer)
{
	struct link l = { 0 };
	struct reading *r = ctx;

	if (answer->nlmsg_type != RTM_NEWLINK || !link_read(answer, &l))
		return;
	if (is_passed_over(r->host, &l))
		return;
	if (!known(r->host, l.pub.ifindex) && remember(r->host, &l.pub) < 0)
		r->no_memory = true;
}

static int read_all(struct host *h)
{
	struct ifinfomsg all = { .ifi_family = AF_UNSPEC };
	struct reading reading = { .host = h };
	int r = -EAGAIN;

	for (int i = 0; i < NETLINK_DUMP_TRIES && r == -EAGAIN; i++) {
		struct nl_msg *m CLEANUP(nlmsg_free_p) =
			netlink_message(RTM_GETLINK, NLM_F_DUMP, &all, sizeof(all));

		if (!m)
			return -ENOMEM;
		forget_all(h);
		r = netlink_request(&h->command, m, on_known, &reading);
	}
	return r == 0 && reading.no_memory ? -ENOMEM : r;
}

/* --- events ---------------------------------------------------------------------------------- */

static void tell(const struct dispatch *d, enum host_event_kind kind, const struct host_link *l)
{
	struct host_event e = { .kind = kind };

	if (l)
		e.link = *l;
	d->fn(d->ctx, &e);
}

static bool differs(const struct host_link *a, const struct host_link *b)
{
	return !vmac_mac_equal(a->address, b->address) || a->mtu != b->mtu || a->up != b->up ||
	       a->carrier != b->carrier || a->master != b->master ||
	       a->promiscuity != b->promiscuity;
}

static void on_vanished(const struct dispatch *d, struct host_link *before)
{
	struct host_link was = *before;

	table_remove(&d->host->links, hash_of(was.ifindex), before);
	free(before);
	tell(d, HOST_LINK_VANISHED, &was);
}

static void on_described(const struct dispatch *d, struct host_link *before,
			 const struct host_link *now)
{
	struct host_link was;

	if (!before) {
		if (remember(d->host, now) < 0) {
			d->host->stale = true;
			return;
		}
		tell(d, HOST_LINK_APPEARED, now);
		return;
	}
	was = *before;
	*before = *now;
	if (strcmp(was.ifname, now->ifname) != 0) {
		tell(d, HOST_LINK_VANISHED, &was);
		tell(d, HOST_LINK_APPEARED, now);
	} else if (differs(&was, now)) {
		tell(d, HOST_LINK_CHANGED, now);
	}
}

/* Which link it is counts, not which address: who wants to know looks at all that it has. */
static void on_addresses(const struct dispatch *d, const struct nlmsghdr *message)
{
	const struct ifaddrmsg *a = nlmsg_data((struct nlmsghdr *)message);
	struct host_event e = { .kind = HOST_ADDRESSES_CHANGED,
				.address_deleted = message->nlmsg_type == RTM_DELADDR };
	struct host_link unknown = { 0 };
	const struct host_link *l;

	if (nlmsg_datalen(message) < (int)sizeof(*a))
		return;
	unknown.ifindex = (int)a->ifa_index;
	l = known(d->host, unknown.ifindex);
	e.link = l ? *l : unknown;
	d->fn(d->ctx, &e);
}

static int on_message(struct nl_msg *m, void *arg)
{
	const struct nlmsghdr *message = nlmsg_hdr(m);
	const struct dispatch *d = arg;
	struct host_link *before;
	struct link now = { 0 };

	if (message->nlmsg_type == RTM_NEWADDR || message->nlmsg_type == RTM_DELADDR)
		on_addresses(d, message);
	if (message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK)
		return NL_OK;
	if (!link_read(message, &now))
		return NL_OK;
	/* Once more, over what is known: a message may leave out what did not change. */
	before = known(d->host, now.pub.ifindex);
	if (!before && is_passed_over(d->host, &now))
		return NL_OK;
	if (before) {
		now = (struct link){ .pub = *before };
		link_read(message, &now);
	}
	if (message->nlmsg_type == RTM_NEWLINK)
		on_described(d, before, &now.pub);
	else if (before)
		on_vanished(d, before);
	return NL_OK;
}

static int on_discard(struct nl_msg *m, void *arg)
{
	return NL_OK;
}

static int any_sequence(struct nl_msg *m, void *arg)
{
	return NL_OK;
}

/* -NLE_AGAIN: nothing more; other negative values: messages were lost. */
static int receive(struct host *h, nl_recvmsg_msg_cb_t fn, void *ctx, int most)
{
	int r = 0;

	nl_cb_set(h->monitor_cb, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, any_sequence, NULL);
	nl_cb_set(h->monitor_cb, NL_CB_VALID, NL_CB_CUSTOM, fn, ctx);
	for (int i = 0; i < most && r >= 0; i++)
		r = nl_recvmsgs(h->monitor, h->monitor_cb);
	return r;
}

/* The loss has to be told even if it cannot be repaired now; the next dispatch tries again. */
static void recover(const struct dispatch *d)
{
	struct host *h = d->host;
	int r = 0;

	for (int i = 0; i < NETLINK_DUMP_TRIES; i++) {
		r = receive(h, on_discard, NULL, WATCH_DISCARD_MAX);
		if (r == -NLE_AGAIN || r >= 0)
			break;
	}
	h->stale = read_all(h) < 0;
	tell(d, HOST_EVENTS_LOST, NULL);
}

void host_dispatch(struct host *h, void (*fn)(void *ctx, const struct host_event *event), void *ctx)
{
	struct dispatch d = { .host = h, .fn = fn, .ctx = ctx };
	int r = 0;

	if (!h->stale)
		r = receive(h, on_message, &d, WATCH_BATCH_MAX);
	if (h->stale || (r < 0 && r != -NLE_AGAIN))
		recover(&d);
}

int host_pass_over(struct host *h, uint32_t group, uint32_t mask, struct error *ret_error)
{
	int r;

	h->passed_group = group & mask;
	h->passed_mask = mask;
	r = read_all(h);
	return r < 0 ? netlink_fail(&h->command, r, ret_error, "list the interfaces") : 0;
}

int host_fd(struct host *h)
{
	return nl_socket_get_fd(h->monitor);
}

/* --- open and close -------------------------------------------------------------------------- */

int watch_open(struct host *h, struct error *ret_error)
{
	int size = WATCH_BUFFER, fd, r;

	table_init(&h->links, &memory);
	h->monitor = nl_socket_alloc();
	h->monitor_cb = nl_cb_alloc(NL_CB_DEFAULT);
	if (!h->monitor || !h->monitor_cb)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	nl_socket_disable_seq_check(h->monitor);
	errno = 0;
	if (nl_connect(h->monitor, NETLINK_ROUTE) < 0 ||
	    nl_socket_set_nonblocking(h->monitor) < 0 ||
	    nl_socket_set_msg_buf_size(h->monitor, WATCH_MESSAGE_MAX) < 0)
		return netlink_fail_errno(errno ? -errno : -EIO, ret_error,
					  "open a netlink socket");
	/* Over the system's limit where we may, within it where not. */
	fd = nl_socket_get_fd(h->monitor);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	errno = 0;
	if (nl_socket_add_membership(h->monitor, RTNLGRP_LINK) < 0)
		return netlink_fail_errno(errno ? -errno : -EIO, ret_error, "watch the interfaces");
	r = read_all(h);
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error, "list the interfaces");
	return 0;
}

int host_watch_addresses(struct host *h, struct error *ret_error)
{
	static const int families[] = { RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR };

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		errno = 0;
		if (nl_socket_add_membership(h->monitor, families[i]) < 0)
			return netlink_fail_errno(errno ? -errno : -EIO, ret_error,
						  "watch the IP addresses");
	}
	return 0;
}

void watch_close(struct host *h)
{
	/* Zeroed memory (an open that failed early) is an empty table without a way to free. */
	if (h->links.mem) {
		forget_all(h);
		table_done(&h->links);
	}
	if (h->monitor_cb)
		nl_cb_put(h->monitor_cb);
	if (h->monitor)
		nl_socket_free(h->monitor);
	h->monitor_cb = NULL;
	h->monitor = NULL;
}
