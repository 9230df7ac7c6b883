/* A cluster to try: its members' ports, somebody else's, the wire, and frames with true sums. */
#pragma once

#include "frames.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/pkt_cls.h>
#include <cmocka.h>

#include "balance/table.h"
#include "plane/cluster.h"

#define A      "5a:10:00:00:00:01" /* a member */
#define B      "5a:10:00:00:00:02" /* another */
#define C      "5a:10:00:00:00:03" /* none */
#define NIC    "52:54:00:aa:bb:cc"
#define CLIENT "52:54:00:00:00:01" /* on the wire */
#define FACE   "02:00:5e:00:53:10"
#define ALL    "ff:ff:ff:ff:ff:ff"

#define A4	"192.0.2.11"
#define B4	"192.0.2.12"
#define C4	"192.0.2.13"
#define CLIENT4 "192.0.2.99"
#define VIP4	"192.0.2.10"
#define A6	"2001:db8::11"
#define B6	"2001:db8::12"
#define CLIENT6 "2001:db8::99"
#define VIP6	"2001:db8::10"
#define A_LINK	"fe80::5810:ff:fe00:1" /* that which the vMAC forms */

/* Who has a copy: bit 0 the wire, bit N port N. */
#define ON(n)	 (1u << (n))
#define ON_WIRE	 ON(0)
#define ANSWERED ON(7)

static const char *attach_wanted;
static struct plane *p;
static int up, up_fd, links[4], fds[4]; /* of ports 1 (A), 2 (B), 3 (C) */
static struct plane_net net = { 1, 0 };

/* --- the cluster ----------------------------------------------------------------------------- */

static struct cluster_member members[2];
static vmac_mac_t faces[4];
static struct ip addresses[2], own[2][2];
static struct cluster record;
static struct balance_row *rows;

static inline int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void lease(unsigned int face, bool serve, bool speak)
{
	mono_t later = { now_ns() + 60000000000LL };

	plane_cluster_lease(p, 0, face, serve ? later : (mono_t){ 0 },
			    speak ? later : (mono_t){ 0 });
}

static inline void set_cluster(void)
{
	struct plane_cluster c = { .net = net, .record = &record, .own = record.nat ? own : NULL };
	uint8_t ids[CLUSTER_MEMBERS_MAX / 8] = { 3 };
	struct error e = { 0 };

	if (plane_cluster_set(p, &c, &e) < 0)
		fail_msg("%s", e.message);
	if (plane_cluster_install(p, 0, rows, ids, ids, &e) < 0 ||
	    plane_cluster_commit(p, 0, &e) < 0)
		fail_msg("%s", e.message);
	for (unsigned int i = 0; i < record.face_count; i++)
		lease(i, true, true);
}

/* All rows are that member's. */
static inline void all_rows(unsigned int first)
{
	for (unsigned int i = 0; i < CLUSTER_ROWS; i++)
		rows[i] = (struct balance_row){ (uint16_t)first, 0 };
}

static inline struct plane_port port_of(unsigned int id)
{
	static const char *const macs[] = { NULL, A, B, C };

	return (struct plane_port){ .id = id,
				    .ifindex = links[id],
				    .net = net,
				    .gate = PLANE_OPEN,
				    .address = lab_mac(macs[id]),
				    .mtu = 1500 };
}

static inline void set_port(struct plane_port port)
{
	struct error e = { 0 };

	if (plane_port_set(p, &port, &e) < 0)
		fail_msg("%s", e.message);
}

/* With IP addresses bound. */
static inline void bind_ips(void)
{
	static const char *const ip4[] = { NULL, A4, B4, C4 };

	for (unsigned int id = 1; id <= 3; id++) {
		struct plane_port port = port_of(id);

		port.ips[port.ip_count++] = lab_ip(ip4[id]);
		if (id == 1)
			port.ips[port.ip_count++] = lab_ip(A6);
		set_port(port);
	}
}

static inline void set_all(void)
{
	struct plane_uplink u = { 1, up, lab_mac(NIC), 1500 };
	struct error e;

	assert_int_equal(plane_uplink_set(p, &u, &e), 0);
	for (unsigned int id = 1; id <= 3; id++)
		set_port(port_of(id));
	set_cluster();
}

static inline int fresh(void **state)
{
	p = lab_plane_fresh(p, attach_wanted);
	net = (struct plane_net){ 1, 0 };
	faces[0] = lab_mac(FACE);
	addresses[0] = lab_ip(VIP4);
	addresses[1] = lab_ip(VIP6);
	own[0][0] = lab_ip(A4);
	own[0][1] = lab_ip(A6);
	own[1][0] = lab_ip(B4);
	own[1][1] = lab_ip(B6);
	members[0] = (struct cluster_member){ .id = 1, .address = lab_mac(A), .weight = 1 };
	members[1] = (struct cluster_member){ .id = 2, .address = lab_mac(B), .weight = 1 };
	record = (struct cluster){ .id = 1,
				   .name = "web",
				   .key = "0123456789abcde",
				   .face_count = 1,
				   .address_count = 2,
				   .member_count = 2,
				   .faces = faces,
				   .addresses = addresses,
				   .members = members,
				   .check_target = "",
				   .note = "" };
	all_rows(1);
	set_all();
	return 0;
}

static inline void open_links(int argc, char **argv)
{
	attach_wanted = argc > 1 ? argv[1] : NULL;
	rows = calloc(CLUSTER_ROWS, sizeof(*rows));
	lab_open();
	up = lab_tap("up", 1500, &up_fd);
	links[1] = lab_tap("a", 1500, &fds[1]);
	links[2] = lab_tap("b", 1500, &fds[2]);
	links[3] = lab_tap("c", 1500, &fds[3]);
}

static inline uint64_t drops(unsigned int id, unsigned int reason)
{
	struct plane_counters c;
	struct error e;

	if (id)
		return lab_counters(p, id).drops[reason];
	assert_int_equal(plane_uplink_counters(p, 1, &c, &e), 0);
	return c.drops[reason];
}

static inline struct plane_cluster_counters counts(void)
{
	struct plane_cluster_counters c;
	struct error e;

	assert_int_equal(plane_cluster_counters(p, 0, &c, &e), 0);
	return c;
}

/* --- sending --------------------------------------------------------------------------------- */

/* What came last, by end. */
static struct frame got[4];

static inline int fd_of(unsigned int end)
{
	return end ? fds[end] : up_fd;
}

static inline unsigned int drain(unsigned int end)
{
	unsigned int count = 0;
	uint8_t buf[2048];
	ssize_t n;

	while ((n = read(fd_of(end), buf, sizeof(buf))) > 0) {
		got[end].len =
			(size_t)n < sizeof(got[end].octet) ? (size_t)n : sizeof(got[end].octet);
		memcpy(got[end].octet, buf, got[end].len);
		count++;
	}
	return count;
}

static inline unsigned int who_got(void)
{
	unsigned int who = 0;

	for (unsigned int end = 0; end < 4; end++) {
		unsigned int n = drain(end);

		assert_true(n <= 1);
		who |= n ? ON(end) : 0;
	}
	return who;
}

/* From a port (0: from the wire); who got it.  Nobody gets it twice. */
static inline unsigned int sent(unsigned int from, struct frame f)
{
	for (unsigned int end = 0; end < 4; end++)
		drain(end);
	assert_int_equal(write(fd_of(from), f.octet, f.len), f.len);
	return who_got();
}

static inline struct frame tagged(struct frame f, unsigned int vlan)
{
	struct frame t = f;

	memcpy(t.octet + 12, (const uint8_t[]){ 0x81, 0, (uint8_t)(vlan >> 8), (uint8_t)vlan }, 4);
	memcpy(t.octet + 16, f.octet + 12, f.len - 12);
	t.len += 4;
	return t;
}

#define CHECK_FRAME(f, wanted)                                                                     \
	do {                                                                                       \
		assert_int_equal((f).len, (wanted).len);                                           \
		assert_memory_equal((f).octet, (wanted).octet, (wanted).len);                      \
	} while (0)

/* --- sums ------------------------------------------------------------------------------------ */

static inline uint32_t sum_of(const uint8_t *data, size_t len, uint32_t sum)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	if (len & 1)
		sum += (uint32_t)data[len - 1] << 8;
	return sum;
}

static inline uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* The packet's header and payload; `proto` and the offset of its checksum; 0: none to be had. */
struct inside {
	size_t l4, len, sum;
	unsigned int proto;
	uint32_t pseudo;
};

static inline struct inside look(const uint8_t *ip, size_t room)
{
	struct inside in = { 0 };
	bool is_ip6 = ip[0] >> 4 == 6, later = false, part = false;
	unsigned int proto = is_ip6 ? ip[6] : ip[9];

	in.l4 = is_ip6 ? 40 : (ip[0] & 15u) * 4;
	in.len = is_ip6 ? (size_t)(ip[4] << 8 | ip[5]) : (size_t)(ip[2] << 8 | ip[3]) - in.l4;
	if (is_ip6 && proto == 44) {
		proto = ip[40];
		later = (ip[42] << 8 | ip[43]) & 0xfff8;
		part = true;
		in.l4 += 8;
		in.len -= 8;
	} else if (!is_ip6) {
		later = (ip[6] << 8 | ip[7]) & 0x1fff;
		part = (ip[6] << 8 | ip[7]) & 0x3fff;
	}
	in.proto = proto;
	in.pseudo = proto == 1 ? 0
			       : sum_of(is_ip6 ? ip + 8 : ip + 12, is_ip6 ? 32 : 8,
					proto + (uint32_t)in.len);
	in.sum = later ? 0 : proto == 6 ? 16 : proto == 17 ? 6 : proto == 1 || proto == 58 ? 2 : 0;
	/* Of a part, or of what is cut short inside an error, the sum is not to be had. */
	if (part || in.l4 + in.len > room)
		in.len = 0;
	return in;
}

/* Fills in all sums, of the inside of an ICMP error first. */
static inline void seal_packet(uint8_t *ip, size_t room)
{
	struct inside in = look(ip, room);
	uint16_t sum;

	if ((in.proto == 1 && (ip[in.l4] == 3 || ip[in.l4] == 11)) ||
	    (in.proto == 58 && ip[in.l4] <= 4))
		seal_packet(ip + in.l4 + 8, room - in.l4 - 8);
	if (in.sum && in.len) {
		memset(ip + in.l4 + in.sum, 0, 2);
		sum = folded(sum_of(ip + in.l4, in.len, in.pseudo));
		ip[in.l4 + in.sum] = (uint8_t)(sum >> 8);
		ip[in.l4 + in.sum + 1] = (uint8_t)sum;
	}
	if (ip[0] >> 4 == 4) {
		memset(ip + 10, 0, 2);
		sum = folded(sum_of(ip, (ip[0] & 15u) * 4, 0));
		ip[10] = (uint8_t)(sum >> 8);
		ip[11] = (uint8_t)sum;
	}
}

static inline struct frame sealed(struct frame f)
{
	seal_packet(f.octet + 14, f.len - 14);
	return f;
}

/* All sums are what they should be. */
static inline void check_sums(struct frame f)
{
	struct frame again = sealed(f);

	CHECK_FRAME(f, again);
}

/* --- packets --------------------------------------------------------------------------------- */

/* With both addresses, of the family that they are of; `payload` octets follow and are the test's
 * to put. */
static inline struct frame packet(const char *to, const char *from, const char *src,
				  const char *dst, unsigned int proto, size_t payload)
{
	struct ip d = lab_ip(dst);
	struct frame f = d.family == 6 ? ip6(to, from, src, proto)
				       : ip4(to, from, src, proto, 0, (unsigned int)payload);

	if (d.family == 6) {
		f.octet[18] = (uint8_t)(payload >> 8);
		f.octet[19] = (uint8_t)payload;
		memcpy(f.octet + 14 + 24, d.octet, 16);
	} else {
		memcpy(f.octet + 14 + 16, d.octet, 4);
	}
	return f;
}

#define SYN 0x02
#define ACK 0x10

static inline struct frame tcp(const char *to, const char *from, const char *src,
			       unsigned int sport, const char *dst, unsigned int dport,
			       unsigned int flags)
{
	struct frame f = packet(to, from, src, dst, 6, 25);

	put16(&f, sport);
	put16(&f, dport);
	put32(&f, 1000);
	put32(&f, 2000);
	put8(&f, 0x50);
	put8(&f, flags);
	put16(&f, 8192);
	put32(&f, 0);
	put(&f, "hello", 5);
	return sealed(f);
}

/* A neighbour's question, or what one says, with an option (0: none). */
static inline struct frame nd(const char *to, const char *from, const char *src, const char *dst,
			      unsigned int type, uint32_t flags, const char *target,
			      unsigned int option, const char *mac)
{
	struct frame f = packet(to, from, src, dst, 58, option ? 32 : 24);
	vmac_mac_t m;

	put8(&f, type);
	put8(&f, 0);
	put16(&f, 0);
	put32(&f, flags);
	put_ip(&f, target);
	if (option) {
		m = lab_mac(mac);
		put8(&f, option);
		put8(&f, 1);
		put(&f, m.octet, 6);
	}
	return sealed(f);
}
