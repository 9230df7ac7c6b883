#include "host/host.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/sockios.h>
#include <netlink/socket.h>

#include "host/private.h"

DEFINE_CLEANUP(struct host *, host_close);

/* Remembers which namespace we are in: that of the socket, whatever the threads of this process do
 * later.  The kernel tells only those who may administer it, so this is also where we learn that.
 */
static int netns_remember(struct host *h, struct error *ret_error)
{
	struct stat st;
	int fd, r;

	fd = ioctl(nl_socket_get_fd(h->command.sock), SIOCGSKNS);
	if (fd < 0)
		return netlink_fail_errno(-errno, ret_error, "manage network interfaces");
	r = fstat(fd, &st) < 0 ? -errno : 0;
	close(fd);
	if (r < 0)
		return netlink_fail_errno(r, ret_error, "look at our own network namespace");
	h->netns_dev = st.st_dev;
	h->netns_ino = st.st_ino;
	return 0;
}

int host_open(struct host **ret, struct error *ret_error)
{
	struct host *h CLEANUP(host_close_p) = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	r = netlink_open(&h->command);
	if (r < 0)
		return netlink_fail_errno(r, ret_error, "open a netlink socket");
	r = netns_remember(h, ret_error);
	if (r < 0)
		return r;
	r = watch_open(h, ret_error);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(h);
	return 0;
}

void host_close(struct host *h)
{
	if (!h)
		return;
	watch_close(h);
	netlink_close(&h->command);
	free(h);
}
