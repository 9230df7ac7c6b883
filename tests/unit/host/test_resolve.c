/* What hosts learn of a virtual address: always the vMAC, whoever asked whom first. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/virtual.h"
#include "lab.h"

#define GROUP	 0x766d6163u
#define VMAC	 "00:00:5e:00:01:07"
#define PHYSICAL "02:11:22:33:44:55"

/* 10.9.0.1 and fd09::1 are virtual, .2 is the router, .3 a host; 192.0.2.9 is behind the router. */
static struct lab_netns peer, behind;
static char directory[] = "/tmp/vmac-test-XXXXXX";

struct world {
	struct host *host;
	struct tunables *tunables;
	int device;
};

static void in(const struct lab_netns *ns, const char *command)
{
	lab_go(ns->fd);
	lab_run("%s", command);
	lab_home();
}

/* As long as a link-local address is probed for duplicates, nobody is solicited from that link. */
#define NO_PROBES                                                                                  \
	"echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad && "                                       \
	"echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad"

static void link_to(const char *ours, const char *theirs, const struct lab_netns *ns)
{
	lab_run("ip link add %s type veth peer name %s && ip link set %s netns /proc/%d/fd/%d",
		ours, theirs, theirs, getpid(), ns->fd);
}

static struct world world_new(bool parent_tunables)
{
	static const struct host_address list[] = { { 0, { 4, { 10, 9, 0, 1 } }, 24 },
						    { 0, { 6, { 0xfd, 9, [15] = 1 } }, 64 } };
	struct host_virtual v = { .ifname = "vr7.0", .group = GROUP };
	struct host_address addresses[2];
	struct world w = { 0 };
	char journal[64];
	struct host_link l;
	struct error e;
	int r;

	w.host = lab_host();
	peer = lab_netns_new();
	behind = lab_netns_new();
	lab_run(NO_PROBES);
	in(&peer, NO_PROBES);
	in(&behind, NO_PROBES);
	link_to("v0", "v1", &peer);
	link_to("w0", "w1", &behind);
	lab_run("echo 1 >/proc/sys/net/ipv4/ip_forward && "
		"echo 1 >/proc/sys/net/ipv6/conf/all/forwarding");
	lab_run("ip link set v0 address " PHYSICAL " up && ip addr add 10.9.0.2/24 dev v0 && "
		"ip addr add fd09::2/64 dev v0 nodad && "
		"ip link set w0 up && ip addr add 192.0.2.1/24 dev w0 && "
		"ip addr add fd10::1/64 dev w0 nodad");
	in(&peer, "ip link set v1 up && ip addr add 10.9.0.3/24 dev v1 && "
		  "ip addr add fd09::3/64 dev v1 nodad && ip route add default via 10.9.0.1 && "
		  "ip -6 route add default via fd09::1");
	in(&behind, "ip link set w1 up && ip addr add 192.0.2.9/24 dev w1 && "
		    "ip addr add fd10::9/64 dev w1 nodad && ip route add default via 192.0.2.1 && "
		    "ip -6 route add default via fd10::1");
	snprintf(journal, sizeof(journal), "%s/tunables", directory);
	r = tunables_open(journal, false, &w.tunables, &e);
	assert_ok(r, e);
	if (parent_tunables) {
		r = tunables_parent_set(w.tunables, "v0", &e);
		assert_ok(r, e);
	}
	v.parent = lab_link(w.host, "v0").ifindex;
	v.address = (vmac_mac_t){ { 0x00, 0x00, 0x5e, 0x00, 0x01, 0x07 } };
	r = host_virtual_make(w.host, &v, &l, &e);
	assert_ok(r, e);
	w.device = l.ifindex;
	memcpy(addresses, list, sizeof(list));
	addresses[0].ifindex = addresses[1].ifindex = l.ifindex;
	assert_int_equal(host_addresses_add(w.host, addresses, 2, &e), 0);
	return w;
}

static void world_end(struct world *w)
{
	struct error e;
	int r = host_virtual_delete_group(w->host, GROUP, &e);

	assert_ok(r, e);
	tunables_close(w->tunables);
	lab_run("ip link delete v0 && ip link delete w0");
	lab_netns_end(&peer);
	lab_netns_end(&behind);
	host_close(w->host);
}

/* --- who exchanges what ---------------------------------------------------------------------- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t address_of(const char *text, union address *ret)
{
	*ret = (union address){ 0 };
	if (inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1) {
		ret->v4.sin_family = AF_INET;
		return sizeof(ret->v4);
	}
	assert_int_equal(inet_pton(AF_INET6, text, &ret->v6.sin6_addr), 1);
	ret->v6.sin6_family = AF_INET6;
	return sizeof(ret->v6);
}

/* One echo; from the namespace that we are in.  `from` may be NULL. */
static bool ping(const char *from, const char *to)
{
	uint8_t request[16] = { 8 }, reply[256] = { 0 };
	struct pollfd p = { .events = POLLIN };
	union address address;
	socklen_t len;
	bool ok;

	lab_run("echo 0 0 >/proc/sys/net/ipv4/ping_group_range");
	len = address_of(to, &address);
	if (address.any.sa_family == AF_INET6)
		request[0] = 128;
	p.fd = socket(address.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC,
		      address.any.sa_family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	assert_true(p.fd >= 0);
	if (from) {
		union address source;
		socklen_t source_len = address_of(from, &source);

		assert_int_equal(bind(p.fd, &source.any, source_len), 0);
	}
	assert_int_equal(sendto(p.fd, request, sizeof(request), 0, &address.any, len),
			 sizeof(request));
	ok = poll(&p, 1, 1000) == 1 && recv(p.fd, reply, sizeof(reply), 0) > 0 &&
	     reply[0] == (request[0] == 8 ? 0 : 129);
	close(p.fd);
	return ok;
}

static bool peer_pings(const char *address)
{
	bool ok;

	lab_go(peer.fd);
	ok = ping(NULL, address);
	lab_home();
	return ok;
}

static void flush(void)
{
	lab_run("ip neigh flush dev v0 && ip neigh flush dev vr7.0");
	in(&peer, "ip neigh flush dev v1");
}

/* "" = it knows nothing. */
static void peer_knows(const char *address, char ret[static 32])
{
	char command[128];
	FILE *f;

	lab_go(peer.fd);
	snprintf(command, sizeof(command),
		 "ip neigh show to %s dev v1 | sed -n 's/.*lladdr \\([^ ]*\\).*/\\1/p'", address);
	f = popen(command, "r");
	assert_non_null(f);
	if (!fgets(ret, 32, f))
		ret[0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	pclose(f);
	lab_home();
}

static bool is_or_unknown(const char *address, const char *wanted)
{
	char mac[32];

	peer_knows(address, mac);
	if (mac[0] && strcmp(mac, wanted) != 0) {
		print_message("%s is at %s, not %s\n", address, mac, wanted);
		return false;
	}
	return true;
}

static bool peer_is_right(void)
{
	return is_or_unknown("10.9.0.1", VMAC) && is_or_unknown("10.9.0.2", PHYSICAL) &&
	       is_or_unknown("fd09::1", VMAC) && is_or_unknown("fd09::2", PHYSICAL);
}

static bool act(int what, bool ipv6)
{
	switch (what) {
	case 0:
		return peer_pings(ipv6 ? "fd09::1" : "10.9.0.1");
	case 1:
		return ping(ipv6 ? "fd09::1" : "10.9.0.1", ipv6 ? "fd09::3" : "10.9.0.3");
	case 2:
		return peer_pings(ipv6 ? "fd09::2" : "10.9.0.2");
	case 3:
		return ping(ipv6 ? "fd09::2" : "10.9.0.2", ipv6 ? "fd09::3" : "10.9.0.3");
	default:
		return peer_pings(ipv6 ? "fd10::9" : "192.0.2.9");
	}
}

#define ACTS 5

/* Each two, in each order, from nothing known. */
static void all_orders(bool ipv6)
{
	char mac[32];

	for (int a = 0; a < ACTS; a++)
		for (int b = 0; b < ACTS; b++) {
			flush();
			if (!act(a, ipv6) || !peer_is_right() || !act(b, ipv6) || !peer_is_right())
				fail_msg("act %d, then act %d", a, b);
		}
	flush();
	assert_true(act(0, ipv6) && act(2, ipv6));
	peer_knows(ipv6 ? "fd09::1" : "10.9.0.1", mac);
	assert_string_equal(mac, VMAC);
	peer_knows(ipv6 ? "fd09::2" : "10.9.0.2", mac);
	assert_string_equal(mac, PHYSICAL);
}

static void ipv4_hosts_learn_the_vmac(void **state)
{
	struct world w = world_new(true);

	all_orders(false);
	world_end(&w);
}

static void ipv6_hosts_learn_the_vmac(void **state)
{
	struct world w = world_new(true);

	all_orders(true);
	world_end(&w);
}

/* Whatever reverse path filter the administrator has for all. */
static void passes_any_reverse_path_filter(void **state)
{
	for (int filter = 0; filter <= 2; filter++) {
		struct world w;

		lab_run("echo %d >/proc/sys/net/ipv4/conf/all/rp_filter", filter);
		w = world_new(true);
		for (int a = 0; a < ACTS; a++)
			assert_true(act(a, false));
		assert_true(peer_is_right());
		world_end(&w);
	}
	lab_run("echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter");
}

/* The proof that these tests can fail: without the parent's values hosts learn wrong. */
static void the_parents_values_are_needed(void **state)
{
	struct world w = world_new(false);

	flush();
	assert_true(act(1, false));
	assert_false(peer_is_right());
	world_end(&w);
}

/* The router flag of neighbour advertisements is the parent's: hosts keep their default route. */
static void advertises_itself_as_a_router(void **state)
{
	struct world w = world_new(true);

	flush();
	assert_true(act(0, true));
	lab_go(peer.fd);
	assert_true(lab_try("ip -6 neigh show to fd09::1 dev v1 | grep -q router"));
	lab_home();
	world_end(&w);
}

/* What a device says of itself while it waits, without any data plane. */
static void is_silent_while_it_waits(void **state)
{
	struct world w = world_new(true);
	struct host_virtual v = {
		.ifname = "vr8.0",
		.group = GROUP,
		.address = { { 0x00, 0x00, 0x5e, 0x00, 0x01, 0x08 } },
	};
	unsigned int frames[2] = { 0 };
	struct host_link l;
	struct error e;
	int fd, r;

	v.parent = lab_link(w.host, "v0").ifindex;
	for (int i = 0; i < 2; i++) {
		uint8_t data[2048];

		lab_go(peer.fd);
		fd = lab_packet_socket("v1");
		lab_home();
		v.no_ipv6 = i == 0;
		r = host_virtual_make(w.host, &v, &l, &e);
		assert_ok(r, e);
		usleep(1500000);
		while (recv(fd, data, sizeof(data), 0) > 0)
			frames[i] += memcmp(data + 6, v.address.octet, 6) == 0;
		close(fd);
		r = host_link_delete(w.host, l.ifindex, &e);
		assert_ok(r, e);
	}
	print_message("a waiting device says: %u frames without IPv6, %u with it\n", frames[0],
		      frames[1]);
	assert_int_equal(frames[0], 0);
	/* Reports of the all-routers group, which the data plane stops. */
	assert_true(frames[1] <= 6);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_hosts_learn_the_vmac),
		cmocka_unit_test(ipv6_hosts_learn_the_vmac),
		cmocka_unit_test(passes_any_reverse_path_filter),
		cmocka_unit_test(the_parents_values_are_needed),
		cmocka_unit_test(advertises_itself_as_a_router),
		cmocka_unit_test(is_silent_while_it_waits),
	};
	int failed;

	lab_enter();
	if (!mkdtemp(directory))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	lab_try("rm -r %s", directory);
	return failed;
}
