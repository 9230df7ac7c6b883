/* What a frame for a cluster's face costs over one that is simply forwarded.
 *
 * Theory of operation
 *
 * A director's run rewrites the frame, so BPF_PROG_RUN cannot repeat it as it is, and a single run
 * is shorter than the clock around it is exact.  Hence a program in front (cost_cluster.bpf.c) puts
 * the frame back and goes on in ours by a tail call: BATCH frames between two readings of the
 * clock.  What that program and the kernel's loop take is measured with an empty one behind it.
 *
 * The machine's frequency wanders, so a batch is as short as the clock allows, a batch for the
 * face, one of plain forwarding and an empty one make a turn, in another order each, and what
 * counts is the median of the differences inside the turns.
 *
 * Plain forwarding is from the wire to a port that is no member's, the same flows, always the one
 * port: what a thousand members' ports cost by being a thousand is the balancing's.  After each
 * case the counters must say that each frame took the way that it was measured for.
 *
 * Caches are warm as in a burst of frames; bench/balance.py measures the whole path, too. */
#include "cluster_lab.h"

#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include "cost_cluster.skel.h"

#define OTHER "5a:10:00:00:00:01" /* the port that is no member's */
#define NIC   "52:54:00:aa:bb:cc"
#define WIRE  "52:54:00:00:00:01"

#define MEMBERS_MOST  1000
#define BATCH	      1000
#define TURNS_DEFAULT 301
#define TURNS_MAX     10000
#define MANY	      1000000
#define STEP	      617011	 /* from one of many flows to the next that is measured */
#define ENDLESS	      (1u << 31) /* flows: no frame's flow comes again */
#define SLOT	      0

enum kind { TO_FACE, PLAIN, EMPTY, KINDS };

static struct plane *p;
static struct cost_cluster_bpf *bpf;
static struct test_cluster t;
static struct balance_row rows[CLUSTER_ROWS];
static struct plane_uplink u = { .slot = 1, .mtu = 1500 };
static unsigned int turns = TURNS_DEFAULT;
static bool json;
static const char *only_cases = ""; /* whose name has that in it */

static void die(const char *what)
{
	fprintf(stderr, "cost_cluster: %s\n", what);
	exit(1);
}

/* --- running --------------------------------------------------------------------------------- */

struct way {
	struct frame frame;
	bool ip6;
	uint32_t flows;
};

/* Nanoseconds a frame. */
static uint32_t run_again(const struct way *way, enum kind kind, uint32_t frames)
{
	struct __sk_buff in = { .ifindex = (uint32_t)u.ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = way->frame.octet,
		    .data_size_in = (uint32_t)way->frame.len, .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .repeat = (int)frames);
	vmac_mac_t to = lab_mac(kind == PLAIN ? OTHER : FACE), from = lab_mac(WIRE);

	memcpy(bpf->bss->macs, to.octet, 6);
	memcpy((uint8_t *)bpf->bss->macs + 6, from.octet, 6);
	bpf->bss->which = kind == EMPTY;
	bpf->bss->is_ip6 = way->ip6;
	bpf->bss->source = way->ip6 ? 0x00010000 : 0x0a000000;
	bpf->data->flows = way->flows;
	if (bpf_prog_test_run_opts(bpf_program__fd(bpf->progs.again), &opts) < 0)
		die("BPF_PROG_RUN");
	if (opts.retval != (kind == EMPTY ? TC_ACT_OK : TC_ACT_REDIRECT))
		die("a frame was not forwarded");
	return opts.duration;
}

static void set_tcp_flags(struct way *way, unsigned int flags)
{
	way->frame.octet[ETH_HLEN + (way->ip6 ? 40 : 20) + 13] = (uint8_t)flags;
}

/* All flows are there, and known as far as they are kept. */
static void learn(struct way *way, bool is_tcp)
{
	bpf->data->step = 1;
	for (unsigned int pass = 0; pass < 3; pass++) {
		if (is_tcp)
			set_tcp_flags(way, pass ? TCP_ACK : TCP_SYN);
		bpf->bss->turn = 0;
		run_again(way, TO_FACE, way->flows);
	}
}

static uint32_t flows_held(void)
{
	uint32_t flows[CLUSTER_MEMBERS_MAX + 1], sum = 0;
	struct error e;

	if (plane_cluster_flows(p, SLOT, flows, &e) < 0)
		die(e.message);
	for (unsigned int i = 0; i <= CLUSTER_MEMBERS_MAX; i++)
		sum += flows[i];
	return sum;
}

static struct plane_cluster_counters counters(void)
{
	struct plane_cluster_counters c;
	struct error e;

	if (plane_cluster_counters(p, SLOT, &c, &e) < 0)
		die(e.message);
	return c;
}

/* --- numbers --------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct spread {
	double least, low, middle, high; /* the least: but for a twentieth */
};

static struct spread spread_of(double *values, unsigned int count)
{
	qsort(values, count, sizeof(*values), compare);
	return (struct spread){ values[count / 20], values[count / 4], values[count / 2],
				values[count * 3 / 4] };
}

struct result {
	const char *what, *where;
	unsigned int members;
	uint32_t flows, held;
	double unknown; /* share of the frames whose flow had no entry */
	struct spread more, ns[KINDS];
};

static void print_json(const struct result *r, double quiet, double ratio)
{
	printf("{\"case\": \"%s\", \"where\": \"%s\", \"members\": %u, \"flows\": %u, "
	       "\"held\": %u, \"unknown\": %.4f, \"more_ns\": %.1f, \"more_low\": %.1f, "
	       "\"more_high\": %.1f, \"more_quiet\": %.1f, \"face_ns\": %.1f, "
	       "\"plain_ns\": %.1f, \"empty_ns\": %.1f, \"ratio\": %.3f}\n",
	       r->what, r->where, r->members, r->flows, r->held, r->unknown, r->more.middle,
	       r->more.low, r->more.high, quiet, r->ns[TO_FACE].middle, r->ns[PLAIN].middle,
	       r->ns[EMPTY].middle, ratio);
}

static void print_result(const struct result *r)
{
	double face = r->ns[TO_FACE].middle - r->ns[EMPTY].middle;
	double plain = r->ns[PLAIN].middle - r->ns[EMPTY].middle;
	double quiet = r->ns[TO_FACE].least - r->ns[PLAIN].least;

	if (json) {
		print_json(r, quiet, face / plain);
	} else {
		printf("%-26s %5u %-9s %+5.0f (%+.0f … %+.0f), %+.0f   %4.0f - %2.0f, x %.1f",
		       r->what, r->members, r->where, r->more.middle, r->more.low, r->more.high,
		       quiet, face, plain, face / plain);
		if (r->flows == MANY)
			printf("   of %u %u are held; %.3f of the frames were of others", r->flows,
			       r->held, r->unknown);
		putchar('\n');
	}
	fflush(stdout);
}

static void measure(const char *what, const char *where, unsigned int members,
		    const struct way *way)
{
	static double ns[KINDS][TURNS_MAX], more[TURNS_MAX];
	struct result result = { what, where, members, way->flows };
	struct plane_cluster_counters before, after;
	uint32_t at[KINDS] = { 0 };

	/* Else those of the flows that were the first to come would be measured, and all of them
	 * have their places. */
	bpf->data->step = way->flows == MANY ? STEP : 1;
	/* What comes first in a case finds nothing in the caches. */
	for (unsigned int kind = 0; kind < KINDS; kind++)
		run_again(way, kind, BATCH);
	at[TO_FACE] = bpf->bss->turn;
	before = counters();
	for (unsigned int i = 0; i < turns; i++) {
		for (unsigned int j = 0; j < KINDS; j++) {
			enum kind kind = (i & 1 ? KINDS - 1 - j : j + i / 2) % KINDS;

			bpf->bss->turn = at[kind];
			ns[kind][i] = run_again(way, kind, BATCH);
			at[kind] = bpf->bss->turn;
		}
		more[i] = ns[TO_FACE][i] - ns[PLAIN][i];
	}
	after = counters();
	if (after.local + after.remote - before.local - before.remote != (uint64_t)turns * BATCH)
		die("frames for the face did not all reach a member");
	result.held = flows_held();
	result.unknown = (double)(after.flows_made + after.flows_denied - before.flows_made -
				  before.flows_denied) /
			 ((double)turns * BATCH);
	result.more = spread_of(more, turns);
	for (unsigned int kind = 0; kind < KINDS; kind++)
		result.ns[kind] = spread_of(ns[kind], turns);
	print_result(&result);
}

/* --- the cluster ------------------------------------------------------------------------------ */

static vmac_mac_t member_mac(unsigned int id, bool here)
{
	return vmac_mac_from_u64(0x5a1000010000ULL + (here ? 0 : 0x10000) + id);
}

/* Made anew, so without a flow. */
static void set_members(unsigned int count, bool here)
{
	struct plane_cluster c = { .slot = SLOT, .net = { 1, 0 }, .record = &t.record };
	uint8_t bits[CLUSTER_MEMBERS_MAX / 8];
	struct error e;

	plane_cluster_remove(p, SLOT, &e);
	memset(bits, 0xff, sizeof(bits));
	test_cluster_init(&t);
	for (unsigned int id = 1; id <= count; id++)
		t.members[t.record.member_count++] = (struct cluster_member){
			.id = (uint16_t)id, .address = member_mac(id, here), .weight = 1
		};
	for (unsigned int i = 0; i < CLUSTER_ROWS; i++)
		rows[i] = (struct balance_row){ (uint16_t)(1 + i % count), 0 };
	if (plane_cluster_set(p, &c, &e) < 0 ||
	    plane_cluster_install(p, SLOT, rows, bits, bits, &e) < 0 ||
	    plane_cluster_commit(p, SLOT, &e) < 0)
		die(e.message);
	plane_cluster_lease(p, SLOT, 0, MONO_NEVER, MONO_NEVER);
}

static struct way tcp(bool ip6, uint32_t flows)
{
	struct way way = { .ip6 = ip6, .flows = flows };

	if (!ip6) {
		way.frame = tcp4(WIRE, CLIENT, 1000, TCP_ACK);
		return way;
	}
	way.frame = ip6_to(FACE, WIRE, "2001:db8::7", VIP6, 6);
	put_tcp(&way.frame, 1000, 80, TCP_ACK);
	way.frame = ip6_done(way.frame);
	return way;
}

static struct way udp(bool ip6, uint32_t flows)
{
	struct way way = { .ip6 = ip6, .flows = flows };

	if (!ip6) {
		way.frame = udp4(WIRE, CLIENT, 1000);
		return way;
	}
	way.frame = ip6_to(FACE, WIRE, "2001:db8::7", VIP6, 17);
	put_udp(&way.frame, 1000, 53);
	way.frame = ip6_done(way.frame);
	return way;
}

static void measure_known(const char *what, unsigned int members, bool here, struct way way,
			  bool is_tcp)
{
	if (!strstr(what, only_cases))
		return;
	set_members(members, here);
	learn(&way, is_tcp);
	measure(what, here ? "here" : "elsewhere", members, &way);
}

/* Nothing of the flows is known; `flags`: of TCP, 0 = UDP. */
static void measure_new(const char *what, unsigned int members, struct way way, unsigned int flags)
{
	if (!strstr(what, only_cases))
		return;
	set_members(members, true);
	if (flags)
		set_tcp_flags(&way, flags);
	bpf->bss->turn = 0;
	measure(what, "here", members, &way);
}

static void measure_all(unsigned int members)
{
	measure_known("IPv4 TCP, a known flow", members, true, tcp(false, 1), true);
	measure_known("IPv6 TCP, a known flow", members, true, tcp(true, 1), true);
	measure_known("IPv4 UDP, a known flow", members, true, udp(false, 1), false);
	measure_known("IPv6 UDP, a known flow", members, true, udp(true, 1), false);
	measure_new("IPv4 SYN, of one flow", members, tcp(false, 1), TCP_SYN);
	measure_new("IPv6 SYN, of one flow", members, tcp(true, 1), TCP_SYN);
	measure_known("IPv4 TCP, known flows", members, true, tcp(false, MANY), true);
	measure_known("IPv6 TCP, known flows", members, true, tcp(true, MANY), true);
	measure_known("IPv4 UDP, known flows", members, true, udp(false, MANY), false);
	measure_known("IPv6 UDP, known flows", members, true, udp(true, MANY), false);
	measure_new("IPv4 SYN, each a new flow", members, tcp(false, ENDLESS), TCP_SYN);
	measure_new("IPv6 SYN, each a new flow", members, tcp(true, ENDLESS), TCP_SYN);
	measure_new("IPv4 UDP, each a new flow", members, udp(false, ENDLESS), 0);
	measure_new("IPv6 UDP, each a new flow", members, udp(true, ENDLESS), 0);
}

/* --- the host --------------------------------------------------------------------------------- */

static void add_port(unsigned int id, vmac_mac_t address)
{
	struct plane_port port = { .id = id, .net = { 1, 0 }, .gate = PLANE_OPEN, .mtu = 1500 };
	char name[16];
	struct error e;
	int fd;

	snprintf(name, sizeof(name), "p%u", id);
	port.ifindex = lab_tap(name, 1500, &fd);
	close(fd);
	port.address = address;
	if (plane_port_set(p, &port, &e) < 0)
		die(e.message);
}

static void make_host(unsigned int members)
{
	struct error e;
	int fd;

	lab_open();
	p = lab_plane(NULL);
	u.ifindex = lab_tap("u", 1500, &fd);
	u.address = lab_mac(NIC);
	if (plane_uplink_set(p, &u, &e) < 0)
		die(e.message);
	for (unsigned int id = 1; id <= members; id++)
		add_port(id, member_mac(id, true));
	add_port(members + 1, lab_mac(OTHER));
}

static void load_front(void)
{
	uint32_t key = 0;
	int fd = plane_program_fd(p, PROGRAM_UPLINK_IN), map;

	bpf = cost_cluster_bpf__open_and_load();
	if (!bpf)
		die("cannot load the program in front");
	map = bpf_map__fd(bpf->maps.programs);
	if (bpf_map_update_elem(map, &key, &fd, BPF_ANY) < 0)
		die("cannot call our program");
	key = 1;
	fd = bpf_program__fd(bpf->progs.nothing);
	if (bpf_map_update_elem(map, &key, &fd, BPF_ANY) < 0)
		die("cannot call the empty program");
}

/* The CPU with the highest number, as bench/ does. */
static void stay_on_one_cpu(void)
{
	cpu_set_t all, one;
	int last = 0;

	sched_getaffinity(0, sizeof(all), &all);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all))
			last = i;
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static int usage(void)
{
	fprintf(stderr,
		"usage: bpf_cost_cluster [--json] [--turns N] [--members N] [--case TEXT]\n"
		"  a turn: %u frames each for the face, plainly forwarded, for nobody (%u)\n"
		"  without --members: 1, 32 and 1,000; --case: only those with it in their name\n",
		BATCH, TURNS_DEFAULT);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "turns", required_argument, NULL, 't' },
						 { "members", required_argument, NULL, 'm' },
						 { "case", required_argument, NULL, 'c' },
						 { 0 } };
	unsigned int counts[] = { 1, 32, MEMBERS_MOST }, only = 0;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'j')
			json = true;
		else if (c == 't')
			turns = (unsigned int)strtoul(optarg, NULL, 10);
		else if (c == 'm')
			only = (unsigned int)strtoul(optarg, NULL, 10);
		else if (c == 'c')
			only_cases = optarg;
		else
			return usage();
	}
	if (turns < 1 || turns > TURNS_MAX || only > MEMBERS_MOST)
		return usage();
	make_host(only ? only : MEMBERS_MOST);
	load_front();
	stay_on_one_cpu();
	if (!json)
		printf("%-26s %5s %-9s %s\n", "ns a frame", "of", "member",
		       "more than plain (quartiles), quiet   both, ratio");
	for (size_t i = 0; i < (only ? 1 : sizeof(counts) / sizeof(counts[0])); i++)
		measure_all(only ? only : counts[i]);
	measure_known("IPv4 TCP, a known flow", only ? only : 32, false, tcp(false, 1), true);
	measure_known("IPv4 UDP, a known flow", only ? only : 32, false, udp(false, 1), false);
	cost_cluster_bpf__destroy(bpf);
	plane_close(p);
	return 0;
}
