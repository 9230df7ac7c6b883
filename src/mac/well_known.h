/* The table's data, for classify.c alone; everybody else asks <vmac/classify.h>. */
#pragma once

#include <vmac/classify.h>

extern const struct vmac_well_known well_known_rows[];
extern const size_t well_known_row_count;
