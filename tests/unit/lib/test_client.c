/* libvmac as another program sees it: linked to the shared library, with installed headers only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <vmac/classify.h>
#include <vmac/client.h>
#include <vmac/mac.h>

static char directory[] = "/tmp/vmac-t-lib-XXXXXX", path[64];
static pid_t daemon_pid;

/* The fake daemon says "ready" when its socket is there. */
static int start_daemon(void **state)
{
	char *argv[] = { getenv("FAKE_DAEMON"), path, NULL }, ready[8];
	int out[2];

	if (!argv[0] || !mkdtemp(directory) || pipe(out) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/s", directory);
	daemon_pid = fork();
	if (daemon_pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	if (daemon_pid < 0 || read(out[0], ready, 6) != 6)
		return -1;
	close(out[0]);
	return 0;
}

static int stop_daemon(void **state)
{
	int status;

	kill(daemon_pid, SIGTERM);
	if (waitpid(daemon_pid, &status, 0) < 0 || status != 0)
		return -1;
	return rmdir(directory);
}

static void calls_are_answered(void **state)
{
	struct vmac_client *c;
	struct vmac_reply r;

	assert_int_equal(vmac_client_open(path, &c), 0);
	assert_string_equal(vmac_client_socket(c), path);
	assert_int_equal(vmac_client_call(c, "POST", "/v1/segments", "{\"name\":\"lan\"}", &r), 0);
	assert_int_equal(r.status, 201);
	assert_non_null(strstr(r.body, "\"name\":\"lan\""));
	assert_int_equal(strlen(r.body), r.len);
	assert_int_equal(r.exit_status, 0);
	vmac_reply_done(&r);
	assert_int_equal(vmac_client_call(c, "GET", "/v1/segments", NULL, &r), 0);
	vmac_reply_done(&r);
	assert_int_equal(vmac_client_call(c, "DELETE", "/v1/segments/lan", NULL, &r), 0);
	assert_int_equal(r.status, 204);
	assert_string_equal(r.body, "");
	vmac_reply_done(&r);
	vmac_client_close(c);
}

static void refusals_are_decoded(void **state)
{
	struct vmac_client *c;
	struct vmac_reply r;

	assert_int_equal(vmac_client_open(path, &c), 0);
	assert_int_equal(vmac_client_call(c, "GET", "/v1/segments/nope", NULL, &r), -1);
	assert_int_equal(r.status, 404);
	assert_string_equal(r.code, "not_found");
	assert_string_equal(r.message, "no such segment: nope");
	assert_string_equal(r.hint, "see the list");
	assert_int_equal(r.exit_status, 3);
	vmac_reply_done(&r);
	vmac_client_close(c);
}

static void nobody_there_is_told(void **state)
{
	struct vmac_client *c;
	struct vmac_reply r;
	char longer[200];

	assert_int_equal(vmac_client_open("/nonexistent/s", &c), 0);
	assert_int_equal(vmac_client_call(c, "GET", "/v1/status", NULL, &r), -1);
	assert_int_equal(r.status, 0);
	assert_string_equal(r.code, "daemon_unreachable");
	assert_non_null(strstr(r.hint, "/nonexistent/s"));
	assert_int_equal(r.exit_status, 6);
	assert_string_equal(r.body, "");
	vmac_reply_done(&r);
	vmac_client_close(c);

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(vmac_client_open(longer, &c), -ENAMETOOLONG);
	setenv("VMAC_SOCKET", "/from/the/environment", 1);
	assert_int_equal(vmac_client_open(NULL, &c), 0);
	assert_string_equal(vmac_client_socket(c), "/from/the/environment");
	vmac_client_close(c);
	unsetenv("VMAC_SOCKET");
	assert_int_equal(vmac_client_open(NULL, &c), 0);
	assert_string_equal(vmac_client_socket(c), VMAC_SOCKET_DEFAULT);
	vmac_client_close(c);
}

/* What the listener heard; another process does something meanwhile. */
struct hearing {
	unsigned int count;
	char last[512];
};

static int heard(void *ctx, const char *id, const char *what, const char *json)
{
	struct hearing *h = ctx;

	assert_string_not_equal(id, "");
	assert_string_equal(what, "segment");
	snprintf(h->last, sizeof(h->last), "%s", json);
	return ++h->count == 2;
}

static void events_are_heard(void **state)
{
	struct vmac_client *listener, *other;
	struct hearing h = { 0 };
	struct vmac_reply r;
	pid_t pid;

	assert_int_equal(vmac_client_open(path, &listener), 0);
	pid = fork();
	if (pid == 0) {
		usleep(200000);
		if (vmac_client_open(path, &other) < 0 ||
		    vmac_client_call(other, "POST", "/v1/segments", "{\"name\":\"a\"}", &r) < 0 ||
		    vmac_client_call(other, "POST", "/v1/segments", "{\"name\":\"b\"}", &r) < 0)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(vmac_client_events(listener, NULL, 20, heard, &h, &r), 0);
	assert_int_equal(h.count, 2);
	assert_non_null(strstr(h.last, "\"subject\":\"b\""));
	vmac_reply_done(&r);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	vmac_client_close(listener);
}

static void texts_are_escaped(void **state)
{
	char *text = vmac_escape("a b/c?d&e%f\xc3\xab:-._~");

	assert_string_equal(text, "a%20b%2Fc%3Fd%26e%25f%C3%AB:-._~");
	free(text);
}

static void addresses_are_in_the_library(void **state)
{
	vmac_mac_t m;

	assert_int_equal(vmac_mac_parse("00-00-5E-00-01-0A", &m, NULL), 0);
	assert_int_equal(vmac_classify(m).group_number, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_are_answered),
		cmocka_unit_test(refusals_are_decoded),
		cmocka_unit_test(nobody_there_is_told),
		cmocka_unit_test(events_are_heard),
		cmocka_unit_test(texts_are_escaped),
		cmocka_unit_test(addresses_are_in_the_library),
	};

	return cmocka_run_group_tests(tests, start_daemon, stop_daemon);
}
