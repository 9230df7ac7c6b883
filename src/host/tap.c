/* Taps: persistent, with the vnet header, opened by whom the port says.
 *
 * Theory of operation.  The tap exists before its reader (QEMU) does and outlives it, so that our
 * program is on it from its first frame to its last.  It is made with IFF_TUN_EXCL (never somebody
 * else's by accident), gets its owner, and becomes persistent last: killed in between, nothing
 * stays.
 *
 * Who may open it.  The kernel asks for the owner *and* the group, of those that are set; of a tap
 * with neither, it asks nothing at all, and /dev/net/tun is open to everybody on most systems.  So
 * "nobody but root" is the owner 0, said explicitly.  What is set once can be changed but not
 * unset. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "host/private.h"
#include "model/record.h"

#define TAP_QUEUES_MAX 256 /* the kernel's MAX_TAP_QUEUES */

static void close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static short flags_of(const struct host_tap *tap)
{
	return IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (tap->queues > 1 ? IFF_MULTI_QUEUE : 0);
}

static uint32_t uid_of(const struct host_tap *tap)
{
	return tap->uid == UINT32_MAX && tap->gid == UINT32_MAX ? 0 : tap->uid;
}

/* Opens the tap with these flags, which makes it when it is not there. */
static int tun_open(const struct host_tap *tap, short more_flags, int *ret_fd,
		    struct error *ret_error)
{
	short flags = (short)(flags_of(tap) | more_flags);
	struct ifreq request = { .ifr_flags = flags };
	int fd CLEANUP(close_p) = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return error_set(
			ret_error, ERROR_KERNEL_UNSUPPORTED, "\"modprobe tun\" loads the driver",
			"this kernel has no tun driver: /dev/net/tun: %s", strerror(errno));
	if (fd < 0)
		return netlink_fail_errno(-errno, ret_error, "open /dev/net/tun");
	memcpy(request.ifr_name, tap->ifname, strlen(tap->ifname) + 1);
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		if (errno == EBUSY || errno == EINVAL)
			return error_set(ret_error, ERROR_INTERFACE_IN_USE,
					 "stop the VM that has it open, or choose another name",
					 "the tap %s is in use: %s", tap->ifname, strerror(errno));
		return netlink_fail_errno(-errno, ret_error, "make the tap %s", tap->ifname);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int tun_set_owner(int fd, const struct host_tap *tap, struct error *ret_error)
{
	uint32_t uid = uid_of(tap);

	if (uid != UINT32_MAX && ioctl(fd, TUNSETOWNER, (unsigned long)uid) < 0) {
		if (errno == EINVAL)
			return error_set(ret_error, ERROR_BAD_VALUE, NULL,
					 "there can be no user %u on this host", uid);
		return netlink_fail_errno(-errno, ret_error, "give %s to user %u", tap->ifname,
					  uid);
	}
	if (tap->gid != UINT32_MAX && ioctl(fd, TUNSETGROUP, (unsigned long)tap->gid) < 0) {
		if (errno == EINVAL)
			return error_set(ret_error, ERROR_BAD_VALUE, NULL,
					 "there can be no group %u on this host", tap->gid);
		return netlink_fail_errno(-errno, ret_error, "give %s to group %u", tap->ifname,
					  tap->gid);
	}
	return 0;
}

static int tap_create(const struct host_tap *tap, struct error *ret_error)
{
	int fd CLEANUP(close_p) = -1;
	int r;

	r = tun_open(tap, (short)IFF_TUN_EXCL, &fd, ret_error);
	if (r < 0)
		return r;
	r = tun_set_owner(fd, tap, ret_error);
	if (r < 0)
		return r;
	if (ioctl(fd, TUNSETPERSIST, 1ul) < 0)
		return netlink_fail_errno(-errno, ret_error, "keep the tap %s", tap->ifname);
	return 0;
}

static const char *shape_fault(const struct host_tap *tap, const struct link *l)
{
	if (strcmp(l->pub.kind, "tun") != 0)
		return "is no tap";
	if (!l->tap)
		return "is a tun, no tap";
	if (l->packet_info || !l->vnet_hdr)
		return "is a tap with another header (no vnet_hdr, or packet information)";
	if (!l->persistent)
		return "is a tap that ends with its process";
	if (l->multi_queue != (tap->queues > 1))
		return l->multi_queue ? "is a tap with many queues" : "is a tap with one queue";
	if (l->pub.master)
		return "belongs to another interface (a bridge, a bond, …)";
	return NULL;
}

/* Brings an existing tap to the owner that is asked for.  Opening it attaches a queue for a moment:
 * done only where the owner differs. */
static int tap_take_over(const struct host_tap *tap, const struct link *l, struct error *ret_error)
{
	const char *fault = shape_fault(tap, l);
	uint32_t uid = uid_of(tap), gid = tap->gid;
	int fd CLEANUP(close_p) = -1;
	int r;

	if (fault)
		return error_set(ret_error, ERROR_INTERFACE_IN_USE,
				 "choose another name, or delete it: ip link delete IFNAME",
				 "%s exists and %s", tap->ifname, fault);
	if (l->uid == uid && l->gid == gid)
		return 0;
	if ((l->uid != UINT32_MAX && uid == UINT32_MAX) ||
	    (l->gid != UINT32_MAX && gid == UINT32_MAX))
		return error_set(ret_error, ERROR_INTERFACE_IN_USE,
				 "delete it first: ip link delete IFNAME",
				 "%s exists and has an owner, which can be changed but not removed",
				 tap->ifname);
	r = tun_open(tap, 0, &fd, ret_error);
	return r < 0 ? r : tun_set_owner(fd, tap, ret_error);
}

static int tap_check(const struct host_tap *tap, struct error *ret_error)
{
	int r;

	r = ifname_check("interface", tap->ifname, ret_error);
	if (r < 0)
		return r;
	if (tap->queues < 1 || tap->queues > TAP_QUEUES_MAX)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "a tap has 1 to %d queues, not %u", TAP_QUEUES_MAX, tap->queues);
	return link_mtu_check(tap->mtu, ret_error);
}

int host_tap_make(struct host *h, const struct host_tap *tap, struct host_link *ret,
		  struct error *ret_error)
{
	struct error ignored;
	struct link l;
	bool made;
	int r;

	r = tap_check(tap, ret_error);
	if (r < 0)
		return r;
	r = link_look(&h->command, 0, tap->ifname, &l);
	made = r == -ENODEV;
	if (r < 0 && !made)
		return netlink_fail(&h->command, r, ret_error, "look at %s", tap->ifname);
	r = made ? tap_create(tap, ret_error) : tap_take_over(tap, &l, ret_error);
	if (r < 0)
		return r;
	if (made) {
		r = link_look(&h->command, 0, tap->ifname, &l);
		if (r < 0)
			return netlink_fail(&h->command, r, ret_error, "look at the new tap %s",
					    tap->ifname);
	}
	r = link_finish(h, &l, tap->mtu, ret, ret_error);
	if (r < 0 && made)
		host_link_delete(h, l.pub.ifindex, &ignored);
	return r;
}
