/* One request and its answer over a route netlink socket, by libnl; the kernel's own words kept for
 * people.  Nothing here knows what a link is. */
#pragma once

#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "base/cleanup.h"
#include "base/error.h"

#define NETLINK_BUFFER	   (1 << 20) /* octets of answers that may wait */
#define NETLINK_DUMP_TRIES 5 /* a dump that was overtaken by changes is begun again so often */

struct netlink {
	struct nl_sock *sock;
	struct nl_cb *cb;
	/* What the kernel said about the last request that failed (its extended ack), or "". */
	char detail[128];
};

DEFINE_CLEANUP(struct nl_msg *, nlmsg_free);

/* The socket belongs to the network namespace of the calling thread, for ever.  0 or -errno. */
int netlink_open(struct netlink *ret);
void netlink_close(struct netlink *n); /* also of a zeroed one */

/* A message with room for one page, or NULL. */
struct nl_msg *netlink_message(int type, int flags, const void *header, size_t len);

/* One attribute more.  Our messages are far smaller than a page: not fitting is our bug. */
void netlink_put(struct nl_msg *m, int attribute, const void *data, size_t len);
void netlink_put_u32(struct nl_msg *m, int attribute, uint32_t v);
struct nlattr *netlink_nest(struct nl_msg *m, int attribute);

typedef void (*netlink_answer_fn)(void *ctx, const struct nlmsghdr *answer);

/* Sends m and waits for the acknowledgement or the end of the dump; fn (may be NULL) gets each
 * answer. 0 or the kernel's -errno; -EAGAIN: a dump was overtaken by a change, its answers are not
 * whole. */
int netlink_request(struct netlink *n, struct nl_msg *m, netlink_answer_fn fn, void *ctx);

/* Many requests a system call (batch.c).  build(i) makes the i-th message: NULL in *ret and 0 =
 * there is nothing to say about i.  failed(i) is told of each that did not succeed, in order of a
 * chunk; `detail` is the kernel's own word or "". */
struct netlink_batch {
	int (*build)(void *ctx, unsigned int i, struct nl_msg **ret);
	void (*failed)(void *ctx, unsigned int i, int r, const char *detail);
	void *ctx;
};

/* All of them are tried, whatever happens to one. */
void netlink_batch_run(struct netlink *n, unsigned int count, const struct netlink_batch *b);

/* Turns what netlink_request() returned into an error: "cannot WHAT: reason".  Returns its errno.
 */
int netlink_fail(const struct netlink *n, int r, struct error *ret_error, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The same with the kernel's word at hand (of a batch; "" = none). */
int netlink_fail_detail(int r, const char *detail, struct error *ret_error, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The same for a failed system call: r = -errno. */
int netlink_fail_errno(int r, struct error *ret_error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
