#include "api/field.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/ip.h"
#include "model/text.h"

static void *place(void *target, size_t at)
{
	return (char *)target + at;
}

static bool keeps_text(enum field_type t)
{
	return t == FIELD_NAME || t == FIELD_IFNAME || t == FIELD_PATH || t == FIELD_TEXT;
}

void schema_init(const struct schema *s, void *target)
{
	for (unsigned int i = 0; i < s->count; i++) {
		const struct field *f = &s->fields[i];

		if (keeps_text(f->type))
			*(const char **)place(target, f->at) = s->absent_is_null ? NULL : "";
		else if (f->type == FIELD_OBJECT)
			schema_init(f->object, place(target, f->at));
	}
	if (s->init)
		s->init(target);
}

const struct field *schema_find(const struct schema *s, const char *name)
{
	for (unsigned int i = 0; i < s->count; i++)
		if (strcmp(s->fields[i].name, name) == 0)
			return &s->fields[i];
	return NULL;
}

void schema_names(const struct schema *s, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned int i = 0; i < s->count && used < size; i++) {
		int n = snprintf(buf + used, size - used, "%s%s", i > 0 ? ", " : "",
				 s->fields[i].name);

		assert(n >= 0);
		used += (size_t)n;
	}
}

void field_mark(const struct field *f, void *target)
{
	if (f->has_at != FIELD_NOWHERE)
		*(bool *)place(target, f->has_at) = true;
}

static int path_check(const char *path, const char *text, size_t most, struct error *ret_error)
{
	if (text[0] != '/')
		return error_set(ret_error, ERROR_BAD_VALUE, "for example /run/netns/web1",
				 "%s: not an absolute path", path);
	return text_check(path, text, most, ret_error);
}

/* Names the field before what a parse function says. */
static int parse_named(const struct field *f, const char *path, const char *text, void *to,
		       struct error *ret_error)
{
	int r = f->parse(text, to, ret_error);

	if (r < 0)
		error_prefix(ret_error, "%s", path);
	return r;
}

int field_set_text(const struct field *f, const char *path, const char *text, void *target,
		   struct error *ret_error)
{
	bool empty = text[0] == '\0' && !f->required;
	void *to = place(target, f->at);
	int r = 0;

	assert(keeps_text(f->type) || f->type == FIELD_PARSED);
	if (f->type == FIELD_PARSED)
		r = parse_named(f, path, text, to, ret_error);
	else if (f->type == FIELD_NAME && !empty)
		r = name_check(path, text, ret_error);
	else if (f->type == FIELD_IFNAME && !empty)
		r = ifname_check(path, text, ret_error);
	else if (f->type == FIELD_PATH && !empty)
		r = path_check(path, text, f->most, ret_error);
	else if (f->type == FIELD_TEXT)
		r = text_check(path, text, f->most, ret_error);
	if (r < 0)
		return r;
	if (keeps_text(f->type))
		*(const char **)to = text;
	field_mark(f, target);
	return 0;
}

int field_add_text(const struct field *f, const char *path, unsigned int index, const char *text,
		   void *target, struct error *ret_error)
{
	char name[160];
	void *to = place(target, f->at);
	int r;

	assert(f->type == FIELD_LIST);
	if (index >= f->most)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "%s: at most %u", path,
				 (unsigned int)f->most);
	if (f->apart)
		to = *(char **)to + index * f->size;
	else if (f->count_at != FIELD_NOWHERE)
		to = (char *)to + index * f->size;
	snprintf(name, sizeof(name), "%s[%u]", path, index);
	r = parse_named(f, name, text, to, ret_error);
	if (r < 0)
		return r;
	if (f->count_at != FIELD_NOWHERE)
		*(unsigned int *)place(target, f->count_at) = index + 1;
	return 0;
}

static void number_put(void *to, size_t size, uint64_t n)
{
	assert(size == 1 || size == 2 || size == 4 || size == 8);
	if (size == 1)
		*(uint8_t *)to = (uint8_t)n;
	else if (size == 2)
		*(uint16_t *)to = (uint16_t)n;
	else if (size == 4)
		*(uint32_t *)to = (uint32_t)n;
	else
		*(uint64_t *)to = n;
}

int field_set_uint(const struct field *f, const char *path, uint64_t n, void *target,
		   struct error *ret_error)
{
	void *to = place(target, f->at);

	assert(f->type == FIELD_UINT);
	if (n < f->least || n > f->most)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "%s: %llu is not in %llu … %llu",
				 path, (unsigned long long)n, (unsigned long long)f->least,
				 (unsigned long long)f->most);
	number_put(to, f->size, n);
	field_mark(f, target);
	return 0;
}

int field_set_int(const struct field *f, const char *path, int64_t n, void *target,
		  struct error *ret_error)
{
	assert(f->type == FIELD_INT);
	if (n < (int64_t)f->least || n > (int64_t)f->most)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "%s: %lld is not in %lld … %lld",
				 path, (long long)n, (long long)f->least, (long long)f->most);
	number_put(place(target, f->at), f->size, (uint64_t)n);
	field_mark(f, target);
	return 0;
}

void field_set_bool(const struct field *f, bool b, void *target)
{
	assert(f->type == FIELD_BOOL);
	*(bool *)place(target, f->at) = b;
	field_mark(f, target);
}

/* --- parse functions for tables -------------------------------------------------------------- */

int field_parse_mac(const char *text, void *to, struct error *ret_error)
{
	struct vmac_mac_fault fault;

	if (vmac_mac_parse(text, to, &fault) == 0)
		return 0;
	return error_set(
		ret_error, ERROR_BAD_ADDRESS,
		"02:00:5e:10:00:01, 02-00-5E-10-00-01, 0200.5e10.0001 and 02005e100001 are read",
		"\"%.40s\" is no MAC address: %s at position %zu", text, fault.reason,
		fault.position + 1);
}

int field_parse_range(const char *text, void *to, struct error *ret_error)
{
	struct vmac_mac_fault fault;

	if (vmac_mac_range_parse(text, to, &fault) == 0)
		return 0;
	return error_set(ret_error, ERROR_BAD_RANGE,
			 "FIRST..LAST, ADDRESS/BITS or one ADDRESS, all with one first octet",
			 "\"%.60s\" is no range: %s at position %zu", text, fault.reason,
			 fault.position + 1);
}

int field_parse_ip(const char *text, void *to, struct error *ret_error)
{
	if (ip_parse(text, to) == 0)
		return 0;
	return error_set(ret_error, ERROR_BAD_VALUE, "for example 192.0.2.1 or 2001:db8::1",
			 "\"%.60s\" is no IP address", text);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int field_parse_key(const char *text, void *to, struct error *ret_error)
{
	uint8_t key[16] = { 0 };

	for (size_t i = 0; i < 2 * sizeof(key); i++) {
		int digit = hex_digit(text[i]);

		if (digit < 0)
			goto bad;
		key[i / 2] = (uint8_t)(key[i / 2] << 4 | digit);
	}
	if (text[2 * sizeof(key)] != '\0')
		goto bad;
	memcpy(to, key, sizeof(key));
	return 0;
bad:
	/* The text itself is not repeated: it may be nearly a secret. */
	return error_set(ret_error, ERROR_BAD_VALUE, NULL, "not a key: expected 32 hex digits");
}

int field_parse_duration(const char *text, void *to, struct error *ret_error)
{
	if (duration_parse(text, to) == 0)
		return 0;
	return error_set(ret_error, ERROR_BAD_VALUE, "90s, 15m, 4h, 7d, 1h30m, or 0",
			 "\"%.40s\" is no duration", text);
}

int field_parse_time(const char *text, void *to, struct error *ret_error)
{
	if (wall_parse(text, to) == 0)
		return 0;
	return error_set(ret_error, ERROR_BAD_VALUE, "for example 2031-02-03T04:05:06.789Z",
			 "\"%.40s\" is no time (RFC 3339)", text);
}

static const char *const allow_names[] = { "dhcp-server", "router-advert", "any-ip" };

const char *field_allow_name(unsigned int bit)
{
	return bit < ARRAY_LEN(allow_names) ? allow_names[bit] : NULL;
}

int field_parse_allow(const char *text, void *to, struct error *ret_error)
{
	for (unsigned int bit = 0; bit < ARRAY_LEN(allow_names); bit++)
		if (strcmp(text, allow_names[bit]) == 0) {
			*(uint32_t *)to |= 1u << bit;
			return 0;
		}
	return error_set(ret_error, ERROR_BAD_VALUE, "known: dhcp-server, router-advert, any-ip",
			 "\"%.40s\" cannot be allowed", text);
}

/* "known: a, b, c" of an enum whose names `name` gives. */
static int no_such_value(const char *text, unsigned int count, const char *(*name)(unsigned int),
			 struct error *ret_error)
{
	char hint[ERROR_TEXT_MAX] = "known: ";
	size_t used = strlen(hint);

	for (unsigned int i = 0; i < count && used < sizeof(hint); i++)
		used += (size_t)snprintf(hint + used, sizeof(hint) - used, "%s%s",
					 i > 0 ? ", " : "", name(i));
	return error_set(ret_error, ERROR_BAD_VALUE, hint, "\"%.40s\" is none of them", text);
}

static const char *port_kind_text(unsigned int i)
{
	return port_kind_name((enum port_kind)i);
}

static const char *gate_text(unsigned int i)
{
	return port_gate_name((enum port_gate)i);
}

static const char *state_text(unsigned int i)
{
	return vmac_state_name((enum vmac_state)i);
}

static const char *kind_text(unsigned int i)
{
	return vmac_kind_name((enum vmac_kind)i);
}

static const char *origin_text(unsigned int i)
{
	return vmac_origin_name((enum vmac_origin)i);
}

int field_parse_enum(const char *text, unsigned int count, const char *(*name)(unsigned int),
		     struct error *ret_error)
{
	for (unsigned int i = 0; i < count; i++)
		if (strcmp(text, name(i)) == 0)
			return (int)i;
	return no_such_value(text, count, name, ret_error);
}

int field_parse_port_kind(const char *text, void *to, struct error *ret_error)
{
	int v = field_parse_enum(text, PORT_KIND_COUNT, port_kind_text, ret_error);

	if (v >= 0)
		*(enum port_kind *)to = (enum port_kind)v;
	return v < 0 ? v : 0;
}

int field_parse_gate(const char *text, void *to, struct error *ret_error)
{
	int v = field_parse_enum(text, GATE_COUNT, gate_text, ret_error);

	if (v >= 0)
		*(enum port_gate *)to = (enum port_gate)v;
	return v < 0 ? v : 0;
}

static int parse_int(const char *text, unsigned int count, const char *(*name)(unsigned int),
		     int *to, struct error *ret_error)
{
	int v = field_parse_enum(text, count, name, ret_error);

	if (v >= 0)
		*to = v;
	return v < 0 ? v : 0;
}

int field_parse_state(const char *text, void *to, struct error *ret_error)
{
	return parse_int(text, VMAC_STATE_COUNT, state_text, to, ret_error);
}

int field_parse_kind(const char *text, void *to, struct error *ret_error)
{
	return parse_int(text, VMAC_KIND_COUNT, kind_text, to, ret_error);
}

int field_parse_origin(const char *text, void *to, struct error *ret_error)
{
	return parse_int(text, VMAC_ORIGIN_COUNT, origin_text, to, ret_error);
}
