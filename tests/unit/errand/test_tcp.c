/* TCP probes: who accepts is up, who refuses or is silent is down, and who cannot ask says neither.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka.h needs the headers above before it. */
#include <cmocka.h>

#include "errand/errands.h"

struct seen {
	unsigned int count;
	enum errand_outcome last;
	char detail[DETAIL_MAX];
};

static void on_result(void *ctx, uint64_t id, enum errand_outcome outcome, const char *detail)
{
	struct seen *s = ctx;

	s->count++;
	s->last = outcome;
	snprintf(s->detail, sizeof(s->detail), "%s", detail);
}

static struct seen probe(const char *target, const char *device, unsigned int results)
{
	struct errand_probe p = {
		.id = 7, .kind = ERRAND_TCP, .target = target, .interval_ms = 100, .timeout_ms = 100
	};
	struct seen seen = { 0 };
	struct errands *e;
	struct error error;

	snprintf(p.way.device, sizeof(p.way.device), "%s", device);
	assert_int_equal(errands_open(&e, &error), 0);
	assert_int_equal(errands_probe(e, &p), 0);
	for (unsigned int i = 0; i < 50 && seen.count < results; i++) {
		struct pollfd fd = { .fd = errands_fd(e), .events = POLLIN };

		poll(&fd, 1, 100);
		errands_results(e, on_result, &seen);
	}
	errands_close(e);
	assert_true(seen.count >= results);
	return seen;
}

/* A listening socket; its backlog is the kernel's affair: nobody accepts. */
static int listener(int family, char *ret_target, size_t size)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in four = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *at =
		family == AF_INET ? (struct sockaddr *)&four : (struct sockaddr *)&six;
	socklen_t len = family == AF_INET ? sizeof(four) : sizeof(six);
	int fd = socket(family, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, at, len) < 0 || listen(fd, 8) < 0)
		return -1;
	getsockname(fd, at, &len);
	if (family == AF_INET)
		snprintf(ret_target, size, "127.0.0.1:%u", ntohs(four.sin_port));
	else
		snprintf(ret_target, size, "[::1]:%u", ntohs(six.sin6_port));
	return fd;
}

static void who_accepts_is_up(void **state)
{
	const int families[] = { AF_INET, AF_INET6 };
	char target[64];

	for (unsigned int i = 0; i < 2; i++) {
		int fd = listener(families[i], target, sizeof(target));
		struct seen s;

		if (fd < 0 && families[i] == AF_INET6)
			continue; /* a host without IPv6 */
		assert_true(fd >= 0);
		s = probe(target, "", 3);
		assert_int_equal(s.last, ERRAND_UP);
		assert_string_equal(s.detail, "accepts");
		close(fd);
		s = probe(target, "", 1);
		assert_int_equal(s.last, ERRAND_DOWN);
		assert_string_equal(s.detail, "Connection refused");
	}
}

static void who_is_silent_is_down(void **state)
{
	char target[64];
	int fd = listener(AF_INET, target, sizeof(target)), full[16];
	struct sockaddr_in to = { .sin_family = AF_INET };
	unsigned int port;
	struct seen s;

	assert_true(fd >= 0);
	assert_int_equal(sscanf(target, "127.0.0.1:%u", &port), 1);
	to.sin_port = htons((uint16_t)port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	/* A full backlog answers nobody. */
	listen(fd, 0);
	for (unsigned int i = 0; i < 16; i++) {
		full[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(full[i], (struct sockaddr *)&to, sizeof(to));
	}
	s = probe(target, "", 1);
	assert_int_equal(s.last, ERRAND_DOWN);
	assert_string_equal(s.detail, "no answer in 100 ms");
	for (unsigned int i = 0; i < 16; i++)
		close(full[i]);
	close(fd);
}

static void who_cannot_ask_says_neither(void **state)
{
	struct seen s = probe("127.0.0.1:9", "vmac-t-none", 1);

	assert_int_equal(s.last, ERRAND_UNABLE);
}

static void a_target_that_is_none_is_down(void **state)
{
	const char *const bad[] = {
		"",	   ":",	  "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:80x",
		"[::1:80", "::1", "name:80"
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct seen s = probe(bad[i], "", 1);

		assert_int_equal(s.last, ERRAND_DOWN);
		assert_string_equal(s.detail, "not IP:PORT");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_accepts_is_up),
		cmocka_unit_test(who_is_silent_is_down),
		cmocka_unit_test(who_cannot_ask_says_neither),
		cmocka_unit_test(a_target_that_is_none_is_down),
	};

	return cmocka_run_group_tests_name("errand tcp", tests, NULL, NULL);
}
