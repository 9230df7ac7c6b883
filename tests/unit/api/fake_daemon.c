/* The API over the fake engine: `fake_daemon SOCKET [alone|cut]` serves until SIGTERM, then closes
 * and frees all, so that the sanitizers see what is left. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/api.h"
#include "fake_engine.h"

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	stop = 1;
}

static mono_t mono_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (mono_t){ t.tv_sec * 1000000000 + t.tv_nsec };
}

static wall_t wall_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (wall_t){ t.tv_sec * 1000 + t.tv_nsec / 1000000 };
}

static int timeout_ms(struct api *a, struct engine *e)
{
	mono_t at = api_next_expiry(a), engine_at = fake_engine_next_expiry(e), now = mono_now();

	if (engine_at.ns < at.ns)
		at = engine_at;
	if (at.ns == MONO_NEVER.ns)
		return -1;
	return mono_due(at, now) ? 0 : (int)(mono_since(at, now).ns / 1000000) + 1;
}

int main(int argc, char **argv)
{
	struct engine *e = fake_engine_new(mono_now, wall_now);
	struct api_config config = {
		.engine = e, .socket_gid = (gid_t)-1, .mono_now = mono_now, .wall_now = wall_now
	};
	struct error error;
	struct api *a;

	if (argc != 2 && argc != 3)
		return 2;
	if (argc == 3)
		fake_fleet_begin(strcmp(argv[2], "alone") == 0 ? FAKE_ALONE : FAKE_CUT);
	config.socket_path = argv[1];
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN);
	if (api_open(&config, &a, &error) < 0) {
		fprintf(stderr, "%s: %s (%s)\n", error_name(error.code), error.message, error.hint);
		fake_engine_free(e);
		return error_exit_status(error.code);
	}
	printf("ready\n");
	fflush(stdout);
	while (!stop) {
		struct pollfd fds[] = { { .fd = api_fd(a), .events = POLLIN },
					{ .fd = fake_engine_fd(e), .events = POLLIN } };

		poll(fds, 2, timeout_ms(a, e));
		api_ready(a);
		fake_engine_ready(e);
	}
	api_close(a);
	while (fake_engine_next_expiry(e).ns != MONO_NEVER.ns)
		fake_engine_ready(e);
	fake_engine_free(e);
	return 0;
}
