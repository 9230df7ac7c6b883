/* A frame for a cluster's face: which member gets it, frame by frame. */
#include "cluster_rig.h"
#include "wire/pulse.h"

static uint64_t wire_drops(unsigned int reason)
{
	struct plane_counters c;
	struct error e;

	assert_int_equal(plane_uplink_counters(p, 1, &c, &e), 0);
	return c.drops[reason];
}

/* --- who gets it ----------------------------------------------------------------------------- */

static void test_member_here(void **state)
{
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1000, TCP_SYN)), TO_A);
	assert_true(is_mac(0, A));
	assert_true(is_mac(6, WIRE)); /* the member learns the client where it is */
	all_rows(2, 0, 7);
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 1000)), TO_B);
	assert_int_equal(counters().local, 2);
	assert_int_equal(counters().remote, 0);
}

/* The trap: a frame that is sent on with the client's address teaches the switch a lie. */
static void test_member_elsewhere_is_sent_under_our_own_address(void **state)
{
	all_rows(3, 0, 7);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1000, TCP_SYN)), TO_WIRE);
	assert_true(is_mac(0, FAR));
	assert_true(is_mac(6, NIC));
	assert_int_equal(sent(1, tcp4(A, "192.0.2.1", 1000, TCP_SYN)), TO_WIRE);
	assert_true(is_mac(0, FAR));
	assert_true(is_mac(6, NIC));
	assert_int_equal(counters().remote, 2);
}

/* What is guessed of TCP says so by the face, while the host may speak for it. */
static void test_guess_is_said_by_the_face(void **state)
{
	all_rows(3, 0, 7);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK)), TO_WIRE);
	assert_true(is_mac(6, FACE));
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK)), TO_WIRE);
	assert_true(is_mac(6, FACE));
	lease(60000, 0);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 2, TCP_ACK)), TO_WIRE);
	assert_true(is_mac(6, NIC));
	lease(60000, 60000);
	/* Its beginning was seen. */
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 3, TCP_SYN)), TO_WIRE);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 3, TCP_ACK)), TO_WIRE);
	assert_true(is_mac(6, NIC));
}

static void test_from_a_port_and_the_host(void **state)
{
	struct lab_run run = { .program = PROGRAM_UPLINK_OUT, .ifindex = up };
	struct frame f = tcp4(NIC, "192.0.2.50", 7, TCP_SYN);

	assert_int_equal(sent(3, tcp4(C, "192.0.2.3", 9, TCP_SYN)), TO_A);
	assert_true(is_mac(6, C));
	run.frame = f.octet;
	run.len = f.len;
	assert_int_equal(lab_run(p, &run), TC_ACT_REDIRECT);
	all_rows(3, 0, 7);
	assert_int_equal(lab_run(p, &run), TC_ACT_UNSPEC);
	memcpy(got, run.after, 12);
	assert_true(is_mac(0, FAR));
	assert_true(is_mac(6, NIC));
	/* Whose anchor is elsewhere goes there. */
	lease(0, 0);
	assert_int_equal(sent(3, tcp4(C, "192.0.2.3", 9, TCP_SYN)), TO_WIRE);
	assert_true(is_mac(0, FACE));
	assert_int_equal(lab_run(p, &run), TC_ACT_UNSPEC);
	memcpy(got, run.after, 12);
	assert_true(is_mac(0, FACE));
}

static void test_lease_ends(void **state)
{
	uint64_t before = wire_drops(DROP_NOT_ANCHOR);

	lease(100, 100);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), TO_A);
	usleep(120000);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), NOBODY);
	assert_int_equal(wire_drops(DROP_NOT_ANCHOR), before + 1);
	assert_int_equal(counters().not_anchor, 1);
}

/* Frame after frame, beginning where the deadline is far and the clock is not read. */
static void test_lease_ends_when_it_ends(void **state)
{
	const int64_t until = test_in_ms(160).ns;
	const int64_t slack = 20000; /* clocks of one base, read apart */
	unsigned int served = 0, refused = 0;
	int64_t began = 0, ended;

	plane_cluster_lease(p, 5, 0, (mono_t){ until }, (mono_t){ until });
	while (began < until + 10000000) {
		struct frame f = tcp4(WIRE, CLIENT, 1, TCP_SYN);
		struct lab_run run = { PROGRAM_UPLINK_IN, up, f.octet, f.len };
		int verdict;

		began = test_in_ms(0).ns;
		verdict = lab_run(p, &run);
		ended = test_in_ms(0).ns;
		if (ended < until - slack)
			assert_int_equal(verdict, TC_ACT_REDIRECT);
		if (began > until + slack)
			assert_int_equal(verdict, TC_ACT_SHOT);
		if (verdict == TC_ACT_REDIRECT)
			served++;
		else
			refused++;
	}
	assert_true(served > 0 && refused > 0);
}

static void test_probe(void **state)
{
	struct frame f = tcp4(NIC, "192.0.2.50", 7, TCP_SYN);
	struct lab_run run = { .program = PROGRAM_UPLINK_OUT,
			       .ifindex = up,
			       .frame = f.octet,
			       .len = f.len,
			       .mark = PLANE_PROBE_MARK(2) };

	lease(0, 0);
	all_rows(0, 0, 0);
	assert_int_equal(lab_run(p, &run), TC_ACT_REDIRECT);
	assert_int_equal(run.mark_after, 0);
	memcpy(got, run.after, 12);
	assert_true(is_mac(0, B));
}

static void test_nobody(void **state)
{
	uint64_t before = wire_drops(DROP_NO_MEMBER);

	all_rows(0, 0, 0);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), NOBODY);
	assert_int_equal(counters().no_member, 1);
	assert_int_equal(wire_drops(DROP_NO_MEMBER), before + 1);
}

static void test_closed_gate(void **state)
{
	struct plane_gate_more more = { 0 };
	struct error e;

	assert_int_equal(plane_port_gate(p, 1, PLANE_CLOSED, &more, NULL, &e), 0);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), NOBODY);
	assert_int_equal(wire_drops(DROP_RECEIVER_CLOSED), 1);
	more.elsewhere = true; /* it moved: by the wire, like a member of another host */
	assert_int_equal(plane_port_gate(p, 1, PLANE_CLOSED, &more, NULL, &e), 0);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), TO_WIRE);
	assert_true(is_mac(6, NIC));
	assert_int_equal(plane_port_gate(p, 1, PLANE_OPEN, &more, NULL, &e), 0);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), TO_A);
}

/* --- what is read ---------------------------------------------------------------------------- */

/* Rows that differ, so that what is hashed is seen by who gets it. */
static void mixed_rows(void)
{
	uint8_t bits[CLUSTER_MEMBERS_MAX / 8] = { 3 };
	struct error e;

	for (unsigned int i = 0; i < CLUSTER_MAGLEV_ROWS; i++)
		rows[i] = (struct balance_row){ (uint16_t)(i * 2654435761u >> 16 & 1 ? 1 : 2), 0 };
	assert_int_equal(plane_cluster_install(p, 5, rows, bits, bits, &e), 0);
	commit();
}

static void test_spread_and_affinity(void **state)
{
	unsigned int to[5] = { 0 };
	int who;

	mixed_rows();
	for (unsigned int port = 1; port <= 1000; port++)
		to[sent(0, udp4(WIRE, CLIENT, port))]++;
	assert_true(to[TO_A] > 400 && to[TO_B] > 400 && to[TO_A] + to[TO_B] == 1000);
	for (int by = CLUSTER_AFFINITY_SINGLE; by <= CLUSTER_AFFINITY_NETWORK; by++) {
		t.record.affinity = (uint8_t)by;
		set_cluster();
		memset(to, 0, sizeof(to));
		for (unsigned int net = 1; net <= 100; net++) {
			char src[20];

			snprintf(src, sizeof(src), "10.1.%u.1", net);
			who = sent(0, tcp4(WIRE, src, 1, TCP_SYN));
			to[who]++;
			for (unsigned int port = 2; port <= 5; port++)
				assert_int_equal(sent(0, tcp4(WIRE, src, port, TCP_SYN)), who);
			snprintf(src, sizeof(src), "10.1.%u.200", net);
			if (by == CLUSTER_AFFINITY_NETWORK)
				assert_int_equal(sent(0, tcp4(WIRE, src, 1, TCP_SYN)), who);
		}
		assert_true(to[TO_A] > 25 && to[TO_B] > 25);
	}
}

static void test_maglev_rows(void **state)
{
	unsigned int to[5] = { 0 };

	t.record.table = CLUSTER_MAGLEV;
	set_cluster();
	mixed_rows();
	for (unsigned int port = 1; port <= 400; port++)
		to[sent(0, udp4(WIRE, CLIENT, port))]++;
	assert_true(to[TO_A] > 120 && to[TO_B] > 120);
}

/* All parts of a packet go one way, whatever their ports. */
static void test_fragments(void **state)
{
	int who;

	mixed_rows();
	for (unsigned int net = 1; net <= 30; net++) {
		struct frame f, first;
		char src[20];

		snprintf(src, sizeof(src), "10.2.%u.1", net);
		first = ip4_to(FACE, WIRE, src, VIP, 17, 0x2000, 0, 16);
		put_udp(&first, 1000 + net, 53);
		f = ip4_to(FACE, WIRE, src, VIP, 17, 0x0002, 0, 8);
		put_zeros(&f, 8);
		who = sent(0, first);
		assert_true(who == TO_A || who == TO_B);
		assert_int_equal(sent(0, f), who);
		f.octet[20] = 0x20; /* one in the middle */
		assert_int_equal(sent(0, f), who);
		f = ip6_to(FACE, WIRE, "2001:db8::7", VIP6, 44);
		f.octet[14 + 8 + 13] = (uint8_t)net;
		put_fragment(&f, 17, 1);
		put_udp(&f, 1000 + net, 53);
		who = sent(0, ip6_done(f));
		f.octet[14 + 40 + 2] = 0x01; /* a later part */
		assert_int_equal(sent(0, ip6_done(f)), who);
	}
	assert_int_equal(flows_of(1) + flows_of(2), 0);
	assert_int_equal(counters().malformed, 0);
}

static void test_options_and_headers(void **state)
{
	struct frame f, plain;
	int who;

	mixed_rows();
	for (unsigned int port = 1; port <= 30; port++) {
		who = sent(0, tcp4(WIRE, CLIENT, port, TCP_SYN));
		f = ip4_to(FACE, WIRE, CLIENT, VIP, 6, 0, 40, 20);
		put_tcp(&f, port, 80, TCP_SYN);
		assert_int_equal(sent(0, f), who);
		plain = ip6_to(FACE, WIRE, "2001:db8::7", VIP6, 6);
		put_tcp(&plain, port, 80, TCP_SYN);
		who = sent(0, ip6_done(plain));
		f = ip6_to(FACE, WIRE, "2001:db8::7", VIP6, 0);
		put_ext(&f, 60);
		put_ext(&f, 43);
		put_ext(&f, 6);
		put_tcp(&f, port, 80, TCP_SYN);
		assert_int_equal(sent(0, ip6_done(f)), who);
		/* Alone in its packet (RFC 6946). */
		f = ip6_to(FACE, WIRE, "2001:db8::7", VIP6, 44);
		put_fragment(&f, 6, 0);
		put_tcp(&f, port, 80, TCP_SYN);
		assert_int_equal(sent(0, ip6_done(f)), who);
	}
	f = ip6_to(FACE, WIRE, "2001:db8::7", VIP6, 0);
	for (unsigned int i = 0; i < 12; i++)
		put_ext(&f, i < 11 ? 60 : 6);
	put_tcp(&f, 1, 80, TCP_SYN);
	assert_int_equal(sent(0, ip6_done(f)), NOBODY);
	assert_int_equal(wire_drops(DROP_CLUSTER_FRAME), 1);
}

/* A router's "too big" about what a member sent goes to that member. */
static struct frame icmp_error(unsigned int sport, const char *inner_src)
{
	struct frame f = ip4_to(FACE, WIRE, "203.0.113.1", VIP, 1, 0, 0, 36);

	put8(&f, 3);
	put8(&f, 4);
	put16(&f, 0);
	put32(&f, 1400);
	put8(&f, 0x45);
	put8(&f, 0);
	put16(&f, 1500);
	put32(&f, 0x00014000);
	put8(&f, 63);
	put8(&f, 6);
	put16(&f, 0);
	put_ip(&f, inner_src);
	put_ip(&f, CLIENT);
	put16(&f, 80);
	put16(&f, sport);
	put32(&f, 1);
	return f;
}

static struct frame icmp6_error(unsigned int sport)
{
	struct frame f = ip6_to(FACE, WIRE, "2001:db8:1::1", VIP6, 58);

	put8(&f, 2);
	put8(&f, 0);
	put16(&f, 0);
	put32(&f, 1400);
	put32(&f, 0x60000000);
	put16(&f, 1400);
	put8(&f, 6);
	put8(&f, 63);
	put_ip(&f, VIP6);
	put_ip(&f, "2001:db8::7");
	put16(&f, 80);
	put16(&f, sport);
	put32(&f, 1);
	return ip6_done(f);
}

static void test_icmp_errors(void **state)
{
	struct frame f;
	int who[41], who6[41];

	mixed_rows();
	for (unsigned int port = 1; port <= 40; port++) {
		who[port] = sent(0, tcp4(WIRE, CLIENT, port, TCP_SYN));
		assert_int_equal(sent(0, tcp4(WIRE, CLIENT, port, TCP_ACK)), who[port]);
		assert_int_equal(sent(0, icmp_error(port, VIP)), who[port]);
		f = ip6_to(FACE, WIRE, "2001:db8::7", VIP6, 6);
		put_tcp(&f, port, 80, TCP_SYN);
		who6[port] = sent(0, ip6_done(f));
		assert_int_equal(sent(0, icmp6_error(port)), who6[port]);
		/* No flow: by the row, which is the same. */
		assert_int_equal(sent(0, icmp_error(port + 100, VIP)),
				 sent(0, tcp4(WIRE, CLIENT, port + 100, TCP_SYN)));
	}
	all_rows(3, 0, 7);
	for (unsigned int port = 1; port <= 40; port++)
		assert_int_equal(sent(0, icmp_error(port, VIP)), who[port]);
}

static void broken(struct frame f)
{
	uint64_t before = wire_drops(DROP_CLUSTER_FRAME);

	assert_int_equal(sent(0, f), NOBODY);
	assert_int_equal(wire_drops(DROP_CLUSTER_FRAME), before + 1);
}

static void test_malformed(void **state)
{
	struct frame f;

	broken(icmp_error(1, "192.0.2.77")); /* of a packet that was not the address's */
	for (size_t cut = 42; cut < icmp_error(1, VIP).len - 4; cut++) {
		f = icmp_error(1, VIP);
		f.len = cut;
		broken(f);
	}
	f = icmp_error(1, VIP);
	f.octet[42] = 0x65; /* IPv6 inside */
	broken(f);
	f.octet[42] = 0x44; /* a header of 16 octets */
	broken(f);
	for (size_t cut = 62; cut < icmp6_error(1).len - 4; cut++) {
		f = icmp6_error(1);
		f.len = cut;
		broken(f);
	}
	for (size_t cut = 15; cut < 48; cut++) {
		f = tcp4(WIRE, CLIENT, 1, TCP_SYN);
		f.len = cut;
		broken(f);
	}
	f = tcp4(WIRE, CLIENT, 1, TCP_SYN);
	f.octet[14 + 20 + 12] = 0x40; /* a TCP header of 16 octets */
	broken(f);
	assert_int_equal(counters().malformed, wire_drops(DROP_CLUSTER_FRAME));
}

static void test_not_its_address(void **state)
{
	struct frame f = ip4_to(FACE, WIRE, CLIENT, "192.0.2.99", 17, 0, 0, 16);

	put_udp(&f, 1, 53);
	assert_int_equal(sent(0, f), NOBODY);
	f = eth(FACE, WIRE, 0x88b5);
	put_zeros(&f, 46);
	assert_int_equal(sent(0, f), NOBODY);
	assert_int_equal(wire_drops(DROP_CLUSTER_ADDRESS), 2);
	assert_int_equal(counters().no_address, 2);
}

static void test_rules(void **state)
{
	struct frame f;

	t.rules[0] = (struct cluster_rule){ 17, CLUSTER_DROPPED, 50, 60 };
	t.rules[1] = (struct cluster_rule){ 6, CLUSTER_PRIORITY, 80, 80 };
	t.record.rule_count = 2;
	t.members[1].priority = 9;
	set_cluster();
	all_rows(1, 0, 7);
	assert_int_equal(sent(0, udp4(WIRE, CLIENT, 1)), NOBODY);
	assert_int_equal(wire_drops(DROP_CLUSTER_RULE), 1);
	assert_int_equal(counters().rule, 1);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), TO_B);
	f = ip4_to(FACE, WIRE, CLIENT, VIP, 6, 0, 0, 20);
	put_tcp(&f, 1, 443, TCP_SYN);
	assert_int_equal(sent(0, f), TO_A);
	/* What shows the port of the rule is dropped, and with it the packet; the rest cannot. */
	f = ip4_to(FACE, WIRE, CLIENT, VIP, 17, 0x2000, 0, 16);
	put_udp(&f, 1, 53);
	assert_int_equal(sent(0, f), NOBODY);
	f.octet[20] = 0;
	f.octet[21] = 2;
	assert_int_equal(sent(0, f), TO_A);
	t.members[1].state = MEMBER_DRAINING;
	set_cluster();
	all_rows(1, 0, 7);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 2, TCP_SYN)), TO_A);
}

/* --- VLANs ----------------------------------------------------------------------------------- */

/* The first port is one of VLAN 30. */
static void port_to_vlan(void)
{
	struct plane_port port = { .id = 1,
				   .ifindex = links[1],
				   .net = { 1, 30 },
				   .gate = PLANE_OPEN,
				   .address = lab_mac(A),
				   .mtu = 1500 };
	struct error e;

	assert_int_equal(plane_port_set(p, &port, &e), 0);
}

static void test_vlan(void **state)
{
	struct plane_cluster c = { .slot = 5, .net = { 1, 30 }, .record = &t.record };
	struct error e;

	port_to_vlan();
	assert_int_equal(plane_cluster_set(p, &c, &e), 0);
	lease(60000, 60000);
	all_rows(1, 0, 7);
	assert_int_equal(sent(0, tagged(tcp4(WIRE, CLIENT, 1, TCP_SYN), 30)), TO_A);
	assert_true(is_mac(0, A));
	assert_true(got[12] == 0x08 && got[13] == 0x00);
	/* Another VLAN has no such address. */
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), NOBODY);
	assert_int_equal(counters().local, 1);
	all_rows(3, 0, 7);
	assert_int_equal(sent(0, tagged(tcp4(WIRE, CLIENT, 1, TCP_SYN), 30)), TO_WIRE);
	assert_true(is_mac(0, FAR) && is_mac(6, NIC));
	assert_true(got[12] == 0x81 && (got[15] & 0xff) == 30);
	assert_int_equal(sent(1, tcp4(A, "192.0.2.1", 2, TCP_SYN)), TO_WIRE);
	assert_true(is_mac(0, FAR) && is_mac(6, NIC));
	assert_true(got[12] == 0x81 && (got[15] & 0xff) == 30);
}

/* --- a host whose daemon is dead ------------------------------------------------------------- */

static struct frame pulse(const char *to, enum pulse_kind kind)
{
	const struct pulse what = { lab_mac(to), lab_mac(PEER), kind, 0x1111, 0x2222 };
	struct frame f = { .len = PULSE_LEN };
	struct writer w = writer_of(f.octet, sizeof(f.octet));

	pulse_write(&w, &what);
	return f;
}

static void answered(size_t tag)
{
	uint8_t plain[PULSE_LEN];
	struct pulse what;

	memcpy(plain, got, 12);
	memcpy(plain + 12, got + 12 + tag, sizeof(plain) - 12);
	assert_int_equal(got_len, sizeof(plain) + tag);
	assert_true(pulse_read(plain, sizeof(plain), &what));
	assert_true(is_mac(0, PEER) && is_mac(6, NIC));
	assert_int_equal(what.kind, PULSE_ANSWER);
	assert_int_equal(what.cluster, 0x1111);
	assert_int_equal(what.secret, 0x2222);
}

/* Its programs say that it forwards; to nothing but that question, and only to the wire. */
static void test_pulse(void **state)
{
	struct frame other = pulse(NIC, PULSE_QUESTION);

	assert_int_equal(sent(0, pulse(NIC, PULSE_QUESTION)), TO_WIRE);
	answered(0);
	assert_int_equal(sent(0, pulse(NIC, PULSE_ANSWER)), NOBODY);
	assert_int_equal(sent(0, pulse(WIRE, PULSE_QUESTION)), NOBODY);
	assert_int_equal(sent(0, pulse(FACE, PULSE_QUESTION)), NOBODY);
	for (size_t at = 12; at < 19; at++) {
		other = pulse(NIC, PULSE_QUESTION);
		other.octet[at] ^= 4;
		assert_int_equal(sent(0, other), NOBODY);
	}
	other = pulse(NIC, PULSE_QUESTION);
	memcpy(other.octet + 6, lab_mac(A).octet, 6);
	assert_int_equal(sent(1, other), NOBODY);
	port_to_vlan();
	assert_int_equal(sent(0, tagged(pulse(NIC, PULSE_QUESTION), 30)), TO_WIRE);
	answered(4);
	assert_true(got[12] == 0x81 && (got[15] & 0xff) == 30);
	/* Nothing of ours is in that VLAN. */
	assert_int_equal(sent(0, tagged(pulse(NIC, PULSE_QUESTION), 31)), NOBODY);
	/* With no daemon at all. */
	plane_close(p);
	assert_int_equal(sent(0, pulse(NIC, PULSE_QUESTION)), TO_WIRE);
	answered(0);
	p = lab_plane(attach_wanted);
}

/* --- distributed ----------------------------------------------------------------------------- */

static void test_distributed(void **state)
{
	t.record.mode = CLUSTER_DISTRIBUTED;
	set_cluster();
	lease(0, 0);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), NOBODY);
	assert_int_equal(counters().not_anchor, 1);
	plane_cluster_own(p, 5, test_in_ms(60000));
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), TO_A);
	/* What it loses it takes no more from the installation on, what it gains not before the
	 * commit. */
	install(3, 1, 7);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), NOBODY);
	assert_int_equal(wire_drops(DROP_OTHERS_ROW), 1);
	assert_int_equal(counters().others, 1);
	commit();
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), NOBODY);
	install(2, 3, 7);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), NOBODY);
	commit();
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), TO_B);
	/* A flow that began elsewhere is handed to where it began. */
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 77, TCP_ACK)), TO_WIRE);
	assert_true(is_mac(0, FAR) && is_mac(6, NIC));
	assert_int_equal(counters().second, 1);
	/* Of our own ports, what is another's goes out to all. */
	all_rows(3, 0, 7);
	assert_int_equal(sent(3, tcp4(C, "192.0.2.3", 9, TCP_SYN)), TO_WIRE);
	assert_true(is_mac(0, FACE) && is_mac(6, C));
	plane_cluster_own(p, 5, (mono_t){ 0 });
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), NOBODY);
}

/* --- setting --------------------------------------------------------------------------------- */

static void test_restart(void **state)
{
	struct plane_cluster c = { .slot = 5, .net = { 1, 0 }, .record = &t.record };
	unsigned int removed;
	struct error e;

	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), TO_A);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK)), TO_A);
	plane_close(p);
	p = NULL;
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK)), TO_A); /* nobody is there */
	p = lab_plane(attach_wanted);
	set_ports();
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK)), TO_A);
	assert_int_equal(plane_cluster_set(p, &c, &e), 0);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK)), TO_A);
	assert_int_equal(flows_of(1), 1);
	assert_int_equal(plane_sweep(p, &removed, &e), 0);
	assert_int_equal(plane_cluster_sweep(p, &removed, &e), 0);
	assert_int_equal(removed, 0);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK)), TO_A);
	commit(); /* what was installed before the restart */
	/* What nobody sets again is swept. */
	plane_close(p);
	p = lab_plane(attach_wanted);
	set_ports();
	assert_int_equal(plane_cluster_sweep(p, &removed, &e), 0);
	assert_int_equal(removed, 1);
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_ACK)), NOBODY);
	assert_true(plane_cluster_remove(p, 5, &e) < 0);
}

/* Who is chosen by priority outlasts a restart, but for who is active no more. */
static void test_restart_with_priorities(void **state)
{
	t.record.mode = CLUSTER_DISTRIBUTED;
	t.rules[0] = (struct cluster_rule){ 6, CLUSTER_PRIORITY, 80, 80 };
	t.record.rule_count = 1;
	t.members[1].priority = 9;
	t.members[0].priority = 5;
	set_cluster();
	all_rows(3, 0, 7);
	plane_cluster_own(p, 5, test_in_ms(60000));
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), TO_B);
	plane_close(p);
	p = lab_plane(attach_wanted);
	set_ports();
	set_cluster();
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 2, TCP_SYN)), TO_B);
	commit(); /* what was installed before the restart */
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 3, TCP_SYN)), TO_B);
	t.members[1].state = MEMBER_FAILED;
	set_cluster();
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 4, TCP_SYN)), NOBODY);
	commit();
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 5, TCP_SYN)), TO_A);
}

static void test_refusals(void **state)
{
	struct plane_cluster c = { .slot = 6, .net = { 1, 0 }, .record = &t.record };
	struct plane_port port = { .id = 3,
				   .ifindex = links[3],
				   .net = { 1, 0 },
				   .gate = PLANE_OPEN,
				   .address = lab_mac(FACE),
				   .mtu = 1500 };
	struct error e;

	assert_true(plane_cluster_set(p, &c, &e) < 0); /* the face */
	assert_int_equal(e.code, ERROR_ADDRESS_IN_USE);
	t.faces[0] = lab_mac("02:76:00:00:00:02");
	assert_true(plane_cluster_set(p, &c, &e) < 0); /* the address */
	assert_int_equal(e.code, ERROR_ADDRESS_IN_USE);
	t.faces[0] = lab_mac(C);
	t.record.address_count = 0;
	assert_true(plane_cluster_set(p, &c, &e) < 0); /* a port's */
	assert_int_equal(e.code, ERROR_ADDRESS_IN_USE);
	t.faces[0] = lab_mac(NIC);
	assert_true(plane_cluster_set(p, &c, &e) < 0);
	assert_int_equal(e.code, ERROR_ADDRESS_IN_USE);
	assert_true(plane_port_set(p, &port, &e) < 0);
	assert_int_equal(e.code, ERROR_ADDRESS_IN_USE);
	assert_true(plane_cluster_install(p, 6, rows, t.record.key, t.record.key, &e) < 0);
	assert_int_equal(e.code, ERROR_NOT_FOUND);
}

static void test_face_changes(void **state)
{
	struct frame f = tcp4(WIRE, CLIENT, 1, TCP_SYN);

	t.faces[0] = lab_mac("02:76:00:00:00:02");
	set_cluster();
	assert_int_equal(sent(0, f), NOBODY); /* nobody's, and the host has no such address */
	assert_int_equal(counters().local, 0);
	f.octet[5] = 2;
	assert_int_equal(sent(0, f), NOBODY); /* a new face has no lease */
	lease(60000, 60000);
	assert_int_equal(sent(0, f), TO_A);
	/* A member that is none any more is known no more, before any rows say so. */
	assert_int_equal(sent(0, tcp4(WIRE, CLIENT, 1, TCP_SYN)), NOBODY);
}

static void test_members_counted(void **state)
{
	uint64_t frames, octets;
	struct error e;

	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(sent(0, udp4(WIRE, CLIENT, 1)), TO_A);
	assert_int_equal(plane_cluster_member(p, 5, 1, &frames, &octets, &e), 0);
	assert_int_equal(frames, 10);
	assert_int_equal(octets, 10 * 50);
	assert_int_equal(plane_cluster_member(p, 5, 2, &frames, &octets, &e), 0);
	assert_int_equal(frames, 0);
	assert_int_equal(flows_of(1), 1);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_member_here),
		TEST(test_member_elsewhere_is_sent_under_our_own_address),
		TEST(test_guess_is_said_by_the_face),
		TEST(test_from_a_port_and_the_host),
		TEST(test_lease_ends),
		TEST(test_lease_ends_when_it_ends),
		TEST(test_probe),
		TEST(test_nobody),
		TEST(test_closed_gate),
		TEST(test_spread_and_affinity),
		TEST(test_maglev_rows),
		TEST(test_fragments),
		TEST(test_options_and_headers),
		TEST(test_icmp_errors),
		TEST(test_malformed),
		TEST(test_not_its_address),
		TEST(test_rules),
		TEST(test_vlan),
		TEST(test_pulse),
		TEST(test_distributed),
		TEST(test_restart),
		TEST(test_restart_with_priorities),
		TEST(test_refusals),
		TEST(test_face_changes),
		TEST(test_members_counted),
	};

	int failed;

	open_links(argc, argv);
	failed = cmocka_run_group_tests_name("usual frames by themselves", tests, NULL, NULL);
	all_unusual = true;
	return failed + cmocka_run_group_tests_name("all frames alike", tests, NULL, NULL);
}
