/* Clusters' members and anchors: what may be said of a virtual address, and who answers for it. */
#include "member_lab.h"

#include "gate_events.h"

#define FACE_2	      "02:00:5e:00:53:20"
#define ALL6	      "33:33:00:00:00:01"
#define SOLVIP	      "33:33:ff:00:00:10"
#define SOLICITED_VIP "ff02::1:ff00:10"

#define S_AND_O 0x60000000
#define O_ONLY	0x20000000

/* --- IP sources ------------------------------------------------------------------------------ */

static void members_send_with_the_virtual_address(void **state)
{
	uint64_t lost;

	bind_ips();
	lost = drops(3, DROP_SPOOFED_IP);
	assert_int_equal(sent(1, tcp(CLIENT, A, VIP4, 80, CLIENT4, 5000, ACK)), ON_WIRE);
	assert_int_equal(sent(2, tcp(CLIENT, B, VIP4, 80, CLIENT4, 5000, ACK)), ON_WIRE);
	assert_int_equal(sent(1, tcp(CLIENT, A, VIP6, 80, CLIENT6, 5000, ACK)), ON_WIRE);
	assert_int_equal(sent(3, tcp(CLIENT, C, VIP4, 80, CLIENT4, 5000, ACK)), 0);
	assert_int_equal(sent(3, tcp(CLIENT, C, VIP6, 80, CLIENT6, 5000, ACK)), 0);
	assert_int_equal(drops(3, DROP_SPOOFED_IP), lost + 2);
	assert_int_equal(sent(1, tcp(CLIENT, A, "192.0.2.14", 80, CLIENT4, 5000, ACK)), 0);
	/* No member any more, from the next frame on. */
	record.member_count = 1;
	set_cluster();
	assert_int_equal(sent(2, tcp(CLIENT, B, VIP4, 80, CLIENT4, 5000, ACK)), 0);
	assert_int_equal(sent(1, tcp(CLIENT, A, VIP4, 80, CLIENT4, 5000, ACK)), ON_WIRE);
}

/* --- ARP ------------------------------------------------------------------------------------- */

static void what_a_member_says_by_arp_is_dropped(void **state)
{
	/* a reply, announcements of both kinds, and a check for doubles */
	const struct frame frames[] = {
		arp(CLIENT, A, 2, A, VIP4, CLIENT4),
		arp(ALL, A, 1, A, VIP4, VIP4),
		arp(ALL, A, 2, A, VIP4, VIP4),
		arp(ALL, A, 1, A, "0.0.0.0", VIP4),
	};
	struct plane_cluster_counters before = counts();
	uint64_t lost = drops(1, DROP_MEMBER_ARP);

	bind_ips();
	told(PLANE_ANSWERED, 1);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(sent(1, frames[i]), 0);
		assert_int_equal(told(PLANE_ANSWERED, 1), i == 0);
		assert_int_equal(drops(1, DROP_MEMBER_ARP), lost + i + 1);
	}
	assert_int_equal(counts().arp_filtered, before.arp_filtered + 4);
	assert_int_equal(counts().answered_arp, before.answered_arp);
	/* Told of at most twenty times a second. */
	usleep(60000);
	assert_int_equal(sent(1, frames[0]), 0);
	assert_int_equal(told(PLANE_ANSWERED, 1), 1);
	assert_int_equal(events[0].cluster, 0);
	assert_int_equal(events[0].count, 4);
	assert_memory_equal(events[0].frame, frames[0].octet, frames[0].len);
}

static void a_reply_to_a_health_check_is_for_nobody(void **state)
{
	usleep(60000);
	told(PLANE_ANSWERED, 1);
	assert_int_equal(sent(1, arp(FACE, A, 2, A, A4, "0.0.0.0")), 0);
	assert_int_equal(told(PLANE_ANSWERED, 1), 1);
	/* Of its own address to anybody else it is its own business. */
	assert_int_equal(sent(1, arp(CLIENT, A, 2, A, A4, CLIENT4)), ON_WIRE);
	assert_int_equal(told(PLANE_ANSWERED, 1), 0);
}

static void a_member_asks_without_the_virtual_address(void **state)
{
	bind_ips();
	assert_int_equal(sent(1, arp(ALL, A, 1, A, VIP4, CLIENT4)), ON_WIRE | ON(2) | ON(3));
	CHECK_FRAME(got[0], arp(ALL, A, 1, A, "0.0.0.0", CLIENT4));
	assert_int_equal(sent(1, arp(B, A, 1, A, VIP4, B4)), ON(2));
	CHECK_FRAME(got[2], arp(B, A, 1, A, "0.0.0.0", B4));
	assert_int_equal(sent(1, arp(ALL, A, 1, A, A4, CLIENT4)), ON_WIRE | ON(2) | ON(3));
	CHECK_FRAME(got[0], arp(ALL, A, 1, A, A4, CLIENT4));
}

/* Neither as its own nor in a member's name, whether or not its addresses are bound. */
static void nobody_else_speaks_for_the_address(void **state)
{
	uint64_t lost = drops(3, DROP_SPOOFED_ARP), nd_lost = drops(3, DROP_SPOOFED_ND);

	for (unsigned int bound = 0; bound < 2; bound++) {
		assert_int_equal(sent(3, arp(ALL, C, 1, C, VIP4, VIP4)), 0);
		assert_int_equal(sent(3, arp(CLIENT, C, 2, C, VIP4, CLIENT4)), 0);
		assert_int_equal(sent(3, arp(ALL, C, 1, C, VIP4, CLIENT4)), 0);
		assert_int_equal(drops(3, DROP_SPOOFED_ARP), lost + 3);
		assert_int_equal(sent(3, nd(ALL6, C, "fe80::5810:ff:fe00:3", "ff02::1", 136, O_ONLY,
					    VIP6, 2, C)),
				 0);
		assert_int_equal(drops(3, DROP_SPOOFED_ND), nd_lost + 1);
		lost += 3;
		nd_lost++;
		bind_ips();
	}
	/* A member that is not this cluster's. */
	record.member_count = 1;
	set_cluster();
	assert_int_equal(sent(2, arp(ALL, B, 1, B, VIP4, CLIENT4)), 0);
	assert_int_equal(drops(2, DROP_SPOOFED_ARP), 1);
}

/* --- ND -------------------------------------------------------------------------------------- */

static void what_a_member_says_by_nd_is_dropped(void **state)
{
	const struct frame frames[] = {
		nd(CLIENT, A, VIP6, CLIENT6, 136, S_AND_O, VIP6, 2, A),
		nd(ALL6, A, A_LINK, "ff02::1", 136, O_ONLY, VIP6, 2, A),
		nd(SOLVIP, A, "::", SOLICITED_VIP, 135, 0, VIP6, 0, NULL),
	};
	uint64_t lost = drops(1, DROP_MEMBER_ND);

	for (unsigned int i = 0; i < 3; i++) {
		usleep(60000);
		assert_int_equal(sent(1, frames[i]), 0);
		assert_int_equal(told(PLANE_ANSWERED, 1), i < 2);
		assert_int_equal(drops(1, DROP_MEMBER_ND), lost + i + 1);
	}
	assert_int_equal(counts().nd_filtered, 3);
	assert_int_equal(counts().answered_nd, 0);
}

static void a_member_solicits_from_its_link_local(void **state)
{
	static const char to[] = "33:33:ff:00:00:99", *const group = "ff02::1:ff00:99";

	assert_int_equal(sent(1, nd(to, A, VIP6, group, 135, 0, CLIENT6, 1, A)),
			 ON_WIRE | ON(2) | ON(3));
	CHECK_FRAME(got[0], nd(to, A, A_LINK, group, 135, 0, CLIENT6, 1, A));
	/* Of a guest that makes it otherwise, that with which it was heard. */
	assert_int_equal(sent(1, nd(to, A, "fe80::1234", group, 135, 0, CLIENT6, 1, A)),
			 ON_WIRE | ON(2) | ON(3));
	assert_int_equal(sent(1, nd(to, A, VIP6, group, 135, 0, CLIENT6, 1, A)),
			 ON_WIRE | ON(2) | ON(3));
	CHECK_FRAME(got[0], nd(to, A, "fe80::1234", group, 135, 0, CLIENT6, 1, A));
	/* One that is not bound counts no more once addresses are. */
	bind_ips();
	assert_int_equal(sent(1, nd(to, A, VIP6, group, 135, 0, CLIENT6, 1, A)),
			 ON_WIRE | ON(2) | ON(3));
	CHECK_FRAME(got[0], nd(to, A, A_LINK, group, 135, 0, CLIENT6, 1, A));
}

/* Not mended, and so dropped: ND behind an extension header. */
static void nd_does_not_hide_behind_headers(void **state)
{
	static const struct {
		const char *src, *target;
		unsigned int type;
	} cases[] = { { A_LINK, VIP6, 136 }, { VIP6, CLIENT6, 135 }, { VIP6, CLIENT6, 133 } };
	uint64_t lost = drops(1, DROP_SPOOFED_ND);

	for (unsigned int i = 0; i < 3; i++) {
		struct frame f = ip6(ALL6, A, cases[i].src, 60);

		put_ext(&f, 58);
		put_nd(&f, cases[i].type, cases[i].type == 133 ? NULL : cases[i].target,
		       cases[i].type == 136 ? 2 : 1, A);
		assert_int_equal(sent(1, ip6_done(f)), 0);
		assert_int_equal(drops(1, DROP_SPOOFED_ND), lost + i + 1);
	}
}

/* --- answers --------------------------------------------------------------------------------- */

static struct frame ask_arp(const char *to, const char *from, const char *spa)
{
	return arp(to, from, 1, from, spa, VIP4);
}

static struct frame arp_answer(const char *to, const char *face, const char *tpa)
{
	struct frame f = arp(to, face, 2, face, VIP4, tpa);
	vmac_mac_t m = lab_mac(to);

	memcpy(f.octet + 32, m.octet, 6);
	return f;
}

static struct frame padded(struct frame f)
{
	put_zeros(&f, 60 - f.len);
	return f;
}

static struct frame ask_nd(const char *to, const char *from, const char *src)
{
	return nd(to, from, src, SOLICITED_VIP, 135, 0, VIP6, 1, from);
}

static struct frame nd_answer(const char *to, const char *face, const char *dst)
{
	return nd(to, face, VIP6, dst, 136, S_AND_O, VIP6, 2, face);
}

static void the_wire_is_answered(void **state)
{
	assert_int_equal(sent(0, padded(ask_arp(ALL, CLIENT, CLIENT4))), ON_WIRE);
	CHECK_FRAME(got[0], arp_answer(CLIENT, FACE, CLIENT4));
	assert_int_equal(sent(0, ask_nd(SOLVIP, CLIENT, CLIENT6)), ON_WIRE);
	CHECK_FRAME(got[0], nd_answer(CLIENT, FACE, CLIENT6));
	/* A question to the face itself: the neighbour is still there? */
	assert_int_equal(sent(0, padded(ask_arp(FACE, CLIENT, CLIENT4))), ON_WIRE);
	CHECK_FRAME(got[0], arp_answer(CLIENT, FACE, CLIENT4));
	assert_int_equal(sent(0, ask_nd(FACE, CLIENT, CLIENT6)), ON_WIRE);
	CHECK_FRAME(got[0], nd_answer(CLIENT, FACE, CLIENT6));
	/* Checks for doubles. */
	assert_int_equal(sent(0, padded(ask_arp(ALL, CLIENT, "0.0.0.0"))), ON_WIRE);
	CHECK_FRAME(got[0], arp_answer(CLIENT, FACE, "0.0.0.0"));
	assert_int_equal(sent(0, nd(SOLVIP, CLIENT, "::", SOLICITED_VIP, 135, 0, VIP6, 0, NULL)),
			 ON_WIRE | ON(3));
	CHECK_FRAME(got[0], nd(ALL6, FACE, VIP6, "ff02::1", 136, O_ONLY, VIP6, 2, FACE));
	assert_int_equal(counts().answered_arp, 3);
	assert_int_equal(counts().answered_nd, 3);
	/* Not questions for it. */
	assert_int_equal(sent(0, arp(ALL, CLIENT, 1, CLIENT, CLIENT4, C4)), ON(1) | ON(2) | ON(3));
	assert_int_equal(sent(0, arp(FACE, CLIENT, 2, CLIENT, CLIENT4, VIP4)), 0);
	assert_int_equal(sent(0, arp(FACE, CLIENT, 1, CLIENT, CLIENT4, C4)), 0);
	assert_int_equal(counts().no_address, 2);
}

static void tags_come_back(void **state)
{
	struct error e;

	assert_int_equal(plane_cluster_remove(p, 0, &e), 0);
	net.vlan = 10;
	set_all();
	assert_int_equal(sent(0, padded(ask_arp(ALL, CLIENT, CLIENT4))), 0);
	assert_int_equal(sent(0, tagged(ask_arp(ALL, CLIENT, CLIENT4), 10)), ON_WIRE);
	CHECK_FRAME(got[0], tagged(arp_answer(CLIENT, FACE, CLIENT4), 10));
	assert_int_equal(sent(0, tagged(ask_nd(SOLVIP, CLIENT, CLIENT6), 10)), ON_WIRE);
	CHECK_FRAME(got[0], tagged(nd_answer(CLIENT, FACE, CLIENT6), 10));
	assert_int_equal(sent(0, tagged(ask_nd(FACE, CLIENT, CLIENT6), 10)), ON_WIRE);
	CHECK_FRAME(got[0], tagged(nd_answer(CLIENT, FACE, CLIENT6), 10));
	assert_int_equal(sent(3, ask_arp(ALL, C, C4)), ON(3));
	CHECK_FRAME(got[3], arp_answer(C, FACE, C4));
}

static void ports_are_answered(void **state)
{
	assert_int_equal(sent(3, ask_arp(ALL, C, C4)), ON(3));
	CHECK_FRAME(got[3], arp_answer(C, FACE, C4));
	assert_int_equal(sent(3, ask_nd(SOLVIP, C, "2001:db8::13")), ON(3));
	CHECK_FRAME(got[3], nd_answer(C, FACE, "2001:db8::13"));
	assert_int_equal(sent(3, ask_arp(FACE, C, C4)), ON(3));
	assert_int_equal(sent(3, ask_nd(FACE, C, "2001:db8::13")), ON(3));
	/* A member that has the address never asks for it; one that has it not yet may. */
	assert_int_equal(sent(1, ask_arp(ALL, A, A4)), ON(1));
	CHECK_FRAME(got[1], arp_answer(A, FACE, A4));
	assert_int_equal(sent(1, ask_nd(SOLVIP, A, A6)), ON(1));
}

static void the_host_is_answered(void **state)
{
	struct frame f = ask_arp(ALL, NIC, "192.0.2.1");
	int fd = lab_raw("up"), stack = lab_stack("up", 0x0806);
	struct lab_meta meta;
	uint8_t buf[2048];
	size_t len;

	lab_raw_send(fd, f.octet, f.len);
	assert_int_equal(who_got(), 0);
	len = lab_raw_next(stack, 0x0806, 1000, buf, &meta);
	assert_int_equal(len, 42);
	assert_memory_equal(buf, arp_answer(NIC, FACE, "192.0.2.1").octet, 42);
	close(fd);
	close(stack);
}

static void who_may_not_speak_is_silent(void **state)
{
	lease(0, true, false);
	/* To the anchor, wherever it is; to none of the members. */
	assert_int_equal(sent(0, padded(ask_arp(ALL, CLIENT, CLIENT4))), ON(3));
	assert_int_equal(sent(0, ask_nd(SOLVIP, CLIENT, CLIENT6)), ON(3));
	assert_int_equal(sent(3, ask_arp(ALL, C, C4)), ON_WIRE);
	assert_int_equal(sent(3, ask_nd(SOLVIP, C, "2001:db8::13")), ON_WIRE);
	assert_int_equal(sent(1, ask_arp(ALL, A, A4)), ON_WIRE | ON(3));
	assert_int_equal(sent(0, padded(ask_arp(FACE, CLIENT, CLIENT4))), 0);
	assert_int_equal(counts().answered_arp, 0);
	assert_int_equal(counts().answered_nd, 0);
	/* A port's question to a face that another host serves goes there. */
	lease(0, false, false);
	assert_int_equal(sent(3, ask_arp(FACE, C, C4)), ON_WIRE);
	assert_int_equal(sent(3, ask_nd(FACE, C, "2001:db8::13")), ON_WIRE);
	assert_int_equal(sent(0, padded(ask_arp(FACE, CLIENT, CLIENT4))), 0);
	assert_int_equal(counts().not_anchor, 1);
	/* By its own, when the time is over. */
	plane_cluster_lease(p, 0, 0, (mono_t){ now_ns() + 5000000000LL },
			    (mono_t){ now_ns() + 100000000LL });
	assert_int_equal(sent(0, padded(ask_arp(ALL, CLIENT, CLIENT4))), ON_WIRE);
	usleep(110000);
	assert_int_equal(sent(0, padded(ask_arp(ALL, CLIENT, CLIENT4))), ON(3));
}

static void a_wrong_question_is_not_answered(void **state)
{
	struct frame f = ask_nd(SOLVIP, CLIENT, CLIENT6);
	vmac_mac_t group = lab_mac("01:00:5e:00:00:01");

	f.octet[14 + 40 + 2] ^= 1;
	assert_int_equal(sent(0, f), 0);
	f = sealed(f);
	assert_int_equal(sent(0, f), ON_WIRE);
	f.octet[14 + 7] = 64; /* through a router */
	assert_int_equal(sent(0, sealed(f)), ON(1) | ON(2) | ON(3));
	f = padded(ask_arp(ALL, CLIENT, CLIENT4));
	memcpy(f.octet + 22, group.octet, 6);
	assert_int_equal(sent(0, f), 0);
	f = padded(ask_arp(ALL, CLIENT, CLIENT4));
	f.len = 40;
	assert_int_equal(sent(0, f), ON(1) | ON(2) | ON(3));
	assert_int_equal(counts().answered_nd, 1);
	assert_int_equal(counts().answered_arp, 0);
}

/* balance_face(), written down once more. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static uint64_t le64(const uint8_t *o)
{
	uint64_t n = 0;

	for (int i = 7; i >= 0; i--)
		n = n << 8 | o[i];
	return n;
}

static unsigned int face_for(const char *client)
{
	struct ip ip = lab_ip(client);
	uint64_t seed, best = 0, score;
	unsigned int face = 0;

	if (ip.family == 4)
		memset(ip.octet + 4, 0, 12);
	seed = mix(le64(record.key) ^ le64(ip.octet));
	seed = mix(seed ^ le64(record.key + 8) ^ le64(ip.octet + 8));
	for (unsigned int i = 0; i < record.face_count; i++) {
		score = mix(seed + (i + 1) * 0x9e3779b97f4a7c15ULL);
		if (!i || score > best) {
			best = score;
			face = i;
		}
	}
	return face;
}

/* Four faces, of which this host has two: it answers to the clients of those, and to no others. */
static void each_client_has_its_face(void **state)
{
	unsigned int answered = 0, seen[4] = { 0 };
	char name[4][18], ip[16], ip6_text[40];

	for (unsigned int i = 0; i < 4; i++) {
		snprintf(name[i], sizeof(name[i]), "02:00:5e:00:53:%02x", 0x10 + i);
		faces[i] = lab_mac(name[i]);
	}
	record.face_count = 4;
	set_cluster();
	lease(1, false, false);
	lease(3, true, false);
	for (unsigned int i = 1; i < 64; i++) {
		unsigned int face;
		bool ours;

		snprintf(ip, sizeof(ip), "192.0.2.%u", 100 + i);
		face = face_for(ip);
		ours = face == 0 || face == 2;
		seen[face]++;
		assert_int_equal(sent(0, padded(ask_arp(ALL, CLIENT, ip))), ours ? ON_WIRE : ON(3));
		if (ours)
			CHECK_FRAME(got[0], arp_answer(CLIENT, name[face], ip));
		answered += ours;
		snprintf(ip6_text, sizeof(ip6_text), "2001:db8::%u", 100 + i);
		face = face_for(ip6_text);
		ours = face == 0 || face == 2;
		assert_int_equal(sent(0, ask_nd(SOLVIP, CLIENT, ip6_text)), ours ? ON_WIRE : ON(3));
		if (ours)
			CHECK_FRAME(got[0], nd_answer(CLIENT, name[face], ip6_text));
	}
	assert_int_equal(counts().answered_arp, answered);
	for (unsigned int i = 0; i < 4; i++)
		assert_true(seen[i] > 4);
	/* Who asks a face is answered with that. */
	assert_int_equal(sent(0, padded(ask_arp(name[2], CLIENT, "192.0.2.101"))), ON_WIRE);
	CHECK_FRAME(got[0], arp_answer(CLIENT, name[2], "192.0.2.101"));
	assert_int_equal(sent(0, padded(ask_arp(name[1], CLIENT, "192.0.2.101"))), 0);
}

static void distributed_answers_do_not_teach_switches_the_face(void **state)
{
	struct frame f = arp_answer(CLIENT, "03:bf:c0:00:02:0a", CLIENT4);
	vmac_mac_t nic = lab_mac(NIC);

	record.mode = CLUSTER_DISTRIBUTED;
	faces[0] = lab_mac("03:bf:c0:00:02:0a");
	set_cluster();
	memcpy(f.octet + 6, nic.octet, 6);
	assert_int_equal(sent(0, padded(ask_arp(ALL, CLIENT, CLIENT4))), ON_WIRE);
	CHECK_FRAME(got[0], f);
}

/* --- announcements --------------------------------------------------------------------------- */

static int marked(void)
{
	int fd = lab_raw("up"), mark = PLANE_ANNOUNCE_MARK;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	return fd;
}

static unsigned int announced(int fd, struct frame f)
{
	who_got();
	lab_raw_send(fd, f.octet, f.len);
	return who_got();
}

/* The members would take it for another's that has their address. */
static void announcements_are_not_for_members(void **state)
{
	const struct frame garp = arp(ALL, FACE, 1, FACE, VIP4, VIP4),
			   na = nd(ALL6, FACE, VIP6, "ff02::1", 136, O_ONLY, VIP6, 2, FACE),
			   rarp = arp(ALL, FACE, 3, FACE, "0.0.0.0", "0.0.0.0");
	int fd = marked(), plain = lab_raw("up");
	uint64_t lost = drops(0, DROP_HOST_SPOOF);

	assert_int_equal(announced(fd, garp), ON_WIRE | ON(3));
	assert_int_equal(announced(fd, na), ON_WIRE | ON(3));
	assert_int_equal(announced(fd, rarp), ON_WIRE | ON(1) | ON(2) | ON(3));
	assert_int_equal(announced(plain, garp), 0);
	assert_int_equal(announced(plain, rarp), 0);
	lease(0, true, false);
	assert_int_equal(announced(fd, garp), 0);
	assert_int_equal(announced(fd, rarp), 0);
	lease(0, false, false);
	assert_int_equal(announced(fd, rarp), 0);
	assert_int_equal(drops(0, DROP_HOST_SPOOF), lost + 5);
	/* Another host's, from the wire. */
	assert_int_equal(sent(0, padded(garp)), ON(3));
	assert_int_equal(sent(0, na), ON(3));
	/* With nat they have not the address, and may as well know. */
	record.nat = true;
	set_cluster();
	assert_int_equal(announced(fd, garp), ON_WIRE | ON(1) | ON(2) | ON(3));
	close(fd);
	close(plain);
}

static void the_face_is_nobodys_source(void **state)
{
	struct frame rarp = padded(arp(ALL, FACE, 3, FACE, "0.0.0.0", "0.0.0.0"));
	struct frame claim = rarp;
	uint64_t lost = drops(1, DROP_SPOOFED_MAC), wire = drops(0, DROP_FACE_SPOOF);

	claim.octet[42] = 'v';
	claim.octet[43] = 'M';
	assert_int_equal(sent(1, rarp), 0);
	assert_int_equal(sent(1, tcp(CLIENT, FACE, VIP4, 80, CLIENT4, 5000, ACK)), 0);
	assert_int_equal(drops(1, DROP_SPOOFED_MAC), lost + 2);
	/* From the wire: a double, or the next anchor's claim. */
	told(PLANE_FACE_STRANGER, 0);
	assert_int_equal(sent(0, rarp), 0);
	assert_int_equal(told(PLANE_FACE_STRANGER, 0), 1);
	assert_int_equal(events[0].cluster, 0);
	assert_int_equal(events[0].face, 0);
	assert_int_equal(sent(0, rarp), 0); /* one a second */
	assert_int_equal(sent(0, claim), 0);
	assert_int_equal(sent(0, claim), 0); /* ten a second */
	assert_int_equal(told(PLANE_FACE_STRANGER, 0), 1);
	assert_memory_equal(events[0].frame, claim.octet, 60);
	assert_int_equal(drops(0, DROP_FACE_SPOOF), wire + 4);
	/* Without the lease: the anchor's, as it should be. */
	lease(0, false, false);
	usleep(110000);
	assert_int_equal(sent(0, rarp), ON(1) | ON(2) | ON(3));
	assert_int_equal(told(PLANE_FACE_STRANGER, 0), 0);
	assert_int_equal(sent(0, claim), ON(1) | ON(2) | ON(3));
	assert_int_equal(told(PLANE_FACE_STRANGER, 0), 1);
	assert_int_equal(drops(0, DROP_FACE_SPOOF), wire + 4);
}

/* To all, from the wire: a virtual address is at none of the faces. */
static void who_claims_an_address_is_told_of(void **state)
{
	struct frame lie = padded(arp(ALL, CLIENT, 2, CLIENT, VIP4, VIP4));
	struct frame other = padded(arp(ALL, CLIENT, 2, FACE, VIP4, VIP4));
	struct frame lie6 = nd(ALL6, CLIENT, VIP6, "ff02::1", 136, 0x20000000, VIP6, 2, CLIENT);
	struct frame other6 = nd(ALL6, CLIENT, VIP6, "ff02::1", 136, 0x20000000, VIP6, 2, FACE);

	told(PLANE_ADDRESS_STRANGER, 0);
	/* Another anchor of the cluster, in distributed mode. */
	sent(0, other);
	sent(0, other6);
	assert_int_equal(told(PLANE_ADDRESS_STRANGER, 0), 0);
	sent(0, lie);
	assert_int_equal(told(PLANE_ADDRESS_STRANGER, 0), 1);
	assert_int_equal(events[0].cluster, 0);
	assert_memory_equal(events[0].frame, lie.octet, 60);
	sent(0, lie); /* one a second */
	assert_int_equal(told(PLANE_ADDRESS_STRANGER, 0), 0);
	usleep(1010000);
	sent(0, lie6);
	assert_int_equal(told(PLANE_ADDRESS_STRANGER, 0), 1);
	assert_memory_equal(events[0].frame, lie6.octet, 64);
	assert_int_equal(events[0].count, 3);
	/* That an address is nobody's of the cluster's is no matter of ours; nor without the lease.
	 */
	usleep(1010000);
	sent(0, padded(arp(ALL, CLIENT, 2, CLIENT, CLIENT4, CLIENT4)));
	assert_int_equal(told(PLANE_ADDRESS_STRANGER, 0), 0);
	lease(0, false, false);
	sent(0, lie);
	assert_int_equal(told(PLANE_ADDRESS_STRANGER, 0), 0);
}

/* --- carry ----------------------------------------------------------------------------------- */

#define NLB_FACE  "02:bf:c0:00:02:0a"
#define NLB_MASK  "02:05:c0:00:02:0a"
#define NLB_GROUP "03:bf:c0:00:02:0a"
#define NLB_IGMP  "01:00:5e:7f:02:0a"

static void carried(const char *face)
{
	record.mode = CLUSTER_CARRY;
	record.address_count = 0;
	faces[0] = lab_mac(face);
	set_cluster();
}

static void members_alone_get_what_is_carried(void **state)
{
	static const char *const all[] = { NLB_FACE, NLB_GROUP, NLB_IGMP };

	for (unsigned int i = 0; i < 3; i++) {
		struct frame f = tcp(all[i], CLIENT, CLIENT4, 5000, VIP4, 80, SYN);

		carried(all[i]);
		assert_int_equal(sent(0, f), ON(1) | ON(2));
		CHECK_FRAME(got[1], f);
		CHECK_FRAME(got[2], f);
		assert_int_equal(sent(3, tcp(all[i], C, C4, 5000, VIP4, 80, SYN)),
				 ON_WIRE | ON(1) | ON(2));
		assert_int_equal(sent(1, tcp(all[i], A, A4, 5000, VIP4, 80, SYN)), ON_WIRE | ON(2));
	}
	assert_int_equal(counts().local, 0);
}

static void carried_guests_speak_masked(void **state)
{
	int fd = marked();

	carried(NLB_FACE);
	bind_ips();
	/* ARP names the face, the frame does not. */
	assert_int_equal(sent(1, arp(CLIENT, NLB_MASK, 2, NLB_FACE, A4, CLIENT4)), ON_WIRE);
	assert_int_equal(sent(1, arp(CLIENT, A, 2, NLB_FACE, A4, CLIENT4)), ON_WIRE);
	assert_int_equal(sent(1, tcp(CLIENT, NLB_MASK, A4, 80, CLIENT4, 5000, ACK)), ON_WIRE);
	/* Not 0, not 33, not another's; never as the face; and not who is no member. */
	assert_int_equal(sent(1, tcp(CLIENT, "02:00:c0:00:02:0a", A4, 80, CLIENT4, 1, ACK)), 0);
	assert_int_equal(sent(1, tcp(CLIENT, "02:21:c0:00:02:0a", A4, 80, CLIENT4, 1, ACK)), 0);
	assert_int_equal(sent(1, tcp(CLIENT, "02:05:c0:00:02:0b", A4, 80, CLIENT4, 1, ACK)), 0);
	assert_int_equal(sent(1, tcp(CLIENT, NLB_FACE, A4, 80, CLIENT4, 1, ACK)), 0);
	assert_int_equal(sent(3, tcp(CLIENT, NLB_MASK, C4, 80, CLIENT4, 1, ACK)), 0);
	assert_int_equal(sent(3, arp(CLIENT, C, 2, NLB_FACE, C4, CLIENT4)), 0);
	/* Nor is it ever announced. */
	assert_int_equal(announced(fd, arp(ALL, NLB_FACE, 3, NLB_FACE, "0.0.0.0", "0.0.0.0")), 0);
	close(fd);
}

static void nlb_heartbeats_stay_among_members(void **state)
{
	struct frame f = padded(eth(ALL, NLB_MASK, 0x886f));
	uint64_t lost;

	carried(NLB_FACE);
	lost = drops(3, DROP_NLB);
	assert_int_equal(sent(1, f), ON_WIRE | ON(2));
	assert_int_equal(sent(0, f), ON(1) | ON(2));
	assert_int_equal(sent(3, padded(eth(ALL, C, 0x886f))), 0);
	assert_int_equal(drops(3, DROP_NLB), lost + 1);
	/* Where nothing is carried it is a frame as any other. */
	record.mode = CLUSTER_DIRECTOR;
	faces[0] = lab_mac(FACE);
	record.address_count = 2;
	set_cluster();
	assert_int_equal(sent(3, padded(eth(ALL, C, 0x886f))), ON_WIRE | ON(1) | ON(2));
}

/* --- main ------------------------------------------------------------------------------------ */

int main(int argc, char **argv)
{
#define TEST_(f) cmocka_unit_test_setup_teardown(f, fresh, done)
	const struct CMUnitTest tests[] = {
		TEST_(members_send_with_the_virtual_address),
		TEST_(what_a_member_says_by_arp_is_dropped),
		TEST_(a_reply_to_a_health_check_is_for_nobody),
		TEST_(a_member_asks_without_the_virtual_address),
		TEST_(nobody_else_speaks_for_the_address),
		TEST_(what_a_member_says_by_nd_is_dropped),
		TEST_(a_member_solicits_from_its_link_local),
		TEST_(nd_does_not_hide_behind_headers),
		TEST_(the_wire_is_answered),
		TEST_(tags_come_back),
		TEST_(ports_are_answered),
		TEST_(the_host_is_answered),
		TEST_(who_may_not_speak_is_silent),
		TEST_(a_wrong_question_is_not_answered),
		TEST_(each_client_has_its_face),
		TEST_(distributed_answers_do_not_teach_switches_the_face),
		TEST_(announcements_are_not_for_members),
		TEST_(the_face_is_nobodys_source),
		TEST_(who_claims_an_address_is_told_of),
		TEST_(members_alone_get_what_is_carried),
		TEST_(carried_guests_speak_masked),
		TEST_(nlb_heartbeats_stay_among_members),
	};

	open_links(argc, argv);
	return cmocka_run_group_tests_name("bpf: member", tests, NULL, NULL);
}
