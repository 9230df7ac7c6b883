/* Forwarding: real frames written into taps and read from others, the host in between. */
#include "frames.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define TYPE 0x88b5 /* IEEE local experimental */
#define ALL  "ff:ff:ff:ff:ff:ff"
#define NIC  "52:54:00:aa:bb:cc"
#define WIRE "52:54:00:00:00:01" /* somebody out there */
#define MISS "5a:99:00:00:00:99" /* nobody */

/* The stations: three ports untagged, two on VLAN 10, two of an internal segment; then the uplink's
 * wire. */
enum { A, B, C, V, W, I, J, STATIONS, UP = STATIONS, ENDS };

static const char *const names[ENDS] = { "a", "b", "c", "v", "w", "i", "j", "up" };
static const char *const macs[STATIONS] = { "5a:10:00:00:00:01", "5a:10:00:00:00:02",
					    "5a:10:00:00:00:03", "5a:10:00:00:00:04",
					    "5a:10:00:00:00:05", "5a:10:00:00:00:06",
					    "5a:10:00:00:00:07" };
static const struct plane_net nets[STATIONS] = { { 1, 0 },  { 1, 0 }, { 1, 0 }, { 1, 10 },
						 { 1, 10 }, { 0, 7 }, { 0, 7 } };

static struct plane *p;
static const char *attach_wanted; /* NULL: the best the kernel has */
static int links[ENDS], fds[ENDS], host_fd;

/* --- tools ----------------------------------------------------------------------------------- */

static struct plane_port port_of(int station)
{
	return (struct plane_port){ .id = (uint32_t)station + 1,
				    .ifindex = links[station],
				    .net = nets[station],
				    .address = lab_mac(macs[station]),
				    .gate = PLANE_OPEN,
				    .mtu = 1500 };
}

static void set(struct plane_port port)
{
	struct error e = { 0 };

	if (plane_port_set(p, &port, &e) < 0)
		fail_msg("%s", e.message);
}

static void reset(void)
{
	for (int i = 0; i < STATIONS; i++)
		set(port_of(i));
}

static struct plane_counters uplink_counters(unsigned int slot)
{
	struct plane_counters c;
	struct error e;

	assert_int_equal(plane_uplink_counters(p, slot, &c, &e), 0);
	return c;
}

static struct frame frame(const char *to, const char *from)
{
	struct frame f = eth(to, from, TYPE);

	for (unsigned int i = 0; i < 46; i++)
		put8(&f, i);
	return f;
}

static struct frame tagged(const char *to, const char *from, unsigned int tpid, unsigned int tci)
{
	struct frame f = eth(to, from, (uint16_t)tpid);

	put16(&f, tci);
	put16(&f, TYPE);
	for (unsigned int i = 0; i < 46; i++)
		put8(&f, i);
	return f;
}

static void inject(int end, struct frame f)
{
	assert_int_equal(write(fds[end], f.octet, f.len), f.len);
}

/* What has arrived at an end: how many frames; the last one in *ret. */
static unsigned int arrived(int end, struct frame *ret)
{
	unsigned int count = 0;
	uint8_t buf[4096];
	ssize_t n;

	while ((n = read(fds[end], buf, sizeof(buf))) > 0) {
		if (n <= (ssize_t)sizeof(ret->octet) && ret) {
			memcpy(ret->octet, buf, (size_t)n);
			ret->len = (size_t)n;
		}
		count++;
	}
	return count;
}

static void drain(void)
{
	struct lab_meta meta;
	uint8_t buf[2048];

	for (int i = 0; i < ENDS; i++)
		arrived(i, NULL);
	while (lab_raw_next(host_fd, 0, 0, buf, &meta))
		;
}

/* Exactly these ends (a bit each) got exactly one frame. */
#define BIT(end) (1u << (end))
#define CHECK_ARRIVED(ends)                                                                        \
	do {                                                                                       \
		for (int i_ = 0; i_ < ENDS; i_++)                                                  \
			assert_int_equal(arrived(i_, NULL), (ends) >> i_ & 1);                     \
	} while (0)

/* What came out of tc into the host's stack: how many, and the kind of the last. */
static unsigned int at_host(int *ret_kind)
{
	struct lab_meta meta;
	uint8_t buf[2048];
	unsigned int count = 0;

	while (lab_raw_next(host_fd, 0, 20, buf, &meta)) {
		*ret_kind = meta.kind;
		count++;
	}
	return count;
}

/* A frame that must be dropped at a port for one reason, and reach nobody. */
static void check_drop(int station, struct frame f, enum drop_reason reason)
{
	struct plane_counters before = lab_counters(p, (uint32_t)station + 1), after;
	int kind;

	drain();
	inject(station, f);
	after = lab_counters(p, (uint32_t)station + 1);
	assert_int_equal(after.rx_frames, before.rx_frames + 1);
	assert_int_equal(after.drops[reason], before.drops[reason] + 1);
	assert_int_equal(lab_drops_sum(&after), lab_drops_sum(&before) + 1);
	CHECK_ARRIVED(0);
	assert_int_equal(at_host(&kind), 0);
}

static void check_uplink_drop(struct frame f, enum drop_reason reason)
{
	struct plane_counters before = uplink_counters(1), after;
	int kind;

	drain();
	inject(UP, f);
	after = uplink_counters(1);
	assert_int_equal(after.drops[reason], before.drops[reason] + 1);
	assert_int_equal(lab_drops_sum(&after), lab_drops_sum(&before) + 1);
	CHECK_ARRIVED(0);
	assert_int_equal(at_host(&kind), 0);
}

/* --- unicast --------------------------------------------------------------------------------- */

static void port_to_port_and_nobody_else(void **state)
{
	struct plane_counters a = lab_counters(p, A + 1), b = lab_counters(p, B + 1), now;
	struct frame sent = frame(macs[B], macs[A]), got;

	drain();
	inject(A, sent);
	assert_int_equal(arrived(B, &got), 1);
	assert_int_equal(got.len, sent.len);
	assert_memory_equal(got.octet, sent.octet, sent.len);
	CHECK_ARRIVED(0);
	now = lab_counters(p, A + 1);
	assert_int_equal(now.rx_frames, a.rx_frames + 1);
	assert_int_equal(now.rx_octets, a.rx_octets + sent.len);
	assert_true(now.last_seen.ns > 0);
	now = lab_counters(p, B + 1);
	assert_int_equal(now.tx_frames, b.tx_frames + 1);
	assert_int_equal(now.tx_octets, b.tx_octets + sent.len);
}

static void unknown_goes_to_the_wire_and_to_no_port(void **state)
{
	struct frame sent = frame(MISS, macs[A]), got;
	int kind;

	drain();
	inject(A, sent);
	assert_int_equal(arrived(UP, &got), 1);
	assert_memory_equal(got.octet, sent.octet, sent.len);
	CHECK_ARRIVED(0);
	assert_int_equal(at_host(&kind), 0);
	check_drop(I, frame(MISS, macs[I]), DROP_UNKNOWN_UNICAST);
	/* A station of another segment is unknown here. */
	check_drop(I, frame(macs[A], macs[I]), DROP_UNKNOWN_UNICAST);
	inject(A, frame(macs[V], macs[A]));
	CHECK_ARRIVED(BIT(UP));
	inject(I, frame(macs[J], macs[I]));
	CHECK_ARRIVED(BIT(J));
}

static uint32_t place_of(const char *text)
{
	vmac_mac_t m = lab_mac(text);

	return FDB_NEAR_PLACE(NET_OF(1, 0), plane_mac_word(m));
}

/* In the array in front of the table there is room for one of them. */
static void addresses_share_a_place(void **state)
{
	struct plane_port a = port_of(A), b = port_of(B);
	char other[24];

	for (uint32_t i = 0; i < 1u << 24; i++) {
		snprintf(other, sizeof(other), "5a:20:00:%02x:%02x:%02x", i >> 16, i >> 8 & 255,
			 i & 255);
		if (place_of(other) == place_of(macs[A]))
			break;
	}
	assert_int_equal(place_of(other), place_of(macs[A]));
	b.address = lab_mac(other);
	set(b);
	drain();
	inject(UP, frame(macs[A], WIRE));
	CHECK_ARRIVED(BIT(A));
	inject(UP, frame(other, WIRE));
	CHECK_ARRIVED(BIT(B));
	/* The one in front goes, the other is still found; and the first, when it is back. */
	a.address = lab_mac(MISS);
	set(a);
	inject(UP, frame(other, WIRE));
	CHECK_ARRIVED(BIT(B));
	inject(C, frame(macs[A], macs[C]));
	CHECK_ARRIVED(BIT(UP));
	a.address = lab_mac(macs[A]);
	set(a);
	inject(UP, frame(macs[A], WIRE));
	CHECK_ARRIVED(BIT(A));
	reset();
	inject(C, frame(other, macs[C]));
	CHECK_ARRIVED(BIT(UP));
}

static void wire_and_ports_reach_each_other(void **state)
{
	struct frame sent = frame(macs[A], WIRE), got;
	int kind = -1;

	drain();
	inject(UP, sent);
	assert_int_equal(arrived(A, &got), 1);
	assert_memory_equal(got.octet, sent.octet, sent.len);
	CHECK_ARRIVED(0);
	inject(UP, frame(MISS, WIRE)); /* unknown unicast from the wire is no port's business */
	inject(UP, frame(macs[I], WIRE));
	CHECK_ARRIVED(0);
	inject(UP, frame(NIC, WIRE));
	CHECK_ARRIVED(0);
	/* The tap takes frames for others for OTHERHOST, the socket sees all three. */
	assert_int_equal(at_host(&kind), 3);
}

static void ports_reach_the_host(void **state)
{
	struct plane_counters before = uplink_counters(1), after;
	struct lab_meta meta;
	uint8_t buf[2048];
	int kind = -1, raw;

	drain();
	inject(A, frame(NIC, macs[A]));
	assert_int_equal(at_host(&kind), 1);
	assert_int_equal(kind, PACKET_HOST);
	CHECK_ARRIVED(0);
	after = uplink_counters(1);
	assert_int_equal(after.tx_frames, before.tx_frames + 1);
	assert_int_equal(after.rx_frames, before.rx_frames); /* not taken for the wire's */
	raw = lab_raw("up");
	inject(V, frame(NIC, macs[V]));
	assert_int_equal(at_host(&kind), 1);
	assert_int_equal(kind, PACKET_OTHERHOST);
	assert_int_equal(lab_raw_next(raw, TYPE, 20, buf, &meta), 60);
	assert_int_equal(meta.vlan, 10);
	CHECK_ARRIVED(0);
	close(raw);
}

static void the_mark_never_reaches_the_stack(void **state)
{
	struct frame f = frame(NIC, macs[A]);
	struct lab_run run = { PROGRAM_UPLINK_IN, links[UP], f.octet, f.len, 0, MARK_TO_HOST };

	assert_int_equal(lab_run(p, &run), TC_ACT_UNSPEC);
	assert_int_equal(run.mark_after, 0);
	run.mark = 7; /* somebody else's is left alone */
	assert_int_equal(lab_run(p, &run), TC_ACT_UNSPEC);
	assert_int_equal(run.mark_after, 7);
}

/* --- broadcast ------------------------------------------------------------------------------- */

static void broadcast_reaches_all_of_the_net_once(void **state)
{
	struct plane_counters before = lab_counters(p, A + 1), after;
	int kind = -1;

	drain();
	inject(A, frame(ALL, macs[A]));
	CHECK_ARRIVED(BIT(B) | BIT(C) | BIT(UP));
	assert_int_equal(at_host(&kind), 1);
	after = lab_counters(p, A + 1);
	assert_int_equal(after.rx_frames, before.rx_frames + 1);
	assert_int_equal(after.tx_frames, before.tx_frames);
	assert_int_equal(lab_drops_sum(&after), lab_drops_sum(&before));

	inject(A, frame("33:33:00:00:00:01", macs[A]));
	CHECK_ARRIVED(BIT(B) | BIT(C) | BIT(UP));
	assert_int_equal(at_host(&kind), 1);
	inject(I, frame(ALL, macs[I]));
	CHECK_ARRIVED(BIT(J));
	assert_int_equal(at_host(&kind), 0);
	inject(UP, frame(ALL, WIRE));
	CHECK_ARRIVED(BIT(A) | BIT(B) | BIT(C));
	assert_int_equal(at_host(&kind), 1);
	inject(UP, frame("01:80:c2:00:00:0e", WIRE)); /* the switch's LLDP is the host's */
	CHECK_ARRIVED(0);
	assert_int_equal(at_host(&kind), 1);
}

static void broadcast_skips_who_cannot_take_it(void **state)
{
	struct plane_counters before, after;
	struct plane_port closed = port_of(B), narrow = port_of(C);

	drain();
	closed.gate = PLANE_CLOSED;
	narrow.mtu = 68;
	set(closed);
	set(narrow);
	before = lab_counters(p, C + 1);
	struct frame f = frame(ALL, macs[A]);
	put_zeros(&f, 100);
	inject(A, f);
	CHECK_ARRIVED(BIT(UP));
	after = lab_counters(p, C + 1);
	assert_int_equal(after.drops[DROP_COPY_FAILED], before.drops[DROP_COPY_FAILED] + 1);
	assert_int_equal(after.tx_frames, before.tx_frames);
	reset();
	lab_command("ip link set dev b down");
	before = lab_counters(p, B + 1);
	inject(A, frame(ALL, macs[A]));
	CHECK_ARRIVED(BIT(C) | BIT(UP));
	after = lab_counters(p, B + 1);
	assert_int_equal(after.drops[DROP_COPY_FAILED], before.drops[DROP_COPY_FAILED] + 1);
	lab_command("ip link set dev b up");
}

static void floods_are_limited(void **state)
{
	struct plane_counters before, after;
	struct plane_port limited = port_of(A);
	unsigned int limit = 0;

	drain();
	limited.flood_pps = 1; /* a burst of 32, then one a second */
	set(limited);
	before = lab_counters(p, A + 1);
	for (int i = 0; i < 100; i++)
		inject(A, frame(ALL, macs[A]));
	after = lab_counters(p, A + 1);
	limit = (unsigned int)(after.drops[DROP_FLOOD_LIMIT] - before.drops[DROP_FLOOD_LIMIT]);
	assert_in_range(limit, 66, 68);
	assert_int_equal(arrived(B, NULL), 100 - limit);
	inject(A, frame(macs[B], macs[A])); /* unicast is not policed */
	assert_int_equal(arrived(B, NULL), 1);
	reset();
	drain();
	inject(A, frame(ALL, macs[A]));
	CHECK_ARRIVED(BIT(B) | BIT(C) | BIT(UP));
}

/* --- VLANs ----------------------------------------------------------------------------------- */

static void a_vlan_segment_is_tagged_on_the_wire_only(void **state)
{
	struct frame got, want = tagged(MISS, macs[V], 0x8100, 10);
	int kind = -1;

	drain();
	inject(V, frame(MISS, macs[V]));
	assert_int_equal(arrived(UP, &got), 1);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.octet, want.octet, want.len);
	CHECK_ARRIVED(0);
	inject(V, frame(ALL, macs[V]));
	assert_int_equal(arrived(UP, &got), 1);
	want = tagged(ALL, macs[V], 0x8100, 10);
	assert_memory_equal(got.octet, want.octet, want.len);
	CHECK_ARRIVED(BIT(W));
	assert_int_equal(at_host(&kind), 1);
	assert_int_equal(kind, PACKET_OTHERHOST);
}

static void tags_from_the_wire_choose_the_segment(void **state)
{
	struct frame got, want = frame(macs[V], WIRE);
	int kind = -1;

	drain();
	inject(UP, tagged(macs[V], WIRE, 0x8100, 10 | 5 << 13)); /* with a priority */
	assert_int_equal(arrived(V, &got), 1);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.octet, want.octet, want.len);
	CHECK_ARRIVED(0);
	inject(UP, tagged(macs[V], WIRE, 0x8100, 20));
	inject(UP, frame(macs[V], WIRE));
	inject(UP, tagged(macs[A], WIRE, 0x8100, 10));
	inject(UP, tagged(macs[V], WIRE, 0x88a8, 10));
	CHECK_ARRIVED(0);
	inject(UP, tagged(macs[A], WIRE, 0x8100, 0)); /* a priority tag is no VLAN */
	assert_int_equal(arrived(A, &got), 1);
	assert_int_equal(got.octet[12] << 8 | got.octet[13], TYPE);
	drain();
	inject(UP, tagged(ALL, WIRE, 0x8100, 10));
	CHECK_ARRIVED(BIT(V) | BIT(W));
	assert_int_equal(at_host(&kind), 1);
	assert_int_equal(kind, PACKET_OTHERHOST); /* its tag is on it again */
	inject(UP, tagged(ALL, WIRE, 0x8100, 20));
	CHECK_ARRIVED(0);
}

static void a_tag_behind_the_tag_is_not_for_ports(void **state)
{
	struct frame f = eth(macs[V], WIRE, 0x8100);

	put16(&f, 10);
	put16(&f, 0x8100);
	put16(&f, 20);
	put16(&f, TYPE);
	put_zeros(&f, 46);
	check_uplink_drop(f, DROP_VLAN_TAG);
}

static void tags_in_the_frame_work_like_those_in_metadata(void **state)
{
	struct frame f = tagged(macs[V], WIRE, 0x8100, 10), want = frame(macs[V], WIRE);
	struct plane_counters before = lab_counters(p, V + 1), after;
	struct lab_run run = { PROGRAM_UPLINK_IN, links[UP], f.octet, f.len };

	assert_int_equal(lab_run(p, &run), TC_ACT_REDIRECT);
	assert_int_equal(run.after_len, want.len);
	assert_memory_equal(run.after, want.octet, want.len);
	after = lab_counters(p, V + 1);
	assert_int_equal(after.tx_frames, before.tx_frames + 1);
	run.program = PROGRAM_UPLINK_OUT;
	assert_int_equal(lab_run(p, &run), TC_ACT_REDIRECT);
	assert_memory_equal(run.after, want.octet, want.len);
}

static void a_tag_in_metadata_is_dropped_at_a_port(void **state)
{
	/* The tap's frame has it in band; the kernel moves it before tc sees the frame. */
	check_drop(A, tagged(MISS, macs[A], 0x8100, 10), DROP_VLAN_TAG);
	check_drop(A, tagged(MISS, macs[A], 0x8100, 0), DROP_VLAN_TAG);
	check_drop(A, tagged(MISS, macs[A], 0x88a8, 10), DROP_VLAN_TAG);
	check_drop(V, tagged(MISS, macs[V], 0x8100, 10), DROP_VLAN_TAG);
}

/* --- the host -------------------------------------------------------------------------------- */

static void host_sends_as(uint16_t protocol, struct frame f)
{
	int fd = lab_stack("up", protocol);

	lab_raw_send(fd, f.octet, f.len);
	close(fd);
}

static void host_sends(struct frame f)
{
	host_sends_as(0x0003, f); /* ETH_P_ALL: the kernel reads the frame's own type */
}

static void the_host_reaches_ports_and_wire(void **state)
{
	struct frame got;

	drain();
	host_sends(frame(macs[A], NIC));
	CHECK_ARRIVED(BIT(A));
	host_sends(frame(WIRE, NIC));
	CHECK_ARRIVED(BIT(UP));
	host_sends(frame(ALL, NIC));
	CHECK_ARRIVED(BIT(A) | BIT(B) | BIT(C) | BIT(UP));
	host_sends(tagged(macs[V], NIC, 0x8100, 10));
	assert_int_equal(arrived(V, &got), 1);
	assert_int_equal(got.octet[12] << 8 | got.octet[13], TYPE);
	host_sends(tagged(ALL, NIC, 0x8100, 10));
	assert_int_equal(arrived(UP, &got), 1);
	assert_int_equal(got.octet[12] << 8 | got.octet[13], 0x8100);
	CHECK_ARRIVED(BIT(V) | BIT(W));
	/* The socket's protocol hides the tag from the kernel: better none than a tagged one. */
	host_sends_as(TYPE, tagged(macs[V], NIC, 0x8100, 10));
	CHECK_ARRIVED(0);
	host_sends(frame(WIRE, MISS)); /* a bridge or macvlan of the user's on the same NIC */
	CHECK_ARRIVED(BIT(UP));
}

static void the_host_does_not_speak_with_a_vmac(void **state)
{
	struct plane_counters before = uplink_counters(1), after;

	drain();
	host_sends(frame(WIRE, macs[A]));
	host_sends(frame(ALL, macs[B]));
	host_sends(frame(macs[B], macs[A]));
	CHECK_ARRIVED(0);
	after = uplink_counters(1);
	assert_int_equal(after.drops[DROP_HOST_SPOOF], before.drops[DROP_HOST_SPOOF] + 3);
}

static void the_wire_does_not_speak_with_a_vmac(void **state)
{
	check_uplink_drop(frame(ALL, macs[A]), DROP_WIRE_SPOOF);
	check_uplink_drop(frame(macs[B], macs[A]), DROP_WIRE_SPOOF);
	check_uplink_drop(tagged(ALL, macs[V], 0x8100, 10), DROP_WIRE_SPOOF);
}

/* --- refusals -------------------------------------------------------------------------------- */

static void refusals_have_their_reasons(void **state)
{
	struct plane_port closed = port_of(B), narrow = port_of(C);
	struct plane_uplink up = { 1, links[UP], lab_mac(NIC), 1500 };
	struct frame longer = frame(macs[C], macs[A]), wire = frame(MISS, macs[A]);
	struct error e;

	check_drop(A, frame(macs[A], macs[A]), DROP_HAIRPIN);
	check_drop(A, frame(MISS, macs[B]), DROP_SPOOFED_MAC);
	closed.gate = PLANE_CLOSED;
	set(closed);
	check_drop(A, frame(macs[B], macs[A]), DROP_RECEIVER_CLOSED);
	check_drop(B, frame(macs[A], macs[B]), DROP_GATE_CLOSED);
	check_uplink_drop(frame(macs[B], WIRE), DROP_RECEIVER_CLOSED);
	narrow.mtu = 68;
	set(narrow);
	put_zeros(&longer, 14 + 68 - longer.len);
	inject(A, longer);
	CHECK_ARRIVED(BIT(C));
	put_zeros(&longer, 1);
	check_drop(A, longer, DROP_MTU);
	reset();
	up.mtu = 68;
	assert_int_equal(plane_uplink_set(p, &up, &e), 0);
	put_zeros(&wire, 50);
	check_drop(A, wire, DROP_MTU);
	up.mtu = 1500;
	assert_int_equal(plane_uplink_remove(p, 1, &e), 0);
	check_drop(A, frame(MISS, macs[A]), DROP_NO_UPLINK);
	assert_int_equal(plane_uplink_set(p, &up, &e), 0);
	inject(A, frame(MISS, macs[A]));
	CHECK_ARRIVED(BIT(UP));
}

static void the_net_catches_what_no_program_takes(void **state)
{
	struct plane_counters before, after, nobody = uplink_counters(0);
	struct plane_port port = port_of(A);
	struct error e;
	int host = lab_stack("a", TYPE);

	drain();
	before = lab_counters(p, A + 1);
	attach_clear(&p->attach, "port1", links[A], ATTACH_PORT);
	inject(A, frame(MISS, macs[A]));
	CHECK_ARRIVED(0);
	assert_int_equal(lab_raw_count(host, TYPE, 20), 0);
	after = lab_counters(p, A + 1);
	assert_int_equal(after.drops[DROP_NO_PROGRAM], before.drops[DROP_NO_PROGRAM] + 1);
	set(port);
	inject(A, frame(MISS, macs[A]));
	CHECK_ARRIVED(BIT(UP));

	assert_int_equal(plane_port_remove(p, A + 1, true, &e), 0);
	inject(A, frame(MISS, macs[A]));
	CHECK_ARRIVED(0);
	assert_int_equal(lab_raw_count(host, TYPE, 20), 0);
	after = uplink_counters(0);
	assert_int_equal(after.drops[DROP_NO_PROGRAM], nobody.drops[DROP_NO_PROGRAM] + 1);
	set(port);
	assert_int_equal(plane_port_remove(p, A + 1, false, &e), 0);
	inject(A, frame(MISS, macs[A])); /* now the link is an ordinary one of the host */
	assert_int_equal(lab_raw_count(host, TYPE, 20), 1);
	set(port);
	close(host);
}

static void a_program_without_its_row_drops(void **state)
{
	struct plane_counters before = uplink_counters(0), after;
	struct frame f = frame(MISS, macs[A]);
	struct lab_run run = { PROGRAM_PORT, links[UP], f.octet, f.len };

	assert_int_equal(lab_run(p, &run), TC_ACT_SHOT); /* an uplink is no port */
	run.ifindex = 1;
	assert_int_equal(lab_run(p, &run), TC_ACT_SHOT);
	after = uplink_counters(0);
	assert_int_equal(after.drops[DROP_UNKNOWN_PORT], before.drops[DROP_UNKNOWN_PORT] + 2);
}

/* --- weight ---------------------------------------------------------------------------------- */

static void gso_frames_count_by_segment(void **state)
{
	static uint8_t octet[14 + 20 + 20 + 3000];
	struct plane_counters before = lab_counters(p, A + 1), after;
	struct frame head = ip4(macs[B], macs[A], "192.0.2.1", 6, 0, 20 + 3000);
	struct lab_run run = { PROGRAM_PORT, links[A], octet, sizeof(octet), 1448 };

	put_zeros(&head, 12);
	put8(&head, 5 << 4);
	memcpy(octet, head.octet, head.len);
	lab_run(p, &run);
	after = lab_counters(p, A + 1);
	assert_int_equal(after.rx_frames - before.rx_frames, 3); /* ceil(3000 / 1448) */
	assert_int_equal(after.rx_octets - before.rx_octets, 3 * 54 + 3000);
}

/* --- everything at once ---------------------------------------------------------------------- */

static uint32_t seed = 1;

static uint32_t random32(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static struct frame random_frame(void)
{
	static const uint16_t types[] = { 0x0800, 0x86dd, 0x0806, 0x8035, 0x8100, 46, TYPE };
	const char *to[] = { macs[B], macs[C], macs[A], NIC, MISS, ALL, "33:33:00:00:00:01" };
	struct frame f =
		eth(to[random32() % 7], random32() % 8 ? macs[A] : macs[B], types[random32() % 7]);
	size_t len = 14 + random32() % 140;

	while (f.len < len)
		put8(&f, random32() % 3 ? random32() : 0);
	if (f.len > 24 && f.octet[12] == 0x08 && random32() % 4)
		f.octet[14] = 0x45;
	if (f.len > 24 && f.octet[12] == 0x86 && random32() % 4) {
		static const uint8_t next[] = { 0, 6, 17, 43, 44, 51, 58, 60 };

		f.octet[14] = 0x60;
		f.octet[20] = next[random32() % 8];
	}
	if (random32() % 16 == 0)
		f.octet[random32() % f.len] ^= 1u << random32() % 8;
	return f;
}

static size_t tag_octets(const struct frame *f)
{
	unsigned int type = (unsigned int)f->octet[12] << 8 | f->octet[13];

	return type == 0x8100 || type == 0x88a8 ? 4 : 0;
}

/* Delivered + dropped = sent, for each of ten thousand frames that nobody would send. */
static void every_random_frame_is_accounted_for(void **state)
{
	struct plane_port guarded = port_of(A);
	unsigned int dropped = 0, passed = 0;

	guarded.ips[guarded.ip_count++] = lab_ip("192.0.2.1");
	drain();
	for (int i = 0; i < 10000; i++) {
		struct plane_counters a = lab_counters(p, A + 1), b = lab_counters(p, B + 1),
				      c = lab_counters(p, C + 1), u = uplink_counters(1), now;
		struct frame f = random_frame();
		uint64_t drops, sent, tag;
		bool group = f.octet[0] & 1;

		if (i == 5000)
			set(guarded);
		tag = tag_octets(&f);
		if (tag && f.len < 20)
			continue; /* half a tag: the kernel drops it before tc */
		inject(A, f);
		now = lab_counters(p, A + 1);
		assert_int_equal(now.rx_frames, a.rx_frames + 1);
		/* The kernel takes a tag out of the frame before tc sees it. */
		assert_int_equal(now.rx_octets, a.rx_octets + f.len - tag);
		drops = lab_drops_sum(&now) - lab_drops_sum(&a);
		sent = lab_counters(p, B + 1).tx_frames - b.tx_frames +
		       lab_counters(p, C + 1).tx_frames - c.tx_frames +
		       uplink_counters(1).tx_frames - u.tx_frames;
		assert_true(drops <= 1);
		assert_int_equal(sent, drops ? 0 : group ? 3 : 1);
		assert_int_equal(arrived(B, NULL) + arrived(C, NULL) + arrived(V, NULL),
				 lab_counters(p, B + 1).tx_frames - b.tx_frames +
					 lab_counters(p, C + 1).tx_frames - c.tx_frames);
		arrived(UP, NULL);
		dropped += drops != 0;
		passed += drops == 0;
	}
	print_message("%u dropped, %u delivered\n", dropped, passed);
	assert_true(dropped > 1000 && passed > 1000); /* or the frames were no test */
	for (int i = 0; i < 10000; i++) {
		struct plane_counters u = uplink_counters(1);
		struct frame f = random_frame();

		inject(UP, f);
		if (f.octet[12] == 0x88 && f.octet[13] == 0xa8)
			continue; /* provider tags are none of our business */
		assert_int_equal(uplink_counters(1).rx_frames - u.rx_frames,
				 !tag_octets(&f) || f.len >= 20);
	}
	reset();
	drain();
}

/* --- life ------------------------------------------------------------------------------------ */

static int setup(void **state)
{
	struct plane_uplink up = { .slot = 1, .address = lab_mac(NIC), .mtu = 1500 };
	struct error e;

	p = lab_plane(attach_wanted);
	for (int i = 0; i < ENDS; i++)
		links[i] = lab_tap(names[i], 1500, &fds[i]);
	lab_command("ip link set dev up address " NIC);
	up.ifindex = links[UP];
	if (plane_uplink_set(p, &up, &e) < 0)
		return -1;
	reset();
	host_fd = lab_stack("up", TYPE);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(port_to_port_and_nobody_else),
		cmocka_unit_test(unknown_goes_to_the_wire_and_to_no_port),
		cmocka_unit_test(addresses_share_a_place),
		cmocka_unit_test(wire_and_ports_reach_each_other),
		cmocka_unit_test(ports_reach_the_host),
		cmocka_unit_test(the_mark_never_reaches_the_stack),
		cmocka_unit_test(broadcast_reaches_all_of_the_net_once),
		cmocka_unit_test(broadcast_skips_who_cannot_take_it),
		cmocka_unit_test(floods_are_limited),
		cmocka_unit_test(a_vlan_segment_is_tagged_on_the_wire_only),
		cmocka_unit_test(tags_from_the_wire_choose_the_segment),
		cmocka_unit_test(a_tag_behind_the_tag_is_not_for_ports),
		cmocka_unit_test(tags_in_the_frame_work_like_those_in_metadata),
		cmocka_unit_test(a_tag_in_metadata_is_dropped_at_a_port),
		cmocka_unit_test(the_host_reaches_ports_and_wire),
		cmocka_unit_test(the_host_does_not_speak_with_a_vmac),
		cmocka_unit_test(the_wire_does_not_speak_with_a_vmac),
		cmocka_unit_test(refusals_have_their_reasons),
		cmocka_unit_test(the_net_catches_what_no_program_takes),
		cmocka_unit_test(a_program_without_its_row_drops),
		cmocka_unit_test(gso_frames_count_by_segment),
		cmocka_unit_test(every_random_frame_is_accounted_for),
	};

	attach_wanted = argc > 1 ? argv[1] : NULL;
	lab_open();
	return cmocka_run_group_tests_name("bpf: switch", tests, setup, NULL);
}
