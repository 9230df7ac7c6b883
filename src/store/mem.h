/* The registry that forgets: for tests and simulation. */
#pragma once

#include "store/store.h"

/* History lines kept, the newest; the oldest leave first. */
#define MEM_HISTORY_MAX 65536

/* The next n commits of this store (which must be of backend "mem") fail with that code. */
int store_mem_fail_next(struct store *s, unsigned int n, enum error_code code);
