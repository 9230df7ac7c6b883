/* Two hosts on a wire, each with its thread. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "place.h"

#define MS 1000000LL

static struct place a, b;
static struct place *const both[] = { &a, &b };

static int setup(void **state)
{
	places_make(&a, &b);
	return 0;
}

static int teardown(void **state)
{
	places_end(&a, &b);
	return 0;
}

/* Both have the cluster, and a view of both members is in force at both. */
static void begin(uint16_t vlan, uint8_t mode)
{
	place_start(&a);
	place_start(&b);
	place_set(&a, 1, vlan, mode, true);
	place_set(&b, 1, vlan, mode, true);
	place_sleep(2500);
}

static struct place *holder(uint32_t cluster, struct place **ret_other)
{
	bool at_a = place_serves(&a, cluster), at_b = place_serves(&b, cluster);

	if (at_a == at_b)
		fail_msg("cluster %u is served by %s", cluster, at_a ? "both" : "nobody");
	*ret_other = at_a ? &b : &a;
	return at_a ? &a : &b;
}

/* --- together -------------------------------------------------------------------------------- */

static void test_one_of_two(void **state)
{
	struct anchor_view view;
	struct place *has, *other;

	begin(0, CLUSTER_DIRECTOR);
	has = holder(1, &other);
	place_look(has, 1, &view);
	assert_true(view.linked && view.coordinator && view.faces[0].active);
	assert_int_equal(view.faces[0].holder, has->number);
	assert_true(view.faces[0].lease_ms > 0 && view.faces[0].lease_ms <= 600);
	assert_int_equal(view.peer_count, 1);
	assert_int_equal(view.peers[0].number, other->number);
	assert_true(view.peers[0].heard_ms < 600);
	assert_string_equal(view.live[0], "up");
	assert_string_equal(view.live[1], "up");
	assert_int_equal(view.hosts[0], 1);
	assert_int_equal(view.hosts[1], 2);
	assert_true(view.sent >= 5 && view.heard >= 5);
	assert_int_equal(view.replayed + view.behind + view.late, 0);
	assert_true(view.committed.number > 0);
	assert_int_equal(view.faces[0].epoch, has->seen->held[1]);
	place_look(other, 1, &view);
	assert_true(view.linked && !view.coordinator && !view.faces[0].active);
	assert_int_equal(view.faces[0].holder, has->number);
	assert_true(view.committed.number > 0);
	assert_int_equal(view.committed.epoch, has->seen->held[1]);
	assert_true(a.seen->installed && a.seen->committed);
	assert_true(b.seen->installed && b.seen->committed);
	assert_int_equal(places_longest(both, 2, 1, 0, 0, true), 0);
}

static void test_the_holder_is_killed(void **state)
{
	struct place *has, *other;
	int64_t killed, taken;
	uint64_t epoch;

	begin(0, CLUSTER_DIRECTOR);
	has = holder(1, &other);
	epoch = has->seen->held[1];
	killed = place_now();
	place_kill(has);
	taken = place_wait(other, 1, 1500);
	print_message("taken over after %lld ms\n", (long long)((taken - killed) / MS));
	assert_true(taken - killed <= 1000 * MS);
	place_sleep(100);
	assert_int_equal(other->seen->held[1], epoch + 1);
	/* The dead one's lease was over before the other's began. */
	assert_int_equal(places_longest(both, 2, 1, killed, taken, true), 0);
}

static void test_the_holder_stops(void **state)
{
	struct place *has, *other;
	int64_t from, took;
	uint64_t epoch;

	begin(0, CLUSTER_DIRECTOR);
	has = holder(1, &other);
	epoch = has->seen->held[1];
	from = place_now();
	took = place_stop(has);
	print_message("stopped within %lld ms\n", (long long)(took / MS));
	assert_true(took < 1200 * MS);
	place_sleep(500);
	assert_true(place_serves(other, 1));
	assert_int_equal(other->seen->held[1], epoch + 1);
	assert_int_equal(places_longest(both, 2, 1, from, place_now(), false), 0);
}

static void test_the_other_stops(void **state)
{
	struct place *has, *other;
	struct anchor_view view;
	int64_t from, took;

	begin(0, CLUSTER_DIRECTOR);
	has = holder(1, &other);
	from = place_now();
	took = place_stop(other);
	assert_true(took < 300 * MS);
	place_sleep(1000);
	place_look(has, 1, &view);
	assert_int_equal(view.peer_count, 0);
	/* Its daemon may only be restarted: its members go on meanwhile. */
	assert_string_equal(view.live[other->number - 1], "up");
	assert_int_equal(places_longest(both, 2, 1, from, place_now(), false), 0);
}

static void test_the_holder_loses_it(void **state)
{
	struct anchor_view view;
	struct place *has, *other;
	int64_t from;

	begin(0, CLUSTER_DIRECTOR);
	has = holder(1, &other);
	from = place_now();
	place_remove(has, 1);
	place_wait(other, 1, 1000);
	place_sleep(1200);
	assert_false(place_serves(has, 1));
	assert_int_equal(places_longest(both, 2, 1, from, place_now(), false), 0);
	/* Its thread has ended with its last cluster. */
	place_look(has, 1, &view);
	assert_int_equal(has->seen->threads, 1);
	/* It comes back, and nobody gives way to it, nor takes its heartbeats for old ones. */
	place_set(has, 1, 0, CLUSTER_DIRECTOR, true);
	place_sleep(1500);
	assert_ptr_equal(holder(1, &has), other);
	place_look(other, 1, &view);
	assert_int_equal(view.peer_count, 1);
	assert_int_equal(view.replayed, 0);
}

/* --- trouble --------------------------------------------------------------------------------- */

/* What sleeps beyond its lease has none when it wakes, and learns who has. */
static void test_the_holder_hangs(void **state)
{
	struct place *has, *other;
	struct anchor_view view;
	int64_t from;

	begin(0, CLUSTER_DIRECTOR);
	has = holder(1, &other);
	from = place_now();
	kill(has->pid, SIGSTOP);
	place_wait(other, 1, 1500);
	place_sleep(500);
	kill(has->pid, SIGCONT);
	place_sleep(700);
	assert_false(place_serves(has, 1));
	assert_true(place_serves(other, 1));
	place_look(has, 1, &view);
	assert_false(view.faces[0].active);
	assert_int_equal(view.faces[0].holder, other->number);
	assert_true(view.late >= 1);
	assert_int_equal(places_longest(both, 2, 1, from, place_now(), true), 0);
}

static void test_the_link_goes_down(void **state)
{
	struct anchor_view view;
	struct place *has, *other;

	begin(0, CLUSTER_DIRECTOR);
	has = holder(1, &other);
	/* Of a veth both ends lose their carrier; only one is down, and only that one is told. */
	place_run(has, "ip link set %s down", has->ifname);
	place_set(has, 1, 0, CLUSTER_DIRECTOR, false);
	place_sleep(1200);
	assert_false(place_serves(has, 1));
	place_look(has, 1, &view);
	assert_false(view.linked);
	place_run(has, "ip link set %s up", has->ifname);
	place_set(has, 1, 0, CLUSTER_DIRECTOR, true);
	place_sleep(2500);
	has = holder(1, &other);
	place_look(other, 1, &view);
	assert_int_equal(view.peer_count, 1);
	assert_true(view.linked);
}

/* A frame that says to be a heartbeat, and one that is cut short. */
static void test_lies(void **state)
{
	uint8_t key[16], frame[HEARTBEAT_LEN_MAX], wrong[16] = { 9 };
	struct place *has, *other;
	struct anchor_view view;
	struct heartbeat h = { .host = { 9 }, .number = 9, .incarnation = 1, .sequence = 1 };
	struct writer w = writer_of(frame, sizeof(frame));
	int fd;

	memset(key, 7, sizeof(key));
	begin(0, CLUSTER_DIRECTOR);
	has = holder(1, &other);
	h.cluster = heartbeat_cluster("lan", "web1", key);
	h.generation = 1;
	h.face_count = 1;
	h.bitmap_octets = 1;
	h.faces[0].state = HEARTBEAT_ACTIVE;
	h.faces[0].epoch = 1ULL << 40;
	heartbeat_write(&w, (vmac_mac_t){ { 2, 0, 0, 0, 0, 9 } }, &h, wrong);
	lab_go(other->ns.fd);
	fd = lab_packet_socket(other->ifname);
	lab_home();
	for (unsigned int i = 0; i < 1000; i++) {
		assert_true(send(fd, frame, writer_used(&w), 0) > 0);
		if (i < 10)
			assert_true(send(fd, frame, 70, 0) > 0);
	}
	close(fd);
	place_sleep(300);
	assert_true(place_serves(has, 1));
	place_look(has, 1, &view);
	assert_int_equal(view.verdicts[HEARTBEAT_FORGED], 1000);
	assert_int_equal(view.verdicts[HEARTBEAT_MALFORMED], 10);
	assert_int_equal(view.peer_count, 1);
	assert_true(view.faces[0].active);
}

/* --- the wire -------------------------------------------------------------------------------- */

static unsigned int count_of(const char *file, const char *filter)
{
	char command[512];
	unsigned int n = 0;
	FILE *f;

	snprintf(command, sizeof(command), "tshark -r %s -Y '%s' 2>/dev/null | wc -l", file,
		 filter);
	f = popen(command, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &n), 1);
	assert_int_equal(pclose(f), 0);
	return n;
}

/* Five seconds, from the first moment of the cluster on. */
static void capture(const char *file, uint16_t vlan)
{
	lab_go(a.ns.fd);
	lab_run("exec 2>/dev/null; tshark -q -i a0 -a duration:5 -w %s & "
		"for i in $(seq 100); do [ -s %s ] && exit 0; sleep 0.1; done; exit 1",
		file, file);
	lab_home();
	begin(vlan, CLUSTER_DIRECTOR);
	place_sleep(3500);
}

static void wire(uint16_t vlan)
{
	char file[64], filter[128];
	struct place *other;

	if (!lab_try("tshark --version >/dev/null 2>&1"))
		skip();
	snprintf(file, sizeof(file), "/tmp/vmac-t-%d.pcap", getpid());
	capture(file, vlan);
	holder(1, &other);
	print_message("%u heartbeats\n", count_of(file, "eth.dst == 03:76:4d:41:43:00"));
	assert_true(count_of(file, "eth.dst == 03:76:4d:41:43:00") >= 20);
	assert_int_equal(count_of(file, "_ws.malformed || _ws.expert.severity == error"), 0);
	assert_int_equal(
		count_of(file, "arp.dst.proto_ipv4 == 10.0.0.1 && eth.src != 0a:00:00:00:00:01"),
		0);
	assert_true(count_of(file,
			     "arp.isgratuitous == 1 && arp.src.hw_mac == 0a:00:00:00:00:01") >= 5);
	assert_true(count_of(file, "arp.opcode == 3 && eth.src == 0a:00:00:00:00:01") >= 5);
	assert_true(count_of(file,
			     "icmpv6.type == 136 && icmpv6.nd.na.target_address == fd00::1") >= 5);
	snprintf(filter, sizeof(filter), vlan ? "vlan.id != %u" : "vlan", vlan);
	assert_int_equal(count_of(file, filter), 0);
	snprintf(filter, sizeof(filter), vlan ? "eth.dst == 03:76:4d:41:43:00 && !vlan" : "vlan");
	assert_int_equal(count_of(file, filter), 0);
	unlink(file);
}

static void test_wire(void **state)
{
	wire(0);
}

static void test_wire_tagged(void **state)
{
	wire(30);
}

static void test_other_vlan_is_another_world(void **state)
{
	place_start(&a);
	place_start(&b);
	place_set(&a, 1, 30, CLUSTER_DIRECTOR, true);
	place_set(&b, 1, 31, CLUSTER_DIRECTOR, true);
	place_wait(&a, 1, 2000);
	place_wait(&b, 1, 2000);
}

static void test_no_cluster_no_thread(void **state)
{
	struct anchor_view view;

	place_start(&a);
	place_look(&a, 1, &view);
	assert_int_equal(a.seen->threads, 1);
	assert_int_equal(a.seen->sockets, 1); /* to the test */
	for (uint32_t id = 1; id <= PLACE_CLUSTERS; id++)
		place_set(&a, id, id % 3 ? (uint16_t)id : 0, CLUSTER_DIRECTOR, true);
	place_sleep(300);
	place_look(&a, 1, &view);
	assert_int_equal(a.seen->threads, 2);
	assert_int_equal(a.seen->sockets, 2); /* one for all of a link */
	for (uint32_t id = 1; id <= PLACE_CLUSTERS; id++)
		place_remove(&a, id);
	place_sleep(1300);
	place_look(&a, 1, &view);
	assert_int_equal(a.seen->sockets, 1);
	assert_int_equal(a.seen->threads, 1);
	place_set(&a, 1, 0, CLUSTER_DIRECTOR, true);
	place_wait(&a, 1, 2000);
	place_look(&a, 1, &view);
	assert_int_equal(a.seen->threads, 2);
	assert_int_equal(a.seen->sockets, 2);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* --- listening ------------------------------------------------------------------------------- */

static bool b_knows(const char *group)
{
	bool yes;

	lab_go(b.ns.fd);
	yes = lab_try("bridge mdb show dev br0 | grep -q 'port b0 grp %s '", group);
	lab_home();
	return yes;
}

static bool wait_until_b(const char *group, bool knows, int ms)
{
	for (int i = 0; i < ms / 50 && b_knows(group) != knows; i++)
		place_sleep(50);
	return b_knows(group) == knows;
}

/* A switch that delivers multicast to listeners alone delivers questions for the addresses. */
static void test_a_switch_that_looks_at_mld(void **state)
{
	place_run(&b, "ip link add br0 type bridge mcast_snooping 1 mcast_querier 1 "
		      "mcast_last_member_count 1 mcast_last_member_interval 20");
	place_run(&b, "ip link set b0 master br0 && ip link set br0 up");
	place_run(&a, "sysctl -qw net.ipv6.conf.a0.disable_ipv6=1");
	place_start(&a);
	place_set(&a, 1, 0, CLUSTER_DIRECTOR, true);
	assert_true(wait_until_b("ff02::1:ff00:1", true, 2000));
	place_run(&a, "ip maddress show dev a0 | grep -q 33:33:ff:00:00:01");
	place_remove(&a, 1);
	assert_true(wait_until_b("ff02::1:ff00:1", false, 5000));
	lab_go(a.ns.fd);
	assert_false(lab_try("ip maddress show dev a0 | grep -q 33:33:ff:00:00:01"));
	lab_home();
	place_stop(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_one_of_two),
		CASE(test_the_holder_is_killed),
		CASE(test_the_holder_stops),
		CASE(test_the_other_stops),
		CASE(test_the_holder_loses_it),
		CASE(test_a_switch_that_looks_at_mld),
		CASE(test_the_holder_hangs),
		CASE(test_the_link_goes_down),
		CASE(test_lies),
		CASE(test_wire),
		CASE(test_wire_tagged),
		CASE(test_other_vlan_is_another_world),
		CASE(test_no_cluster_no_thread),
	};

	lab_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
