/* Asks vmacd the same thing again and again over its Unix socket, on kept-alive connections: the
 * load of the allocate benchmark.  Each connection has one request in flight, and one thread serves
 * them all.
 *
 * bench-load SOCKET CONNECTIONS LIMIT PATH BODY
 *   LIMIT  "2.5s" = start no request after that time; "100" = as many requests; "first" = one
 * request, connecting anew until somebody answers Prints JSON: answers (201 or 200), refusals,
 * seconds, p50 and p99 in microseconds, the moment of the last answer on CLOCK_MONOTONIC, and the
 * first refusal's text. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define REPLY_MAX	(4 << 20)
#define SAMPLES_MAX	(4 << 20)
#define FIRST_WAIT_NS	60000000000ULL

struct connection {
	int fd;
	char *reply;
	size_t len;
	uint64_t sent_at;
};

struct load {
	struct sockaddr_un address;
	char request[65536];
	size_t request_len;
	uint64_t stop_at, left; /* whichever is set */
	uint64_t answers, refusals, started_at, last_at;
	uint32_t *samples; /* microseconds / 10 */
	char refusal[512];
	unsigned int in_flight;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static int fail(const char *what)
{
	fprintf(stderr, "bench-load: %s: %s\n", what, strerror(errno));
	return 1;
}

static int connect_to(const struct load *load)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 &&
	    connect(fd, (const struct sockaddr *)&load->address, sizeof(load->address)) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static int ask(struct load *load, struct connection *c)
{
	if (load->stop_at ? now_ns() >= load->stop_at : load->left == 0)
		return 0;
	if (load->left)
		load->left--;
	c->len = 0;
	c->sent_at = now_ns();
	load->in_flight++;
	for (size_t at = 0; at < load->request_len;) {
		ssize_t n = send(c->fd, load->request + at, load->request_len - at, MSG_NOSIGNAL);

		if (n < 0)
			return -1;
		at += (size_t)n;
	}
	return 0;
}

static const char *header(const char *head, const char *name)
{
	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
		if (strncasecmp(line + 2, name, strlen(name)) == 0)
			return line + 2 + strlen(name);
	}
	return NULL;
}

/* Whether the reply is whole; it is NUL-terminated. */
static bool is_whole(const struct connection *c)
{
	char *end = strstr(c->reply, "\r\n\r\n");
	const char *length;
	bool whole = false;

	if (!end)
		return false;
	end[2] = '\0';
	length = header(c->reply, "content-length:");
	if (length)
		whole = c->len >= (size_t)(end + 4 - c->reply) + strtoul(length, NULL, 10);
	else if (header(c->reply, "transfer-encoding:"))
		whole = c->len >= 5 && memcmp(c->reply + c->len - 5, "0\r\n\r\n", 5) == 0;
	end[2] = '\r';
	return whole;
}

static void take_answer(struct load *load, struct connection *c)
{
	int status = 0;

	load->last_at = now_ns();
	load->in_flight--;
	if (sscanf(c->reply, "HTTP/1.1 %d", &status) == 1 && (status == 201 || status == 200)) {
		if (load->answers < SAMPLES_MAX)
			load->samples[load->answers] =
				(uint32_t)((load->last_at - c->sent_at) / 100);
		load->answers++;
		return;
	}
	if (load->refusals++ == 0)
		snprintf(load->refusal, sizeof(load->refusal), "%s", c->reply);
}

/* Takes what has come; asks again when that was a whole answer. */
static int serve(struct load *load, struct connection *c)
{
	ssize_t n = recv(c->fd, c->reply + c->len, REPLY_MAX - c->len - 1, 0);

	if (n < 0)
		return errno == EINTR ? 0 : -1;
	if (n == 0) {
		errno = ECONNRESET;
		return -1;
	}
	c->len += (size_t)n;
	c->reply[c->len] = '\0';
	if (!is_whole(c))
		return 0;
	take_answer(load, c);
	return ask(load, c);
}

static int run_one(struct load *load, struct connection *c)
{
	while (load->in_flight > 0) {
		if (serve(load, c) < 0)
			return -1;
	}
	return 0;
}

static int run_many(struct load *load, struct connection *connections, unsigned int count)
{
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

	for (unsigned int i = 0; i < count; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &connections[i] };

		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connections[i].fd, &event) < 0)
			return -1;
	}
	while (load->in_flight > 0) {
		struct epoll_event events[64];
		int n = epoll_wait(epoll_fd, events, 64, -1);

		if (n < 0 && errno != EINTR)
			return -1;
		for (int i = 0; i < n; i++) {
			if (serve(load, events[i].data.ptr) < 0)
				return -1;
		}
	}
	close(epoll_fd);
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void print_json_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void report(struct load *load)
{
	size_t n = load->answers < SAMPLES_MAX ? load->answers : SAMPLES_MAX;

	qsort(load->samples, n, sizeof(*load->samples), compare);
	printf("{\"answers\": %llu, \"refusals\": %llu, \"seconds\": %.6f, ",
	       (unsigned long long)load->answers, (unsigned long long)load->refusals,
	       (double)(load->last_at - load->started_at) / 1e9);
	printf("\"p50_us\": %.1f, \"p99_us\": %.1f, \"last_ns\": %llu, \"refusal\": ",
	       n ? load->samples[n / 2] / 10.0 : 0.0, n ? load->samples[n * 99 / 100] / 10.0 : 0.0,
	       (unsigned long long)load->last_at);
	print_json_text(load->refusal);
	puts("}");
}

static int open_connections(struct load *load, struct connection *connections, unsigned int count,
			    bool insist)
{
	uint64_t give_up = now_ns() + FIRST_WAIT_NS;

	for (unsigned int i = 0; i < count; i++) {
		struct connection *c = &connections[i];
		struct timespec nap = { .tv_nsec = 200000 };

		c->reply = malloc(REPLY_MAX);
		if (!c->reply)
			return -1;
		while ((c->fd = connect_to(load)) < 0) {
			if (!insist || now_ns() > give_up)
				return -1;
			nanosleep(&nap, NULL);
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct connection connections[CONNECTIONS_MAX];
	static struct load load;
	unsigned int count;
	bool first;
	int n;

	errno = EINVAL;
	if (argc != 6 || strlen(argv[1]) >= sizeof(load.address.sun_path))
		return fail("usage: SOCKET CONNECTIONS LIMIT PATH BODY");
	count = (unsigned int)strtoul(argv[2], NULL, 10);
	if (count < 1 || count > CONNECTIONS_MAX)
		return fail("1 to 1024 connections");
	load.address.sun_family = AF_UNIX;
	snprintf(load.address.sun_path, sizeof(load.address.sun_path), "%s", argv[1]);
	n = snprintf(load.request, sizeof(load.request),
		     "POST %s HTTP/1.1\r\nHost: vmac\r\nContent-Type: application/json\r\n"
		     "Content-Length: %zu\r\n\r\n%s",
		     argv[4], strlen(argv[5]), argv[5]);
	if (n < 0 || (size_t)n >= sizeof(load.request))
		return fail("the body is too long");
	load.request_len = (size_t)n;
	load.samples = calloc(SAMPLES_MAX, sizeof(*load.samples));
	first = strcmp(argv[3], "first") == 0;
	if (!load.samples || open_connections(&load, connections, count, first) < 0)
		return fail("cannot connect");
	load.started_at = now_ns();
	if (strchr(argv[3], 's') && !first)
		load.stop_at = load.started_at + (uint64_t)(atof(argv[3]) * 1e9);
	else
		load.left = first ? 1 : strtoul(argv[3], NULL, 10);
	for (unsigned int i = 0; i < count; i++) {
		if (ask(&load, &connections[i]) < 0)
			return fail("cannot send");
	}
	if ((count == 1 ? run_one(&load, connections) : run_many(&load, connections, count)) < 0)
		return fail("cannot go on");
	report(&load);
	return 0;
}
