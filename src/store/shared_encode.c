/* Records become keys and values. */
#include <assert.h>
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

/* --- values of one member: a new reference, or NULL with the error said ---------------------- */

static json_t *no_memory(struct error *ret_error)
{
	error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory to write a shared record");
	return NULL;
}

static json_t *made(json_t *v, struct error *ret_error)
{
	return v ? v : no_memory(ret_error);
}

static json_t *number_write(const struct member *m, const void *from, struct error *ret_error)
{
	uint64_t n = member_number(m, from);

	if (m->least >= 0 && n > INT64_MAX) {
		error_set(ret_error, ERROR_BAD_VALUE, NULL, "'%s' is too great", m->name);
		return NULL;
	}
	if (member_check_number(m, (int64_t)n, ret_error) < 0)
		return NULL;
	return made(json_integer((int64_t)n), ret_error);
}

static json_t *word_write(const struct member *m, const void *from, struct error *ret_error)
{
	const char *word = m->word(*(const uint8_t *)from);

	assert(word);
	return made(json_string(word), ret_error);
}

static json_t *uuid_write(const struct member *m, const struct uuid *u, struct error *ret_error)
{
	char text[UUID_TEXT_MAX];

	if (member_check_uuid(m, u, ret_error) < 0)
		return NULL;
	return made(json_string(uuid_is_none(u) ? "" : uuid_format(u, text)), ret_error);
}

static json_t *text_write(const struct member *m, const char *text, struct error *ret_error)
{
	if (member_check_text(m, text, ret_error) < 0)
		return NULL;
	return made(json_string(text), ret_error);
}

static json_t *key_write(const uint8_t key[16], struct error *ret_error)
{
	char text[33];

	for (unsigned int i = 0; i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x", key[i]);
	return made(json_string(text), ret_error);
}

static json_t *ranges_write(const struct member *m, const struct vmac_mac_range *ranges,
			    unsigned int count, struct error *ret_error)
{
	CLEANUP(json_decref_p) json_t *array = json_array();
	char text[VMAC_MAC_RANGE_TEXT_MAX];

	assert(count <= POOL_RANGES_MAX);
	for (unsigned int i = 0; i < count; i++) {
		if (member_check_range(m, ranges[i], ret_error) < 0)
			return NULL;
		vmac_mac_range_format(ranges[i], text);
		if (json_array_append_new(array, json_string(text)) < 0)
			return no_memory(ret_error);
	}
	return made(TAKE_PTR(array), ret_error);
}

static json_t *ips_write(const struct ip *ips, unsigned int count, struct error *ret_error)
{
	CLEANUP(json_decref_p) json_t *array = json_array();
	char text[IP_TEXT_MAX];

	assert(count <= VMAC_IPS_MAX);
	for (unsigned int i = 0; i < count; i++)
		if (json_array_append_new(array, json_string(ip_format(&ips[i], text))) < 0)
			return no_memory(ret_error);
	return made(TAKE_PTR(array), ret_error);
}

static json_t *vmacs_write(const struct vmac *vmacs, size_t count, struct error *ret_error)
{
	CLEANUP(json_decref_p) json_t *array = json_array();

	assert(count <= BLOCK_SIZE_MAX);
	for (size_t i = 0; i < count; i++) {
		json_t *one = members_write(&shared_image_vmac, &vmacs[i], ret_error);

		if (!one)
			return NULL;
		if (json_array_append_new(array, one) < 0)
			return no_memory(ret_error);
	}
	return made(TAKE_PTR(array), ret_error);
}

static json_t *member_write(const struct member *m, const char *from, struct error *ret_error)
{
	const char *at = from + m->at, *counter = from + m->count_at;
	char text[IP_TEXT_MAX];

	switch (m->type) {
	case MEMBER_NUMBER:
		return number_write(m, at, ret_error);
	case MEMBER_WORD:
		return word_write(m, at, ret_error);
	case MEMBER_BOOL:
		return made(json_boolean(*(const bool *)at), ret_error);
	case MEMBER_UUID:
		return uuid_write(m, (const struct uuid *)at, ret_error);
	case MEMBER_MAC:
		vmac_mac_format(*(const vmac_mac_t *)at, VMAC_MAC_COLON, text);
		return made(json_string(text), ret_error);
	case MEMBER_IP:
		text[0] = '\0';
		if (((const struct ip *)at)->family)
			ip_format((const struct ip *)at, text);
		return made(json_string(text), ret_error);
	case MEMBER_CHARS:
		return text_write(m, at, ret_error);
	case MEMBER_TEXT:
		return text_write(m, *(const char *const *)at, ret_error);
	case MEMBER_KEY:
		return key_write((const uint8_t *)at, ret_error);
	case MEMBER_RANGES:
		return ranges_write(m, (const struct vmac_mac_range *)at,
				    *(const unsigned int *)counter, ret_error);
	case MEMBER_IPS:
		return ips_write(*(const struct ip *const *)at, *(const uint8_t *)counter,
				 ret_error);
	case MEMBER_VMACS:
		return vmacs_write(*(const struct vmac *const *)at, *(const size_t *)counter,
				   ret_error);
	}
	assert(!"a type of member");
	return NULL;
}

/* --- values ---------------------------------------------------------------------------------- */

static bool left_out(const struct member *m, const char *from)
{
	const char *at = from + m->at;

	if (!m->optional)
		return false;
	if (m->type == MEMBER_TEXT)
		return **(const char *const *)at == '\0';
	if (m->type == MEMBER_CHARS)
		return *at == '\0';
	if (m->type == MEMBER_IPS)
		return *(const uint8_t *)(from + m->count_at) == 0;
	return (int64_t)member_number(m, at) == m->absent;
}

json_t *members_write(const struct members *members, const void *from, struct error *ret_error)
{
	CLEANUP(json_decref_p) json_t *object = json_object();

	for (size_t i = 0; i < members->count; i++) {
		const struct member *m = &members->list[i];
		json_t *v;

		if (left_out(m, from))
			continue;
		v = member_write(m, from, ret_error);
		if (!v)
			return NULL;
		if (json_object_set_new(object, m->name, v) < 0)
			return no_memory(ret_error);
	}
	return made(TAKE_PTR(object), ret_error);
}

static int value_write(const struct mem *mem, const struct shared_record *r, char **ret,
		       struct error *ret_error)
{
	const struct members *members = &shared_members[r->kind];
	CLEANUP(json_decref_p) json_t *object = NULL;
	size_t len;
	char *text;
	int failed;

	failed = member_check_record(r, ret_error);
	if (failed < 0)
		return failed;
	if (r->kind == SHARED_CLUSTER)
		object = cluster_json_object(r->cluster.cluster, r->cluster.segment, ret_error);
	else
		object = members_write(members, (const char *)r + members->at, ret_error);
	if (!object)
		return -error_errno(ret_error->code);
	len = json_dumpb(object, NULL, 0, JSON_COMPACT);
	text = len > 0 ? mem_alloc(mem, len + 1) : NULL;
	if (!text || json_dumpb(object, text, len, JSON_COMPACT) != len) {
		mem_free(mem, text);
		no_memory(ret_error);
		return -error_errno(ERROR_NO_MEMORY);
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
		return error_set(ret_error, ERROR_NO_MEMORY, NULL,
				 "no memory to write a shared record");
	}
	memcpy(copy, key, strlen(key) + 1);
	*ret_key = copy;
	if (ret_value)
		*ret_value = value;
	return 0;
}
