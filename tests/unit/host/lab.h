/* A private world for a test: network namespaces that end with the process. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above before it. */
#include <cmocka.h>

#include "host/host.h"

#define EVENTS_MAX 4096

/* Puts this process into a network namespace of its own, or ends it with 77 saying what is missing.
 */
void lab_enter(void);

/* Makes one more namespace; its path is in `path` (valid while fd is open). */
struct lab_netns {
	int fd;
	char path[32];
};
struct lab_netns lab_netns_new(void);
void lab_netns_end(struct lab_netns *ns);

/* Go there and come back; the process has one thread. */
void lab_go(int fd);
void lab_home(void);

/* Runs a command, which must succeed (lab_run) or may fail (lab_try: returns whether it did). */
void lab_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool lab_try(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Waits until it has a carrier, in the namespace that the process is in: the kernel tells a queue
 * of it a moment after the link is set up, and what is sent before goes nowhere. */
void lab_wait_up(const char *ifname);

struct host *lab_host(void);
struct host_link lab_link(struct host *h, const char *ifname);
bool lab_has_link(struct host *h, const char *ifname);

/* Attaches to a tap as a VM would; -errno when that fails. */
int lab_tap_open(const char *ifname, bool multi_queue);
int lab_tap_open_at(const char *device, const char *ifname, bool multi_queue);

/* All frames that come in on an interface of the current namespace. */
int lab_packet_socket(const char *ifname);

struct lab_events {
	unsigned int count;
	struct host_event event[EVENTS_MAX];
};

/* What happened up to now; waits a moment for the first event if `wait`. */
void lab_events(struct host *h, bool wait, struct lab_events *ret);
bool lab_saw(const struct lab_events *e, enum host_event_kind kind, const char *ifname);

#define assert_ok(r, e)                                                                            \
	do {                                                                                       \
		if ((r) < 0)                                                                       \
			fail_msg("%s: %s", error_name((e).code), (e).message);                     \
	} while (0)

#define assert_error(r, e, wanted)                                                                 \
	do {                                                                                       \
		assert_true((r) < 0);                                                              \
		if ((e).code != (wanted))                                                          \
			fail_msg("%s (%s), not %s", error_name((e).code), (e).message,             \
				 error_name(wanted));                                              \
		assert_true((e).message[0] != '\0');                                               \
	} while (0)
