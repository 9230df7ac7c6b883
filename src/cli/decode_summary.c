/* vmac decode: what all frames say together.
 *
 * A group is a protocol's number on one VLAN and family; who speaks for it is told apart by the
 * sender's IP address.  Who is active is what the wire says: the last one that claimed it.  Two
 * that claim it in turn within CONTEND_US are two actives, and not a change of hands. */
#include "cli/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/call.h"
#include "cli/grid.h"
#include "model/ip.h"
#include "model/text.h"

#define CONTEND_US  1000000
#define MESSAGE_MAX 256
#define NOBODY	    UINT32_MAX

struct speaker {
	struct ip ip;
	unsigned long long frames, actives;
	unsigned int priority_least, priority_most;
	long long interval_least, interval_most; /* ms */
	unsigned int versions, dialects;	 /* bits */
	int64_t last_active_us;
	unsigned int address_count;
	struct ip addresses[DECODE_ADDRESSES_MAX];
};

struct transition {
	int64_t at_us;
	unsigned int to; /* a speaker, or NOBODY */
	bool resigned;
};

struct group {
	uint8_t kind, family;
	uint16_t number, vlan;
	unsigned int speaker_count, active, transition_count;
	unsigned long long unlisted_speakers, unlisted_transitions;
	struct speaker speakers[DECODE_SPEAKERS_MAX];
	struct transition transitions[DECODE_TRANSITIONS_MAX];
	unsigned long long contended;
	int64_t contended_us;
	unsigned int rival_a, rival_b;
};

struct decode_summary {
	unsigned long long skipped, frames, unlisted_groups, verdicts[VERDICT_COUNT];
	unsigned int group_count;
	struct group *groups[DECODE_GROUPS_MAX];
};

struct decode_summary *decode_summary_new(void)
{
	struct decode_summary *s = calloc(1, sizeof(*s));

	if (!s)
		call_no_memory();
	return s;
}

void decode_summary_free(struct decode_summary *s)
{
	for (unsigned int i = 0; i < s->group_count; i++)
		free(s->groups[i]);
	free(s);
}

void decode_summary_skip(struct decode_summary *s)
{
	s->skipped++;
}

/* --- collecting ------------------------------------------------------------------------------ */

static struct group *group_of(struct decode_summary *s, const struct advert *a)
{
	uint16_t vlan = a->eth.tag_count ? a->eth.tags[a->eth.tag_count - 1].vlan : 0;
	struct group *g;

	for (unsigned int i = 0; i < s->group_count; i++) {
		g = s->groups[i];
		if (g->kind == a->kind && g->family == a->path.family && g->vlan == vlan &&
		    g->number == advert_group(a))
			return g;
	}
	if (s->group_count == DECODE_GROUPS_MAX) {
		s->unlisted_groups++;
		return NULL;
	}
	g = calloc(1, sizeof(*g));
	if (!g)
		call_no_memory();
	g->kind = a->kind;
	g->family = a->path.family;
	g->vlan = vlan;
	g->number = advert_group(a);
	g->active = g->rival_a = g->rival_b = NOBODY;
	s->groups[s->group_count++] = g;
	return g;
}

static struct ip sender_of(const struct advert *a)
{
	struct ip ip = { .family = a->path.family };

	memcpy(ip.octet, a->path.from, ip.family == 4 ? 4 : 16);
	return ip;
}

/* Its index, or NOBODY when there are too many. */
static unsigned int speaker_of(struct group *g, const struct advert *a)
{
	struct ip ip = sender_of(a);

	for (unsigned int i = 0; i < g->speaker_count; i++)
		if (ip_equal(&g->speakers[i].ip, &ip))
			return i;
	if (g->speaker_count == DECODE_SPEAKERS_MAX) {
		g->unlisted_speakers++;
		return NOBODY;
	}
	g->speakers[g->speaker_count] = (struct speaker){ .ip = ip,
							  .priority_least = UINT32_MAX,
							  .interval_least = INT64_MAX };
	return g->speaker_count++;
}

static void take_addresses(struct speaker *sp, const struct advert *a)
{
	const uint8_t *octets;
	unsigned int count;
	uint8_t family;

	count = decode_addresses(a, &octets, &family);
	for (unsigned int i = 0; i < count; i++) {
		struct ip ip = { .family = family };
		bool known = false;

		memcpy(ip.octet, octets + (size_t)i * (family == 4 ? 4 : 16), family == 4 ? 4 : 16);
		for (unsigned int k = 0; k < sp->address_count; k++)
			known |= ip_equal(&sp->addresses[k], &ip);
		if (!known && sp->address_count < DECODE_ADDRESSES_MAX)
			sp->addresses[sp->address_count++] = ip;
	}
}

static void take_values(struct speaker *sp, const struct decode_frame *f)
{
	const json_t *priority = json_object_get(f->told, "priority");
	const json_t *interval = json_object_get(f->told, "interval_ms");
	const struct advert *a = &f->advert;

	sp->frames++;
	/* Zero is how VRRP resigns, and no priority. */
	if (priority && (a->kind != ADVERT_VRRP || a->vrrp.priority != VRRP_PRIORITY_STOP)) {
		unsigned int p = (unsigned int)json_integer_value(priority);

		sp->priority_least = p < sp->priority_least ? p : sp->priority_least;
		sp->priority_most = p > sp->priority_most ? p : sp->priority_most;
	}
	if (interval) {
		long long ms = json_integer_value(interval);

		sp->interval_least = ms < sp->interval_least ? ms : sp->interval_least;
		sp->interval_most = ms > sp->interval_most ? ms : sp->interval_most;
	}
	if (a->kind == ADVERT_VRRP) {
		sp->versions |= 1u << a->vrrp.version;
		if (a->vrrp.version == 3 && a->path.family == 4)
			sp->dialects |= 1u << a->vrrp.dialect;
	} else if (a->kind == ADVERT_HSRP) {
		sp->versions |= 1u << a->hsrp.version;
	}
	take_addresses(sp, a);
}

static void change(struct group *g, int64_t at_us, unsigned int to, bool resigned)
{
	g->active = to;
	if (g->transition_count == DECODE_TRANSITIONS_MAX) {
		g->unlisted_transitions++;
		return;
	}
	g->transitions[g->transition_count++] =
		(struct transition){ .at_us = at_us, .to = to, .resigned = resigned };
}

static bool resigns(const struct advert *a)
{
	return (a->kind == ADVERT_VRRP && a->vrrp.priority == VRRP_PRIORITY_STOP) ||
	       (a->kind == ADVERT_CARP && a->carp.skew == CARP_SKEW_BOW_OUT) ||
	       (a->kind == ADVERT_HSRP && a->hsrp.operation == HSRP_RESIGN);
}

static void follow(struct group *g, unsigned int who, const struct decode_frame *f)
{
	struct speaker *sp = &g->speakers[who];

	if (resigns(&f->advert)) {
		if (g->active == who)
			change(g, f->at_us, NOBODY, true);
		sp->last_active_us = 0;
		return;
	}
	if (!decode_is_active(&f->advert))
		return;
	/* It claimed the group before another did, and does so again: neither has yielded. */
	if (g->active != who && g->active != NOBODY && sp->last_active_us &&
	    f->at_us - sp->last_active_us <= CONTEND_US) {
		if (g->contended++ == 0) {
			g->contended_us = f->at_us;
			g->rival_a = who;
			g->rival_b = g->active;
		}
	}
	sp->actives++;
	sp->last_active_us = f->at_us;
	if (g->active != who)
		change(g, f->at_us, who, false);
}

void decode_summary_add(struct decode_summary *s, const struct decode_frame *f)
{
	struct group *g;
	unsigned int who;

	s->frames++;
	s->verdicts[f->verdict]++;
	if (f->verdict != VERDICT_ACCEPTED || f->depth != ADVERT_ALL)
		return;
	if (f->advert.kind == ADVERT_HSRP && f->advert.hsrp.operation == HSRP_ADVERTISE)
		return; /* of an interface, not of a group */
	g = group_of(s, &f->advert);
	if (!g)
		return;
	who = speaker_of(g, &f->advert);
	if (who == NOBODY)
		return;
	take_values(&g->speakers[who], f);
	follow(g, who, f);
}

/* --- judging --------------------------------------------------------------------------------- */

static void warn(json_t *warnings, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void warn(json_t *warnings, const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(warnings, json_string(text));
}

/* How many addresses two speakers have in common. */
static unsigned int in_common(const struct speaker *a, const struct speaker *b)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < a->address_count; i++)
		for (unsigned int k = 0; k < b->address_count; k++)
			n += ip_equal(&a->addresses[i], &b->addresses[k]);
	return n;
}

static void judge_pair(json_t *warnings, const struct group *g, const struct speaker *a,
		       const struct speaker *b)
{
	char at[IP_TEXT_MAX], bt[IP_TEXT_MAX];
	unsigned int same = in_common(a, b);

	ip_format(&a->ip, at);
	ip_format(&b->ip, bt);
	if (a->address_count && b->address_count && same == 0)
		warn(warnings,
		     "%s and %s have no address in common: two clusters use this number on one "
		     "network; give one of them another",
		     at, bt);
	else if (same != a->address_count || same != b->address_count)
		warn(warnings, "%s and %s are for different addresses", at, bt);
	/* CARP's interval is its skew, too, which is meant to differ. */
	if (g->kind != ADVERT_CARP && a->interval_most != b->interval_most && a->interval_most &&
	    b->interval_most)
		warn(warnings, "%s and %s have differing intervals, %lld ms and %lld ms", at, bt,
		     a->interval_most, b->interval_most);
	if (a->dialects && b->dialects && a->dialects != b->dialects)
		warn(warnings, "%s and %s compute VRRPv3's checksum differently", at, bt);
	if (a->versions && b->versions && !(a->versions & b->versions))
		warn(warnings, "%s and %s speak different versions and do not hear each other", at,
		     bt);
}

static json_t *judge(const struct group *g)
{
	char a[IP_TEXT_MAX], b[IP_TEXT_MAX], time[DECODE_TIME_MAX];
	json_t *warnings = json_array();

	if (g->contended)
		warn(warnings, "%s and %s were both active at %s (%llu times)",
		     ip_format(&g->speakers[g->rival_a].ip, a),
		     ip_format(&g->speakers[g->rival_b].ip, b),
		     decode_time(g->contended_us, true, time), g->contended);
	for (unsigned int i = 0; i < g->speaker_count; i++)
		for (unsigned int k = i + 1; k < g->speaker_count; k++)
			judge_pair(warnings, g, &g->speakers[i], &g->speakers[k]);
	if (g->unlisted_speakers)
		warn(warnings, "more than %d speakers: %llu frames of others are not counted",
		     DECODE_SPEAKERS_MAX, g->unlisted_speakers);
	if (g->unlisted_transitions)
		warn(warnings, "%llu more changes are not listed", g->unlisted_transitions);
	return warnings;
}

/* --- telling --------------------------------------------------------------------------------- */

static json_t *range(long long least, long long most)
{
	json_t *o = json_array();

	if (least > most)
		return o;
	json_array_append_new(o, json_integer(least));
	if (most > least)
		json_array_append_new(o, json_integer(most));
	return o;
}

static json_t *speaker_json(const struct speaker *sp)
{
	json_t *o = json_object(), *addresses = json_array();
	char text[IP_TEXT_MAX];

	json_object_set_new(o, "from", json_string(ip_format(&sp->ip, text)));
	json_object_set_new(o, "frames", json_integer((json_int_t)sp->frames));
	json_object_set_new(o, "priorities", range(sp->priority_least, sp->priority_most));
	json_object_set_new(o, "intervals_ms", range(sp->interval_least, sp->interval_most));
	for (unsigned int i = 0; i < sp->address_count; i++)
		json_array_append_new(addresses, json_string(ip_format(&sp->addresses[i], text)));
	json_object_set_new(o, "addresses", addresses);
	return o;
}

static json_t *group_json(const struct group *g)
{
	static const char *const kinds[] = { "VRRP", "HSRP", "CARP", "GLBP" };
	json_t *o = json_object(), *speakers = json_array(), *changes = json_array();
	char text[DECODE_TIME_MAX > IP_TEXT_MAX ? DECODE_TIME_MAX : IP_TEXT_MAX];

	json_object_set_new(o, "protocol", json_string(kinds[g->kind]));
	json_object_set_new(o, "group", json_integer(g->number));
	json_object_set_new(o, "family", json_integer(g->family));
	if (g->vlan)
		json_object_set_new(o, "vlan", json_integer(g->vlan));
	for (unsigned int i = 0; i < g->speaker_count; i++)
		json_array_append_new(speakers, speaker_json(&g->speakers[i]));
	json_object_set_new(o, "speakers", speakers);
	for (unsigned int i = 0; i < g->transition_count; i++) {
		const struct transition *t = &g->transitions[i];
		json_t *c = json_object();

		json_object_set_new(c, "time", json_string(decode_time(t->at_us, true, text)));
		json_object_set_new(c, "active",
				    t->to == NOBODY
					    ? json_null()
					    : json_string(ip_format(&g->speakers[t->to].ip, text)));
		json_object_set_new(c, "resigned", json_boolean(t->resigned));
		json_array_append_new(changes, c);
	}
	json_object_set_new(o, "changes", changes);
	json_object_set_new(o, "warnings", judge(g));
	return o;
}

json_t *decode_summary_json(const struct decode_summary *s)
{
	json_t *o = json_object(), *verdicts = json_object(), *groups = json_array();

	if (!o || !verdicts || !groups)
		call_no_memory();
	json_object_set_new(o, "frames", json_integer((json_int_t)s->frames));
	json_object_set_new(o, "others", json_integer((json_int_t)s->skipped));
	for (unsigned int i = 0; i < VERDICT_COUNT; i++)
		if (s->verdicts[i])
			json_object_set_new(verdicts, verdict_name((enum verdict)i),
					    json_integer((json_int_t)s->verdicts[i]));
	json_object_set_new(o, "verdicts", verdicts);
	for (unsigned int i = 0; i < s->group_count; i++)
		json_array_append_new(groups, group_json(s->groups[i]));
	json_object_set_new(o, "groups", groups);
	if (s->unlisted_groups)
		json_object_set_new(o, "unlisted", json_integer((json_int_t)s->unlisted_groups));
	return o;
}

static void print_range(const char *what, const json_t *r, const char *unit)
{
	long long a = json_integer_value(json_array_get(r, 0));

	if (json_array_size(r) == 1)
		printf(", %s %lld%s", what, a, unit);
	else if (json_array_size(r) == 2)
		printf(", %s %lld to %lld%s", what, a,
		       (long long)json_integer_value(json_array_get(r, 1)), unit);
}

static void print_group(const json_t *g)
{
	const json_t *item;
	size_t i;

	printf("\n%s group %llu, IPv%llu", json_text(g, "protocol"), json_number(g, "group"),
	       json_number(g, "family"));
	if (json_object_get(g, "vlan"))
		printf(", VLAN %llu", json_number(g, "vlan"));
	putchar('\n');
	json_array_foreach (json_object_get(g, "speakers"), i, item) {
		TEXT_AUTO addresses = json_words(item, "addresses", " ");

		printf("  %s: %llu frames", json_text(item, "from"), json_number(item, "frames"));
		print_range("priority", json_object_get(item, "priorities"), "");
		print_range("every", json_object_get(item, "intervals_ms"), " ms");
		printf("%s%s\n", addresses[0] ? ", for " : "", addresses);
	}
	json_array_foreach (json_object_get(g, "changes"), i, item) {
		if (json_text(item, "active")[0])
			printf("  %s  %s is active\n", json_text(item, "time"),
			       json_text(item, "active"));
		else
			printf("  %s  the active one resigns\n", json_text(item, "time"));
	}
	json_array_foreach (json_object_get(g, "warnings"), i, item)
		printf("  warning: %s\n", json_string_value(item));
}

void decode_summary_print(const json_t *s)
{
	const json_t *item;
	const char *name;
	size_t i;

	printf("\n%llu frames of election protocols, %llu others\n", json_number(s, "frames"),
	       json_number(s, "others"));
	json_object_foreach (json_object_get(s, "verdicts"), name, item)
		printf("  %s: %lld\n", name, (long long)json_integer_value(item));
	if (json_object_get(json_object_get(s, "verdicts"), "ttl"))
		puts("  warning: frames with a wrong TTL came through a router, or are forged");
	json_array_foreach (json_object_get(s, "groups"), i, item)
		print_group(item);
	if (json_object_get(s, "unlisted"))
		printf("\n%llu frames of more than %d groups are not in this summary\n",
		       json_number(s, "unlisted"), DECODE_GROUPS_MAX);
}
