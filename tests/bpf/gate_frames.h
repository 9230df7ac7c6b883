/* The frames that a gate is asked about: those that open an armed one, and all that nearly do.
 *
 * For test_gate.c, which says who MAC, PAL, WIRE and the others are. */
#pragma once

static struct frame frame(const char *to, const char *from)
{
	struct frame f = eth(to, from, TYPE);

	for (unsigned int i = 0; i < 66; i++)
		put8(&f, i);
	return f;
}

static struct frame rarp(unsigned int op, const char *from, const char *sha)
{
	struct frame f = arp(ALL, from, op, sha, "0.0.0.0", "0.0.0.0");

	f.octet[12] = 0x80;
	f.octet[13] = 0x35;
	put_zeros(&f, 18);
	return f;
}

static struct frame na(unsigned int type, unsigned int flags, unsigned int option, const char *mac)
{
	struct frame f = ip6(ALL, MAC, IP6, 58);
	size_t at = f.len;

	put_nd(&f, type, IP6, option, mac);
	f.octet[at + 4] = (uint8_t)flags;
	return ip6_done(f);
}

static struct frame tag(struct frame f)
{
	struct frame t = { .len = 0 };

	put(&t, f.octet, 12);
	put16(&t, 0x8100);
	put16(&t, 10);
	put(&t, f.octet + 12, f.len - 12);
	return t;
}

struct kind {
	const char *name;
	struct frame (*make)(void);
	bool opens; /* an armed gate; it is a frame that the guard passes in any case */
	bool spoof; /* … but these */
};

static struct frame make_unicast(void)
{
	return frame(PAL, MAC);
}
static struct frame make_wire(void)
{
	return frame(WIRE, MAC);
}
static struct frame make_host(void)
{
	return frame(NIC, MAC);
}
static struct frame make_broadcast(void)
{
	return frame(ALL, MAC);
}
static struct frame make_rarp(void)
{
	return rarp(3, MAC, MAC);
}
static struct frame make_rarp_1(void)
{
	return rarp(1, MAC, MAC);
}
static struct frame make_rarp_4(void)
{
	return rarp(4, MAC, MAC);
}
static struct frame make_garp(void)
{
	return arp(ALL, MAC, 1, MAC, IP4, IP4);
}
static struct frame make_garp_reply(void)
{
	return arp(ALL, MAC, 2, MAC, IP4, IP4);
}
static struct frame make_na(void)
{
	return na(136, 0x20, 2, MAC);
}
/* Behind another option. */
static struct frame make_na_later(void)
{
	struct frame f = ip6(ALL, MAC, IP6, 58);

	put_nd(&f, 136, IP6, 14, "01:02:03:04:05:06");
	put8(&f, 2);
	put8(&f, 1);
	put(&f, lab_mac(MAC).octet, 6);
	return ip6_done(f);
}
static struct frame make_arp_other(void)
{
	return arp(ALL, MAC, 1, MAC, IP4, "192.0.2.9");
}
static struct frame make_arp_probe(void)
{
	return arp(ALL, MAC, 1, MAC, "0.0.0.0", IP4);
}
static struct frame make_arp_nothing(void)
{
	return arp(ALL, MAC, 1, MAC, "0.0.0.0", "0.0.0.0");
}
static struct frame make_na_solicited(void)
{
	return na(136, 0x60, 2, MAC);
}
static struct frame make_na_no_option(void)
{
	return na(136, 0x20, 0, NULL);
}
static struct frame make_na_source_option(void)
{
	return na(136, 0x20, 1, MAC);
}
static struct frame make_na_far(void)
{
	struct frame f = make_na();

	f.octet[21] = 64;
	return f;
}
static struct frame make_na_code(void)
{
	struct frame f = make_na();

	f.octet[55] = 1;
	return f;
}
static struct frame make_ns(void)
{
	return na(135, 0, 1, MAC);
}
static struct frame make_rarp_foreign_sa(void)
{
	return rarp(3, MISS, MAC);
}
static struct frame make_rarp_foreign_sender(void)
{
	return rarp(3, MAC, MISS);
}
static struct frame make_rarp_tagged(void)
{
	return tag(rarp(3, MAC, MAC));
}
static struct frame make_rarp_short(void)
{
	struct frame f = rarp(3, MAC, MAC);

	f.len = 30;
	return f;
}
static struct frame make_garp_foreign(void)
{
	return arp(ALL, MAC, 1, MISS, IP4, IP4);
}
static struct frame make_na_foreign(void)
{
	return na(136, 0x20, 2, MISS);
}
static struct frame make_na_foreign_sa(void)
{
	struct frame f = make_na();

	memcpy(f.octet + 6, lab_mac(PAL).octet, 6);
	return f;
}

static const struct kind kinds[] = {
	{ "unicast to a neighbour", make_unicast, false, false },
	{ "unicast to the wire", make_wire, false, false },
	{ "unicast to the host", make_host, false, false },
	{ "broadcast", make_broadcast, false, false },
	{ "RARP", make_rarp, true, false },
	{ "RARP with opcode 1", make_rarp_1, true, false },
	{ "RARP reply", make_rarp_4, true, false },
	{ "gratuitous ARP", make_garp, true, false },
	{ "gratuitous ARP reply", make_garp_reply, true, false },
	{ "unsolicited NA", make_na, true, false },
	{ "unsolicited NA, the option later", make_na_later, true, false },
	{ "ARP request for another", make_arp_other, false, false },
	{ "ARP probe", make_arp_probe, false, false },
	{ "ARP of nobody for nobody", make_arp_nothing, false, false },
	{ "solicited NA", make_na_solicited, false, false },
	{ "NA without an option", make_na_no_option, false, false },
	{ "NA with a source's option", make_na_source_option, false, false },
	{ "NA from afar", make_na_far, false, false },
	{ "NA with a code", make_na_code, false, false },
	{ "NS", make_ns, false, false },
	{ "RARP, foreign source", make_rarp_foreign_sa, false, true },
	{ "RARP, foreign sender", make_rarp_foreign_sender, false, true },
	{ "RARP with a VLAN tag", make_rarp_tagged, false, true },
	{ "RARP cut short", make_rarp_short, false, true },
	{ "gratuitous ARP, foreign sender", make_garp_foreign, false, true },
	{ "NA with a foreign address", make_na_foreign, false, true },
	{ "NA, foreign source", make_na_foreign_sa, false, true },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))
