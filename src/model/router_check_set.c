/* The rules of a router's address sets. */
#include <string.h>

#include "base/cleanup.h"
#include "model/router_rules.h"
#include "model/text.h"

static const struct {
	uint16_t least, most;
	const char *what;
	bool ipv6;
} groups[] = {
	[ROUTER_VRRP2] = { 1, 255, "a VRID", false },
	[ROUTER_VRRP3] = { 1, 255, "a VRID", true },
	[ROUTER_HSRP1] = { 0, 255, "a group", false },
	[ROUTER_HSRP2] = { 0, 4095, "a group", true },
	[ROUTER_CARP] = { 1, 255, "a vhid", true },
};

_Static_assert(ARRAY_LEN(groups) == ROUTER_PROTOCOL_COUNT, "every protocol has its groups");

/* --- the link, the group, the vMAC ----------------------------------------------------------- */

static int check_link(const struct router *r, unsigned int i, struct error *ret_error)
{
	const struct router_set *s = &r->sets[i];
	char what[FIELD_TEXT_MAX];
	int rc = ifname_check(router_field(what, "sets", i, "interface"), s->ifname, ret_error);

	if (rc < 0 || s->device[0] == '\0')
		return rc;
	rc = ifname_check(router_field(what, "sets", i, "device"), s->device, ret_error);
	if (rc == 0 && strcmp(s->device, s->ifname) == 0)
		rc = error_set(ret_error, ERROR_BAD_VALUE,
			       "it is the name of a link that is made to carry the vMAC",
			       "%s is the interface itself", what);
	return rc;
}

static int check_group(const struct router *r, unsigned int i, struct error *ret_error)
{
	const char *protocol = router_protocol_name(r->protocol);
	const struct router_set *s = &r->sets[i];

	if (s->family != 4 && s->family != 6)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "sets[%u].family %u is neither 4 nor 6", i, s->family);
	if (s->family == 6 && !groups[r->protocol].ipv6)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 r->protocol == ROUTER_VRRP2 ? "vrrp3 has it" : "hsrp2 has it",
				 "sets[%u] has IPv6 addresses, and %s has no IPv6", i, protocol);
	if (s->group < groups[r->protocol].least || s->group > groups[r->protocol].most)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "sets[%u].group %u is not within %u to %u, as %s of %s is", i,
				 s->group, groups[r->protocol].least, groups[r->protocol].most,
				 groups[r->protocol].what, protocol);
	if (s->has_mac && (vmac_mac_is_group(s->mac) || vmac_mac_is_zero(s->mac)))
		return error_set(ret_error,
				 vmac_mac_is_zero(s->mac) ? ERROR_BAD_ADDRESS : ERROR_GROUP_ADDRESS,
				 "leave it out for the protocol's own",
				 "sets[%u].mac is no address that one owner can have", i);
	return 0;
}

/* --- addresses ------------------------------------------------------------------------------- */

static int bad_address(struct error *ret_error, const char *what, const struct ip *ip,
		       const char *why)
{
	char text[IP_TEXT_MAX];

	return error_set(ret_error, ERROR_BAD_ADDRESS, NULL, "%s %s %s", what, ip_format(ip, text),
			 why);
}

/* One that a router of this set can have or speak to. */
static int check_ip(const struct router_set *s, const char *what, const struct ip *ip,
		    struct error *ret_error)
{
	if (ip->family != 4 && ip->family != 6)
		return error_set(ret_error, ERROR_BAD_ADDRESS, NULL, "%s is no address", what);
	if (ip->family != s->family)
		return bad_address(ret_error, what, ip,
				   s->family == 4 ? "is not IPv4, as its set is"
						  : "is not IPv6, as its set is");
	if (!ip_is_unicast(ip))
		return bad_address(ret_error, what, ip, "is not an address a host can have");
	return 0;
}

static int check_address(const struct router_set *s, unsigned int i, unsigned int j,
			 struct error *ret_error)
{
	const struct router_address *a = &s->addresses[j];
	unsigned int bits = s->family == 4 ? 32 : 128;
	char what[FIELD_TEXT_MAX], field[FIELD_TEXT_MAX];
	int rc;

	router_field(field, "addresses", j, "");
	router_field(what, "sets", i, field);
	rc = check_ip(s, what, &a->ip, ret_error);
	if (rc < 0)
		return rc;
	if (a->prefix > bits)
		return bad_address(ret_error, what, &a->ip, "has a prefix longer than itself");
	/* RFC 3021: the two addresses of a /31 are both a host's. */
	if (s->family == 4 && a->prefix > 0 && a->prefix < 31 &&
	    (ip_host_part_is(&a->ip, a->prefix, false) || ip_host_part_is(&a->ip, a->prefix, true)))
		return bad_address(ret_error, what, &a->ip,
				   "is the network's own or its broadcast address");
	return 0;
}

/* RFC 9568 section 5.2.9; and what any link must carry without fragments. */
static unsigned int message_len(const struct router *r, const struct router_set *s)
{
	unsigned int len =
		(s->family == 4 ? 20 : 40) + 8 + s->address_count * (s->family == 4 ? 4 : 16);

	if (r->protocol == ROUTER_VRRP2 || r->also_v2)
		len += 8;
	if (r->auth == ROUTER_AUTH_MD5 || r->auth == ROUTER_AUTH_HMAC)
		len += 28;
	return len;
}

static int check_count(const struct router *r, unsigned int i, struct error *ret_error)
{
	const struct router_set *s = &r->sets[i];

	if (s->address_count == 0 && !r->learn)
		return error_set(ret_error, ERROR_MISSING_FIELD,
				 router_is_hsrp(r->protocol)
					 ? "or set learn, to take the active router's"
					 : NULL,
				 "sets[%u].addresses is empty", i);
	if (s->address_count == 0 && i > 0)
		return error_set(ret_error, ERROR_MISSING_FIELD,
				 "the address of the first set can be learned",
				 "sets[%u].addresses is empty", i);
	if (s->address_count > 1 && router_is_hsrp(r->protocol))
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "put each into a set with a group of its own",
				 "sets[%u].addresses has %u addresses, and HSRP carries one", i,
				 s->address_count);
	if (s->address_count > ROUTER_SET_ADDRESSES_MAX)
		return error_set(ret_error, ERROR_LIMIT_REACHED, "put some into another set",
				 "sets[%u].addresses has %u addresses, %d are allowed", i,
				 s->address_count, ROUTER_SET_ADDRESSES_MAX);
	if (router_is_vrrp(r->protocol) && message_len(r, s) > ROUTER_MESSAGE_MAX)
		return error_set(ret_error, ERROR_LIMIT_REACHED, "put some into another set",
				 "sets[%u].addresses has %u addresses, which need a packet of %u "
				 "octets; %d are allowed",
				 i, s->address_count, message_len(r, s), ROUTER_MESSAGE_MAX);
	return 0;
}

static int check_addresses(const struct router *r, unsigned int i, struct error *ret_error)
{
	const struct router_set *s = &r->sets[i];
	int rc = check_count(r, i, ret_error);

	for (unsigned int j = 0; rc == 0 && j < s->address_count; j++)
		rc = check_address(s, i, j, ret_error);
	if (rc == 0 && r->protocol == ROUTER_VRRP3 && s->family == 6 &&
	    !ip_is_link_local(&s->addresses[0].ip))
		rc = error_set(ret_error, ERROR_BAD_ADDRESS,
			       "hosts find routers by it (RFC 9568 section 5.2.9): fe80::1, say",
			       "sets[%u].addresses[0] is not link-local", i);
	return rc;
}

/* --- source and peers ------------------------------------------------------------------------ */

static bool has_address(const struct router_set *s, const struct ip *ip)
{
	for (unsigned int j = 0; j < s->address_count; j++)
		if (ip_equal(&s->addresses[j].ip, ip))
			return true;
	return false;
}

static int check_peers(const struct router *r, unsigned int i, struct error *ret_error)
{
	const struct router_set *s = &r->sets[i];
	char what[FIELD_TEXT_MAX], field[FIELD_TEXT_MAX];
	int rc = 0;

	if (s->peer_count > 0 && router_is_hsrp(r->protocol))
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "sets[%u].peers is not empty, and HSRP has no unicast", i);
	if (s->peer_count > ROUTER_PEERS_MAX)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "sets[%u].peers has %u addresses, %d are allowed", i,
				 s->peer_count, ROUTER_PEERS_MAX);
	for (unsigned int j = 0; j < s->peer_count; j++) {
		router_field(field, "peers", j, "");
		router_field(what, "sets", i, field);
		rc = check_ip(s, what, &s->peers[j], ret_error);
		if (rc < 0)
			return rc;
		if (ip_equal(&s->peers[j], &s->source))
			return bad_address(ret_error, what, &s->peers[j], "is our own source");
		if (has_address(s, &s->peers[j]))
			return bad_address(ret_error, what, &s->peers[j],
					   "is one of the virtual addresses");
		for (unsigned int k = 0; k < j; k++)
			if (ip_equal(&s->peers[j], &s->peers[k]))
				return bad_address(ret_error, what, &s->peers[j], "is there twice");
	}
	return rc;
}

static int check_source(const struct router_set *s, unsigned int i, struct error *ret_error)
{
	char what[FIELD_TEXT_MAX];

	if (s->source.family == 0)
		return 0;
	return check_ip(s, router_field(what, "sets", i, "source"), &s->source, ret_error);
}

/* --- sets with each other -------------------------------------------------------------------- */

static int check_pair(const struct router *r, unsigned int i, unsigned int j,
		      struct error *ret_error)
{
	const struct router_set *a = &r->sets[i], *b = &r->sets[j];
	bool one_link = strcmp(a->ifname, b->ifname) == 0;

	if (a->device[0] && strcmp(a->device, b->device) == 0)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "sets[%u].device is the device of sets[%u]", j, i);
	if (!one_link)
		return 0;
	if (a->group == b->group && a->family == b->family)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "put the addresses into one set, or choose another group",
				 "sets[%u] has the interface, group and family of sets[%u]", j, i);
	if (vmac_mac_equal(router_set_mac(r, a), router_set_mac(r, b)))
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "sets[%u] has the interface and the MAC of sets[%u]", j, i);
	return 0;
}

/* An address twice: on one link it is a mistake always, on two links unless it is link-local. */
static int check_twice(const struct router *r, struct error *ret_error)
{
	for (unsigned int i = 0; i < r->set_count; i++) {
		for (unsigned int j = 0; j < r->sets[i].address_count; j++) {
			const struct ip *ip = &r->sets[i].addresses[j].ip;

			for (unsigned int k = 0; k < j; k++)
				if (ip_equal(ip, &r->sets[i].addresses[k].ip))
					return bad_address(ret_error, "the address", ip,
							   "is there twice");
			for (unsigned int k = 0; k < i; k++)
				if (has_address(&r->sets[k], ip) &&
				    (!ip_is_link_local(ip) ||
				     strcmp(r->sets[k].ifname, r->sets[i].ifname) == 0))
					return bad_address(ret_error, "the address", ip,
							   "is there twice");
		}
	}
	return 0;
}

static int check_together(const struct router *r, struct error *ret_error)
{
	unsigned int addresses = 0;
	int rc = 0;

	for (unsigned int j = 0; j < r->set_count; j++) {
		addresses += r->sets[j].address_count;
		for (unsigned int i = 0; rc == 0 && i < j; i++)
			rc = check_pair(r, i, j, ret_error);
	}
	if (rc == 0 && addresses > ROUTER_ADDRESSES_MAX)
		rc = error_set(ret_error, ERROR_LIMIT_REACHED, "make a second router",
			       "all sets together have %u addresses, %d are allowed", addresses,
			       ROUTER_ADDRESSES_MAX);
	if (rc == 0)
		rc = check_twice(r, ret_error);
	return rc;
}

int router_check_sets(const struct router *r, struct error *ret_error)
{
	int rc = 0;

	if (r->set_count == 0)
		return error_set(ret_error, ERROR_MISSING_FIELD,
				 "a router needs an interface, a group and an address",
				 "sets is empty");
	if (r->set_count > ROUTER_SETS_MAX)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "sets has %u sets, %d are allowed", r->set_count, ROUTER_SETS_MAX);
	for (unsigned int i = 0; rc == 0 && i < r->set_count; i++) {
		rc = check_link(r, i, ret_error);
		if (rc == 0)
			rc = check_group(r, i, ret_error);
		if (rc == 0)
			rc = check_addresses(r, i, ret_error);
		if (rc == 0)
			rc = check_source(&r->sets[i], i, ret_error);
		if (rc == 0)
			rc = check_peers(r, i, ret_error);
	}
	return rc < 0 ? rc : check_together(r, ret_error);
}
