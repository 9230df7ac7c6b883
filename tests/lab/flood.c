/* flood: frames on one link at a rate that is held, and a report of the rate that it was.
 *
 * Theory of operation.  For each kind some hundred frames are made ahead: right Ethernet and IP
 * headers, so that they come as deep as their port or protocol is looked at, with garbage behind
 * them.  They go out in batches past the queueing discipline.  How many are due follows from the
 * clock alone, so whoever was held up catches up; who cannot keep pace says so in the report.
 *
 *	flood LINK RATE SECONDS KIND...
 *
 * Prints one line: frames, those that the link refused, seconds, frames a second, and the processor
 * seconds that it took. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#define VARIANTS     64 /* of each kind */
#define KINDS_MAX    8
#define BATCH	     32 /* frames a system call */
#define GARBAGE	     36 /* octets: as long as a CARP packet, the longest of the fixed ones */
#define FRAME_MAX    128
#define RATE_MAX     2000000
#define SECONDS_MAX  60
#define NS_A_SECOND  1000000000LL
#define PROTOCOL_112 112
#define UNRELATED    7777

struct kind {
	const char *name;
	bool ipv6;
	uint8_t protocol;
	uint16_t port;
	uint8_t group[16]; /* whom it is sent to */
	uint8_t begin[2];  /* of the garbage, where some comes deeper if it begins like that */
};

static const struct kind kinds[] = {
	{ "vrrp", false, PROTOCOL_112, 0, { 224, 0, 0, 18 }, { 0 } },
	{ "carp", false, PROTOCOL_112, 0, { 224, 0, 0, 18 }, { 0x21, 7 } },
	{ "hsrp", false, IPPROTO_UDP, 1985, { 224, 0, 0, 102 }, { 0 } },
	{ "vrrp6", true, PROTOCOL_112, 0, { 0xff, 2, [15] = 0x12 }, { 0 } },
	{ "hsrp6", true, IPPROTO_UDP, 2029, { 0xff, 2, [15] = 0x66 }, { 0 } },
	{ "other", false, IPPROTO_UDP, UNRELATED, { 224, 0, 0, 102 }, { 0 } },
	{ "other6", true, IPPROTO_UDP, UNRELATED, { 0xff, 2, [15] = 0x66 }, { 0 } },
};

struct frame {
	size_t len;
	uint8_t data[FRAME_MAX];
};

static struct frame frames[KINDS_MAX * VARIANTS];
static unsigned int frame_count;

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint16_t sum(const uint8_t *data, size_t len)
{
	uint32_t total = 0;

	for (size_t i = 0; i < len; i += 2)
		total += (uint32_t)data[i] << 8 | data[i + 1];
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)~total;
}

/* The same garbage each time. */
static uint8_t garbage(void)
{
	static uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return (uint8_t)x;
}

static uint8_t *write_ethernet(uint8_t *at, const struct kind *k)
{
	static const uint8_t from[ETH_ALEN] = { 2, 0, 0, 0, 0, 0x66 };

	if (k->ipv6) {
		at[0] = at[1] = 0x33;
		memcpy(at + 2, k->group + 12, 4);
	} else {
		const uint8_t to[ETH_ALEN] = { 1,	    0,		0x5e, k->group[1] & 0x7f,
					       k->group[2], k->group[3] };

		memcpy(at, to, ETH_ALEN);
	}
	memcpy(at + ETH_ALEN, from, ETH_ALEN);
	put16(at + 2 * ETH_ALEN, k->ipv6 ? ETH_P_IPV6 : ETH_P_IP);
	return at + ETH_HLEN;
}

static uint8_t *write_ip(uint8_t *at, const struct kind *k, uint16_t len)
{
	static const uint8_t from4[4] = { 10, 9, 0, 66 };
	static const uint8_t from6[16] = { 0xfe, 0x80, [15] = 0x66 };

	if (k->ipv6) {
		at[0] = 0x6c;
		put16(at + 4, len);
		at[6] = k->protocol;
		at[7] = 255;
		memcpy(at + 8, from6, 16);
		memcpy(at + 24, k->group, 16);
		return at + 40;
	}
	at[0] = 0x45;
	at[1] = 0xc0;
	put16(at + 2, (uint16_t)(20 + len));
	at[8] = 255;
	at[9] = k->protocol;
	memcpy(at + 12, from4, 4);
	memcpy(at + 16, k->group, 4);
	put16(at + 10, sum(at, 20));
	return at + 20;
}

static void frame_make(struct frame *f, const struct kind *k)
{
	const uint16_t head = k->protocol == IPPROTO_UDP ? 8 : 0;
	uint8_t *at = write_ip(write_ethernet(f->data, k), k, head + GARBAGE);

	if (head) {
		put16(at, k->port);
		put16(at + 2, k->port);
		put16(at + 4, head + GARBAGE);
		at += head;
	}
	for (unsigned int i = 0; i < GARBAGE; i++)
		at[i] = garbage();
	if (k->begin[0])
		memcpy(at, k->begin, sizeof(k->begin));
	f->len = (size_t)(at + GARBAGE - f->data);
}

/* One of each kind after the other, so that any stretch of them is an even mixture. */
static bool frames_make(char **names, unsigned int count)
{
	const struct kind *chosen[KINDS_MAX];

	for (unsigned int i = 0; i < count; i++) {
		chosen[i] = NULL;
		for (unsigned int j = 0; j < sizeof(kinds) / sizeof(kinds[0]); j++)
			if (strcmp(names[i], kinds[j].name) == 0)
				chosen[i] = &kinds[j];
		if (!chosen[i]) {
			fprintf(stderr, "flood: there is no kind '%s'\n", names[i]);
			return false;
		}
	}
	for (unsigned int v = 0; v < VARIANTS; v++)
		for (unsigned int i = 0; i < count; i++)
			frame_make(&frames[frame_count++], chosen[i]);
	return true;
}

static int link_open(const char *ifname)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1;

	at.sll_ifindex = (int)if_nametoindex(ifname);
	if (fd < 0 || at.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0) {
		fprintf(stderr, "flood: %s: %s\n", ifname, strerror(errno));
		return -1;
	}
	return fd;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_A_SECOND + t.tv_nsec;
}

/* How many of `count` went; the first one that does not go counts as refused. */
static unsigned int batch_send(int fd, unsigned int from, unsigned int count, uint64_t *refused)
{
	struct mmsghdr messages[BATCH] = { 0 };
	struct iovec iov[BATCH];
	int n;

	for (unsigned int i = 0; i < count; i++) {
		struct frame *f = &frames[(from + i) % frame_count];

		iov[i] = (struct iovec){ f->data, f->len };
		messages[i].msg_hdr.msg_iov = &iov[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	n = sendmmsg(fd, messages, count, 0);
	if (n > 0)
		return (unsigned int)n;
	++*refused;
	return 0;
}

static void run(int fd, int64_t rate, int64_t seconds)
{
	const int64_t most = rate * seconds, begun = now_ns();
	const struct timespec pause = { .tv_nsec = 200000 };
	uint64_t sent = 0, refused = 0;
	struct rusage usage;
	int64_t spent = 0;

	while (spent < seconds * NS_A_SECOND && (int64_t)(sent + refused) < most) {
		int64_t due = rate * (spent / 1000) / 1000000 - (int64_t)(sent + refused);

		if (due <= 0)
			nanosleep(&pause, NULL);
		else
			sent += batch_send(fd, (unsigned int)((sent + refused) % frame_count),
					   due < BATCH ? (unsigned int)due : BATCH, &refused);
		spent = now_ns() - begun;
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"sent\": %llu, \"refused\": %llu, \"seconds\": %.3f, \"rate\": %.0f, \"cpu\": "
	       "%.2f}\n",
	       (unsigned long long)sent, (unsigned long long)refused, (double)spent / NS_A_SECOND,
	       (double)sent * NS_A_SECOND / (double)spent,
	       (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

int main(int argc, char **argv)
{
	long rate = argc > 4 ? atol(argv[2]) : 0, seconds = argc > 4 ? atol(argv[3]) : 0;
	int fd;

	if (rate < 1 || rate > RATE_MAX || seconds < 1 || seconds > SECONDS_MAX ||
	    argc - 4 > KINDS_MAX) {
		fprintf(stderr, "usage: flood LINK RATE SECONDS KIND...\n");
		return 2;
	}
	if (!frames_make(argv + 4, (unsigned int)argc - 4))
		return 2;
	fd = link_open(argv[1]);
	if (fd < 0)
		return 1;
	run(fd, rate, seconds);
	return 0;
}
