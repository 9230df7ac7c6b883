/* Shared records as keys and values, and back.  What others wrote is held against every rule that
 * needs no other record; members that are not known are a newer writer's and passed over.
 * docs/registry.md shows them all. */
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/cluster_json.h"
#include "store/members.h"
#include "store/shared.h"
#include "store/shared_key.h"

DEFINE_CLEANUP(json_t *, json_decref);
DEFINE_CLEANUP(struct cluster_json *, cluster_json_done);

MEMBER_WORDS(host_state_word, HOST_STATE_COUNT, host_state_name)
MEMBER_WORDS(shared_state_word, SHARED_VMAC_STATE_COUNT, shared_vmac_state_name)
MEMBER_WORDS(ask_why_word, ASK_WHY_COUNT, ask_why_name)
MEMBER_WORDS(kind_word, VMAC_KIND_COUNT, vmac_kind_name)
MEMBER_WORDS(origin_word, VMAC_ORIGIN_COUNT, vmac_origin_name)
MEMBER_WORDS(state_word, VMAC_STATE_COUNT, vmac_state_name)

/* clang-format off */
/* --- tables ---------------------------------------------------------------------------------- */

#define NUMBER(n, m, lo, hi) { .name = n, .type = MEMBER_NUMBER, MEMBER_PLACE(m), .least = lo, .most = hi }
#define COUNTER(n, m)	     NUMBER(n, m, 0, INT64_MAX)
#define WORD(n, m, w)	     { .name = n, .type = MEMBER_WORD, MEMBER_PLACE(m), .word = w }
#define UUID(n, m)	     { .name = n, .type = MEMBER_UUID, MEMBER_PLACE(m) }
#define UUID_WANTED(n, m)    { .name = n, .type = MEMBER_UUID, MEMBER_PLACE(m), .wanted = true }
#define MAC(n, m)	     { .name = n, .type = MEMBER_MAC, MEMBER_PLACE(m) }
#define IP(n, m)	     { .name = n, .type = MEMBER_IP, MEMBER_PLACE(m) }
#define CHARS(n, m, r)	     { .name = n, .type = MEMBER_CHARS, MEMBER_PLACE(m), .most = MEMBER_SIZE(m) - 1, .rule = r }
#define TEXT(n, m, hi, r)    { .name = n, .type = MEMBER_TEXT, MEMBER_PLACE(m), .most = hi, .rule = r }
#define ARRAY(n, t, m, c)    { .name = n, .type = t, MEMBER_PLACE(m), .count_at = MEMBER_AT(c) }

#define T shared_meta
static const struct member meta[] = {
	NUMBER("format", format, 1, UINT32_MAX),
	UUID_WANTED("cluster", cluster),
	{ .name = "importing", .type = MEMBER_NUMBER, MEMBER_PLACE(importing), .optional = true, .most = 1 },
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
	{ .name = "key_check", .type = MEMBER_CHARS, MEMBER_PLACE(key_check), .optional = true, .most = KEY_CHECK_LEN },
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
	{ .name = "key", .type = MEMBER_KEY, MEMBER_PLACE(pool.key) },
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
	OPTIONAL(.name = "until", .type = MEMBER_NUMBER, MEMBER_PLACE(until.ms), .least = INT64_MIN,
		 .most = INT64_MAX, .absent = INT64_MAX),
	OPTIONAL(.name = "ttl_ms", .type = MEMBER_NUMBER, MEMBER_PLACE(ttl_ms), .most = INT64_MAX),
	OPTIONAL(.name = "name", .type = MEMBER_TEXT, MEMBER_PLACE(name), .most = NAME_MAX_LEN,
		 .rule = RULE_NAME_OR_EMPTY),
	OPTIONAL(.name = "owner", .type = MEMBER_TEXT, MEMBER_PLACE(owner), .most = OWNER_MAX_LEN),
	OPTIONAL(.name = "tenant", .type = MEMBER_TEXT, MEMBER_PLACE(tenant), .most = OWNER_MAX_LEN),
	OPTIONAL(.name = "note", .type = MEMBER_TEXT, MEMBER_PLACE(note), .most = NOTE_MAX_LEN),
	OPTIONAL(.name = "ips", .type = MEMBER_IPS, MEMBER_PLACE(ips), .count_at = MEMBER_AT(ip_count)),
};
#undef T
static const struct members image_vmac_members = MEMBERS(vmac, image_vmac);

#define T shared_image
static const struct member image[] = {
	CHARS("pool", pool, RULE_NAME_OR_EMPTY),
	CHARS("segment", segment, RULE_NAME_OR_EMPTY),
	COUNTER("number", number),
	UUID_WANTED("host", host),
	{ .name = "vmacs", .type = MEMBER_VMACS, MEMBER_PLACE(vmacs), .count_at = MEMBER_AT(count),
	  .of = &image_vmac_members },
};
#undef T

/* clang-format on */

/* Where in struct shared_record they are, and what they have there.  A cluster's are those of
 * cluster_json.c. */
#define KIND(kind, m) [kind] = { MEMBERS(shared_##m, m), offsetof(struct shared_record, m) }

static const struct {
	struct members members;
	size_t at;
} kinds[SHARED_KIND_COUNT] = {
	KIND(SHARED_META, meta),       KIND(SHARED_HOST, host),		KIND(SHARED_ALIVE, alive),
	KIND(SHARED_SEGMENT, segment), KIND(SHARED_POOL, pool),		KIND(SHARED_BLOCK, block),
	KIND(SHARED_VMAC, vmac),       KIND(SHARED_IDENTITY, identity), KIND(SHARED_ASK, ask),
	KIND(SHARED_IMAGE, image),
};

/* The size of blocks is a power of two; all else stands in the tables. */
static int check_record(const struct shared_record *r, struct error *ret_error)
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

/* --- writing --------------------------------------------------------------------------------- */

static int value_write(const struct mem *mem, const struct shared_record *r, char **ret,
		       struct error *ret_error)
{
	CLEANUP(json_decref_p) json_t *object = NULL;
	size_t len;
	char *text;
	int failed;

	failed = check_record(r, ret_error);
	if (failed < 0)
		return failed;
	if (r->kind == SHARED_CLUSTER)
		object = cluster_json_object(r->cluster.cluster, r->cluster.segment, ret_error);
	else
		object = members_write(&kinds[r->kind].members, (const char *)r + kinds[r->kind].at,
				       ret_error);
	if (!object)
		return -error_errno(ret_error->code);
	len = json_dumpb(object, NULL, 0, JSON_COMPACT);
	text = len > 0 ? mem_alloc(mem, len + 1) : NULL;
	if (!text || json_dumpb(object, text, len, JSON_COMPACT) != len) {
		mem_free(mem, text);
		return json_no_memory(ret_error);
	}
	*ret = text;
	return 0;
}

int shared_encode(const struct mem *mem, const struct shared_record *r, char **ret_key,
		  char **ret_value, struct error *ret_error)
{
	char key[SHARED_KEY_MAX], *value = NULL, *copy;
	int result = shared_key_write(r, key, ret_error);

	if (result == 0 && ret_value)
		result = value_write(mem, r, &value, ret_error);
	if (result < 0) {
		error_prefix(ret_error, "%s record", shared_kind_name(r->kind));
		return result;
	}
	copy = mem_alloc(mem, strlen(key) + 1);
	if (!copy) {
		mem_free(mem, value);
		return json_no_memory(ret_error);
	}
	memcpy(copy, key, strlen(key) + 1);
	*ret_key = copy;
	if (ret_value)
		*ret_value = value;
	return 0;
}

/* --- reading --------------------------------------------------------------------------------- */

static void scratch_done(struct scratch *s)
{
	free(s->ips);
	free(s->vmacs);
}

static int scratch_init(struct scratch *s, enum shared_kind kind, struct error *ret_error)
{
	if (kind != SHARED_VMAC && kind != SHARED_IMAGE)
		return 0;
	s->ips_room = kind == SHARED_IMAGE ? (size_t)BLOCK_SIZE_MAX * VMAC_IPS_MAX : VMAC_IPS_MAX;
	s->ips = calloc(s->ips_room, sizeof(*s->ips));
	if (kind == SHARED_IMAGE)
		s->vmacs = calloc(BLOCK_SIZE_MAX, sizeof(*s->vmacs));
	if (!s->ips || (kind == SHARED_IMAGE && !s->vmacs))
		return json_no_memory(ret_error);
	return 0;
}

/* Of a newer format, only its number can be read. */
static int format_check(const json_t *object, struct error *ret_error)
{
	json_int_t format = json_integer_value(json_object_get(object, "format"));

	if (format <= SHARED_FORMAT)
		return 0;
	return error_set(ret_error, ERROR_REGISTRY_VERSION, "bring this host's vmac up to date",
			 "the shared registry has format %lld, this version knows up to %d",
			 (long long)format, SHARED_FORMAT);
}

static int object_read(const json_t *root, struct shared_record *r, struct scratch *s,
		       struct cluster_json **ret_cluster, struct error *ret_error)
{
	int result;

	if (r->kind != SHARED_CLUSTER)
		return members_read(&kinds[r->kind].members, root, s, (char *)r + kinds[r->kind].at,
				    ret_error);
	result = cluster_json_from(root, ret_cluster, ret_error);
	if (result < 0)
		return result;
	if ((*ret_cluster)->segment[0] == '\0')
		return error_set(ret_error, ERROR_MISSING_FIELD, NULL, "'segment' is missing");
	r->cluster.cluster = &(*ret_cluster)->cluster;
	r->cluster.segment = (*ret_cluster)->segment;
	return 0;
}

static int value_read(const char *value, size_t len, json_t **ret_root, struct shared_record *r,
		      struct scratch *s, struct cluster_json **ret_cluster, struct error *ret_error)
{
	struct shared_record key = *r;
	int result = json_from_text(value, len, ret_root, ret_error);

	if (result == 0 && r->kind == SHARED_META)
		result = format_check(*ret_root, ret_error);
	*r = (struct shared_record){ .kind = key.kind };
	if (result == 0)
		result = object_read(*ret_root, r, s, ret_cluster, ret_error);
	if (result == 0)
		result = check_record(r, ret_error);
	if (result == 0 && !shared_same_key(r, &key))
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "the value is that of another key");
	return result;
}

/* A key that is none may hold anything, and the message may reach a terminal. */
static void prefix_key(struct error *e, const char *key)
{
	char shown[160];
	size_t n = 0;

	for (; key[n] && n < sizeof(shown) - 1; n++)
		shown[n] = isprint((unsigned char)key[n]) ? key[n] : '?';
	shown[n] = '\0';
	error_prefix(e, "%s", shown);
}

int shared_decode(const struct mem *mem, const char *key, const char *value, size_t len,
		  uint64_t revision, struct shared_record **ret, struct error *ret_error)
{
	CLEANUP(scratch_done) struct scratch scratch = { 0 };
	CLEANUP(json_decref_p) json_t *root = NULL;
	CLEANUP(cluster_json_done_p) struct cluster_json *cluster = NULL;
	struct shared_record r, *copy;
	struct shared_room room;
	int result = shared_key_read(key, &r, &room, ret_error);

	if (result == 0 && value)
		result = scratch_init(&scratch, r.kind, ret_error);
	if (result == 0 && value)
		result = value_read(value, len, &root, &r, &scratch, &cluster, ret_error);
	if (result < 0) {
		prefix_key(ret_error, key);
		return result;
	}
	r.revision = value ? revision : 0;
	copy = shared_copy(mem, &r);
	if (!copy)
		return json_no_memory(ret_error);
	*ret = copy;
	return 0;
}
