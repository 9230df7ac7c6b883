#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host/inject.h"
#include "host/listen.h"
#include "lab.h"

#define FRAME 60

static const uint8_t arp[FRAME] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1
};
static const uint8_t other[FRAME] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
				      0,    0,	  0,	0,    1,    0x88, 0xb5 };

struct heard {
	unsigned int count, len;
	uint8_t first[LISTEN_LEN_MAX];
};

static void on_frame(void *ctx, const uint8_t *frame, size_t len)
{
	struct heard *h = ctx;

	if (h->count++ == 0) {
		memcpy(h->first, frame, len);
		h->len = (unsigned int)len;
	}
}

static struct heard read_all(struct listen *l)
{
	struct heard h = { 0 };

	for (unsigned int i = 0; i < 20 && h.count == 0; i++) {
		usleep(5000);
		listen_read(l, on_frame, &h);
	}
	usleep(20000);
	listen_read(l, on_frame, &h);
	return h;
}

/* A frame of 90 octets that is a neighbour advertisement, or solicitation. */
static void fill_icmp(uint8_t frame[static 90], uint8_t type)
{
	memset(frame, 0, 90);
	memcpy(frame, other, 12);
	frame[12] = 0x86;
	frame[13] = 0xdd;
	frame[14] = 0x60;
	frame[20] = 58;
	frame[54] = type;
}

static void tagged(uint8_t ret[static FRAME + 4], uint8_t vlan)
{
	const uint8_t tag[4] = { 0x81, 0, 0, vlan };

	memcpy(ret, arp, 12);
	memcpy(ret + 12, tag, 4);
	memcpy(ret + 16, arp + 12, FRAME - 12);
}

static void hears_neighbours_and_nothing_else(void **state)
{
	struct host *h = lab_host();
	uint8_t na[90], ns[90], in_vlan[FRAME + 4];
	struct listen *untagged, *vlan;
	struct inject *i;
	struct heard got;
	struct error e;
	int from, to;

	lab_run("ip link add li0 type veth peer name li1");
	lab_run("sysctl -qw net.ipv6.conf.li0.disable_ipv6=1 net.ipv6.conf.li1.disable_ipv6=1");
	lab_run("ip link set li0 up; ip link set li1 up");
	from = lab_link(h, "li0").ifindex;
	to = lab_link(h, "li1").ifindex;
	assert_int_equal(inject_open(0x766d616e, &i, &e), 0);
	assert_int_equal(listen_open(to, 0, &untagged, &e), 0);
	assert_int_equal(listen_open(to, 7, &vlan, &e), 0);
	fill_icmp(na, 136);
	fill_icmp(ns, 135);
	tagged(in_vlan, 7);
	assert_int_equal(inject_send(i, from, other, FRAME), 0);
	assert_int_equal(inject_send(i, from, ns, sizeof(ns)), 0);
	assert_int_equal(inject_send(i, from, arp, FRAME), 0);
	assert_int_equal(inject_send(i, from, na, sizeof(na)), 0);
	got = read_all(untagged);
	assert_int_equal(got.count, 2);
	assert_int_equal(got.len, FRAME);
	assert_memory_equal(got.first, arp, FRAME);
	assert_int_equal(read_all(vlan).count, 0);
	/* Each its own VLAN, and the tag is off. */
	assert_int_equal(inject_send(i, from, in_vlan, sizeof(in_vlan)), 0);
	got = read_all(vlan);
	assert_int_equal(got.count, 1);
	assert_memory_equal(got.first, arp, FRAME);
	assert_int_equal(read_all(untagged).count, 0);
	/* Not what we say ourselves. */
	assert_int_equal(inject_send(i, to, arp, FRAME), 0);
	assert_int_equal(read_all(untagged).count, 0);
	lab_run("ip link del li0");
	assert_int_equal(read_all(untagged).count, 0);
	assert_error(listen_open(to, 0, &(struct listen *){ NULL }, &e), e, ERROR_NO_INTERFACE);
	listen_close(untagged);
	listen_close(vlan);
	listen_close(NULL);
	inject_close(i);
	host_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hears_neighbours_and_nothing_else),
	};

	lab_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
