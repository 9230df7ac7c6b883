/* Keys and values become records.  What others wrote is held against every rule that needs no other
 * record; members that are not known are a newer writer's and passed over. */
#include <assert.h>
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/ip.h"
#include "model/text.h"
#include "store/cluster_json.h"
#include "store/shared.h"
#include "store/shared_key.h"
#include "store/shared_members.h"

DEFINE_CLEANUP(json_t *, json_decref);
DEFINE_CLEANUP(struct cluster_json *, cluster_json_done);

static void scratch_done(struct scratch *s)
{
	free(s->ips);
	free(s->vmacs);
}

static int no_memory(struct error *ret_error)
{
	return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory to read a shared record");
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
		return no_memory(ret_error);
	return 0;
}

/* --- values of one member -------------------------------------------------------------------- */

static int wrong(const struct member *m, const char *wanted, struct error *ret_error)
{
	return error_set(ret_error, ERROR_BAD_VALUE, NULL, "'%s' is not %s", m->name, wanted);
}

static int number_read(const struct member *m, const json_t *v, void *to, struct error *ret_error)
{
	int64_t n = json_integer_value(v);
	int r;

	if (!json_is_integer(v))
		return wrong(m, "a whole number", ret_error);
	r = member_check_number(m, n, ret_error);
	if (r == 0)
		member_number_set(m, to, n);
	return r;
}

static int word_read(const struct member *m, const char *text, uint8_t *to, struct error *ret_error)
{
	for (unsigned int i = 0; m->word(i); i++) {
		if (strcmp(m->word(i), text) == 0) {
			*to = (uint8_t)i;
			return 0;
		}
	}
	return wrong(m, "a word that this version knows", ret_error);
}

static int uuid_read(const struct member *m, const char *text, struct uuid *to,
		     struct error *ret_error)
{
	*to = (struct uuid){ 0 };
	if (text[0] != '\0' && uuid_parse(text, to) < 0)
		return wrong(m, "a UUID", ret_error);
	return member_check_uuid(m, to, ret_error);
}

static int ip_read(const struct member *m, const char *text, struct ip *to, struct error *ret_error)
{
	*to = (struct ip){ 0 };
	if (text[0] != '\0' && ip_parse(text, to) < 0)
		return wrong(m, "an IP address", ret_error);
	return 0;
}

static int key_read(const struct member *m, const char *text, uint8_t key[16],
		    struct error *ret_error)
{
	static const char hex[] = "0123456789abcdef";

	if (strlen(text) != 32 || strspn(text, hex) != 32)
		return wrong(m, "32 hexadecimal digits", ret_error);
	for (unsigned int i = 0; i < 16; i++)
		key[i] = (uint8_t)((strchr(hex, text[2 * i]) - hex) << 4 |
				   (strchr(hex, text[2 * i + 1]) - hex));
	return 0;
}

static int text_read(const struct member *m, const char *text, void *to, struct error *ret_error)
{
	int r;

	if (m->type == MEMBER_CHARS && strlen(text) >= m->size)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "'%s' has %zu octets, %u are allowed", m->name, strlen(text),
				 m->size - 1u);
	r = member_check_text(m, text, ret_error);
	if (r < 0)
		return r;
	if (m->type == MEMBER_CHARS)
		memcpy(to, text, strlen(text) + 1);
	else
		*(const char **)to = text;
	return 0;
}

/* Members whose value is a JSON string. */
static int string_read(const struct member *m, const json_t *v, void *to, struct error *ret_error)
{
	const char *text = json_string_value(v);

	if (!text)
		return wrong(m, "a text", ret_error);
	if (m->type == MEMBER_WORD)
		return word_read(m, text, to, ret_error);
	if (m->type == MEMBER_UUID)
		return uuid_read(m, text, to, ret_error);
	if (m->type == MEMBER_IP)
		return ip_read(m, text, to, ret_error);
	if (m->type == MEMBER_KEY)
		return key_read(m, text, to, ret_error);
	if (m->type == MEMBER_MAC)
		return vmac_mac_parse(text, to, NULL) < 0 ? wrong(m, "a MAC address", ret_error)
							  : 0;
	return text_read(m, text, to, ret_error);
}

/* --- arrays ---------------------------------------------------------------------------------- */

static int ranges_read(const struct member *m, const json_t *v, struct vmac_mac_range *to,
		       unsigned int *ret_count, struct error *ret_error)
{
	for (size_t i = 0; i < json_array_size(v); i++) {
		const char *text = json_string_value(json_array_get(v, i));
		int r;

		if (!text || vmac_mac_range_parse(text, &to[i], NULL) < 0)
			return wrong(m, "an array of ranges of addresses", ret_error);
		r = member_check_range(m, to[i], ret_error);
		if (r < 0)
			return r;
	}
	*ret_count = (unsigned int)json_array_size(v);
	return 0;
}

static int ips_read(const struct member *m, const json_t *v, struct scratch *s,
		    const struct ip **to, uint8_t *ret_count, struct error *ret_error)
{
	struct ip *ips = s->ips + s->ips_used;
	size_t count = json_array_size(v);

	assert(s->ips_used + count <= s->ips_room);
	for (size_t i = 0; i < count; i++) {
		const char *text = json_string_value(json_array_get(v, i));

		if (!text || ip_parse(text, &ips[i]) < 0)
			return wrong(m, "an array of IP addresses", ret_error);
	}
	s->ips_used += count;
	*to = count > 0 ? ips : NULL;
	*ret_count = (uint8_t)count;
	return 0;
}

static int vmacs_read(const json_t *v, struct scratch *s, const struct vmac **to, size_t *ret_count,
		      struct error *ret_error)
{
	size_t count = json_array_size(v);

	for (size_t i = 0; i < count; i++) {
		const json_t *one = json_array_get(v, i);
		int r;

		r = members_read(&shared_image_vmac, one, s, &s->vmacs[i], ret_error);
		if (r < 0) {
			error_prefix(ret_error, "vMAC %zu of 'vmacs'", i + 1);
			return r;
		}
	}
	*to = count > 0 ? s->vmacs : NULL;
	*ret_count = count;
	return 0;
}

static int array_read(const struct member *m, const json_t *v, struct scratch *s, char *to,
		      struct error *ret_error)
{
	size_t most = m->type == MEMBER_RANGES ? POOL_RANGES_MAX
		      : m->type == MEMBER_IPS  ? VMAC_IPS_MAX
					       : BLOCK_SIZE_MAX;
	char *at = to + m->at, *counter = to + m->count_at;

	if (!json_is_array(v) || json_array_size(v) > most)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "'%s' is not an array of at most %zu", m->name, most);
	if (m->type == MEMBER_RANGES)
		return ranges_read(m, v, (struct vmac_mac_range *)at, (unsigned int *)counter,
				   ret_error);
	if (m->type == MEMBER_IPS)
		return ips_read(m, v, s, (const struct ip **)at, (uint8_t *)counter, ret_error);
	return vmacs_read(v, s, (const struct vmac **)at, (size_t *)counter, ret_error);
}

_Static_assert(POOL_EXCLUDES_MAX == POOL_RANGES_MAX, "one limit for both");

/* --- objects --------------------------------------------------------------------------------- */

static int member_read(const struct member *m, const json_t *v, struct scratch *s, char *to,
		       struct error *ret_error)
{
	if (m->type == MEMBER_NUMBER)
		return number_read(m, v, to + m->at, ret_error);
	if (m->type == MEMBER_BOOL) {
		*(bool *)(to + m->at) = json_is_true(v);
		return json_is_boolean(v) ? 0 : wrong(m, "true or false", ret_error);
	}
	if (m->type == MEMBER_RANGES || m->type == MEMBER_IPS || m->type == MEMBER_VMACS)
		return array_read(m, v, s, to, ret_error);
	return string_read(m, v, to + m->at, ret_error);
}

static void member_absent(const struct member *m, char *to)
{
	if (m->type == MEMBER_TEXT)
		*(const char **)(to + m->at) = "";
	else if (m->type == MEMBER_NUMBER)
		member_number_set(m, to + m->at, m->absent);
	/* No array: what it would fill is zeroed. */
}

int members_read(const struct members *members, const json_t *object, struct scratch *s, void *to,
		 struct error *ret_error)
{
	if (!json_is_object(object))
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "it is not a JSON object");
	for (size_t i = 0; i < members->count; i++) {
		const struct member *m = &members->list[i];
		const json_t *v = json_object_get(object, m->name);
		int r;

		if (!v && !m->optional)
			return error_set(ret_error, ERROR_MISSING_FIELD, NULL, "'%s' is missing",
					 m->name);
		if (!v) {
			member_absent(m, to);
			continue;
		}
		r = member_read(m, v, s, to, ret_error);
		if (r < 0)
			return r;
	}
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
	const struct members *members = &shared_members[r->kind];
	int result;

	if (r->kind != SHARED_CLUSTER)
		return members_read(members, root, s, (char *)r + members->at, ret_error);
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
	json_error_t fault;
	int result = 0;

	*ret_root = json_loadb(value, len, JSON_REJECT_DUPLICATES, &fault);
	if (!*ret_root && json_error_code(&fault) == json_error_out_of_memory)
		return no_memory(ret_error);
	if (!*ret_root)
		return error_set(ret_error, ERROR_BAD_JSON, NULL, "it is not JSON, at octet %d",
				 fault.position);
	if (r->kind == SHARED_META)
		result = format_check(*ret_root, ret_error);
	*r = (struct shared_record){ .kind = key.kind };
	if (result == 0)
		result = object_read(*ret_root, r, s, ret_cluster, ret_error);
	if (result == 0)
		result = member_check_record(r, ret_error);
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
		return no_memory(ret_error);
	*ret = copy;
	return 0;
}
