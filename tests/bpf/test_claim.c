/* Guests as redundant routers: whose the vMAC is, frame by frame. */
#include "frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <linux/pkt_cls.h>
#include <cmocka.h>

#define TYPE 0x88b5
#define A    "5a:10:00:00:00:01"
#define B    "5a:10:00:00:00:02"
#define C    "5a:10:00:00:00:03"
#define NIC  "52:54:00:aa:bb:cc"
#define WIRE "52:54:00:00:00:01"
#define ALL  "ff:ff:ff:ff:ff:ff"
#define VRRP "00:00:5e:00:01:07"

static const char *attach_wanted;
static struct plane *p;
static int up, up_fd, links[4], fds[4]; /* of ports 1 (A), 2 (B), 3 (C) */

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

static struct plane_port port_of(unsigned int id, const char *router)
{
	static const char *const macs[] = { NULL, A, B, C };
	struct plane_port port = { .id = id,
				   .ifindex = links[id],
				   .net = { 1, 0 },
				   .gate = PLANE_OPEN,
				   .address = lab_mac(macs[id]),
				   .mtu = 1500 };

	if (router)
		port.routers[port.router_count++] = lab_mac(router);
	return port;
}

static void set(struct plane_port port)
{
	struct error e;

	if (plane_port_set(p, &port, &e) < 0)
		fail_msg("%s", e.message);
}

/* A and B may be that router, C may not. */
static void set_all(const char *router)
{
	struct plane_uplink u = { 1, up, lab_mac(NIC), 1500 };
	struct error e;

	assert_int_equal(plane_uplink_set(p, &u, &e), 0);
	set(port_of(1, router));
	set(port_of(2, router));
	set(port_of(3, NULL));
}

static unsigned int drain(int fd)
{
	unsigned int count = 0;
	uint8_t buf[2048];

	while (read(fd, buf, sizeof(buf)) > 0)
		count++;
	return count;
}

static uint64_t drops(unsigned int id, unsigned int reason)
{
	return lab_counters(p, id).drops[reason];
}

static uint64_t wire_drops(unsigned int reason)
{
	struct plane_counters c;
	struct error e;

	assert_int_equal(plane_uplink_counters(p, 1, &c, &e), 0);
	return c.drops[reason];
}

/* Sends from a port (0: from the wire), returns who got it: bit 0 the wire, bit N port N. */
static unsigned int sent(unsigned int from, struct frame f)
{
	unsigned int who = 0;

	if (f.len < 60)
		put_zeros(&f, 60 - f.len);
	drain(up_fd);
	for (unsigned int id = 1; id <= 3; id++)
		drain(fds[id]);
	assert_int_equal(write(from ? fds[from] : up_fd, f.octet, f.len), f.len);
	for (unsigned int id = 1; id <= 3; id++)
		who |= drain(fds[id]) ? 1u << id : 0;
	return who | (drain(up_fd) ? 1 : 0);
}

static struct frame plain(const char *to, const char *from)
{
	return eth(to, from, TYPE);
}

/* Who has it: a port, 0 = the wire, -1 = nobody. */
static int holder(const char *mac)
{
	struct plane_claim c;

	assert_true(plane_claim(p, &(struct plane_net){ 1, 0 }, lab_mac(mac), &c));
	return c.until.ns > now_ns() ? (int)c.port : -1;
}

/* --- advertisements -------------------------------------------------------------------------- */

struct advert {
	const char *mac, *da, *dst;
	uint8_t proto, ttl;
	uint16_t port;
	unsigned int len;
	uint8_t payload[44];
	uint8_t leaves_at, leaves; /* the octet that makes it a resignation */
	unsigned int hold_ms;
};

static const struct advert adverts[] = {
	/* VRRPv2, 7, priority 100, 1 address, 1 s */
	{ VRRP,
	  "01:00:5e:00:00:12",
	  "224.0.0.18",
	  112,
	  255,
	  0,
	  20,
	  { 0x21, 7, 100, 1, 0, 1, 0, 0, 192, 0, 2, 1 },
	  2,
	  0,
	  3000 },
	/* VRRPv3, 1.00 s */
	{ VRRP,
	  "01:00:5e:00:00:12",
	  "224.0.0.18",
	  112,
	  255,
	  0,
	  12,
	  { 0x31, 7, 100, 1, 0, 100, 0, 0, 192, 0, 2, 1 },
	  2,
	  0,
	  3000 },
	/* VRRPv3, 40.95 s */
	{ VRRP,
	  "01:00:5e:00:00:12",
	  "224.0.0.18",
	  112,
	  255,
	  0,
	  12,
	  { 0x31, 7, 255, 1, 0x0f, 255, 0, 0, 192, 0, 2, 1 },
	  2,
	  0,
	  30000 },
	/* VRRPv3, 0.10 s */
	{ VRRP,
	  "01:00:5e:00:00:12",
	  "224.0.0.18",
	  112,
	  255,
	  0,
	  12,
	  { 0x31, 7, 1, 1, 0, 10, 0, 0, 192, 0, 2, 1 },
	  2,
	  0,
	  1000 },
	/* VRRPv3 over IPv6, 2 s */
	{ "00:00:5e:00:02:07",
	  "33:33:00:00:00:12",
	  "ff02::12",
	  112,
	  255,
	  0,
	  24,
	  { 0x31, 7, 100, 1, 0, 200, 0, 0, 0xfe, 0x80 },
	  2,
	  0,
	  6000 },
	/* CARP, skew 0 (which is where VRRP's priority is), 1 s */
	{ VRRP,
	  "01:00:5e:00:00:12",
	  "224.0.0.18",
	  112,
	  255,
	  0,
	  36,
	  { 0x21, 7, 0, 7, 0, 1, 0, 0 },
	  2,
	  255,
	  3000 },
	/* CARP over IPv6, skew 128 */
	{ VRRP,
	  "33:33:00:00:00:12",
	  "ff02::12",
	  112,
	  255,
	  0,
	  36,
	  { 0x21, 7, 128, 7, 0, 1, 0, 0 },
	  2,
	  255,
	  4536 },
	/* HSRP version 1: hello, active, 3 s */
	{ "00:00:0c:07:ac:07",
	  "01:00:5e:00:00:02",
	  "224.0.0.2",
	  17,
	  1,
	  1985,
	  20,
	  { 0, 0, 16, 3, 10, 100, 7, 0, 'c', 'i', 's', 'c', 'o' },
	  1,
	  2,
	  9000 },
	/* HSRP version 1: coup */
	{ "00:00:0c:07:ac:07",
	  "01:00:5e:00:00:02",
	  "224.0.0.2",
	  17,
	  1,
	  1985,
	  20,
	  { 0, 1, 16, 3, 10, 100, 7, 0, 'c', 'i', 's', 'c', 'o' },
	  1,
	  2,
	  9000 },
	/* HSRP version 2: group 0x107, active, 250 ms */
	{ "00:00:0c:9f:f1:07",
	  "01:00:5e:00:00:66",
	  "224.0.0.102",
	  17,
	  255,
	  1985,
	  42,
	  { 1, 40, 2, 0, 6, 4, 1, 7, 2, 2, 2, 2, 2, 2, 0, 0, 0, 100, 0, 0, 0, 250 },
	  3,
	  2,
	  1000 },
	/* HSRP version 2 for IPv6: 5 s */
	{ "00:05:73:a0:01:07",
	  "33:33:00:00:00:66",
	  "ff02::66",
	  17,
	  255,
	  2029,
	  42,
	  { 1, 40, 2, 0, 6, 6, 1, 7, 2, 2, 2, 2, 2, 2, 0, 0, 0, 100, 0, 0, 0x13, 0x88 },
	  3,
	  2,
	  15000 },
};

static struct frame advert_frame(const struct advert *a)
{
	unsigned int udp = a->port ? 8 : 0;
	bool is_ip6 = lab_ip(a->dst).family == 6;
	struct ip dst = lab_ip(a->dst);
	struct frame f = is_ip6 ? ip6(a->da, a->mac, "fe80::7", a->proto)
				: ip4(a->da, a->mac, "192.0.2.7", a->proto, 0, udp + a->len);

	if (is_ip6) {
		f.octet[14 + 7] = a->ttl;
		memcpy(f.octet + 14 + 24, dst.octet, 16);
	} else {
		f.octet[14 + 8] = a->ttl;
		memcpy(f.octet + 14 + 16, dst.octet, 4);
	}
	if (udp) {
		put16(&f, a->port);
		put16(&f, a->port);
		put16(&f, 8 + a->len);
		put16(&f, 0);
	}
	put(&f, a->payload, a->len);
	return is_ip6 ? ip6_done(f) : f;
}

static struct frame advert(unsigned int which)
{
	return advert_frame(&adverts[which]);
}

static struct frame resignation(unsigned int which)
{
	struct advert a = adverts[which];

	a.payload[a.leaves_at] = a.leaves;
	return advert_frame(&a);
}

#define OTHERS(id) (0xfu & ~(1u << (id)))
#define WIRE_ONLY  1u

/* --- following ------------------------------------------------------------------------------- */

static void the_claim_moves_with_the_very_frame(void **state)
{
	for (unsigned int i = 0; i < sizeof(adverts) / sizeof(adverts[0]); i++) {
		const char *mac = adverts[i].mac;
		struct plane_claim c;
		int64_t before, after;
		uint64_t lost;

		set_all(mac);
		lost = drops(1, DROP_ROUTER_CLAIM);
		assert_int_equal(holder(mac), -1);
		assert_int_equal(sent(1, plain(ALL, mac)), 0);
		assert_int_equal(sent(3, plain(mac, C)), WIRE_ONLY);
		before = now_ns();
		assert_int_equal(sent(1, advert(i)), OTHERS(1));
		after = now_ns();
		assert_int_equal(holder(mac), 1);
		assert_true(plane_claim(p, &(struct plane_net){ 1, 0 }, lab_mac(mac), &c));
		assert_true(c.until.ns > before + adverts[i].hold_ms * 1000000LL - 2048);
		assert_true(c.until.ns <= after + adverts[i].hold_ms * 1000000LL);
		assert_int_equal(sent(1, plain(ALL, mac)), OTHERS(1));
		assert_int_equal(sent(1, plain(C, mac)), 1u << 3);
		assert_int_equal(sent(3, plain(mac, C)), 1u << 1);
		assert_int_equal(sent(0, plain(mac, WIRE)), 1u << 1);
		assert_int_equal(sent(2, plain(ALL, mac)), 0);
		/* The other one takes over. */
		assert_int_equal(sent(2, advert(i)), OTHERS(2));
		assert_int_equal(holder(mac), 2);
		assert_int_equal(sent(3, plain(mac, C)), 1u << 2);
		assert_int_equal(sent(0, plain(mac, WIRE)), 1u << 2);
		assert_int_equal(sent(1, plain(mac, A)), 1u << 2);
		assert_int_equal(sent(1, plain(ALL, mac)), 0);
		assert_int_equal(sent(2, plain(ALL, mac)), OTHERS(2));
		/* A farewell of somebody else is nothing; the holder's ends it. */
		assert_int_equal(sent(1, resignation(i)), 0);
		assert_int_equal(holder(mac), 2);
		assert_int_equal(sent(2, resignation(i)), OTHERS(2));
		assert_int_equal(holder(mac), -1);
		assert_int_equal(sent(2, plain(ALL, mac)), 0);
		assert_int_equal(sent(3, plain(mac, C)), WIRE_ONLY);
		assert_int_equal(drops(1, DROP_ROUTER_CLAIM), lost + 3);
		/* The stations go on as ever. */
		assert_int_equal(sent(1, plain(B, A)), 1u << 2);
		assert_int_equal(sent(3, plain(A, C)), 1u << 1);
	}
}

/* One octet changed, or the frame cut short. */
static void what_is_no_advertisement_claims_nothing(void **state)
{
	static const struct {
		unsigned int which, at;
		uint8_t value;
	} spoilt[] = {
		{ 0, 0, 0x02 },	     /* sent to one station */
		{ 0, 14, 0x46 },     /* IP options */
		{ 0, 14 + 6, 0x20 }, /* a fragment */
		{ 0, 14 + 7, 1 },
		{ 0, 14 + 8, 254 }, /* came over a router */
		{ 0, 14 + 9, 111 },
		{ 0, 14 + 19, 17 }, /* another group of IP */
		{ 0, 34, 0x22 },    /* another type */
		{ 0, 34, 0x41 },    /* another version */
		{ 0, 35, 8 },	    /* another group */
		{ 0, 36, 0 },	    /* leaving */
		{ 0, 11, 8 },	    /* another vMAC, which it may not have */
		{ 4, 14 + 6, 17 },
		{ 4, 14 + 7, 64 },
		{ 4, 14 + 24 + 15, 0x13 },
		{ 4, 14 + 24 + 7, 1 },
		{ 4, 54, 0x21 }, /* VRRPv2 has no IPv6 */
		{ 4, 55, 6 },
		{ 5, 35, 6 },
		{ 7, 34 + 3, 0xc2 }, /* another UDP port */
		{ 7, 42, 1 },	     /* version */
		{ 7, 43, 3 },	     /* opcode */
		{ 7, 44, 8 },	     /* standby */
		{ 7, 48, 8 },	     /* group */
		{ 9, 42, 3 },	     /* another TLV */
		{ 9, 43, 39 },
		{ 9, 44, 1 },
		{ 9, 46, 5 },
		{ 9, 48, 2 },
		{ 9, 49, 8 },
		{ 10, 14 + 24 + 15, 0x12 },
		{ 10, 66, 5 },
	};

	for (size_t i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++) {
		const struct advert *a = &adverts[spoilt[i].which];
		struct frame f = advert_frame(a);

		set_all(a->mac);
		f.octet[spoilt[i].at] = spoilt[i].value;
		if (sent(1, f) || holder(a->mac) != -1)
			fail_msg("row %zu was taken for an advertisement", i);
		for (size_t len = 20; len < 14 + 20 + a->len; len += 7) {
			struct frame cut = advert_frame(a);

			assert_int_equal(write(fds[1], cut.octet, len), len);
			if (len < 14 + 20 + 8) /* all that is read of the shortest */
				assert_int_equal(holder(a->mac), -1);
		}
		assert_int_equal(plane_port_remove(p, 1, false, &(struct error){ 0 }), 0);
	}
}

static void one_protocols_words_do_not_claim_anothers_address(void **state)
{
	const unsigned int count = sizeof(adverts) / sizeof(adverts[0]);

	for (unsigned int i = 0; i < count; i++)
		for (unsigned int j = 0; j < count; j++) {
			struct advert a = adverts[j];

			if (vmac_mac_u64(lab_mac(adverts[i].mac)) == vmac_mac_u64(lab_mac(a.mac)))
				continue;
			a.mac = adverts[i].mac;
			set_all(a.mac);
			assert_int_equal(sent(1, advert_frame(&a)), 0);
			assert_int_equal(holder(a.mac), -1);
		}
}

static void a_port_that_may_not_is_dropped(void **state)
{
	uint64_t lost;

	set_all(VRRP);
	lost = drops(3, DROP_SPOOFED_MAC);
	assert_int_equal(sent(1, advert(0)), OTHERS(1));
	assert_int_equal(sent(3, advert(0)), 0);
	assert_int_equal(drops(3, DROP_SPOOFED_MAC), lost + 1);
	assert_int_equal(holder(VRRP), 1);
	assert_int_equal(sent(0, plain(VRRP, WIRE)), 1u << 1);
}

static int64_t claimed_until(const char *mac)
{
	struct plane_claim c;

	assert_true(plane_claim(p, &(struct plane_net){ 1, 0 }, lab_mac(mac), &c));
	return c.until.ns;
}

/* Exact, whatever the machine does meanwhile: a frame that passed was sent before the deadline, one
 * that did not was looked at after it. */
static void a_claim_times_out(void **state)
{
	int64_t first, until, before, after, last_passed = 0;

	set_all(VRRP);
	assert_int_equal(sent(1, advert(3)), OTHERS(1)); /* 1 s */
	first = claimed_until(VRRP);
	sleep_ms(20);
	before = now_ns();
	assert_int_equal(sent(1, advert(3)), OTHERS(1));
	until = claimed_until(VRRP);
	assert_true(until > first); /* renewed */
	assert_true(until > before + 1000000000 - 2048 && until <= now_ns() + 1000000000);
	for (;;) {
		before = now_ns();
		if (sent(1, plain(C, VRRP)) != 1u << 3)
			break;
		assert_true(before < until);
		last_passed = before;
		sleep_ms(1);
	}
	after = now_ns();
	assert_true(last_passed);
	assert_true(after >= until);
	assert_int_equal(sent(1, plain(C, VRRP)), 0);
	assert_int_equal(sent(3, plain(VRRP, C)), WIRE_ONLY);
	assert_int_equal(sent(0, plain(VRRP, WIRE)), 0);
	assert_int_equal(holder(VRRP), -1);
}

/* --- the wire -------------------------------------------------------------------------------- */

static void the_wire_may_have_it(void **state)
{
	uint64_t spoofs;

	set_all(VRRP);
	assert_int_equal(sent(1, advert(0)), OTHERS(1));
	spoofs = wire_drops(DROP_WIRE_SPOOF);
	assert_int_equal(sent(0, plain(ALL, VRRP)), 0); /* not without an advertisement */
	assert_int_equal(sent(0, plain(A, VRRP)), 0);
	assert_int_equal(sent(0, resignation(0)), 0);
	assert_int_equal(wire_drops(DROP_WIRE_SPOOF), spoofs + 3);
	assert_int_equal(holder(VRRP), 1);
	assert_int_equal(sent(0, advert(0)), OTHERS(0));
	assert_int_equal(wire_drops(DROP_WIRE_SPOOF), spoofs + 3);
	assert_int_equal(holder(VRRP), 0);
	assert_int_equal(sent(0, plain(ALL, VRRP)), OTHERS(0));
	assert_int_equal(sent(0, plain(A, VRRP)), 1u << 1);
	assert_int_equal(sent(3, plain(VRRP, C)), WIRE_ONLY);
	assert_int_equal(sent(1, plain(ALL, VRRP)), 0);
	/* It leaves, and a guest takes over. */
	assert_int_equal(sent(0, resignation(0)), OTHERS(0));
	assert_int_equal(holder(VRRP), -1);
	assert_int_equal(sent(2, advert(0)), OTHERS(2));
	assert_int_equal(sent(3, plain(VRRP, C)), 1u << 2);
}

static void a_tagged_wire_is_read_as_well(void **state)
{
	struct frame f = advert(0), tagged = f;
	struct plane_port port = port_of(1, VRRP);
	struct plane_claim c;

	set_all(NULL);
	port.net.vlan = 9;
	set(port);
	memcpy(tagged.octet + 12, (const uint8_t[]){ 0x81, 0x00, 0x00, 0x09 }, 4);
	memcpy(tagged.octet + 16, f.octet + 12, f.len - 12);
	tagged.len += 4;
	sent(0, f);
	assert_true(plane_claim(p, &port.net, lab_mac(VRRP), &c));
	assert_int_equal(c.until.ns, 0);
	assert_int_equal(sent(0, tagged), 1u << 1);
	assert_true(plane_claim(p, &port.net, lab_mac(VRRP), &c));
	assert_true(c.until.ns > now_ns());
	assert_int_equal(c.port, 0);
}

/* The host is a candidate, too: its leased frames are the wire's to a guest. */
static void the_host_may_have_it(void **state)
{
	struct plane_router r = { 0, up, lab_mac(VRRP), true, 0, NULL };
	struct frame f = advert(0), g = plain(ALL, VRRP);
	struct error e;
	int fd;

	set_all(VRRP);
	assert_int_equal(plane_router_set(p, &r, &e), 0);
	assert_int_equal(plane_router_link_set(p, up, &e), 0);
	fd = lab_raw("up");
	/* The host is the backup: its lease is none, and the guest's frames are the guest's. */
	assert_int_equal(sent(1, advert(0)), OTHERS(1));
	assert_int_equal(sent(0, plain(VRRP, WIRE)), 1u << 1);
	drain(up_fd);
	lab_raw_send(fd, f.octet, f.len);
	assert_int_equal(drain(up_fd), 0);
	assert_int_equal(holder(VRRP), 1);
	/* It becomes active. */
	plane_router_lease(p, 0, (mono_t){ now_ns() + 5000000000LL });
	lab_raw_send(fd, g.octet, g.len);
	assert_int_equal(drain(up_fd), 0); /* not before it has said so */
	drain(fds[1]);
	lab_raw_send(fd, f.octet, f.len);
	assert_int_equal(drain(up_fd), 1);
	assert_int_equal(drain(fds[1]), 1);
	assert_int_equal(holder(VRRP), 0);
	assert_int_equal(sent(3, plain(VRRP, C)), 0); /* to the host */
	assert_int_equal(sent(1, plain(ALL, VRRP)), 0);
	plane_router_lease(p, 0, (mono_t){ 0 });
	assert_int_equal(sent(3, plain(VRRP, C)), WIRE_ONLY);
	close(fd);
}

/* --- inside the frames ----------------------------------------------------------------------- */

static struct frame na(const char *from, const char *lladdr)
{
	struct frame f = ip6(ALL, from, "fe80::7", 58);
	vmac_mac_t m = lab_mac(lladdr);

	put8(&f, 136);
	put_zeros(&f, 7);
	put_ip(&f, "2001:db8::1");
	put8(&f, 2);
	put8(&f, 1);
	put(&f, m.octet, 6);
	return ip6_done(f);
}

static void arp_and_nd_name_what_is_held(void **state)
{
	set_all(VRRP);
	assert_int_equal(sent(1, arp(ALL, A, 2, VRRP, "192.0.2.1", "192.0.2.1")), 0);
	assert_int_equal(sent(1, na(A, VRRP)), 0);
	assert_int_equal(sent(1, advert(0)), OTHERS(1));
	assert_int_equal(sent(1, arp(ALL, VRRP, 2, VRRP, "192.0.2.1", "192.0.2.1")), OTHERS(1));
	assert_int_equal(sent(1, arp(ALL, A, 2, VRRP, "192.0.2.1", "192.0.2.1")), OTHERS(1));
	assert_int_equal(sent(1, arp(ALL, A, 1, A, "192.0.2.7", "192.0.2.9")), OTHERS(1));
	assert_int_equal(sent(1, na(VRRP, VRRP)), OTHERS(1));
	assert_int_equal(sent(1, na(A, VRRP)), OTHERS(1));
	assert_int_equal(sent(1, arp(ALL, VRRP, 2, B, "192.0.2.1", "192.0.2.1")), 0);
	assert_int_equal(sent(1, na(VRRP, B)), 0);
	assert_int_equal(sent(2, arp(ALL, B, 2, VRRP, "192.0.2.1", "192.0.2.1")), 0);
	assert_int_equal(sent(2, na(B, VRRP)), 0);
}

/* It forwards other hosts' packets; all else is guarded as on any port. */
static void a_router_sends_from_any_ip(void **state)
{
	struct plane_port port = port_of(1, VRRP);
	struct frame dhcp = ip4(ALL, VRRP, "192.0.2.7", 17, 0, 16);

	set_all(VRRP);
	port.ips[port.ip_count++] = lab_ip("192.0.2.7");
	set(port);
	assert_int_equal(sent(1, advert(0)), OTHERS(1));
	assert_int_equal(sent(1, ip4(C, VRRP, "203.0.113.5", 1, 0, 8)), 1u << 3);
	assert_int_equal(sent(1, ip4(C, A, "203.0.113.5", 1, 0, 8)), 1u << 3);
	put_udp(&dhcp, 67, 68);
	assert_int_equal(sent(1, dhcp), 0);
	assert_int_equal(sent(1, plain("01:80:c2:00:00:00", VRRP)), 0);
	assert_int_equal(sent(1, eth(C, VRRP, 0x8100)), 0);
	port = port_of(1, NULL);
	port.ips[port.ip_count++] = lab_ip("192.0.2.7");
	set(port);
	assert_int_equal(sent(1, ip4(C, A, "203.0.113.5", 1, 0, 8)), 0);
	assert_int_equal(sent(1, advert(0)), 0);
}

/* --- life ------------------------------------------------------------------------------------ */

static void count_claim(void *ctx, const struct plane_claim *c)
{
	++*(unsigned int *)ctx;
}

static unsigned int claims(void)
{
	unsigned int count = 0;

	plane_claims(p, count_claim, &count);
	return count;
}

static void claims_live_as_long_as_ports_may_have_them(void **state)
{
	struct plane_claim c;
	unsigned int removed;
	struct error e;

	set_all(VRRP);
	assert_int_equal(claims(), 1);
	assert_int_equal(sent(1, advert(2)), OTHERS(1));
	/* Another process: the claim goes on. */
	plane_close(p);
	p = NULL;
	assert_int_equal(sent(1, plain(C, VRRP)), 1u << 3);
	p = lab_plane(attach_wanted);
	set_all(VRRP);
	assert_int_equal(plane_sweep(p, &removed, &e), 0);
	assert_int_equal(removed, 0);
	assert_int_equal(holder(VRRP), 1);
	assert_int_equal(sent(3, plain(VRRP, C)), 1u << 1);
	/* Something else of the port changes. */
	struct plane_port port = port_of(1, VRRP);

	port.flood_pps = 1000;
	set(port);
	assert_int_equal(holder(VRRP), 1);
	/* The holder may not any more. */
	set(port_of(1, NULL));
	assert_int_equal(holder(VRRP), -1);
	assert_int_equal(sent(1, plain(C, VRRP)), 0);
	assert_int_equal(claims(), 1);
	assert_int_equal(plane_port_remove(p, 2, false, &e), 0);
	assert_int_equal(claims(), 0);
	assert_false(plane_claim(p, &(struct plane_net){ 1, 0 }, lab_mac(VRRP), &c));
	assert_int_equal(sent(3, plain(VRRP, C)), WIRE_ONLY);
	/* Left behind by a process that died. */
	set_all(VRRP);
	plane_close(p);
	p = lab_plane(attach_wanted);
	set_all(NULL);
	assert_int_equal(claims(), 0);
	assert_int_equal(plane_sweep(p, &removed, &e), 0);
	set_all(VRRP);
	plane_close(p);
	p = lab_plane(attach_wanted);
	assert_int_equal(plane_sweep(p, &removed, &e), 0);
	assert_int_equal(claims(), 0);
}

#define CHECK_REFUSED(port, wanted)                                                                \
	do {                                                                                       \
		struct error e_ = { 0 };                                                           \
		assert_true(plane_port_set(p, &(port), &e_) < 0);                                  \
		assert_int_equal(e_.code, wanted);                                                 \
	} while (0)

static void what_cannot_be_is_refused(void **state)
{
	struct plane_port port;

	set_all(VRRP);
	port = port_of(3, A); /* a station's */
	CHECK_REFUSED(port, ERROR_ADDRESS_IN_USE);
	port = port_of(3, C); /* its own */
	CHECK_REFUSED(port, ERROR_ADDRESS_IN_USE);
	port = port_of(3, NIC);
	CHECK_REFUSED(port, ERROR_ADDRESS_IN_USE);
	port = port_of(3, "01:00:5e:00:00:12");
	CHECK_REFUSED(port, ERROR_GROUP_ADDRESS);
	port = port_of(3, VRRP);
	port.routers[port.router_count++] = lab_mac(VRRP);
	CHECK_REFUSED(port, ERROR_BAD_VALUE);
	port = port_of(3, NULL);
	port.address = lab_mac(VRRP); /* a router's */
	CHECK_REFUSED(port, ERROR_ADDRESS_IN_USE);
	assert_int_equal(sent(1, advert(0)), OTHERS(1));
}

static int fresh(void **state)
{
	p = lab_plane_fresh(p, attach_wanted);
	return 0;
}

int main(int argc, char **argv)
{
#define TEST_(f) cmocka_unit_test_setup(f, fresh)
	const struct CMUnitTest each_way[] = {
		TEST_(the_claim_moves_with_the_very_frame),
		TEST_(a_port_that_may_not_is_dropped),
		TEST_(the_wire_may_have_it),
		TEST_(a_tagged_wire_is_read_as_well),
		TEST_(the_host_may_have_it),
		TEST_(arp_and_nd_name_what_is_held),
		TEST_(a_router_sends_from_any_ip),
		TEST_(claims_live_as_long_as_ports_may_have_them),
	};
	/* What a program reads in a frame or on the clock, however it is attached. */
	const struct CMUnitTest once[] = {
		TEST_(what_is_no_advertisement_claims_nothing),
		TEST_(one_protocols_words_do_not_claim_anothers_address),
		TEST_(a_claim_times_out),
		TEST_(what_cannot_be_is_refused),
	};
	int failed;

	attach_wanted = argc > 1 ? argv[1] : NULL;
	lab_open();
	up = lab_tap("up", 1500, &up_fd);
	links[1] = lab_tap("a", 1500, &fds[1]);
	links[2] = lab_tap("b", 1500, &fds[2]);
	links[3] = lab_tap("c", 1500, &fds[3]);
	failed = cmocka_run_group_tests_name("bpf: claim", each_way, NULL, NULL);
	if (!attach_wanted)
		failed += cmocka_run_group_tests_name("bpf: claim, any way", once, NULL, NULL);
	return failed;
}
