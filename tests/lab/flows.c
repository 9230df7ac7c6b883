/* flows: thousands of connections at once, every octet of which is checked, and who answers them.
 *
 *   flows serve NAME PORT [ADDRESS]    TCP and UDP on PORT: says NAME, then gives back what it gets
 *   flows hold tcp|udp ADDRESS PORT COUNT RATE [SOURCE]
 *
 * `hold` opens COUNT flows, RATE a second, and then sends a message on each of them in turn, so
 * that each has one about every two seconds; what comes back must be what was sent, from whoever
 * answered at first.  For each line on its standard input it prints what it knows, as one line of
 * JSON; at the end of its input it ends.  A flow that was reset, ended, or silent for SILENCE is
 * broken; one that is answered by another than before has moved (UDP; a TCP flow that moves is
 * broken). */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NAME_LEN    16
#define MESSAGE_LEN 64
#define ANSWER_LEN  (NAME_LEN + MESSAGE_LEN) /* of a datagram */
#define FLOWS_MAX   65536
#define SERVED_MAX  65536
#define MEMBERS_MAX 2048
#define EVENTS_MAX  512
#define ROUND_NS    2000000000LL /* each flow has a message so often */
#define SILENCE_NS  20000000000LL
#define DATAGRAM_NS 1000000000LL /* then it counts as lost, and another is sent */
#define NS_A_SECOND 1000000000LL

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_A_SECOND + t.tv_nsec;
}

/* As many as the machine lets: a flow that has none ends the program, by name. */
static void many_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("setrlimit");
}

static socklen_t address_of(const char *text, const char *port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *four = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
	unsigned long number = strtoul(port, NULL, 10);

	*ret = (struct sockaddr_storage){ 0 };
	if (number <= UINT16_MAX && inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons((uint16_t)number);
		return sizeof(*four);
	}
	if (number <= UINT16_MAX && inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons((uint16_t)number);
		return sizeof(*six);
	}
	fprintf(stderr, "flows: %s port %s: no such address\n", text, port);
	exit(2);
}

/* --- serve ----------------------------------------------------------------------------------- */

struct served {
	size_t waiting; /* of what was received and not given back yet */
	uint8_t buffer[4096];
};
static struct served *served[SERVED_MAX]; /* by descriptor; a guest has little memory */
static char own_name[NAME_LEN];

static int listener(int type, const struct sockaddr_storage *at, socklen_t len)
{
	int fd = socket(at->ss_family, type | SOCK_NONBLOCK, 0), one = 1, large = 4 << 20;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large));
	if (bind(fd, (const struct sockaddr *)at, len) < 0)
		die("bind");
	if (type == SOCK_STREAM && listen(fd, 4096) < 0)
		die("listen");
	return fd;
}

static void watch(int poll, int fd, uint32_t events, uint32_t what)
{
	struct epoll_event e = { .events = events,
				 .data.u64 = (uint64_t)what << 32 | (uint32_t)fd };

	if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

static void greet_all(int poll, int from)
{
	for (;;) {
		int fd = accept4(from, NULL, NULL, SOCK_NONBLOCK), one = 1;

		if (fd < 0)
			return;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		/* The first octets of a connection always find room. */
		if (fd >= SERVED_MAX || send(fd, own_name, NAME_LEN, MSG_NOSIGNAL) != NAME_LEN) {
			close(fd);
			continue;
		}
		served[fd] = calloc(1, sizeof(**served));
		if (!served[fd])
			die("calloc");
		watch(poll, fd, EPOLLIN, 0);
	}
}

static void give_back(int fd)
{
	struct served *s = served[fd];
	ssize_t n = recv(fd, s->buffer + s->waiting, sizeof(s->buffer) - s->waiting, 0);

	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		free(s);
		served[fd] = NULL;
		close(fd);
		return;
	}
	if (n > 0)
		s->waiting += (size_t)n;
	n = send(fd, s->buffer, s->waiting, MSG_NOSIGNAL);
	if (n > 0) {
		s->waiting -= (size_t)n;
		memmove(s->buffer, s->buffer + n, s->waiting);
	}
}

static void answer_all(int fd)
{
	uint8_t packet[2048];

	for (;;) {
		/* The answer leaves from the address that was asked: with several there may be
		 * another that routing would prefer. */
		char control[256];
		struct sockaddr_storage from;
		struct iovec in = { packet + NAME_LEN, sizeof(packet) - NAME_LEN };
		struct msghdr m = { .msg_name = &from,
				    .msg_namelen = sizeof(from),
				    .msg_iov = &in,
				    .msg_iovlen = 1,
				    .msg_control = control,
				    .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(fd, &m, 0);

		if (n < 0)
			return;
		memcpy(packet, own_name, NAME_LEN);
		in.iov_base = packet;
		in.iov_len = (size_t)n + NAME_LEN;
		sendmsg(fd, &m, MSG_NOSIGNAL);
	}
}

static int serve(int argc, char **argv)
{
	int poll = epoll_create1(0), stream, datagram, one = 1;
	struct sockaddr_storage at;
	socklen_t len;

	if (argc < 4)
		return 2;
	snprintf(own_name, sizeof(own_name), "%s", argv[2]);
	len = address_of(argc > 4 ? argv[4] : "::", argv[3], &at);
	stream = listener(SOCK_STREAM, &at, len);
	datagram = listener(SOCK_DGRAM, &at, len);
	setsockopt(datagram, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	setsockopt(datagram, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	watch(poll, stream, EPOLLIN, 1);
	watch(poll, datagram, EPOLLIN, 2);
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct epoll_event events[EVENTS_MAX];
		int n = epoll_wait(poll, events, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++) {
			int fd = (int)(uint32_t)events[i].data.u64;
			uint32_t what = (uint32_t)(events[i].data.u64 >> 32);

			if (what == 1)
				greet_all(poll, fd);
			else if (what == 2)
				answer_all(fd);
			else if (served[fd])
				give_back(fd);
		}
	}
}

/* --- hold ------------------------------------------------------------------------------------ */

enum flow_state { FLOW_NONE, FLOW_OPENING, FLOW_GREETED, FLOW_IDLE, FLOW_BUSY, FLOW_BROKEN };

struct flow {
	int fd;
	enum flow_state state;
	int member; /* index; -1 = not known yet */
	uint32_t sequence;
	size_t had;	    /* octets of the greeting or the answer */
	int64_t since, due; /* of the last message; when the next is */
	uint8_t got[ANSWER_LEN];
};

static struct {
	bool tcp;
	int poll;
	unsigned int count, opened;
	struct flow *flows;
	char members[MEMBERS_MAX][NAME_LEN + 1];
	unsigned int member_count;
	unsigned int connected, failed, broken, wrong, moved;
	unsigned int open_of[MEMBERS_MAX], broken_of[MEMBERS_MAX], moved_from[MEMBERS_MAX];
	unsigned long long messages, lost;
	int64_t slowest;
} all;

static int member_index(const uint8_t *name)
{
	char text[NAME_LEN + 1] = "";

	memcpy(text, name, NAME_LEN);
	for (unsigned int i = 0; i < all.member_count; i++)
		if (strcmp(all.members[i], text) == 0)
			return (int)i;
	if (all.member_count == MEMBERS_MAX)
		exit(3);
	memcpy(all.members[all.member_count], text, sizeof(text));
	return (int)all.member_count++;
}

static void fail(struct flow *f)
{
	if (f->state == FLOW_OPENING)
		all.failed++;
	else
		all.broken++;
	if (f->member >= 0) {
		all.broken_of[f->member]++;
		all.open_of[f->member]--;
	}
	close(f->fd);
	f->state = FLOW_BROKEN;
}

static void message_of(const struct flow *f, uint8_t out[static MESSAGE_LEN])
{
	uint32_t number = (uint32_t)(f - all.flows), x = number * 2654435761u ^ f->sequence;

	memcpy(out, &number, sizeof(number));
	memcpy(out + 4, &f->sequence, sizeof(f->sequence));
	for (unsigned int i = 8; i < MESSAGE_LEN; i++) {
		x = x * 1664525u + 1013904223u;
		out[i] = (uint8_t)(x >> 24);
	}
}

static void say(struct flow *f, int64_t now)
{
	uint8_t out[MESSAGE_LEN];

	f->sequence++;
	message_of(f, out);
	f->had = 0;
	f->since = now;
	f->due = now + ROUND_NS;
	f->state = FLOW_BUSY;
	if (send(f->fd, out, MESSAGE_LEN, MSG_NOSIGNAL) != MESSAGE_LEN && all.tcp)
		fail(f);
}

static void met(struct flow *f, const uint8_t *name)
{
	f->member = member_index(name);
	all.open_of[f->member]++;
	all.connected++;
}

static void check(struct flow *f, const uint8_t *got, int64_t now)
{
	uint8_t sent[MESSAGE_LEN];

	message_of(f, sent);
	if (memcmp(sent, got, MESSAGE_LEN) != 0)
		all.wrong++;
	all.messages++;
	if (now - f->since > all.slowest)
		all.slowest = now - f->since;
	f->state = FLOW_IDLE;
}

static void hear_stream(struct flow *f, int64_t now)
{
	size_t want = f->state == FLOW_GREETED ? NAME_LEN : MESSAGE_LEN;
	ssize_t n = recv(f->fd, f->got + f->had, want - f->had, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || f->state == FLOW_IDLE) {
		fail(f);
		return;
	}
	f->had += (size_t)n;
	if (f->had < want)
		return;
	if (f->state == FLOW_GREETED) {
		met(f, f->got);
		f->state = FLOW_IDLE;
	} else {
		check(f, f->got, now);
	}
}

static void hear_datagram(struct flow *f, int64_t now)
{
	uint8_t packet[2048];
	ssize_t n = recv(f->fd, packet, sizeof(packet), 0);
	uint32_t sequence;
	int member;

	if (n < 0)
		return; /* an ICMP error: the next datagram may fare better */
	if (n != ANSWER_LEN) {
		all.wrong++;
		return;
	}
	memcpy(&sequence, packet + NAME_LEN + 4, sizeof(sequence));
	if (f->state != FLOW_BUSY || sequence != f->sequence)
		return; /* one that counted as lost */
	if (f->member < 0)
		met(f, packet);
	member = member_index(packet);
	if (member != f->member) {
		all.moved++;
		all.moved_from[f->member]++;
		all.open_of[f->member]--;
		all.open_of[member]++;
		f->member = member;
	}
	check(f, packet + NAME_LEN, now);
}

static void open_one(const struct sockaddr_storage *to, socklen_t len,
		     const struct sockaddr_storage *from, socklen_t from_len, int64_t now)
{
	struct flow *f = &all.flows[all.opened++];
	int one = 1;

	*f = (struct flow){ .member = -1, .since = now, .due = now };
	f->fd = socket(to->ss_family, (all.tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0);
	if (f->fd < 0)
		die("socket");
	if (from_len && bind(f->fd, (const struct sockaddr *)from, from_len) < 0)
		die("bind");
	f->state = all.tcp ? FLOW_OPENING : FLOW_IDLE;
	if (all.tcp)
		setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(f->fd, (const struct sockaddr *)to, len) < 0 && errno != EINPROGRESS) {
		fail(f);
		return;
	}
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = f };

	if (epoll_ctl(all.poll, EPOLL_CTL_ADD, f->fd, &e) < 0)
		die("epoll_ctl");
}

static void happened(struct flow *f, uint32_t events, int64_t now)
{
	enum flow_state before;

	if (f->state == FLOW_BROKEN)
		return;
	if (f->state == FLOW_OPENING) {
		if (events & (EPOLLERR | EPOLLHUP)) {
			fail(f);
			return;
		}
		if (!(events & EPOLLOUT))
			return;
		f->state = FLOW_GREETED;
		f->since = now;
	}
	if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		return;
	do {
		size_t had = f->had;

		before = f->state;
		if (all.tcp)
			hear_stream(f, now);
		else
			hear_datagram(f, now);
		if (f->state == before && f->had == had)
			break;
	} while (f->state == FLOW_GREETED || f->state == FLOW_BUSY);
}

static void turn(struct flow *f, int64_t now)
{
	if (f->state == FLOW_BROKEN || f->state == FLOW_NONE)
		return;
	if (all.tcp && f->state != FLOW_IDLE && now - f->since > SILENCE_NS) {
		fail(f);
		return;
	}
	if (!all.tcp && f->state == FLOW_BUSY && now - f->since > DATAGRAM_NS) {
		all.lost++;
		f->state = FLOW_IDLE;
	}
	if (f->state == FLOW_IDLE && now >= f->due)
		say(f, now);
}

static void tell(void)
{
	unsigned int open = 0;
	const char *comma = "";

	for (unsigned int i = 0; i < all.opened; i++)
		open += all.flows[i].state != FLOW_BROKEN;
	printf("{\"opened\": %u, \"connected\": %u, \"open\": %u, \"failed\": %u, \"broken\": %u, "
	       "\"wrong\": %u, \"moved\": %u, \"lost\": %llu, \"messages\": %llu, "
	       "\"slowest_ms\": %.3f, \"members\": {",
	       all.opened, all.connected, open, all.failed, all.broken, all.wrong, all.moved,
	       all.lost, all.messages, (double)all.slowest / 1e6);
	for (unsigned int i = 0; i < all.member_count; i++, comma = ", ")
		printf("%s\"%s\": {\"open\": %u, \"broken\": %u, \"moved_away\": %u}", comma,
		       all.members[i], all.open_of[i], all.broken_of[i], all.moved_from[i]);
	puts("}}");
	fflush(stdout);
	all.slowest = 0;
}

static int hold(int argc, char **argv)
{
	struct sockaddr_storage to, from;
	socklen_t len, from_len = 0;
	struct epoll_event stdin_event = { .events = EPOLLIN, .data.ptr = NULL };
	unsigned int rate, cursor = 0;
	int64_t began = now_ns();

	if (argc < 7)
		return 2;
	all.tcp = strcmp(argv[2], "tcp") == 0;
	len = address_of(argv[3], argv[4], &to);
	all.count = (unsigned int)strtoul(argv[5], NULL, 10);
	rate = (unsigned int)strtoul(argv[6], NULL, 10);
	if (argc > 7)
		from_len = address_of(argv[7], "0", &from);
	if (!all.count || all.count > FLOWS_MAX || !rate)
		return 2;
	all.flows = calloc(all.count, sizeof(*all.flows));
	all.poll = epoll_create1(0);
	if (!all.flows || all.poll < 0)
		die("start");
	epoll_ctl(all.poll, EPOLL_CTL_ADD, 0, &stdin_event);
	for (;;) {
		struct epoll_event events[EVENTS_MAX];
		int n = epoll_wait(all.poll, events, EVENTS_MAX, 2);
		int64_t now = now_ns();
		uint64_t due = (uint64_t)(now - began) / 1000000 * rate / 1000 + 1;

		for (int i = 0; i < n; i++) {
			char line[256];

			if (events[i].data.ptr) {
				happened(events[i].data.ptr, events[i].events, now);
				continue;
			}
			if (read(0, line, sizeof(line)) <= 0) {
				tell();
				return 0;
			}
			tell();
		}
		while (all.opened < all.count && all.opened < due)
			open_one(&to, len, &from, from_len, now);
		/* All of them in a tenth of a second. */
		for (unsigned int i = 0; i < all.opened / 50 + 1 && all.opened; i++) {
			cursor = cursor + 1 < all.opened ? cursor + 1 : 0;
			turn(&all.flows[cursor], now);
		}
	}
}

int main(int argc, char **argv)
{
	int status = 2;

	signal(SIGPIPE, SIG_IGN);
	many_descriptors();
	if (argc > 1 && strcmp(argv[1], "serve") == 0)
		status = serve(argc, argv);
	else if (argc > 1 && strcmp(argv[1], "hold") == 0)
		status = hold(argc, argv);
	if (status == 2)
		fputs("usage: flows serve NAME PORT [ADDRESS]\n"
		      "       flows hold tcp|udp ADDRESS PORT COUNT RATE [SOURCE]\n",
		      stderr);
	return status;
}
