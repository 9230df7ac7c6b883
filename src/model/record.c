#include "model/record.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* --- a vMAC in one block --------------------------------------------------------------------- */

static size_t ips_size(const struct vmac *v)
{
	return v->ip_count * sizeof(struct ip);
}

size_t vmac_block_size(const struct vmac *v)
{
	assert(v->ip_count <= VMAC_IPS_MAX);
	return sizeof(*v) + ips_size(v) + strlen(v->name) + 1 + strlen(v->owner) + 1 +
	       strlen(v->tenant) + 1 + strlen(v->note) + 1;
}

static const char *put(char **at, const void *data, size_t size)
{
	const char *start = *at;

	memcpy(*at, data, size);
	*at += size;
	return start;
}

static const char *put_text(char **at, const char *text)
{
	return put(at, text, strlen(text) + 1);
}

struct vmac *vmac_block_fill(void *block, const struct vmac *v)
{
	struct vmac *copy = block;
	char *at = (char *)block + sizeof(*copy);

	*copy = *v;
	/* struct ip is octets only, so it may stand anywhere; texts follow. */
	copy->ips = NULL;
	if (v->ip_count > 0)
		copy->ips = (const struct ip *)put(&at, v->ips, ips_size(v));
	copy->name = put_text(&at, v->name);
	copy->owner = put_text(&at, v->owner);
	copy->tenant = put_text(&at, v->tenant);
	copy->note = put_text(&at, v->note);
	return copy;
}

_Static_assert(_Alignof(struct ip) == 1, "ips need no padding in a block");

/* --- history texts --------------------------------------------------------------------------- */

struct words {
	char *at, *end;
	const char *before; /* what stands before the next item: "" at the start, then " " or "," */
};

static void add(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct words *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->at, (size_t)(w->end - w->at), fmt, ap);
	va_end(ap);
	/* STATE_TEXT_MAX holds the longest text of every kind. */
	assert(n >= 0 && n < w->end - w->at);
	w->at += n;
}

static void add_key(struct words *w, const char *key)
{
	add(w, "%s%s=", w->before, key);
	w->before = " ";
}

static void add_word(struct words *w, const char *word)
{
	add(w, "%s%s", w->before, word);
	w->before = " ";
}

static void add_number(struct words *w, const char *key, uint64_t n)
{
	if (n == 0)
		return;
	add_key(w, key);
	add(w, "%llu", (unsigned long long)n);
}

/* White space in our texts is U+0020 alone: the rest are control characters or wide ones, which
 * separate nothing here. */
static void add_text(struct words *w, const char *key, const char *text)
{
	bool quoted = strchr(text, ' ') || strchr(text, '"') || strchr(text, '\\');

	if (text[0] == '\0')
		return;
	add_key(w, key);
	if (!quoted) {
		add(w, "%s", text);
		return;
	}
	add(w, "\"");
	for (const char *c = text; *c; c++)
		add(w, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	add(w, "\"");
}

static void add_time(struct words *w, const char *key, wall_t t)
{
	char text[WALL_TEXT_MAX];

	if (t.ms == WALL_NEVER.ms)
		return;
	add_key(w, key);
	add(w, "%s", wall_format(t, text));
}

static void add_ranges(struct words *w, const char *key, const struct vmac_mac_range *ranges,
		       unsigned int count)
{
	char text[VMAC_MAC_RANGE_TEXT_MAX];

	if (count == 0)
		return;
	add_key(w, key);
	for (unsigned int i = 0; i < count; i++)
		add(w, "%s%s", i > 0 ? "," : "", vmac_mac_range_format(ranges[i], text));
}

static void segment_text(struct words *w, const struct segment *s)
{
	if (s->uplink[0] == '\0')
		add_word(w, "internal");
	add_text(w, "uplink", s->uplink);
	add_number(w, "vlan", s->vlan);
}

static void pool_text(struct words *w, const struct pool *p)
{
	char quarantine[DURATION_TEXT_MAX];

	add_ranges(w, "ranges", p->ranges, p->range_count);
	add_ranges(w, "excludes", p->excludes, p->exclude_count);
	add_key(w, "quarantine");
	add(w, "%s", duration_format(p->quarantine_ms, quarantine));
	add_number(w, "limit", p->limit);
}

static void vmac_text(struct words *w, const struct vmac *v)
{
	char ip[IP_TEXT_MAX];

	add_word(w, vmac_state_name(v->state));
	if (v->state == VMAC_QUARANTINED) {
		add_time(w, "until", v->until);
		return;
	}
	add_number(w, "port", v->port);
	if (v->state == VMAC_BOUND || v->state == VMAC_MOVING || v->state == VMAC_AWAY)
		add_number(w, "epoch", v->epoch);
	add_time(w, "until", v->until);
	add_text(w, "name", v->name);
	add_text(w, "owner", v->owner);
	add_text(w, "tenant", v->tenant);
	if (v->ip_count > 0)
		add_key(w, "ips");
	for (unsigned int i = 0; i < v->ip_count; i++)
		add(w, "%s%s", i > 0 ? "," : "", ip_format(&v->ips[i], ip));
}

static void port_text(struct words *w, const struct port *p)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} allows[] = {
		{ PORT_ALLOW_DHCP_SERVER, "dhcp-server" },
		{ PORT_ALLOW_ROUTER_ADVERT, "router-advert" },
		{ PORT_ALLOW_ANY_IP, "any-ip" },
	};
	char mac[VMAC_MAC_TEXT_MAX];
	const char *before = "";

	add_word(w, port_gate_name(p->gate));
	add_text(w, "kind", port_kind_name(p->kind));
	add_text(w, "mac", vmac_mac_format(p->address, VMAC_MAC_COLON, mac));
	add_text(w, "ifname", p->ifname);
	add_text(w, "netns", p->peer_netns);
	add_text(w, "peer", p->peer_ifname);
	add_number(w, "mtu", p->mtu);
	if (p->allow)
		add_key(w, "allow");
	for (size_t i = 0; i < ARRAY_LEN(allows); i++) {
		if (p->allow & allows[i].bit) {
			add(w, "%s%s", before, allows[i].name);
			before = ",";
		}
	}
	add_number(w, "flood", p->flood_pps);
	if (p->router_count > 0)
		add_key(w, "routers");
	for (unsigned int i = 0; i < p->router_count; i++)
		add(w, "%s%s", i > 0 ? "," : "",
		    vmac_mac_format(p->routers[i], VMAC_MAC_COLON, mac));
}

#define ROUTER_TEXT_ADDRESSES 4

static void router_sets_text(struct words *w, const struct router *r)
{
	char sets[ROUTER_SETS_MAX * (IFNAME_MAX_LEN + 9)];
	size_t used = 0;

	sets[0] = '\0';
	for (unsigned int i = 0; i < r->set_count; i++)
		used += (size_t)snprintf(sets + used, sizeof(sets) - used, "%s%s:%u:%u",
					 i > 0 ? "," : "", r->sets[i].ifname, r->sets[i].group,
					 r->sets[i].family);
	add_text(w, "sets", sets);
}

static void router_addresses_text(struct words *w, const struct router *r)
{
	char text[ROUTER_ADDRESS_TEXT_MAX];
	unsigned int n = 0;

	for (unsigned int i = 0; i < r->set_count; i++) {
		for (unsigned int j = 0; j < r->sets[i].address_count; j++, n++) {
			if (n == 0)
				add_key(w, "addresses");
			if (n < ROUTER_TEXT_ADDRESSES)
				add(w, "%s%s", n > 0 ? "," : "",
				    router_address_format(&r->sets[i].addresses[j], text));
		}
	}
	if (n > ROUTER_TEXT_ADDRESSES)
		add(w, ",+%u", n - ROUTER_TEXT_ADDRESSES);
}

static void router_text(struct words *w, const struct router *r)
{
	char duration[DURATION_TEXT_MAX];

	add_word(w, r->enabled ? "enabled" : "disabled");
	add_text(w, "protocol", router_protocol_name(r->protocol));
	add_number(w, "priority", r->priority);
	add_text(w, "interval", duration_format(r->interval_ms, duration));
	if (r->hold_ms)
		add_text(w, "hold", duration_format(r->hold_ms, duration));
	router_sets_text(w, r);
	router_addresses_text(w, r);
	add_text(w, "preempt", r->preempt ? "yes" : "no");
	add_text(w, "accept", r->accept ? "yes" : "no");
	add_text(w, "auth", router_auth_name(r->auth));
	if (r->auth != ROUTER_AUTH_NONE)
		add_text(w, "mode", router_auth_mode_name(r->auth_mode));
	for (unsigned int i = 0; i < r->key_count; i++) {
		if (i == 0)
			add_key(w, "keys");
		add(w, "%s%u", i > 0 ? "," : "", r->keys[i].id);
	}
	for (unsigned int i = 0; i < r->track_count; i++) {
		if (i == 0)
			add_key(w, "tracks");
		add(w, "%s%s", i > 0 ? "," : "", router_track_kind_name(r->tracks[i].kind));
	}
	add_text(w, "notify", r->notify);
}

#define CLUSTER_TEXT_ENTRIES 4

static void cluster_addresses_text(struct words *w, const struct cluster *c)
{
	char mac[VMAC_MAC_TEXT_MAX], ip[IP_TEXT_MAX];

	add_key(w, "faces");
	for (unsigned int i = 0; i < c->face_count; i++)
		add(w, "%s%s", i > 0 ? "," : "", vmac_mac_format(c->faces[i], VMAC_MAC_COLON, mac));
	if (c->address_count > 0)
		add_key(w, "addresses");
	for (unsigned int i = 0; i < c->address_count && i < CLUSTER_TEXT_ENTRIES; i++)
		add(w, "%s%s", i > 0 ? "," : "", ip_format(&c->addresses[i], ip));
	if (c->address_count > CLUSTER_TEXT_ENTRIES)
		add(w, ",+%u", c->address_count - CLUSTER_TEXT_ENTRIES);
}

static void cluster_rules_text(struct words *w, const struct cluster *c)
{
	char rule[CLUSTER_RULE_TEXT_MAX];

	if (c->rule_count > 0)
		add_key(w, "rules");
	for (unsigned int i = 0; i < c->rule_count; i++)
		add(w, "%s%s:%s", i > 0 ? "," : "", cluster_rule_format(&c->rules[i], rule),
		    cluster_action_name(c->rules[i].action));
}

/* A thousand members have no place in a line: those that are not as they should be have. */
static void cluster_members_text(struct words *w, const struct cluster *c, enum member_state state)
{
	char mac[VMAC_MAC_TEXT_MAX];
	unsigned int n = 0;

	for (unsigned int i = 0; i < c->member_count; i++) {
		if (c->members[i].state != state)
			continue;
		if (n == 0)
			add_key(w, member_state_name(state));
		if (n < CLUSTER_TEXT_ENTRIES)
			add(w, "%s%s", n > 0 ? "," : "",
			    vmac_mac_format(c->members[i].address, VMAC_MAC_COLON, mac));
		n++;
	}
	if (n > CLUSTER_TEXT_ENTRIES)
		add(w, ",+%u", n - CLUSTER_TEXT_ENTRIES);
}

static void cluster_text(struct words *w, const struct cluster *c)
{
	char duration[DURATION_TEXT_MAX];
	uint64_t weight = 0;

	for (unsigned int i = 0; i < c->member_count; i++)
		weight += c->members[i].weight;
	add_word(w, cluster_mode_name(c->mode));
	cluster_addresses_text(w, c);
	add_text(w, "table", cluster_table_name(c->table));
	add_text(w, "affinity", cluster_affinity_name(c->affinity));
	cluster_rules_text(w, c);
	if (c->nat)
		add_text(w, "nat", "yes");
	add_text(w, "check", cluster_check_name(c->check));
	add_number(w, "port", c->check_port);
	add_text(w, "path", c->check_target);
	if (c->check != CLUSTER_CHECK_NONE)
		add_text(w, "interval", duration_format(c->check_interval_ms, duration));
	add_number(w, "generation", c->generation);
	add_number(w, "members", c->member_count);
	add_number(w, "weight", weight);
	cluster_members_text(w, c, MEMBER_DRAINING);
	cluster_members_text(w, c, MEMBER_FAILED);
}

char *change_state_text(enum change_kind kind, const void *record, char buf[static STATE_TEXT_MAX])
{
	struct words w = { .at = buf, .end = buf + STATE_TEXT_MAX, .before = "" };

	buf[0] = '\0';
	if (!record)
		return buf;
	switch (kind) {
	case CHANGE_SEGMENT:
		segment_text(&w, record);
		break;
	case CHANGE_POOL:
		pool_text(&w, record);
		break;
	case CHANGE_VMAC:
		vmac_text(&w, record);
		break;
	case CHANGE_PORT:
		port_text(&w, record);
		break;
	case CHANGE_ROUTER:
		router_text(&w, record);
		break;
	case CHANGE_CLUSTER:
		cluster_text(&w, record);
		break;
	case CHANGE_SHARED: /* has no line in the history: what it stands for has */
		break;
	case CHANGE_KIND_COUNT:
		assert(!"a kind of change");
	}
	return buf;
}
