/* The sockets of one link for election protocols.
 *
 * Theory of operation.  One packet socket a link does the work, however many groups it has.  It is
 * opened for no protocol at all, gets its filter, and only then is bound to the link and to all
 * protocols: not one unwanted frame is ever queued (packet_filter.c).
 *
 * The two raw sockets hear nothing (a filter drops all).  They exist because a group membership
 * belongs to a socket, because the kernel answers a protocol that no socket has with "protocol
 * unreachable", and to send unicast through the kernel's routing. */
#include "host/packet.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_sched.h>

#include "base/cleanup.h"
#include "host/packet_filter.h"

#define PACKET_BUFFER	(4 << 20) /* octets, each way: some 10,000 small frames */
#define PACKET_BATCH	64	  /* frames a system call */
#define TAG_LEN		4
#define TTL		255
#define INTERNETCONTROL 0xc0

#define WANTED_4 (PACKET_VRRP4 | PACKET_HSRP1 | PACKET_HSRP2)
#define WANTED_6 (PACKET_VRRP6 | PACKET_HSRP6)

struct packet_link {
	int ifindex;
	unsigned int wanted;
	int frames;	/* the packet socket */
	int raw4, raw6; /* -1 = nothing of that family is wanted */
	int trouble;	/* what the next packet_receive() returns first; 0 = nothing */
	struct packet_counters counters;
	/* Room for a tag in front of each frame. */
	uint8_t data[PACKET_BATCH][TAG_LEN + PACKET_LEN_MAX];
	alignas(struct cmsghdr) char control[PACKET_BATCH]
					    [CMSG_SPACE(sizeof(struct tpacket_auxdata))];
};

DEFINE_CLEANUP(struct packet_link *, packet_close);

static int fail(int r, struct error *ret_error, const char *what)
{
	switch (-r) {
	case EPERM:
	case EACCES:
		return error_set(ret_error, ERROR_FORBIDDEN, "run as root or give CAP_NET_RAW",
				 "cannot %s: %s", what, strerror(-r));
	case ENODEV:
	case ENXIO:
		return error_set(ret_error, ERROR_NO_INTERFACE,
				 "for IPv6, see net.ipv6.conf.*.disable_ipv6 of that interface",
				 "cannot %s: the interface is gone, or lacks that IP family", what);
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
	case ENOPROTOOPT:
		return error_set(ret_error, ERROR_KERNEL_UNSUPPORTED, NULL,
				 "cannot %s: this kernel does not support it", what);
	case ENOMEM:
	case ENOBUFS:
		return error_set(ret_error, ERROR_NO_MEMORY,
				 "net.ipv4.igmp_max_memberships and net.core.optmem_max limit it",
				 "cannot %s: %s", what, strerror(-r));
	default:
		return error_set(ret_error, ERROR_KERNEL_FAILED, NULL, "cannot %s: %s", what,
				 strerror(-r));
	}
}

static int option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* --- memberships and unicast ----------------------------------------------------------------- */

static const struct group {
	unsigned int wanted;
	bool ipv6;
	const uint8_t address[16];
} groups[] = {
	{ PACKET_VRRP4, false, { 224, 0, 0, 18 } },
	{ PACKET_HSRP1, false, { 224, 0, 0, 2 } },
	{ PACKET_HSRP2, false, { 224, 0, 0, 102 } },
	{ PACKET_VRRP6, true, { 0xff, 2, [15] = 0x12 } },
	{ PACKET_HSRP6, true, { 0xff, 2, [15] = 0x66 } },
};

static int group_change(const struct packet_link *p, const struct group *g, bool join)
{
	int r;

	if (g->ipv6) {
		struct ipv6_mreq request = { .ipv6mr_interface = (unsigned int)p->ifindex };

		memcpy(&request.ipv6mr_multiaddr, g->address, 16);
		r = setsockopt(p->raw6, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP,
			       &request, sizeof(request));
	} else {
		struct ip_mreqn request = { .imr_ifindex = p->ifindex };

		memcpy(&request.imr_multiaddr, g->address, 4);
		r = setsockopt(p->raw4, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP,
			       &request, sizeof(request));
	}
	return r < 0 ? -errno : 0;
}

static void close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Deaf from its first moment on: nothing reaches a raw socket before the filter is there but what
 * comes in between these two calls, and that is thrown away when it is closed. */
static int raw_open(bool ipv6, int *ret)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog deaf = { .len = 1, .filter = &nothing };
	int fd CLEANUP(close_p) = socket(ipv6 ? AF_INET6 : AF_INET,
					 SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, PROTOCOL_VRRP);
	int r;

	if (fd < 0)
		return -errno;
	r = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &deaf, sizeof(deaf)) < 0 ? -errno : 0;
	if (r == 0 && ipv6) {
		r = option(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, TTL);
		r = r ? r : option(fd, IPPROTO_IPV6, IPV6_TCLASS, INTERNETCONTROL);
	} else if (r == 0) {
		r = option(fd, IPPROTO_IP, IP_TTL, TTL);
		r = r ? r : option(fd, IPPROTO_IP, IP_TOS, INTERNETCONTROL);
	}
	if (r < 0)
		return r;
	*ret = TAKE_FD(fd);
	return 0;
}

static void raw_close(int *fd)
{
	close_p(fd);
	*fd = -1;
}

/* Leaves what is not wanted any more; a link that is gone has forgotten it already. */
static void groups_leave(const struct packet_link *p, unsigned int no_more)
{
	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		if (no_more & groups[i].wanted)
			(void)group_change(p, &groups[i], false);
}

/* Nothing is joined when it fails. */
static int groups_join(const struct packet_link *p, unsigned int more)
{
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		int r = more & groups[i].wanted ? group_change(p, &groups[i], true) : 0;

		if (r < 0) {
			unsigned int joined = 0;

			for (size_t k = 0; k < i; k++)
				joined |= groups[k].wanted;
			groups_leave(p, more & joined);
			return r;
		}
	}
	return 0;
}

static void raw_settle(struct packet_link *p)
{
	if (!(p->wanted & WANTED_4))
		raw_close(&p->raw4);
	if (!(p->wanted & WANTED_6))
		raw_close(&p->raw6);
}

int packet_want(struct packet_link *p, unsigned int wanted, struct error *ret_error)
{
	const unsigned int more = wanted & ~p->wanted, less = p->wanted & ~wanted;
	int r = 0;

	if ((wanted & WANTED_4) && p->raw4 < 0)
		r = raw_open(false, &p->raw4);
	if (r == 0 && (wanted & WANTED_6) && p->raw6 < 0)
		r = raw_open(true, &p->raw6);
	if (r < 0) {
		raw_settle(p);
		return fail(r, ret_error, "open a raw socket for IP protocol 112");
	}
	r = groups_join(p, more);
	if (r < 0) {
		raw_settle(p);
		return fail(r, ret_error, "join a multicast group");
	}
	/* One filter takes the other's place at once, so what stays wanted is never missed. */
	r = packet_filter_attach(p->frames, wanted);
	if (r < 0) {
		groups_leave(p, more);
		raw_settle(p);
		return fail(r, ret_error, "filter what the packet socket receives");
	}
	groups_leave(p, less);
	p->wanted = wanted;
	raw_settle(p);
	return 0;
}

/* --- open and close -------------------------------------------------------------------------- */

static int frames_open(int ifindex, int *ret)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = ifindex,
	};
	int fd CLEANUP(close_p) = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	/* Over the system's limits where we may, within them where not. */
	if (option(fd, SOL_SOCKET, SO_RCVBUFFORCE, PACKET_BUFFER) < 0)
		(void)option(fd, SOL_SOCKET, SO_RCVBUF, PACKET_BUFFER);
	if (option(fd, SOL_SOCKET, SO_SNDBUFFORCE, PACKET_BUFFER) < 0)
		(void)option(fd, SOL_SOCKET, SO_SNDBUF, PACKET_BUFFER);
	/* An advertisement that waits behind bulk traffic is a failover. */
	(void)option(fd, SOL_SOCKET, SO_PRIORITY, TC_PRIO_CONTROL);
	r = option(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
	r = r ? r : option(fd, SOL_PACKET, PACKET_AUXDATA, 1);
	r = r ? r : packet_filter_attach(fd, 0);
	if (r < 0)
		return r;
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

int packet_open(int ifindex, unsigned int wanted, struct packet_link **ret, struct error *ret_error)
{
	struct packet_link *p CLEANUP(packet_close_p) = calloc(1, sizeof(*p));
	int r;

	assert(ifindex > 0);
	if (!p)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	p->ifindex = ifindex;
	p->frames = p->raw4 = p->raw6 = -1;
	r = frames_open(ifindex, &p->frames);
	if (r < 0)
		return fail(r, ret_error, "open a packet socket");
	r = packet_want(p, wanted, ret_error);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}

void packet_close(struct packet_link *p)
{
	if (!p)
		return;
	close_p(&p->frames);
	close_p(&p->raw4);
	close_p(&p->raw6);
	free(p);
}

int packet_fd(const struct packet_link *p)
{
	return p->frames;
}

unsigned int packet_sockets(const struct packet_link *p)
{
	return 1 + (p->raw4 >= 0) + (p->raw6 >= 0);
}

/* --- receive --------------------------------------------------------------------------------- */

static struct tpacket_auxdata auxdata_of(struct msghdr *m)
{
	struct tpacket_auxdata aux = { 0 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA &&
		    c->cmsg_len >= CMSG_LEN(sizeof(aux)))
			memcpy(&aux, CMSG_DATA(c), sizeof(aux));
	return aux;
}

/* Puts the tag that was taken off back behind the two addresses. */
static struct packet_frame tag_restore(uint8_t *room, size_t len, const struct tpacket_auxdata *aux)
{
	const uint16_t tpid =
		aux->tp_status & TP_STATUS_VLAN_TPID_VALID ? aux->tp_vlan_tpid : ETH_P_8021Q;
	uint8_t *tag = room + 2 * ETH_ALEN;

	memmove(room, room + TAG_LEN, 2 * ETH_ALEN);
	tag[0] = (uint8_t)(tpid >> 8);
	tag[1] = (uint8_t)tpid;
	tag[2] = (uint8_t)(aux->tp_vlan_tci >> 8);
	tag[3] = (uint8_t)aux->tp_vlan_tci;
	return (struct packet_frame){ .data = room, .len = len + TAG_LEN };
}

static struct packet_frame frame_of(uint8_t *room, struct mmsghdr *m)
{
	struct tpacket_auxdata aux = auxdata_of(&m->msg_hdr);
	struct packet_frame f = { .data = room + TAG_LEN, .len = m->msg_len };

	if ((aux.tp_status & TP_STATUS_VLAN_VALID) && f.len >= 2 * ETH_ALEN)
		f = tag_restore(room, f.len, &aux);
	f.checksum_pending = aux.tp_status & TP_STATUS_CSUMNOTREADY;
	f.truncated = m->msg_hdr.msg_flags & MSG_TRUNC;
	return f;
}

static int receive_batch(struct packet_link *p, unsigned int most, struct mmsghdr *messages)
{
	struct iovec iov[PACKET_BATCH];
	int n;

	memset(messages, 0, most * sizeof(*messages));
	for (unsigned int i = 0; i < most; i++) {
		iov[i] = (struct iovec){ p->data[i] + TAG_LEN, PACKET_LEN_MAX };
		messages[i].msg_hdr.msg_iov = &iov[i];
		messages[i].msg_hdr.msg_iovlen = 1;
		messages[i].msg_hdr.msg_control = p->control[i];
		messages[i].msg_hdr.msg_controllen = sizeof(p->control[i]);
	}
	do
		n = recvmmsg(p->frames, messages, most, MSG_DONTWAIT, NULL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* The kernel says the same of a link that went down and of one that is gone; of the latter the
 * socket knows no index any more. */
static int trouble(const struct packet_link *p, int r)
{
	struct sockaddr_ll at = { 0 };
	socklen_t len = sizeof(at);

	if (r == -ENETDOWN && getsockname(p->frames, (struct sockaddr *)&at, &len) == 0 &&
	    at.sll_ifindex != p->ifindex)
		return -ENXIO;
	return r;
}

int packet_receive(struct packet_link *p, unsigned int max,
		   void (*fn)(void *ctx, const struct packet_frame *f), void *ctx)
{
	struct mmsghdr messages[PACKET_BATCH];
	unsigned int total = 0;
	int r = p->trouble;

	p->trouble = 0;
	if (r < 0)
		return r;
	while (total < max) {
		const unsigned int most = max - total < PACKET_BATCH ? max - total : PACKET_BATCH;
		int n = receive_batch(p, most, messages);

		if (n == -EAGAIN)
			break;
		/* Those that came before are told first; the kernel says it only once. */
		if (n < 0 && total > 0) {
			p->trouble = trouble(p, n);
			break;
		}
		if (n < 0)
			return trouble(p, n);
		p->counters.received += (unsigned int)n;
		for (int i = 0; i < n; i++) {
			struct packet_frame f = frame_of(p->data[i], &messages[i]);

			fn(ctx, &f);
		}
		total += (unsigned int)n;
		if ((unsigned int)n < most)
			break;
	}
	return (int)total;
}

/* --- send ------------------------------------------------------------------------------------ */

/* Returns how many of the first ones went, or -errno of the very first. */
static int send_batch(struct packet_link *p, const struct iovec *frames, unsigned int count)
{
	struct mmsghdr messages[PACKET_BATCH] = { 0 };
	int n;

	for (unsigned int i = 0; i < count; i++) {
		messages[i].msg_hdr.msg_iov = (struct iovec *)&frames[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	do
		n = sendmmsg(p->frames, messages, count, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

unsigned int packet_send(struct packet_link *p, const struct iovec *frames, unsigned int count)
{
	unsigned int sent = 0;

	for (unsigned int i = 0; i < count;) {
		const unsigned int left = count - i;
		int n = send_batch(p, frames + i, left < PACKET_BATCH ? left : PACKET_BATCH);

		/* What holds for the link holds for all that follow. */
		if (n == -ENETDOWN || n == -ENXIO || n == -ENODEV)
			break;
		sent += n > 0 ? (unsigned int)n : 0;
		i += n > 0 ? (unsigned int)n : 1;
	}
	p->counters.sent += sent;
	p->counters.send_failed += count - sent;
	return sent;
}

union ip_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static bool is_link_local(const struct ip *ip)
{
	return ip->family == 6 && ip->octet[0] == 0xfe && (ip->octet[1] & 0xc0) == 0x80;
}

int packet_send_to(struct packet_link *p, const struct ip *from, const struct ip *to,
		   const void *payload, size_t len)
{
	const int ifindex = is_link_local(to) ? p->ifindex : 0,
		  fd = to->family == 4 ? p->raw4 : p->raw6;
	alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = { 0 };
	struct iovec iov = { (void *)payload, len };
	union ip_address name = { 0 };
	struct msghdr m = {
		.msg_name = &name, .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control
	};
	struct cmsghdr *c = (struct cmsghdr *)control;
	ssize_t n;

	assert(from->family == to->family);
	if (fd < 0)
		return -EAFNOSUPPORT;
	if (to->family == 4) {
		struct in_pktinfo info = { 0 };

		name.v4.sin_family = AF_INET;
		memcpy(&name.v4.sin_addr, to->octet, 4);
		memcpy(&info.ipi_spec_dst, from->octet, 4);
		*c = (struct cmsghdr){ CMSG_LEN(sizeof(info)), IPPROTO_IP, IP_PKTINFO };
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		m.msg_namelen = sizeof(name.v4);
		m.msg_controllen = CMSG_SPACE(sizeof(info));
	} else {
		struct in6_pktinfo info = { .ipi6_ifindex = (unsigned int)ifindex };

		name.v6.sin6_family = AF_INET6;
		name.v6.sin6_scope_id = (uint32_t)ifindex;
		memcpy(&name.v6.sin6_addr, to->octet, 16);
		memcpy(&info.ipi6_addr, from->octet, 16);
		*c = (struct cmsghdr){ CMSG_LEN(sizeof(info)), IPPROTO_IPV6, IPV6_PKTINFO };
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		m.msg_namelen = sizeof(name.v6);
		m.msg_controllen = CMSG_SPACE(sizeof(info));
	}
	do
		n = sendmsg(fd, &m, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	p->counters.sent += n >= 0;
	p->counters.send_failed += n < 0;
	return n < 0 ? -errno : 0;
}

void packet_counters(struct packet_link *p, struct packet_counters *ret)
{
	struct tpacket_stats now = { 0 };
	socklen_t len = sizeof(now);

	/* Asking begins the kernel's count anew. */
	if (getsockopt(p->frames, SOL_PACKET, PACKET_STATISTICS, &now, &len) == 0)
		p->counters.overflowed += now.tp_drops;
	*ret = p->counters;
}
