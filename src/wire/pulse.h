/* Whether a host that is heard no more still forwards: its daemon may be dead alone, and then its
 * data plane goes on, and answers this by itself (bpf/pulse.h).  On the cluster's own segment, for
 * the reason that heartbeats have.
 *
 *    0  whom it is for   6  whose it is: hosts' own addresses   12  88 B5, as of heartbeats
 *   14  "vMP" 1          18  1 = question, 2 = answer           19  0
 *   20  cluster, as in heartbeats (64)   28  a secret of the asker's (64)   36  0, up to 60
 *
 * The answer is the question with its addresses swapped.  A data plane has no key, so nothing is
 * signed: an answer is believed for the secret, which nobody guesses who does not see the question.
 * Numbers are big-endian. */
#pragma once

#include "wire/heartbeat.h"

#define PULSE_LEN 60

enum pulse_kind { PULSE_QUESTION = 1, PULSE_ANSWER = 2 };

struct pulse {
	vmac_mac_t to, from;
	enum pulse_kind kind;
	uint64_t cluster, secret;
};

/* A whole frame of PULSE_LEN octets, without a VLAN tag. */
void pulse_write(struct writer *w, const struct pulse *p);
/* From the Ethernet header on, without a VLAN tag; false: it is none, or of another version.  What
 * says nothing must be zero. */
bool pulse_read(const void *frame, size_t len, struct pulse *ret);
/* SipHash-2-4 of both under the key: of the count-th question of that run of a host. */
uint64_t pulse_secret(const uint8_t key[static HEARTBEAT_KEY_LEN], uint64_t incarnation,
		      uint64_t count);
