/* Frames for the forward benchmark: makes them, drops and counts them, redirects them.
 *
 * Theory of operation
 *
 * The kernel itself is the generator: BPF_PROG_RUN with BPF_F_TEST_XDP_LIVE_FRAMES runs an XDP
 * program over frames in its own pages, in batches, and the program redirects each of them out of a
 * veth.  The other end (with GRO on, so that it has a NAPI) makes an skb of it and hands it to
 * whatever switch is there. All of it (source, switch, second veth, sink) runs to completion on the
 * one CPU that we are pinned to, so the time of that CPU divided by the frames is the cost of a
 * frame, and nothing can pile up.
 *
 * That time is: what BPF_PROG_RUN itself counts (from batch to batch, softirqs included, without
 * the time that it gave the CPU away and without its slow setting up and tearing down), plus what
 * ksoftirqd of that CPU ran meanwhile (our work, taken over), plus what the process of a user-space
 * switch ran, wherever it did.  The thread's own clock would not do: a kernel with
 * CONFIG_IRQ_TIME_ACCOUNTING leaves softirq time out of it, and that is where forwarding happens.
 *
 * For a switch that queues between threads the source can keep a pace: it spins in the program
 * until the next batch is due, and that waiting is not counted. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "frames.skel.h"

#define BATCH	      64
#define BATCH_PACED   16 /* a burst that the default socket buffer of a user-space switch holds */
#define SETTLE_NS     20000000ULL /* no frame came for so long: the rest is lost */
#define SETTLE_MAX_NS 2000000000ULL
#define TCX_INGRESS   46 /* BPF_TCX_INGRESS, newer than Debian 12's headers */
#define CPUS_MAX      1024
#define FRAME_MAX     1514

static int fail(const char *what, int error)
{
	fprintf(stderr, "bench-frames: %s: %s\n", what, strerror(error));
	return 1;
}

/* --- attaching ------------------------------------------------------------------------------- */

static int pin(int fd, const char *dir, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return bpf_obj_pin(fd, path) < 0 ? -errno : 0;
}

/* As a tcx link pinned below dir where the kernel has them (6.6), else as a clsact filter. */
static int attach(int prog_fd, const char *ifname, const char *dir, const char *name)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1, .prog_fd = prog_fd);
	unsigned int ifindex = if_nametoindex(ifname);
	int link_fd, r;

	if (ifindex == 0)
		return -ENODEV;
	link_fd = bpf_link_create(prog_fd, (int)ifindex, (enum bpf_attach_type)TCX_INGRESS, NULL);
	if (link_fd >= 0) {
		r = pin(link_fd, dir, name);
		close(link_fd);
		return r;
	}
	hook.ifindex = (int)ifindex;
	r = bpf_tc_hook_create(&hook);
	if (r < 0 && r != -EEXIST)
		return r;
	return bpf_tc_attach(&hook, &opts);
}

/* frames sink IFNAME DIR [IFNAME...]: drops and counts all that arrives; DIR/sink_link (of the
 * others DIR/IFNAME_link), DIR/sink_count */
static int verb_sink(int argc, char **argv)
{
	struct frames_bpf *bpf;
	char name[64];
	int r;

	if (argc < 3)
		return fail("usage: sink IFNAME DIR [IFNAME...]", EINVAL);
	bpf = frames_bpf__open_and_load();
	if (!bpf)
		return fail("cannot load the sink", errno);
	r = attach(bpf_program__fd(bpf->progs.sink), argv[1], argv[2], "sink_link");
	for (int i = 3; r == 0 && i < argc; i++) {
		snprintf(name, sizeof(name), "%s_link", argv[i]);
		r = attach(bpf_program__fd(bpf->progs.sink), argv[i], argv[2], name);
	}
	if (r == 0)
		r = pin(bpf_map__fd(bpf->maps.received), argv[2], "sink_count");
	frames_bpf__destroy(bpf);
	return r < 0 ? fail("cannot attach the sink", -r) : 0;
}

/* frames redirect IFNAME OUT DIR: all that arrives at IFNAME leaves by OUT; DIR/IFNAME_link */
static int verb_redirect(int argc, char **argv)
{
	struct frames_bpf *bpf;
	char name[64];
	int r;

	if (argc != 4)
		return fail("usage: redirect IFNAME OUT DIR", EINVAL);
	bpf = frames_bpf__open();
	if (!bpf)
		return fail("cannot open the redirect", errno);
	bpf->rodata->out_ifindex = if_nametoindex(argv[2]);
	snprintf(name, sizeof(name), "%s_link", argv[1]);
	r = frames_bpf__load(bpf);
	if (r == 0)
		r = attach(bpf_program__fd(bpf->progs.redirect), argv[1], argv[3], name);
	frames_bpf__destroy(bpf);
	return r < 0 ? fail("cannot attach the redirect", -r) : 0;
}

/* --- clocks ---------------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

/* Nanoseconds that a thread has run; 0 when it is gone. */
static uint64_t ran_ns(const char *path)
{
	unsigned long long ran = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	if (fscanf(f, "%llu", &ran) != 1)
		ran = 0;
	fclose(f);
	return ran;
}

static uint64_t process_ran_ns(int pid)
{
	uint64_t sum = 0;
	char path[300];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return 0;
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, e->d_name);
		sum += ran_ns(path);
	}
	closedir(dir);
	return sum;
}

static int ksoftirqd_of(int cpu)
{
	char want[32], comm[32], path[300];
	DIR *dir = opendir("/proc");
	int pid = 0;

	if (!dir)
		return 0;
	snprintf(want, sizeof(want), "ksoftirqd/%d\n", cpu);
	for (struct dirent *e = readdir(dir); e && pid == 0; e = readdir(dir)) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		f = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? fopen(path, "re") : NULL;
		if (!f)
			continue;
		if (fgets(comm, sizeof(comm), f) && strcmp(comm, want) == 0)
			pid = atoi(e->d_name);
		fclose(f);
	}
	closedir(dir);
	return pid;
}

/* What the kernel's ticks say of this CPU: coarse (10 ms), but nobody's invention of ours. */
static uint64_t stat_busy_ns(int cpu, uint64_t *ret_steal_ns)
{
	unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;
	uint64_t tick_ns = 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK), busy = 0;
	FILE *f = fopen("/proc/stat", "re");
	char line[512];
	int n;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "cpu%d %llu %llu %llu %llu %llu %llu %llu %llu", &n, &user, &nice,
			   &system, &idle, &iowait, &irq, &softirq, &steal) != 9 ||
		    n != cpu)
			continue;
		busy = (user + nice + system + irq + softirq) * tick_ns;
		*ret_steal_ns = steal * tick_ns;
		break;
	}
	if (f)
		fclose(f);
	return busy;
}

struct reading {
	uint64_t stat, steal, softirqd, peers;
};

static void read_clocks(int cpu, int softirqd_pid, int peer_pid, struct reading *ret)
{
	char path[64];

	memset(ret, 0, sizeof(*ret));
	snprintf(path, sizeof(path), "/proc/%d/schedstat", softirqd_pid);
	ret->stat = stat_busy_ns(cpu, &ret->steal);
	ret->softirqd = ran_ns(path);
	if (peer_pid > 0)
		ret->peers = process_ran_ns(peer_pid);
}

/* --- sending --------------------------------------------------------------------------------- */

struct job {
	const char *out, *count_path;
	struct ether_addr src, dst;
	struct in6_addr sip, dip; /* IPv4: the first word */
	bool ip6, tcp, rewritten;
	uint8_t tcp_flags;
	size_t size;
	uint64_t frames, pps; /* pps 0: as fast as it goes */
	int cpu, peer_pid;
	uint32_t flows; /* told apart by source address and port; 0: one */
	uint64_t first; /* the flow that the first frame is of */
};

static uint16_t ip_checksum(const void *data, size_t len)
{
	const uint16_t *words = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < len / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static size_t l4_of(const struct job *job)
{
	return sizeof(struct ethhdr) + (job->ip6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
}

/* What is beyond a TCP header is padding: a frame without data, as most for a server are. */
static uint16_t l4_length(const struct job *job)
{
	return (uint16_t)(job->tcp ? sizeof(struct tcphdr) : job->size - l4_of(job));
}

static void build_ip(const struct job *job, uint8_t *at)
{
	uint8_t protocol = job->tcp ? IPPROTO_TCP : IPPROTO_UDP;
	struct ipv6hdr ip6 = { .version = 6, .hop_limit = 64, .nexthdr = protocol };
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = protocol };

	if (job->ip6) {
		ip6.payload_len = htons(l4_length(job));
		memcpy(&ip6.saddr, &job->sip, sizeof(ip6.saddr));
		memcpy(&ip6.daddr, &job->dip, sizeof(ip6.daddr));
		memcpy(at, &ip6, sizeof(ip6));
		return;
	}
	ip.tot_len = htons((uint16_t)(sizeof(ip) + l4_length(job)));
	memcpy(&ip.saddr, &job->sip, sizeof(ip.saddr));
	memcpy(&ip.daddr, &job->dip, sizeof(ip.daddr));
	ip.check = ip_checksum(&ip, sizeof(ip));
	memcpy(at, &ip, sizeof(ip));
}

static void build_frame(const struct job *job, uint8_t *frame)
{
	struct ethhdr eth = { .h_proto = htons(job->ip6 ? ETH_P_IPV6 : ETH_P_IP) };
	struct udphdr udp = { .source = htons(4096), .dest = htons(9) };
	struct tcphdr tcp = { .source = htons(4096), .dest = htons(9), .doff = 5 };

	memcpy(eth.h_dest, &job->dst, ETH_ALEN);
	memcpy(eth.h_source, &job->src, ETH_ALEN);
	udp.len = htons(l4_length(job));
	memset(frame, 0, job->size);
	memcpy(frame, &eth, sizeof(eth));
	build_ip(job, frame + sizeof(eth));
	if (!job->tcp) {
		memcpy(frame + l4_of(job), &udp, sizeof(udp));
		return;
	}
	memcpy(frame + l4_of(job), &tcp, sizeof(tcp));
	frame[l4_of(job) + 13] = job->tcp_flags;
}

/* The last two octets of TCP over IPv4 and IPv6 are not among them: nobody writes those. */
static uint32_t header_words(const struct job *job)
{
	return (uint32_t)((l4_of(job) + sizeof(struct tcphdr)) / 8);
}

/* Of the IPv4 header but for its source address, as the generator goes on with it. */
static uint32_t partial_checksum(const struct job *job)
{
	uint8_t frame[FRAME_MAX];
	uint32_t sum = 0;

	build_frame(job, frame);
	for (size_t i = sizeof(struct ethhdr); i < sizeof(struct ethhdr) + sizeof(struct iphdr);
	     i += 2) {
		size_t at = i - sizeof(struct ethhdr);

		if (at == offsetof(struct iphdr, check) || at == offsetof(struct iphdr, saddr) ||
		    at == offsetof(struct iphdr, saddr) + 2)
			continue;
		sum += (uint32_t)frame[i] << 8 | frame[i + 1];
	}
	return sum;
}

static uint64_t received_total(int map_fd)
{
	uint64_t values[CPUS_MAX] = {}, sum = 0;
	int cpus = libbpf_num_possible_cpus();
	uint32_t key = 0;

	if (cpus < 1 || cpus > CPUS_MAX || bpf_map_lookup_elem(map_fd, &key, values) < 0)
		return 0;
	for (int i = 0; i < cpus; i++)
		sum += values[i];
	return sum;
}

/* Waits until all have arrived, or none did for a while. */
static uint64_t settle(int map_fd, uint64_t before, uint64_t want)
{
	uint64_t start = now_ns(), changed = start, last = received_total(map_fd);

	while (last - before < want && now_ns() - changed < SETTLE_NS &&
	       now_ns() - start < SETTLE_MAX_NS) {
		struct timespec nap = { .tv_nsec = 1000000 };
		uint64_t got;

		nanosleep(&nap, NULL);
		got = received_total(map_fd);
		if (got != last)
			changed = now_ns();
		last = got;
	}
	return last - before;
}

/* Returns the time it took in *ret_ns, waiting for the pace left out. */
static int send_frames(const struct job *job, struct frames_bpf *bpf, uint64_t *ret_ns)
{
	uint8_t frame[FRAME_MAX];
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
			    .data_size_in = (uint32_t)job->size, .repeat = (int)job->frames,
			    .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
			    .batch_size = job->pps ? BATCH_PACED : BATCH);
	int r;

	build_frame(job, frame);
	r = bpf_prog_test_run_opts(bpf_program__fd(bpf->progs.generate), &opts);
	if (r < 0)
		return r;
	*ret_ns = opts.duration * job->frames - bpf->bss->waited_ns;
	return 0;
}

/* One measurement, as a line of JSON. */
static int measure(const struct job *job, struct frames_bpf *bpf, int map_fd)
{
	int softirqd_pid = ksoftirqd_of(job->cpu), r;
	uint64_t before, received, busy;
	struct reading a, b;

	before = received_total(map_fd);
	read_clocks(job->cpu, softirqd_pid, job->peer_pid, &a);
	r = send_frames(job, bpf, &busy);
	if (r < 0)
		return fail("cannot send", -r);
	received = settle(map_fd, before, job->frames);
	read_clocks(job->cpu, softirqd_pid, job->peer_pid, &b);
	printf("{\"sent\": %llu, \"received\": %llu, \"busy_ns\": %llu, \"softirqd_ns\": %llu, "
	       "\"peer_ns\": %llu, \"stat_ns\": %llu, \"steal_ns\": %llu}\n",
	       (unsigned long long)job->frames, (unsigned long long)received,
	       (unsigned long long)busy, (unsigned long long)(b.softirqd - a.softirqd),
	       (unsigned long long)(b.peers - a.peers), (unsigned long long)(b.stat - a.stat),
	       (unsigned long long)(b.steal - a.steal));
	return 0;
}

static bool parse_ip(const char *text, struct job *job, struct in6_addr *ret)
{
	job->ip6 = strchr(text, ':');
	return inet_pton(job->ip6 ? AF_INET6 : AF_INET, text, ret) == 1;
}

static int parse_job(int argc, char **argv, struct job *job)
{
	static const struct option options[] = {
		{ "out", required_argument, NULL, 'o' },
		{ "count", required_argument, NULL, 'c' },
		{ "src", required_argument, NULL, 's' },
		{ "dst", required_argument, NULL, 'd' },
		{ "sip", required_argument, NULL, 'S' },
		{ "dip", required_argument, NULL, 'D' },
		{ "size", required_argument, NULL, 'l' },
		{ "frames", required_argument, NULL, 'n' },
		{ "pps", required_argument, NULL, 'r' },
		{ "cpu", required_argument, NULL, 'C' },
		{ "peer-pid", required_argument, NULL, 'p' },
		{ "flows", required_argument, NULL, 'f' },
		{ "first", required_argument, NULL, 'F' },
		{ "tcp", required_argument, NULL, 't' },
		{ "rewritten", no_argument, NULL, 'w' },
		{},
	};
	bool good = true;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'o')
			job->out = optarg;
		else if (c == 'c')
			job->count_path = optarg;
		else if (c == 's')
			good = good && ether_aton_r(optarg, &job->src);
		else if (c == 'd')
			good = good && ether_aton_r(optarg, &job->dst);
		else if (c == 'S')
			good = good && parse_ip(optarg, job, &job->sip);
		else if (c == 'D')
			good = good && parse_ip(optarg, job, &job->dip);
		else if (c == 'l')
			job->size = strtoul(optarg, NULL, 10);
		else if (c == 'n')
			job->frames = strtoul(optarg, NULL, 10) / BATCH * BATCH;
		else if (c == 'r')
			job->pps = strtoul(optarg, NULL, 10);
		else if (c == 'C')
			job->cpu = atoi(optarg);
		else if (c == 'p')
			job->peer_pid = atoi(optarg);
		else if (c == 'f')
			job->flows = (uint32_t)strtoul(optarg, NULL, 10);
		else if (c == 'F')
			job->first = strtoull(optarg, NULL, 10);
		else if (c == 't')
			job->tcp_flags = (uint8_t)strtoul(optarg, NULL, 0);
		else if (c == 'w')
			job->rewritten = true;
		else
			good = false;
		job->tcp |= c == 't';
	}
	return good && job->out && job->count_path && job->size >= 60 && job->size <= FRAME_MAX &&
			       job->size >= l4_of(job) + sizeof(struct tcphdr) && job->frames > 0
		       ? 0
		       : -EINVAL;
}

static int verb_send(int argc, char **argv)
{
	struct job job = {};
	struct frames_bpf *bpf;
	cpu_set_t cpus;
	int map_fd, r;

	if (parse_job(argc, argv, &job) < 0)
		return fail("usage: send --out IF --count PIN --size N --frames N …", EINVAL);
	CPU_ZERO(&cpus);
	CPU_SET((size_t)job.cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		return fail("cannot pin myself to the CPU", errno);
	map_fd = bpf_obj_get(job.count_path);
	if (map_fd < 0)
		return fail(job.count_path, errno);
	bpf = frames_bpf__open();
	if (!bpf)
		return fail("cannot open the generator", errno);
	bpf->rodata->out_ifindex = if_nametoindex(job.out);
	bpf->rodata->batch = BATCH_PACED;
	bpf->rodata->interval_ns = job.pps ? BATCH_PACED * 1000000000ULL / job.pps : 0;
	bpf->rodata->flows = job.flows;
	bpf->rodata->is_ip6 = job.ip6;
	bpf->rodata->source = ntohl(job.sip.s6_addr32[job.ip6 ? 3 : 0]);
	bpf->rodata->checksum = job.ip6 ? 0 : partial_checksum(&job);
	bpf->bss->flow = job.first;
	if (job.rewritten) {
		uint8_t frame[FRAME_MAX];

		build_frame(&job, frame);
		memcpy(bpf->bss->header, frame, sizeof(bpf->bss->header));
		bpf->rodata->header_words = header_words(&job);
	}
	r = frames_bpf__load(bpf);
	r = r < 0 ? fail("cannot load the generator", -r) : measure(&job, bpf, map_fd);
	frames_bpf__destroy(bpf);
	close(map_fd);
	return r;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} verbs[] = { { "send", verb_send }, { "sink", verb_sink }, { "redirect", verb_redirect } };

	for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	}
	return fail("usage: bench-frames send|sink|redirect …", EINVAL);
}
