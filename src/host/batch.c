/* Many netlink requests a system call.
 *
 * Theory of operation.  The kernel works through all messages of one datagram before sendmsg()
 * returns, and goes on after one that failed.  It answers each that failed, but those that
 * succeeded only where NLM_F_ACK asks for it; so only the last of a datagram asks: its answer says
 * that all before it are done, and whatever was not complained about succeeded.  That spares an
 * allocation and a wake-up a message.
 *
 * All answers to one datagram wait in our receive buffer, so no more messages go into one than it
 * has room for answers (each may fail).  Should an answer be lost nevertheless, all of that
 * datagram that were not answered count as failed: nothing is taken for done that may not be. */
#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/socket.h>

#include "host/netlink.h"

#define CHUNK_MESSAGES	 512	     /* a datagram, at most */
#define CHUNK_OCTETS	 (128 << 10) /* the send buffer's default holds 200 KiB */
#define ANSWER_FOOTPRINT 2048	     /* what an answer takes of the receive buffer, at most */
#define ANSWER_MAX	 1024	     /* octets of it that we look at */
#define ANSWERS		 32	     /* read a system call */

struct chunk {
	const struct netlink_batch *batch;
	size_t len;
	unsigned int count;
	uint32_t seq; /* of the first; the others follow */
	bool answered[CHUNK_MESSAGES];
	unsigned int item[CHUNK_MESSAGES];
	alignas(NLMSG_ALIGNTO) char answer[ANSWERS][ANSWER_MAX];
	alignas(NLMSG_ALIGNTO) char data[CHUNK_OCTETS];
};

DEFINE_CLEANUP(struct chunk *, free);

static void on_answer(struct chunk *c, struct nlmsghdr *h)
{
	const uint32_t i = h->nlmsg_seq - c->seq;
	const struct nlmsgerr *e = nlmsg_data(h);
	struct nlattr *a[NLMSGERR_ATTR_MAX + 1] = { 0 };
	char detail[128] = "";
	int len;

	/* What is left of a request that was given up on is not ours. */
	if (h->nlmsg_type != NLMSG_ERROR || i >= c->count || c->answered[i] ||
	    nlmsg_datalen(h) < (int)sizeof(*e))
		return;
	c->answered[i] = true;
	if (e->error == 0)
		return;
	len = nlmsg_datalen(h) - (int)sizeof(*e);
	if ((h->nlmsg_flags & NLM_F_ACK_TLVS) && len > 0 &&
	    nla_parse(a, NLMSGERR_ATTR_MAX, (struct nlattr *)(e + 1), len, NULL) == 0 &&
	    a[NLMSGERR_ATTR_MSG])
		nla_strlcpy(detail, a[NLMSGERR_ATTR_MSG], sizeof(detail));
	c->batch->failed(c->batch->ctx, c->item[i], e->error, detail);
}

/* Reads answers until the last message has its own.  0 or -errno. */
static int chunk_answers(struct chunk *c, int fd)
{
	struct mmsghdr messages[ANSWERS];
	struct iovec iov[ANSWERS];

	while (!c->answered[c->count - 1]) {
		int n;

		memset(messages, 0, sizeof(messages));
		for (unsigned int i = 0; i < ANSWERS; i++) {
			iov[i] = (struct iovec){ c->answer[i], ANSWER_MAX };
			messages[i].msg_hdr.msg_iov = &iov[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		n = recvmmsg(fd, messages, ANSWERS, MSG_WAITFORONE, NULL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (int i = 0; i < n; i++) {
			struct nlmsghdr *h = (struct nlmsghdr *)c->answer[i];
			int left = (int)messages[i].msg_len;

			for (; nlmsg_ok(h, left); h = nlmsg_next(h, &left))
				on_answer(c, h);
		}
	}
	return 0;
}

static void chunk_run(struct chunk *c, struct netlink *n)
{
	int fd = nl_socket_get_fd(n->sock), r;
	ssize_t sent;

	if (c->count == 0)
		return;
	do
		sent = send(fd, c->data, c->len, 0);
	while (sent < 0 && errno == EINTR);
	r = sent < 0 ? -errno : chunk_answers(c, fd);
	for (unsigned int i = 0; r < 0 && i < c->count; i++)
		if (!c->answered[i])
			c->batch->failed(c->batch->ctx, c->item[i], r, "");
	c->count = 0;
	c->len = 0;
	memset(c->answered, 0, sizeof(c->answered));
}

/* Only the last asks for an answer: the one before gives its wish up. */
static void chunk_add(struct chunk *c, struct netlink *n, unsigned int item,
		      const struct nlmsghdr *message, struct nlmsghdr **last)
{
	struct nlmsghdr *h = (struct nlmsghdr *)(c->data + c->len);

	assert(c->len + NLMSG_ALIGN(message->nlmsg_len) <= sizeof(c->data));
	memset((char *)h + NLMSG_ALIGN(message->nlmsg_len) - NLMSG_ALIGNTO, 0, NLMSG_ALIGNTO);
	memcpy(h, message, message->nlmsg_len);
	if (c->count > 0)
		(*last)->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
	h->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	h->nlmsg_seq = nl_socket_use_seq(n->sock);
	h->nlmsg_pid = nl_socket_get_local_port(n->sock);
	if (c->count == 0)
		c->seq = h->nlmsg_seq;
	c->item[c->count++] = item;
	c->len += NLMSG_ALIGN(message->nlmsg_len);
	*last = h;
}

static unsigned int chunk_most(struct netlink *n)
{
	socklen_t len = sizeof(int);
	int size = 0;

	if (getsockopt(nl_socket_get_fd(n->sock), SOL_SOCKET, SO_RCVBUF, &size, &len) < 0 ||
	    size < 2 * ANSWER_FOOTPRINT)
		return 1;
	size /= ANSWER_FOOTPRINT;
	return size < CHUNK_MESSAGES ? (unsigned int)size : CHUNK_MESSAGES;
}

void netlink_batch_run(struct netlink *n, unsigned int count, const struct netlink_batch *b)
{
	struct chunk *c CLEANUP(free_p) = calloc(1, sizeof(*c));
	const unsigned int most = chunk_most(n);
	struct nlmsghdr *last = NULL;

	if (c)
		c->batch = b;
	for (unsigned int i = 0; i < count; i++) {
		struct nl_msg *m CLEANUP(nlmsg_free_p) = NULL;
		int r = c ? b->build(b->ctx, i, &m) : -ENOMEM;

		if (r < 0)
			b->failed(b->ctx, i, r, "");
		if (r < 0 || !m)
			continue;
		if (c->count == most ||
		    c->len + NLMSG_ALIGN(nlmsg_hdr(m)->nlmsg_len) > sizeof(c->data))
			chunk_run(c, n);
		chunk_add(c, n, i, nlmsg_hdr(m), &last);
	}
	if (c)
		chunk_run(c, n);
}
