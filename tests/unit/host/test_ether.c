/* Frames of one type on one link, between two namespaces. */
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "host/ether.h"
#include "lab.h"

#define TYPE 0x88b5
#define MARK 0x1234

static const vmac_mac_t group = { { 0x03, 0x76, 0x4d, 0x41, 0x43, 0x00 } };
static const vmac_mac_t own = { { 0x52, 0x54, 0x00, 0x00, 0x00, 0x0a } };
static const vmac_mac_t other = { { 0x03, 0x76, 0x4d, 0x41, 0x43, 0x01 } };

/* Us (v0) in this namespace, a peer (v1) in another. */
static struct lab_netns peer;
static int raw = -1; /* in the peer's, past all of its stack */

static int setup(void **state)
{
	peer = lab_netns_new();
	lab_run("ip link add v0 address 52:54:00:00:00:0a type veth peer name v1 && "
		"ip link set v1 netns /proc/%d/fd/%d",
		getpid(), peer.fd);
	lab_go(peer.fd);
	lab_run("ip link set v1 up");
	raw = lab_packet_socket("v1");
	lab_home();
	lab_run("ip link set v0 up && ip addr add 10.9.0.2/24 dev v0");
	lab_wait_up("v0");
	lab_go(peer.fd);
	lab_wait_up("v1");
	lab_home();
	return 0;
}

static int teardown(void **state)
{
	close(raw);
	lab_try("ip link delete v0");
	lab_netns_end(&peer);
	return 0;
}

static struct ether_link *open_on(const char *ifname)
{
	const struct ether_config config = {
		.ifindex = (int)if_nametoindex(ifname),
		.type = TYPE,
		.group = group,
		.mark = MARK,
	};
	struct ether_link *l = NULL;
	struct error e;
	int r = ether_open(&config, &l, &e);

	assert_ok(r, e);
	return l;
}

/* The first octet of the payload numbers the frame. */
static size_t frame(uint8_t *data, vmac_mac_t to, uint16_t vlan, uint16_t type, uint8_t number,
		    size_t payload)
{
	struct writer w = writer_of(data, 2000);

	write_bytes(&w, to.octet, 6);
	write_bytes(&w, (const uint8_t[]){ 2, 0, 0, 0, 0, 9 }, 6);
	if (vlan) {
		write_u16(&w, 0x8100);
		write_u16(&w, vlan);
	}
	write_u16(&w, type);
	write_u8(&w, number);
	write_zeros(&w, payload - 1);
	assert_false(w.failed);
	return writer_used(&w);
}

static void put(vmac_mac_t to, uint16_t vlan, uint16_t type, uint8_t number)
{
	uint8_t data[2000];
	size_t len = frame(data, to, vlan, type, number, 46);

	assert_int_equal(send(raw, data, len, 0), (ssize_t)len);
}

struct heard {
	unsigned int count;
	uint8_t number[64];
	uint16_t vlan[64];
	size_t len;
};

static void on_frame(void *ctx, const struct ether_frame *f)
{
	struct heard *h = ctx;

	assert_true(h->count < 64);
	assert_true(f->len >= 15 && f->data[12] == 0x88 && f->data[13] == 0xb5);
	h->number[h->count] = f->data[14];
	h->vlan[h->count++] = f->vlan;
	h->len = f->len;
}

static struct heard listen_for(struct ether_link *l, unsigned int count)
{
	struct heard h = { 0 };

	while (h.count < count) {
		struct pollfd p = { .fd = ether_fd(l), .events = POLLIN };

		if (poll(&p, 1, 200) <= 0)
			break;
		assert_true(ether_receive(l, 64, on_frame, &h) >= 0);
	}
	return h;
}

static void test_hears_what_is_wanted(void **state)
{
	struct ether_link *l = open_on("v0");
	struct heard h;

	put(group, 0, TYPE, 1);
	put(group, 0, 0x0806, 2);
	put(other, 0, TYPE, 3);
	put(group, 12, TYPE, 4);
	put(group, 12, 0x0806, 5);
	put(group, 4094, TYPE, 6);
	put(own, 0, TYPE, 7);
	put(own, 12, TYPE, 8);
	put(own, 0, 0x0806, 9);
	h = listen_for(l, 6);
	assert_int_equal(h.count, 5);
	assert_int_equal(h.number[0], 1);
	assert_int_equal(h.vlan[0], 0);
	assert_int_equal(h.number[1], 4);
	assert_int_equal(h.vlan[1], 12);
	assert_int_equal(h.number[2], 6);
	assert_int_equal(h.vlan[2], 4094);
	assert_int_equal(h.number[3], 7);
	assert_int_equal(h.number[4], 8);
	assert_int_equal(h.vlan[4], 12);
	ether_close(l);
}

static void test_reads_no_more_than_asked(void **state)
{
	struct ether_link *l = open_on("v0");
	struct heard h = { 0 };

	for (uint8_t i = 0; i < 40; i++)
		put(group, 0, TYPE, i);
	assert_int_equal(ether_receive(l, 17, on_frame, &h), 17);
	assert_int_equal(ether_receive(l, 64, on_frame, &h), 23);
	assert_int_equal(h.number[39], 39);
	assert_int_equal(ether_receive(l, 64, on_frame, &h), 0);
	ether_close(l);
}

static void test_passes_over_long_ones(void **state)
{
	struct ether_link *l;
	uint8_t data[2000];
	struct heard h;
	size_t len;

	lab_go(peer.fd);
	lab_run("ip link set v1 mtu 1900");
	lab_home();
	lab_run("ip link set v0 mtu 1900");
	l = open_on("v0");
	len = frame(data, group, 0, TYPE, 1, 1800);
	assert_int_equal(send(raw, data, len, 0), (ssize_t)len);
	put(group, 0, TYPE, 2);
	h = listen_for(l, 2);
	assert_int_equal(h.count, 1);
	assert_int_equal(h.number[0], 2);
	ether_close(l);
}

static void test_speaks_in_a_vlan(void **state)
{
	struct ether_link *us = open_on("v0"), *them;
	uint8_t data[2000];
	struct heard h;
	size_t len = frame(data, group, 0, TYPE, 7, 1400);

	lab_go(peer.fd);
	them = open_on("v1");
	lab_home();
	assert_int_equal(ether_send(us, 0, data, len), 0);
	assert_int_equal(ether_send(us, 300, data, len), 0);
	h = listen_for(them, 2);
	assert_int_equal(h.count, 2);
	assert_int_equal(h.vlan[0], 0);
	assert_int_equal(h.vlan[1], 300);
	assert_int_equal(h.len, len);
	/* What we say we do not hear. */
	assert_int_equal(listen_for(us, 1).count, 0);
	/* A tag is no reason to refuse a frame that is as long as the link takes. */
	len = frame(data, group, 0, TYPE, 7, 1500);
	assert_int_equal(ether_send(us, 300, data, len), 0);
	assert_int_equal(ether_send(us, 0, data, len + 1), -EMSGSIZE);
	ether_close(us);
	ether_close(them);
}

static void test_link_goes_down(void **state)
{
	struct ether_link *l = open_on("v0");
	uint8_t data[2000];
	struct heard h = { 0 };
	size_t len = frame(data, group, 0, TYPE, 7, 46);

	lab_run("ip link set v0 down");
	assert_int_equal(ether_receive(l, 1, on_frame, &h), -ENETDOWN);
	assert_int_equal(ether_send(l, 0, data, len), -ENETDOWN);
	lab_run("ip link set v0 up");
	/* The kernel sees to the other end's carrier when it has time: in a second at most. */
	lab_run("n=0; until ip -o link show dev v1 | grep -q 'state UP' || [ $n = 60 ]; "
		"do n=$((n + 1)); sleep 0.05; done");
	assert_int_equal(ether_receive(l, 1, on_frame, &h), 0);
	put(group, 0, TYPE, 8);
	assert_int_equal(listen_for(l, 1).number[0], 8);
	assert_int_equal(ether_send(l, 0, data, len), 0);
	lab_run("ip link delete v0");
	assert_true(ether_receive(l, 1, on_frame, &h) < 0);
	assert_true(ether_send(l, 0, data, len) < 0);
	ether_close(l);
}

static void test_the_nic_lets_it_in(void **state)
{
	struct ether_link *l = open_on("v0");

	lab_run("ip maddr show dev v0 | grep -q 'link *03:76:4d:41:43:00'");
	ether_close(l);
	assert_false(lab_try("ip maddr show dev v0 | grep -q 'link *03:76:4d:41:43:00'"));
}

static void test_joins(void **state)
{
	const uint8_t address[] = { 239, 255, 1, 2 };
	const int v0 = (int)if_nametoindex("v0");
	int fds[40], lost;
	struct error e;

	/* More than one socket may have. */
	for (uint8_t i = 0; i < 40; i++) {
		int r = ether_join(v0, (const uint8_t[]){ 239, 255, 1, i }, &fds[i], &e);

		assert_ok(r, e);
	}
	lab_run("ip maddr show dev v0 | grep -q 'inet *239.255.1.2$'");
	lab_run("ip maddr show dev v0 | grep -q 'link *01:00:5e:7f:01:02'");
	for (unsigned int i = 0; i < 40; i++)
		close(fds[i]);
	assert_false(lab_try("ip maddr show dev v0 | grep -q 239.255"));
	lab_run("ip link delete v0");
	assert_error(ether_join(v0, address, &lost, &e), e, ERROR_NO_INTERFACE);
}

static void test_no_such_link(void **state)
{
	const struct ether_config config = { .ifindex = 4000, .type = TYPE, .group = group };
	struct ether_link *l = NULL;
	struct error e;

	assert_error(ether_open(&config, &l, &e), e, ERROR_NO_INTERFACE);
	assert_null(l);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_hears_what_is_wanted),
		CASE(test_reads_no_more_than_asked),
		CASE(test_passes_over_long_ones),
		CASE(test_speaks_in_a_vlan),
		CASE(test_link_goes_down),
		CASE(test_the_nic_lets_it_in),
		CASE(test_joins),
		CASE(test_no_such_link),
	};

	lab_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
