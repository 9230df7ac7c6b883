/* Nat: members without the virtual addresses; every sum of every packet is held against its own
 * computation. */
#include "member_lab.h"

#define MORE 0x2000

/* --- what is sent, both ways ----------------------------------------------------------------- */

static struct frame udp(const char *to, const char *from, const char *src, unsigned int sport,
			const char *dst, unsigned int dport, bool summed)
{
	struct frame f = packet(to, from, src, dst, 17, 8 + 7);
	size_t at = f.len;

	put16(&f, sport);
	put16(&f, dport);
	put16(&f, 8 + 7);
	put16(&f, 0);
	put(&f, "payload", 7);
	f = sealed(f);
	if (!summed)
		memset(f.octet + at + 6, 0, 2);
	return f;
}

static struct frame echo(const char *to, const char *from, const char *src, const char *dst,
			 unsigned int type, size_t payload)
{
	struct frame f = packet(to, from, src, dst, lab_ip(dst).family == 6 ? 58 : 1, 8 + payload);

	put8(&f, type);
	put8(&f, 0);
	put16(&f, 0);
	put16(&f, 77);
	put16(&f, 1);
	for (size_t i = 0; i < payload; i++)
		put8(&f, (unsigned int)i);
	return sealed(f);
}

/* An ICMP error that bears `len` octets of the packet inside `of`. */
static struct frame error_of(const char *to, const char *from, const char *src, const char *dst,
			     struct frame of, size_t len)
{
	bool is_ip6 = lab_ip(dst).family == 6;
	struct frame f = packet(to, from, src, dst, is_ip6 ? 58 : 1, 8 + len);
	size_t at = f.len;
	uint32_t sum;

	put8(&f, is_ip6 ? 1 : 3);
	put8(&f, 1);
	put16(&f, 0);
	put32(&f, 0);
	put(&f, of.octet + 14, len);
	/* Its own sum alone, since the inside is what was sent. */
	sum = is_ip6 ? sum_of(f.octet + 14 + 8, 32, 58 + 8 + (uint32_t)len) : 0;
	sum = folded(sum_of(f.octet + at, 8 + len, sum));
	f.octet[at + 2] = (uint8_t)(sum >> 8);
	f.octet[at + 3] = (uint8_t)sum;
	if (!is_ip6) {
		memset(f.octet + 24, 0, 2);
		sum = folded(sum_of(f.octet + 14, 20, 0));
		f.octet[24] = (uint8_t)(sum >> 8);
		f.octet[25] = (uint8_t)sum;
	}
	return f;
}

static struct {
	const char *client, *vip, *own;
} ends[] = { { CLIENT4, VIP4, A4 }, { CLIENT6, VIP6, A6 } };

static int nat(void **state)
{
	fresh(state);
	record.nat = true;
	set_cluster();
	return 0;
}

/* From the wire to the face; A gets it with its own address, and as it should be. */
static void in_as(struct frame f, struct frame wanted)
{
	assert_int_equal(sent(0, f), ON(1));
	CHECK_FRAME(got[1], wanted);
}

static void out_as(struct frame f, struct frame wanted)
{
	assert_int_equal(sent(1, f), ON_WIRE);
	CHECK_FRAME(got[0], wanted);
}

/* --- each protocol --------------------------------------------------------------------------- */

static void tcp_is_rewritten_both_ways(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		const char *c = ends[i].client, *v = ends[i].vip, *o = ends[i].own;

		/* Before there is a flow it is the member's own business. */
		out_as(tcp(CLIENT, A, o, 80, c, 5000, ACK), tcp(CLIENT, A, o, 80, c, 5000, ACK));
		in_as(tcp(FACE, CLIENT, c, 5000, v, 80, SYN), tcp(A, CLIENT, c, 5000, o, 80, SYN));
		out_as(tcp(CLIENT, A, o, 80, c, 5000, SYN | ACK),
		       tcp(CLIENT, A, v, 80, c, 5000, SYN | ACK));
		in_as(tcp(FACE, CLIENT, c, 5000, v, 80, ACK), tcp(A, CLIENT, c, 5000, o, 80, ACK));
		out_as(tcp(CLIENT, A, o, 80, c, 5000, ACK), tcp(CLIENT, A, v, 80, c, 5000, ACK));
		/* Its own, at the same time. */
		out_as(tcp(CLIENT, A, o, 80, c, 5001, ACK), tcp(CLIENT, A, o, 80, c, 5001, ACK));
		out_as(tcp(CLIENT, A, o, 22, c, 5000, ACK), tcp(CLIENT, A, o, 22, c, 5000, ACK));
		assert_int_equal(sent(0, tcp(A, CLIENT, c, 5000, o, 22, ACK)), ON(1));
		CHECK_FRAME(got[1], tcp(A, CLIENT, c, 5000, o, 22, ACK));
	}
}

static void udp_is_rewritten_with_and_without_a_sum(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		const char *c = ends[i].client, *v = ends[i].vip, *o = ends[i].own;

		for (unsigned int summed = i; summed < 2; summed++) {
			in_as(udp(FACE, CLIENT, c, 5000, v, 53, summed),
			      udp(A, CLIENT, c, 5000, o, 53, summed));
			out_as(udp(CLIENT, A, o, 53, c, 5000, summed),
			       udp(CLIENT, A, v, 53, c, 5000, summed));
		}
		out_as(udp(CLIENT, A, o, 53, c, 5001, true), udp(CLIENT, A, o, 53, c, 5001, true));
	}
}

static void echoes_are_rewritten(void **state)
{
	in_as(echo(FACE, CLIENT, CLIENT4, VIP4, 8, 20), echo(A, CLIENT, CLIENT4, A4, 8, 20));
	out_as(echo(CLIENT, A, A4, CLIENT4, 0, 20), echo(CLIENT, A, VIP4, CLIENT4, 0, 20));
	in_as(echo(FACE, CLIENT, CLIENT6, VIP6, 128, 20), echo(A, CLIENT, CLIENT6, A6, 128, 20));
	out_as(echo(CLIENT, A, A6, CLIENT6, 129, 20), echo(CLIENT, A, VIP6, CLIENT6, 129, 20));
}

/* Of what the member sent (to the face), and of what it was sent (from the member). */
static void errors_are_rewritten_inside_and_outside(void **state)
{
	static const char *const router[] = { "192.0.2.1", "2001:db8::1" };

	for (unsigned int i = 0; i < 2; i++) {
		const char *c = ends[i].client, *v = ends[i].vip, *o = ends[i].own;
		size_t header = i ? 40 : 20;
		struct frame t = tcp(CLIENT, A, v, 80, c, 5000, ACK),
			     to = tcp(CLIENT, A, o, 80, c, 5000, ACK),
			     u = udp(FACE, CLIENT, c, 6000, v, 53, true),
			     uo = udp(A, CLIENT, c, 6000, o, 53, true);

		in_as(tcp(FACE, CLIENT, c, 5000, v, 80, SYN), tcp(A, CLIENT, c, 5000, o, 80, SYN));
		in_as(u, uo);
		/* All of the packet inside, and eight octets of its payload. */
		in_as(error_of(FACE, CLIENT, router[i], v, t, header + 25),
		      error_of(A, CLIENT, router[i], o, to, header + 25));
		in_as(error_of(FACE, CLIENT, router[i], v, t, header + 8),
		      error_of(A, CLIENT, router[i], o, to, header + 8));
		out_as(error_of(CLIENT, A, o, c, uo, header + 15),
		       error_of(CLIENT, A, v, c, u, header + 15));
		out_as(error_of(CLIENT, A, o, c, uo, header + 8),
		       error_of(CLIENT, A, v, c, u, header + 8));
		/* Of its own business. */
		uo = udp(A, CLIENT, c, 6001, o, 53, true);
		out_as(error_of(CLIENT, A, o, c, uo, header + 15),
		       error_of(CLIENT, A, o, c, uo, header + 15));
	}
}

/* --- fragments ------------------------------------------------------------------------------- */

/* A UDP datagram of 8 + 24 octets in two parts: the first has 16 of them.  Its sum is over the
 * whole, so here as the test says. */
static struct frame part(const char *to, const char *from, const char *src, unsigned int sport,
			 const char *dst, unsigned int dport, unsigned int number, unsigned int id)
{
	bool is_ip6 = lab_ip(dst).family == 6;
	struct frame f = packet(to, from, src, dst, is_ip6 ? 44 : 17, 16 + (is_ip6 ? 8 : 0));
	uint8_t whole[32] = {
		(uint8_t)(sport >> 8), (uint8_t)sport, (uint8_t)(dport >> 8), (uint8_t)dport, 0, 32
	};
	size_t ip_at = 14;
	uint32_t sum;

	for (unsigned int i = 8; i < 32; i++)
		whole[i] = (uint8_t)(i * 7);
	sum = sum_of(is_ip6 ? f.octet + ip_at + 8 : f.octet + ip_at + 12, is_ip6 ? 32 : 8, 17 + 32);
	sum = folded(sum_of(whole, 32, sum));
	whole[6] = (uint8_t)(sum >> 8);
	whole[7] = (uint8_t)sum;
	if (is_ip6) {
		put8(&f, 17);
		put8(&f, 0);
		put16(&f, number ? 16 : 1);
		put32(&f, id);
	} else {
		f.octet[ip_at + 4] = (uint8_t)(id >> 8);
		f.octet[ip_at + 5] = (uint8_t)id;
		f.octet[ip_at + 6] = number ? 0 : MORE >> 8;
		f.octet[ip_at + 7] = number ? 2 : 0;
	}
	put(&f, whole + number * 16, 16);
	if (!is_ip6) {
		sum = folded(sum_of(f.octet + ip_at, 20, 0));
		f.octet[ip_at + 10] = (uint8_t)(sum >> 8);
		f.octet[ip_at + 11] = (uint8_t)sum;
	}
	return f;
}

static void fragments_are_rewritten(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		const char *c = ends[i].client, *v = ends[i].vip, *o = ends[i].own;

		/* A question in parts, and an answer in one piece. */
		for (unsigned int n = 0; n < 2; n++)
			in_as(part(FACE, CLIENT, c, 5000, v, 53, n, 1),
			      part(A, CLIENT, c, 5000, o, 53, n, 1));
		out_as(udp(CLIENT, A, o, 53, c, 5000, true), udp(CLIENT, A, v, 53, c, 5000, true));
	}
}

static void answers_in_fragments_are_rewritten(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		const char *c = ends[i].client, *v = ends[i].vip, *o = ends[i].own;

		/* The later part of nobody's is the member's own. */
		out_as(part(CLIENT, A, o, 53, c, 5000, 1, 8),
		       part(CLIENT, A, o, 53, c, 5000, 1, 8));
		in_as(udp(FACE, CLIENT, c, 5000, v, 53, true),
		      udp(A, CLIENT, c, 5000, o, 53, true));
		for (unsigned int n = 0; n < 2; n++)
			out_as(part(CLIENT, A, o, 53, c, 5000, n, 9),
			       part(CLIENT, A, v, 53, c, 5000, n, 9));
		for (unsigned int n = 0; n < 2; n++)
			out_as(part(CLIENT, A, o, 54, c, 5000, n, 10),
			       part(CLIENT, A, o, 54, c, 5000, n, 10));
	}
}

/* --- other ways ------------------------------------------------------------------------------ */

/* Another host's anchor chose: the frame comes by the wire for the member itself. */
static void what_another_host_hands_over_is_rewritten(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		const char *c = ends[i].client, *v = ends[i].vip, *o = ends[i].own;

		lease(0, false, false);
		in_as(tcp(A, CLIENT, c, 5000, v, 80, SYN), tcp(A, CLIENT, c, 5000, o, 80, SYN));
		out_as(tcp(CLIENT, A, o, 80, c, 5000, SYN | ACK),
		       tcp(CLIENT, A, v, 80, c, 5000, SYN | ACK));
		in_as(udp(A, CLIENT, c, 5000, v, 53, true), udp(A, CLIENT, c, 5000, o, 53, true));
		out_as(udp(CLIENT, A, o, 53, c, 5000, true), udp(CLIENT, A, v, 53, c, 5000, true));
	}
}

static void tags_do_not_hinder(void **state)
{
	struct error e;

	assert_int_equal(plane_cluster_remove(p, 0, &e), 0);
	net.vlan = 10;
	set_all();
	in_as(tagged(tcp(FACE, CLIENT, CLIENT4, 5000, VIP4, 80, SYN), 10),
	      tcp(A, CLIENT, CLIENT4, 5000, A4, 80, SYN));
	out_as(tcp(CLIENT, A, A4, 80, CLIENT4, 5000, ACK),
	       tagged(tcp(CLIENT, A, VIP4, 80, CLIENT4, 5000, ACK), 10));
	in_as(tagged(udp(A, CLIENT, CLIENT4, 5000, VIP4, 53, true), 10),
	      udp(A, CLIENT, CLIENT4, 5000, A4, 53, true));
}

/* A member is the cluster's client: of another member, and (by chance of the row) of itself. */
static void members_may_be_clients(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		const char *v = ends[i].vip, *a = ends[i].own, *b = i ? B6 : B4;

		all_rows(1);
		set_cluster();
		assert_int_equal(sent(2, tcp(FACE, B, b, 5000, v, 80, SYN)), ON(1));
		CHECK_FRAME(got[1], tcp(A, B, b, 5000, a, 80, SYN));
		assert_int_equal(sent(1, tcp(B, A, a, 80, b, 5000, SYN | ACK)), ON(2));
		CHECK_FRAME(got[2], tcp(B, A, v, 80, b, 5000, SYN | ACK));
		/* To itself: the guest sees the virtual address at the other end, both ways. */
		assert_int_equal(sent(1, tcp(FACE, A, a, 5000, v, 80, SYN)), ON(1));
		assert_memory_equal(got[1].octet, lab_mac(A).octet, 6);
		check_sums(got[1]);
		assert_memory_equal(got[1].octet + 12, tcp(A, A, v, 5000, a, 80, SYN).octet + 12,
				    got[1].len - 12);
		assert_int_equal(sent(1, tcp(FACE, A, a, 80, v, 5000, SYN | ACK)), ON(1));
		check_sums(got[1]);
		assert_memory_equal(got[1].octet + 12,
				    tcp(A, A, v, 80, a, 5000, SYN | ACK).octet + 12,
				    got[1].len - 12);
	}
}

/* Its ARP and ND: it may ask for the addresses, which are not its own, and not speak for them. */
static void members_ask_and_do_not_speak(void **state)
{
	assert_int_equal(sent(1, arp(ALL, A, 1, A, A4, VIP4)), ON(1));
	assert_int_equal(sent(1, arp(ALL, A, 1, A, "0.0.0.0", VIP4)), ON(1));
	assert_int_equal(sent(1, arp(ALL, A, 1, A, VIP4, VIP4)), 0);
	assert_int_equal(sent(1, arp(ALL, A, 1, A, VIP4, CLIENT4)), 0);
	bind_ips();
	assert_int_equal(sent(1, tcp(CLIENT, A, VIP4, 80, CLIENT4, 5000, ACK)), 0);
	assert_int_equal(sent(1, tcp(CLIENT, A, A4, 80, CLIENT4, 5000, ACK)), ON_WIRE);
}

static void who_has_no_address_gets_nothing(void **state)
{
	uint64_t lost = drops(0, DROP_NAT);

	own[0][0] = (struct ip){ 0 };
	set_cluster();
	assert_int_equal(sent(0, tcp(FACE, CLIENT, CLIENT4, 5000, VIP4, 80, SYN)), 0);
	assert_int_equal(drops(0, DROP_NAT), lost + 1);
	in_as(tcp(FACE, CLIENT, CLIENT6, 5000, VIP6, 80, SYN),
	      tcp(A, CLIENT, CLIENT6, 5000, A6, 80, SYN));
}

/* A flood of SYNs of made-up clients does not make answers of a flow lose its address. */
static void a_flood_does_not_cut_flows(void **state)
{
	in_as(tcp(FACE, CLIENT, CLIENT4, 5000, VIP4, 80, SYN),
	      tcp(A, CLIENT, CLIENT4, 5000, A4, 80, SYN));
	in_as(tcp(FACE, CLIENT, CLIENT4, 5000, VIP4, 80, ACK),
	      tcp(A, CLIENT, CLIENT4, 5000, A4, 80, ACK));
	for (unsigned int i = 0; i < 200000; i++) {
		struct frame f = { .len = 0 };

		if (i % 50000 == 0)
			f = tcp(FACE, CLIENT, "198.51.100.1", 1000, VIP4, 80, SYN);
		else
			f = got[3];
		f.octet[14 + 12] = (uint8_t)(10 + i % 100);
		f.octet[14 + 13] = (uint8_t)(i >> 16);
		f.octet[14 + 14] = (uint8_t)(i >> 8);
		f.octet[14 + 15] = (uint8_t)i;
		got[3] = f;
		assert_int_equal(write(up_fd, f.octet, f.len), f.len);
		if (i % 256 == 0)
			drain(1);
	}
	out_as(tcp(CLIENT, A, A4, 80, CLIENT4, 5000, ACK),
	       tcp(CLIENT, A, VIP4, 80, CLIENT4, 5000, ACK));
}

int main(int argc, char **argv)
{
#define TEST_(f) cmocka_unit_test_setup(f, nat)
	const struct CMUnitTest tests[] = {
		TEST_(tcp_is_rewritten_both_ways),
		TEST_(udp_is_rewritten_with_and_without_a_sum),
		TEST_(echoes_are_rewritten),
		TEST_(errors_are_rewritten_inside_and_outside),
		TEST_(fragments_are_rewritten),
		TEST_(answers_in_fragments_are_rewritten),
		TEST_(what_another_host_hands_over_is_rewritten),
		TEST_(tags_do_not_hinder),
		TEST_(members_may_be_clients),
		TEST_(members_ask_and_do_not_speak),
		TEST_(who_has_no_address_gets_nothing),
		TEST_(a_flood_does_not_cut_flows),
	};

	open_links(argc, argv);
	return cmocka_run_group_tests_name("bpf: nat", tests, NULL, NULL);
}
