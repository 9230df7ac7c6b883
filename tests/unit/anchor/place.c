#include "place.h"

#include <errno.h>
#include <dirent.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "host/ether.h"
#include "plane/cluster.h"

enum what { SET, REMOVE, LOOK, CLOSE };

struct request {
	enum what what;
	uint32_t cluster;
	uint16_t vlan;
	uint8_t mode;
	bool up;
};

int64_t place_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

void place_sleep(int ms)
{
	const struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/* --- the false data plane -------------------------------------------------------------------- */

static struct place_seen *seen;

void plane_cluster_lease(struct plane *p, unsigned int slot, unsigned int face, mono_t serve,
			 mono_t speak)
{
	unsigned int n = seen->store_count;

	if (n == PLACE_STORES)
		abort();
	seen->stores[n] = (struct place_store){ place_now(), (uint16_t)slot, (uint8_t)face,
						serve.ns, speak.ns };
	__atomic_store_n(&seen->store_count, n + 1, __ATOMIC_RELEASE);
}

void plane_cluster_own(struct plane *p, unsigned int slot, mono_t until)
{
}

void plane_cluster_standing(struct plane *p, unsigned int slot, const uint8_t *members)
{
}

/* --- in the process -------------------------------------------------------------------------- */

static void *mem_new(void *ctx, size_t size)
{
	return calloc(1, size);
}

static void mem_end(void *ctx, void *p)
{
	free(p);
}

static const struct mem memory = { mem_new, mem_end, NULL };

static void on_log(enum log_level level, const char *line)
{
	if (getenv("PLACE_LOG"))
		fprintf(stderr, "%d: %s\n", getpid(), line);
}

static void set(struct anchors *a, const struct place *p, const struct request *q)
{
	const vmac_mac_t face = { { 0x0a, 0, 0, 0, 0, (uint8_t)q->cluster } };
	const struct ip addresses[] = { { .family = 4, .octet = { 10, 0, 0, (uint8_t)q->cluster } },
					{ .family = 6,
					  .octet = { 0xfd, [15] = (uint8_t)q->cluster } } };
	const struct cluster_member members[] = {
		{ .id = 1, .address = { { 0x0a, 1, 0, 0, 0, 1 } }, .weight = 100 },
		{ .id = 2, .address = { { 0x0a, 1, 0, 0, 0, 2 } }, .weight = 100 },
	};
	struct anchor_where where = {
		.slot = q->cluster,
		.segment = "lan",
		.ifindex = (int)if_nametoindex(p->ifname),
		.up = q->up,
		.vlan = q->vlan,
		.address = { { 2, 0, 0, 0, 0, (uint8_t)p->number } },
	};
	const struct cluster *record;
	struct cluster c;

	cluster_defaults(&c);
	c.id = q->cluster;
	c.mode = q->mode;
	c.generation = 1;
	snprintf(c.name, sizeof(c.name), "web%u", q->cluster);
	memset(c.key, 7, sizeof(c.key));
	c.face_count = 1;
	c.faces = &face;
	c.address_count = 2;
	c.addresses = addresses;
	c.member_count = 2;
	c.members = members;
	record = cluster_record_new(&c, &memory);
	anchor_set(a, record, &where);
	cluster_release(record);
	anchor_member(a, q->cluster, (uint16_t)p->number, true, true, false);
}

static void on_report(void *ctx, const struct anchor_report *r)
{
	struct anchors *a = ctx;

	switch (r->kind) {
	case ANCHOR_INSTALL:
		seen->installed++;
		anchor_installed(a, r->cluster, &r->view);
		break;
	case ANCHOR_COMMIT:
		seen->committed++;
		anchor_committed(a, r->cluster, &r->view);
		break;
	case ANCHOR_HOLD:
		seen->held[r->cluster] = r->epoch;
		break;
	case ANCHOR_NOTE:
	case ANCHOR_ALARM:
		seen->reasons[r->reason]++;
		on_log(LOG_LEVEL_DEBUG, group_reason_name(r->reason));
		break;
	case ANCHOR_REPORT_COUNT:
		abort();
	}
}

static unsigned int entries_of(const char *path, const char *to)
{
	char target[64] = "", name[300];
	unsigned int n = 0;
	DIR *d = opendir(path);

	for (struct dirent *e; d && (e = readdir(d));) {
		ssize_t len;

		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		len = readlink(name, target, sizeof(target) - 1);
		if (to && len > 0)
			target[len] = '\0';
		n += to ? len > 0 && strncmp(target, to, strlen(to)) == 0 : e->d_name[0] != '.';
	}
	if (d)
		closedir(d);
	return n;
}

static bool obey(struct anchors *a, const struct place *p, const struct request *q)
{
	switch (q->what) {
	case SET:
		set(a, p, q);
		break;
	case REMOVE:
		anchor_remove(a, q->cluster);
		break;
	case LOOK:
		memset(&seen->view, 0, sizeof(seen->view));
		anchor_look(a, q->cluster, &seen->view);
		seen->sockets = entries_of("/proc/self/fd", "socket:");
		seen->threads = entries_of("/proc/self/task", NULL);
		break;
	case CLOSE:
		anchor_close(a);
		return false;
	}
	return true;
}

static void place_main(const struct place *p)
{
	const struct anchor_config config = {
		.mem = &memory,
		.self.octet = { 1, [15] = (uint8_t)p->number },
		.number = (uint16_t)p->number,
		.incarnation = (uint64_t)place_now(),
	};
	struct anchors *a = NULL;
	struct error error;
	bool more = true;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	lab_go(p->ns.fd);
	log_set(on_log, LOG_LEVEL_DEBUG);
	seen = p->seen;
	if (anchor_open(&config, &a, &error) < 0)
		_exit(1);
	while (more) {
		struct pollfd fds[] = { { .fd = p->socket, .events = POLLIN },
					{ .fd = anchor_fd(a), .events = POLLIN } };
		struct request q;

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			anchor_dispatch(a, on_report, a);
		if (!fds[0].revents)
			continue;
		if (read(p->socket, &q, sizeof(q)) != sizeof(q))
			break;
		more = obey(a, p, &q);
		if (write(p->socket, "", 1) != 1)
			break;
	}
	_exit(0);
}

/* --- in the test ----------------------------------------------------------------------------- */

static void place_make(struct place *p, const char *name, unsigned int number)
{
	memset(p, 0, sizeof(*p));
	snprintf(p->name, sizeof(p->name), "%s", name);
	snprintf(p->ifname, sizeof(p->ifname), "%s0", name);
	p->number = number;
	p->ns = lab_netns_new();
	p->seen = mmap(NULL, sizeof(*p->seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	assert_true(p->seen != MAP_FAILED);
}

void places_make(struct place *a, struct place *b)
{
	place_make(a, "a", 1);
	place_make(b, "b", 2);
	lab_run("ip link add a0 type veth peer name b0 && ip link set a0 netns /proc/%d/fd/%d && "
		"ip link set b0 netns /proc/%d/fd/%d",
		getpid(), a->ns.fd, getpid(), b->ns.fd);
	place_run(a, "ip link set a0 up");
	place_run(b, "ip link set b0 up");
}

static void place_end(struct place *p)
{
	if (p->pid)
		place_kill(p);
	lab_netns_end(&p->ns);
	munmap(p->seen, sizeof(*p->seen));
}

void places_end(struct place *a, struct place *b)
{
	place_end(a);
	place_end(b);
}

void place_run(const struct place *p, const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	lab_go(p->ns.fd);
	lab_run("%s", command);
	lab_home();
}

void place_start(struct place *p)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		close(pair[0]);
		p->socket = pair[1];
		place_main(p);
	}
	close(pair[1]);
	p->socket = pair[0];
}

static void ask(struct place *p, const struct request *q)
{
	char done;

	assert_int_equal(write(p->socket, q, sizeof(*q)), sizeof(*q));
	if (read(p->socket, &done, 1) != 1)
		fail_msg("place %s died", p->name);
}

void place_kill(struct place *p)
{
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	close(p->socket);
	p->pid = 0;
}

int64_t place_stop(struct place *p)
{
	const int64_t from = place_now();
	int64_t took;
	int status;

	ask(p, &(struct request){ .what = CLOSE });
	took = place_now() - from;
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	assert_int_equal(status, 0);
	close(p->socket);
	p->pid = 0;
	return took;
}

void place_set(struct place *p, uint32_t cluster, uint16_t vlan, uint8_t mode, bool up)
{
	ask(p, &(struct request){ SET, cluster, vlan, mode, up });
}

void place_remove(struct place *p, uint32_t cluster)
{
	ask(p, &(struct request){ .what = REMOVE, .cluster = cluster });
}

void place_look(struct place *p, uint32_t cluster, struct anchor_view *ret)
{
	ask(p, &(struct request){ .what = LOOK, .cluster = cluster });
	*ret = p->seen->view;
}

/* --- leases ---------------------------------------------------------------------------------- */

static unsigned int stores_of(const struct place *p)
{
	return __atomic_load_n(&p->seen->store_count, __ATOMIC_ACQUIRE);
}

/* Until when the face is served, as that place was told at `at` at the latest. */
static int64_t served_until(const struct place *p, uint32_t cluster, int64_t at)
{
	int64_t until = 0;

	for (unsigned int i = 0; i < stores_of(p) && p->seen->stores[i].at <= at; i++)
		if (p->seen->stores[i].slot == cluster && p->seen->stores[i].face == 0)
			until = p->seen->stores[i].serve;
	return until;
}

int64_t place_serves(const struct place *p, uint32_t cluster)
{
	int64_t now = place_now(), until = served_until(p, cluster, now);

	return until > now ? until : 0;
}

int64_t place_wait(struct place *p, uint32_t cluster, int ms)
{
	const int64_t until = place_now() + ms * 1000000LL;

	while (place_now() < until) {
		if (place_serves(p, cluster))
			return place_now();
		place_sleep(2);
	}
	fail_msg("place %s does not serve cluster %u after %d ms", p->name, cluster, ms);
	return 0;
}

int64_t places_longest(struct place *const *list, unsigned int n, uint32_t cluster, int64_t from,
		       int64_t to, bool doubled)
{
	const int64_t step = 1000000;
	int64_t longest = 0, run = 0;

	for (int64_t at = from; at < to; at += step) {
		unsigned int serve = 0;

		for (unsigned int i = 0; i < n; i++)
			serve += served_until(list[i], cluster, at) > at;
		run = (doubled ? serve > 1 : serve == 0) ? run + step : 0;
		longest = run > longest ? run : longest;
	}
	return longest;
}
