#include "host/netlink.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/handlers.h>
#include <netlink/socket.h>

struct exchange {
	struct netlink *netlink;
	netlink_answer_fn fn;
	void *ctx;
	uint32_t seq;
	bool done, overtaken;
	int result;
};

/* Answers to a request that was given up on (the socket had run out of memory) may still come: they
 * are passed over, so that one failure never spoils the next request. */
static int on_sequence(struct nl_msg *m, void *arg)
{
	const struct exchange *x = arg;

	return nlmsg_hdr(m)->nlmsg_seq == x->seq ? NL_OK : NL_SKIP;
}

static int on_valid(struct nl_msg *m, void *arg)
{
	struct exchange *x = arg;

	if (x->fn)
		x->fn(x->ctx, nlmsg_hdr(m));
	return NL_OK;
}

static int on_overtaken(struct nl_msg *m, void *arg)
{
	struct exchange *x = arg;

	x->overtaken = true;
	return NL_OK;
}

static int on_ack(struct nl_msg *m, void *arg)
{
	struct exchange *x = arg;

	x->done = true;
	return NL_STOP;
}

/* The end of a dump carries its result: an error that came when the dump had already begun. */
static int on_finish(struct nl_msg *m, void *arg)
{
	struct nlmsghdr *h = nlmsg_hdr(m);
	struct exchange *x = arg;
	int result;

	x->done = true;
	if (nlmsg_datalen(h) >= (int)sizeof(result)) {
		memcpy(&result, nlmsg_data(h), sizeof(result));
		x->result = result;
	}
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *who, struct nlmsgerr *e, void *arg)
{
	const struct nlmsghdr *h = (const void *)((const char *)e - NLMSG_HDRLEN);
	struct nlattr *attrs[NLMSGERR_ATTR_MAX + 1];
	struct exchange *x = arg;
	int len;

	x->done = true;
	x->result = e->error;
	len = (int)h->nlmsg_len - NLMSG_HDRLEN - (int)sizeof(*e);
	/* NETLINK_CAP_ACK: our own message is not repeated, the attributes follow at once. */
	if ((h->nlmsg_flags & NLM_F_ACK_TLVS) && len > 0 &&
	    nla_parse(attrs, NLMSGERR_ATTR_MAX, (struct nlattr *)(e + 1), len, NULL) == 0 &&
	    attrs[NLMSGERR_ATTR_MSG])
		nla_strlcpy(x->netlink->detail, attrs[NLMSGERR_ATTR_MSG],
			    sizeof(x->netlink->detail));
	return NL_STOP;
}

int netlink_open(struct netlink *ret)
{
	struct netlink n = { 0 };
	int on = 1;

	n.sock = nl_socket_alloc();
	n.cb = nl_cb_alloc(NL_CB_DEFAULT);
	if (!n.sock || !n.cb) {
		netlink_close(&n);
		return -ENOMEM;
	}
	/* errno is the socket's own: libnl's codes do not tell EPERM from EACCES. */
	errno = 0;
	if (nl_connect(n.sock, NETLINK_ROUTE) < 0) {
		int r = errno ? -errno : -EIO;

		netlink_close(&n);
		return r;
	}
	/* Strict checking makes the kernel honour the filters of a dump.  Kernels without any of
	 * the three (all are older than ours) would only be less helpful. */
	for (int i = 0; i < 3; i++) {
		static const int options[] = { NETLINK_EXT_ACK, NETLINK_CAP_ACK,
					       NETLINK_GET_STRICT_CHK };

		(void)setsockopt(nl_socket_get_fd(n.sock), SOL_NETLINK, options[i], &on,
				 sizeof(on));
	}
	/* The answers to a whole batch wait here; over the system's limit where we may. */
	(void)setsockopt(nl_socket_get_fd(n.sock), SOL_SOCKET, SO_RCVBUFFORCE,
			 &(int){ NETLINK_BUFFER }, sizeof(int));
	*ret = n;
	return 0;
}

void netlink_close(struct netlink *n)
{
	if (n->cb)
		nl_cb_put(n->cb);
	if (n->sock)
		nl_socket_free(n->sock);
	*n = (struct netlink){ 0 };
}

struct nl_msg *netlink_message(int type, int flags, const void *header, size_t len)
{
	struct nl_msg *m = nlmsg_alloc_simple(type, flags);

	if (!m)
		return NULL;
	if (nlmsg_append(m, (void *)header, len, NLMSG_ALIGNTO) < 0)
		assert(!"a header fits in a page");
	return m;
}

void netlink_put(struct nl_msg *m, int attribute, const void *data, size_t len)
{
	int r = nla_put(m, attribute, (int)len, data);

	assert(r == 0);
}

void netlink_put_u32(struct nl_msg *m, int attribute, uint32_t v)
{
	netlink_put(m, attribute, &v, sizeof(v));
}

struct nlattr *netlink_nest(struct nl_msg *m, int attribute)
{
	struct nlattr *nest = nla_nest_start(m, attribute);

	assert(nest);
	return nest;
}

int netlink_request(struct netlink *n, struct nl_msg *m, netlink_answer_fn fn, void *ctx)
{
	struct exchange x = { .netlink = n, .fn = fn, .ctx = ctx };
	struct nl_cb *cb = n->cb;
	int r;

	n->detail[0] = '\0';
	nl_cb_set(cb, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, on_sequence, &x);
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, &x);
	nl_cb_set(cb, NL_CB_DUMP_INTR, NL_CB_CUSTOM, on_overtaken, &x);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, &x);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, &x);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, &x);

	nl_complete_msg(n->sock, m);
	x.seq = nlmsg_hdr(m)->nlmsg_seq;
	errno = 0;
	if (nl_send(n->sock, m) < 0)
		return errno ? -errno : -EIO;
	while (!x.done) {
		errno = 0;
		r = nl_recvmsgs(n->sock, cb);
		if (r < 0 && !x.done)
			return errno ? -errno : -EIO;
	}
	if (x.result < 0)
		return x.result;
	return x.overtaken ? -EAGAIN : 0;
}

static int fail(int r, const char *detail, struct error *ret_error, const char *fmt, va_list ap)
{
	char what[160];

	vsnprintf(what, sizeof(what), fmt, ap);
	switch (-r) {
	case EPERM:
	case EACCES:
		return error_set(ret_error, ERROR_FORBIDDEN,
				 "run as root or give CAP_NET_ADMIN (and CAP_SYS_ADMIN to reach "
				 "into other network namespaces)",
				 "cannot %s: %s", what, strerror(-r));
	case ENODEV:
		return error_set(ret_error, ERROR_NO_INTERFACE, NULL,
				 "cannot %s: the interface is gone", what);
	case ENOMEM:
	case ENOBUFS:
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "cannot %s: out of memory",
				 what);
	case EOPNOTSUPP:
		return error_set(ret_error, ERROR_KERNEL_UNSUPPORTED, NULL,
				 "cannot %s: this kernel or driver does not support it%s%s", what,
				 *detail ? ": " : "", detail);
	default:
		return error_set(ret_error, ERROR_KERNEL_FAILED, NULL, "cannot %s: %s%s%s%s", what,
				 strerror(-r), *detail ? " (" : "", detail, *detail ? ")" : "");
	}
}

int netlink_fail(const struct netlink *n, int r, struct error *ret_error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	r = fail(r, n->detail, ret_error, fmt, ap);
	va_end(ap);
	return r;
}

int netlink_fail_detail(int r, const char *detail, struct error *ret_error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	r = fail(r, detail, ret_error, fmt, ap);
	va_end(ap);
	return r;
}

int netlink_fail_errno(int r, struct error *ret_error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	r = fail(r, "", ret_error, fmt, ap);
	va_end(ap);
	return r;
}
