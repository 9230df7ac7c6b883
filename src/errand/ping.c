/* Echo requests by one raw socket a family for all probes of this daemon.
 *
 * The identifier is random a run; the sequence number and eight octets of payload name the probe,
 * so that the replies to others' pings, which a raw socket sees too, are never taken for ours.
 * Sources: raw(7), icmp(7), RFC 792, RFC 4443 section 4. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/icmp.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "errand/probe.h"

#define ECHO_LEN  (8 + 16) /* ICMP's header, our nonce and the probe's id */
#define REPLY_MAX 512
#define LOOK_MAX  256 /* replies a turn */

struct ping {
	int fd4, fd6; /* -1 = not opened yet */
	uint16_t identifier;
	uint64_t nonce;
};

struct ping *ping_new(void)
{
	struct ping *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->fd4 = g->fd6 = -1;
	if (getrandom(&g->nonce, sizeof(g->nonce), GRND_NONBLOCK) != sizeof(g->nonce))
		g->nonce = (uint64_t)clock_boot().ns * 0x9e3779b97f4a7c15ULL;
	g->identifier = (uint16_t)(g->nonce >> 48);
	return g;
}

void ping_free(struct ping *g)
{
	if (g->fd4 >= 0)
		close(g->fd4);
	if (g->fd6 >= 0)
		close(g->fd6);
	free(g);
}

static int open4(void)
{
	struct icmp_filter only = { .data = ~(1U << ICMP_ECHOREPLY) };
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_RAW, ICMP_FILTER, &only, sizeof(only)); /* saves work, no more */
	return fd;
}

static int open6(void)
{
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
	struct icmp6_filter only;

	if (fd < 0)
		return -errno;
	ICMP6_FILTER_SETBLOCKALL(&only);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &only);
	setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &only, sizeof(only));
	return fd;
}

int ping_target(struct probe *p)
{
	char text[IP_TEXT_MAX + 1 + IFNAMSIZ];
	char *link;

	if (strlen(p->target) >= sizeof(text))
		return -EINVAL;
	memcpy(text, p->target, strlen(p->target) + 1);
	link = strchr(text, '%');
	if (link)
		*link++ = '\0';
	if (ip_parse(text, &p->ip) < 0)
		return -EINVAL;
	p->scope = link ? if_nametoindex(link) : 0;
	return link && p->scope == 0 ? -ENODEV : 0;
}

static uint16_t checksum(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void echo_compose(const struct ping *g, const struct probe *p, uint8_t out[static ECHO_LEN])
{
	struct writer w = writer_of(out, ECHO_LEN);
	uint16_t sum;

	write_u8(&w, p->ip.family == 4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST);
	write_u8(&w, 0);
	write_u16(&w, 0);
	write_u16(&w, g->identifier);
	write_u16(&w, p->sequence);
	write_u64(&w, g->nonce);
	write_u64(&w, p->id);
	if (p->ip.family != 4)
		return; /* the kernel's, it knows the source */
	sum = checksum(out, ECHO_LEN);
	out[2] = (uint8_t)(sum >> 8);
	out[3] = (uint8_t)sum;
}

int ping_send(struct ping *g, const struct probe *p)
{
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_scope_id = p->scope };
	bool four = p->ip.family == 4;
	int *fd = four ? &g->fd4 : &g->fd6;
	uint8_t echo[ECHO_LEN];

	if (*fd < 0) {
		int r = four ? open4() : open6();

		if (r < 0)
			return r;
		*fd = r;
	}
	memcpy(&to4.sin_addr, p->ip.octet, 4);
	memcpy(&to6.sin6_addr, p->ip.octet, 16);
	echo_compose(g, p, echo);
	if (sendto(*fd, echo, sizeof(echo), 0,
		   four ? (struct sockaddr *)&to4 : (struct sockaddr *)&to6,
		   four ? sizeof(to4) : sizeof(to6)) < 0)
		return -errno;
	return 0;
}

unsigned int ping_wait(struct ping *g, struct pollfd *fds, unsigned int max)
{
	unsigned int n = 0;

	if (g->fd4 >= 0 && n < max)
		fds[n++] = (struct pollfd){ .fd = g->fd4, .events = POLLIN };
	if (g->fd6 >= 0 && n < max)
		fds[n++] = (struct pollfd){ .fd = g->fd6, .events = POLLIN };
	return n;
}

/* A raw IPv4 socket gives the IP header too. */
static bool reply_parse(const struct ping *g, bool four, const uint8_t *data, size_t len,
			uint16_t *ret_sequence, uint64_t *ret_id)
{
	struct reader r = reader_of(data, len);
	uint8_t type, code;
	uint16_t identifier;

	if (four)
		read_bytes(&r, len > 0 ? (size_t)(data[0] & 0x0f) * 4 : 0);
	type = read_u8(&r);
	code = read_u8(&r);
	read_u16(&r); /* the kernel has checked the sum */
	identifier = read_u16(&r);
	*ret_sequence = read_u16(&r);
	if (read_u64(&r) != g->nonce || identifier != g->identifier || code != 0)
		return false;
	*ret_id = read_u64(&r);
	return !r.failed && type == (four ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY);
}

static void look(struct ping *g, bool four,
		 void (*fn)(void *ctx, const struct ip *from, uint16_t sequence, uint64_t id),
		 void *ctx)
{
	for (unsigned int i = 0; i < LOOK_MAX; i++) {
		struct sockaddr_storage from = { 0 };
		socklen_t from_len = sizeof(from);
		struct ip ip = { .family = four ? 4 : 6 };
		uint8_t data[REPLY_MAX];
		uint16_t sequence;
		uint64_t id;
		ssize_t n = recvfrom(four ? g->fd4 : g->fd6, data, sizeof(data), 0,
				     (struct sockaddr *)&from, &from_len);

		if (n < 0)
			return;
		if (!reply_parse(g, four, data, (size_t)n, &sequence, &id))
			continue;
		if (four)
			memcpy(ip.octet, &((struct sockaddr_in *)&from)->sin_addr, 4);
		else
			memcpy(ip.octet, &((struct sockaddr_in6 *)&from)->sin6_addr, 16);
		fn(ctx, &ip, sequence, id);
	}
}

void ping_look(struct ping *g,
	       void (*fn)(void *ctx, const struct ip *from, uint16_t sequence, uint64_t id),
	       void *ctx)
{
	if (g->fd4 >= 0)
		look(g, true, fn, ctx);
	if (g->fd6 >= 0)
		look(g, false, fn, ctx);
}
