#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vmac/classify.h>

#include "base/cleanup.h"

static struct vmac_class classify(const char *text)
{
	vmac_mac_t m;

	assert_int_equal(vmac_mac_parse(text, &m, NULL), 0);
	return vmac_classify(m);
}

static void bits_and_quadrants(void **state)
{
	/* RFC 9542 section 2.1.1: the second hex digit says it all. */
	static const struct {
		const char *text;
		bool group, local;
		const char *slap;
	} rows[] = {
		{ "a0:00:00:00:00:01", false, false, "none" },
		{ "a4:00:00:00:00:01", false, false, "none" },
		{ "a8:00:00:00:00:01", false, false, "none" },
		{ "ac:00:00:00:00:01", false, false, "none" },
		{ "a1:00:00:00:00:01", true, false, "none" },
		{ "a5:00:00:00:00:01", true, false, "none" },
		{ "a9:00:00:00:00:01", true, false, "none" },
		{ "ad:00:00:00:00:01", true, false, "none" },
		{ "a2:00:00:00:00:01", false, true, "AAI" },
		{ "a3:00:00:00:00:01", true, true, "AAI" },
		{ "aa:00:00:00:00:01", false, true, "ELI" },
		{ "ab:00:00:00:00:01", true, true, "ELI" },
		{ "a6:00:00:00:00:01", false, true, "reserved" },
		{ "a7:00:00:00:00:01", true, true, "reserved" },
		{ "ae:00:00:00:00:01", false, true, "SAI" },
		{ "af:00:00:00:00:01", true, true, "SAI" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct vmac_class c = classify(rows[i].text);

		assert_int_equal(c.group, rows[i].group);
		assert_int_equal(c.local, rows[i].local);
		assert_string_equal(vmac_slap_name(c.slap), rows[i].slap);
		assert_null(c.well_known);
	}
}

/* What the standards and the vendors' documents say of single addresses. */
static const struct {
	const char *text, *protocol, *use;
	uint32_t group, member;
} known[] = {
	{ "00:00:00:00:00:00", "null", "reserved", 0, 0 },
	{ "00:00:5e:00:00:07", "IANA", "reserved", 0, 0 },
	{ "00:00:5e:00:01:01", "VRRP", "protocol", 1, 0 },
	{ "00:00:5e:00:01:ff", "VRRP", "protocol", 255, 0 },
	{ "00:00:5e:00:02:2a", "VRRP", "protocol", 42, 0 },
	{ "00:00:5e:00:52:13", "IANA", "reserved", 0, 0 },
	{ "00:00:5e:00:53:13", "IANA", "documents", 0, 0 },
	{ "00:00:5e:90:01:00", "IANA", "reserved", 0, 0 },
	{ "00:00:5e:77:77:77", "IANA", "reserved", 0, 0 },
	{ "00:00:0c:07:ac:0a", "HSRPv1", "protocol", 10, 0 },
	{ "00:00:0c:9f:f0:00", "HSRPv2", "protocol", 0, 0 },
	{ "00:00:0c:9f:ff:ff", "HSRPv2", "protocol", 4095, 0 },
	{ "00:05:73:a0:0f:a0", "HSRPv2", "protocol", 4000, 0 },
	{ "00:07:b4:00:01:01", "GLBP", "protocol", 1, 1 },
	{ "00:07:b4:00:01:02", "GLBP", "protocol", 1, 2 },
	{ "00:07:b4:03:fc:01", "GLBP", "protocol", 1020, 1 },
	{ "00:07:b4:03:ff:04", "GLBP", "protocol", 1023, 4 },
	{ "00:23:04:ee:be:64", "vPC", "protocol", 100, 0 },
	{ "02:bf:c0:00:02:07", "MS-NLB", "product", 0, 0xc0000207 },
	{ "03:bf:c0:00:02:07", "MS-NLB", "group", 0, 0xc0000207 },
	{ "02:01:c0:00:02:07", "MS-NLB", "product", 1, 0xc0000207 },
	{ "02:02:c0:00:02:07", "MS-NLB", "product", 2, 0xc0000207 },
	{ "02:13:c0:00:02:07", "MS-NLB", "product", 19, 0xc0000207 },
	{ "02:1f:c0:00:02:07", "MS-NLB", "product", 31, 0xc0000207 },
	{ "02:20:c0:00:02:07", "MS-NLB", "product", 32, 0xc0000207 },
	{ "02:42:ac:11:00:02", "Docker", "product", 0, 0xac110002 },
	{ "02:00:00:00:00:00", "KubeVirt", "product", 0, 0 },
	{ "0a:58:0a:80:00:05", "OVN-Kubernetes", "product", 0, 0x0a800005 },
	{ "fa:16:3e:12:34:56", "Neutron", "product", 0, 0 },
	{ "fa:16:3f:12:34:56", "Neutron", "product", 0, 0 },
	{ "fa:16:ee:12:34:56", "Neutron", "product", 0, 0 },
	{ "56:6f:12:34:56:78", "oVirt", "product", 0, 0 },
	{ "00:1a:4a:12:34:56", "oVirt", "product", 0, 0 },
	{ "52:54:00:12:34:56", "QEMU", "product", 0, 0 },
	{ "00:50:56:12:34:56", "VMware", "product", 0, 0 },
	{ "00:0c:29:12:34:56", "VMware", "product", 0, 0 },
	{ "00:05:69:12:34:56", "VMware", "product", 0, 0 },
	{ "00:1c:14:12:34:56", "VMware", "product", 0, 0 },
	{ "00:15:5d:12:34:56", "Hyper-V", "product", 0, 0 },
	{ "00:03:ff:12:34:56", "Virtual Server", "product", 0, 0 },
	{ "00:1d:d8:b7:1c:00", "SCVMM", "product", 0, 0 },
	{ "00:16:3e:12:34:56", "Xen", "product", 0, 0 },
	{ "00:1c:42:12:34:56", "Parallels", "product", 0, 0 },
	{ "08:00:27:12:34:56", "VirtualBox", "product", 0, 0 },
	{ "00:21:f6:12:34:56", "Oracle VM", "product", 0, 0 },
	{ "00:18:51:12:34:56", "Virtuozzo", "product", 0, 0 },
	{ "58:9c:fc:12:34:56", "bhyve", "product", 0, 0 },
	{ "bc:24:11:12:34:56", "Proxmox VE", "product", 0, 0 },
	{ "10:66:6a:12:34:56", "Incus", "product", 0, 0 },
	{ "01:00:5e:00:00:01", "IPv4", "group", 0, 0 },
	{ "01:00:5e:7f:ff:ff", "IPv4", "group", 0, 0 },
	{ "01:00:5e:00:00:12", "VRRP", "group", 0, 0 },
	{ "01:00:5e:85:00:00", "MPLS", "group", 0, 0 },
	{ "01:00:5e:90:10:01", "IANA", "documents", 0, 0 },
	{ "01:00:5e:a0:00:00", "IANA", "group", 0, 0 },
	{ "33:33:00:00:00:01", "IPv6", "group", 0, 0 },
	{ "33:33:ff:12:34:56", "ND", "group", 0, 0 },
	{ "01:80:c2:00:00:00", "STP", "group", 0, 0 },
	{ "01:80:c2:00:00:0e", "LLDP", "group", 0, 0 },
	{ "01:80:c2:00:00:0f", "IEEE 802.1", "group", 0, 0 },
	{ "cf:00:00:00:00:00", "loopback", "group", 0, 0 },
	{ "ff:ff:ff:ff:ff:ff", "broadcast", "group", 0, 0 },
};

static void well_known_addresses_are_recognised(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		struct vmac_class c = classify(known[i].text);

		assert_non_null(c.well_known);
		assert_string_equal(c.well_known->protocol, known[i].protocol);
		assert_string_equal(vmac_well_known_use_name(c.well_known->use), known[i].use);
		assert_int_equal(c.group_number, known[i].group);
		assert_int_equal(c.member_number, known[i].member);
	}
}

static void their_neighbours_are_not(void **state)
{
	static const char *const texts[] = {
		"00:00:00:00:00:01", "00:00:0c:07:ab:ff", "00:00:0c:07:ad:00", "00:00:0c:9f:ef:ff",
		"00:00:0c:a0:00:00", "00:05:73:a0:10:00", "00:07:b4:04:00:00", "00:23:04:ee:bf:00",
		"02:00:00:00:00:01", "02:21:00:00:00:00", "02:be:ff:ff:ff:ff", "02:c0:00:00:00:00",
		"fa:16:3d:ff:ff:ff", "fa:16:40:00:00:00", "33:34:00:00:00:00", "01:80:c2:00:00:10",
		"cf:00:00:00:00:01", "ff:ff:ff:ff:ff:fe", "12:34:56:78:9a:bc",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_null(classify(texts[i]).well_known);
}

static void longest_match_wins(void **state)
{
	assert_string_equal(classify("00:50:56:3f:ff:ff").well_known->meaning,
			    "VMs, given by hand (static range)");
	assert_string_equal(classify("00:50:56:40:00:00").well_known->meaning, "VMs");
	assert_string_equal(classify("00:50:56:bf:00:01").well_known->meaning,
			    "VMs, generated by vCenter");
	assert_string_equal(classify("00:50:56:c0:00:01").well_known->meaning, "VMs");
}

static void table_is_in_order_and_sound(void **state)
{
	const struct vmac_well_known *rows;
	size_t count;

	rows = vmac_well_known_table(&count);
	assert_in_range(count, 50, 1000);
	for (size_t i = 0; i < count; i++) {
		const struct vmac_well_known *row = &rows[i];
		struct vmac_mac_range r = vmac_well_known_range(row);
		struct vmac_class c = vmac_classify(r.last);

		assert_in_range(row->bits, 8, 48);
		assert_int_equal(vmac_mac_u64(r.first), row->value);
		assert_int_equal(vmac_mac_range_check(r), 0);
		assert_int_equal(vmac_mac_range_size(r), UINT64_C(1) << (48 - row->bits));
		assert_true(row->member_bits <= 32 && row->group_bits <= 32);
		assert_true(row->member_bits + row->group_bits <= 48);
		assert_int_equal(row->group_bits > 0, row->group_name != NULL);
		assert_int_equal(row->member_bits > 0, row->member_name != NULL);
		assert_true(row->protocol[0] && row->meaning[0]);
		/* Every row is reachable as the longest match of one of its ends. */
		assert_true(c.well_known == row || vmac_classify(r.first).well_known == row);
		/* A group address is never called a station's, nor the other way round. */
		if (row->use != VMAC_USE_DOCUMENTS)
			assert_int_equal(row->use == VMAC_USE_GROUP, c.group);
		if (i == 0)
			continue;
		assert_true(rows[i - 1].value < row->value ||
			    (rows[i - 1].value == row->value && rows[i - 1].bits < row->bits));
	}
}

static struct vmac_mac_range range(const char *text)
{
	struct vmac_mac_range r;

	assert_int_equal(vmac_mac_range_parse(text, &r, NULL), 0);
	return r;
}

static void ranges_that_touch_the_table_are_found(void **state)
{
	/* The octets we recommend for pools are clean. */
	assert_null(vmac_well_known_in(range("12:00:00:00:00:00/8")));
	assert_null(vmac_well_known_in(range("f2:00:00:00:00:00/8")));
	assert_null(vmac_well_known_in(range("02:00:00:00:00:01..02:00:ff:ff:ff:ff")));
	/* The whole of 02 is not: its first row is KubeVirt's address. */
	assert_string_equal(vmac_well_known_in(range("02:00:00:00:00:00/8"))->protocol, "KubeVirt");
	assert_string_equal(
		vmac_well_known_in(range("02:43:00:00:00:00..02:ff:00:00:00:00"))->protocol,
		"MS-NLB");
	/* Inside a row, around a row, one address of it. */
	assert_string_equal(vmac_well_known_in(range("52:54:00:11:00:00/32"))->protocol, "QEMU");
	assert_string_equal(vmac_well_known_in(range("52:00:00:00:00:00/8"))->protocol, "QEMU");
	assert_string_equal(
		vmac_well_known_in(range("52:54:00:ff:ff:ff..52:54:01:00:00:05"))->protocol,
		"QEMU");
	assert_null(vmac_well_known_in(range("52:54:01:00:00:00..52:ff:ff:ff:ff:ff")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bits_and_quadrants),
		cmocka_unit_test(well_known_addresses_are_recognised),
		cmocka_unit_test(their_neighbours_are_not),
		cmocka_unit_test(longest_match_wins),
		cmocka_unit_test(table_is_in_order_and_sound),
		cmocka_unit_test(ranges_that_touch_the_table_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
