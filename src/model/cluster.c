#include "model/cluster.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* --- names ----------------------------------------------------------------------------------- */

static const char *const modes[] = {
	[CLUSTER_DIRECTOR] = "director",
	[CLUSTER_DISTRIBUTED] = "distributed",
	[CLUSTER_CARRY] = "carry",
};

static const char *const tables[] = {
	[CLUSTER_RENDEZVOUS] = "rendezvous",
	[CLUSTER_MAGLEV] = "maglev",
};

static const char *const affinities[] = {
	[CLUSTER_AFFINITY_NONE] = "none",
	[CLUSTER_AFFINITY_SINGLE] = "single",
	[CLUSTER_AFFINITY_NETWORK] = "network",
};

static const char *const actions[] = {
	[CLUSTER_BALANCED] = "balanced",
	[CLUSTER_PRIORITY] = "priority",
	[CLUSTER_DROPPED] = "dropped",
};

static const char *const states[] = {
	[MEMBER_ACTIVE] = "active",
	[MEMBER_DRAINING] = "draining",
	[MEMBER_FAILED] = "failed",
};

static const char *const checks[] = {
	[CLUSTER_CHECK_NONE] = "none",
	[CLUSTER_CHECK_ARP] = "arp",
	[CLUSTER_CHECK_TCP] = "tcp",
	[CLUSTER_CHECK_HTTP] = "http",
	[CLUSTER_CHECK_HTTPS] = "https",
};

_Static_assert(ARRAY_LEN(modes) == CLUSTER_MODE_COUNT, "every mode has a name");
_Static_assert(ARRAY_LEN(tables) == CLUSTER_TABLE_COUNT, "every table has a name");
_Static_assert(ARRAY_LEN(affinities) == CLUSTER_AFFINITY_COUNT, "every affinity has a name");
_Static_assert(ARRAY_LEN(actions) == CLUSTER_ACTION_COUNT, "every action has a name");
_Static_assert(ARRAY_LEN(states) == MEMBER_STATE_COUNT, "every state has a name");
_Static_assert(ARRAY_LEN(checks) == CLUSTER_CHECK_COUNT, "every check has a name");

static int value_of(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -EINVAL;
}

const char *cluster_mode_name(enum cluster_mode m)
{
	assert(m < CLUSTER_MODE_COUNT);
	return modes[m];
}

const char *cluster_table_name(enum cluster_table t)
{
	assert(t < CLUSTER_TABLE_COUNT);
	return tables[t];
}

const char *cluster_affinity_name(enum cluster_affinity a)
{
	assert(a < CLUSTER_AFFINITY_COUNT);
	return affinities[a];
}

const char *cluster_action_name(enum cluster_action a)
{
	assert(a < CLUSTER_ACTION_COUNT);
	return actions[a];
}

const char *member_state_name(enum member_state s)
{
	assert(s < MEMBER_STATE_COUNT);
	return states[s];
}

const char *cluster_check_name(enum cluster_check c)
{
	assert(c < CLUSTER_CHECK_COUNT);
	return checks[c];
}

int cluster_mode_from_name(const char *name)
{
	return value_of(modes, ARRAY_LEN(modes), name);
}

int cluster_table_from_name(const char *name)
{
	return value_of(tables, ARRAY_LEN(tables), name);
}

int cluster_affinity_from_name(const char *name)
{
	return value_of(affinities, ARRAY_LEN(affinities), name);
}

int cluster_action_from_name(const char *name)
{
	return value_of(actions, ARRAY_LEN(actions), name);
}

int member_state_from_name(const char *name)
{
	return value_of(states, ARRAY_LEN(states), name);
}

int cluster_check_from_name(const char *name)
{
	return value_of(checks, ARRAY_LEN(checks), name);
}

/* --- rules as text --------------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {
	{ "any", 0 }, { "icmp", 1 }, { "tcp", 6 }, { "udp", 17 }, { "icmpv6", 58 }, { "sctp", 132 },
};

bool cluster_has_ports(uint8_t protocol)
{
	return protocol == 6 || protocol == 17 || protocol == 132;
}

/* Reads a decimal number of 0 … most without sign or leading zeros, which ends before `end` or at
 * the text's end; *text then stands there. */
static int read_number(const char **text, unsigned int most, unsigned int *ret)
{
	const char *c = *text;
	unsigned int n = 0;

	if (*c < '0' || *c > '9' || (c[0] == '0' && c[1] >= '0' && c[1] <= '9'))
		return -EINVAL;
	for (; *c >= '0' && *c <= '9'; c++) {
		n = n * 10 + (unsigned int)(*c - '0');
		if (n > most)
			return -EINVAL;
	}
	*text = c;
	*ret = n;
	return 0;
}

/* What stands before the '/' or is all. */
static int read_protocol(const char **text, uint8_t *ret)
{
	size_t len = 0;
	unsigned int n;

	while ((*text)[len] && (*text)[len] != '/')
		len++;
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
		if (strlen(protocols[i].name) == len &&
		    memcmp(protocols[i].name, *text, len) == 0) {
			*ret = protocols[i].number;
			*text += len;
			return 0;
		}
	}
	if (read_number(text, 255, &n) < 0 || n == 0)
		return -EINVAL;
	*ret = (uint8_t)n;
	return 0;
}

static int read_ports(const char **text, unsigned int *ret_from, unsigned int *ret_to)
{
	if (read_number(text, 65535, ret_from) < 0)
		return -EINVAL;
	*ret_to = *ret_from;
	if (**text != '-')
		return 0;
	(*text)++;
	if (read_number(text, 65535, ret_to) < 0 || *ret_to < *ret_from)
		return -EINVAL;
	return 0;
}

int cluster_rule_parse(const char *text, struct cluster_rule *ret)
{
	unsigned int from = 0, to = 65535;
	uint8_t protocol;

	if (read_protocol(&text, &protocol) < 0)
		return -EINVAL;
	if (*text == '/') {
		text++;
		if (!cluster_has_ports(protocol) || read_ports(&text, &from, &to) < 0)
			return -EINVAL;
	}
	if (*text != '\0')
		return -EINVAL;
	ret->protocol = protocol;
	ret->from = (uint16_t)from;
	ret->to = (uint16_t)to;
	return 0;
}

char *cluster_rule_format(const struct cluster_rule *r, char buf[static CLUSTER_RULE_TEXT_MAX])
{
	size_t used = 0;

	snprintf(buf, CLUSTER_RULE_TEXT_MAX, "%u", r->protocol);
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
		if (protocols[i].number == r->protocol)
			snprintf(buf, CLUSTER_RULE_TEXT_MAX, "%s", protocols[i].name);
	used = strlen(buf);
	if (r->from == r->to)
		snprintf(buf + used, CLUSTER_RULE_TEXT_MAX - used, "/%u", r->from);
	else if (r->from > 0 || r->to < 65535)
		snprintf(buf + used, CLUSTER_RULE_TEXT_MAX - used, "/%u-%u", r->from, r->to);
	return buf;
}

/* --- values ---------------------------------------------------------------------------------- */

void cluster_defaults(struct cluster *c)
{
	*c = (struct cluster){
		.mode = CLUSTER_DIRECTOR,
		.table = CLUSTER_RENDEZVOUS,
		.affinity = CLUSTER_AFFINITY_NONE,
		.check = CLUSTER_CHECK_ARP,
		.check_interval_ms = 2000,
		.check_timeout_ms = 1000,
		.rise = 2,
		.fall = 3,
		.check_target = "",
		.note = "",
	};
}

static bool settings_equal(const struct cluster *a, const struct cluster *b)
{
	return strcmp(a->name, b->name) == 0 && a->mode == b->mode && a->table == b->table &&
	       a->affinity == b->affinity && a->nat == b->nat &&
	       memcmp(a->key, b->key, sizeof(a->key)) == 0 && a->check == b->check &&
	       a->check_port == b->check_port && a->check_interval_ms == b->check_interval_ms &&
	       a->check_timeout_ms == b->check_timeout_ms && a->rise == b->rise &&
	       a->fall == b->fall && strcmp(a->check_target, b->check_target) == 0 &&
	       strcmp(a->note, b->note) == 0;
}

static bool rules_equal(const struct cluster *a, const struct cluster *b)
{
	if (a->rule_count != b->rule_count)
		return false;
	for (unsigned int i = 0; i < a->rule_count; i++)
		if (a->rules[i].protocol != b->rules[i].protocol ||
		    a->rules[i].action != b->rules[i].action ||
		    a->rules[i].from != b->rules[i].from || a->rules[i].to != b->rules[i].to)
			return false;
	return true;
}

static bool member_equal(const struct cluster_member *a, const struct cluster_member *b)
{
	return a->id == b->id && vmac_mac_equal(a->address, b->address) && a->weight == b->weight &&
	       a->priority == b->priority && a->state == b->state && a->drain_ms == b->drain_ms;
}

static bool members_equal(const struct cluster *a, const struct cluster *b)
{
	if (a->member_count != b->member_count)
		return false;
	for (unsigned int i = 0; i < a->member_count; i++)
		if (!member_equal(&a->members[i], &b->members[i]))
			return false;
	return true;
}

static bool addresses_equal(const struct cluster *a, const struct cluster *b)
{
	if (a->face_count != b->face_count || a->address_count != b->address_count)
		return false;
	for (unsigned int i = 0; i < a->face_count; i++)
		if (!vmac_mac_equal(a->faces[i], b->faces[i]))
			return false;
	for (unsigned int i = 0; i < a->address_count; i++)
		if (!ip_equal(&a->addresses[i], &b->addresses[i]))
			return false;
	return true;
}

bool cluster_equal(const struct cluster *a, const struct cluster *b)
{
	return settings_equal(a, b) && addresses_equal(a, b) && rules_equal(a, b) &&
	       members_equal(a, b);
}

/* --- members --------------------------------------------------------------------------------- */

const struct cluster_member *cluster_member_by_id(const struct cluster *c, uint16_t id)
{
	unsigned int low = 0, high = c->member_count;

	while (low < high) {
		unsigned int middle = low + (high - low) / 2;

		if (c->members[middle].id == id)
			return &c->members[middle];
		if (c->members[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct cluster_member *cluster_member_by_address(const struct cluster *c, vmac_mac_t address)
{
	for (unsigned int i = 0; i < c->member_count; i++)
		if (vmac_mac_equal(c->members[i].address, address))
			return &c->members[i];
	return NULL;
}

uint16_t cluster_member_free_id(const struct cluster *c)
{
	uint16_t id = 1;

	/* They stand by id, so the first gap is where the ids run ahead of the count. */
	while (id <= c->member_count && c->members[id - 1].id == id)
		id++;
	return id <= CLUSTER_MEMBERS_MAX ? id : 0;
}

/* --- Microsoft NLB --------------------------------------------------------------------------- */

#define NLB_UNICAST_PREFIX   UINT64_C(0x02bf00000000)
#define NLB_MULTICAST_PREFIX UINT64_C(0x03bf00000000)
#define NLB_IGMP_PREFIX	     UINT64_C(0x01005e7f0000)

vmac_mac_t nlb_address(enum nlb_form form, const struct ip *primary)
{
	const uint8_t *o = primary->octet;
	uint64_t host = (uint64_t)o[0] << 24 | (uint64_t)o[1] << 16 | (uint64_t)o[2] << 8 | o[3];

	assert(primary->family == 4);
	switch (form) {
	case NLB_UNICAST:
		return vmac_mac_from_u64(NLB_UNICAST_PREFIX | host);
	case NLB_MULTICAST:
		return vmac_mac_from_u64(NLB_MULTICAST_PREFIX | host);
	case NLB_IGMP:
		return vmac_mac_from_u64(NLB_IGMP_PREFIX | (host & 0xffff));
	}
	assert(!"a form");
	return (vmac_mac_t){ 0 };
}

vmac_mac_t nlb_masked(vmac_mac_t cluster, unsigned int priority)
{
	assert(priority >= 1 && priority <= 32);
	return vmac_mac_from_u64(UINT64_C(0x020000000000) | (uint64_t)priority << 32 |
				 (vmac_mac_u64(cluster) & 0xffffffff));
}

bool nlb_is_cluster(vmac_mac_t address, enum nlb_form *ret_form)
{
	uint64_t n = vmac_mac_u64(address);

	if (n >> 32 == NLB_UNICAST_PREFIX >> 32)
		*ret_form = NLB_UNICAST;
	else if (n >> 32 == NLB_MULTICAST_PREFIX >> 32)
		*ret_form = NLB_MULTICAST;
	else if (n >> 16 == NLB_IGMP_PREFIX >> 16)
		*ret_form = NLB_IGMP;
	else
		return false;
	return true;
}
