/* Elections of whole hosts on a real kernel: two processes in two network namespaces, joined by a
 * bridge in a third, where the test listens. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "errand/probe.h"
#include "host/clock.h"
#include "node.h"

static void put(char *to, size_t size, const char *text)
{
	assert_true((size_t)snprintf(to, size, "%s", text) < size);
}

static struct node a = { .name = "a" }, b = { .name = "b" };

/* Joins the namespace's `ifname` to the bridge by the link `port` here. */
static void plug(struct node *n, const char *ifname, const char *port, const char *address)
{
	lab_run("ip link add %s type veth peer name %s netns /proc/%d/fd/%d", port, ifname,
		getpid(), n->ns.fd);
	lab_run("ip link set %s master br0 up", port);
	if (address)
		node_run(n, "ip address add %s dev %s", address, ifname);
	node_run(n, "ip link set %s up", ifname);
}

static int enter(void **state)
{
	lab_enter();
	if (!lab_try("ip link add br0 type bridge mcast_snooping 0")) {
		fprintf(stderr, "skipped: needs the bridge driver\n");
		exit(77);
	}
	lab_run("ip link set br0 up && ip address add 10.9.0.9/24 dev br0");
	a.ns = lab_netns_new();
	b.ns = lab_netns_new();
	node_run(&a, "ip link set lo up");
	node_run(&b, "ip link set lo up");
	plug(&a, "eth0", "pa", "10.9.0.1/24");
	plug(&b, "eth0", "pb", "10.9.0.2/24");
	lab_run("ip address add 2001:db8:9::9/64 dev br0 nodad");
	node_run(&a, "ip address add 2001:db8:9::1/64 dev eth0 nodad");
	usleep(200000);
	return 0;
}

static int leave(void **state)
{
	if (a.pid)
		node_kill(&a);
	if (b.pid)
		node_kill(&b);
	return 0;
}

static struct node_router router(uint8_t priority)
{
	return (struct node_router){
		.id = 12,
		.protocol = ROUTER_VRRP3,
		.priority = priority,
		.interval_ms = 100,
		.group = 7,
		.ifname = "eth0",
		.accept = true,
		.address_count = 1,
		.addresses = { "10.9.0.100" },
	};
}

static void both(uint8_t pa, uint8_t pb)
{
	struct node_router ra = router(pa), rb = router(pb);

	node_start(&a);
	node_start(&b);
	node_set(&a, &ra);
	node_set(&b, &rb);
	node_ready(&a);
	node_ready(&b);
}

static void stop_both(void)
{
	node_stop(&b);
	node_stop(&a);
	assert_false(node_try(&a, "ip link show vr12.0 >/dev/null 2>&1"));
	assert_false(node_try(&b, "ip link show vr12.0 >/dev/null 2>&1"));
}

static bool has_address(struct node *n, const char *address)
{
	return node_try(n, "ip -o address show | grep -q 'vr12.0 .*%s/'", address);
}

/* How many frames with that source come in on a port within `ms`. */
static unsigned int frames_from(int fd, const uint8_t mac[6], int ms)
{
	mono_t end = mono_after(clock_boot(), SPAN_MS(ms));
	unsigned int n = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = mono_since(end, clock_boot()).ns / 1000000;
		uint8_t frame[2048];

		if (left < 0 || poll(&p, 1, (int)left) <= 0)
			return n;
		if (recv(fd, frame, sizeof(frame), 0) >= 14 && memcmp(frame + 6, mac, 6) == 0)
			n++;
	}
}

static const uint8_t vmac[6] = { 0, 0, 0x5e, 0, 1, 7 };

/* Whether an address answers an echo request from here within a second. */
static void on_reply(void *ctx, const struct ip *from, uint16_t sequence, uint64_t id)
{
	*(bool *)ctx = true;
}

static bool answers(const char *address)
{
	struct probe p = { .id = 1, .target = (char *)address };
	struct ping *g = ping_new();
	bool heard = false;

	assert_non_null(g);
	assert_int_equal(ping_target(&p), 0);
	for (int i = 0; i < 5 && !heard; i++) {
		assert_int_equal(ping_send(g, &p), 0);
		for (int k = 0; k < 40 && !heard; k++) {
			usleep(5000);
			ping_look(g, on_reply, &heard);
		}
	}
	ping_free(g);
	return heard;
}

/* --- elections ------------------------------------------------------------------------------- */

static void two_hosts_elect_one(void **state)
{
	int on_b = lab_packet_socket("pb"), on_a = lab_packet_socket("pa");
	static struct elect_view v;
	struct elect_facts facts;
	struct elect_event event;

	both(200, 100);
	node_wait(&a, 12, "active", 3000);
	node_wait(&b, 12, "backup", 1000);
	assert_true(has_address(&a, "10.9.0.100"));
	assert_false(has_address(&b, "10.9.0.100"));
	assert_true(answers("10.9.0.100"));
	lab_run("ip neigh show 10.9.0.100 | grep -q 00:00:5e:00:01:07");
	assert_true(frames_from(on_a, vmac, 500) >= 4);
	/* Since its beginning: not one frame. */
	assert_int_equal(frames_from(on_b, vmac, 300), 0);

	assert_true(node_look(&a, 12, &v));
	assert_true(v.embodied && v.lease_ms > 0 && v.priority == 200);
	assert_string_equal(v.sets[0].device, "vr12.0");
	assert_true(v.sent >= 5 && v.announced > 0);
	assert_true(node_look(&b, 12, &v));
	assert_false(v.embodied);
	assert_int_equal(v.lease_ms, -1);
	assert_int_equal(v.active_priority, 200);
	assert_true(v.received >= 5);
	node_facts(&a, &facts);
	assert_int_equal(facts.routers, 1);
	assert_int_equal(facts.active, 1);
	assert_int_equal(facts.links, 1);
	assert_in_range(facts.sockets, 1, 4);
	assert_in_range(facts.takeover_ns_last, 1, 20000000);
	assert_true(node_events(&a, &event) >= 2);
	assert_string_equal(event.to, "active");
	close(on_a);
	close(on_b);
	stop_both();
}

static void a_killed_host_is_followed_and_falls_silent(void **state)
{
	struct node_router ra = router(200);
	static struct elect_view v;
	mono_t killed;
	int on_a;

	both(200, 100);
	node_wait(&a, 12, "active", 3000);
	node_wait(&b, 12, "backup", 1000);
	node_kill(&a);
	killed = clock_boot();
	node_wait(&b, 12, "active", 1000);
	/* Three intervals and the skew are 361 ms; the rest is for a busy machine. */
	assert_true(mono_since(clock_boot(), killed).ns < SPAN_MS(700).ns);
	/* Its address is still there, but the data plane lets it say nothing. */
	assert_true(has_address(&a, "10.9.0.100"));
	on_a = lab_packet_socket("pa");
	node_try(&a, "busybox ping -c 2 -W 1 -q -I 10.9.0.100 10.9.0.9 >/dev/null 2>&1");
	assert_int_equal(frames_from(on_a, vmac, 300), 0);
	lab_run("ip neigh flush dev br0");
	assert_true(answers("10.9.0.100"));

	/* Again: the address is gone before it takes part. */
	node_start(&a);
	node_ready(&a);
	for (int i = 0; i < 200 && has_address(&a, "10.9.0.100"); i++)
		usleep(5000);
	assert_false(has_address(&a, "10.9.0.100"));
	node_set(&a, &ra);
	node_wait(&a, 12, "active", 3000);
	node_wait(&b, 12, "backup", 1000);
	assert_true(node_look(&a, 12, &v));
	assert_string_equal(v.reason, "preempted");
	close(on_a);
	stop_both();
}

static void a_stop_hands_over(void **state)
{
	int64_t took;

	both(200, 100);
	node_wait(&a, 12, "active", 3000);
	node_wait(&b, 12, "backup", 1000);
	node_run(&a, "test $(cat /proc/sys/net/ipv4/conf/eth0/arp_announce) = 2");
	took = node_stop(&a);
	node_wait(&b, 12, "active", 100);
	assert_true(took < SPAN_S(2).ns);
	assert_false(node_try(&a, "ip link show vr12.0 >/dev/null 2>&1"));
	node_run(&a, "test $(cat /proc/sys/net/ipv4/conf/eth0/arp_announce) = 0");
	lab_run("ip neigh flush dev br0");
	assert_true(answers("10.9.0.100"));
	node_stop(&b);
}

/* --- records --------------------------------------------------------------------------------- */

static void an_equal_record_writes_nothing(void **state)
{
	struct node_router r = router(100);
	struct node_writes before, after;
	static struct elect_view v;
	uint64_t transitions;

	r.interval_ms = 1000;
	node_start(&a);
	node_set(&a, &r);
	node_ready(&a);
	node_wait(&a, 12, "active", 6000);
	usleep(100000); /* announcements are out; the next advertisement is far */
	node_look(&a, 12, &v);
	transitions = v.transitions;
	node_writes(&a, &before);
	assert_true(before.netlink > 0 && before.packets > 0);
	for (int i = 0; i < 10; i++)
		node_set(&a, &r);
	node_look(&a, 12, &v);
	usleep(100000);
	node_writes(&a, &after);
	assert_int_equal(after.netlink, before.netlink);
	assert_int_equal(after.packets, before.packets);
	node_look(&a, 12, &v);
	assert_int_equal(v.transitions, transitions);
	node_stop(&a);
}

static void a_record_changes_under_way(void **state)
{
	struct node_router r = router(100);
	static struct elect_view v;
	uint64_t transitions;

	node_start(&a);
	node_set(&a, &r);
	node_wait(&a, 12, "active", 3000);
	node_look(&a, 12, &v);
	transitions = v.transitions;
	r.address_count = 2;
	put(r.addresses[1], sizeof(r.addresses[1]), "10.9.0.101");
	node_set(&a, &r);
	usleep(200000);
	assert_true(has_address(&a, "10.9.0.100") && has_address(&a, "10.9.0.101"));
	assert_true(answers("10.9.0.101"));
	r.address_count = 1;
	put(r.addresses[0], sizeof(r.addresses[0]), "10.9.0.101");
	node_set(&a, &r);
	usleep(200000);
	assert_true(!has_address(&a, "10.9.0.100") && has_address(&a, "10.9.0.101"));
	node_look(&a, 12, &v);
	assert_int_equal(v.transitions, transitions);

	/* Another group begins anew, with another device address. */
	r.group = 8;
	node_set(&a, &r);
	usleep(200000);
	node_wait(&a, 12, "active", 3000);
	node_run(&a, "ip link show vr12.0 | grep -q 00:00:5e:00:01:08");
	assert_true(has_address(&a, "10.9.0.101"));
	node_remove(&a, 12);
	for (int i = 0; i < 1000 && node_look(&a, 12, &v); i++)
		usleep(5000);
	assert_false(node_look(&a, 12, &v));
	assert_false(node_try(&a, "ip link show vr12.0 >/dev/null 2>&1"));
	node_run(&a, "test $(cat /proc/sys/net/ipv4/conf/eth0/arp_announce) = 0");
	node_stop(&a);
}

static void what_nobody_claims_is_swept(void **state)
{
	struct node_router r = router(100), other = router(100);

	other.id = 13;
	other.group = 13;
	put(other.addresses[0], sizeof(other.addresses[0]), "10.9.0.113");
	node_start(&a);
	node_set(&a, &r);
	node_set(&a, &other);
	node_wait(&a, 12, "active", 3000);
	node_wait(&a, 13, "active", 3000);
	node_kill(&a);
	node_run(&a, "ip link show vr13.0 >/dev/null");
	node_start(&a);
	node_set(&a, &r);
	node_ready(&a);
	node_wait(&a, 12, "active", 3000);
	assert_false(node_try(&a, "ip link show vr13.0 >/dev/null 2>&1"));
	node_run(&a, "ip link show vr12.0 >/dev/null");
	node_stop(&a);
}

/* --- links ----------------------------------------------------------------------------------- */

static void a_link_comes_and_goes(void **state)
{
	struct node_router r = router(100);
	static struct elect_view v;

	put(r.ifname, sizeof(r.ifname), "later0");
	put(r.addresses[0], sizeof(r.addresses[0]), "10.9.0.120");
	node_start(&a);
	node_set(&a, &r);
	node_ready(&a);
	node_wait(&a, 12, "initialize", 1000);
	/* So it begins, too, before anybody has looked for the link. */
	for (int i = 0; i < 200; i++) {
		node_look(&a, 12, &v);
		if (v.sets[0].trouble.code != ERROR_NONE)
			break;
		usleep(5000);
	}
	assert_int_equal(v.sets[0].trouble.code, ERROR_NO_INTERFACE);
	assert_int_equal(v.sets[0].ifindex, 0);
	plug(&a, "later0", "pl", "10.9.0.3/24");
	node_wait(&a, 12, "active", 4000);
	node_run(&a, "ip link set later0 down");
	node_wait(&a, 12, "initialize", 1000);
	node_run(&a, "ip link set later0 up");
	node_wait(&a, 12, "active", 4000);
	lab_run("ip link delete pl");
	node_wait(&a, 12, "initialize", 1000);
	plug(&a, "later0", "pl", "10.9.0.3/24");
	node_wait(&a, 12, "active", 4000);
	assert_true(answers("10.9.0.120"));
	/* Another source: the advertisements follow. */
	node_run(&a, "ip address flush dev later0; ip address add 10.9.0.4/24 dev later0");
	usleep(300000);
	node_look(&a, 12, &v);
	assert_int_equal(v.sets[0].source.octet[3], 4);
	/* Somebody deletes our device. */
	node_run(&a, "ip link delete vr12.0");
	usleep(50000);
	node_wait(&a, 12, "active", 4000);
	assert_true(has_address(&a, "10.9.0.120"));
	node_stop(&a);
	lab_run("ip link delete pl");
}

static void ipv6_speaks_from_its_link_local_address(void **state)
{
	struct node_router r = router(100);
	static struct elect_view v;

	r.six = true;
	r.address_count = 2;
	put(r.addresses[0], sizeof(r.addresses[0]), "fe80::100");
	put(r.addresses[1], sizeof(r.addresses[1]), "2001:db8:9::100");
	node_start(&a);
	node_set(&a, &r);
	node_wait(&a, 12, "active", 5000);
	node_look(&a, 12, &v);
	assert_int_equal(v.sets[0].source.family, 6);
	assert_int_equal(v.sets[0].source.octet[0], 0xfe);
	assert_true(has_address(&a, "2001:db8:9::100"));
	node_stop(&a);
}

/* --- tracks ---------------------------------------------------------------------------------- */

static struct node_router tracking(uint8_t kind, const char *target)
{
	struct node_router r = router(100);

	r.track_count = 1;
	r.tracks[0].kind = kind;
	snprintf(r.tracks[0].target, sizeof(r.tracks[0].target), "%s", target);
	return r;
}

/* Up, down by a command, up again by another: each turn within moments. */
static void turns(struct node_router r, const char *down, const char *up)
{
	static struct elect_view v;
	struct elect_event past[4];

	node_set(&a, &r);
	node_wait(&a, 12, "active", 4000);
	assert_true(node_look(&a, 12, &v));
	assert_true(v.tracks[0].up && v.tracks[0].known);
	node_run(&a, "%s", down);
	node_wait(&a, 12, "initialize", 2000);
	assert_true(node_look(&a, 12, &v));
	assert_false(v.tracks[0].up);
	assert_string_equal(v.reason, "fault");
	assert_true(node_history(&a, 12, past, 4) >= 1);
	assert_non_null(strstr(past[0].detail, r.tracks[0].target));
	node_run(&a, "%s", up);
	node_wait(&a, 12, "active", 4000);
	node_remove(&a, 12);
	for (int i = 0; i < 1000 && node_look(&a, 12, &v); i++)
		usleep(5000);
}

static void tracks_of_every_kind_turn(void **state)
{
	struct node_router other = router(100);
	char path[64];

	node_start(&a);
	node_run(&a, "ip link add t0 type veth peer name t1; ip link set t0 up; ip link set t1 up");
	turns(tracking(ROUTER_TRACK_INTERFACE, "t0"), "ip link set t1 down", "ip link set t1 up");
	node_run(&a, "ip route add 10.77.0.0/16 dev t0");
	turns(tracking(ROUTER_TRACK_ROUTE, "10.77.0.0/16"), "ip route del 10.77.0.0/16",
	      "ip route add 10.77.0.0/16 dev t0");
	snprintf(path, sizeof(path), "/run/vmac-t-%d-a/flag", getpid());
	node_run(&a, ": > %s", path);
	{
		char down[96], up[96], script[96];

		snprintf(down, sizeof(down), "rm %s", path);
		snprintf(up, sizeof(up), ": > %s", path);
		snprintf(script, sizeof(script), "/usr/bin/test -e %s", path);
		turns(tracking(ROUTER_TRACK_FILE, path), down, up);
		turns(tracking(ROUTER_TRACK_SCRIPT, script), down, up);
		node_run(&a, "%s", down);
	}
	turns(tracking(ROUTER_TRACK_PING, "2001:db8:9::9"),
	      "ip route add blackhole 2001:db8:9::9/128",
	      "ip route del blackhole 2001:db8:9::9/128");
	turns(tracking(ROUTER_TRACK_PING, "10.9.0.9"), "ip route add blackhole 10.9.0.9/32",
	      "ip route del blackhole 10.9.0.9/32");
	/* Another router: the path of r13 decides over r12. */
	other.id = 13;
	other.group = 13;
	put(other.addresses[0], sizeof(other.addresses[0]), "10.9.0.113");
	other.track_count = 1;
	other.tracks[0].kind = ROUTER_TRACK_INTERFACE;
	put(other.tracks[0].target, sizeof(other.tracks[0].target), "t0");
	node_set(&a, &other);
	turns(tracking(ROUTER_TRACK_ROUTER, "r13"), "ip link set t1 down", "ip link set t1 up");
	node_run(&a, "ip link delete t0");
	node_stop(&a);
}

static void a_weight_changes_who_is_the_router(void **state)
{
	struct node_router ra = tracking(ROUTER_TRACK_INTERFACE, "t0"), rb = router(100);

	ra.priority = 120;
	ra.tracks[0].weight = -50;
	node_run(&a, "ip link add t0 type veth peer name t1; ip link set t0 up; ip link set t1 up");
	node_start(&a);
	node_start(&b);
	node_set(&a, &ra);
	node_set(&b, &rb);
	node_wait(&a, 12, "active", 3000);
	node_wait(&b, 12, "backup", 3000);
	node_run(&a, "ip link set t1 down");
	node_wait(&b, 12, "active", 2000);
	node_wait(&a, 12, "backup", 1000);
	node_run(&a, "ip link set t1 up");
	node_wait(&a, 12, "active", 2000);
	node_wait(&b, 12, "backup", 1000);
	node_run(&a, "ip link delete t0");
	stop_both();
}

static void hung_programs_delay_no_advertisement(void **state)
{
	struct node_router r = router(100);
	static struct elect_view v;
	struct elect_event past[4];
	uint64_t sent, most;
	mono_t from;

	r.track_count = 1;
	r.tracks[0].kind = ROUTER_TRACK_SCRIPT;
	r.tracks[0].weight = 10;
	put(r.tracks[0].target, sizeof(r.tracks[0].target), "/bin/sleep 60");
	put(r.notify, sizeof(r.notify), "/usr/bin/yes"); /* never ends by itself */
	node_start(&a);
	node_start(&b);
	node_set(&a, &r);
	node_wait(&a, 12, "active", 3000);
	r = router(50);
	node_set(&b, &r);
	node_wait(&b, 12, "backup", 1000);
	node_look(&a, 12, &v);
	sent = v.sent;
	from = clock_boot();
	usleep(3000000);
	node_look(&a, 12, &v);
	/* We may have slept too long. */
	most = (uint64_t)(mono_since(clock_boot(), from).ns / 100000000) + 3;
	assert_in_range(v.sent - sent, 28, most);
	assert_true(v.late_ns_most < 50000000);
	assert_true(v.tracks[0].runs >= 10 && !v.tracks[0].up);
	/* Nobody ever missed it. */
	assert_int_equal(node_history(&b, 12, past, 4), 1);
	stop_both();
}

/* --- many ------------------------------------------------------------------------------------ */

#define MANY_LINKS 4
#define MANY_EACH  250

/* What the kernel itself takes to delete as many devices with one request: most of a stop, and on
 * one machine twice what it is on another. */
static span_t kernel_deletes(void)
{
	mono_t start;

	node_run(&a,
		 "for l in $(seq 0 %d); do for i in $(seq %d); do"
		 "  echo link add link m$l name k$l.$i up group 4711 type macvlan mode private;"
		 "  echo address add 10.30.$l.$i/32 dev k$l.$i; done; done | ip -batch -",
		 MANY_LINKS - 1, MANY_EACH);
	start = clock_boot();
	node_run(&a, "ip link delete group 4711");
	return mono_since(clock_boot(), start);
}

static void a_thousand_stop_in_no_time(void **state)
{
	struct node_router r = router(100);
	struct elect_facts facts = { 0 };
	mono_t start = clock_boot();
	span_t kernel;
	int64_t took;

	for (int l = 0; l < MANY_LINKS; l++) {
		char ifname[16], port[16], address[32];

		snprintf(ifname, sizeof(ifname), "m%d", l);
		snprintf(port, sizeof(port), "pm%d", l);
		snprintf(address, sizeof(address), "10.20.%d.1/24", l);
		plug(&a, ifname, port, address);
		lab_run("ip link set %s nomaster", port); /* a LAN of its own */
	}
	kernel = kernel_deletes();
	node_start(&a);
	r.interval_ms = 1000;
	r.linger_ms = 1;
	for (int i = 0; i < MANY_LINKS * MANY_EACH; i++) {
		r.id = (uint32_t)i + 1;
		r.group = (uint16_t)(i % MANY_EACH + 1);
		snprintf(r.ifname, sizeof(r.ifname), "m%d", i / MANY_EACH);
		snprintf(r.addresses[0], sizeof(r.addresses[0]), "10.20.%d.%d", i / MANY_EACH,
			 i % MANY_EACH + 2);
		node_set(&a, &r);
	}
	node_ready(&a);
	for (int i = 0; i < 1200 && facts.active < MANY_LINKS * MANY_EACH; i++) {
		usleep(20000);
		node_facts(&a, &facts);
	}
	assert_int_equal(facts.active, MANY_LINKS * MANY_EACH);
	print_message("all active after %.3f s, takeover %.1f ms at most, %u sockets\n",
		      (double)mono_since(clock_boot(), start).ns / 1e9,
		      (double)facts.takeover_ns_most / 1e6, facts.sockets);
	assert_in_range(facts.sockets, MANY_LINKS, 4 * MANY_LINKS);
	took = node_stop(&a);
	print_message("stopped in %.3f s, of which the kernel wants some %.3f s\n",
		      (double)took / 1e9, (double)kernel.ns / 1e9);
	/* One by one, devices or sockets would take twenty seconds or two. */
	assert_true(took < 2 * kernel.ns + SPAN_MS(100).ns);
	assert_false(node_try(&a, "ip -o link show | grep -q vr[0-9]"));
	for (int l = 0; l < MANY_LINKS; l++)
		lab_run("ip link delete pm%d", l);
}

/* With an argument: only tests whose names match it. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(two_hosts_elect_one, leave),
		cmocka_unit_test_teardown(a_killed_host_is_followed_and_falls_silent, leave),
		cmocka_unit_test_teardown(a_stop_hands_over, leave),
		cmocka_unit_test_teardown(an_equal_record_writes_nothing, leave),
		cmocka_unit_test_teardown(a_record_changes_under_way, leave),
		cmocka_unit_test_teardown(what_nobody_claims_is_swept, leave),
		cmocka_unit_test_teardown(a_link_comes_and_goes, leave),
		cmocka_unit_test_teardown(ipv6_speaks_from_its_link_local_address, leave),
		cmocka_unit_test_teardown(tracks_of_every_kind_turn, leave),
		cmocka_unit_test_teardown(a_weight_changes_who_is_the_router, leave),
		cmocka_unit_test_teardown(hung_programs_delay_no_advertisement, leave),
		cmocka_unit_test_teardown(a_thousand_stop_in_no_time, leave),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, enter, NULL);
}
