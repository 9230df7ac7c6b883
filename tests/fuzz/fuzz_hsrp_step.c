/* HSRP's machine, in both versions, under any history. */
#include "fuzz_step.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	fuzz_machine(data[0] & 1 ? ROUTER_HSRP2 : ROUTER_HSRP1, data + 1, size - 1);
	return 0;
}
