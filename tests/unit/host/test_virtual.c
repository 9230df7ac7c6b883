#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>

#include "host/virtual.h"
#include "lab.h"

#define GROUP 0x766d6163u
#define MANY  250

static struct host_virtual wishes[1000];
static struct host_link links[1000];
static struct error errors[1000];
static char names[1000][IFNAME_MAX_LEN + 1];

static double ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int parent_new(struct host *h)
{
	lab_run("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
	return lab_link(h, "v0").ifindex;
}

static void parent_end(void)
{
	lab_run("ip link delete v0");
}

static void wish(int parent, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "vr%u.0", i);
		wishes[i] = (struct host_virtual){
			.ifname = names[i],
			.alias = "router of a test",
			.parent = parent,
			.address = vmac_mac_from_u64(0x00005e000100 + i),
			.group = GROUP,
		};
	}
}

static void make(struct host *h, unsigned int count)
{
	unsigned int failed = host_virtual_make_many(h, wishes, count, links, errors);

	for (unsigned int i = 0; failed > 0 && i < count; i++)
		if (links[i].ifindex == 0)
			fail_msg("%s: %s", names[i], errors[i].message);
	assert_int_equal(failed, 0);
}

static void end(struct host *h)
{
	struct error e;
	int r = host_virtual_delete_group(h, GROUP, &e);

	assert_ok(r, e);
}

static void on_link(void *ctx, const struct host_link *link, int parent)
{
	unsigned int *count = ctx;

	assert_true(parent > 0 && strcmp(link->kind, "macvlan") == 0);
	++*count;
}

static unsigned int in_group(struct host *h, uint32_t group)
{
	unsigned int count = 0;
	struct error e;
	int r = host_virtual_list(h, group, on_link, &count, &e);

	assert_ok(r, e);
	return count;
}

static int value_of(const char *family, const char *ifname, const char *name)
{
	char path[128], text[16] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, ifname, name);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	return (int)strtol(text, NULL, 10);
}

/* --- what the code under test writes: these take the place of libc's ----------------------------
 */

static unsigned int writes;

static void count_writes(int fd, const void *data, size_t len)
{
	int domain = 0, left = (int)len;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){ sizeof(domain) }) < 0 ||
	    domain != AF_NETLINK)
		return;
	for (struct nlmsghdr *m = (struct nlmsghdr *)data; nlmsg_ok(m, left);
	     m = nlmsg_next(m, &left))
		/* The two low bits tell new, delete, get, set. */
		writes += m->nlmsg_type >= RTM_BASE && (m->nlmsg_type & 3) != 2;
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	for (size_t i = 0; i < m->msg_iovlen; i++)
		count_writes(fd, m->msg_iov[i].iov_base, m->msg_iov[i].iov_len);
	return syscall(SYS_sendmsg, fd, m, flags);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	count_writes(fd, data, len);
	return syscall(SYS_sendto, fd, data, len, flags, NULL, 0);
}

ssize_t write(int fd, const void *data, size_t len)
{
	char path[64], target[256] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, target, sizeof(target) - 1) > 0)
		writes += strncmp(target, "/proc/sys/", 10) == 0;
	return syscall(SYS_write, fd, data, len);
}

/* --- making ---------------------------------------------------------------------------------- */

static void makes_one_that_is_up_and_silent(void **state)
{
	struct host *h = lab_host();
	struct host_link l = { 0 };
	int parent = parent_new(h), r;
	struct error e;

	lab_run("echo 1 >/proc/sys/net/ipv4/conf/v0/forwarding");
	lab_run("echo 1 >/proc/sys/net/ipv6/conf/v0/forwarding");
	wish(parent, 1);
	r = host_virtual_make(h, &wishes[0], &l, &e);
	assert_ok(r, e);
	assert_true(l.up && l.carrier);
	assert_string_equal(l.kind, "macvlan");
	assert_string_equal(l.ifname, "vr0.0");
	assert_int_equal(vmac_mac_u64(l.address), 0x00005e000100);
	assert_int_equal(value_of("ipv4", "vr0.0", "arp_ignore"), 1);
	assert_int_equal(value_of("ipv4", "vr0.0", "arp_announce"), 2);
	assert_int_equal(value_of("ipv4", "vr0.0", "rp_filter"), 2);
	assert_int_equal(value_of("ipv4", "vr0.0", "promote_secondaries"), 1);
	assert_int_equal(value_of("ipv4", "vr0.0", "forwarding"), 1);
	assert_int_equal(value_of("ipv6", "vr0.0", "forwarding"), 1);
	assert_int_equal(value_of("ipv6", "vr0.0", "accept_ra"), 0);
	assert_int_equal(value_of("ipv6", "vr0.0", "disable_ipv6"), 0);
	assert_true(lab_try("ip link show vr0.0 | grep -q 'alias router of a test'"));
	assert_true(lab_try("ip -d link show vr0.0 | grep -q 'mode private'"));
	assert_true(lab_try("test -z \"$(ip addr show vr0.0 | grep inet)\""));
	assert_int_equal(in_group(h, GROUP), 1);

	/* It changes as the wish does, under the same index. */
	wishes[0].alias = "another";
	wishes[0].address = vmac_mac_from_u64(0x00005e000207);
	wishes[0].no_ipv6 = true;
	r = host_virtual_make(h, &wishes[0], &links[0], &e);
	assert_ok(r, e);
	assert_int_equal(links[0].ifindex, l.ifindex);
	assert_int_equal(vmac_mac_u64(links[0].address), 0x00005e000207);
	assert_int_equal(value_of("ipv6", "vr0.0", "disable_ipv6"), 1);
	assert_true(lab_try("ip link show vr0.0 | grep -q 'alias another'"));
	wishes[0].no_ipv6 = false;
	wishes[0].alias = NULL;
	r = host_virtual_make(h, &wishes[0], &links[0], &e);
	assert_ok(r, e);
	assert_int_equal(value_of("ipv6", "vr0.0", "disable_ipv6"), 0);
	assert_false(lab_try("ip link show vr0.0 | grep -q alias"));
	end(h);
	assert_false(lab_has_link(h, "vr0.0"));
	parent_end();
	host_close(h);
}

static unsigned int writes_of_making(struct host *h, unsigned int count)
{
	double t = ms_now();

	writes = 0;
	make(h, count);
	print_message("%u devices: %u writes, %.1f ms\n", count, writes, ms_now() - t);
	return writes;
}

static void what_is_so_already_is_not_written(void **state)
{
	struct host *h = lab_host();
	int parent = parent_new(h);
	double t;

	wish(parent, MANY);
	assert_true(writes_of_making(h, MANY) >= 3 * MANY);
	assert_int_equal(writes_of_making(h, MANY), 0);
	wishes[0].alias = "different";
	assert_int_equal(writes_of_making(h, MANY), 1);
	assert_int_equal(writes_of_making(h, 1), 0);
	wishes[0].no_ipv6 = true;
	assert_int_equal(writes_of_making(h, 1), 1);
	assert_int_equal(writes_of_making(h, 1), 0);

	assert_int_equal(in_group(h, GROUP), MANY);
	t = ms_now();
	end(h);
	print_message("%u devices deleted by group in %.1f ms\n", MANY, ms_now() - t);
	assert_int_equal(in_group(h, GROUP), 0);
	end(h);
	parent_end();
	host_close(h);
}

static void a_thousand(void **state)
{
	struct host *h = lab_host();
	int parents[4];
	double t;

	for (int i = 0; i < 4; i++) {
		lab_run("ip link add w%d type veth peer name x%d && ip link set w%d up && "
			"ip link set x%d up",
			i, i, i, i);
		char name[8];
		snprintf(name, sizeof(name), "w%d", i);
		parents[i] = lab_link(h, name).ifindex;
	}
	wish(parents[0], 1000);
	for (unsigned int i = 0; i < 1000; i++) {
		wishes[i].parent = parents[i / 250];
		wishes[i].address = vmac_mac_from_u64(0x00005e000100 + i % 250);
	}
	t = ms_now();
	make(h, 1000);
	print_message("1000 devices made in %.1f ms\n", ms_now() - t);
	t = ms_now();
	make(h, 1000);
	print_message("1000 devices taken over in %.1f ms\n", ms_now() - t);
	t = ms_now();
	end(h);
	t = ms_now() - t;
	print_message("1000 devices deleted by group in %.1f ms\n", t);
	assert_int_equal(in_group(h, GROUP), 0);
	assert_true(t < 3000);
	for (int i = 0; i < 4; i++)
		lab_run("ip link delete w%d", i);
	host_close(h);
}

static void single_ones_go_by_a_doomed_group(void **state)
{
	struct host *h = lab_host();
	int parent = parent_new(h), r;
	struct error e;

	wish(parent, 3);
	make(h, 3);
	r = host_virtual_set_group(h, links[1].ifindex, GROUP + 1, &e);
	assert_ok(r, e);
	r = host_virtual_delete_group(h, GROUP + 1, &e);
	assert_ok(r, e);
	assert_int_equal(in_group(h, GROUP), 2);
	assert_false(lab_has_link(h, "vr1.0"));
	end(h);
	r = host_virtual_set_group(h, links[1].ifindex, GROUP, &e);
	assert_error(r, e, ERROR_NO_INTERFACE);
	parent_end();
	host_close(h);
}

static void refuses(void **state)
{
	struct host *h = lab_host();
	int parent = parent_new(h), r;
	struct host_link l;
	struct error e;

	wish(parent, 2);
	/* something else of that name */
	lab_run("ip link add vr0.0 type dummy 2>/dev/null || ip link add vr0.0 type bridge");
	r = host_virtual_make(h, &wishes[0], &l, &e);
	assert_error(r, e, ERROR_INTERFACE_IN_USE);
	lab_run("ip link delete vr0.0 && ip link add vr0.0 link v0 type macvlan mode bridge");
	r = host_virtual_make(h, &wishes[0], &l, &e);
	assert_error(r, e, ERROR_INTERFACE_IN_USE);
	lab_run("ip link delete vr0.0 && ip link add vr0.0 link v1 type macvlan mode private");
	r = host_virtual_make(h, &wishes[0], &l, &e);
	assert_error(r, e, ERROR_INTERFACE_IN_USE);
	assert_true(lab_has_link(h, "vr0.0"));
	lab_run("ip link delete vr0.0");
	/* the parent of another device, or its address */
	lab_run("ip link add br0 type bridge && ip link set v0 master br0");
	r = host_virtual_make(h, &wishes[0], &l, &e);
	assert_error(r, e, ERROR_INTERFACE_IN_USE);
	assert_false(lab_has_link(h, "vr0.0"));
	lab_run("ip link delete br0");
	wishes[0].address = lab_link(h, "v0").address;
	r = host_virtual_make(h, &wishes[0], &l, &e);
	assert_error(r, e, ERROR_ADDRESS_IN_USE);
	assert_false(lab_has_link(h, "vr0.0"));
	/* one of many */
	wishes[0].address = wishes[1].address;
	assert_int_equal(host_virtual_make_many(h, wishes, 2, links, errors), 1);
	assert_true((links[0].ifindex == 0) != (links[1].ifindex == 0));
	end(h);
	wishes[0].address = vmac_mac_from_u64(0x01005e000001);
	r = host_virtual_make(h, &wishes[0], &l, &e);
	assert_error(r, e, ERROR_BAD_ADDRESS);
	wish(99999, 1);
	r = host_virtual_make(h, &wishes[0], &l, &e);
	assert_error(r, e, ERROR_NO_INTERFACE);
	wish(parent, 1);
	wishes[0].ifname = "a/b";
	r = host_virtual_make(h, &wishes[0], &l, &e);
	assert_error(r, e, ERROR_BAD_NAME);
	/* what holds for all interfaces */
	wish(parent, 1);
	lab_run("echo 1 >/proc/sys/net/ipv4/conf/all/arp_filter");
	r = host_virtual_make(h, &wishes[0], &l, &e);
	assert_error(r, e, ERROR_WRONG_STATE);
	assert_non_null(strstr(e.message, "all.arp_filter"));
	wishes[0].no_ipv4 = true;
	r = host_virtual_make(h, &wishes[0], &l, &e);
	assert_ok(r, e);
	lab_run("echo 0 >/proc/sys/net/ipv4/conf/all/arp_filter");
	end(h);
	parent_end();
	host_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_one_that_is_up_and_silent),
		cmocka_unit_test(what_is_so_already_is_not_written),
		cmocka_unit_test(a_thousand),
		cmocka_unit_test(single_ones_go_by_a_doomed_group),
		cmocka_unit_test(refuses),
	};

	lab_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
