/* Other network namespaces, without ever entering one.
 *
 * A socket belongs for ever to the namespace that its thread was in when it opened it.  So a thread
 * of its own goes there, opens the socket and ends; whoever called stays where he is, and no
 * failure can leave him elsewhere. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>
#include <linux/net_namespace.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <sys/ioctl.h>

#include "host/private.h"

/* The path is a user's: it is looked at before it is opened, for opening alone has effects on some
 * files (a FIFO waits, a tape rewinds). */
int netns_open(const char *path, int *ret_fd, struct error *ret_error)
{
	static const char hint[] = "\"ip netns list\" names namespaces of /run/netns; "
				   "/proc/PID/ns/net is that of a process";
	char reopen[32];
	struct statfs fs;
	int at, fd, r;

	at = open(path, O_PATH | O_CLOEXEC);
	if (at < 0) {
		r = -errno;
		if (r == -EACCES || r == -EPERM)
			return error_set(
				ret_error, ERROR_FORBIDDEN,
				"give the namespace by a path of its own, as in /run/netns; "
				"/proc/PID/ns/net of a stronger process needs CAP_SYS_PTRACE",
				"cannot open the network namespace %s: %s", path, strerror(-r));
		return error_set(ret_error, ERROR_NOT_FOUND, hint,
				 "there is no network namespace %s: %s", path, strerror(-r));
	}
	if (fstatfs(at, &fs) < 0 || fs.f_type != NSFS_MAGIC) {
		close(at);
		return error_set(ret_error, ERROR_NOT_FOUND, hint, "%s is not a network namespace",
				 path);
	}
	snprintf(reopen, sizeof(reopen), "/proc/self/fd/%d", at);
	fd = open(reopen, O_RDONLY | O_CLOEXEC);
	r = -errno;
	close(at);
	if (fd < 0)
		return netlink_fail_errno(r, ret_error, "open the network namespace %s", path);
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
		close(fd);
		return error_set(ret_error, ERROR_NOT_FOUND, hint,
				 "%s is a namespace, but none of the network", path);
	}
	*ret_fd = fd;
	return 0;
}

struct visit {
	int fd, result;
	struct netlink *netlink;
};

static void *visit_run(void *arg)
{
	struct visit *v = arg;

	if (setns(v->fd, CLONE_NEWNET) < 0)
		v->result = -errno;
	else
		v->result = netlink_open(v->netlink);
	return NULL;
}

int netns_netlink(int fd, struct netlink *ret)
{
	struct visit v = { .fd = fd, .netlink = ret };
	sigset_t all, before;
	pthread_t thread;
	int r;

	/* The program's signals are its own thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, NULL, visit_run, &v);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return -r;
	pthread_join(thread, NULL);
	return v.result;
}

static void on_id(void *ctx, const struct nlmsghdr *answer)
{
	struct nlattr *a[NETNSA_MAX + 1];
	int *id = ctx;

	if (nlmsg_parse((struct nlmsghdr *)answer, sizeof(struct rtgenmsg), a, NETNSA_MAX, NULL) ==
		    0 &&
	    a[NETNSA_NSID])
		*id = nla_get_s32(a[NETNSA_NSID]);
}

int netns_id(struct netlink *n, int fd, int *ret)
{
	struct rtgenmsg header = { .rtgen_family = AF_UNSPEC };
	int id = NETNSA_NSID_NOT_ASSIGNED, r;
	struct nl_msg *m CLEANUP(nlmsg_free_p) =
		netlink_message(RTM_GETNSID, 0, &header, sizeof(header));

	if (!m)
		return -ENOMEM;
	netlink_put_u32(m, NETNSA_FD, (uint32_t)fd);
	r = netlink_request(n, m, on_id, &id);
	if (r < 0)
		return r;
	*ret = id;
	return 0;
}
