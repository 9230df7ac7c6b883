#include "lab.h"

#include <assert.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#define SKIP	   77
#define SPACES_MAX 8

static int home = -1;
static int spaces[SPACES_MAX];
static int space_count;

static void die(const char *what)
{
	fprintf(stderr, "lab: %s: %s\n", what, strerror(errno));
	abort();
}

static void skip(const char *why)
{
	printf("skipped: %s\n", why);
	exit(SKIP);
}

static void write_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return; /* no IPv6 in this kernel: nothing to quieten */
	if (write(fd, value, strlen(value)) < 0)
		die(path);
	close(fd);
}

/* No frames but ours. */
static void quieten(void)
{
	write_sysctl("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	write_sysctl("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}

void lab_open(void)
{
	union bpf_attr attr;

	if (geteuid() != 0)
		skip("needs root");
	memset(&attr, 0, sizeof(attr));
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		skip("no network namespaces (CONFIG_NET_NS)");
	if (mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("private mounts");
	mkdir(LAB_BPFFS, 0700);
	if (mount("bpf", LAB_BPFFS, "bpf", 0, NULL) < 0)
		skip("no BPF file system (CONFIG_BPF_SYSCALL)");
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		skip("no tun driver (CONFIG_TUN)");
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0)
		die("own namespace");
	quieten();
	lab_command("ip link set lo up");
}

struct plane *lab_plane(const char *attach)
{
	return lab_plane_of("lab", attach);
}

/* What plane_purge() took away, it has again. */
static void pin_again(struct plane *p)
{
	struct error e;

	if ((mkdir(p->dir, 0700) < 0 && errno != EEXIST) ||
	    (mkdir(p->attach.links, 0700) < 0 && errno != EEXIST))
		die(p->dir);
	if (plane_pin_maps(p, &e) < 0) {
		fprintf(stderr, "lab: %s\n", e.message);
		abort();
	}
	p->maps_reused = false;
}

struct plane *lab_plane_fresh(struct plane *p, const char *attach)
{
	bool tcx = attach ? strcmp(attach, "tcx") == 0 : attach_has_tcx();
	bool usable = p && !p->deferred && p->attach.tcx == tcx;
	struct error e;

	if (!p)
		p = lab_plane(attach);
	plane_purge(p, &e);
	if (!usable) {
		plane_close(p);
		return lab_plane(attach);
	}
	pin_again(p);
	return p;
}

struct plane *lab_plane_of(const char *instance, const char *attach)
{
	const struct plane_config config = { instance, LAB_BPFFS, attach };
	struct plane *p = NULL;
	struct error e;

	if (plane_open(&config, &p, &e) < 0) {
		if (e.code == ERROR_KERNEL_UNSUPPORTED)
			skip(e.message);
		fprintf(stderr, "lab: plane_open: %s\n", e.message);
		abort();
	}
	return p;
}

bool lab_try(const char *line)
{
	return system(line) == 0;
}

void lab_command(const char *fmt, ...)
{
	char line[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (!lab_try(line)) {
		fprintf(stderr, "lab: failed: %s\n", line);
		abort();
	}
}

/* --- namespaces and links -------------------------------------------------------------------- */

int lab_namespace(void)
{
	int fd;

	assert(space_count < SPACES_MAX);
	if (unshare(CLONE_NEWNET) < 0)
		die("namespace");
	quieten();
	lab_command("ip link set lo up");
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("namespace");
	spaces[space_count] = fd;
	lab_inside(-1);
	return space_count++;
}

void lab_inside(int space)
{
	if (setns(space < 0 ? home : spaces[space], CLONE_NEWNET) < 0)
		die("setns");
}

static int index_of(const char *name)
{
	int ifindex = (int)if_nametoindex(name);

	if (!ifindex)
		die(name);
	return ifindex;
}

int lab_tap(const char *name, unsigned int mtu, int *ret_fd)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || any < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETPERSIST, 1) < 0)
		die("tap");
	/* By ioctl, and left to the end of the namespace: a thousand taps made by ip(8) and deleted
	 * one by one take a minute. */
	ifr.ifr_mtu = (int)mtu;
	if (ioctl(any, SIOCSIFMTU, &ifr) < 0)
		die("mtu");
	ifr.ifr_flags = IFF_UP;
	if (ioctl(any, SIOCSIFFLAGS, &ifr) < 0)
		die("up");
	close(any);
	*ret_fd = fd;
	return index_of(name);
}

int lab_veth(const char *name, const char *peer, int space, vmac_mac_t m)
{
	return lab_veth_at(-1, name, peer, space, m);
}

int lab_veth_at(int at, const char *name, const char *peer, int space, vmac_mac_t m)
{
	int ifindex;

	lab_inside(at);
	lab_command("ip link add %s type veth peer name %s netns /proc/%d/fd/%d address "
		    "%02x:%02x:%02x:%02x:%02x:%02x",
		    name, peer, (int)getpid(), spaces[space], m.octet[0], m.octet[1], m.octet[2],
		    m.octet[3], m.octet[4], m.octet[5]);
	lab_command("ip link set dev %s up", name);
	lab_inside(space);
	lab_command("ip link set dev %s up", peer);
	lab_inside(at);
	ifindex = index_of(name);
	lab_inside(-1);
	return ifindex;
}

/* --- raw frames ------------------------------------------------------------------------------ */

int lab_stack(const char *ifname, uint16_t type)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(type) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(type));
	int on = 1, room = 64 << 20;

	to.sll_ifindex = index_of(ifname);
	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		die("raw socket");
	return fd;
}

int lab_raw(const char *ifname)
{
	return lab_stack(ifname, ETH_P_ALL);
}

void lab_raw_send(int fd, const void *frame, size_t len)
{
	if (send(fd, frame, len, 0) != (ssize_t)len && errno != ENOBUFS)
		die("send");
}

size_t lab_raw_next(int fd, uint16_t type, int ms, uint8_t buf[static 2048], struct lab_meta *ret)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char control[256];

	for (;;) {
		struct sockaddr_ll from = { 0 };
		struct iovec iov = { buf, 2048 };
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control,
				      .msg_name = &from,
				      .msg_namelen = sizeof(from),
				      .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(fd, &msg, 0);

		if (n < 0) {
			if (poll(&pfd, 1, ms) <= 0)
				return 0;
			continue;
		}
		*ret = (struct lab_meta){ -1, from.sll_pkttype };
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
			struct tpacket_auxdata aux;

			if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
				continue;
			memcpy(&aux, CMSG_DATA(c), sizeof(aux));
			if (aux.tp_status & TP_STATUS_VLAN_VALID)
				ret->vlan = aux.tp_vlan_tci & 0xfff;
		}
		if (n >= 14 && (!type || (buf[12] << 8 | buf[13]) == type))
			return (size_t)n;
	}
}

unsigned int lab_raw_count(int fd, uint16_t type, int ms)
{
	unsigned int count = 0;
	struct lab_meta meta;
	uint8_t buf[2048];

	while (lab_raw_next(fd, type, ms, buf, &meta))
		count++;
	return count;
}

int lab_run(struct plane *p, struct lab_run *run)
{
	struct __sk_buff in = { .ifindex = (__u32)run->ifindex,
				.mark = run->mark,
				.ingress_ifindex = (__u32)run->ingress_ifindex,
				.gso_size = run->gso_size };
	struct __sk_buff out = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = run->frame, .data_size_in = (__u32)run->len,
		    .data_out = run->after, .data_size_out = sizeof(run->after), .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .ctx_out = &out, .ctx_size_out = sizeof(out),
		    .repeat = run->repeat ? (int)run->repeat : 1);
	int r = bpf_prog_test_run_opts(plane_program_fd(p, run->program), &opts);

	if (r < 0) {
		errno = -r;
		die("BPF_PROG_RUN");
	}
	run->mark_after = out.mark;
	run->ns = opts.duration;
	run->after_len = opts.data_size_out;
	return (int)opts.retval;
}

/* --- values ---------------------------------------------------------------------------------- */

vmac_mac_t lab_mac(const char *text)
{
	unsigned int o[6];
	vmac_mac_t m;

	if (sscanf(text, "%x:%x:%x:%x:%x:%x", &o[0], &o[1], &o[2], &o[3], &o[4], &o[5]) != 6)
		abort();
	for (int i = 0; i < 6; i++)
		m.octet[i] = (uint8_t)o[i];
	return m;
}

struct ip lab_ip(const char *text)
{
	struct ip ip = { .family = strchr(text, ':') ? 6 : 4 };

	if (inet_pton(ip.family == 6 ? AF_INET6 : AF_INET, text, ip.octet) != 1)
		abort();
	return ip;
}

struct plane_counters lab_counters(struct plane *p, uint32_t id)
{
	struct plane_counters c;
	struct error e;

	if (plane_port_counters(p, id, &c, &e) < 0) {
		fprintf(stderr, "lab: %s\n", e.message);
		abort();
	}
	return c;
}

uint64_t lab_drops_sum(const struct plane_counters *c)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < plane_drop_reason_count(); i++)
		sum += c->drops[i];
	return sum;
}
