/* GLBP as captured from Cisco routers: read, never sent. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <vmac/mac.h>

#include "base/bytes.h"
#include "wire/verdict.h"

#define GLBP_PORT	    3222
#define GLBP_FORWARDERS_MAX 4
#define GLBP_GROUP_MAX	    1023

struct glbp {
	uint16_t group;
	vmac_mac_t owner;

	bool has_hello;
	uint8_t state; /* 4 listen, 8 speak, 16 standby, 32 active */
	uint8_t priority;
	uint32_t hello_ms, hold_ms;
	uint16_t redirect_s, timeout_s;
	uint8_t family; /* of the virtual address: 4 or 6 */
	uint8_t address[16];

	unsigned int forwarder_count;
	struct glbp_forwarder {
		uint8_t number, state, priority, weight;
		uint16_t timeout_s, redirect_s; /* left */
		vmac_mac_t mac;
	} forwarders[GLBP_FORWARDERS_MAX];

	uint8_t auth; /* 0 none, 1 text, 2 MD5 by a string, 3 MD5 by a chain */
	char text[65];
	uint32_t md5_key_id;
	uint8_t md5_digest[16];
	const uint8_t *message;	      /* what the digest covers, in the caller's memory */
	uint16_t message_len, md5_at; /* where in it the digest stands */
};

/* Reads one UDP payload.  Verdicts: TRUNCATED, VERSION, LENGTH, MALFORMED.  Unknown TLVs are
 * skipped. */
enum verdict glbp_decode(struct reader *r, struct glbp *ret, const char **ret_why);

/* Whether the digest is right for a sender of this IPv4 address (constant time). */
bool glbp_md5_verify(const struct glbp *g, const uint8_t from[static 4], const char *key);
