/* The source guard, frame by frame: who may send what, and the reason when not. */
#include "frames.h"

#include <linux/pkt_cls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#define ME    "5a:10:00:00:00:01"
#define OTHER "5a:10:00:00:00:02"
#define OUT   "5a:99:00:00:00:99" /* nobody here: goes to the wire */
#define ALL   "ff:ff:ff:ff:ff:ff"
#define NIC   "52:54:00:aa:bb:cc"

#define MY4	"192.0.2.1"
#define MY6	"2001:db8::1"
#define MY_LL	"fe80::5810:ff:fe00:1"
#define OTHER4	"192.0.2.2"
#define OTHER6	"2001:db8::2"
#define NOBODY6 "::"

#define PASSES UINT32_MAX

static struct plane *p;
static int port_if, port_fd, uplink_if;
static struct plane_port port;

static void set_port(uint32_t allow, const char *ip_a, const char *ip_b)
{
	struct error e;

	port = (struct plane_port){ .id = 1,
				    .ifindex = port_if,
				    .net = { 1, 0 },
				    .address = lab_mac(ME),
				    .gate = PLANE_OPEN,
				    .mtu = 1500,
				    .allow = allow };
	if (ip_a)
		port.ips[port.ip_count++] = lab_ip(ip_a);
	if (ip_b)
		port.ips[port.ip_count++] = lab_ip(ip_b);
	assert_int_equal(plane_port_set(p, &port, &e), 0);
}

static void check(int line, const void *data, size_t len, uint32_t reason)
{
	struct lab_run run = { PROGRAM_PORT, port_if, data, len };
	struct plane_counters before = lab_counters(p, 1), after;
	int verdict = lab_run(p, &run);
	bool right;

	after = lab_counters(p, 1);
	right = after.rx_frames == before.rx_frames + 1;
	if (reason == PASSES)
		right &= verdict == TC_ACT_REDIRECT &&
			 lab_drops_sum(&after) == lab_drops_sum(&before);
	else
		right &= verdict == TC_ACT_SHOT &&
			 lab_drops_sum(&after) == lab_drops_sum(&before) + 1 &&
			 after.drops[reason] == before.drops[reason] + 1;
	if (right)
		return;
	print_error("line %d: verdict %d, wanted %s\n", line, verdict,
		    reason == PASSES ? "pass" : plane_drop_reason_name(reason));
	for (unsigned int i = 0; i < plane_drop_reason_count(); i++)
		if (after.drops[i] != before.drops[i])
			print_error("  dropped as %s\n", plane_drop_reason_name(i));
	fail();
}

#define CHECK(what, reason)                                                                        \
	do {                                                                                       \
		struct frame f_ = (what);                                                          \
		check(__LINE__, f_.octet, f_.len, reason);                                         \
	} while (0)

/* Fills up to the shortest Ethernet frame. */
static struct frame padded(struct frame f)
{
	if (f.len < 60)
		put_zeros(&f, 60 - f.len);
	return f;
}

/* --- Ethernet -------------------------------------------------------------------------------- */

static void own_address_passes_and_others_do_not(void **state)
{
	set_port(0, NULL, NULL);
	CHECK(padded(eth(OUT, ME, 0x88b5)), PASSES);
	CHECK(padded(eth(OUT, OTHER, 0x88b5)), DROP_SPOOFED_MAC);
	CHECK(padded(eth(OUT, NIC, 0x88b5)), DROP_SPOOFED_MAC);
	CHECK(padded(eth(ALL, OTHER, 0x88b5)), DROP_SPOOFED_MAC);
	CHECK(padded(eth(OUT, "5b:10:00:00:00:01", 0x88b5)), DROP_SPOOFED_MAC); /* group */
	CHECK(padded(eth(OUT, ALL, 0x88b5)), DROP_SPOOFED_MAC);
	CHECK(padded(eth(OUT, "00:00:00:00:00:00", 0x88b5)), DROP_SPOOFED_MAC);
}

static void a_closed_gate_lets_nothing_out(void **state)
{
	struct error e;

	set_port(0, NULL, NULL);
	port.gate = PLANE_CLOSED;
	assert_int_equal(plane_port_set(p, &port, &e), 0);
	CHECK(padded(eth(OUT, ME, 0x88b5)), DROP_GATE_CLOSED);
	CHECK(arp(ALL, ME, 1, ME, MY4, OTHER4), DROP_GATE_CLOSED);
	set_port(0, NULL, NULL);
	CHECK(padded(eth(OUT, ME, 0x88b5)), PASSES);
}

static void tags_are_not_for_access_ports(void **state)
{
	static const uint16_t tags[] = { 0x8100, 0x88a8, 0x9100, 0x9200, 0x9300 };

	set_port(0, NULL, NULL);
	for (size_t i = 0; i < 5; i++) {
		struct frame f = eth(OUT, ME, tags[i]);

		put16(&f, 10);
		put16(&f, 0x0800);
		CHECK(padded(f), DROP_VLAN_TAG);
		f = eth(OUT, OTHER, tags[i]);
		CHECK(padded(f), DROP_VLAN_TAG);
	}
}

static void control_frames_stay_here(void **state)
{
	set_port(0, NULL, NULL);
	for (unsigned int i = 0; i <= 0x30; i++) {
		char group[18];

		snprintf(group, sizeof(group), "01:80:c2:00:00:%02x", i);
		CHECK(padded(eth(group, ME, 0x88b5)),
		      i <= 0x0f || (i >= 0x20 && i <= 0x2f) ? DROP_L2_CONTROL : PASSES);
	}
	CHECK(padded(eth("01:00:0c:cc:cc:cc", ME, 0x0100)), DROP_L2_CONTROL);
	CHECK(padded(eth("01:00:0c:cc:cc:cd", ME, 0x0100)), DROP_L2_CONTROL);
	CHECK(padded(eth(OUT, ME, 0x888e)), DROP_L2_CONTROL);
	CHECK(padded(eth(OUT, ME, 0x88cc)), DROP_L2_CONTROL);
	CHECK(padded(eth(OUT, ME, 0x8808)), DROP_L2_CONTROL);
	CHECK(padded(eth(OUT, ME, 0x8809)), DROP_L2_CONTROL);
}

static struct frame llc(unsigned int oui_last, unsigned int type)
{
	struct frame f = eth(OUT, ME, 46);

	put8(&f, 0xaa);
	put8(&f, 0xaa);
	put8(&f, 3);
	put16(&f, 0);
	put8(&f, oui_last);
	put16(&f, type);
	return padded(f);
}

static void snap_does_not_go_round_the_guard(void **state)
{
	struct frame f = eth(OUT, ME, 46);

	set_port(0, MY4, NULL);
	CHECK(llc(0, 0x0800), DROP_SNAP);
	CHECK(llc(0, 0x0806), DROP_SNAP);
	CHECK(llc(0xf8, 0x86dd), DROP_SNAP);
	CHECK(llc(0, 0x8100), DROP_SNAP);
	CHECK(llc(0, 0x88b5), PASSES);
	CHECK(llc(0x0c, 0x0800), PASSES); /* somebody's own protocol */
	put8(&f, 0x42);
	CHECK(padded(f), PASSES);
}

/* --- ARP ------------------------------------------------------------------------------------- */

static void arp_speaks_for_the_port_only(void **state)
{
	struct frame f;

	set_port(0, NULL, NULL);
	CHECK(arp(ALL, ME, 1, ME, OTHER4, MY4), PASSES); /* none bound: any address, own MAC */
	CHECK(arp(ALL, ME, 1, OTHER, MY4, OTHER4), DROP_SPOOFED_ARP);
	CHECK(arp(OUT, ME, 2, OTHER, MY4, OTHER4), DROP_SPOOFED_ARP);
	CHECK(arp(ALL, ME, 3, OTHER, MY4, OTHER4), DROP_SPOOFED_ARP);

	set_port(0, MY4, "192.0.2.77");
	CHECK(arp(ALL, ME, 1, ME, MY4, OTHER4), PASSES);
	CHECK(arp(OUT, ME, 2, ME, MY4, OTHER4), PASSES);
	CHECK(arp(OUT, ME, 2, ME, "192.0.2.77", OTHER4), PASSES);
	CHECK(arp(ALL, ME, 1, ME, MY4, MY4), PASSES);		  /* gratuitous */
	CHECK(arp(ALL, ME, 1, ME, "0.0.0.0", MY4), PASSES);	  /* RFC 5227 probe */
	CHECK(arp(ALL, ME, 3, ME, "0.0.0.0", "0.0.0.0"), PASSES); /* RARP of a moved VM */
	CHECK(arp(ALL, ME, 1, ME, OTHER4, OTHER4), DROP_SPOOFED_ARP);
	CHECK(arp(OUT, ME, 2, ME, OTHER4, OTHER4), DROP_SPOOFED_ARP);
	CHECK(arp(OUT, ME, 2, ME, "0.0.0.0", OTHER4), DROP_SPOOFED_ARP); /* answers claim */
	CHECK(arp(OUT, ME, 4, ME, OTHER4, OTHER4), DROP_SPOOFED_ARP);

	set_port(0, MY6, NULL); /* the other family is closed */
	CHECK(arp(ALL, ME, 1, ME, MY4, OTHER4), DROP_SPOOFED_ARP);
	CHECK(arp(ALL, ME, 1, ME, "0.0.0.0", MY4), PASSES);

	set_port(PORT_ALLOW_ANY_IP, MY4, NULL);
	CHECK(arp(ALL, ME, 1, ME, OTHER4, MY4), PASSES);
	CHECK(arp(ALL, ME, 1, OTHER, MY4, MY4), DROP_SPOOFED_ARP);

	set_port(0, NULL, NULL);
	for (size_t at = 14; at < 20; at++) { /* hardware, protocol, lengths */
		f = arp(ALL, ME, 1, ME, MY4, OTHER4);
		f.octet[at] ^= 0x40;
		CHECK(f, DROP_MALFORMED);
	}
}

/* --- IPv4 ------------------------------------------------------------------------------------ */

static struct frame udp4(const char *src, unsigned int sport, unsigned int dport)
{
	struct frame f = ip4(OUT, ME, src, 17, 0x4000, 16);

	put_udp(&f, sport, dport);
	return f;
}

static void ip4_senders_are_bound(void **state)
{
	struct frame f;

	set_port(0, NULL, NULL);
	CHECK(udp4(OTHER4, 5000, 53), PASSES);
	set_port(0, MY4, NULL);
	CHECK(udp4(MY4, 5000, 53), PASSES);
	CHECK(udp4(OTHER4, 5000, 53), DROP_SPOOFED_IP);
	CHECK(udp4("0.0.0.0", 5000, 53), DROP_SPOOFED_IP);
	CHECK(udp4("0.0.0.0", 68, 67), PASSES);
	CHECK(udp4("0.0.0.0", 68, 53), DROP_SPOOFED_IP);
	CHECK(udp4(OTHER4, 68, 67), DROP_SPOOFED_IP);
	f = ip4(OUT, ME, "0.0.0.0", 17, 0x2000, 16); /* a DHCP client does not fragment */
	put_udp(&f, 68, 67);
	CHECK(f, DROP_SPOOFED_IP);
	f = ip4(OUT, ME, OTHER4, 17, 100, 16); /* a later part */
	put_udp(&f, 1, 1);
	CHECK(f, DROP_SPOOFED_IP);
	f = ip4(OUT, ME, MY4, 6, 0, 20);
	put_zeros(&f, 20);
	CHECK(f, PASSES);
	set_port(0, MY6, NULL);
	CHECK(udp4(MY4, 5000, 53), DROP_SPOOFED_IP);
	CHECK(udp4("0.0.0.0", 68, 67), PASSES);
	set_port(PORT_ALLOW_ANY_IP, MY4, NULL);
	CHECK(udp4(OTHER4, 5000, 53), PASSES);
}

static void all_eight_bound_addresses_count(void **state)
{
	struct error e;

	set_port(0, NULL, NULL);
	for (unsigned int i = 0; i < VMAC_IPS_MAX; i++) {
		char text[40];

		snprintf(text, sizeof(text), i % 2 ? "2001:db8::%x" : "192.0.2.%u", 100 + i);
		port.ips[port.ip_count++] = lab_ip(text);
	}
	assert_int_equal(plane_port_set(p, &port, &e), 0);
	CHECK(udp4("192.0.2.100", 1, 2), PASSES);
	CHECK(udp4("192.0.2.106", 1, 2), PASSES);
	CHECK(udp4("192.0.2.107", 1, 2), DROP_SPOOFED_IP);
	CHECK(ip6_done(ip6(OUT, ME, "2001:db8::65", 59)), PASSES);
	CHECK(ip6_done(ip6(OUT, ME, "2001:db8::6b", 59)), PASSES);
	CHECK(ip6_done(ip6(OUT, ME, "2001:db8::6c", 59)), DROP_SPOOFED_IP);
}

static void broken_ip4_is_dropped(void **state)
{
	struct frame f;

	set_port(0, NULL, NULL);
	f = udp4(MY4, 1, 2);
	f.octet[14] = 0x65;
	CHECK(f, DROP_MALFORMED);
	f = udp4(MY4, 1, 2);
	f.octet[14] = 0x44;
	CHECK(f, DROP_MALFORMED);
	f = udp4(MY4, 1, 2);
	f.octet[14] = 0x4f; /* options up to behind the frame */
	CHECK(f, DROP_MALFORMED);
	f = udp4(MY4, 1, 2);
	f.len = 14 + 20 + 7;
	CHECK(f, DROP_MALFORMED);
}

static void dhcp_servers_are_allowed_by_name(void **state)
{
	struct frame f, options;

	set_port(0, NULL, NULL);
	CHECK(udp4(MY4, 67, 68), DROP_DHCP_SERVER);
	CHECK(udp4(MY4, 68, 67), PASSES);
	f = ip4(ALL, ME, MY4, 17, 0x2000, 16); /* first part */
	put_udp(&f, 67, 68);
	CHECK(f, DROP_DHCP_SERVER);
	f = ip4(OUT, ME, MY4, 17, 0x2000, 4); /* …that hides the ports from one part */
	put16(&f, 67);
	put16(&f, 68);
	CHECK(f, DROP_FRAGMENT);
	CHECK(padded(f), DROP_FRAGMENT); /* …or behind the packet's own end */
	f = ip4(OUT, ME, MY4, 17, 1, 16);
	put_udp(&f, 67, 68);
	CHECK(f, PASSES); /* data of a later part, not ports */
	options = ip4(OUT, ME, MY4, 17, 0, 20);
	options.octet[14] = 0x46;
	put_zeros(&options, 4);
	put_udp(&options, 67, 68);
	CHECK(options, DROP_DHCP_SERVER);
	f = ip6(OUT, ME, MY6, 17);
	put_udp(&f, 547, 546);
	CHECK(ip6_done(f), DROP_DHCP_SERVER);
	f = ip6(OUT, ME, MY6, 17);
	put_udp(&f, 546, 547);
	CHECK(ip6_done(f), PASSES);

	set_port(PORT_ALLOW_DHCP_SERVER, NULL, NULL);
	CHECK(udp4(MY4, 67, 68), PASSES);
	f = ip6(OUT, ME, MY6, 17);
	put_udp(&f, 547, 546);
	CHECK(ip6_done(f), PASSES);
}

/* --- IPv6 ------------------------------------------------------------------------------------ */

static struct frame nd(const char *src, unsigned int type, const char *target, unsigned int option,
		       const char *mac)
{
	struct frame f = ip6(OUT, ME, src, 58);

	put_nd(&f, type, target, option, mac);
	return ip6_done(f);
}

static void ip6_senders_are_bound(void **state)
{
	struct frame f;

	set_port(0, NULL, NULL);
	CHECK(ip6_done(ip6(OUT, ME, OTHER6, 59)), PASSES);
	set_port(0, MY6, NULL);
	CHECK(ip6_done(ip6(OUT, ME, MY6, 59)), PASSES);
	CHECK(ip6_done(ip6(OUT, ME, MY_LL, 59)), PASSES);
	CHECK(ip6_done(ip6(OUT, ME, OTHER6, 59)), DROP_SPOOFED_IP);
	CHECK(ip6_done(ip6(OUT, ME, "fe80::1", 59)), DROP_SPOOFED_IP);
	CHECK(ip6_done(ip6(OUT, ME, NOBODY6, 59)), DROP_SPOOFED_IP);
	CHECK(ip6_done(ip6(OUT, ME, NOBODY6, 6)), DROP_SPOOFED_IP);
	f = ip6(OUT, ME, NOBODY6, 17);
	put_udp(&f, 546, 547);
	CHECK(ip6_done(f), DROP_SPOOFED_IP);
	f = ip6(OUT, ME, NOBODY6, 44); /* a later part from nobody */
	put_fragment(&f, 58, 64);
	put_zeros(&f, 16);
	CHECK(ip6_done(f), DROP_SPOOFED_IP);
	set_port(0, MY4, NULL); /* IPv4 only: the link-local remains */
	CHECK(ip6_done(ip6(OUT, ME, MY6, 59)), DROP_SPOOFED_IP);
	CHECK(ip6_done(ip6(OUT, ME, MY_LL, 59)), PASSES);
	set_port(PORT_ALLOW_ANY_IP, MY6, NULL);
	CHECK(ip6_done(ip6(OUT, ME, OTHER6, 59)), PASSES);
}

static void nobody_may_only_ask(void **state)
{
	struct frame f;

	set_port(0, MY6, NULL);
	CHECK(nd(NOBODY6, 135, MY6, 0, NULL), PASSES);
	CHECK(nd(NOBODY6, 135, MY_LL, 0, NULL), PASSES);
	CHECK(nd(NOBODY6, 135, OTHER6, 0, NULL), DROP_SPOOFED_ND); /* claims it */
	CHECK(nd(NOBODY6, 133, NULL, 0, NULL), PASSES);
	CHECK(nd(NOBODY6, 136, MY6, 2, ME), DROP_SPOOFED_IP);
	CHECK(nd(NOBODY6, 128, NULL, 0, NULL), DROP_SPOOFED_IP);
	f = ip6(OUT, ME, NOBODY6, 0); /* MLDv2 report behind router alert */
	put_ext(&f, 58);
	put8(&f, 143);
	put_zeros(&f, 27);
	CHECK(ip6_done(f), PASSES);
	f = ip6(OUT, ME, NOBODY6, 0); /* a query is a router's */
	put_ext(&f, 58);
	put8(&f, 130);
	put_zeros(&f, 27);
	CHECK(ip6_done(f), DROP_SPOOFED_IP);
}

static void nd_speaks_for_the_port_only(void **state)
{
	struct frame f;

	set_port(0, NULL, NULL);
	CHECK(nd(MY6, 135, OTHER6, 1, ME), PASSES);
	CHECK(nd(MY6, 135, OTHER6, 1, OTHER), DROP_SPOOFED_ND);
	CHECK(nd(MY6, 136, MY6, 2, ME), PASSES);
	CHECK(nd(MY6, 136, MY6, 2, OTHER), DROP_SPOOFED_ND);
	CHECK(nd(MY6, 136, OTHER6, 2, ME), PASSES); /* none bound */
	CHECK(nd(MY6, 133, NULL, 1, OTHER), DROP_SPOOFED_ND);
	CHECK(nd(MY6, 133, NULL, 1, ME), PASSES);

	set_port(0, MY6, NULL);
	CHECK(nd(MY6, 136, MY6, 2, ME), PASSES);
	CHECK(nd(MY_LL, 136, MY_LL, 2, ME), PASSES);
	CHECK(nd(MY6, 136, OTHER6, 2, ME), DROP_SPOOFED_ND);
	CHECK(nd(MY6, 135, OTHER6, 1, ME), PASSES); /* asking is free */
	set_port(0, MY4, NULL);
	CHECK(nd(MY_LL, 136, MY6, 2, ME), DROP_SPOOFED_ND);

	/* The second option counts, too; one without length never ends; half of one is none. */
	set_port(0, NULL, NULL);
	f = nd(MY6, 136, MY6, 2, ME);
	put8(&f, 2);
	put8(&f, 1);
	put(&f, lab_mac(OTHER).octet, 6);
	CHECK(ip6_done(f), DROP_SPOOFED_ND);
	f = nd(MY6, 136, MY6, 2, ME);
	put_zeros(&f, 8);
	CHECK(ip6_done(f), DROP_MALFORMED);
	f = nd(MY6, 136, MY6, 2, ME);
	put16(&f, 0x0201);
	put_zeros(&f, 2);
	CHECK(ip6_done(f), DROP_MALFORMED);
	f = nd(MY6, 136, MY6, 0, NULL);
	f.len -= 4;
	CHECK(ip6_done(f), DROP_MALFORMED);
	f = nd(MY6, 136, MY6, 2, OTHER);
	f.octet[19] = 24; /* the option lies behind the packet: nobody reads it */
	CHECK(f, PASSES);
	f = nd(MY6, 136, MY6, 2, ME);
	f.octet[19] += 8; /* the packet says it is longer than the frame */
	CHECK(f, DROP_MALFORMED);
	f = nd(MY6, 136, MY6, 0, NULL);
	for (int i = 0; i < 17; i++) {
		put16(&f, 0x0e01);
		put_zeros(&f, 6);
	}
	CHECK(ip6_done(f), DROP_IP6_HEADERS);
}

static void routers_are_allowed_by_name(void **state)
{
	set_port(0, NULL, NULL);
	CHECK(nd(MY_LL, 134, NULL, 1, ME), DROP_ROUTER_ADVERT);
	CHECK(nd(MY_LL, 137, MY6, 0, NULL), DROP_ROUTER_ADVERT);
	set_port(PORT_ALLOW_ANY_IP, MY6, NULL);
	CHECK(nd(MY_LL, 134, NULL, 1, ME), DROP_ROUTER_ADVERT);
	set_port(PORT_ALLOW_ROUTER_ADVERT, NULL, NULL);
	CHECK(nd(MY_LL, 134, NULL, 1, ME), PASSES);
	CHECK(nd(MY_LL, 134, NULL, 1, OTHER), DROP_SPOOFED_ND);
	CHECK(nd(MY_LL, 137, MY6, 2, OTHER), PASSES);
}

static void extension_headers_hide_nothing(void **state)
{
	static const unsigned int kinds[] = { 0, 43, 60, 135, 139, 140 };
	struct frame f;

	set_port(0, NULL, NULL);
	for (size_t i = 0; i < 6; i++) {
		f = ip6(OUT, ME, MY_LL, kinds[i]);
		put_ext(&f, 58);
		put_nd(&f, 134, NULL, 0, NULL);
		CHECK(ip6_done(f), DROP_ROUTER_ADVERT);
		f = ip6(OUT, ME, MY_LL, kinds[i]);
		put_ext(&f, 60);
		put_ext(&f, 17);
		put_udp(&f, 547, 546);
		CHECK(ip6_done(f), DROP_DHCP_SERVER);
	}
	f = ip6(OUT, ME, MY_LL, 51); /* AH of 12 octets and 12 more */
	put8(&f, 58);
	put8(&f, 4);
	put_zeros(&f, 22);
	put_nd(&f, 134, NULL, 0, NULL);
	CHECK(ip6_done(f), DROP_ROUTER_ADVERT);
	f = ip6(OUT, ME, MY_LL, 60);
	for (int i = 0; i < 8; i++)
		put_ext(&f, i < 7 ? 60 : 58);
	put_nd(&f, 128, NULL, 0, NULL);
	CHECK(ip6_done(f), DROP_IP6_HEADERS);
	f = ip6(OUT, ME, MY_LL, 60); /* a header that ends behind the frame */
	put8(&f, 58);
	put8(&f, 200);
	put_zeros(&f, 6);
	CHECK(ip6_done(f), DROP_MALFORMED);
	f = ip6(OUT, ME, MY_LL, 59);
	f.octet[14] = 0x45;
	CHECK(ip6_done(f), DROP_MALFORMED);
}

static void fragments_hide_nothing(void **state)
{
	struct frame f;

	set_port(0, NULL, NULL);
	f = ip6(OUT, ME, MY_LL, 44); /* RFC 6980: no ND in fragments, not even an atomic one */
	put_fragment(&f, 58, 0);
	put_nd(&f, 136, MY6, 2, ME);
	CHECK(ip6_done(f), DROP_FRAGMENT);
	f = ip6(OUT, ME, MY_LL, 44);
	put_fragment(&f, 58, 1);
	put_nd(&f, 134, NULL, 0, NULL);
	CHECK(ip6_done(f), DROP_ROUTER_ADVERT);
	f = ip6(OUT, ME, MY_LL, 44); /* RFC 7112: the chain is in the first part or nowhere */
	put_fragment(&f, 60, 1);
	CHECK(ip6_done(f), DROP_FRAGMENT);
	f = ip6(OUT, ME, MY_LL, 44);
	put_fragment(&f, 60, 1);
	put_ext(&f, 58);
	CHECK(ip6_done(f), DROP_FRAGMENT);
	f = ip6(OUT, ME, MY_LL, 44);
	put_fragment(&f, 17, 1);
	put32(&f, 547 << 16);
	CHECK(ip6_done(f), DROP_FRAGMENT);
	f = ip6(OUT, ME, MY_LL, 44);
	put_fragment(&f, 17, 1);
	put_udp(&f, 547, 546);
	CHECK(ip6_done(f), DROP_DHCP_SERVER);
	f = ip6(OUT, ME, MY_LL, 44);
	put_fragment(&f, 17, 1);
	put_udp(&f, 4000, 53);
	CHECK(ip6_done(f), PASSES);
	f = ip6(OUT, ME, MY_LL, 44);
	put_fragment(&f, 58, 1);
	put_nd(&f, 128, NULL, 0, NULL);
	CHECK(ip6_done(f), PASSES); /* a large ping */
	f = ip6(OUT, ME, MY_LL, 44);
	put_fragment(&f, 58, 64);
	put_zeros(&f, 16);
	CHECK(ip6_done(f), PASSES);
	f = ip6(OUT, ME, MY_LL, 44);
	put16(&f, 58);
	CHECK(ip6_done(f), DROP_MALFORMED);
}

/* --- every length ---------------------------------------------------------------------------- */

/* Through the tap itself, since BPF_PROG_RUN refuses the shortest; the kernel takes none below 14.
 */
static void frames_cut_short_never_pass_as_whole(void **state)
{
	const struct frame whole[] = { arp(ALL, ME, 1, ME, MY4, OTHER4), udp4(MY4, 68, 67),
				       nd(MY6, 136, MY6, 2, ME), padded(eth(OUT, ME, 0x88b5)) };
	const size_t least[] = { 42, 42, 86, 14 };
	struct plane_counters before, after;

	set_port(0, MY4, MY6);
	for (size_t i = 0; i < 4; i++)
		for (size_t len = 0; len <= whole[i].len; len++) {
			bool taken;

			before = lab_counters(p, 1);
			taken = write(port_fd, whole[i].octet, len) == (ssize_t)len;
			after = lab_counters(p, 1);
			assert_int_equal(taken, len >= 14);
			assert_int_equal(after.rx_frames - before.rx_frames, taken);
			assert_int_equal(after.drops[DROP_MALFORMED] - before.drops[DROP_MALFORMED],
					 taken && len < least[i]);
			assert_int_equal(lab_drops_sum(&after) - lab_drops_sum(&before),
					 taken && len < least[i]);
		}
}

/* --- life ------------------------------------------------------------------------------------ */

static int setup(void **state)
{
	struct plane_uplink uplink = { .slot = 1, .mtu = 1500 };
	struct error e;
	int fd;

	p = lab_plane(NULL);
	port_if = lab_tap("port", 1500, &port_fd);
	uplink_if = lab_tap("uplink", 1500, &fd);
	uplink.ifindex = uplink_if;
	uplink.address = lab_mac(NIC);
	return plane_uplink_set(p, &uplink, &e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_address_passes_and_others_do_not),
		cmocka_unit_test(a_closed_gate_lets_nothing_out),
		cmocka_unit_test(tags_are_not_for_access_ports),
		cmocka_unit_test(control_frames_stay_here),
		cmocka_unit_test(snap_does_not_go_round_the_guard),
		cmocka_unit_test(arp_speaks_for_the_port_only),
		cmocka_unit_test(ip4_senders_are_bound),
		cmocka_unit_test(all_eight_bound_addresses_count),
		cmocka_unit_test(broken_ip4_is_dropped),
		cmocka_unit_test(dhcp_servers_are_allowed_by_name),
		cmocka_unit_test(ip6_senders_are_bound),
		cmocka_unit_test(nobody_may_only_ask),
		cmocka_unit_test(nd_speaks_for_the_port_only),
		cmocka_unit_test(routers_are_allowed_by_name),
		cmocka_unit_test(extension_headers_hide_nothing),
		cmocka_unit_test(fragments_hide_nothing),
		cmocka_unit_test(frames_cut_short_never_pass_as_whole),
	};

	lab_open();
	return cmocka_run_group_tests_name("bpf: guard", tests, setup, NULL);
}
