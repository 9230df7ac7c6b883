/* Results become opinions, opinions become weights; and each kind of probe that needs no root. */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka.h needs the headers above before it. */
#include <cmocka.h>

#include "errand/probe.h"
#include "elect/track.h"

/* --- opinions -------------------------------------------------------------------------------- */

static void the_first_result_counts_at_once(void **state)
{
	struct router_track record = { .rise = 3, .fall = 3 };
	struct track t = { .record = &record, .probe = 1 };

	assert_true(track_result(&t, true, "fine"));
	assert_true(t.up && t.known);
	assert_string_equal(t.detail, "fine");
	t = (struct track){ .record = &record, .probe = 1 };
	assert_true(track_result(&t, false, ""));
	assert_true(!t.up && t.known);
}

static void rise_and_fall_damp(void **state)
{
	struct router_track record = { .rise = 2, .fall = 3 };
	struct track t = { .record = &record, .probe = 1, .up = true, .known = true };

	assert_false(track_result(&t, false, ""));
	assert_false(track_result(&t, false, ""));
	assert_false(track_result(&t, true, "")); /* breaks the row */
	assert_false(track_result(&t, false, ""));
	assert_false(track_result(&t, false, ""));
	assert_true(t.up);
	assert_true(track_result(&t, false, ""));
	assert_false(t.up);
	assert_false(track_result(&t, true, ""));
	assert_true(track_result(&t, true, ""));
	assert_true(t.up);
	assert_int_equal(t.runs, 8);
	assert_int_equal(t.failures, 5);
}

static void what_the_thread_sees_itself_is_not_damped(void **state)
{
	struct router_track record = { .rise = 3, .fall = 3 };
	struct track t = { .record = &record, .up = true, .known = true };

	assert_true(track_result(&t, false, ""));
	assert_true(track_result(&t, true, ""));
}

static void weights_add_up(void **state)
{
	struct router_track must = { .weight = 0 }, worse = { .weight = -30 },
			    better = { .weight = 20 };
	struct track t[3] = { { .record = &must, .up = true },
			      { .record = &worse, .up = true },
			      { .record = &better, .up = true } };

	assert_int_equal(tracks_sum(t, 3).adjust, 20);
	assert_false(tracks_sum(t, 3).fault);
	t[1].up = false;
	assert_int_equal(tracks_sum(t, 3).adjust, -10);
	t[2].up = false;
	assert_int_equal(tracks_sum(t, 3).adjust, -30);
	t[0].up = false;
	assert_true(tracks_sum(t, 3).fault);
	assert_false(tracks_sum(t, 0).fault);
	assert_int_equal(tracks_sum(t, 0).adjust, 0);
}

/* --- probes ---------------------------------------------------------------------------------- */

struct seen {
	unsigned int count[8], ups[8];
	char detail[8][DETAIL_MAX];
	mono_t at[8]; /* of the first */
};

static void on_result(void *ctx, uint64_t id, enum errand_outcome up, const char *detail)
{
	struct seen *s = ctx;

	assert_true(id < 8);
	if (s->count[id]++ == 0)
		s->at[id] = clock_boot();
	s->ups[id] += up;
	snprintf(s->detail[id], DETAIL_MAX, "%s", detail);
}

static struct errands *begin(void)
{
	struct errands *e = NULL;
	struct error error;

	assert_int_equal(errands_open(&e, &error), 0);
	return e;
}

static void probe(struct errands *e, uint64_t id, enum errand_kind kind, const char *target,
		  uint32_t interval_ms, uint32_t timeout_ms)
{
	struct errand_probe p = { id, kind, target, interval_ms, timeout_ms };

	assert_int_equal(errands_probe(e, &p), 0);
}

static void wait_for(struct errands *e, struct seen *s, uint64_t id, unsigned int count)
{
	struct pollfd p = { .fd = errands_fd(e), .events = POLLIN };

	for (int i = 0; i < 500 && s->count[id] < count; i++) {
		poll(&p, 1, 20);
		errands_results(e, on_result, s);
	}
	assert_true(s->count[id] >= count);
}

static void scripts_are_run_again_and_again(void **state)
{
	struct errands *e = begin();
	struct seen s = { 0 };

	probe(e, 1, ERRAND_SCRIPT, "/bin/sh -c 'exit 0'", 100, 100);
	probe(e, 2, ERRAND_SCRIPT, "/bin/sh -c 'exit 3'", 100, 100);
	probe(e, 3, ERRAND_SCRIPT, "/bin/no-such", 100, 100);
	probe(e, 4, ERRAND_SCRIPT, "/bin/sh 'open", 100, 100);
	for (uint64_t id = 1; id <= 4; id++)
		wait_for(e, &s, id, 3);
	assert_int_equal(s.ups[1], s.count[1]);
	assert_int_equal(s.ups[2] + s.ups[3] + s.ups[4], 0);
	assert_string_equal(s.detail[1], "exit status 0");
	assert_string_equal(s.detail[2], "exit status 3");
	assert_non_null(strstr(s.detail[3], "No such file"));
	assert_non_null(strstr(s.detail[4], "quote"));
	errands_close(e);
}

static void a_hung_script_is_killed_and_delays_nobody(void **state)
{
	struct errands *e = begin();
	struct seen s = { 0 };
	mono_t start = clock_boot();

	probe(e, 1, ERRAND_SCRIPT, "/bin/sleep 30", 400, 300);
	probe(e, 2, ERRAND_FILE, "/etc", 100, 100);
	wait_for(e, &s, 1, 2);
	assert_int_equal(s.ups[1], 0);
	assert_string_equal(s.detail[1], "no end in 300 ms");
	assert_in_range(mono_since(s.at[1], start).ns / 1000000, 300, 600);
	assert_true(s.count[2] >= 5);
	errands_close(e);
	assert_true(mono_since(clock_boot(), start).ns < SPAN_S(3).ns);
}

static void files_come_and_go(void **state)
{
	char path[] = "/tmp/vmac-t-XXXXXX";
	struct errands *e = begin();
	struct seen s = { 0 };
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	probe(e, 1, ERRAND_FILE, path, 100, 100);
	wait_for(e, &s, 1, 2);
	assert_int_equal(s.ups[1], s.count[1]);
	unlink(path);
	errands_results(e, on_result, &s);
	s = (struct seen){ 0 };
	wait_for(e, &s, 1, 3);
	assert_true(s.ups[1] <= 1);
	assert_string_equal(s.detail[1], "No such file or directory");
	errands_drop(e, 1);
	usleep(50000);
	errands_results(e, on_result, &s);
	s = (struct seen){ 0 };
	usleep(250000);
	errands_results(e, on_result, &s);
	assert_int_equal(s.count[1], 0); /* nobody asks any more */
	errands_close(e);
}

/* A web server of a few lines: the path's number is the answer, /hang never answers, /big never
 * ends. */
static void *serve(void *ctx)
{
	int listening = *(int *)ctx;

	for (;;) {
		char request[1024], answer[128], big[4096] = "";
		int fd = accept(listening, NULL, NULL), status = 0;
		ssize_t n;

		if (fd < 0)
			return NULL;
		n = recv(fd, request, sizeof(request) - 1, 0);
		request[n > 0 ? n : 0] = '\0';
		if (strncmp(request, "GET /quit", 9) == 0) {
			close(fd);
			return NULL;
		}
		if (strncmp(request, "GET /hang", 9) == 0)
			continue; /* left open; ends with the process */
		if (strncmp(request, "GET /big", 8) == 0) {
			n = snprintf(answer, sizeof(answer), "HTTP/1.1 200 x\r\n\r\n");
			send(fd, answer, (size_t)n, MSG_NOSIGNAL);
			for (int i = 0; i < 1000 && send(fd, big, sizeof(big), MSG_NOSIGNAL) > 0;
			     i++)
				;
			close(fd);
			continue;
		}
		sscanf(request, "GET /%d", &status);
		n = snprintf(answer, sizeof(answer),
			     "HTTP/1.1 %d x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
			     status);
		send(fd, answer, (size_t)n, MSG_NOSIGNAL);
		close(fd);
	}
}

static void http_answers_by_status(void **state)
{
	static const char *const paths[] = { "200", "302", "404", "503", "big", "hang" };
	static const char *const details[] = { "HTTP 200", "HTTP 302", "HTTP 404",
					       "HTTP 503", "HTTP 200", NULL };
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	struct errands *e = begin();
	struct seen s = { 0 };
	char url[64];
	pthread_t server;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), quit;

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 16), 0);
	getsockname(fd, (struct sockaddr *)&at, &len);
	pthread_create(&server, NULL, serve, &fd);
	for (uint64_t i = 0; i < 6; i++) {
		snprintf(url, sizeof(url), "http://127.0.0.1:%u/%s", ntohs(at.sin_port), paths[i]);
		probe(e, i, ERRAND_HTTP, url, 2000, 500);
	}
	probe(e, 6, ERRAND_HTTP, "file:///etc/passwd", 2000, 500);
	for (uint64_t i = 0; i < 7; i++)
		wait_for(e, &s, i, 1);
	for (uint64_t i = 0; i < 7; i++)
		assert_int_equal(s.ups[i], i == 0 || i == 1 || i == 4);
	for (uint64_t i = 0; i < 5; i++)
		assert_string_equal(s.detail[i], details[i]);
	assert_true(mono_since(s.at[5], s.at[0]).ns > SPAN_MS(300).ns);
	quit = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(quit, (struct sockaddr *)&at, sizeof(at)), 0);
	send(quit, "GET /quit", 9, 0);
	pthread_join(server, NULL);
	close(fd);
	close(quit);
	s = (struct seen){ 0 };
	errands_drop(e, 0);
	probe(e, 0, ERRAND_HTTP, url, 2000, 500);
	wait_for(e, &s, 0, 1);
	assert_int_equal(s.ups[0], 0); /* nobody listens */
	errands_close(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_result_counts_at_once),
		cmocka_unit_test(rise_and_fall_damp),
		cmocka_unit_test(what_the_thread_sees_itself_is_not_damped),
		cmocka_unit_test(weights_add_up),
		cmocka_unit_test(scripts_are_run_again_and_again),
		cmocka_unit_test(a_hung_script_is_killed_and_delays_nobody),
		cmocka_unit_test(files_come_and_go),
		cmocka_unit_test(http_answers_by_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
