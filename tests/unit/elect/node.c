#include "node.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "base/log.h"
#include "elect/thread.h"
#include "host/clock.h"
#include "plane/plane.h"

enum what { SET, REMOVE, READY, LOOK, HISTORY, FACTS, EVENTS, WRITES, CLOSE };

struct request {
	enum what what;
	uint32_t id;
	struct node_router router;
};

union answer {
	struct {
		bool there;
		struct elect_view view;
	} look;
	struct {
		unsigned int count;
		struct elect_event events[ELECT_HISTORY_MAX];
	} history;
	struct {
		unsigned int count;
		struct elect_event last;
	} events;
	struct elect_facts facts;
	struct node_writes writes;
	int64_t ns;
};

/* --- what is written ------------------------------------------------------------------------- */

static atomic_ulong netlink_writes, packet_writes;

static bool is_write(const struct msghdr *m)
{
	for (size_t i = 0; i < m->msg_iovlen; i++) {
		const struct nlmsghdr *h = m->msg_iov[i].iov_base;

		/* RTM_NEW…, RTM_DEL… and RTM_SET… are the kinds 0, 1 and 3 of four. */
		if (m->msg_iov[i].iov_len >= sizeof(*h) && h->nlmsg_type >= RTM_BASE &&
		    (h->nlmsg_type & 3) != 2)
			return true;
	}
	return false;
}

static void count(int fd, const struct msghdr *m)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	if (domain == AF_NETLINK && is_write(m))
		netlink_writes++;
	else if (domain == AF_PACKET)
		packet_writes++;
}

/* In place of the C library's, also for libnl. */
ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	count(fd, m);
	return syscall(SYS_sendmsg, fd, m, flags);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	struct iovec io = { (void *)data, len };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };

	return sendmsg(fd, &m, flags);
}

int sendmmsg(int fd, struct mmsghdr *list, unsigned int n, int flags)
{
	for (unsigned int i = 0; i < n; i++)
		count(fd, &list[i].msg_hdr);
	return (int)syscall(SYS_sendmmsg, fd, list, n, flags);
}

/* --- in the process -------------------------------------------------------------------------- */

static void on_log(enum log_level level, const char *line)
{
	if (getenv("NODE_LOG"))
		fprintf(stderr, "%d: %s\n", getpid(), line);
}

static struct router_track track_of(const struct node_track *n)
{
	bool sees = n->kind == ROUTER_TRACK_INTERFACE || n->kind == ROUTER_TRACK_ROUTER,
	     looks = n->kind == ROUTER_TRACK_FILE || n->kind == ROUTER_TRACK_ROUTE;

	return (struct router_track){
		.kind = n->kind,
		.target = n->target,
		.weight = n->weight,
		.interval_ms = 100,
		.timeout_ms = sees || looks ? 0 : 100,
		.rise = n->rise ? n->rise : 1,
		.fall = n->fall ? n->fall : 1,
	};
}

static void record_set(struct elect *e, const struct node_router *n)
{
	struct router_address addresses[4];
	struct router_track tracks[3];
	struct router_set set = {
		.group = n->group,
		.family = n->six ? 6 : 4,
		.address_count = n->address_count,
		.addresses = addresses,
	};
	const struct router *held;
	struct router r = { 0 };
	struct error error;

	router_defaults(&r, n->protocol);
	r.id = n->id;
	snprintf(r.name, sizeof(r.name), "r%u", n->id);
	r.enabled = true;
	r.priority = n->priority;
	r.interval_ms = n->interval_ms;
	r.accept = n->accept;
	r.notify = n->notify;
	r.note = "";
	if (n->linger_ms)
		r.linger_ms = n->linger_ms;
	r.set_count = 1;
	r.sets = &set;
	r.track_count = n->track_count;
	r.tracks = tracks;
	snprintf(set.ifname, sizeof(set.ifname), "%s", n->ifname);
	for (unsigned int i = 0; i < n->address_count; i++) {
		addresses[i].prefix = 0;
		if (ip_parse(n->addresses[i], &addresses[i].ip) < 0)
			abort();
	}
	for (unsigned int i = 0; i < n->track_count; i++)
		tracks[i] = track_of(&n->tracks[i]);
	if (router_check(&r, &error) < 0) {
		fprintf(stderr, "node: %s\n", error.message);
		abort();
	}
	held = router_record_new(&r, &elect_mem);
	elect_set(e, held);
	router_release(held);
}

static void on_event(void *ctx, const struct elect_event *event)
{
	union answer *a = ctx;

	a->events.count++;
	a->events.last = *event;
}

static bool obey(struct elect *e, const struct request *q, union answer *a)
{
	mono_t start = clock_boot();

	switch (q->what) {
	case SET:
		record_set(e, &q->router);
		break;
	case REMOVE:
		elect_remove(e, q->id);
		break;
	case READY:
		elect_ready(e);
		break;
	case LOOK:
		a->look.there = elect_look(e, q->id, &a->look.view);
		break;
	case HISTORY:
		a->history.count = elect_history(e, q->id, a->history.events, ELECT_HISTORY_MAX);
		break;
	case FACTS:
		elect_facts(e, &a->facts);
		break;
	case EVENTS:
		elect_dispatch(e, on_event, a);
		break;
	case WRITES:
		a->writes.netlink = netlink_writes;
		a->writes.packets = packet_writes;
		break;
	case CLOSE:
		elect_close(e);
		a->ns = mono_since(clock_boot(), start).ns;
		return false;
	}
	return true;
}

static void node_main(struct node *n)
{
	char instance[64], state[64];
	struct plane_config plane_config = { .instance = instance };
	struct elect_config config = { .state_dir = state, .instance = instance };
	const struct rlimit cpu = { 60, 60 };
	struct plane *plane = NULL;
	struct elect *e = NULL;
	struct error error;
	static struct request q;
	static union answer a;
	bool more = true;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* A program that it has begun, and that never ends, outlives it where a test fails. */
	setrlimit(RLIMIT_CPU, &cpu);
	snprintf(instance, sizeof(instance), "vmac-t-%d-%s", getppid(), n->name);
	snprintf(state, sizeof(state), "/run/vmac-t-%d-%s", getppid(), n->name);
	mkdir(state, 0700);
	lab_go(n->ns.fd);
	log_set(on_log, LOG_LEVEL_DEBUG);
	if (plane_open(&plane_config, &plane, &error) < 0) {
		fprintf(stderr, "skipped: data plane: %s\n", error.message);
		_exit(77);
	}
	config.plane = plane;
	if (elect_open(&config, &e, &error) < 0) {
		fprintf(stderr, "node: %s\n", error.message);
		_exit(1);
	}
	while (more && read(n->socket, &q, sizeof(q)) == sizeof(q)) {
		memset(&a, 0, sizeof(a));
		more = obey(e, &q, &a);
		if (write(n->socket, &a, sizeof(a)) != sizeof(a))
			break;
	}
	if (!more) {
		plane_purge(plane, &error);
		plane_close(plane);
		rmdir(state);
	}
	_exit(0);
}

/* --- in the test ----------------------------------------------------------------------------- */

void node_start(struct node *n)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	n->pid = fork();
	assert_true(n->pid >= 0);
	if (n->pid == 0) {
		close(pair[0]);
		n->socket = pair[1];
		node_main(n);
	}
	close(pair[1]);
	n->socket = pair[0];
}

static void ask(struct node *n, const struct request *q, union answer *ret)
{
	size_t got = 0;

	assert_int_equal(write(n->socket, q, sizeof(*q)), sizeof(*q));
	while (got < sizeof(*ret)) {
		ssize_t r = read(n->socket, (char *)ret + got, sizeof(*ret) - got);

		if (r <= 0) {
			int status;

			waitpid(n->pid, &status, 0);
			n->pid = 0;
			if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
				exit(77);
			fail_msg("node %s died: %x", n->name, status);
		}
		got += (size_t)r;
	}
}

static union answer answer;

void node_kill(struct node *n)
{
	kill(n->pid, SIGKILL);
	waitpid(n->pid, NULL, 0);
	close(n->socket);
	n->pid = 0;
}

int64_t node_stop(struct node *n)
{
	struct request q = { .what = CLOSE };

	ask(n, &q, &answer);
	waitpid(n->pid, NULL, 0);
	close(n->socket);
	n->pid = 0;
	return answer.ns;
}

void node_set(struct node *n, const struct node_router *r)
{
	struct request q = { .what = SET, .router = *r };

	ask(n, &q, &answer);
}

void node_remove(struct node *n, uint32_t id)
{
	struct request q = { .what = REMOVE, .id = id };

	ask(n, &q, &answer);
}

void node_ready(struct node *n)
{
	struct request q = { .what = READY };

	ask(n, &q, &answer);
}

bool node_look(struct node *n, uint32_t id, struct elect_view *ret)
{
	struct request q = { .what = LOOK, .id = id };

	ask(n, &q, &answer);
	*ret = answer.look.view;
	return answer.look.there;
}

unsigned int node_history(struct node *n, uint32_t id, struct elect_event *ret, unsigned int max)
{
	struct request q = { .what = HISTORY, .id = id };

	ask(n, &q, &answer);
	memcpy(ret, answer.history.events, max * sizeof(*ret));
	return answer.history.count;
}

void node_facts(struct node *n, struct elect_facts *ret)
{
	struct request q = { .what = FACTS };

	ask(n, &q, &answer);
	*ret = answer.facts;
}

unsigned int node_events(struct node *n, struct elect_event *ret_last)
{
	struct request q = { .what = EVENTS };

	ask(n, &q, &answer);
	*ret_last = answer.events.last;
	return answer.events.count;
}

void node_writes(struct node *n, struct node_writes *ret)
{
	struct request q = { .what = WRITES };

	ask(n, &q, &answer);
	*ret = answer.writes;
}

/* The texts of a view are static in the node, which is this very program: forked, so at the same
 * place. */
void node_wait(struct node *n, uint32_t id, const char *state, int ms)
{
	static struct elect_view v;

	for (int i = 0; i <= ms / 5; i++) {
		if (node_look(n, id, &v) && strcmp(v.state, state) == 0)
			return;
		usleep(5000);
	}
	fail_msg("router %u of %s is %s (%s), not %s; trouble: %s; track: %s", id, n->name,
		 v.state ? v.state : "not there", v.reason ? v.reason : "", state,
		 v.sets[0].trouble.message, v.tracks[0].detail);
}

static int run(struct node *n, const char *fmt, va_list ap)
{
	char command[512];
	int r;

	vsnprintf(command, sizeof(command), fmt, ap);
	lab_go(n->ns.fd);
	r = system(command);
	lab_home();
	return r;
}

void node_run(struct node *n, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = run(n, fmt, ap);
	va_end(ap);
	if (r != 0)
		fail_msg("the command failed in %s: %s", n->name, fmt);
}

bool node_try(struct node *n, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = run(n, fmt, ap);
	va_end(ap);
	return r == 0;
}
