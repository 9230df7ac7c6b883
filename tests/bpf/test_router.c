/* Leases: a router's vMAC inside and outside of its deadline, both ways, whoever sends. */
#include "frames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/pkt_cls.h>
#include <cmocka.h>

#define TYPE  0x88b5
#define VMAC  "00:00:5e:00:01:07"
#define VMAC2 "00:00:5e:00:01:08"
#define NIC   "52:54:00:aa:bb:cc"
#define PEER  "52:54:00:00:00:01"
#define ALL   "ff:ff:ff:ff:ff:ff"

static const char *attach_wanted; /* NULL: the best the kernel has */
static struct plane *p;
static int up, up_fd, far, far_raw, link_if, port_if, port_fd;

/* --- tools ----------------------------------------------------------------------------------- */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void lease(unsigned int slot, int64_t ms)
{
	plane_router_lease(p, slot, (mono_t){ ms ? now_ns() + ms * 1000000 : 0 });
}

static void set_link(int ifindex)
{
	struct error e;

	if (plane_router_link_set(p, ifindex, &e) < 0)
		fail_msg("%s", e.message);
}

static void set_router(unsigned int slot, int ifindex, const char *mac, const struct ip *ips,
		       unsigned int ip_count)
{
	struct plane_router r = { slot, ifindex, lab_mac(mac), ips == NULL, ip_count, ips };
	struct error e;

	if (plane_router_set(p, &r, &e) < 0)
		fail_msg("%s", e.message);
}

static struct plane_router_counters counters(unsigned int slot)
{
	struct plane_router_counters c;
	struct error e;

	if (plane_router_counters(p, slot, &c, &e) < 0)
		fail_msg("%s", e.message);
	return c;
}

static unsigned int sweep(void)
{
	unsigned int removed;
	struct error e;

	if (plane_router_sweep(p, &removed, &e) < 0)
		fail_msg("%s", e.message);
	return removed;
}

static bool passes(enum plane_program program, int ifindex, struct frame f)
{
	struct lab_run run = { program, ifindex, f.octet, f.len };
	int verdict = lab_run(p, &run);

	assert_true(verdict == TC_ACT_UNSPEC || verdict == TC_ACT_SHOT);
	return verdict == TC_ACT_UNSPEC;
}

static struct frame plain(const char *to, const char *from)
{
	struct frame f = eth(to, from, TYPE);

	put_zeros(&f, 46);
	return f;
}

#define CHECK_REFUSED(call, wanted)                                                                \
	do {                                                                                       \
		e = (struct error){ 0 };                                                           \
		assert_true((call) < 0);                                                           \
		assert_int_equal(e.code, wanted);                                                  \
	} while (0)

#define IN(frame)  passes(PROGRAM_ROUTER_IN, link_if, frame)
#define OUT(frame) passes(PROGRAM_ROUTER_OUT, link_if, frame)

/* Whether a frame with the vMAC, sent by a packet socket of the host on the link, gets out. */
static bool gets_out(const char *ifname, const char *from)
{
	struct frame f = plain(PEER, from);
	int fd = lab_raw(ifname);
	unsigned int count;

	lab_raw_count(far_raw, TYPE, 1);
	lab_raw_send(fd, f.octet, f.len);
	count = lab_raw_count(far_raw, TYPE, 20);
	close(fd);
	assert_true(count <= 1);
	return count == 1;
}

static void reopen(const char *attach)
{
	plane_close(p);
	p = lab_plane(attach);
}

static void purge(void)
{
	struct error e;

	assert_int_equal(plane_purge(p, &e), 0);
}

static int fresh(void **state)
{
	p = lab_plane_fresh(p, attach_wanted);
	return 0;
}

/* --- leases ---------------------------------------------------------------------------------- */

static void outside_of_the_lease_nothing_passes(void **state)
{
	struct plane_router_counters c;

	set_router(0, link_if, VMAC, NULL, 0);
	assert_false(OUT(plain(PEER, VMAC)));
	assert_false(OUT(plain(ALL, VMAC)));
	assert_false(IN(plain(VMAC, PEER)));
	/* Others, and what is everybody's. */
	assert_true(OUT(plain(PEER, NIC)));
	assert_true(OUT(plain(VMAC, NIC)));
	assert_true(OUT(plain(PEER, VMAC2)));
	assert_true(IN(plain(VMAC2, PEER)));
	assert_true(IN(plain(ALL, VMAC)));
	assert_true(IN(plain("01:00:5e:00:00:12", VMAC)));
	assert_true(IN(plain(NIC, VMAC))); /* the active router speaks to us */
	assert_true(passes(PROGRAM_ROUTER_OUT, up, plain(PEER, VMAC))); /* another link */
	lease(0, 10000);
	assert_true(OUT(plain(PEER, VMAC)));
	assert_true(OUT(plain(ALL, VMAC)));
	assert_true(IN(plain(VMAC, PEER)));
	lease(0, 0);
	assert_false(OUT(plain(PEER, VMAC)));
	assert_false(IN(plain(VMAC, PEER)));
	c = counters(0);
	assert_int_equal(c.passed_out, 2);
	assert_int_equal(c.passed_in, 1);
	assert_int_equal(c.stopped_out, 3);
	assert_int_equal(c.stopped_in, 2);
	assert_int_equal(c.not_accepted, 0);
}

/* Exact, whatever the machine does meanwhile: a run that passed began before the deadline, one that
 * was stopped ended after it. */
static void a_lease_ends_at_its_deadline(void **state)
{
	int64_t until, before, after, last_passed = 0, first_stopped;

	set_router(0, link_if, VMAC, NULL, 0);
	until = now_ns() + 40 * 1000000;
	plane_router_lease(p, 0, (mono_t){ until });
	for (;;) {
		before = now_ns();
		if (!OUT(plain(PEER, VMAC)))
			break;
		assert_true(before < until);
		last_passed = before;
	}
	after = first_stopped = now_ns();
	assert_true(after >= until);
	assert_true(last_passed);
	print_message("passed until %lld us before, stopped from %lld us after\n",
		      (long long)(until - last_passed) / 1000,
		      (long long)(first_stopped - until) / 1000);
}

static void a_router_set_again_keeps_its_lease(void **state)
{
	struct error e;

	set_router(5, link_if, VMAC, NULL, 0);
	lease(5, 10000);
	assert_true(OUT(plain(PEER, VMAC)));
	set_router(5, link_if, VMAC, NULL, 0);
	assert_true(OUT(plain(PEER, VMAC)));
	assert_int_equal(counters(5).passed_out, 2);
	set_router(5, link_if, VMAC2, NULL, 0); /* another address: from the beginning */
	assert_false(OUT(plain(PEER, VMAC2)));
	assert_true(OUT(plain(PEER, VMAC)));
	assert_int_equal(counters(5).passed_out, 0);
	assert_int_equal(plane_router_remove(p, 5, &e), 0);
	assert_true(OUT(plain(PEER, VMAC2)));
	CHECK_REFUSED(plane_router_remove(p, 5, &e), ERROR_NOT_FOUND);
}

/* --- accept mode ----------------------------------------------------------------------------- */

static struct frame to_ip4(const char *to, const char *ip)
{
	struct frame f = ip4(to, PEER, "198.51.100.7", 17, 0, 16);
	struct ip dst = lab_ip(ip);

	memcpy(f.octet + 14 + 16, dst.octet, 4);
	put_udp(&f, 1000, 2000);
	return f;
}

static struct frame to_ip6(const char *to, const char *ip, unsigned int next, unsigned int type)
{
	struct frame f = ip6(to, PEER, "2001:db8::77", next);
	struct ip dst = lab_ip(ip);

	memcpy(f.octet + 14 + 24, dst.octet, 16);
	put8(&f, type);
	put_zeros(&f, 31);
	return ip6_done(f);
}

static void addresses_are_not_accepted_where_told(void **state)
{
	const struct ip ips[] = { lab_ip("192.0.2.1"), lab_ip("2001:db8::1") };

	set_router(0, link_if, VMAC, ips, 2);
	lease(0, 10000);
	assert_false(IN(to_ip4(VMAC, "192.0.2.1")));
	assert_true(IN(to_ip4(VMAC, "192.0.2.2"))); /* to be forwarded */
	assert_true(IN(to_ip4(NIC, "192.0.2.1")));
	assert_true(IN(arp(VMAC, PEER, 1, PEER, "192.0.2.9", "192.0.2.1")));
	assert_false(IN(to_ip6(VMAC, "2001:db8::1", 17, 0)));
	assert_true(IN(to_ip6(VMAC, "2001:db8::2", 17, 0)));
	for (unsigned int type = 128; type < 144; type++)
		assert_int_equal(IN(to_ip6(VMAC, "2001:db8::1", 58, type)),
				 type >= 133 && type <= 137);
	assert_int_equal(counters(0).not_accepted, 2 + 16 - 5);
	/* Cut short: not a packet that anybody would take, but no way around either. */
	struct frame f = to_ip6(VMAC, "2001:db8::1", 58, 135);

	f.len = 14 + 40;
	assert_false(IN(f));
	/* One address fewer, then all accepted, then none again. */
	set_router(0, link_if, VMAC, ips + 1, 1);
	assert_true(IN(to_ip4(VMAC, "192.0.2.1")));
	assert_false(IN(to_ip6(VMAC, "2001:db8::1", 17, 0)));
	set_router(0, link_if, VMAC, NULL, 0);
	assert_true(IN(to_ip6(VMAC, "2001:db8::1", 17, 0)));
	set_router(0, link_if, VMAC, ips, 2);
	assert_false(IN(to_ip4(VMAC, "192.0.2.1")));
	/* Out of the lease it is stopped, not refused. */
	lease(0, 0);
	assert_false(IN(to_ip4(VMAC, "192.0.2.1")));
	assert_int_equal(counters(0).stopped_in, 1);
}

/* --- what the kernel sends by itself ---------------------------------------------------------- */

static void enable_ip6(const char *ifname)
{
	lab_command("echo 0 > /proc/sys/net/ipv6/conf/%s/disable_ipv6", ifname);
}

static void join(const char *ifname)
{
	struct ip_mreqn m = { .imr_ifindex = (int)if_nametoindex(ifname) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, "239.1.2.3", &m.imr_multiaddr);
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)), 0);
	close(fd);
}

/* Makes the kernel ask by ARP. */
static void ask_for(const char *ifname, const char *ip)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, ip, &to.sin_addr);
	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname, (socklen_t)strlen(ifname)), 0);
	assert_int_equal(sendto(fd, "", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	close(fd);
}

/* Everything that a macvlan says when it comes up: MLD, DAD, RS, IGMP, ARP. */
static void stir(const char *ifname, const char *mac, const char *ip)
{
	lab_command("ip link add %s link link0 address %s type macvlan mode private", ifname, mac);
	enable_ip6(ifname);
	lab_command("ip link set %s up", ifname);
	lab_command("ip addr add %s/24 dev %s", ip, ifname);
	lab_command("ip -6 addr add 2001:db8::%s/64 dev %s", strrchr(ip, '.') + 1, ifname);
	join(ifname);
	ask_for(ifname, "192.0.2.77");
}

/* Frames by kind, with that source, within the time. */
struct heard {
	unsigned int all, igmp, mld, ns, rs, arp;
};

static struct heard listen_for(const char *mac, int ms)
{
	vmac_mac_t m = lab_mac(mac);
	int64_t end = now_ns() + (int64_t)ms * 1000000;
	struct heard h = { 0 };
	struct lab_meta meta;
	uint8_t f[2048];
	size_t len;

	while (now_ns() < end) {
		len = lab_raw_next(far_raw, 0, 50, f, &meta);
		if (len < 14 || memcmp(f + 6, m.octet, 6) != 0)
			continue;
		h.all++;
		if (f[12] == 0x08 && f[13] == 0x00)
			h.igmp += f[23] == 2;
		else if (f[12] == 0x08 && f[13] == 0x06)
			h.arp++;
		else if (f[12] == 0x86 && f[20] == 0) /* hop-by-hop: router alert */
			h.mld++;
		else if (f[12] == 0x86 && f[20] == 58)
			h.ns += f[54] == 135, h.rs += f[54] == 133;
	}
	return h;
}

static void the_kernels_own_frames_are_stopped(void **state)
{
	struct plane_router_counters c;
	struct heard h;

	set_router(0, link_if, VMAC, NULL, 0);
	set_link(link_if);
	lab_raw_count(far_raw, 0, 1);
	stir("mv0", VMAC, "192.0.2.5");
	h = listen_for(VMAC, 5000);
	c = counters(0);
	print_message("backup: %u frames on the wire, %llu stopped\n", h.all,
		      (unsigned long long)c.stopped_out);
	assert_int_equal(h.all, 0);
	assert_true(c.stopped_out >= 5);
	assert_int_equal(c.passed_out, 0);
	lab_command("ip link del mv0");

	/* The same without protection, so that silence above means something. */
	stir("mv1", VMAC2, "192.0.2.6");
	h = listen_for(VMAC2, 5000);
	print_message("unprotected: %u frames: IGMP %u, MLD %u, NS %u, RS %u, ARP %u\n", h.all,
		      h.igmp, h.mld, h.ns, h.rs, h.arp);
	assert_true(h.igmp && h.mld && h.ns && h.rs && h.arp);
	lab_command("ip link del mv1");
}

/* --- real frames ----------------------------------------------------------------------------- */

static void packet_sockets_are_stopped_and_let_go(void **state)
{
	struct error e;

	assert_true(gets_out("link0", VMAC));
	set_router(0, link_if, VMAC, NULL, 0);
	set_link(link_if);
	assert_false(gets_out("link0", VMAC));
	assert_true(gets_out("link0", NIC));
	lease(0, 10000);
	assert_true(gets_out("link0", VMAC));
	lease(0, 0);
	assert_false(gets_out("link0", VMAC));
	assert_int_equal(plane_router_link_remove(p, link_if, &e), 0);
	/* The kernel takes the programs off by itself, in a moment. */
	for (int i = 0; i < 100 && !gets_out("link0", VMAC); i++)
		usleep(10000);
	assert_true(gets_out("link0", VMAC));
	assert_int_equal(plane_router_link_remove(p, link_if, &e), 0);
}

/* Its index, or the test is skipped. */
static int make_vlan(void)
{
	if (!lab_try("ip link add link link0 name v10 type vlan id 10 2>/dev/null")) {
		print_message("no VLAN devices (CONFIG_VLAN_8021Q)\n");
		skip();
	}
	lab_command("ip link set v10 up");
	return (int)if_nametoindex("v10");
}

/* The same group on the link and on a VLAN of it: one address, two leases. */
static void vlans_are_links_of_their_own(void **state)
{
	struct frame tagged = eth(PEER, VMAC, 0x8100);
	int vlan = make_vlan();

	set_router(0, link_if, VMAC, NULL, 0);
	set_router(1, vlan, VMAC, NULL, 0);
	set_link(link_if);
	set_link(vlan);
	put16(&tagged, 10);
	put16(&tagged, TYPE);
	put_zeros(&tagged, 44);
	assert_true(OUT(tagged));
	lease(1, 10000);
	assert_true(gets_out("v10", VMAC));
	assert_false(gets_out("link0", VMAC));
	lease(1, 0);
	lease(0, 10000);
	assert_false(gets_out("v10", VMAC));
	assert_true(gets_out("link0", VMAC));
	lab_command("ip link del v10");
}

static void a_killed_process_falls_silent(void **state)
{
	int64_t until, killed;
	int ready[2], status;
	pid_t pid;

	plane_close(p);
	p = NULL;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		p = lab_plane(attach_wanted);
		set_router(3, link_if, VMAC, NULL, 0);
		set_link(link_if);
		sweep();
		until = now_ns() + 600 * 1000000LL;
		plane_router_lease(p, 3, (mono_t){ until });
		if (write(ready[1], &until, sizeof(until)) != sizeof(until))
			abort();
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &until, sizeof(until)), sizeof(until));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	killed = now_ns();
	assert_true(killed < until);
	assert_true(gets_out("link0", VMAC)); /* nobody is there, and the lease runs */
	assert_true(now_ns() < until);
	sleep_ms((until - now_ns()) / 1000000 + 1);
	assert_false(gets_out("link0", VMAC));
	assert_true(gets_out("link0", NIC));
	/* The next one finds it as it was. */
	p = lab_plane(attach_wanted);
	assert_false(gets_out("link0", VMAC));
	set_router(3, link_if, VMAC, NULL, 0);
	set_link(link_if);
	assert_int_equal(sweep(), 0);
	assert_int_equal(counters(3).passed_out, 1);
	assert_int_equal(counters(3).stopped_out, 2);
	close(ready[0]);
	close(ready[1]);
}

/* --- taking over, sweeping -------------------------------------------------------------------- */

static void what_nobody_set_again_is_swept_apart_from_ports(void **state)
{
	const struct ip ip = lab_ip("192.0.2.1");
	struct plane_uplink u = { 1, up, lab_mac(NIC), 1500 };
	unsigned int removed;
	struct error e;

	assert_int_equal(plane_uplink_set(p, &u, &e), 0);
	set_router(0, link_if, VMAC, &ip, 1);
	set_router(1, up, VMAC2, &ip, 1);
	set_link(link_if);
	set_link(up);
	assert_int_equal(plane_sweep(p, &removed, &e), 0);
	assert_int_equal(removed, 0);
	assert_int_equal(sweep(), 0);
	assert_false(gets_out("link0", VMAC));

	reopen(attach_wanted);
	assert_int_equal(plane_uplink_set(p, &u, &e), 0);
	assert_int_equal(plane_sweep(p, &removed, &e), 0); /* leaves the routers alone */
	assert_int_equal(removed, 0);
	assert_false(gets_out("link0", VMAC));
	set_router(7, up, VMAC2, NULL, 0); /* in another slot than before */
	set_link(up);
	assert_true(sweep() >= 2);
	assert_true(gets_out("link0", VMAC));
	assert_false(passes(PROGRAM_ROUTER_OUT, up, plain(PEER, VMAC2)));
	assert_true(OUT(plain(PEER, VMAC)));
	assert_int_equal(sweep(), 0);
	assert_int_equal(plane_sweep(p, &removed, &e), 0);
	assert_int_equal(removed, 0);
}

static void purge_takes_the_leases_away(void **state)
{
	struct stat st;

	set_router(0, link_if, VMAC, NULL, 0);
	set_link(link_if);
	assert_false(gets_out("link0", VMAC));
	purge();
	assert_true(gets_out("link0", VMAC));
	assert_int_equal(stat(LAB_BPFFS "/vmac/lab", &st), -1);
}

static void the_way_of_attaching_may_change(void **state)
{
	static const char *const ways[] = { "clsact", NULL, "clsact", NULL };

	set_router(0, link_if, VMAC, NULL, 0);
	set_link(link_if);
	sweep();
	for (size_t i = 0; i < 4; i++) {
		reopen(ways[i]);
		assert_false(gets_out("link0", VMAC));
		set_router(0, link_if, VMAC, NULL, 0);
		set_link(link_if);
		assert_false(gets_out("link0", VMAC));
		sweep();
		assert_false(gets_out("link0", VMAC));
		lease(0, 10000);
		assert_true(gets_out("link0", VMAC));
		lease(0, 0);
	}
	/* Seen once each: 3 stopped, 1 passed a round. */
	assert_int_equal(counters(0).stopped_out, 12);
	assert_int_equal(counters(0).passed_out, 4);
}

/* As an upgrade finds it: programs and maps of the schema before ours. */
static void another_schema_is_never_taken_over(void **state)
{
	char was[160];
	struct stat st;

	set_router(0, link_if, VMAC, NULL, 0);
	set_link(link_if);
	sweep();
	snprintf(was, sizeof(was), "%s", p->maps);
	plane_close(p);
	p = NULL;
	assert_int_equal(rename(was, LAB_BPFFS "/vmac/lab/maps1"), 0);
	p = lab_plane(attach_wanted);
	assert_false(p->maps_reused);
	assert_false(gets_out("link0", VMAC)); /* by the old programs */
	set_link(link_if);
	assert_false(gets_out("link0", VMAC));
	set_router(0, link_if, VMAC, NULL, 0);
	sweep();
	assert_false(gets_out("link0", VMAC));
	assert_int_equal(counters(0).stopped_out, 1); /* by the new ones */
	assert_int_equal(plane_sweep(p, &(unsigned int){ 0 }, &(struct error){ 0 }), 0);
	assert_int_equal(stat(LAB_BPFFS "/vmac/lab/maps1", &st), -1);
	assert_int_equal(stat(was, &st), 0);
	reopen(attach_wanted);
	assert_true(p->maps_reused);
	assert_false(gets_out("link0", VMAC));
}

static void what_cannot_be_is_refused(void **state)
{
	struct plane_router_counters c;
	struct plane_router r = { 1, link_if, lab_mac(VMAC), true, 0, NULL };
	struct error e;

	set_router(0, link_if, VMAC, NULL, 0);
	CHECK_REFUSED(plane_router_set(p, &r, &e), ERROR_IN_USE);
	CHECK_REFUSED(plane_router_counters(p, 1, &c, &e), ERROR_NOT_FOUND);
	CHECK_REFUSED(plane_router_counters(p, PLANE_ROUTERS_MAX, &c, &e), ERROR_NOT_FOUND);
	CHECK_REFUSED(plane_router_link_set(p, 60000, &e), ERROR_NO_INTERFACE);
	r.ifindex = up;
	assert_int_equal(plane_router_set(p, &r, &e), 0); /* the same address elsewhere */
}

/* --- with the switch ---------------------------------------------------------------------------
 */

#define GUEST "5a:10:00:00:00:01"

static struct frame guest_frame(void)
{
	return plain(VMAC, GUEST);
}

/* A router on an uplink: guests reach it while it is active, and the wire's one while it is not. */
static void an_uplink_may_have_routers(void **state)
{
	struct plane_port port = { .id = 1,
				   .ifindex = port_if,
				   .net = { 1, 0 },
				   .address = lab_mac(GUEST),
				   .gate = PLANE_OPEN,
				   .mtu = 1500 };
	struct plane_uplink u = { 1, link_if, lab_mac(NIC), 1500 };
	struct frame f = guest_frame(), in = plain(GUEST, VMAC);
	int stack = lab_stack("link0", TYPE);
	struct lab_meta meta;
	uint8_t buf[2048];
	struct error e;

	assert_int_equal(plane_uplink_set(p, &u, &e), 0);
	assert_int_equal(plane_port_set(p, &port, &e), 0);
	set_router(0, link_if, VMAC, NULL, 0);
	set_link(link_if);
	lab_raw_count(far_raw, TYPE, 1);
	assert_int_equal(write(port_fd, f.octet, f.len), f.len);
	assert_int_equal(lab_raw_count(far_raw, TYPE, 20), 1); /* the active one is out there */
	assert_int_equal(lab_raw_count(stack, TYPE, 1), 0);
	lease(0, 10000);
	assert_int_equal(write(port_fd, f.octet, f.len), f.len);
	assert_int_equal(lab_raw_count(far_raw, TYPE, 20), 0);
	assert_int_equal(lab_raw_next(stack, TYPE, 20, buf, &meta), f.len);
	assert_int_equal(counters(0).passed_in, 1);
	/* And back: the host's frame with the vMAC to the guest, stopped when the lease is over. */
	while (read(port_fd, buf, sizeof(buf)) > 0)
		;
	lab_raw_send(stack, in.octet, in.len);
	assert_int_equal(read(port_fd, buf, sizeof(buf)), in.len);
	lease(0, 0);
	lab_raw_send(stack, in.octet, in.len);
	assert_int_equal(read(port_fd, buf, sizeof(buf)), -1);
	assert_int_equal(counters(0).stopped_out, 1);
	close(stack);
}

/* A segment on a VLAN, whose router lives on the VLAN device of the uplink. */
static void a_vlans_guests_reach_the_hosts_router(void **state)
{
	struct plane_port port = { .id = 1,
				   .ifindex = port_if,
				   .net = { 1, 10 },
				   .address = lab_mac(GUEST),
				   .gate = PLANE_OPEN,
				   .mtu = 1500 };
	struct plane_uplink u = { 1, link_if, lab_mac(NIC), 1500 };
	struct frame f = guest_frame();
	struct error e;
	int stack, vlan = make_vlan();

	lab_command("ip link add mv0 link v10 address " VMAC " type macvlan mode private");
	lab_command("ip link set mv0 up");
	stack = lab_stack("mv0", TYPE);
	assert_int_equal(plane_uplink_set(p, &u, &e), 0);
	assert_int_equal(plane_port_set(p, &port, &e), 0);
	set_router(0, vlan, VMAC, NULL, 0);
	set_link(vlan);
	assert_int_equal(write(port_fd, f.octet, f.len), f.len);
	assert_int_equal(lab_raw_count(stack, TYPE, 20), 0);
	lease(0, 10000);
	assert_int_equal(write(port_fd, f.octet, f.len), f.len);
	assert_int_equal(lab_raw_count(stack, TYPE, 50), 1);
	close(stack);
	lab_command("ip link del mv0 && ip link del v10");
}

/* --- threads ---------------------------------------------------------------------------------- */

static void *elect(void *stop)
{
	unsigned int rounds = 0;

	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED)) {
		char mac[18];

		snprintf(mac, sizeof(mac), "00:00:5e:00:01:%02x", rounds % 250);
		set_router(rounds % 250, link_if, mac, NULL, 0);
		lease(rounds % 250, 1000);
		set_link(link_if);
		if (rounds % 50 == 49)
			sweep();
		rounds++;
	}
	return (void *)(uintptr_t)rounds;
}

static void elections_and_ports_change_at_once(void **state)
{
	struct plane_port port = { .id = 1,
				   .ifindex = port_if,
				   .net = { 0, 1 },
				   .address = lab_mac(GUEST),
				   .gate = PLANE_OPEN,
				   .mtu = 1500 };
	bool stop = false;
	pthread_t thread;
	unsigned int removed;
	struct error e;
	void *rounds;

	assert_int_equal(pthread_create(&thread, NULL, elect, &stop), 0);
	for (int i = 0; i < 200; i++) {
		port.flood_pps = (uint32_t)i;
		assert_int_equal(plane_port_set(p, &port, &e), 0);
		assert_int_equal(plane_sweep(p, &removed, &e), 0);
		assert_int_equal(removed, 0);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, &rounds);
	assert_true((uintptr_t)rounds > 10);
	assert_int_equal(sweep(), 0);
}

int main(int argc, char **argv)
{
#define TEST_(f) cmocka_unit_test_setup(f, fresh)
	const struct CMUnitTest each_way[] = {
		TEST_(the_kernels_own_frames_are_stopped),
		TEST_(packet_sockets_are_stopped_and_let_go),
		TEST_(vlans_are_links_of_their_own),
		TEST_(a_killed_process_falls_silent),
		TEST_(what_nobody_set_again_is_swept_apart_from_ports),
		TEST_(purge_takes_the_leases_away),
		TEST_(another_schema_is_never_taken_over),
		TEST_(an_uplink_may_have_routers),
		TEST_(a_vlans_guests_reach_the_hosts_router),
		TEST_(elections_and_ports_change_at_once),
	};
	/* Of the programs and the tables, attached to nothing; or of both ways. */
	const struct CMUnitTest once[] = {
		TEST_(outside_of_the_lease_nothing_passes),
		TEST_(a_lease_ends_at_its_deadline),
		TEST_(a_router_set_again_keeps_its_lease),
		TEST_(addresses_are_not_accepted_where_told),
		TEST_(the_way_of_attaching_may_change),
		TEST_(what_cannot_be_is_refused),
	};
	int failed;

	attach_wanted = argc > 1 ? argv[1] : NULL;
	lab_open();
	up = lab_tap("up", 1500, &up_fd);
	port_if = lab_tap("port", 1500, &port_fd);
	far = lab_namespace();
	link_if = lab_veth("link0", "far0", far, lab_mac(PEER));
	lab_inside(far);
	far_raw = lab_raw("far0");
	lab_inside(-1);
	failed = cmocka_run_group_tests_name("bpf: router", each_way, NULL, NULL);
	if (!attach_wanted)
		failed += cmocka_run_group_tests_name("bpf: router, any way", once, NULL, NULL);
	return failed;
}
