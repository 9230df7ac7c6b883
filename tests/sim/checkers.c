/* What must hold, whatever happens.  Nothing here knows what a scenario is about: only what hosts,
 * data planes and the switch did, and who was disturbed when. */
#include "sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "wire/hsrp.h"
#include "wire/ip.h"
#include "wire/vrrp.h"

#define OVERLAP_SLACK_NS (4 * (SIM_DELAY_NS + SIM_LATE_NS))

static const char *const rule_names[RULE_COUNT] = {
	[RULE_NONE] = "none",
	[RULE_TWO_ACTIVE] = "two_active",
	[RULE_NOBODY] = "not_one_active",
	[RULE_WRONG_ONE] = "wrong_one_active",
	[RULE_UNSETTLED] = "unsettled",
	[RULE_BACKUP_SPOKE] = "backup_spoke",
	[RULE_LEASE_BROKEN] = "lease_broken",
	[RULE_WRONG_KEY] = "wrong_key",
	[RULE_NOT_EQUAL] = "not_equal",
	[RULE_NOT_ANNOUNCED] = "not_announced",
	[RULE_SWITCH] = "switch",
	[RULE_LEASE_TOO_LONG] = "lease_too_long",
};

const char *rule_name(unsigned int r)
{
	return rule_names[r];
}

void check_fail(struct world *w, enum rule r, const char *format, ...)
{
	va_list args;

	if (w->finding.rule != RULE_NONE)
		return;
	w->finding.rule = r;
	w->finding.at = w->now - SIM_START_NS;
	va_start(args, format);
	vsnprintf(w->finding.what, sizeof(w->finding.what), format, args);
	va_end(args);
}

bool check_share_key(const struct host *a, const struct host *b)
{
	return a->config.wrong_key == b->config.wrong_key;
}

static bool lease_open(const struct host *h)
{
	return h->lease[0] > h->world->now;
}

/* --- frames with the vMAC -------------------------------------------------------------------- */

void check_sent(struct host *h, unsigned int set, bool from_vmac)
{
	const struct fhrp *m = host_machine(h);

	if (!from_vmac)
		return;
	if (!(m && fhrp_embodies(m)) && !h->could_speak)
		check_fail(h->world, RULE_BACKUP_SPOKE, "host %u sent with the vMAC in state %s",
			   h->number, m ? fhrp_state_name(m->state) : "none");
	if (h->ordered[set] <= host_now(h).ns)
		check_fail(h->world, RULE_BACKUP_SPOKE,
			   "host %u sent with the vMAC, its lease over", h->number);
}

/* Whether it is an active router's advertisement; not an HSRP Coup or Resign, which give no time
 * and contest nothing.  Unicast: a backup of VRRP or CARP says nothing. */
bool check_says_active(const uint8_t *frame)
{
	bool ipv4 = frame[12] == 0x08 && frame[13] == 0x00;
	const uint8_t *payload = frame + (ipv4 ? 42 : 62);

	if (frame[0] == 0x0e)
		return true;
	if (frame[6] != 0x00)
		return false;
	if ((ipv4 ? frame[23] : frame[20]) != IP_PROTOCOL_UDP)
		return true;
	/* Version 1 begins with its 0, version 2 with the type and length of its first part. */
	return (payload[0] == 0 ? payload[1] : payload[3]) == HSRP_HELLO;
}

void check_passed(struct host *h, unsigned int set, const uint8_t *frame, bool announcement,
		  bool leased)
{
	struct world *w = h->world;

	w->passed++;
	if (!leased)
		check_fail(w, RULE_LEASE_BROKEN, "a frame of host %u passed without a lease",
			   h->number);
	h->passed[set] = w->now;
	if (announcement)
		h->announced[set] = w->now;
	else if (h->leased_at[set] == w->now && check_says_active(frame))
		h->lease_frame[set] = w->frames + 1;
	if (w->scenario->mutation != MUTATE_BLIND_SWITCH || !w->heal_at)
		w->switch_port[set] = h->number;
}

/* --- ranks ------------------------------------------------------------------------------ */

static int rank(const struct host *h)
{
	const struct candidate *c = &h->config;
	bool vrrp = router_is_vrrp(c->record.protocol);
	int most = vrrp ? 254 : 255, p = c->stated_priority;

	if (vrrp && p == VRRP_PRIORITY_OWNER)
		return p;
	p += h->adjust;
	return p < 1 ? 1 : p > most ? most : p;
}

/* --- authentication, and what was heard ------------------------------------------------------ */

/* Whether a backup that hears it is to wait: one that preempts need not. */
static bool must_wait(const struct host *h, const struct host *active)
{
	const struct fhrp *m = host_machine(h);

	if (!m || m->priority <= rank(active))
		return true;
	return !h->config.record.preempt && h->config.record.priority != VRRP_PRIORITY_OWNER;
}

void check_verdict(struct host *h, const struct event *e, enum verdict v)
{
	struct world *w = h->world;
	const struct host *from = &w->hosts[e->from];
	bool admitted = v == VERDICT_ACCEPTED || v == VERDICT_OWNER_CONFLICT;

	world_tell(w, h, verdict_name(v), e->from, (int64_t)e->frame);
	if (!admitted)
		return;
	if (!check_share_key(h, from))
		check_fail(w, RULE_WRONG_KEY, "host %u admitted a frame of host %u", h->number,
			   e->from);
	if (e->as_active && must_wait(h, from) && h->heard[e->from][e->set] < e->frame)
		h->heard[e->from][e->set] = e->frame;
	if (e->as_active && h->active_since && from->active_since &&
	    from->passed[e->set] >= h->active_since) {
		h->contended[e->set] = w->now;
		w->contentions++;
	}
}

/* --- who is active --------------------------------------------------------------------------- */

/* Whoever takes over because the active router is silent has not heard of a lease that lasts. */
static void check_silence(struct host *h)
{
	struct world *w = h->world;

	for (unsigned int i = 0; i < w->host_count; i++) {
		const struct host *o = &w->hosts[i];
		bool heard = false;

		/* Who leaves lends itself the time in which it waits for a successor. */
		if (o == h || !lease_open(o) || o->last_state != FHRP_ACTIVE)
			continue;
		for (unsigned int k = 0; k < w->scenario->set_count; k++)
			heard |= o->lease_frame[k] && h->heard[i][k] == o->lease_frame[k];
		if (heard)
			check_fail(w, RULE_LEASE_TOO_LONG,
				   "host %u took over %" PRId64 " us within host %u's lease",
				   h->number, (int64_t)((o->lease[0] - w->now) / 1000), i);
	}
}

void check_report(struct host *h, const struct elect_report *r)
{
	struct world *w = h->world;

	if (w->trace)
		printf("              host %u: %s -> %s (%s), priority %u\n", h->number,
		       fhrp_state_name(r->from), fhrp_state_name(r->to),
		       fhrp_reason_name(r->reason), r->priority);
	world_tell(w, h, "reports", r->from * 16 + r->to, r->reason);
	if (!r->transition)
		return;
	w->transitions++;
	h->last_change = w->now;
	h->last_state = r->to;
	if (r->to == FHRP_ACTIVE && r->reason == FHRP_REASON_SILENCE)
		check_silence(h);
	h->active_since = r->to == FHRP_ACTIVE ? w->now : 0;
}

/* --- two at once ----------------------------------------------------------------------------- */

static bool in_touch(const struct world *w, const struct host *a, const struct host *b)
{
	if (!a->core || !b->core || !a->plugged || !b->plugged || !check_share_key(a, b))
		return false;
	if (a->stalled || b->stalled || a->wall_ms != b->wall_ms)
		return false;
	return !w->cut[a->number][b->number] && !w->cut[b->number][a->number];
}

/* An advertisement, its answer, and the next one of who is to yield. */
static int64_t overlap_bound(const struct world *w)
{
	return 2 * w->scenario->interval + OVERLAP_SLACK_NS;
}

static void check_pair(struct world *w, const struct host *a, const struct host *b)
{
	int64_t *both = &w->both[a->number][b->number];
	int64_t since;

	if (!lease_open(a) || !lease_open(b)) {
		*both = 0;
		return;
	}
	if (*both == 0) {
		*both = w->now;
		w->overlaps++;
	}
	if (!in_touch(w, a, b))
		world_disturb(w, a->number, b->number, w->now);
	since = *both > w->disturbed[a->number][b->number] ? *both
							   : w->disturbed[a->number][b->number];
	if (w->now - since > overlap_bound(w))
		check_fail(w, RULE_TWO_ACTIVE, "hosts %u and %u, for %" PRId64 " ms", a->number,
			   b->number, (int64_t)((w->now - since) / SIM_MS));
}

void check_time(struct world *w)
{
	for (unsigned int i = 0; i < w->host_count; i++)
		for (unsigned int k = i + 1; k < w->host_count; k++)
			check_pair(w, &w->hosts[i], &w->hosts[k]);
}

/* --- the end --------------------------------------------------------------------------------- */

static bool eligible(const struct host *h)
{
	return h->core && !h->stopping && !h->config.wrong_key;
}

static bool preempts(const struct host *h)
{
	const struct router *r = &h->config.record;

	return r->preempt ||
	       (router_is_vrrp(r->protocol) && h->config.stated_priority == VRRP_PRIORITY_OWNER);
}

static const struct host *check_one_active(struct world *w)
{
	const struct host *active = NULL;
	unsigned int candidates = 0, actives = 0;

	for (unsigned int i = 0; i < w->host_count; i++) {
		const struct host *h = &w->hosts[i];
		const struct fhrp *m = host_machine(h);

		candidates += eligible(h);
		if (h->config.wrong_key)
			continue;
		if (eligible(h) && m && m->state == FHRP_ACTIVE && lease_open(h) && h->embodied) {
			active = h;
			actives++;
		} else if (lease_open(h) || h->embodied) {
			check_fail(w, RULE_NOBODY,
				   "host %u: the lease is open or the addresses are there", i);
		}
	}
	if (actives != (candidates > 0))
		check_fail(w, RULE_NOBODY, "%u active of %u", actives, candidates);
	return active;
}

static void check_rank(struct world *w, const struct host *active)
{
	for (unsigned int i = 0; i < w->host_count; i++) {
		const struct host *h = &w->hosts[i];

		if (eligible(h) && rank(h) > rank(active) && preempts(h))
			check_fail(w, RULE_WRONG_ONE, "host %u with %d, not host %u with %d",
				   active->number, rank(active), i, rank(h));
	}
}

static int64_t last_of_others(const struct host *h, unsigned int set)
{
	const struct world *w = h->world;
	int64_t last = 0;

	for (unsigned int i = 0; i < w->host_count; i++)
		if (i != h->number && w->hosts[i].passed[set] > last)
			last = w->hosts[i].passed[set];
	return last;
}

static void check_announced(struct world *w, const struct host *active, unsigned int set)
{
	int64_t from = active->active_since;

	if (active->contended[set] > from)
		from = active->contended[set];
	/* A host whose key is wrong cannot be made to leave, and speaks on. */
	for (unsigned int i = 0; i < w->host_count; i++)
		if (w->hosts[i].config.wrong_key)
			return;
	if (active->announced[set] < from)
		check_fail(w, RULE_NOT_ANNOUNCED, "host %u, set %u", active->number, set);
	/* Unicast advertisements do not bear the vMAC: the switch learns again from announcements
	 * and traffic only, so a contention that the survivor never heard of stays in its table. */
	if (active->config.sets[set].peer_count > 0 && last_of_others(active, set) > from)
		return;
	if (w->switch_port[set] != active->number)
		check_fail(w, RULE_SWITCH, "set %u: host %d, but host %u is active", set,
			   w->switch_port[set], active->number);
}

void check_end(struct world *w)
{
	const struct host *active = check_one_active(w);
	int64_t settled = w->heal_at + w->scenario->settle;

	for (unsigned int i = 0; i < w->host_count; i++)
		if (w->hosts[i].last_change > settled && !w->hosts[i].config.wrong_key)
			check_fail(w, RULE_UNSETTLED, "host %u, %" PRId64 " ms after the bound", i,
				   (int64_t)((w->hosts[i].last_change - settled) / SIM_MS));
	if (!active)
		return;
	check_rank(w, active);
	for (unsigned int i = 0; i < w->scenario->set_count; i++)
		check_announced(w, active, i);
}
