/* A redundant router: one election on this host, with one or more address sets.
 *
 * A *router* is one election ("who is it now?") that decides for all its *sets* together; a set is
 * a group number on a link with the virtual addresses of one family, and has one virtual MAC.  So
 * IPv4 and IPv6 of one gateway, or the two sides of a firewall, never disagree: there is one
 * machine and nothing to keep in step.
 *
 * Like every record it is immutable; it lives with all that it points to in one block of memory. */
#pragma once

#include "base/error.h"
#include "base/mem.h"
#include "model/ip.h"
#include "model/model.h"

#define ROUTERS_MAX		 4096
#define ROUTER_SETS_MAX		 16
#define ROUTER_SET_ADDRESSES_MAX 255 /* and what fits into one packet: see router_check() */
#define ROUTER_ADDRESSES_MAX	 512 /* of all sets together */
#define ROUTER_PEERS_MAX	 32  /* of one set */
#define ROUTER_TRACKS_MAX	 32
#define ROUTER_KEYS_MAX		 8
#define ROUTER_KEY_LEN_MAX	 64
#define ROUTER_TARGET_MAX	 1023
#define ROUTER_DELAY_MAX_MS	 3600000    /* preempt delay, boot hold */
#define ROUTER_REFRESH_MAX_MS	 86400000   /* of announcements */
#define ROUTER_LINGER_MAX_MS	 10000	    /* no lease is lent for longer without being extended */
#define ROUTER_LINGER_AUTO	 UINT32_MAX /* what the timers say */
#define ROUTER_MESSAGE_MAX	 1280	    /* octets of an IP packet that every link carries */

enum router_protocol {
	ROUTER_VRRP2,
	ROUTER_VRRP3,
	ROUTER_HSRP1,
	ROUTER_HSRP2,
	ROUTER_CARP,
	ROUTER_PROTOCOL_COUNT
};

struct router_address {
	struct ip ip;
	uint8_t prefix; /* 0 = a host address (32 or 128) */
};

struct router_set {
	char ifname[IFNAME_MAX_LEN + 1]; /* the link that the group lives on */
	char device[IFNAME_MAX_LEN + 1]; /* the link that carries the vMAC; "" = named by us */
	uint16_t group;			 /* VRID, HSRP group, vhid */
	uint8_t family;			 /* 4 or 6, of all addresses */
	bool has_mac;			 /* else the protocol's: router_set_mac() */
	vmac_mac_t mac;
	struct ip source; /* family 0 = the link's own (IPv4: primary, IPv6: link-local) */
	unsigned int address_count, peer_count;
	const struct router_address *addresses; /* as advertised; IPv6: link-local first */
	const struct ip *peers;			/* unicast to these; none = multicast */
};

enum router_auth {
	ROUTER_AUTH_NONE,
	ROUTER_AUTH_TEXT, /* VRRPv2, HSRP: in the clear, against mistakes only */
	ROUTER_AUTH_MD5,  /* VRRPv2 (Cisco's), HSRP */
	ROUTER_AUTH_HMAC, /* VRRPv2, VRRPv3: SHA-256 trailer against forging and replay; CARP: its
			     own */
	ROUTER_AUTH_COUNT
};

/* How strict, so that a key can be rolled out under traffic (in this order). */
enum router_auth_mode {
	ROUTER_AUTH_RECEIVE_ONLY, /* verify what is authenticated, accept what is not, send without
				   */
	ROUTER_AUTH_PERMISSIVE,	  /* the same, but send authenticated */
	ROUTER_AUTH_ENFORCE,	  /* accept authenticated only */
	ROUTER_AUTH_MODE_COUNT
};

struct router_key {
	uint32_t id;	    /* HSRP, VRRP MD5: 0 … 2^32-1; HMAC: 0 … 255; unique in a router */
	const char *secret; /* 1 … ROUTER_KEY_LEN_MAX octets; text: at most 8, CARP: at most 20 */
};

enum router_checksum {			     /* VRRPv3 over IPv4 */
		       ROUTER_CHECKSUM_AUTO, /* accept both, send as the peer does; at first with
						pseudo-header */
		       ROUTER_CHECKSUM_PSEUDO,
		       ROUTER_CHECKSUM_PLAIN,
		       ROUTER_CHECKSUM_COUNT
};

enum router_garp { /* what announces IPv4 addresses */
		   ROUTER_GARP_REQUEST,
		   ROUTER_GARP_REPLY,
		   ROUTER_GARP_BOTH,
		   ROUTER_GARP_COUNT
};

enum router_track_kind {
	ROUTER_TRACK_INTERFACE, /* target: a link; up = it is there, up and has carrier */
	ROUTER_TRACK_ROUTE,	/* target: PREFIX/LEN; up = the main table has exactly that route */
	ROUTER_TRACK_SCRIPT,	/* target: a program with arguments, no shell; up = exits with 0 */
	ROUTER_TRACK_FILE,	/* target: a path; up = it exists */
	ROUTER_TRACK_ROUTER,	/* target: another router of this host; up = it is active */
	ROUTER_TRACK_HTTP,	/* target: a URL; up = a status of 200 … 399 */
	ROUTER_TRACK_PING,	/* target: an IP address, with %LINK where it is link-local */
	ROUTER_TRACK_KIND_COUNT
};

struct router_track {
	uint8_t kind; /* enum router_track_kind */
	const char *target;
	int16_t weight; /* -254 … -1: added while down; 1 … 254: added while up; 0: down is a
			   fault, the router takes no part */
	uint32_t interval_ms; /* script, http, ping, file, route; 100 … 3,600,000 */
	uint32_t timeout_ms;  /* script, http, ping; <= interval */
	uint8_t rise, fall;   /* as many results in a row turn it; 1 … 255 */
};

struct router {
	uint32_t id; /* 1 … ROUTERS_MAX, unique among the living */
	char name[NAME_MAX_LEN + 1];
	uint8_t protocol; /* enum router_protocol */
	bool enabled;
	bool from_file; /* the configuration file's: it is changed and deleted there only */
	/* 1 … 255, higher wins.  VRRP: 255 = owns the addresses.  CARP: skew = 255 - priority. */
	uint8_t priority;
	uint32_t interval_ms; /* between advertisements (hello time) */
	uint32_t hold_ms;     /* HSRP's hold time; 0 = learn, or 10/3 of the interval */
	bool learn;	      /* HSRP: take timers and address from the active router */
	bool preempt;
	uint32_t preempt_delay_ms; /* how long we are fit before we take over from a lesser one */
	uint32_t boot_hold_ms;	   /* after the daemon's start, take no part for so long */
	bool accept;		   /* take packets for the virtual addresses (VRRP's Accept_Mode) */
	bool also_v2;		   /* VRRPv3, IPv4: send VRRPv2 too (RFC 9568 section 8.4) */
	uint8_t checksum;	   /* enum router_checksum */
	uint8_t garp;		   /* enum router_garp */
	/* Announcements after becoming active, 1 … 16: the second 50 ms behind the first, the
	 * others 1 s apart at most. */
	uint8_t announce_count;
	uint32_t announce_refresh_ms; /* again so often; 0 = never */
	uint32_t linger_ms; /* graceful stop: how long at most we serve on after having resigned,
			       until the successor is heard; ROUTER_LINGER_AUTO */
	uint8_t auth, auth_mode; /* enum router_auth, router_auth_mode */
	unsigned int key_count, set_count, track_count;
	const struct router_key *keys; /* the first is sent; all are accepted */
	const struct router_set *sets;
	const struct router_track *tracks;
	const char *notify; /* a program told of every transition; "" = none */
	const char *note;
	wall_t created, changed;
};

/* --- names: as the API, the command line and the file write them ----------------------------- */

const char *router_protocol_name(enum router_protocol p); /* "vrrp2", "vrrp3", "hsrp1", … */
const char *router_auth_name(enum router_auth a);	  /* "none", "text", "md5", "hmac" */
const char *router_auth_mode_name(
	enum router_auth_mode m); /* "receive-only", "permissive", "enforce" */
const char *router_checksum_name(enum router_checksum c);     /* "auto", "pseudo-header", "plain" */
const char *router_garp_name(enum router_garp g);	      /* "request", "reply", "both" */
const char *router_track_kind_name(enum router_track_kind k); /* "interface", "route", … */

/* The value with that name, or -EINVAL. */
int router_protocol_from_name(const char *name);
int router_auth_from_name(const char *name);
int router_auth_mode_from_name(const char *name);
int router_checksum_from_name(const char *name);
int router_garp_from_name(const char *name);
int router_track_kind_from_name(const char *name);

/* --- values ---------------------------------------------------------------------------------- */

/* Fills in what a protocol begins with: priority 100 (CARP: 255), interval 1 s (HSRP: 3 s), HSRP
 * hold 10 s, preempt as its standard says (VRRP yes, HSRP and CARP no), accept no (HSRP and CARP
 * yes), three announcements, linger by the timers, enabled, keys enforced, HSRP's text "cisco",
 * CARP's HMAC (its key is for the user to give); all else zero or "". */
void router_defaults(struct router *r, enum router_protocol p);

/* The same for a track: every second, half of it to answer, one result turns it, but three are
 * needed to turn down what is probed (script, http, ping). */
void router_track_defaults(struct router_track *t, enum router_track_kind k);

bool router_is_vrrp(enum router_protocol p);
bool router_is_hsrp(enum router_protocol p);

/* "10.0.0.1/24"; "10.0.0.1" is a host address (prefix 0), and so is what says /32 or /128.
 * 0 or -EINVAL. */
#define ROUTER_ADDRESS_TEXT_MAX (IP_TEXT_MAX + 4)
int router_address_parse(const char *text, struct router_address *ret);
char *router_address_format(const struct router_address *a,
			    char buf[static ROUTER_ADDRESS_TEXT_MAX]);

/* The vMAC of a set: its own or the protocol's (RFC 9568 section 7.3; 00:00:0c:07:ac:GG;
 * 00:00:0c:9f:fG:GG; 00:05:73:a0:0G:GG; CARP: VRRP's). */
vmac_mac_t router_set_mac(const struct router *r, const struct router_set *s);

/* Holds a record against every rule that needs no other record: names, ranges, families, the
 * protocol's limits (a VRRPv2 router has no IPv6; HSRPv1 groups end at 255; a VRRPv3 IPv6 set
 * begins with a link-local address; one HSRP set has one address; a message fits into 1,280 octets;
 * intervals the protocol can carry; secrets its authentication can take), two sets on one link with
 * one group and family, an address twice.  Errors name the field; BAD_VALUE, BAD_NAME, BAD_ADDRESS,
 * MISSING_FIELD, LIMIT_REACHED. */
int router_check(const struct router *r, struct error *ret_error);

/* Whether two records say the same but for id, created and changed: then nothing need be done. */
bool router_equal(const struct router *a, const struct router *b);
bool router_set_equal(const struct router_set *a, const struct router_set *b);

/* --- a router in one block (as vmac_block_fill()) -------------------------------------------- */

size_t router_block_size(const struct router *r);
struct router *router_block_fill(void *block, const struct router *r);

/* --- a router that several own ---------------------------------------------------------------- */

/* What is never changed need not be copied: the engine, the elections' thread and their core hold
 * one record together, from whichever thread, and the last who releases it frees it. */

/* A copy in a block of `m` (which outlives it, and frees from any thread) with the caller as its
 * one holder.  NULL: no memory. */
const struct router *router_record_new(const struct router *r, const struct mem *m);
/* One holder more, or less, of what router_record_new() made.  NULL is fine. */
const struct router *router_hold(const struct router *r);
void router_release(const struct router *r);
