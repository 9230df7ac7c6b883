/* An announcement that says who holds an address, at which epoch, so that hosts can order two
 * claims with no registry in reach: a RARP frame as hypervisors send it (60 octets; RFC 903), whose
 * padding bears a tag.  Switches and guests ignore the padding.
 *
 *    0  broadcast    6  vMAC    12  80 35    14  RARP, opcode 3, the vMAC as sender and target
 *   42  "vM"    44  epoch, its low 48 bits    50  the host's number, 16 bits
 *   52  SipHash-2-4 (64 bits) of octets 0 … 51 under the cluster's key */
#pragma once

#include <vmac/mac.h>

#include "base/bytes.h"

#define CLAIM_LEN     60
#define CLAIM_KEY_LEN 16

struct claim_tag {
	vmac_mac_t address;
	uint64_t epoch; /* < 2^48 */
	uint16_t host;	/* number: model/shared.h */
};

/* Writes the whole frame.  Marks the writer when it does not fit. */
void claim_write(struct writer *w, const struct claim_tag *tag,
		 const uint8_t key[static CLAIM_KEY_LEN]);

enum claim_verdict {
	CLAIM_VALID,	/* *ret is filled */
	CLAIM_UNTAGGED, /* a RARP, GARP, NA or any other frame without a tag */
	CLAIM_FORGED,	/* a tag under another key, or damaged */
	CLAIM_VERDICT_COUNT
};
/* Reads a frame from its Ethernet header on, without a VLAN tag. */
enum claim_verdict claim_read(const void *frame, size_t len,
			      const uint8_t key[static CLAIM_KEY_LEN], struct claim_tag *ret);
/* What such a frame says, whoever wrote it: the tag is not checked.  false: it bears none. */
bool claim_peek(const void *frame, size_t len, struct claim_tag *ret);

/* What tells two keys from each other and nothing of either: 16 hexadecimal digits, the same for
 * all hosts that have this key. */
#define CLAIM_KEY_CHECK_LEN 16
void claim_key_check(const uint8_t key[static CLAIM_KEY_LEN],
		     char ret[static CLAIM_KEY_CHECK_LEN + 1]);

const char *claim_verdict_name(enum claim_verdict v);
