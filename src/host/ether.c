#include "host/ether.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_sched.h>

#include "base/cleanup.h"

#define ETHER_BUFFER (4 << 20) /* octets: the heartbeats of all clusters and hosts at once */
#define ETHER_BATCH  16	       /* frames a system call */
#define TAG_LEN	     4
#define VLAN_MASK    0x0fff

struct ether_link {
	int fd, ifindex;
	int trouble; /* what the next ether_receive() returns first; 0 = nothing */
	uint8_t data[ETHER_BATCH][ETHER_LEN_MAX];
	alignas(struct cmsghdr) char control[ETHER_BATCH]
					    [CMSG_SPACE(sizeof(struct tpacket_auxdata))];
};

DEFINE_CLEANUP(struct ether_link *, ether_close);

static int fail(int r, struct error *ret_error, const char *what)
{
	switch (-r) {
	case EPERM:
	case EACCES:
		return error_set(ret_error, ERROR_FORBIDDEN,
				 "run as root or give CAP_NET_RAW and CAP_NET_ADMIN",
				 "cannot %s: %s", what, strerror(-r));
	case ENODEV:
	case ENXIO:
		return error_set(ret_error, ERROR_NO_INTERFACE, NULL,
				 "cannot %s: the interface is gone, or has no IPv4", what);
	case ENOMEM:
	case ENOBUFS:
		return error_set(ret_error, ERROR_NO_MEMORY, "net.core.optmem_max may limit it",
				 "cannot %s: %s", what, strerror(-r));
	default:
		return error_set(ret_error, ERROR_KERNEL_FAILED, NULL, "cannot %s: %s", what,
				 strerror(-r));
	}
}

static int option(int fd, int level, int name, const void *value, size_t len)
{
	return setsockopt(fd, level, name, value, (socklen_t)len) < 0 ? -errno : 0;
}

static int option_int(int fd, int level, int name, int value)
{
	return option(fd, level, name, &value, sizeof(value));
}

static void close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* --- open and close -------------------------------------------------------------------------- */

/* Offsets are those of an untagged frame: the kernel has taken off the outer tag. */
static int filter_attach(int fd, const struct ether_config *c)
{
	const uint8_t *to = c->group.octet;
	const uint32_t high = (uint32_t)to[0] << 24 | (uint32_t)to[1] << 16 | (uint32_t)to[2] << 8 |
			      to[3],
		       low = (uint32_t)to[4] << 8 | to[5];
	struct sock_filter op[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 2 * ETH_ALEN),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, c->type, 0, 7),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_HOST, 4, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, high, 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = { .len = ARRAY_LEN(op), .filter = op };

	return option(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* Opened for no protocol at all, filtered, and only then bound: not one unwanted frame is queued.
 */
static int socket_open(const struct ether_config *c, int *ret)
{
	const struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = c->ifindex,
	};
	struct packet_mreq membership = {
		.mr_ifindex = c->ifindex,
		.mr_type = PACKET_MR_MULTICAST,
		.mr_alen = ETH_ALEN,
	};
	int fd CLEANUP(close_p) = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	memcpy(membership.mr_address, c->group.octet, ETH_ALEN);
	/* Over the system's limits where we may, within them where not. */
	if (option_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, ETHER_BUFFER) < 0)
		(void)option_int(fd, SOL_SOCKET, SO_RCVBUF, ETHER_BUFFER);
	/* A heartbeat that waits behind bulk traffic is a failover. */
	(void)option_int(fd, SOL_SOCKET, SO_PRIORITY, TC_PRIO_CONTROL);
	r = option(fd, SOL_SOCKET, SO_MARK, &c->mark, sizeof(c->mark));
	r = r ? r : option_int(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
	r = r ? r : option_int(fd, SOL_PACKET, PACKET_AUXDATA, 1);
	r = r ? r : filter_attach(fd, c);
	r = r ? r : option(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof(membership));
	if (r < 0)
		return r;
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

int ether_open(const struct ether_config *config, struct ether_link **ret, struct error *ret_error)
{
	struct ether_link *l CLEANUP(ether_close_p) = calloc(1, sizeof(*l));
	int r;

	assert(config->ifindex > 0);
	if (!l)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	l->fd = -1;
	l->ifindex = config->ifindex;
	r = socket_open(config, &l->fd);
	if (r < 0)
		return fail(r, ret_error, "open a packet socket");
	*ret = TAKE_PTR(l);
	return 0;
}

void ether_close(struct ether_link *l)
{
	if (!l)
		return;
	close_p(&l->fd);
	free(l);
}

int ether_fd(const struct ether_link *l)
{
	return l->fd;
}

/* --- receive --------------------------------------------------------------------------------- */

static uint16_t vlan_of(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA ||
		    c->cmsg_len < CMSG_LEN(sizeof(aux)))
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		return aux.tp_status & TP_STATUS_VLAN_VALID ? aux.tp_vlan_tci & VLAN_MASK : 0;
	}
	return 0;
}

static int receive_batch(struct ether_link *l, unsigned int most, struct mmsghdr *messages)
{
	struct iovec iov[ETHER_BATCH];
	int n;

	memset(messages, 0, most * sizeof(*messages));
	for (unsigned int i = 0; i < most; i++) {
		iov[i] = (struct iovec){ l->data[i], ETHER_LEN_MAX };
		messages[i].msg_hdr.msg_iov = &iov[i];
		messages[i].msg_hdr.msg_iovlen = 1;
		messages[i].msg_hdr.msg_control = l->control[i];
		messages[i].msg_hdr.msg_controllen = sizeof(l->control[i]);
	}
	do
		n = recvmmsg(l->fd, messages, most, MSG_DONTWAIT, NULL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int ether_receive(struct ether_link *l, unsigned int max,
		  void (*fn)(void *ctx, const struct ether_frame *f), void *ctx)
{
	struct mmsghdr messages[ETHER_BATCH];
	unsigned int total = 0;
	int r = l->trouble;

	l->trouble = 0;
	if (r < 0)
		return r;
	while (total < max) {
		const unsigned int most = max - total < ETHER_BATCH ? max - total : ETHER_BATCH;
		int n = receive_batch(l, most, messages);

		if (n == -EAGAIN)
			break;
		/* Those that came before are told first; the kernel says it only once. */
		if (n < 0 && total > 0) {
			l->trouble = n;
			break;
		}
		if (n < 0)
			return n;
		for (int i = 0; i < n; i++) {
			const struct ether_frame f = {
				.data = l->data[i],
				.len = messages[i].msg_len,
				.vlan = vlan_of(&messages[i].msg_hdr),
			};

			if (!(messages[i].msg_hdr.msg_flags & MSG_TRUNC))
				fn(ctx, &f);
		}
		total += (unsigned int)n;
		if ((unsigned int)n < most)
			break;
	}
	return (int)total;
}

/* --- send ------------------------------------------------------------------------------------ */

int ether_send(struct ether_link *l, uint16_t vlan, const void *frame, size_t len)
{
	uint8_t tag[TAG_LEN] = { ETH_P_8021Q >> 8, ETH_P_8021Q & 0xff, (uint8_t)(vlan >> 8),
				 (uint8_t)vlan };
	const size_t head = 2 * ETH_ALEN;
	struct iovec iov[] = {
		{ (void *)frame, head },
		{ tag, vlan ? TAG_LEN : 0 },
		{ (uint8_t *)frame + head, len - head },
	};
	const struct msghdr m = { .msg_iov = iov, .msg_iovlen = ARRAY_LEN(iov) };

	assert(len > head);
	return sendmsg(l->fd, &m, MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* --- memberships ----------------------------------------------------------------------------- */

/* A socket of its own: there may be as many in one as igmp_max_memberships says, mostly 20. */
int ether_join(int ifindex, const uint8_t group[static 4], int *ret_fd, struct error *ret_error)
{
	struct ip_mreqn request = { .imr_ifindex = ifindex };
	int fd CLEANUP(close_p) = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return fail(-errno, ret_error, "open a socket");
	memcpy(&request.imr_multiaddr, group, 4);
	r = option(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request));
	if (r < 0)
		return fail(r, ret_error, "join a multicast group");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int ether_hear(struct ether_link *l, vmac_mac_t group, bool on)
{
	struct packet_mreq membership = {
		.mr_ifindex = l->ifindex,
		.mr_type = PACKET_MR_MULTICAST,
		.mr_alen = ETH_ALEN,
	};

	memcpy(membership.mr_address, group.octet, ETH_ALEN);
	return option(l->fd, SOL_PACKET, on ? PACKET_ADD_MEMBERSHIP : PACKET_DROP_MEMBERSHIP,
		      &membership, sizeof(membership));
}
