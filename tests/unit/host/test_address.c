#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "host/virtual.h"
#include "lab.h"

#define GROUP 0x766d6163u
#define MANY  250

static struct host_address list4[MANY], list6[MANY], both[2 * MANY];
static int devices[MANY];

static double ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* A parent with its own addresses, and devices on it. */
static struct host *lab_new(unsigned int count)
{
	static char names[MANY][IFNAME_MAX_LEN + 1];
	struct host_virtual wishes[MANY];
	struct host_link links[MANY];
	struct host *h = lab_host();
	struct error errors[MANY];
	int parent;

	lab_run("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up "
		"&& ip addr add 10.9.0.2/16 dev v0 && ip addr add fd09::2/64 dev v0 nodad");
	parent = lab_link(h, "v0").ifindex;
	for (unsigned int i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "vr%u.0", i);
		wishes[i] = (struct host_virtual){
			.ifname = names[i],
			.parent = parent,
			.address = vmac_mac_from_u64(0x00005e000100 + i),
			.group = GROUP,
		};
	}
	assert_int_equal(host_virtual_make_many(h, wishes, count, links, errors), 0);
	for (unsigned int i = 0; i < count; i++) {
		const uint8_t n = (uint8_t)(i + 1);

		devices[i] = links[i].ifindex;
		list4[i] = (struct host_address){ devices[i], { 4, { 10, 9, 1, n } }, 16 };
		list6[i] = (struct host_address){ devices[i],
						  { 6, { 0xfd, 9, [14] = 1, [15] = n } },
						  64 };
		both[2 * i] = list4[i];
		both[2 * i + 1] = list6[i];
	}
	return h;
}

static void lab_end(struct host *h)
{
	struct error e;
	int r = host_virtual_delete_group(h, GROUP, &e);

	assert_ok(r, e);
	lab_run("ip link delete v0");
	host_close(h);
}

struct counted {
	unsigned int count, lasting;
};

static void on_address(void *ctx, const struct host_address *a, enum host_address_state state)
{
	struct counted *c = ctx;

	/* not those of lo, nor what the parent made for itself */
	if (a->ip.octet[0] == 0xfe || a->ifindex == 1)
		return;
	c->count++;
	c->lasting += state == HOST_ADDRESS_LASTING;
}

static struct counted count_of(struct host *h, int ifindex)
{
	struct counted c = { 0 };
	struct error e;
	int r = host_addresses_list(h, ifindex, on_address, &c, &e);

	assert_ok(r, e);
	return c;
}

static double timed(struct host *h, const char *what, const struct host_address *list,
		    unsigned int count,
		    unsigned int (*fn)(struct host *h, const struct host_address *list,
				       unsigned int count, struct error *ret_error))
{
	struct error e = { 0 };
	double t = ms_now();

	if (fn(h, list, count, &e) != 0)
		fail_msg("%s: %s", what, e.message);
	t = ms_now() - t;
	print_message("%-34s %u in %6.2f ms\n", what, count, t);
	return t;
}

/* What takes longest under load is not ours: the best of a few counts. */
static double best(struct host *h, const char *what, const struct host_address *list,
		   unsigned int count)
{
	double least = 1e9;

	for (int i = 0; i < 5; i++) {
		double t = timed(h, what, list, count, host_addresses_add);

		least = t < least ? t : least;
		timed(h, "  and deleted", list, count, host_addresses_delete);
	}
	return least;
}

static void adds_and_deletes_by_the_hundred(void **state)
{
	struct host *h = lab_new(MANY);
	struct counted c;

	assert_true(best(h, "IPv4 addresses added", list4, MANY) < 20);
	assert_true(best(h, "IPv6 addresses added", list6, MANY) < 40);
	timed(h, "both added", both, 2 * MANY, host_addresses_add);
	timed(h, "both added again", both, 2 * MANY, host_addresses_add);
	c = count_of(h, 0);
	assert_int_equal(c.count, 2 * MANY + 2);
	/* none is tentative, not even for a moment */
	assert_int_equal(c.lasting, c.count);
	c = count_of(h, devices[7]);
	assert_int_equal(c.count, 2);
	/* no route but the parent's leads to the subnet */
	assert_true(lab_try("test $(ip route show table main | wc -l) -eq 1"));
	assert_true(lab_try("test $(ip -6 route show table main | grep -c fd09:) -eq 1"));
	timed(h, "both deleted", both, 2 * MANY, host_addresses_delete);
	timed(h, "both deleted again", both, 2 * MANY, host_addresses_delete);
	assert_int_equal(count_of(h, 0).count, 2);
	lab_end(h);
}

/* What is tentative cannot be bound to. */
static void is_usable_at_once(void **state)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6 };
	struct host *h = lab_new(1);
	struct error e;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(&at.sin6_addr, list6[0].ip.octet, 16);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), -1);
	assert_int_equal(host_addresses_add(h, list6, 1, &e), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
	/* Nor is what comes for it forwarded until a worker of the kernel has its turn. */
	assert_true(lab_try("ip -6 route show table local proto 118 | grep -q fd09::101"));
	assert_int_equal(host_addresses_add(h, list6, 1, &e), 0);
	assert_int_equal(host_addresses_delete(h, list6, 1, &e), 0);
	assert_true(lab_try("! ip -6 route show table local | grep fd09::101"));
	lab_end(h);
}

/* Of several in one subnet, each goes alone. */
static void one_of_several_goes_alone(void **state)
{
	struct host *h = lab_new(1);
	struct error e;

	for (uint8_t i = 0; i < 3; i++)
		list4[i] = (struct host_address){ devices[0], { 4, { 10, 9, 1, 1 + i } }, 16 };
	assert_int_equal(host_addresses_add(h, list4, 3, &e), 0);
	assert_int_equal(host_addresses_delete(h, list4, 1, &e), 0);
	assert_int_equal(count_of(h, devices[0]).count, 2);
	lab_end(h);
}

static void tells_of_the_first_that_failed_and_does_the_others(void **state)
{
	struct host *h = lab_new(3);
	struct error e = { 0 };

	lab_run("echo 1 >/proc/sys/net/ipv6/conf/vr1.0/disable_ipv6");
	assert_int_equal(host_addresses_add(h, both, 6, &e), 1);
	assert_int_equal(e.code, ERROR_KERNEL_FAILED);
	assert_non_null(strstr(e.message, "fd09::102"));
	assert_non_null(strstr(e.hint, "disable_ipv6"));
	assert_int_equal(count_of(h, 0).count, 5 + 2);
	list4[1].ifindex = 99999;
	assert_int_equal(host_addresses_add(h, list4, 3, &e), 1);
	assert_int_equal(e.code, ERROR_NO_INTERFACE);
	/* without its link an address is gone */
	assert_int_equal(host_addresses_delete(h, list4, 3, &e), 0);
	assert_int_equal(host_addresses_add(h, list4, 0, &e), 0);
	assert_int_equal(count_of(h, 99999).count, 0);
	lab_end(h);
}

struct sought {
	uint8_t last; /* octet of its address */
	enum host_address_state state;
	bool there;
};

static void on_sought(void *ctx, const struct host_address *a, enum host_address_state state)
{
	struct sought *s = ctx;

	if (a->ip.family != 6 || a->ip.octet[0] != 0xfd || a->ip.octet[15] != s->last)
		return;
	s->there = true;
	s->state = state;
}

static enum host_address_state state_of(struct host *h, uint8_t last)
{
	struct sought s = { .last = last };
	struct error e;
	int r = host_addresses_list(h, 0, on_sought, &s, &e);

	assert_ok(r, e);
	assert_true(s.there);
	return s.state;
}

static void tells_what_is_not_proven_from_what_passes(void **state)
{
	struct host *h = lab_new(1);

	/* As long as there is no carrier, nothing is proven. */
	lab_run("ip link set v1 down && ip addr add fd09::7/64 dev v0"
		" && ip addr add fd09::8/64 dev v0 nodad preferred_lft 0"
		" && ip addr add fd09::9/64 dev v0 nodad valid_lft 600 preferred_lft 600");
	assert_int_equal(state_of(h, 7), HOST_ADDRESS_TENTATIVE);
	assert_int_equal(state_of(h, 8), HOST_ADDRESS_PASSING);
	assert_int_equal(state_of(h, 9), HOST_ADDRESS_LASTING);
	/* The other end has it: the check of it fails. */
	lab_run("ip addr add fd09::6/64 dev v1 nodad && ip addr add fd09::6/64 dev v0"
		" && ip link set v1 up && for i in $(seq 50); do"
		"  ip -6 addr show dev v0 dadfailed | grep -q fd09::6 && break; sleep 0.1; done"
		" && ip -6 addr show dev v0 dadfailed | grep -q fd09::6"
		" && ip addr del fd09::6/64 dev v1");
	assert_int_equal(state_of(h, 6), HOST_ADDRESS_TENTATIVE);
	lab_end(h);
}

/* --- watch ----------------------------------------------------------------------------------- */

static void reports_changes_once_asked_to(void **state)
{
	static struct lab_events events;
	struct host *h = lab_new(1);
	struct error e;
	int r;

	lab_events(h, false, &events);
	assert_int_equal(host_addresses_add(h, list4, 1, &e), 0);
	lab_events(h, false, &events);
	assert_int_equal(events.count, 0);
	r = host_watch_addresses(h, &e);
	assert_ok(r, e);
	assert_int_equal(host_addresses_delete(h, list4, 1, &e), 0);
	lab_events(h, true, &events);
	assert_true(lab_saw(&events, HOST_ADDRESSES_CHANGED, "vr0.0"));
	lab_run("ip addr add 10.9.0.77/16 dev v0");
	lab_events(h, true, &events);
	assert_true(lab_saw(&events, HOST_ADDRESSES_CHANGED, "v0"));
	lab_run("ip addr del fd09::2/64 dev v0");
	lab_events(h, true, &events);
	assert_true(lab_saw(&events, HOST_ADDRESSES_CHANGED, "v0"));
	lab_end(h);
}

/* --- routes ---------------------------------------------------------------------------------- */

static bool there(struct host *h, const char *prefix, uint8_t len)
{
	bool ret = false;
	struct error e;
	struct ip ip;
	int r;

	assert_int_equal(ip_parse(prefix, &ip), 0);
	r = host_route_there(h, &ip, len, &ret, &e);
	assert_ok(r, e);
	return ret;
}

static void finds_exactly_this_route(void **state)
{
	struct host *h = lab_new(1);

	assert_true(there(h, "10.9.0.0", 16));
	assert_false(there(h, "10.9.0.0", 15));
	assert_false(there(h, "10.9.0.0", 17));
	assert_false(there(h, "0.0.0.0", 0));
	lab_run("ip route add default via 10.9.0.1");
	assert_true(there(h, "0.0.0.0", 0));
	lab_run("ip route add 172.16.0.0/12 via 10.9.0.1 && ip route add 172.16.0.0/24 via "
		"10.9.0.1 "
		"&& ip route add 192.0.2.0/24 via 10.9.0.1 table 77");
	assert_true(there(h, "172.16.0.0", 12));
	assert_true(there(h, "172.16.0.0", 24));
	assert_false(there(h, "172.16.0.0", 16));
	assert_false(there(h, "192.0.2.0", 24));
	assert_true(there(h, "fd09::", 64));
	assert_false(there(h, "fd09::", 48));
	assert_false(there(h, "::", 0));
	lab_run("ip -6 route add default via fd09::1");
	assert_true(there(h, "::", 0));
	/* of a host: the local table does not count */
	assert_false(there(h, "10.9.0.2", 32));
	lab_end(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_and_deletes_by_the_hundred),
		cmocka_unit_test(is_usable_at_once),
		cmocka_unit_test(one_of_several_goes_alone),
		cmocka_unit_test(tells_of_the_first_that_failed_and_does_the_others),
		cmocka_unit_test(tells_what_is_not_proven_from_what_passes),
		cmocka_unit_test(reports_changes_once_asked_to),
		cmocka_unit_test(finds_exactly_this_route),
	};

	lab_enter();
	/* Pings to oneself go by lo. */
	lab_run("ip link set lo up");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
