/* CARP's machine under any history. */
#include "fuzz_step.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_machine(ROUTER_CARP, data, size);
	return 0;
}
