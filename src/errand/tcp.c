/* TCP probes: a connection that is accepted is an answer, and ends at once.
 *
 * It ends with a reset: what was only asked for its health is to keep no port and no TIME-WAIT
 * busy, here as little as at the server. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "errand/probe.h"

/* Reads "IP:PORT" or "[IP]:PORT". */
static int tcp_target(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *four = (struct sockaddr_in *)ret;
	const char *colon = strrchr(text, ':');
	char ip[IP_TEXT_MAX + 2], *end;
	size_t len = colon ? (size_t)(colon - text) : 0;
	unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;

	if (port == 0 || port > 65535 || *end || len < 2 || len >= sizeof(ip))
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	memcpy(ip, text, len);
	ip[len] = '\0';
	if (ip[0] == '[' && ip[len - 1] == ']') {
		ip[len - 1] = '\0';
		six->sin6_family = AF_INET6;
		six->sin6_port = htons((uint16_t)port);
		*ret_len = sizeof(*six);
		return inet_pton(AF_INET6, ip + 1, &six->sin6_addr) == 1 ? 0 : -EINVAL;
	}
	four->sin_family = AF_INET;
	four->sin_port = htons((uint16_t)port);
	*ret_len = sizeof(*four);
	return inet_pton(AF_INET, ip, &four->sin_addr) == 1 ? 0 : -EINVAL;
}

static int tcp_way(int fd, const struct errand_way *way)
{
	if (way->device[0] && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, way->device,
					 (socklen_t)strlen(way->device) + 1) < 0)
		return -errno;
	if (way->mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &way->mark, sizeof(way->mark)) < 0)
		return -errno;
	return 0;
}

/* What this host refuses by itself says nothing about the other side. */
static bool is_own(int err)
{
	return err == ENODEV || err == EADDRNOTAVAIL || err == ENETUNREACH || err == ENETDOWN ||
	       err == EPERM || err == EACCES || err == EMFILE || err == ENFILE || err == ENOBUFS ||
	       err == ENOMEM || err == EAGAIN || err == EINVAL;
}

static void tcp_failed(struct probe *p, int err)
{
	probe_answer(p, p->way.device[0] && is_own(err) ? ERRAND_UNABLE : ERRAND_DOWN, "%s",
		     strerror(err));
}

void tcp_end(struct probe *p)
{
	struct linger reset = { .l_onoff = 1 };

	setsockopt(p->connecting, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(p->connecting);
	p->connecting = 0;
	p->prober->connects--;
}

void tcp_begin(struct probe *p)
{
	struct sockaddr_storage to;
	socklen_t len;
	int fd, r;

	if (p->prober->connects == CONNECTS_MAX) {
		p->busy = false; /* no result: it is not the server's fault */
		return;
	}
	if (tcp_target(p->target, &to, &len) < 0) {
		probe_answer(p, ERRAND_DOWN, "not IP:PORT");
		return;
	}
	fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		tcp_failed(p, errno);
		return;
	}
	p->connecting = fd;
	p->prober->connects++;
	r = tcp_way(fd, &p->way);
	if (r == 0 && connect(fd, (struct sockaddr *)&to, len) < 0)
		r = -errno;
	if (r == -EINPROGRESS)
		return;
	tcp_end(p);
	if (r < 0)
		tcp_failed(p, -r);
	else
		probe_answer(p, ERRAND_UP, "accepts");
}

void tcp_look(struct probe *p)
{
	struct pollfd fd = { .fd = p->connecting, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0;

	if (poll(&fd, 1, 0) <= 0)
		return;
	if (getsockopt(p->connecting, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	tcp_end(p);
	if (err)
		probe_answer(p, ERRAND_DOWN, "%s", strerror(err));
	else
		probe_answer(p, ERRAND_UP, "accepts");
}

void tcp_overdue(struct probe *p)
{
	tcp_end(p);
	probe_answer(p, ERRAND_DOWN, "no answer in %u ms", p->timeout_ms);
}
