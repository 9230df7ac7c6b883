/* What a frame costs in our programs: nanoseconds a run under BPF_PROG_RUN, the harness's own share
 * included (about that of a frame that is not ours).  For people; no test judges it. */
#include "frames.h"

#include <stdio.h>
#include <stdlib.h>

#define A    "5a:10:00:00:00:01"
#define B    "5a:10:00:00:00:02"
#define NIC  "52:54:00:aa:bb:cc"
#define WIRE "52:54:00:00:00:01"

#define ROUNDS 11
#define REPEAT 1000000

static int compare(const void *a, const void *b)
{
	return (int)*(const uint32_t *)a - (int)*(const uint32_t *)b;
}

static void measure(struct plane *p, const char *what, enum plane_program program, int ifindex,
		    struct frame f)
{
	struct lab_run run = { program, ifindex, f.octet, f.len };
	uint32_t ns[ROUNDS];

	run.repeat = REPEAT;
	for (int i = 0; i < ROUNDS; i++) {
		lab_run(p, &run);
		ns[i] = run.ns;
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), compare);
	printf("%-44s %4u ns (%u to %u)\n", what, ns[ROUNDS / 2], ns[1], ns[ROUNDS - 2]);
}

static struct frame udp4(const char *to, const char *from, const char *src)
{
	struct frame f = ip4(to, from, src, 17, 0x4000, 16);

	put_udp(&f, 4000, 4001);
	return f;
}

static struct frame tcp6(const char *to, const char *from, const char *src)
{
	struct frame f = ip6(to, from, src, 6);

	put_zeros(&f, 20);
	return ip6_done(f);
}

/* A link with 250 routers, a frame of nobody's and one of a router inside its lease. */
static int routers(struct plane *p, int ifindex)
{
	const struct ip vip = lab_ip("192.0.2.1");
	struct plane_router r = { .ifindex = ifindex, .ip_count = 1, .ips = &vip };
	struct error e;

	for (r.slot = 0; r.slot < 250; r.slot++) {
		r.address = vmac_mac_from_u64(0x00005e000101ULL + r.slot);
		if (plane_router_set(p, &r, &e) < 0)
			return -1;
		plane_router_lease(p, r.slot, MONO_NEVER);
	}
	measure(p, "lease out, the host's own frame", PROGRAM_ROUTER_OUT, ifindex,
		udp4(WIRE, NIC, "192.0.2.8"));
	measure(p, "lease out, a router's frame", PROGRAM_ROUTER_OUT, ifindex,
		udp4(WIRE, "00:00:5e:00:01:07", "192.0.2.8"));
	measure(p, "lease in, the host's own frame", PROGRAM_ROUTER_IN, ifindex,
		udp4(NIC, WIRE, "192.0.2.9"));
	measure(p, "lease in, to a router, not accepting", PROGRAM_ROUTER_IN, ifindex,
		udp4("00:00:5e:00:01:07", WIRE, "192.0.2.9"));
	r.slot = 6;
	r.accept = true;
	r.address = vmac_mac_from_u64(0x00005e000107ULL);
	if (plane_router_set(p, &r, &e) < 0)
		return -1;
	measure(p, "lease in, to a router, accepting", PROGRAM_ROUTER_IN, ifindex,
		udp4("00:00:5e:00:01:07", WIRE, "192.0.2.9"));
	return 0;
}

int main(void)
{
	struct plane_port a = { .id = 1, .net = { 1, 0 }, .gate = PLANE_OPEN, .mtu = 1500 }, b = a;
	struct plane_uplink u = { .slot = 1, .mtu = 1500 };
	struct plane *p;
	struct error e;
	int fd, other;

	lab_open();
	p = lab_plane(NULL);
	a.ifindex = lab_tap("a", 1500, &fd);
	b.ifindex = lab_tap("b", 1500, &fd);
	u.ifindex = lab_tap("u", 1500, &fd);
	other = lab_tap("other", 1500, &fd);
	a.address = lab_mac(A);
	b.address = lab_mac(B);
	b.id = 2;
	u.address = lab_mac(NIC);
	if (plane_uplink_set(p, &u, &e) < 0 || plane_port_set(p, &a, &e) < 0 ||
	    plane_port_set(p, &b, &e) < 0)
		return 1;

	measure(p, "harness: uplink program, a link not ours", PROGRAM_UPLINK_IN, other,
		udp4(A, WIRE, "192.0.2.9"));
	measure(p, "port to port, other EtherType", PROGRAM_PORT, a.ifindex, eth(B, A, 0x88b5));
	measure(p, "port to port, UDP, IPs not bound", PROGRAM_PORT, a.ifindex,
		udp4(B, A, "192.0.2.1"));
	a.ips[0] = lab_ip("192.0.2.1");
	a.ips[1] = lab_ip("2001:db8::1");
	a.ip_count = 2;
	if (plane_port_set(p, &a, &e) < 0)
		return 1;
	measure(p, "port to port, UDP, IPs bound", PROGRAM_PORT, a.ifindex,
		udp4(B, A, "192.0.2.1"));
	measure(p, "port to port, TCP over IPv6, IPs bound", PROGRAM_PORT, a.ifindex,
		tcp6(B, A, "2001:db8::1"));
	measure(p, "port to wire, UDP, IPs bound", PROGRAM_PORT, a.ifindex,
		udp4(WIRE, A, "192.0.2.1"));
	measure(p, "port, spoofed: dropped", PROGRAM_PORT, a.ifindex, udp4(B, A, "192.0.2.3"));
	measure(p, "wire to port, UDP", PROGRAM_UPLINK_IN, u.ifindex, udp4(A, WIRE, "192.0.2.9"));
	measure(p, "wire to host, UDP", PROGRAM_UPLINK_IN, u.ifindex, udp4(NIC, WIRE, "192.0.2.9"));
	measure(p, "host to wire, UDP", PROGRAM_UPLINK_OUT, u.ifindex,
		udp4(WIRE, NIC, "192.0.2.8"));
	measure(p, "host to port, UDP", PROGRAM_UPLINK_OUT, u.ifindex, udp4(A, NIC, "192.0.2.8"));
	if (routers(p, u.ifindex) < 0)
		return 1;
	plane_close(p);
	return 0;
}
