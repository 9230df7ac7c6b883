/* Who a frame says that it is of, read from no more than its first octets: of one that was only
 * seen in passing, and perhaps cut. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sight {
	const char *what; /* "ARP", "RARP", "IPv4", "IPv6", or "a frame" of something else */
	/* The sender's address, as ARP or IP has it; family 0: it names none (a probe, ::), or what
	 * names it is not there. */
	uint8_t family; /* 4, 6 */
	uint8_t sender[16];
};

/* From the Ethernet header on, without a VLAN tag.  Anything can be read; nothing is verified. */
void sight_read(const void *frame, size_t len, struct sight *ret);
