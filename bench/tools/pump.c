/* Stands where a VM stands: opens a tap port as QEMU does (vnet_hdr, checksum and segmentation
 * offloads on) and carries every frame, with its vnet header untouched, to and from a second tap
 * inside a network namespace, whose TCP stack is the guest's.  So GSO frames cross the port exactly
 * as from a virtio NIC, on a machine that has no room for two real VMs and their noise.
 *
 * bench-pump PORT-NETNS PORT-TAP GUEST-NETNS GUEST-TAP; prints "ready"; ends at end of standard
 * input. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FRAME_MAX (10 + 65536 + 64) /* vnet header, the longest GSO frame, slack */
#define TURN_MAX  64		    /* frames carried one way before the other has its turn */

static int fail(const char *what)
{
	fprintf(stderr, "bench-pump: %s: %s\n", what, strerror(errno));
	return 1;
}

static int enter_netns(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = setns(fd, CLONE_NEWNET);
	close(fd);
	return r;
}

/* Opens (and makes, where it is not there) a tap in the namespace we are in. */
static int open_tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -1;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
		if (ioctl(fd, TUNSETIFF, &ifr) < 0)
			return -1;
	}
	if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
		return -1;
	return fd;
}

/* A frame that the other side refuses is lost, as on a NIC. */
static int carry(int from, int to)
{
	static char frame[FRAME_MAX];

	for (int i = 0; i < TURN_MAX; i++) {
		ssize_t n = read(from, frame, sizeof(frame));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n <= 0)
			return -1;
		if (write(to, frame, (size_t)n) < 0 && errno != EAGAIN && errno != EIO &&
		    errno != EINVAL && errno != ENOBUFS)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct pollfd fds[3] = { { .events = POLLIN }, { .events = POLLIN }, { .events = POLLIN } };

	if (argc != 5) {
		errno = EINVAL;
		return fail("usage: PORT-NETNS PORT-TAP GUEST-NETNS GUEST-TAP");
	}
	if (enter_netns(argv[1]) < 0)
		return fail(argv[1]);
	fds[0].fd = open_tap(argv[2]);
	if (fds[0].fd < 0)
		return fail(argv[2]);
	if (enter_netns(argv[3]) < 0)
		return fail(argv[3]);
	fds[1].fd = open_tap(argv[4]);
	if (fds[1].fd < 0)
		return fail(argv[4]);
	fds[2].fd = STDIN_FILENO;
	puts("ready");
	fflush(stdout);
	while (poll(fds, 3, -1) >= 0 || errno == EINTR) {
		if (fds[2].revents)
			return 0;
		if (carry(fds[0].fd, fds[1].fd) < 0 || carry(fds[1].fd, fds[0].fd) < 0)
			return fail("cannot carry a frame");
	}
	return fail("cannot wait");
}
