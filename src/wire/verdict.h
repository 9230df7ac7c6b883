/* What becomes of a frame of an election protocol, from its first octet to the machine.  One list
 * for the codecs, the election, the counters, the API and `vmac decode`, so that all of them say
 * the same word for the same thing. */
#pragma once

/* X(constant, name, one line for people).  Names are part of the API. */
#define VERDICTS(X)                                                                                \
	X(ACCEPTED, "accepted", "valid, and given to the election")                                \
	/* The codecs' (wire/): what is wrong with the octets. */                                  \
	X(NOT_OURS, "not_ours", "no frame of an election protocol")                                \
	X(TRUNCATED, "truncated", "shorter than its headers say")                                  \
	X(MALFORMED, "malformed", "a header or a field contradicts itself")                        \
	X(FRAGMENT, "fragment", "a fragment; election protocols do not fragment")                  \
	X(TTL, "ttl", "TTL or hop limit is not 255: it came through a router")                     \
	X(DESTINATION, "destination", "sent to a group or port that its protocol does not use")    \
	X(VERSION, "version", "a version that its protocol does not have")                         \
	X(TYPE, "type", "a type or operation that is unknown")                                     \
	X(LENGTH, "length", "longer or shorter than its own count of addresses says")              \
	X(CHECKSUM, "checksum", "wrong checksum")                                                  \
	X(NO_ADDRESS, "no_address", "an advertisement without an address")                         \
	X(INTERVAL_ZERO, "interval_zero", "an advertisement interval of zero")                     \
	X(NOT_LINK_LOCAL, "not_link_local", "the first IPv6 address is not link-local")            \
	/* The election's (fhrp/): what is wrong for this group. */                                \
	X(OWN, "own", "our own frame, reflected")                                                  \
	X(NO_GROUP, "no_group", "no router here has that group on that link")                      \
	X(DISABLED, "disabled", "the router of that group is disabled or in fault")                \
	X(OTHER_PROTOCOL, "other_protocol", "another protocol or version than the group's")        \
	X(NOT_A_PEER, "not_a_peer", "the sender is none of the unicast peers")                     \
	X(AUTH_MISSING, "auth_missing", "not authenticated although the group is")                 \
	X(AUTH_TYPE, "auth_type", "authenticated in another way than the group")                   \
	X(AUTH_KEY, "auth_key", "no key of that number")                                           \
	X(AUTH_FAILED, "auth_failed", "wrong key, or altered on the way")                          \
	X(REPLAYED, "replayed", "older than what the same peer has sent before")                   \
	X(CLOCK, "clock", "the peer's clock is too far from ours to tell a replay")                \
	X(INTERVAL, "interval", "another advertisement interval than ours (VRRPv2)")               \
	X(OWNER_CONFLICT, "owner_conflict", "the peer also claims to own the address (255)")       \
	X(SUPERSEDED, "superseded", "a VRRPv2 copy of what the same router sends in VRRPv3")       \
	X(INFORMATION, "information", "valid, and of no concern to the election")

enum verdict {
#define VERDICT_ENUM_(constant, name, meaning) VERDICT_##constant,
	VERDICTS(VERDICT_ENUM_)
#undef VERDICT_ENUM_
		VERDICT_COUNT
};

const char *verdict_name(enum verdict v);
const char *verdict_meaning(enum verdict v);
