/* What the tables of routers parse. */
#include <string.h>

#include "api/field.h"
#include "model/router.h"
#include "model/text.h"

/* --- names ----------------------------------------------------------------------------------- */

FIELD_PARSE_ENUM(field_parse_router_protocol, router_protocol, ROUTER_PROTOCOL_COUNT,
		 router_protocol_name);
FIELD_PARSE_ENUM(field_parse_router_auth, router_auth, ROUTER_AUTH_COUNT, router_auth_name);
FIELD_PARSE_ENUM(field_parse_router_auth_mode, router_auth_mode, ROUTER_AUTH_MODE_COUNT,
		 router_auth_mode_name);
FIELD_PARSE_ENUM(field_parse_router_checksum, router_checksum, ROUTER_CHECKSUM_COUNT,
		 router_checksum_name);
FIELD_PARSE_ENUM(field_parse_router_garp, router_garp, ROUTER_GARP_COUNT, router_garp_name);
FIELD_PARSE_ENUM(field_parse_router_track, router_track_kind, ROUTER_TRACK_KIND_COUNT,
		 router_track_kind_name);

int field_parse_router_name(const char *text, void *to, struct error *ret_error)
{
	int r = name_check("the name", text, ret_error);

	if (r == 0)
		memcpy(to, text, strlen(text) + 1);
	return r;
}

/* "" is for the reader of the record to judge. */
int field_parse_router_ifname(const char *text, void *to, struct error *ret_error)
{
	int r = text[0] ? ifname_check("the name", text, ret_error) : 0;

	if (r == 0)
		memcpy(to, text, strlen(text) + 1);
	return r;
}

int field_parse_router_address(const char *text, void *to, struct error *ret_error)
{
	if (router_address_parse(text, to) == 0)
		return 0;
	return error_set(ret_error, ERROR_BAD_ADDRESS, "for example 192.0.2.1/24 or fe80::1",
			 "\"%.60s\" is no IP address with or without its prefix length", text);
}

/* --- lengths of time ------------------------------------------------------------------------- */

int field_parse_ms(const char *text, void *to, struct error *ret_error)
{
	int64_t ms;
	int r = field_parse_duration(text, &ms, ret_error);

	if (r < 0)
		return r;
	/* The largest value means something else in some fields. */
	if (ms >= UINT32_MAX)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "\"%.40s\" is too long", text);
	*(uint32_t *)to = (uint32_t)ms;
	return 0;
}

int field_parse_pace(const char *text, void *to, struct error *ret_error)
{
	uint32_t ms;
	int r = field_parse_ms(text, &ms, ret_error);

	if (r < 0)
		return r;
	if (ms == 0)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "0 is too short");
	*(uint32_t *)to = ms;
	return 0;
}

int field_parse_hold(const char *text, void *to, struct error *ret_error)
{
	if (text[0] != '\0' && strcmp(text, "auto") != 0)
		return field_parse_ms(text, to, ret_error);
	*(uint32_t *)to = 0;
	return 0;
}

int field_parse_linger(const char *text, void *to, struct error *ret_error)
{
	if (strcmp(text, "auto") != 0)
		return field_parse_ms(text, to, ret_error);
	*(uint32_t *)to = ROUTER_LINGER_AUTO;
	return 0;
}
