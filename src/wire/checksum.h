/* The Internet checksum (RFC 1071). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Adds len octets to a sum that begins as 0; every piece but the last has an even length.  Good for
 * 64 KiB in all. */
uint32_t checksum_add(uint32_t sum, const void *data, size_t len);

/* The value for the header's field, host order.  Over data that holds a right checksum it is 0. */
uint16_t checksum_finish(uint32_t sum);
