#include "store/members.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "model/ip.h"
#include "model/text.h"

DEFINE_CLEANUP(json_t *, json_decref);

int json_no_memory(struct error *ret_error)
{
	return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for a record");
}

/* --- rules ----------------------------------------------------------------------------------- */

static int check_number(const struct member *m, int64_t n, struct error *ret_error)
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

static int check_text(const struct member *m, const char *text, struct error *ret_error)
{
	char what[32];

	snprintf(what, sizeof(what), "'%s'", m->name);
	if (m->rule == RULE_NAME_OR_EMPTY && text[0] == '\0')
		return 0;
	if (m->rule != RULE_TEXT)
		return bad_value(name_check(what, text, ret_error), ret_error);
	return text_check(what, text, (size_t)m->most, ret_error);
}

static int check_uuid(const struct member *m, const struct uuid *u, struct error *ret_error)
{
	if (!m->wanted || !uuid_is_none(u))
		return 0;
	return error_set(ret_error, ERROR_BAD_VALUE, NULL, "'%s' names none", m->name);
}

static int check_range(const struct member *m, struct vmac_mac_range r, struct error *ret_error)
{
	if (vmac_mac_range_check(r) == 0)
		return 0;
	return error_set(ret_error, ERROR_BAD_VALUE, NULL,
			 "'%s' has a range that ends before it begins, or spans first octets",
			 m->name);
}

/* --- numbers --------------------------------------------------------------------------------- */

static int64_t number_get(const struct member *m, const void *from)
{
	switch (m->size) {
	case 1:
		return m->least < 0 ? *(const int8_t *)from : *(const uint8_t *)from;
	case 2:
		return m->least < 0 ? *(const int16_t *)from : *(const uint16_t *)from;
	case 4:
		return m->least < 0 ? *(const int32_t *)from : (int64_t) * (const uint32_t *)from;
	case 8:
		return *(const int64_t *)from;
	}
	assert(!"a size of numbers");
	return 0;
}

static void number_set(const struct member *m, void *to, int64_t n)
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

/* --- writing: a new reference, or NULL with the error said ----------------------------------- */

static json_t *made(json_t *v, struct error *ret_error)
{
	return v ? v : (json_no_memory(ret_error), NULL);
}

static json_t *number_write(const struct member *m, const void *from, struct error *ret_error)
{
	int64_t n = number_get(m, from);

	if (check_number(m, n, ret_error) < 0)
		return NULL;
	return made(json_integer(n), ret_error);
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

	if (check_uuid(m, u, ret_error) < 0)
		return NULL;
	return made(json_string(uuid_is_none(u) ? "" : uuid_format(u, text)), ret_error);
}

static json_t *text_write(const struct member *m, const char *text, struct error *ret_error)
{
	if (check_text(m, text, ret_error) < 0)
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
		if (check_range(m, ranges[i], ret_error) < 0)
			return NULL;
		vmac_mac_range_format(ranges[i], text);
		if (json_array_append_new(array, json_string(text)) < 0)
			return json_no_memory(ret_error), NULL;
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
			return json_no_memory(ret_error), NULL;
	return made(TAKE_PTR(array), ret_error);
}

static json_t *macs_write(const vmac_mac_t *macs, unsigned int count, struct error *ret_error)
{
	CLEANUP(json_decref_p) json_t *array = json_array();
	char text[VMAC_MAC_TEXT_MAX];

	assert(count <= PORT_ROUTERS_MAX);
	for (unsigned int i = 0; i < count; i++)
		if (json_array_append_new(
			    array, json_string(vmac_mac_format(macs[i], VMAC_MAC_COLON, text))) < 0)
			return json_no_memory(ret_error), NULL;
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
	case MEMBER_MACS:
		return macs_write((const vmac_mac_t *)at, *(const unsigned int *)counter,
				  ret_error);
	case MEMBER_IPS:
		return ips_write(*(const struct ip *const *)at, *(const uint8_t *)counter,
				 ret_error);
	case MEMBER_VMACS:
		return members_write_list(m->of, *(const struct vmac *const *)at,
					  *(const size_t *)counter, ret_error);
	}
	assert(!"a type of member");
	return NULL;
}

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
	return number_get(m, at) == m->absent;
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
			return json_no_memory(ret_error), NULL;
	}
	return made(TAKE_PTR(object), ret_error);
}

json_t *members_write_list(const struct members *members, const void *from, size_t count,
			   struct error *ret_error)
{
	CLEANUP(json_decref_p) json_t *array = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *one =
			members_write(members, (const char *)from + i * members->size, ret_error);

		if (!one)
			return NULL;
		if (json_array_append_new(array, one) < 0)
			return json_no_memory(ret_error), NULL;
	}
	return made(TAKE_PTR(array), ret_error);
}

/* --- reading --------------------------------------------------------------------------------- */

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
	r = check_number(m, n, ret_error);
	if (r == 0)
		number_set(m, to, n);
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
	return check_uuid(m, to, ret_error);
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
	r = check_text(m, text, ret_error);
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

static int ranges_read(const struct member *m, const json_t *v, struct vmac_mac_range *to,
		       unsigned int *ret_count, struct error *ret_error)
{
	for (size_t i = 0; i < json_array_size(v); i++) {
		const char *text = json_string_value(json_array_get(v, i));
		int r;

		if (!text || vmac_mac_range_parse(text, &to[i], NULL) < 0)
			return wrong(m, "an array of ranges of addresses", ret_error);
		r = check_range(m, to[i], ret_error);
		if (r < 0)
			return r;
	}
	*ret_count = (unsigned int)json_array_size(v);
	return 0;
}

static int macs_read(const struct member *m, const json_t *v, vmac_mac_t *to,
		     unsigned int *ret_count, struct error *ret_error)
{
	for (size_t i = 0; i < json_array_size(v); i++) {
		const char *text = json_string_value(json_array_get(v, i));

		if (!text || vmac_mac_parse(text, &to[i], NULL) < 0)
			return wrong(m, "an array of MAC addresses", ret_error);
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

static int vmacs_read(const struct member *m, const json_t *v, struct scratch *s,
		      const struct vmac **to, size_t *ret_count, struct error *ret_error)
{
	size_t count = json_array_size(v);

	for (size_t i = 0; i < count; i++) {
		const json_t *one = json_array_get(v, i);
		int r;

		r = members_read(m->of, one, s, &s->vmacs[i], ret_error);
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
		      : m->type == MEMBER_MACS ? PORT_ROUTERS_MAX
		      : m->type == MEMBER_IPS  ? VMAC_IPS_MAX
					       : BLOCK_SIZE_MAX;
	char *at = to + m->at, *counter = to + m->count_at;

	if (!json_is_array(v) || json_array_size(v) > most)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "'%s' is not an array of at most %zu", m->name, most);
	if (m->type == MEMBER_RANGES)
		return ranges_read(m, v, (struct vmac_mac_range *)at, (unsigned int *)counter,
				   ret_error);
	if (m->type == MEMBER_MACS)
		return macs_read(m, v, (vmac_mac_t *)at, (unsigned int *)counter, ret_error);
	if (m->type == MEMBER_IPS)
		return ips_read(m, v, s, (const struct ip **)at, (uint8_t *)counter, ret_error);
	return vmacs_read(m, v, s, (const struct vmac **)at, (size_t *)counter, ret_error);
}

_Static_assert(POOL_EXCLUDES_MAX == POOL_RANGES_MAX, "one limit for both");

static int member_read(const struct member *m, const json_t *v, struct scratch *s, char *to,
		       struct error *ret_error)
{
	if (m->type == MEMBER_NUMBER)
		return number_read(m, v, to + m->at, ret_error);
	if (m->type == MEMBER_BOOL) {
		*(bool *)(to + m->at) = json_is_true(v);
		return json_is_boolean(v) ? 0 : wrong(m, "true or false", ret_error);
	}
	if (m->type >= MEMBER_RANGES)
		return array_read(m, v, s, to, ret_error);
	return string_read(m, v, to + m->at, ret_error);
}

static void member_absent(const struct member *m, char *to)
{
	if (m->type == MEMBER_TEXT)
		*(const char **)(to + m->at) = "";
	else if (m->type == MEMBER_NUMBER)
		number_set(m, to + m->at, m->absent);
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

int json_array_named(const json_t *object, const char *name, size_t most, const json_t **ret,
		     struct error *ret_error)
{
	const json_t *array = json_object_get(object, name);

	if (!array)
		return error_set(ret_error, ERROR_MISSING_FIELD, NULL, "'%s' is missing", name);
	if (!json_is_array(array) || json_array_size(array) > most)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "'%s' is not an array of at most %zu", name, most);
	*ret = array;
	return 0;
}

int members_read_list(const struct members *members, const json_t *object, const char *name,
		      size_t most, void *to, unsigned int *ret_count, struct error *ret_error)
{
	const json_t *array;
	int r = json_array_named(object, name, most, &array, ret_error);

	if (r < 0)
		return r;
	for (size_t i = 0; i < json_array_size(array); i++) {
		r = members_read(members, json_array_get(array, i), NULL,
				 (char *)to + i * members->size, ret_error);
		if (r < 0) {
			error_prefix(ret_error, "%zu. of '%s'", i + 1, name);
			return r;
		}
	}
	*ret_count = (unsigned int)json_array_size(array);
	return 0;
}

int json_from_text(const char *text, size_t len, json_t **ret, struct error *ret_error)
{
	json_error_t fault;

	*ret = json_loadb(text, len, JSON_REJECT_DUPLICATES, &fault);
	if (*ret)
		return 0;
	if (json_error_code(&fault) == json_error_out_of_memory)
		return json_no_memory(ret_error);
	return error_set(ret_error, ERROR_BAD_JSON, NULL, "it is not JSON, at octet %d",
			 fault.position);
}

int json_to_text(json_t *object, char **ret_text, struct error *ret_error)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	json_decref(object);
	if (!object)
		return -error_errno(ret_error->code);
	if (!text)
		return json_no_memory(ret_error);
	*ret_text = text;
	return 0;
}
