/* What a guest says and hears while it moves: numbered datagrams both ways, and a stream whose
 * every octet is checked.
 *
 *   talk udp PEER PORT PPS    sends numbered datagrams to PEER:PORT from PORT and counts those that
 *                             come back the other way
 *   talk tcp PEER PORT        connects and sends 64-bit numbers, one after the other, for ever
 *
 * On SIGTERM, udp prints "sent N got N twice N first N last N" to the file that stdout is, and the
 * numbers between first and last that never came, up to 10,000 of them: "missing:N,N". */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NUMBERS_MAX (1u << 22)

static volatile sig_atomic_t ending;
static uint8_t seen[NUMBERS_MAX / 8];

static void end(int number)
{
	(void)number;
	ending = 1;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static unsigned long number_of(const char *text, unsigned long most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || n == 0 || n > most) {
		fprintf(stderr, "talk: %s is not in 1 ... %lu\n", text, most);
		exit(2);
	}
	return n;
}

static struct sockaddr_in address_of(const char *peer, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)number_of(port, 65535)) };

	if (inet_pton(AF_INET, peer, &a.sin_addr) != 1)
		die(peer);
	return a;
}

static int udp(const struct sockaddr_in *peer, unsigned int pps)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = peer->sin_port };
	uint64_t gap = 1000000000 / pps, next = now_ns(), number, sent = 0, got = 0, twice = 0,
		 first = 0, last = 0;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), size = 4 << 20;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (fd < 0 || bind(fd, (void *)&own, sizeof(own)) < 0)
		die("bind");
	while (!ending) {
		uint64_t now = now_ns();
		struct timespec wait = { 0 };

		if (now >= next) {
			/* A guest that stood still does not make up for it in a burst. */
			next = now > next + 20 * gap ? now + gap : next + gap;
			number = htobe64(sent);
			if (sendto(fd, &number, sizeof(number), 0, (const void *)peer,
				   sizeof(*peer)) == sizeof(number))
				sent++;
			continue;
		}
		wait.tv_nsec = (long)(next - now);
		if (ppoll(&p, 1, &wait, NULL) <= 0)
			continue;
		while (recv(fd, &number, sizeof(number), 0) == sizeof(number)) {
			number = be64toh(number);
			if (number >= NUMBERS_MAX)
				continue;
			if (seen[number / 8] & 1 << number % 8)
				twice++;
			else
				got++;
			seen[number / 8] |= (uint8_t)(1 << number % 8);
			if (got == 1 && twice == 0)
				first = number;
			last = number;
		}
	}
	printf("sent %llu got %llu twice %llu first %llu last %llu\n", (unsigned long long)sent,
	       (unsigned long long)got, (unsigned long long)twice, (unsigned long long)first,
	       (unsigned long long)last);
	printf("missing:");
	for (number = first, sent = 0; got > 0 && number < last && sent < 10000; number++)
		if (!(seen[number / 8] & 1 << number % 8))
			printf("%s%llu", sent++ ? "," : "", (unsigned long long)number);
	printf("\n");
	return 0;
}

static int tcp(const struct sockaddr_in *peer)
{
	static uint64_t block[2048];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	uint64_t number = 0;

	if (fd < 0 || connect(fd, (const void *)peer, sizeof(*peer)) < 0)
		die("connect");
	while (!ending) {
		const char *at = (const char *)block;
		size_t left = sizeof(block);

		for (size_t i = 0; i < sizeof(block) / sizeof(block[0]); i++)
			block[i] = htobe64(number++);
		while (left > 0) {
			ssize_t n = write(fd, at, left);

			if (n < 0 && errno == EINTR && !ending)
				continue;
			if (n < 0)
				die("write");
			at += n;
			left -= (size_t)n;
		}
		usleep(2000); /* about 8 MB/s: an emulated CPU has other things to do */
	}
	return 0;
}

int main(int count, char **words)
{
	struct sigaction action = { .sa_handler = end };
	struct sockaddr_in peer;

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (count < 4) {
		fprintf(stderr, "usage: talk udp PEER PORT PPS | talk tcp PEER PORT\n");
		return 2;
	}
	peer = address_of(words[2], words[3]);
	if (strcmp(words[1], "udp") == 0 && count == 5)
		return udp(&peer, (unsigned int)number_of(words[4], 100000));
	return tcp(&peer);
}
