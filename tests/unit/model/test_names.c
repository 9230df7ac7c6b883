#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/model.h"

/* Every value has a name of its own, and the name leads back. */
#define CHECK(count, name_of, from_name)                                                           \
	do {                                                                                       \
		for (unsigned int v = 0; v < (count); v++)                                         \
			assert_int_equal(from_name(name_of(v)), v);                                \
		assert_int_equal(from_name(""), -EINVAL);                                          \
		assert_int_equal(from_name("no such name"), -EINVAL);                              \
	} while (0)

static void names_lead_back(void **state)
{
	CHECK(VMAC_KIND_COUNT, vmac_kind_name, vmac_kind_from_name);
	CHECK(VMAC_ORIGIN_COUNT, vmac_origin_name, vmac_origin_from_name);
	CHECK(VMAC_STATE_COUNT, vmac_state_name, vmac_state_from_name);
	CHECK(PORT_KIND_COUNT, port_kind_name, port_kind_from_name);
}

static void names_are_the_documented_ones(void **state)
{
	assert_string_equal(vmac_kind_name(VMAC_STATION), "station");
	assert_string_equal(vmac_origin_name(VMAC_PINNED), "pinned");
	assert_string_equal(vmac_state_name(VMAC_QUARANTINED), "quarantined");
	assert_string_equal(port_kind_name(PORT_NETDEV), "netdev");
	assert_string_equal(port_gate_name(GATE_CLOSED), "closed");
	assert_string_equal(port_gate_name(GATE_OPEN), "open");
	assert_string_equal(change_kind_name(CHANGE_SEGMENT), "segment");
	assert_string_equal(change_kind_name(CHANGE_POOL), "pool");
	assert_string_equal(change_kind_name(CHANGE_VMAC), "vmac");
	assert_string_equal(change_kind_name(CHANGE_PORT), "port");
	assert_string_equal(change_kind_name(CHANGE_ROUTER), "router");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_lead_back),
		cmocka_unit_test(names_are_the_documented_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
