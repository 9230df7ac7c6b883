/* Which member a flow has, from its first frame to its last, and what floods do to that. */
#include "cluster_rig.h"

/* Member 1 drains; all is the second's. */
static void drain(void)
{
	install_with(2, 1, 6, 7);
	commit();
}

static void test_established_stays(void **state)
{
	for (unsigned int port = 1; port <= 100; port++) {
		assert_int_equal(sent(0, tcp4(WIRE, CLIENT, port, TCP_SYN)), TO_A);
		assert_int_equal(sent(0, tcp4(WIRE, CLIENT, port, TCP_ACK)), TO_A);
		assert_int_equal(sent(0, udp4(WIRE, CLIENT, port)), TO_A);
		assert_int_equal(sent(0, udp4(WIRE, CLIENT, port)), TO_A);
	}
	assert_int_equal(flows_of(1), 200);
	drain();
	for (unsigned int port = 1; port <= 100; port++) {
		assert_int_equal(sent(0, tcp4(WIRE, CLIENT, port, TCP_ACK)), TO_A);
		assert_int_equal(sent(0, udp4(WIRE, CLIENT, port)), TO_A);
	}
	/* The trap: a SYN that follows what it finds, to a member that drains. */
	for (unsigned int port = 1; port <= 100; port++)
		assert_int_equal(sent(0, tcp4(WIRE, CLIENT, port, TCP_SYN)), TO_B);
	/* Who forges a SYN does not cut the flow. */
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK)), TO_A);
	all_rows(2, 0, 6); /* 1 is known no more */
	for (unsigned int port = 1; port <= 100; port++) {
		assert_int_equal(sent(0, tcp4(WIRE, CLIENT, port, TCP_ACK)), TO_B);
		assert_int_equal(sent(0, udp4(WIRE, CLIENT, port)), TO_B);
	}
}

static void test_port_used_again(void **state)
{
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), TO_A);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK)), TO_A);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK | TCP_FIN)), TO_A);
	all_rows(2, 1, 7);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK)), TO_A); /* its last word */
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), TO_B);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK)), TO_B);
}

/* The trap: a client's port whose last flow ended without its saying so, because the server reset
 * it: who gets the SYN gets all that follows.  (A SYN to one, its ACK to another: a reset.) */
static void again(unsigned int port, int who)
{
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, port, TCP_SYN)), who);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, port, TCP_ACK)), who);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, port, TCP_ACK)), who);
}

static void test_port_used_again_unseen(void **state)
{
	for (unsigned int port = 1; port <= 5; port++)
		again(port, TO_A);
	/* Another was added: both would do, and A knows best of a flow that may be its own. */
	all_rows(2, 1, 7);
	again(1, TO_A);
	again(6, TO_B);
	/* A guess that was wrong: it is no one's flow. */
	install_with(2, 1, 7, 7);
	commit();
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 7, TCP_ACK)), TO_A);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 7, TCP_ACK)), TO_A);
	again(7, TO_A);
	/* A drains: what was busy a moment ago stays its own, and what was not begins anew. */
	drain();
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 2, TCP_SYN)), TO_B);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 2, TCP_ACK)), TO_A);
	tcp_idle = SPAN_S(1800); /* as if all had stood still for 15 minutes */
	set_cluster();
	again(3, TO_B);
	again(4, TO_B);
	/* Dead. */
	all_rows(2, 0, 6);
	again(5, TO_B);
}

/* Where new flows are bound to the row, they are the row's. */
static void test_port_used_again_by_one_client(void **state)
{
	t.record.affinity = CLUSTER_AFFINITY_SINGLE;
	tcp_idle = SPAN_S(60);
	set_cluster();
	again(1, TO_A);
	all_rows(2, 1, 7);
	tcp_idle = SPAN_S(1800);
	set_cluster();
	again(1, TO_B);
}

static void test_port_used_again_distributed(void **state)
{
	t.record.mode = CLUSTER_DISTRIBUTED;
	set_cluster();
	plane_cluster_own(p, 5, test_in_ms(60000));
	again(1, TO_A);
	again(2, TO_A);
	again(3, TO_A);
	all_rows(2, 1, 7);
	again(1, TO_A);
	again(4, TO_B);
	all_rows(2, 0, 7); /* nobody asks A any more */
	again(2, TO_B);
	all_rows(2, 1, 6);
	again(3, TO_B);
}

/* Of a flow that is not known the first has no entry here: it is the second's. */
static void test_second_chance_here(void **state)
{
	all_rows(1, 2, 7);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK)), TO_B);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK)), TO_B);
	assert_int_equal(counters().second, 2);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 2, TCP_SYN)), TO_A);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 2, TCP_ACK)), TO_A);
	all_rows(1, 2, 5); /* 2 is known no more */
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK)), TO_A);
}

static struct frame for_member(const char *mac, struct frame f)
{
	vmac_mac_t m = lab_mac(mac);

	memcpy(f.octet, m.octet, 6);
	return f;
}

static struct frame to_member(const char *mac, const char *from, unsigned int sport,
			      unsigned int flags)
{
	return for_member(mac, tcp4(from, CLIENT, sport, flags));
}

static struct frame udp_to_member(const char *mac, const char *from, unsigned int sport)
{
	return for_member(mac, udp4(from, CLIENT, sport));
}

/* As the host of the row's first, for another host's anchor. */
static void test_second_chance_of_an_anchor_elsewhere(void **state)
{
	lease(0, 0);
	install(1, 3, 7);
	/* It knows, and this host remembers. */
	assert_int_equal(sent(0, to_member(A, PEER, 1, TCP_ACK)), TO_A);
	/* It guesses: what is known here stays, the rest is the second's, one hop at most. */
	assert_int_equal(sent(0, to_member(A, FACE, 1, TCP_ACK)), TO_A);
	assert_int_equal(sent(0, to_member(A, FACE, 2, TCP_ACK)), TO_WIRE);
	assert_true(is_mac(0, FAR));
	assert_true(is_mac(6, NIC));
	assert_int_equal(counters().second, 1);
	assert_int_equal(sent(0, to_member(A, FACE, 3, TCP_SYN)), TO_A);
	assert_int_equal(sent(0, to_member(A, FACE, 3, TCP_ACK)), TO_A);
	/* Not the row's first: as it was sent. */
	assert_int_equal(sent(0, to_member(B, FACE, 4, TCP_ACK)), TO_B);
	/* What is for no address of the cluster is any frame. */
	assert_int_equal(sent(0, to_member(A, WIRE, 5, TCP_ACK)), TO_A);
}

/* As an anchor that is new to the face: of UDP, too, it knows not what began before. */
static void test_udp_of_a_new_anchor(void **state)
{
	lease(0, 0);
	install(1, 2, 7);
	assert_int_equal(sent(0, udp_to_member(B, PEER, 1)), TO_B);
	lease(60000, 60000);
	/* Both are here, so what is not known is new: the first's; and what is known stays. */
	all_rows(1, 2, 7);
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 1)), TO_B);
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 2)), TO_A);
	all_rows(2, 1, 7);
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 2)), TO_A); /* that was no guess */
	/* The first here, the second elsewhere: that one is asked, … */
	all_rows(1, 3, 7);
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 3)), TO_WIRE);
	assert_true(is_mac(0, FAR));
	assert_true(is_mac(6, FACE));
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 3)), TO_WIRE); /* … as long as it keeps it, */
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 4)), TO_WIRE);
	assert_int_equal(sent(0, udp_to_member(A, PEER, 4)), TO_A); /* … or gives it back, */
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 4)), TO_A);	    /* … for good. */
	/* The first elsewhere. */
	all_rows(3, 1, 7);
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 5)), TO_WIRE);
	assert_true(is_mac(0, FAR));
	assert_true(is_mac(6, FACE));
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 5)), TO_WIRE);
	assert_true(is_mac(6, FACE)); /* still: it is not told whose it is */
}

/* The trap: a new flow that waits for a dead host's answer.  Who gets no new ones is asked only
 * where the record says why. */
static void test_udp_asks_nobody_who_may_be_gone(void **state)
{
	lease(0, 0);
	lease(60000, 60000);
	install_with(1, 3, 3, 7);
	commit();
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 1)), TO_A);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK)), TO_WIRE);
	lease(0, 0);
	assert_int_equal(sent(0, udp_to_member(A, FACE, 2)), TO_A);
	assert_int_equal(sent(0, to_member(A, FACE, 2, TCP_ACK)), TO_WIRE);
	lease(60000, 60000);
	/* One that was asked already has it no more. */
	all_rows(1, 3, 7);
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 3)), TO_WIRE);
	install_with(1, 3, 3, 7);
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 3)), TO_A);
	t.members[2].state = MEMBER_DRAINING;
	set_cluster();
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 3)), TO_A); /* that was no guess */
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 4)), TO_WIRE);
	t.members[2].state = MEMBER_ACTIVE;
	t.members[2].weight = 0;
	set_cluster();
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 5)), TO_WIRE);
	t.members[2].weight = 1;
	set_cluster();
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 6)), TO_A);
	/* Its host is silent, and forwards. */
	plane_cluster_standing(p, 5, (const uint8_t[CLUSTER_MEMBERS_MAX / 8]){ 1u << 2 });
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 7)), TO_WIRE);
	assert_true(is_mac(6, FACE));
	plane_cluster_standing(p, 5, (const uint8_t[CLUSTER_MEMBERS_MAX / 8]){ 1u << 1 });
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 8)), TO_A);
}

/* As the host of the row's first: what it does not know goes to the second in the first's name. */
static void test_udp_of_an_anchor_elsewhere(void **state)
{
	lease(0, 0);
	install(1, 3, 7);
	assert_int_equal(sent(0, udp_to_member(A, PEER, 1)), TO_A);
	assert_int_equal(sent(0, udp_to_member(A, FACE, 1)), TO_A);
	assert_int_equal(sent(0, udp_to_member(A, FACE, 2)), TO_WIRE);
	assert_true(is_mac(0, FAR));
	assert_true(is_mac(6, A));
	assert_int_equal(counters().second, 1);
	/* It came back: new, and the first's. */
	assert_int_equal(sent(0, udp_to_member(A, PEER, 2)), TO_A);
	assert_int_equal(sent(0, udp_to_member(A, FACE, 2)), TO_A);
	/* Where the second is here, too, there is nobody to ask. */
	install(1, 2, 7);
	assert_int_equal(sent(0, udp_to_member(A, FACE, 3)), TO_A);
	assert_int_equal(sent(0, udp_to_member(B, PEER, 4)), TO_B);
	assert_int_equal(sent(0, udp_to_member(A, FACE, 4)), TO_B);
	/* So what was delivered is no guess when this host becomes the anchor. */
	lease(60000, 60000);
	all_rows(2, 1, 7);
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 3)), TO_A);
	assert_int_equal(counters().second, 1);
}

/* As the host of the row's second: what it does not know goes back to the first. */
static void test_udp_is_given_back(void **state)
{
	lease(0, 0);
	install(3, 2, 7);
	assert_int_equal(sent(0, udp_to_member(B, PEER, 1)), TO_B);
	assert_int_equal(sent(0, udp_to_member(B, FAR, 1)), TO_B);
	assert_int_equal(sent(0, udp_to_member(B, FAR, 2)), TO_WIRE);
	assert_true(is_mac(0, FAR));
	assert_true(is_mac(6, NIC));
	assert_int_equal(sent(0, udp_to_member(B, FACE, 3)), TO_WIRE);
	assert_true(is_mac(0, FAR));
	assert_true(is_mac(6, NIC));
	/* Not so of TCP, and not where the rows say something else. */
	assert_int_equal(sent(0, to_member(B, FAR, 4, TCP_ACK)), TO_B);
	install(1, 2, 7);
	assert_int_equal(sent(0, udp_to_member(B, FAR, 5)), TO_B);
}

/* A member that came here brings its flows along, though this host never saw them. */
static void test_member_that_moved_keeps_its_flows(void **state)
{
	lease(0, 0);
	all_rows(1, 3, 7);
	for (unsigned int port = 1; port <= 50; port++)
		assert_int_equal(sent(0, to_member(A, PEER, port, TCP_ACK)), TO_A);
	assert_int_equal(flows_of(1), 50);
	/* This host takes over as anchor: it knows them all. */
	lease(60000, 60000);
	for (unsigned int port = 1; port <= 50; port++)
		assert_int_equal(sent(0, tcp4(WIRE, CLIENT, port, TCP_ACK)), TO_A);
}

/* The traps: floods that would push established flows out. */
static void flood(bool udp)
{
	struct frame f = udp ? udp4(WIRE, CLIENT, 0) : tcp4(WIRE, CLIENT, 0, TCP_SYN);
	struct lab_run run = { .program = PROGRAM_UPLINK_IN, .ifindex = up };
	struct plane_cluster_counters before;

	for (unsigned int port = 1; port <= 500; port++) {
		assert_int_equal(sent(0, tcp4(WIRE, CLIENT, port, TCP_SYN)), TO_A);
		assert_int_equal(sent(0, tcp4(WIRE, CLIENT, port, TCP_ACK)), TO_A);
	}
	all_rows(2, 1, 7);
	lease(1000000, 1000000); /* an emulated machine takes a minute for what follows */
	before = counters();
	run.frame = f.octet;
	run.len = f.len;
	for (uint32_t i = 0; i < 3000000; i++) { /* three times the table */
		uint32_t src = htonl(0x0a000000 + i / 60000);

		memcpy(f.octet + 26, &src, 4);
		f.octet[34] = (uint8_t)((i % 60000) >> 8);
		f.octet[35] = (uint8_t)(i % 60000);
		lab_run(p, &run);
	}
	assert_true(counters().flows_made - before.flows_made == 3000000);
	assert_int_equal(counters().flows_denied, 0);
	assert_int_equal(flows_of(1), 500);
	assert_true(flows_of(2) > 900000);
	for (unsigned int port = 1; port <= 500; port++)
		assert_int_equal(sent(0, tcp4(WIRE, CLIENT, port, TCP_ACK)), TO_A);
}

static void test_syn_flood(void **state)
{
	flood(false);
}

static void test_flow_a_packet(void **state)
{
	flood(true);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_established_stays),
		TEST(test_port_used_again),
		TEST(test_port_used_again_unseen),
		TEST(test_port_used_again_by_one_client),
		TEST(test_port_used_again_distributed),
		TEST(test_second_chance_here),
		TEST(test_second_chance_of_an_anchor_elsewhere),
		TEST(test_udp_of_a_new_anchor),
		TEST(test_udp_asks_nobody_who_may_be_gone),
		TEST(test_udp_of_an_anchor_elsewhere),
		TEST(test_udp_is_given_back),
		TEST(test_member_that_moved_keeps_its_flows),
		TEST(test_syn_flood),
		TEST(test_flow_a_packet),
	};

	int failed;

	open_links(argc, argv);
	failed = cmocka_run_group_tests_name("usual frames by themselves", tests, NULL, NULL);
	all_unusual = true;
	return failed + cmocka_run_group_tests_name("all frames alike", tests, NULL, NULL);
}
