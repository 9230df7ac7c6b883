/* What the hosts of a cluster say to each other on the cluster's own segment, every 200 ms: an
 * Ethernet frame to a group address of ours, EtherType 88-B5 (IEEE 802, local experimental 1).
 * That they hear each other there, and not by some other way, is the point: who is cut off from the
 * segment is cut off from the cluster's clients too.
 *
 *    0  03-76-4D-41-43-00   6  the sending host's own address   12  88 B5
 *   14  "vMH" 1             18  octets of the message, tag included, from 14 on: 16 bits
 *   20  host: uuid (128), number (16), flags (16)     40  incarnation (64), sequence (32)
 *   52  cluster: hash of its name (64), generation of the record (64)
 *   68  view in force here: epoch (64), number (32); view installed here: epoch (64), number (32)
 *   92  view proposed (coordinators, else 0): epoch (64), number (32), generation (64)
 *  112  faces (8), octets a bitmap (8), echoes (8), 0 (8)
 *  116  a face: state (8), 0 (8), number of the host that is to have it (16), epoch (64)
 *       bitmaps by member id, the lowest bit of the first octet is id 1: hosted, fit, busy; and, of
 *       a proposed view, fresh, known
 *       an echo: a host's number (16), flags (16), the highest sequence heard of it (32)
 *       SipHash-2-4 (64 bits) under the cluster's key, of the octets from 6 to here
 *
 * Numbers are big-endian.
 *
 * What is received must be as it would be written: what says nothing is zero, epochs are no higher
 * than an announcement can bear, who is fit is hosted, who is fresh is known, echoes are by number,
 * of others and of sequences from 1 on; `to` is said of what is yielded alone. */
#pragma once

#include <stdbool.h>

#include <vmac/mac.h>

#include "base/bytes.h"

#define HEARTBEAT_TYPE	      0x88b5
#define HEARTBEAT_MEMBERS_MAX 1024
#define HEARTBEAT_BITMAP_MAX  (HEARTBEAT_MEMBERS_MAX / 8)
#define HEARTBEAT_FACES_MAX   8
#define HEARTBEAT_ECHOES_MAX  64
#define HEARTBEAT_LEN_MAX     1500
#define HEARTBEAT_KEY_LEN     16
#define HEARTBEAT_EPOCH_MAX   ((UINT64_C(1) << 48) - 1) /* as in wire/claim.h */
extern const vmac_mac_t heartbeat_group;		/* 03-76-4D-41-43-00 */

struct heartbeat_bits {
	uint8_t octet[HEARTBEAT_BITMAP_MAX];
};
static inline bool heartbeat_bit(const struct heartbeat_bits *b, unsigned int id)
{
	return id && id <= HEARTBEAT_MEMBERS_MAX && b->octet[(id - 1) / 8] >> (id - 1) % 8 & 1;
}
static inline void heartbeat_set_bit(struct heartbeat_bits *b, unsigned int id, bool on)
{
	if (!id || id > HEARTBEAT_MEMBERS_MAX)
		return;
	if (on)
		b->octet[(id - 1) / 8] |= (uint8_t)(1u << (id - 1) % 8);
	else
		b->octet[(id - 1) / 8] &= (uint8_t) ~(1u << (id - 1) % 8);
}

/* Which view of the members is meant: of the coordinator with that epoch, its number-th. */
struct heartbeat_view {
	uint64_t epoch;
	uint32_t number; /* 0 = none */
};

enum heartbeat_face_state {
	HEARTBEAT_IDLE,	   /* not ours */
	HEARTBEAT_ACTIVE,  /* this host is its anchor */
	HEARTBEAT_YIELDED, /* it was until now, and `to` is to be */
	HEARTBEAT_FACE_STATE_COUNT
};

/* Of a host that is heard. */
enum heartbeat_echo {
	HEARTBEAT_COUNTS = 1,  /* it is believed, and what it has is left to it */
	HEARTBEAT_ANSWERS = 2, /* it has said that it hears the one who says this */
};

struct heartbeat {
	uint8_t host[16]; /* uuid */
	uint16_t number;
	bool leaving; /* the host stops, or has no member any more: its last word */
	uint64_t incarnation;
	uint32_t sequence; /* 1 … of this incarnation */
	uint64_t cluster;  /* heartbeat_cluster() */
	uint64_t generation;
	struct heartbeat_view committed, installed;
	struct heartbeat_view proposed; /* number 0 = no coordinator's */
	uint64_t proposed_generation;
	unsigned int face_count, echo_count, bitmap_octets;
	struct {
		uint8_t state; /* enum heartbeat_face_state */
		uint16_t to;
		uint64_t epoch;
	} faces[HEARTBEAT_FACES_MAX];
	struct heartbeat_bits hosted, fit, busy;
	struct heartbeat_bits fresh, known; /* of the proposed view */
	struct {
		uint16_t number, flags; /* enum heartbeat_echo */
		uint32_t sequence;
	} echoes[HEARTBEAT_ECHOES_MAX];
};

/* The name that a cluster has in heartbeats: SipHash of SEGMENT/NAME under its key. */
uint64_t heartbeat_cluster(const char *segment, const char *name,
			   const uint8_t key[static HEARTBEAT_KEY_LEN]);

/* Writes the whole frame, 60 octets at least, without a VLAN tag.  Marks the writer when it does
 * not fit; asserts the counts, and that no bit is set beyond bitmap_octets. */
void heartbeat_write(struct writer *w, vmac_mac_t source, const struct heartbeat *h,
		     const uint8_t key[static HEARTBEAT_KEY_LEN]);

enum heartbeat_verdict {
	HEARTBEAT_VALID,
	HEARTBEAT_NOT,	     /* another EtherType, or another user of it */
	HEARTBEAT_VERSION,   /* of a newer writer */
	HEARTBEAT_MALFORMED, /* cut short, or contradicts itself */
	HEARTBEAT_FORGED,    /* a tag under another key, or damaged */
	HEARTBEAT_VERDICT_COUNT
};

/* The cluster that a frame says it is of, before its tag is checked (to find the key by); false:
 * it is none. */
bool heartbeat_peek(const void *frame, size_t len, uint64_t *ret_cluster);
/* Reads a frame from its Ethernet header on, without a VLAN tag; trailing padding is passed over.
 * *ret is whole only where VALID. */
enum heartbeat_verdict heartbeat_read(const void *frame, size_t len,
				      const uint8_t key[static HEARTBEAT_KEY_LEN],
				      struct heartbeat *ret);
