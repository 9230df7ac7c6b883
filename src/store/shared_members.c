/* The members of the values, and the rules for one of them.  docs/registry.md shows them all. */
#include "store/shared_members.h"

#include <assert.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "model/text.h"

/* --- words ----------------------------------------------------------------------------------- */

#define WORDS(fn, count, name)                                                                     \
	static const char *fn(unsigned int i)                                                      \
	{                                                                                          \
		return i < (count) ? name(i) : NULL;                                               \
	}

WORDS(host_state_word, HOST_STATE_COUNT, host_state_name)
WORDS(shared_state_word, SHARED_VMAC_STATE_COUNT, shared_vmac_state_name)
WORDS(ask_why_word, ASK_WHY_COUNT, ask_why_name)
WORDS(kind_word, VMAC_KIND_COUNT, vmac_kind_name)
WORDS(origin_word, VMAC_ORIGIN_COUNT, vmac_origin_name)
WORDS(state_word, VMAC_STATE_COUNT, vmac_state_name)

/* clang-format off */
/* --- tables ---------------------------------------------------------------------------------- */

#define AT(m)	 offsetof(struct T, m)
#define SIZE(m)	 sizeof(((struct T *)NULL)->m)
#define PLACE(m) .at = AT(m), .size = SIZE(m)

#define NUMBER(n, m, lo, hi) { .name = n, .type = MEMBER_NUMBER, PLACE(m), .least = lo, .most = hi }
#define COUNTER(n, m)	     NUMBER(n, m, 0, INT64_MAX)
#define WORD(n, m, w)	     { .name = n, .type = MEMBER_WORD, PLACE(m), .word = w }
#define UUID(n, m)	     { .name = n, .type = MEMBER_UUID, PLACE(m) }
#define UUID_WANTED(n, m)    { .name = n, .type = MEMBER_UUID, PLACE(m), .wanted = true }
#define MAC(n, m)	     { .name = n, .type = MEMBER_MAC, PLACE(m) }
#define IP(n, m)	     { .name = n, .type = MEMBER_IP, PLACE(m) }
#define CHARS(n, m, r)	     { .name = n, .type = MEMBER_CHARS, PLACE(m), .most = SIZE(m) - 1, .rule = r }
#define TEXT(n, m, hi, r)    { .name = n, .type = MEMBER_TEXT, PLACE(m), .most = hi, .rule = r }
#define ARRAY(n, t, m, c)    { .name = n, .type = t, PLACE(m), .count_at = AT(c) }

#define T shared_meta
static const struct member meta[] = {
	NUMBER("format", format, 1, UINT32_MAX),
	UUID_WANTED("cluster", cluster),
	{ .name = "importing", .type = MEMBER_NUMBER, PLACE(importing), .optional = true, .most = 1 },
};
#undef T

#define T shared_host
static const struct member host[] = {
	UUID_WANTED("uuid", uuid),
	NUMBER("number", number, 1, HOST_NUMBER_MAX),
	WORD("state", state, host_state_word),
	CHARS("name", name, RULE_NAME),
	IP("address", address),
	NUMBER("tunnel_port", tunnel_port, 0, UINT16_MAX),
	CHARS("version", version, RULE_TEXT),
	COUNTER("incarnation", incarnation),
	CHARS("fenced_by", fenced_by, RULE_TEXT),
	{ .name = "key_check", .type = MEMBER_CHARS, PLACE(key_check), .optional = true, .most = KEY_CHECK_LEN },
};
#undef T

#define T shared_alive
static const struct member alive[] = {
	UUID_WANTED("host", host),
	COUNTER("incarnation", incarnation),
};
#undef T

#define T shared_segment
static const struct member segment[] = {
	CHARS("name", name, RULE_NAME),
	NUMBER("vlan", vlan, 0, 4094),
	NUMBER("number", number, 1, (1 << 24) - 1),
};
#undef T

#define T shared_pool
static const struct member pool[] = {
	CHARS("name", pool.name, RULE_NAME),
	CHARS("segment", segment, RULE_NAME),
	ARRAY("ranges", MEMBER_RANGES, pool.ranges, pool.range_count),
	ARRAY("excludes", MEMBER_RANGES, pool.excludes, pool.exclude_count),
	{ .name = "key", .type = MEMBER_KEY, PLACE(pool.key) },
	COUNTER("quarantine_ms", pool.quarantine_ms),
	COUNTER("limit", pool.limit),
	NUMBER("block_size", block_size, 1, BLOCK_SIZE_MAX),
};
#undef T

#define T shared_block
static const struct member block[] = {
	CHARS("pool", pool, RULE_NAME),
	COUNTER("number", number),
	UUID("host", host),
	UUID("request", request),
};
#undef T

#define T shared_vmac
static const struct member vmac[] = {
	TEXT("segment", segment, NAME_MAX_LEN, RULE_NAME),
	MAC("address", address),
	WORD("state", state, shared_state_word),
	WORD("kind", kind, kind_word),
	WORD("origin", origin, origin_word),
	COUNTER("epoch", epoch),
	UUID("holder", holder),
	UUID("to", to),
	UUID("move", move),
	UUID("request", request),
	COUNTER("lifetime_ms", lifetime_ms),
	COUNTER("quarantine_ms", quarantine_ms),
	TEXT("pool", pool, NAME_MAX_LEN, RULE_NAME_OR_EMPTY),
	TEXT("name", name, NAME_MAX_LEN, RULE_NAME_OR_EMPTY),
	TEXT("owner", owner, OWNER_MAX_LEN, RULE_TEXT),
	TEXT("tenant", tenant, OWNER_MAX_LEN, RULE_TEXT),
	TEXT("note", note, NOTE_MAX_LEN, RULE_TEXT),
	ARRAY("ips", MEMBER_IPS, ips, ip_count),
	COUNTER("ttl_ms", ttl_ms),
};
#undef T

#define T shared_identity
static const struct member identity[] = {
	CHARS("pool", pool, RULE_NAME),
	CHARS("identity", identity, RULE_TEXT),
	MAC("address", address),
	UUID("host", host),
	UUID("request", request),
};
#undef T

#define T shared_ask
static const struct member ask[] = {
	TEXT("segment", segment, NAME_MAX_LEN, RULE_NAME),
	MAC("address", address),
	WORD("why", why, ask_why_word),
	UUID_WANTED("host", host),
	UUID("move", move),
	COUNTER("lifetime_ms", lifetime_ms),
	TEXT("refused", refused, NOTE_MAX_LEN, RULE_TEXT),
};
#undef T

#define T shared_image
static const struct member image[] = {
	CHARS("pool", pool, RULE_NAME_OR_EMPTY),
	CHARS("segment", segment, RULE_NAME_OR_EMPTY),
	COUNTER("number", number),
	UUID_WANTED("host", host),
	ARRAY("vmacs", MEMBER_VMACS, vmacs, count),
};
#undef T

/* What most of 256 have nothing to say of is left out: an image is written again and again. */
#define T vmac
#define OPTIONAL(...) { .optional = true, __VA_ARGS__ }
static const struct member image_vmac[] = {
	MAC("address", address),
	WORD("state", state, state_word),
	WORD("kind", kind, kind_word),
	WORD("origin", origin, origin_word),
	COUNTER("epoch", epoch),
	NUMBER("created", created.ms, INT64_MIN, INT64_MAX),
	NUMBER("changed", changed.ms, INT64_MIN, INT64_MAX),
	OPTIONAL(.name = "until", .type = MEMBER_NUMBER, PLACE(until.ms), .least = INT64_MIN,
		 .most = INT64_MAX, .absent = INT64_MAX),
	OPTIONAL(.name = "ttl_ms", .type = MEMBER_NUMBER, PLACE(ttl_ms), .most = INT64_MAX),
	OPTIONAL(.name = "name", .type = MEMBER_TEXT, PLACE(name), .most = NAME_MAX_LEN,
		 .rule = RULE_NAME_OR_EMPTY),
	OPTIONAL(.name = "owner", .type = MEMBER_TEXT, PLACE(owner), .most = OWNER_MAX_LEN),
	OPTIONAL(.name = "tenant", .type = MEMBER_TEXT, PLACE(tenant), .most = OWNER_MAX_LEN),
	OPTIONAL(.name = "note", .type = MEMBER_TEXT, PLACE(note), .most = NOTE_MAX_LEN),
	OPTIONAL(.name = "ips", .type = MEMBER_IPS, PLACE(ips), .count_at = AT(ip_count)),
};
#undef T
/* clang-format on */

#define MEMBERS(kind, m) [kind] = { m, ARRAY_LEN(m), offsetof(struct shared_record, m) }

const struct members shared_members[SHARED_KIND_COUNT] = {
	MEMBERS(SHARED_META, meta),   MEMBERS(SHARED_HOST, host),
	MEMBERS(SHARED_ALIVE, alive), MEMBERS(SHARED_SEGMENT, segment),
	MEMBERS(SHARED_POOL, pool),   MEMBERS(SHARED_BLOCK, block),
	MEMBERS(SHARED_VMAC, vmac),   MEMBERS(SHARED_IDENTITY, identity),
	MEMBERS(SHARED_ASK, ask),     MEMBERS(SHARED_IMAGE, image),
};

const struct members shared_image_vmac = { image_vmac, ARRAY_LEN(image_vmac), 0 };

/* --- rules ----------------------------------------------------------------------------------- */

int member_check_number(const struct member *m, int64_t n, struct error *ret_error)
{
	if (n >= m->least && n <= m->most)
		return 0;
	return error_set(ret_error, ERROR_BAD_VALUE, NULL, "'%s' is %lld, not %lld to %lld",
			 m->name, (long long)n, (long long)m->least, (long long)m->most);
}

/* One code for whatever is wrong with a value: the reader of a registry is no form to be filled. */
static int bad_value(int r, struct error *ret_error)
{
	if (r == 0)
		return 0;
	ret_error->code = ERROR_BAD_VALUE;
	return -error_errno(ERROR_BAD_VALUE);
}

int member_check_text(const struct member *m, const char *text, struct error *ret_error)
{
	char what[32];

	snprintf(what, sizeof(what), "'%s'", m->name);
	if (m->rule == RULE_NAME_OR_EMPTY && text[0] == '\0')
		return 0;
	if (m->rule != RULE_TEXT)
		return bad_value(name_check(what, text, ret_error), ret_error);
	return text_check(what, text, (size_t)m->most, ret_error);
}

int member_check_uuid(const struct member *m, const struct uuid *u, struct error *ret_error)
{
	if (!m->wanted || !uuid_is_none(u))
		return 0;
	return error_set(ret_error, ERROR_BAD_VALUE, NULL, "'%s' names none", m->name);
}

int member_check_range(const struct member *m, struct vmac_mac_range r, struct error *ret_error)
{
	if (vmac_mac_range_check(r) == 0)
		return 0;
	return error_set(ret_error, ERROR_BAD_VALUE, NULL,
			 "'%s' has a range that ends before it begins, or spans first octets",
			 m->name);
}

int member_check_record(const struct shared_record *r, struct error *ret_error)
{
	uint32_t size = r->kind == SHARED_POOL ? r->pool.block_size : 1;

	if ((size & (size - 1)) != 0)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "'block_size' is %u, not a power of two", size);
	if (r->kind == SHARED_CLUSTER && r->cluster.segment[0] == '\0')
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "'segment' is empty");
	if (r->kind == SHARED_IDENTITY && r->identity.identity[0] == '\0')
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "'identity' is empty");
	return 0;
}

/* --- numbers --------------------------------------------------------------------------------- */

uint64_t member_number(const struct member *m, const void *from)
{
	switch (m->size) {
	case 1:
		return *(const uint8_t *)from;
	case 2:
		return *(const uint16_t *)from;
	case 4:
		return *(const uint32_t *)from;
	case 8:
		return *(const uint64_t *)from;
	}
	assert(!"a size of numbers");
	return 0;
}

void member_number_set(const struct member *m, void *to, int64_t n)
{
	switch (m->size) {
	case 1:
		*(uint8_t *)to = (uint8_t)n;
		return;
	case 2:
		*(uint16_t *)to = (uint16_t)n;
		return;
	case 4:
		*(uint32_t *)to = (uint32_t)n;
		return;
	case 8:
		*(int64_t *)to = n;
		return;
	}
	assert(!"a size of numbers");
}
