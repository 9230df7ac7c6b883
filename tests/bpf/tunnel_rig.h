/* Two hosts, their wire and the tunnel between them; a guest that has a place on both, and a client
 * at the first. */
#pragma once

#include "frames.h"

#include <errno.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "host/tunnel.h"

#define TYPE	  0x88b5
#define ALL	  "ff:ff:ff:ff:ff:ff"
#define MAC	  "5a:10:00:00:00:01" /* the guest that moves */
#define CLIENT	  "5a:10:00:00:00:02" /* a guest at the source */
#define MISS	  "5a:99:00:00:00:99"
#define NIC_A	  "52:54:00:00:00:0a"
#define NIC_B	  "52:54:00:00:00:0b"
#define VNI	  4711
#define GUEST_IP4 "192.0.2.1"

enum { A, B, HOSTS };

static const char *attach_wanted;
static const char *const instances[HOSTS] = { "a", "b" };
static const char *const nics[HOSTS] = { NIC_A, NIC_B };
static int space[HOSTS], guest[HOSTS], client;
static int nic_if[HOSTS], guest_if[HOSTS], client_if, tunnel_if[HOSTS];
static int guest_raw[HOSTS], client_raw, nic_raw[HOSTS];
static struct plane *plane[HOSTS];
static struct error e;
static const struct plane_net net = { 1, 0 };

/* --- tools ----------------------------------------------------------------------------------- */

#define OK(call)                                                                                   \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s", e.message);                                                 \
	} while (0)

static struct plane_port port_of(int host, uint32_t id)
{
	return (struct plane_port){ .id = id,
				    .ifindex = id == 1 ? guest_if[host] : client_if,
				    .net = net,
				    .address = lab_mac(id == 1 ? MAC : CLIENT),
				    .gate = PLANE_OPEN,
				    .mtu = 1500 };
}

static void gate(int host, enum plane_gate g, const char *peer)
{
	struct plane_gate_more more = { 0 };

	if (peer)
		more.peer = lab_ip(peer);
	OK(plane_port_gate(plane[host], 1, g, &more, NULL, &e));
}

static void set_all(int host)
{
	struct plane_uplink u = { 1, nic_if[host], lab_mac(nics[host]), 1500 };
	struct plane_port port = port_of(host, 1);
	unsigned int removed;

	lab_inside(space[host]);
	OK(plane_uplink_set(plane[host], &u, &e));
	OK(plane_port_set(plane[host], &port, &e));
	if (host == A) {
		port = port_of(A, 2);
		OK(plane_port_set(plane[host], &port, &e));
	}
	OK(plane_tunnel_set(plane[host], tunnel_if[host], &e));
	OK(plane_tunnel_net(plane[host], &net, VNI, &e));
	for (int other = 0; other < HOSTS; other++) {
		char ip4[32], ip6[32];
		struct ip ip;

		snprintf(ip4, sizeof(ip4), "10.0.0.%d", other + 1);
		snprintf(ip6, sizeof(ip6), "fd00::%d", other + 1);
		ip = lab_ip(ip4);
		OK(plane_tunnel_peer(plane[host], &ip, true, &e));
		ip = lab_ip(ip6);
		OK(plane_tunnel_peer(plane[host], &ip, true, &e));
	}
	OK(plane_sweep(plane[host], &removed, &e));
	lab_inside(-1);
}

static void reopen(int host)
{
	plane_close(plane[host]);
	lab_inside(space[host]);
	plane[host] = lab_plane_of(instances[host], attach_wanted);
	lab_inside(-1);
}

static struct plane_counters tunnel(int host)
{
	struct plane_counters c;

	OK(plane_tunnel_counters(plane[host], &c, &e));
	return c;
}

static struct frame frame(const char *to, const char *from)
{
	struct frame f = eth(to, from, TYPE);

	put_zeros(&f, 46);
	return f;
}

static unsigned int count(int raw)
{
	return lab_raw_count(raw, TYPE, 60);
}

static void drain(void)
{
	for (int i = 0; i < HOSTS; i++) {
		lab_raw_count(guest_raw[i], 0, 0);
		lab_raw_count(nic_raw[i], 0, 0);
	}
	lab_raw_count(client_raw, 0, 0);
}

static void send_frame(int raw, struct frame f)
{
	lab_raw_send(raw, f.octet, f.len);
}

/* --- life ------------------------------------------------------------------------------------ */

static void make_tunnel(int host)
{
	const struct host_tunnel t = { .port = TUNNEL_PORT_DEFAULT };
	struct host_link link;
	struct host *h;

	OK(host_open(&h, &e));
	if (host_tunnel_make(h, &t, &link, &e) < 0) {
		printf("skipped: %s\n", e.message);
		exit(77);
	}
	tunnel_if[host] = link.ifindex;
	host_close(h);
}

static int setup(void **state)
{
	for (int i = 0; i < HOSTS; i++) {
		space[i] = lab_namespace();
		guest[i] = lab_namespace();
		guest_if[i] = lab_veth_at(space[i], "p0", "eth0", guest[i], lab_mac(MAC));
		lab_inside(guest[i]);
		lab_command("ip addr add " GUEST_IP4 "/24 dev eth0");
		lab_command("ip neigh add 192.0.2.2 lladdr " CLIENT " dev eth0");
		guest_raw[i] = lab_raw("eth0");
		lab_inside(-1);
	}
	client = lab_namespace();
	client_if = lab_veth_at(space[A], "p1", "eth0", client, lab_mac(CLIENT));
	lab_inside(client);
	lab_command("ip addr add 192.0.2.2/24 dev eth0");
	lab_command("ip neigh add " GUEST_IP4 " lladdr " MAC " dev eth0");
	client_raw = lab_raw("eth0");
	nic_if[A] = lab_veth_at(space[A], "nic0", "nic0", space[B], lab_mac(NIC_B));
	for (int i = 0; i < HOSTS; i++) {
		lab_inside(space[i]);
		lab_command("ip link set dev nic0 address %s", nics[i]);
		lab_command("sysctl -qw net.ipv6.conf.nic0.disable_ipv6=0 "
			    "net.ipv6.conf.nic0.accept_dad=0");
		lab_command("ip addr add 10.0.0.%d/24 dev nic0", i + 1);
		lab_command("ip addr add fd00::%d/64 dev nic0 nodad", i + 1);
		nic_if[i] = (int)if_nametoindex("nic0");
		nic_raw[i] = lab_raw("nic0");
		make_tunnel(i);
		plane[i] = lab_plane_of(instances[i], attach_wanted);
		set_all(i);
	}
	lab_inside(space[A]);
	lab_command("ip addr add 10.0.0.9/24 dev nic0");
	lab_inside(-1);
	return 0;
}

static int teardown(void **state)
{

	for (int i = 0; i < HOSTS; i++) {
		lab_inside(space[i]);
		plane_purge(plane[i], &e);
		plane_close(plane[i]);
	}
	lab_inside(-1);
	return 0;
}
