#include "host/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "base/cleanup.h"

struct listen {
	int fd;
};

#define TYPE_AT 12
#define NEXT_AT 20 /* IPv6's next header */
#define ICMP_AT 54 /* its type, where no extension header stands before */
#define ICMPV6	58
#define NA	136
#define VLAN_ID 0xfff
#define TAG	(SKF_AD_OFF + SKF_AD_VLAN_TAG)

/* A tag of 0 is a priority only, and a frame without one reads as 0. */
static int set_filter(int fd, uint16_t vlan)
{
	struct sock_filter ops[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)TAG),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, VLAN_ID),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, vlan, 0, 8),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, TYPE_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_ARP, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 5),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NEXT_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMPV6, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ICMP_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NA, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, LISTEN_LEN_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { ARRAY_LEN(ops), ops };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* The filter first: until it is bound to its link the socket hears nothing. */
static int listen_begin(struct listen *l, int ifindex, uint16_t vlan)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_ifindex = ifindex };
	int one = 1;

	l->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0 || set_filter(l->fd, vlan) < 0)
		return -errno;
	if (setsockopt(l->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0)
		return -errno;
	at.sll_protocol = htons(ETH_P_ALL);
	return bind(l->fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : 0;
}

int listen_open(int ifindex, uint16_t vlan, struct listen **ret, struct error *ret_error)
{
	struct listen *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	r = listen_begin(l, ifindex, vlan);
	if (r == 0) {
		*ret = l;
		return 0;
	}
	listen_close(l);
	if (r == -ENODEV || r == -ENXIO)
		return error_set(ret_error, ERROR_NO_INTERFACE, NULL, "there is no interface %d",
				 ifindex);
	return error_set(ret_error, r == -EPERM ? ERROR_FORBIDDEN : ERROR_KERNEL_FAILED,
			 r == -EPERM ? "run as root or give CAP_NET_RAW" : NULL,
			 "cannot listen on interface %d: %s", ifindex, strerror(-r));
}

void listen_close(struct listen *l)
{
	if (!l)
		return;
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

void listen_read(struct listen *l, void (*fn)(void *ctx, const uint8_t *frame, size_t len),
		 void *ctx)
{
	uint8_t frame[LISTEN_LEN_MAX];

	for (unsigned int i = 0; i < LISTEN_AT_ONCE; i++) {
		ssize_t n = recv(l->fd, frame, sizeof(frame), 0);

		if (n < 0 && errno != ENETDOWN)
			return;
		if (n > 0)
			fn(ctx, frame, (size_t)n);
	}
}
