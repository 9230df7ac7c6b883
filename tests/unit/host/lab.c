#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <arpa/inet.h>

static int home = -1;

static void skip_all(const char *what)
{
	fprintf(stderr, "skipped: %s\n", what);
	exit(77);
}

void lab_enter(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		skip_all("needs root (CAP_SYS_ADMIN) and network namespaces");
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0)
		skip_all("needs /proc/self/ns/net");
	if (access("/dev/net/tun", F_OK) < 0)
		skip_all("needs the tun driver (/dev/net/tun)");
	if (!lab_try("ip link add probe0 type veth peer name probe1 && ip link delete probe0"))
		skip_all("needs the veth driver and iproute2");
}

struct lab_netns lab_netns_new(void)
{
	struct lab_netns ns;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	ns.fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(ns.fd >= 0);
	snprintf(ns.path, sizeof(ns.path), "/proc/self/fd/%d", ns.fd);
	lab_home();
	return ns;
}

void lab_netns_end(struct lab_netns *ns)
{
	close(ns->fd);
	ns->fd = -1;
}

void lab_go(int fd)
{
	assert_int_equal(setns(fd, CLONE_NEWNET), 0);
}

void lab_home(void)
{
	lab_go(home);
}

static int run(const char *fmt, va_list ap)
{
	char command[512];

	vsnprintf(command, sizeof(command), fmt, ap);
	return system(command);
}

void lab_run(const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = run(fmt, ap);
	va_end(ap);
	if (r != 0)
		fail_msg("the command failed: %s", fmt);
}

bool lab_try(const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = run(fmt, ap);
	va_end(ap);
	return r == 0;
}

void lab_wait_up(const char *ifname)
{
	lab_run("for i in $(seq 500); do ip -br link show dev %s | grep -q ' UP ' && exit 0; "
		"sleep 0.01; done; exit 1",
		ifname);
}

struct host *lab_host(void)
{
	struct host *h = NULL;
	struct error e;
	int r = host_open(&h, &e);

	assert_ok(r, e);
	return h;
}

struct host_link lab_link(struct host *h, const char *ifname)
{
	struct host_link l = { 0 };
	struct error e;
	int r = host_link_by_name(h, ifname, &l, &e);

	assert_ok(r, e);
	return l;
}

bool lab_has_link(struct host *h, const char *ifname)
{
	struct host_link l;
	struct error e;
	int r = host_link_by_name(h, ifname, &l, &e);

	if (r < 0)
		assert_error(r, e, ERROR_NO_INTERFACE);
	return r == 0;
}

int lab_tap_open(const char *ifname, bool multi_queue)
{
	return lab_tap_open_at("/dev/net/tun", ifname, multi_queue);
}

int lab_tap_open_at(const char *device, const char *ifname, bool multi_queue)
{
	struct ifreq request = { 0 };
	int fd = open(device, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	request.ifr_flags =
		(short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (multi_queue ? IFF_MULTI_QUEUE : 0));
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

int lab_packet_socket(const char *ifname)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(ifname),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)),
	    on = 1;

	assert_true(fd >= 0 && at.sll_ifindex > 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void on_event(void *ctx, const struct host_event *event)
{
	struct lab_events *e = ctx;

	assert_true(e->count < EVENTS_MAX);
	e->event[e->count++] = *event;
}

void lab_events(struct host *h, bool wait, struct lab_events *ret)
{
	struct pollfd p = { .fd = host_fd(h), .events = POLLIN };

	ret->count = 0;
	while (poll(&p, 1, wait ? 1000 : 50) > 0) {
		host_dispatch(h, on_event, ret);
		wait = false;
	}
}

bool lab_saw(const struct lab_events *e, enum host_event_kind kind, const char *ifname)
{
	for (unsigned int i = 0; i < e->count; i++)
		if (e->event[i].kind == kind && strcmp(e->event[i].link.ifname, ifname) == 0)
			return true;
	return false;
}
