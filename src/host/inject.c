#include "host/inject.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_packet.h>

struct inject {
	int fd;
};

int inject_open(uint32_t mark, struct inject **ret, struct error *ret_error)
{
	struct inject *i = calloc(1, sizeof(*i));
	int err;

	if (!i)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	i->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (i->fd >= 0 && setsockopt(i->fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0) {
		*ret = i;
		return 0;
	}
	err = errno;
	inject_close(i);
	return error_set(ret_error, err == EPERM ? ERROR_FORBIDDEN : ERROR_KERNEL_FAILED,
			 err == EPERM ? "run as root or give CAP_NET_RAW and CAP_NET_ADMIN" : NULL,
			 "cannot open a packet socket: %s", strerror(err));
}

void inject_close(struct inject *i)
{
	if (!i)
		return;
	if (i->fd >= 0)
		close(i->fd);
	free(i);
}

int inject_send(struct inject *i, int ifindex, const void *frame, size_t len)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = ifindex };

	return sendto(i->fd, frame, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}
