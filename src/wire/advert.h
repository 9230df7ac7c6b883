/* One frame of any election protocol, from its Ethernet header on. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "wire/carp.h"
#include "wire/eth.h"
#include "wire/glbp.h"
#include "wire/hsrp.h"
#include "wire/verdict.h"
#include "wire/vrrp.h"

enum advert_kind { ADVERT_VRRP, ADVERT_HSRP, ADVERT_CARP, ADVERT_GLBP, ADVERT_KIND_COUNT };

struct advert {
	struct eth eth;
	struct vrrp_path path;
	uint8_t ttl;
	bool unicast; /* the IP destination is no multicast group */
	uint8_t kind; /* enum advert_kind; ADVERT_GROUP or more understood */
	union {
		struct vrrp vrrp;
		struct hsrp hsrp;
		struct carp carp;
		struct glbp glbp;
	};
};

#define ADVERT_CHECKSUM_PENDING 1u /* the sender's kernel left UDP's checksum to its NIC */

/* Reads one frame.  What lies behind the IP packet (Ethernet padding) is ignored.  All verdicts of
 * the codecs may come, and NOT_OURS, FRAGMENT, DESTINATION (multicast to a group that is not the
 * protocol's, or unicast HSRP and GLBP, which have no unicast peers).  The TTL of unicast VRRP and
 * CARP is not checked here: whoever accepts them must know the sender as a peer.  *ret is filled as
 * far as the frame was understood, also when it is refused, so that the reader knows whose it was:
 * *ret_understood (may be NULL) says how far. */
enum advert_depth { ADVERT_NOTHING, ADVERT_ETHERNET, ADVERT_IP, ADVERT_GROUP, ADVERT_ALL };
enum verdict advert_decode(struct reader *r, unsigned int flags, struct advert *ret,
			   enum advert_depth *ret_understood, const char **ret_why);

/* The group's number of an advert (ADVERT_GROUP or more understood). */
uint16_t advert_group(const struct advert *a);
