#include "store/cluster_json.h"

#include <stdlib.h>
#include <string.h>

#include "model/text.h"
#include "store/members.h"

DEFINE_CLEANUP(json_t *, json_decref);

/* --- what stands in it ----------------------------------------------------------------------- */

MEMBER_WORDS(mode_word, CLUSTER_MODE_COUNT, cluster_mode_name)
MEMBER_WORDS(table_word, CLUSTER_TABLE_COUNT, cluster_table_name)
MEMBER_WORDS(affinity_word, CLUSTER_AFFINITY_COUNT, cluster_affinity_name)
MEMBER_WORDS(action_word, CLUSTER_ACTION_COUNT, cluster_action_name)
MEMBER_WORDS(state_word, MEMBER_STATE_COUNT, member_state_name)
MEMBER_WORDS(check_word, CLUSTER_CHECK_COUNT, cluster_check_name)

/* clang-format off */
#define NUMBER(n, m, lo, hi) { .name = n, .type = MEMBER_NUMBER, MEMBER_PLACE(m), .least = lo, .most = hi }
#define WORD(n, m, w)	     { .name = n, .type = MEMBER_WORD, MEMBER_PLACE(m), .word = w }
#define TEXT(n, m, hi)	     { .name = n, .type = MEMBER_TEXT, MEMBER_PLACE(m), .most = hi }

#define T cluster
static const struct member cluster_list[] = {
	{ .name = "name", .type = MEMBER_CHARS, MEMBER_PLACE(name), .most = NAME_MAX_LEN, .rule = RULE_NAME },
	WORD("mode", mode, mode_word),
	WORD("table", table, table_word),
	WORD("affinity", affinity, affinity_word),
	{ .name = "nat", .type = MEMBER_BOOL, MEMBER_PLACE(nat) },
	{ .name = "key", .type = MEMBER_KEY, MEMBER_PLACE(key) },
	WORD("check", check, check_word),
	NUMBER("check_port", check_port, 0, UINT16_MAX),
	NUMBER("check_interval_ms", check_interval_ms, 0, UINT32_MAX),
	NUMBER("check_timeout_ms", check_timeout_ms, 0, UINT32_MAX),
	TEXT("check_path", check_target, CLUSTER_TARGET_MAX),
	NUMBER("rise", rise, 1, UINT8_MAX),
	NUMBER("fall", fall, 1, UINT8_MAX),
	TEXT("note", note, NOTE_MAX_LEN),
	NUMBER("generation", generation, 1, INT64_MAX),
	NUMBER("changed", changed.ms, INT64_MIN, INT64_MAX),
};
#undef T

#define T cluster_member
static const struct member member_list[] = {
	NUMBER("id", id, 1, CLUSTER_MEMBERS_MAX),
	{ .name = "address", .type = MEMBER_MAC, MEMBER_PLACE(address) },
	NUMBER("weight", weight, 0, CLUSTER_WEIGHT_MAX),
	NUMBER("priority", priority, 0, UINT8_MAX),
	WORD("state", state, state_word),
	{ .name = "drain_ms", .type = MEMBER_NUMBER, MEMBER_PLACE(drain_ms), .most = CLUSTER_DRAIN_MAX_MS,
	  .optional = true },
};
#undef T

#define T cluster_rule
static const struct member rule_list[] = {
	WORD("action", action, action_word),
};
#undef T
/* clang-format on */

static const struct members cluster_members = MEMBERS(cluster, cluster_list);
static const struct members member_members = MEMBERS(cluster_member, member_list);
static const struct members rule_members = MEMBERS(cluster_rule, rule_list);

/* One code for whatever is wrong with a value: the reader of a registry is no form to be filled. */
static int check(const struct cluster *c, const char *segment, struct error *ret_error)
{
	int r = cluster_check_record(c, ret_error);

	if (r == 0 && segment[0] != '\0')
		r = name_check("'segment'", segment, ret_error);
	if (r == 0)
		return 0;
	ret_error->code = ERROR_BAD_VALUE;
	return -error_errno(ERROR_BAD_VALUE);
}

/* --- writing --------------------------------------------------------------------------------- */

/* Each puts one array into the object.  0, or -1 with the error said. */

static int addresses_write(json_t *object, const struct cluster *c, struct error *ret_error)
{
	json_t *faces = json_array(), *addresses = json_array();
	char text[IP_TEXT_MAX];
	int failed = 0;

	for (unsigned int i = 0; i < c->face_count; i++)
		failed |= json_array_append_new(
			faces, json_string(vmac_mac_format(c->faces[i], VMAC_MAC_COLON, text)));
	for (unsigned int i = 0; i < c->address_count; i++)
		failed |= json_array_append_new(addresses,
						json_string(ip_format(&c->addresses[i], text)));
	/* Both are taken over, also where it fails. */
	failed |= json_object_set_new(object, "faces", faces);
	failed |= json_object_set_new(object, "addresses", addresses);
	return failed ? json_no_memory(ret_error) : 0;
}

static int rules_write(json_t *object, const struct cluster *c, struct error *ret_error)
{
	CLEANUP(json_decref_p) json_t *array = json_array();
	char text[CLUSTER_RULE_TEXT_MAX];

	for (unsigned int i = 0; i < c->rule_count; i++) {
		json_t *one = members_write(&rule_members, &c->rules[i], ret_error);

		if (!one)
			return -error_errno(ret_error->code);
		cluster_rule_format(&c->rules[i], text);
		if (json_array_append_new(array, one) < 0 ||
		    json_object_set_new(one, "match", json_string(text)) < 0)
			return json_no_memory(ret_error);
	}
	return json_object_set_new(object, "rules", TAKE_PTR(array)) < 0 ? json_no_memory(ret_error)
									 : 0;
}

static int members_array_write(json_t *object, const struct cluster *c, struct error *ret_error)
{
	json_t *array = members_write_list(&member_members, c->members, c->member_count, ret_error);

	if (!array)
		return -error_errno(ret_error->code);
	return json_object_set_new(object, "members", array) < 0 ? json_no_memory(ret_error) : 0;
}

json_t *cluster_json_object(const struct cluster *c, const char *segment, struct error *ret_error)
{
	CLEANUP(json_decref_p) json_t *object = NULL;

	if (check(c, segment, ret_error) < 0)
		return NULL;
	object = members_write(&cluster_members, c, ret_error);
	if (!object)
		return NULL;
	if (segment[0] != '\0' && json_object_set_new(object, "segment", json_string(segment)) < 0)
		return json_no_memory(ret_error), NULL;
	if (addresses_write(object, c, ret_error) < 0 || rules_write(object, c, ret_error) < 0 ||
	    members_array_write(object, c, ret_error) < 0)
		return NULL;
	return TAKE_PTR(object);
}

int cluster_json_write(const struct cluster *c, char **ret_text, struct error *ret_error)
{
	return json_to_text(cluster_json_object(c, "", ret_error), ret_text, ret_error);
}

/* --- reading --------------------------------------------------------------------------------- */

static const char *text_at(const json_t *array, size_t i)
{
	const char *text = json_string_value(json_array_get(array, i));

	return text ? text : "";
}

static int addresses_read(struct cluster_json *j, struct error *ret_error)
{
	const json_t *faces = NULL, *addresses = NULL;
	int r = json_array_named(j->root, "faces", CLUSTER_FACES_MAX, &faces, ret_error);

	if (r == 0)
		r = json_array_named(j->root, "addresses", CLUSTER_ADDRESSES_MAX, &addresses,
				     ret_error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < json_array_size(faces); i++)
		if (vmac_mac_parse(text_at(faces, i), &j->faces[i], NULL) < 0)
			return error_set(ret_error, ERROR_BAD_VALUE, NULL,
					 "'faces' has what is no MAC address");
	for (size_t i = 0; i < json_array_size(addresses); i++)
		if (ip_parse(text_at(addresses, i), &j->addresses[i]) < 0)
			return error_set(ret_error, ERROR_BAD_VALUE, NULL,
					 "'addresses' has what is no IP address");
	j->cluster.face_count = (unsigned int)json_array_size(faces);
	j->cluster.faces = j->faces;
	j->cluster.address_count = (unsigned int)json_array_size(addresses);
	j->cluster.addresses = j->addresses;
	return 0;
}

static int rule_read(const json_t *one, struct cluster_rule *r, struct error *ret_error)
{
	const char *match = json_string_value(json_object_get(one, "match"));

	if (!match || cluster_rule_parse(match, r) < 0)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "'match' is no protocol and port");
	return members_read(&rule_members, one, NULL, r, ret_error);
}

static int rules_read(struct cluster_json *j, struct error *ret_error)
{
	const json_t *array = NULL;
	int r = json_array_named(j->root, "rules", CLUSTER_RULES_MAX, &array, ret_error);

	if (r < 0)
		return r;
	for (size_t i = 0; i < json_array_size(array); i++) {
		r = rule_read(json_array_get(array, i), &j->rules[i], ret_error);
		if (r < 0) {
			error_prefix(ret_error, "%zu. of 'rules'", i + 1);
			return r;
		}
	}
	j->cluster.rule_count = (unsigned int)json_array_size(array);
	j->cluster.rules = j->rules;
	return 0;
}

static int members_array_read(struct cluster_json *j, struct error *ret_error)
{
	j->cluster.members = j->members;
	return members_read_list(&member_members, j->root, "members", CLUSTER_MEMBERS_MAX,
				 j->members, &j->cluster.member_count, ret_error);
}

static int segment_read(struct cluster_json *j, struct error *ret_error)
{
	const json_t *segment = json_object_get(j->root, "segment");

	j->segment = segment ? json_string_value(segment) : "";
	if (!j->segment || (segment && j->segment[0] == '\0'))
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "'segment' is not a name");
	return 0;
}

int cluster_json_from(const json_t *object, struct cluster_json **ret, struct error *ret_error)
{
	struct cluster_json *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return json_no_memory(ret_error);
	j->root = json_incref((json_t *)object);
	r = members_read(&cluster_members, object, NULL, &j->cluster, ret_error);
	if (r == 0)
		r = segment_read(j, ret_error);
	if (r == 0)
		r = addresses_read(j, ret_error);
	if (r == 0)
		r = rules_read(j, ret_error);
	if (r == 0)
		r = members_array_read(j, ret_error);
	if (r == 0)
		r = check(&j->cluster, j->segment, ret_error);
	if (r < 0) {
		cluster_json_done(j);
		return r;
	}
	*ret = j;
	return 0;
}

int cluster_json_read(const char *text, size_t len, struct cluster_json **ret,
		      struct error *ret_error)
{
	CLEANUP(json_decref_p) json_t *root = NULL;
	int r = json_from_text(text, len, &root, ret_error);

	return r < 0 ? r : cluster_json_from(root, ret, ret_error);
}

void cluster_json_done(struct cluster_json *j)
{
	if (!j)
		return;
	json_decref(j->root);
	free(j);
}
