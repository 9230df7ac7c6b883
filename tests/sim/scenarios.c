/* Scenarios out of a seed: who takes part, how they are configured, and what befalls them. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

#include "wire/vrrp.h"

#define S_NS (1000 * SIM_MS)

static const struct family {
	const char *name;
	uint8_t protocol, sets;
	bool ipv6, mixed, calm;
} families[] = {
	{ "vrrp2", ROUTER_VRRP2, 1 },
	{ "vrrp3", ROUTER_VRRP3, 1 },
	{ "vrrp3-ipv6", ROUTER_VRRP3, 1, .ipv6 = true },
	{ "vrrp3-both", ROUTER_VRRP3, 2 },
	{ "vrrp-mixed", ROUTER_VRRP3, 1, .mixed = true },
	{ "hsrp1", ROUTER_HSRP1, 1 },
	{ "hsrp2", ROUTER_HSRP2, 1 },
	{ "hsrp2-both", ROUTER_HSRP2, 2 },
	{ "carp", ROUTER_CARP, 1 },
	{ "calm", ROUTER_VRRP3, 1, .calm = true },
};

#define FAMILIES (sizeof(families) / sizeof(families[0]))

const char *scenario_family(unsigned int i)
{
	return i < FAMILIES ? families[i].name : NULL;
}

/* --- candidates ------------------------------------------------------------------------------ */

void candidate_point(struct candidate *c)
{
	c->record.sets = c->sets;
	c->record.keys = c->keys;
	for (unsigned int i = 0; i < SIM_SETS_MAX; i++) {
		c->sets[i].addresses = c->addresses[i];
		c->sets[i].peers = c->peers[i];
	}
}

static void set_init(struct candidate *c, unsigned int i, uint8_t family, unsigned int link)
{
	struct router_set *s = &c->sets[i];

	snprintf(s->ifname, sizeof(s->ifname), "lan%u", link);
	s->group = (uint16_t)(7 + i);
	s->family = family;
	s->address_count = 1;
	for (unsigned int k = 0; k < 3; k++) {
		struct router_address *a = &c->addresses[i][k];

		if (family == 4)
			*a = (struct router_address){
				{ 4, { 10, 0, (uint8_t)link, (uint8_t)(200 + k) } }, 24
			};
		else
			*a = (struct router_address){
				{ 6, { 0xfe, 0x80, [13] = (uint8_t)link, 1, (uint8_t)(200 + k) } },
				64
			};
	}
}

void candidate_init(struct candidate *c, enum router_protocol p, unsigned int number,
		    unsigned int sets, bool ipv6, bool second_link)
{
	memset(c, 0, sizeof(*c));
	router_defaults(&c->record, p);
	c->record.id = SIM_ROUTER;
	c->number = (uint8_t)number;
	snprintf(c->record.name, sizeof(c->record.name), "gw");
	if (c->record.key_count > 0)
		c->keys[0] = c->record.keys[0];
	if (p == ROUTER_CARP) {
		c->record.key_count = 1;
		c->keys[0] = (struct router_key){ 1, "alpha" };
	}
	c->record.set_count = sets;
	for (unsigned int i = 0; i < sets; i++)
		set_init(c, i, i == 1 || ipv6 ? 6 : 4, second_link && i == 1 ? 2 : 1);
	candidate_point(c);
}

static void authenticate(struct scenario *s, struct chance *c)
{
	struct router *first = &s->candidates[0].record;
	enum router_auth auth = first->auth;
	bool rollout, wrong;

	if (first->protocol == ROUTER_VRRP2)
		auth = (enum router_auth)chance_below(c, ROUTER_AUTH_COUNT);
	else if (first->protocol == ROUTER_VRRP3 && chance_percent(c, 50))
		auth = ROUTER_AUTH_HMAC;
	else if (router_is_hsrp(first->protocol) && chance_percent(c, 50))
		auth = ROUTER_AUTH_MD5;
	rollout = chance_percent(c, 15) &&
		  (auth == ROUTER_AUTH_MD5 ||
		   (auth == ROUTER_AUTH_HMAC && first->protocol != ROUTER_CARP));
	wrong = auth != ROUTER_AUTH_NONE && !rollout && s->host_count > 2 && chance_percent(c, 30);
	for (unsigned int i = 0; i < s->host_count; i++) {
		struct candidate *k = &s->candidates[i];

		k->record.auth = (uint8_t)auth;
		k->record.key_count = auth != ROUTER_AUTH_NONE;
		if (auth != ROUTER_AUTH_NONE)
			k->keys[0] = (struct router_key){ 1, "alpha" };
		if (rollout)
			k->record.auth_mode = ROUTER_AUTH_RECEIVE_ONLY;
		k->wrong_key = wrong && i + 1 == s->host_count;
		if (k->wrong_key)
			k->keys[0].secret = "omega";
	}
}

/* Unicast: each knows all others. */
static void know_peers(struct scenario *s)
{
	for (unsigned int i = 0; i < s->host_count; i++) {
		struct router_set *set = &s->candidates[i].sets[0];

		for (unsigned int k = 0; k < s->host_count; k++)
			if (k != i)
				s->candidates[i].peers[0][set->peer_count++] =
					(struct ip){ 4, { 10, 0, 1, (uint8_t)(k + 1) } };
	}
}

static uint8_t a_priority(struct chance *c, bool vrrp)
{
	static const uint8_t usual[] = { 50, 100, 100, 100, 150, 200 };

	if (chance_percent(c, 70))
		return usual[chance_below(c, sizeof(usual))];
	return (uint8_t)(1 + chance_below(c, vrrp ? 254 : 255));
}

static uint32_t an_interval_ms(struct chance *c, const struct family *f)
{
	if (f->protocol == ROUTER_VRRP3 && !f->mixed)
		return (uint32_t)(10 * (1 + chance_below(c, 10)) * (1 + chance_below(c, 10)));
	return (uint32_t)(1000 * (1 + chance_below(c, 2)));
}

static void populate(struct scenario *s, struct chance *c, const struct family *f)
{
	bool vrrp = router_is_vrrp(f->protocol), second_link = chance_percent(c, 50);
	bool all_preempt = chance_percent(c, 70);
	uint32_t interval_ms = an_interval_ms(c, f), hold_ms = 0;
	unsigned int owners = 0;

	if (vrrp && chance_percent(c, 15))
		owners = chance_percent(c, 30) ? 2 : 1;
	if (router_is_hsrp(f->protocol) && chance_percent(c, 70))
		hold_ms = interval_ms * (uint32_t)(2 + chance_below(c, 3));
	for (unsigned int i = 0; i < s->host_count; i++) {
		struct candidate *k = &s->candidates[i];
		struct router *r = &k->record;
		uint8_t protocol = f->protocol;

		if (f->mixed && chance_percent(c, 40))
			protocol = ROUTER_VRRP2;
		candidate_init(k, protocol, i, f->sets, f->ipv6, f->sets > 1 && second_link);
		r->also_v2 = f->mixed && protocol == ROUTER_VRRP3;
		r->interval_ms = interval_ms;
		r->hold_ms = hold_ms;
		r->learn = router_is_hsrp(protocol) && chance_percent(c, 30);
		r->priority = i < owners ? VRRP_PRIORITY_OWNER : a_priority(c, vrrp);
		r->preempt = all_preempt || chance_percent(c, 40);
		if (chance_percent(c, 20))
			r->preempt_delay_ms = (uint32_t)chance_below(c, 5000);
		if (chance_percent(c, 20))
			r->boot_hold_ms = (uint32_t)chance_below(c, 5000);
		if (chance_percent(c, 20))
			r->linger_ms = chance_percent(c, 50) ? 0 : (uint32_t)chance_below(c, 5000);
		r->announce_count = (uint8_t)(1 + chance_below(c, 4));
		if (chance_percent(c, 20))
			r->announce_refresh_ms = 1000 + (uint32_t)chance_below(c, 5000);
		r->garp = (uint8_t)chance_below(c, 3);
		k->stated_priority = r->priority;
	}
	s->set_count = f->sets;
	s->link_count = f->sets > 1 && second_link ? 2 : 1;
}

/* --- bounds ---------------------------------------------------------------------------------- */

void scenario_bounds(struct scenario *s, int64_t heal_at)
{
	int64_t delay = 0, own;

	s->interval = s->hold = s->settle = 0;
	for (unsigned int i = 0; i < s->host_count; i++) {
		const struct router *r = &s->candidates[i].record;
		int64_t interval = r->interval_ms * SIM_MS, hold = 3 * interval;

		if (r->protocol == ROUTER_VRRP3)
			hold += interval;
		else if (r->protocol == ROUTER_VRRP2)
			hold += S_NS;
		else if (router_is_hsrp(r->protocol))
			hold = (r->hold_ms ? r->hold_ms : r->interval_ms * 10 / 3 + 1000) * SIM_MS;
		else {
			hold += S_NS;
			interval += S_NS;
		}
		own = (r->preempt_delay_ms + r->boot_hold_ms) * SIM_MS;
		if (r->linger_ms != ROUTER_LINGER_AUTO)
			own += r->linger_ms * SIM_MS;
		else
			own += interval + S_NS;
		delay = own > delay ? own : delay;
		s->interval = interval > s->interval ? interval : s->interval;
		s->hold = hold > s->hold ? hold : s->hold;
	}
	s->settle = 4 * s->hold + delay + 3 * s->interval;
	for (unsigned int i = 0; i < s->step_count; i++)
		if (s->steps[i].kind == STEP_WALL) {
			s->settle += 10 * S_NS;
			break;
		}
	s->end = heal_at + s->settle + 4 * s->interval + S_NS / 100;
}

/* --- faults ---------------------------------------------------------------------------------- */

static struct step *add(struct scenario *s, int64_t at, enum step_kind kind, unsigned int host,
			int64_t value)
{
	struct step *step = &s->steps[s->step_count++];

	*step = (struct step){ at, (uint8_t)kind, (uint8_t)host, 0, value };
	return step;
}

static bool can_have(const struct scenario *s, enum step_kind kind, unsigned int host)
{
	const struct candidate *c = &s->candidates[host];

	if (kind == STEP_PRIORITY)
		return c->record.priority != VRRP_PRIORITY_OWNER ||
		       !router_is_vrrp(c->record.protocol);
	return kind != STEP_ADDRESS || router_is_vrrp(c->record.protocol);
}

static void add_fault(struct scenario *s, struct chance *c, int64_t at, int64_t heal_at)
{
	static const uint8_t kinds[] = {
		STEP_LOSS,	   STEP_DISORDER, STEP_CUT,  STEP_CUT,	   STEP_STALL,
		STEP_STALL_INSIDE, STEP_CRASH,	  STEP_STOP, STEP_UNPLUG,  STEP_ADJUST,
		STEP_FAULT,	   STEP_SAME,	  STEP_SAME, STEP_ADDRESS, STEP_PRIORITY,
		STEP_DISABLE,	   STEP_WALL,
	};
	enum step_kind kind = kinds[chance_below(c, sizeof(kinds))];
	unsigned int host = (unsigned int)chance_below(c, s->host_count);
	int64_t later = at + 1 + (int64_t)chance_below(c, (uint64_t)(heal_at - at));
	bool vrrp = router_is_vrrp(s->candidates[host].record.protocol);
	struct step *step;
	int64_t value = 0;

	if (!can_have(s, kind, host))
		return;
	if (kind == STEP_LOSS || kind == STEP_DISORDER)
		value = (int64_t)chance_below(c, 60);
	else if (kind == STEP_STALL || kind == STEP_STALL_INSIDE)
		value = 1 + (int64_t)chance_below(c, (uint64_t)(2 * s->hold));
	else if (kind == STEP_ADJUST)
		value = (int64_t)chance_below(c, 300) - 150;
	else if (kind == STEP_PRIORITY)
		value = a_priority(c, vrrp);
	else if (kind == STEP_FAULT)
		value = 1;
	else if (kind == STEP_WALL)
		value = (int64_t)chance_below(c, 8000) - 4000;
	/* Far off, each host by a time of its own: what all of them believed together would be
	 * replays to them when their clocks are right again, until then. */
	if (kind == STEP_WALL && chance_percent(c, 30))
		value = value * 1000 + (int64_t)(host + 1) * 10000000;
	step = add(s, at, kind, host, value);
	if (kind == STEP_CUT) {
		step->other = (uint8_t)chance_below(c, s->host_count);
		if (chance_percent(c, 50))
			add(s, later, STEP_JOIN, host, 0)->other = step->other;
	} else if ((kind == STEP_CRASH || kind == STEP_STOP) && chance_percent(c, 70)) {
		add(s, later, STEP_BOOT, host, 0);
	} else if (kind == STEP_UNPLUG && chance_percent(c, 70)) {
		add(s, later, STEP_PLUG, host, 0);
	} else if (kind == STEP_FAULT && chance_percent(c, 70)) {
		add(s, later, STEP_FAULT, host, 0);
	} else if (kind == STEP_DISABLE && chance_percent(c, 70)) {
		add(s, later, STEP_ENABLE, host, 0);
	}
}

static bool rolls_keys(const struct scenario *s)
{
	const struct router *r = &s->candidates[0].record;

	return r->auth == ROUTER_AUTH_MD5 ||
	       (r->auth == ROUTER_AUTH_HMAC && r->protocol != ROUTER_CARP);
}

/* Stage by stage: nobody begins the next before all have done this one. */
static void add_key_roll(struct scenario *s, struct chance *c, int64_t from, int64_t to)
{
	bool rollout = s->candidates[0].record.auth_mode != ROUTER_AUTH_ENFORCE;
	int64_t stages = rollout ? 2 : 3, length = (to - from) / stages;

	for (int64_t stage = 0; stage < stages; stage++)
		for (unsigned int i = 0; i < s->host_count; i++)
			if (!s->candidates[i].wrong_key)
				add(s,
				    from + stage * length +
					    (int64_t)chance_below(c, (uint64_t)length),
				    STEP_KEYS, i, 0);
}

static void sort_steps(struct scenario *s)
{
	for (unsigned int i = 1; i < s->step_count; i++) {
		struct step step = s->steps[i];
		unsigned int k = i;

		for (; k > 0 && s->steps[k - 1].at > step.at; k--)
			s->steps[k] = s->steps[k - 1];
		s->steps[k] = step;
	}
}

/* Whoever may be gone for good: never all whose key is right. */
static int64_t the_dead(const struct scenario *s, struct chance *c)
{
	int64_t dead = 0;

	for (unsigned int i = 1; i < s->host_count; i++)
		if (chance_percent(c, 10))
			dead |= 1LL << i;
	return dead;
}

static void trouble(struct scenario *s, struct chance *c)
{
	int64_t from = chance_percent(c, 70) ? 2 * s->hold : 0;
	int64_t heal_at = from + (int64_t)(10 + chance_below(c, 30)) * s->interval;
	unsigned int faults = 1 + (unsigned int)chance_below(c, 12);

	for (unsigned int i = 0; i < faults; i++)
		add_fault(s, c, from + (int64_t)chance_below(c, (uint64_t)(heal_at - from - 2)),
			  heal_at);
	if (rolls_keys(s) && chance_percent(c, 30))
		add_key_roll(s, c, from, heal_at);
	sort_steps(s);
	add(s, heal_at + 1, STEP_HEAL, 0, the_dead(s, c));
	scenario_bounds(s, heal_at + 1);
}

/* No faults: what an operator does must not move anything. */
static void calm(struct scenario *s, struct chance *c)
{
	int64_t from, to;

	add(s, 0, STEP_HEAL, 0, 0);
	scenario_bounds(s, 0);
	from = s->settle;
	to = from + 10 * s->interval;
	if (rolls_keys(s))
		add_key_roll(s, c, from, to);
	for (unsigned int i = 0; i < s->host_count; i++) {
		add(s, from + (int64_t)chance_below(c, (uint64_t)(to - from)), STEP_SAME, i, 0);
		if (router_is_vrrp(s->candidates[i].record.protocol))
			add(s, from + (int64_t)chance_below(c, (uint64_t)(to - from)), STEP_ADDRESS,
			    i, 0);
	}
	sort_steps(s);
	s->end = to + s->hold + 2 * s->interval;
}

static const struct family *family_find(const char *name)
{
	for (unsigned int i = 0; i < FAMILIES; i++)
		if (strcmp(families[i].name, name) == 0)
			return &families[i];
	return NULL;
}

bool scenario_make(struct scenario *s, uint64_t seed, const char *name)
{
	struct chance c = { seed };
	const struct family *f = &families[chance_below(&c, FAMILIES)];
	struct family mine;

	if (name)
		f = family_find(name);
	if (!f)
		return false;
	mine = *f;
	if (f->calm) { /* of any protocol */
		mine = families[chance_below(&c, FAMILIES - 1)];
		mine.calm = true;
	}
	memset(s, 0, sizeof(*s));
	s->seed = seed;
	s->host_count = 2 + (unsigned int)chance_below(&c, 4);
	snprintf(s->name, sizeof(s->name), "%s", f->name);
	populate(s, &c, &mine);
	if (!mine.mixed)
		authenticate(s, &c);
	if (!mine.ipv6 && !router_is_hsrp(mine.protocol) && mine.sets == 1 &&
	    chance_percent(&c, 20))
		know_peers(s);
	scenario_bounds(s, 0);
	if (mine.calm)
		calm(s, &c);
	else
		trouble(s, &c);
	return true;
}
