/* Real connections to a cluster's address: a client on the wire, members in namespaces that have
 * the address on lo and answer the client directly. */
#include "cluster_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define A    "5a:10:00:00:00:01"
#define B    "5a:10:00:00:00:02"
#define NIC  "52:54:00:aa:bb:cc"
#define WIRE "52:54:00:00:00:01"

static const char *attach_wanted;
static struct plane *p;
static struct test_cluster t;
static struct balance_row rows[CLUSTER_ROWS];
static int client, members[2], links[2], up;

static void address(int space, const char *dev, const char *ip, const char *ip6)
{
	lab_inside(space);
	lab_command("sysctl -qw net.ipv6.conf.%s.disable_ipv6=0 net.ipv6.conf.lo.disable_ipv6=0 "
		    "net.ipv6.conf.%s.accept_dad=0",
		    dev, dev);
	lab_command("ip addr add %s/24 dev %s && ip addr add %s/64 dev %s nodad", ip, dev, ip6,
		    dev);
	lab_inside(-1);
}

static void make_member(unsigned int i, const char *mac)
{
	char link[8], dev[8], ip[20], ip6[24];

	snprintf(link, sizeof(link), "m%u", i);
	snprintf(dev, sizeof(dev), "g%u", i);
	snprintf(ip, sizeof(ip), "192.0.2.%u", 11 + i);
	snprintf(ip6, sizeof(ip6), "2001:db8::%u", 11 + i);
	members[i] = lab_namespace();
	links[i] = lab_veth(link, dev, members[i], lab_mac(mac));
	address(members[i], dev, ip, ip6);
	lab_inside(members[i]);
	lab_command("ip addr add " VIP "/32 dev lo && ip addr add " VIP6 "/128 dev lo nodad");
	lab_command("ip neigh replace 192.0.2.1 lladdr " WIRE " dev %s", dev);
	lab_command("ip neigh replace 2001:db8::1 lladdr " WIRE " dev %s", dev);
	lab_command("iperf3 -s -D -I /tmp/vmac-t-iperf-%d-%u >/dev/null 2>&1", (int)getpid(), i);
	lab_inside(-1);
}

static void set_all(void)
{
	struct plane_uplink u = { 1, up, lab_mac(NIC), 1500 };
	struct plane_cluster c = { .slot = 0, .net = { 1, 0 }, .record = &t.record };
	static const char *const macs[] = { A, B };
	uint8_t bits[CLUSTER_MEMBERS_MAX / 8] = { 3 };
	struct error e;

	assert_int_equal(plane_uplink_set(p, &u, &e), 0);
	test_cluster_init(&t);
	t.record.affinity = CLUSTER_AFFINITY_SINGLE; /* iperf3's two connections belong together */
	for (unsigned int i = 0; i < 2; i++) {
		struct plane_port port = { .id = i + 1,
					   .ifindex = links[i],
					   .net = { 1, 0 },
					   .gate = PLANE_OPEN,
					   .address = lab_mac(macs[i]),
					   .mtu = 1500 };

		assert_int_equal(plane_port_set(p, &port, &e), 0);
		test_cluster_member(&t, (uint16_t)(i + 1), macs[i]);
	}
	for (unsigned int i = 0; i < CLUSTER_ROWS; i++)
		rows[i] = (struct balance_row){ (uint16_t)(1 + (i & 1)), (uint16_t)(2 - (i & 1)) };
	assert_int_equal(plane_cluster_set(p, &c, &e), 0);
	assert_int_equal(plane_cluster_install(p, 0, rows, bits, bits, &e), 0);
	assert_int_equal(plane_cluster_commit(p, 0, &e), 0);
	plane_cluster_lease(p, 0, 0, MONO_NEVER, MONO_NEVER);
}

/* Megabytes by TCP, in offloaded frames, over both families. */
static void test_tcp(void **state)
{
	struct plane_cluster_counters c;
	struct error e;

	set_all();
	lab_inside(client);
	assert_true(lab_try("timeout 20 iperf3 -c " VIP " -n 64M >/dev/null"));
	assert_true(lab_try("timeout 20 iperf3 -6 -c " VIP6 " -n 64M >/dev/null"));
	lab_inside(-1);
	assert_int_equal(plane_cluster_counters(p, 0, &c, &e), 0);
	assert_true(c.local > 2 * 64 * 1024 * 1024 / 1500);
	assert_int_equal(c.remote + c.malformed + c.no_address + c.second, 0);
}

static void end_member(unsigned int i)
{
	lab_command("f=/tmp/vmac-t-iperf-%d-%u; kill $(tr -d '\\0' <$f); rm -f $f", (int)getpid(),
		    i);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_tcp) };
	struct error e;
	int r;

	attach_wanted = argc > 1 ? argv[1] : NULL;
	lab_open();
	client = lab_namespace();
	up = lab_veth("wire", "cl", client, lab_mac(WIRE));
	address(client, "cl", "192.0.2.1", "2001:db8::1");
	lab_inside(client);
	lab_command("ip neigh replace " VIP " lladdr " FACE " dev cl");
	lab_command("ip neigh replace " VIP6 " lladdr " FACE " dev cl");
	lab_inside(-1);
	make_member(0, A);
	make_member(1, B);
	p = lab_plane(attach_wanted);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	end_member(0);
	end_member(1);
	plane_purge(p, &e);
	plane_close(p);
	return r;
}
