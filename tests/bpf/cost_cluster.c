/* What a frame for a cluster's face costs over one that is simply forwarded: nanoseconds of a run
 * under BPF_PROG_RUN, of which the clock that measures it is the most.  For people; no test judges
 * it. */
#include "cluster_lab.h"

#include <stdio.h>
#include <stdlib.h>

#define A    "5a:10:00:00:00:01"
#define NIC  "52:54:00:aa:bb:cc"
#define WIRE "52:54:00:00:00:01"

#define RUNS  100001
#define FLOWS 1000000

static struct plane *p;
static struct test_cluster t;
static struct balance_row rows[CLUSTER_ROWS];
static struct plane_uplink u = { .slot = 1, .mtu = 1500 };

static int compare(const void *a, const void *b)
{
	return (int)*(const uint32_t *)a - (int)*(const uint32_t *)b;
}

/* Another flow of that many. */
static void flow_number(struct frame *f, uint32_t i)
{
	uint32_t src = htonl(0x0a000000 + i / 50000);

	memcpy(f->octet + 26, &src, 4);
	f->octet[34] = (uint8_t)((1 + i % 50000) >> 8);
	f->octet[35] = (uint8_t)(1 + i % 50000);
}

static void fill(struct frame f)
{
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct lab_run run = { PROGRAM_UPLINK_IN, u.ifindex, f.octet, f.len };

		flow_number(&f, i);
		lab_run(p, &run);
	}
}

/* Interleaved single runs, because a run rewrites the frame; medians. */
static void measure(const char *what, unsigned int members, struct frame f, uint32_t flows)
{
	static uint32_t ns[2][RUNS];
	struct frame other;
	vmac_mac_t m = lab_mac(A);

	for (uint32_t i = 0; i < RUNS; i++) {
		struct lab_run face = { PROGRAM_UPLINK_IN, u.ifindex, f.octet, f.len },
			       plain = { PROGRAM_UPLINK_IN, u.ifindex, other.octet, other.len };

		if (flows)
			flow_number(&f, (uint32_t)((uint64_t)i * 2654435761u % flows));
		other = f;
		memcpy(other.octet, m.octet, 6);
		other.octet[14 + 19]++; /* for no address of a cluster */
		plain.len = other.len;
		lab_run(p, &plain);
		lab_run(p, &face);
		ns[0][i] = face.ns;
		ns[1][i] = plain.ns;
	}
	qsort(ns[0], RUNS, sizeof(ns[0][0]), compare);
	qsort(ns[1], RUNS, sizeof(ns[1][0]), compare);
	printf("%4u members, %-28s %4u ns, forwarded %4u ns: %+d ns\n", members, what,
	       ns[0][RUNS / 2], ns[1][RUNS / 2], (int)(ns[0][RUNS / 2] - ns[1][RUNS / 2]));
}

static int set_members(unsigned int count)
{
	struct plane_cluster c = { .slot = 0, .net = { 1, 0 }, .record = &t.record };
	uint8_t bits[CLUSTER_MEMBERS_MAX / 8];
	struct error e;

	memset(bits, 0xff, sizeof(bits));
	test_cluster_init(&t);
	for (unsigned int id = 1; id <= count; id++) {
		char mac[24];

		snprintf(mac, sizeof(mac), "5a:10:00:01:%02x:%02x", id >> 8, id & 255);
		test_cluster_member(&t, (uint16_t)id, id == 1 ? A : mac);
	}
	for (unsigned int i = 0; i < CLUSTER_ROWS; i++)
		rows[i] = (struct balance_row){ (uint16_t)(1 + i % count), 0 };
	if (plane_cluster_set(p, &c, &e) < 0 ||
	    plane_cluster_install(p, 0, rows, bits, bits, &e) < 0 ||
	    plane_cluster_commit(p, 0, &e) < 0) {
		fprintf(stderr, "%s\n", e.message);
		return -1;
	}
	plane_cluster_lease(p, 0, 0, MONO_NEVER, MONO_NEVER);
	return 0;
}

int main(void)
{
	static const unsigned int counts[] = { 1, 32, 1000 };
	struct plane_port a = { .id = 1, .net = { 1, 0 }, .gate = PLANE_OPEN, .mtu = 1500 };
	struct frame f;
	vmac_mac_t m = lab_mac(A);
	struct error e;
	int fd;

	lab_open();
	p = lab_plane(NULL);
	a.ifindex = lab_tap("a", 1500, &fd);
	u.ifindex = lab_tap("u", 1500, &fd);
	a.address = m;
	u.address = lab_mac(NIC);
	if (plane_uplink_set(p, &u, &e) < 0 || plane_port_set(p, &a, &e) < 0)
		return 1;
	for (size_t i = 0; i < 3; i++) {
		if (set_members(counts[i]) < 0)
			return 1;
		measure("TCP, a flow that is known", counts[i], tcp4(WIRE, CLIENT, 1000, TCP_ACK),
			0);
		measure("TCP, SYNs", counts[i], tcp4(WIRE, CLIENT, 1001, TCP_SYN), 0);
		measure("UDP", counts[i], udp4(WIRE, CLIENT, 1002), 0);
		f = ip6_to(FACE, WIRE, "2001:db8::7", VIP6, 17);
		put_udp(&f, 7, 53);
		measure("UDP over IPv6", counts[i], ip6_done(f), 0);
	}
	fill(udp4(WIRE, CLIENT, 0));
	measure("UDP, each a flow of 1,000,000", 1000, udp4(WIRE, CLIENT, 0), FLOWS);
	plane_close(p);
	return 0;
}
