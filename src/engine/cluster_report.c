/* What the anchors report: views become rows in the data plane, epochs go into the journal, the
 * rest is told. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/cluster.h"
#include "engine/side.h"
#include "model/ip.h"
#include "wire/claim.h"

#define REPORT_RETRY   SPAN_S(1)
#define CLAIMANT_STAYS SPAN_S(600) /* after the last time it is shown, and no news */
#define FLOWS_EVERY    SPAN_S(1)   /* a walk over the flow table costs some ms */

/* --- rows ------------------------------------------------------------------------------------ */

struct building {
	struct balance_row *rows;
	uint64_t *scratch;
	uint32_t *shares;
};

static int build_begin(struct engine *e, struct building *b, unsigned int count)
{
	*b = (struct building){
		.rows = engine_alloc(e, CLUSTER_MAGLEV_ROWS * sizeof(*b->rows)),
		.scratch = engine_alloc(e, (balance_scratch_words(count) + 1) * sizeof(uint64_t)),
		.shares = engine_alloc(e, (count + 1) * sizeof(*b->shares)),
	};
	return b->rows && b->scratch && b->shares ? 0 : -1;
}

static void build_end(struct engine *e, struct building *b)
{
	engine_dispose(e, b->rows);
	engine_dispose(e, b->scratch);
	engine_dispose(e, b->shares);
}

/* Fills the rows and returns how many. */
static unsigned int build(struct engine *e, struct cluster_state *s, struct building *b,
			  const struct balance_choice *choices, unsigned int count)
{
	const struct cluster *c = s->record;

	if (c->table == CLUSTER_RENDEZVOUS) {
		balance_rendezvous(c->key, choices, count, b->scratch, b->rows);
		return CLUSTER_ROWS;
	}
	balance_maglev(c->key, choices, count, s->before, b->scratch, b->rows);
	if (!s->before)
		s->before = engine_alloc(e, CLUSTER_MAGLEV_ROWS * sizeof(*s->before));
	/* Without memory the seconds are poorer, and the rows are the same. */
	if (s->before)
		memcpy(s->before, b->rows, CLUSTER_MAGLEV_ROWS * sizeof(*s->before));
	return CLUSTER_MAGLEV_ROWS;
}

static int install(struct engine *e, struct cluster_state *s, const struct balance_choice *choices,
		   unsigned int count, const struct heartbeat_bits *fresh,
		   const struct heartbeat_bits *known, struct error *ret_error)
{
	struct building b;
	unsigned int rows;
	int r;

	if (build_begin(e, &b, count) < 0) {
		build_end(e, &b);
		return engine_no_memory(ret_error);
	}
	rows = build(e, s, &b, choices, count);
	r = plane_cluster_install(e->cfg.plane, cluster_slot(s->record), b.rows, fresh->octet,
				  known->octet, ret_error);
	if (r == 0) {
		s->installed_unassigned = balance_shares(b.rows, rows, choices, count, b.shares);
		memset(s->installed_rows, 0, (CLUSTER_MEMBERS_MAX + 1) * sizeof(*s->rows));
		for (unsigned int i = 0; i < count; i++)
			s->installed_rows[choices[i].id] = b.shares[i];
	}
	build_end(e, &b);
	return r;
}

static void on_install(struct engine *e, struct cluster_state *s, const struct anchor_report *r)
{
	struct error error;

	s->install_due = s->commit_due = false;
	if (s->set &&
	    install(e, s, r->choices, r->choice_count, &r->fresh, &r->known, &error) == 0) {
		anchor_installed(e->cfg.anchors, s->record->id, &r->view);
		return;
	}
	if (!s->set)
		error = s->trouble;
	log_warning("cluster %s: its rows could not be installed: %s", s->record->name,
		    error.message);
	/* The coordinator waits, or goes on without us. */
	s->install_due = true;
	balancing_retry(e, REPORT_RETRY);
}

static void on_commit(struct engine *e, struct cluster_state *s, const struct anchor_report *r)
{
	struct error error;

	if (plane_cluster_commit(e->cfg.plane, cluster_slot(s->record), &error) < 0) {
		log_warning("cluster %s: its rows could not be committed: %s", s->record->name,
			    error.message);
		s->commit_due = true;
		balancing_retry(e, REPORT_RETRY);
		return;
	}
	memcpy(s->rows, s->installed_rows, (CLUSTER_MEMBERS_MAX + 1) * sizeof(*s->rows));
	s->unassigned = s->installed_unassigned;
	anchor_committed(e->cfg.anchors, s->record->id, &r->view);
}

/* --- epochs ---------------------------------------------------------------------------------- */

static void hold_refused(struct txn *t)
{
	balancing_retry(t->e, REPORT_RETRY);
}

/* Each face's epoch that the journal has not yet.  What a txn that is under way will write counts
 * as written: where it fails, the record is the older one again. */
static void write_epochs(struct engine *e, struct cluster_state *s)
{
	struct caller c = { .who = "vmacd", .reason = "this host is its anchor" };
	const struct cluster *cluster = s->record;
	struct txn *t = txn_begin(e, &c, NULL, NULL);

	if (!t) {
		balancing_retry(e, REPORT_RETRY);
		return;
	}
	for (unsigned int i = 0; i < cluster->face_count; i++) {
		const struct vmac *v = world_vmac(&e->world, cluster->segment, cluster->faces[i]);
		struct vmac new;

		if (!v || v->kind != VMAC_CLUSTER || v->epoch >= s->epochs[i])
			continue;
		new = *v;
		new.state = VMAC_RESERVED;
		new.epoch = s->epochs[i];
		new.changed = e->cfg.wall_now();
		if (txn_put(t, CHANGE_VMAC, v, &new, "anchor") < 0)
			balancing_retry(e, REPORT_RETRY);
	}
	if (t->base.count == 0) {
		txn_drop(t);
		return;
	}
	t->recover = hold_refused;
	txn_submit(t);
}

static void on_hold(struct engine *e, struct cluster_state *s, const struct anchor_report *r)
{
	const struct cluster *c = s->record;

	if (r->face >= c->face_count)
		return;
	s->epochs[r->face] = r->epoch;
	write_epochs(e, s);
	if (e->side && e->side->running) {
		struct fleet_name name = {
			.segment = world_segment(&e->world, c->segment)->record->name,
			.address = c->faces[r->face],
		};

		fleet_anchor(e->side->fleet, &name, r->epoch, e->cfg.mono_now());
	}
}

void cluster_reports_retry(struct engine *e, struct cluster_state *s)
{
	write_epochs(e, s);
	if (!s->set)
		return;
	if (s->install_due)
		anchor_again(e->cfg.anchors, s->record->id, ANCHOR_INSTALL);
	if (s->commit_due)
		anchor_again(e->cfg.anchors, s->record->id, ANCHOR_COMMIT);
	s->install_due = s->commit_due = false;
}

/* --- notes ----------------------------------------------------------------------------------- */

struct host_search {
	uint16_t number;
	const char *name;
};

static void search_host(void *ctx, const struct fleet_host_view *v)
{
	struct host_search *search = ctx;

	if (v->host->number == search->number)
		search->name = v->host->name;
}

const char *cluster_host_name(struct engine *e, uint16_t number)
{
	struct host_search search = { number, "" };

	if (number == 0)
		return "";
	if (!e->side)
		return e->cfg.name ? e->cfg.name : "this host";
	fleet_hosts(e->side->fleet, search_host, &search);
	return search.name;
}

static void on_note(struct engine *e, struct cluster_state *s, const struct anchor_report *r)
{
	const struct cluster *c = s->record;
	const struct cluster_member *m = r->member ? cluster_member_by_id(c, r->member) : NULL;
	const char *host = cluster_host_name(e, r->host);
	char mac[VMAC_MAC_TEXT_MAX] = "", reason[256];

	if (r->has_face && r->face < c->face_count)
		vmac_mac_format(c->faces[r->face], VMAC_MAC_COLON, mac);
	else if (m)
		vmac_mac_format(m->address, VMAC_MAC_COLON, mac);
	snprintf(reason, sizeof(reason), "%s%s%s%s%s%s: %s", group_reason_name(r->reason),
		 mac[0] ? (r->has_face ? ", face " : ", member ") : "", mac,
		 host[0] ? ", host " : "", host, r->epoch ? ", new epoch" : "",
		 group_reason_meaning(r->reason));
	if (r->kind == ANCHOR_ALARM)
		log_warning("cluster %s: %s", c->name, reason);
	else
		log_info("cluster %s: %s", c->name, reason);
	event_fleet(e, "cluster", world_segment(&e->world, c->segment)->record->name, c->name,
		    r->kind == ANCHOR_ALARM ? "alarm" : "note", "", mac, reason);
}

/* --- all ------------------------------------------------------------------------------------- */

void cluster_report(void *ctx, const struct anchor_report *r)
{
	struct engine *e = ctx;
	struct cluster_state *s = cluster_state_of(e, r->cluster);

	if (!s)
		return; /* deleted meanwhile */
	switch (r->kind) {
	case ANCHOR_INSTALL:
		on_install(e, s, r);
		break;
	case ANCHOR_COMMIT:
		on_commit(e, s, r);
		break;
	case ANCHOR_HOLD:
		on_hold(e, s, r);
		break;
	case ANCHOR_NOTE:
	case ANCHOR_ALARM:
		on_note(e, s, r);
		break;
	case ANCHOR_REPORT_COUNT:
		break;
	}
}

void engine_anchors_ready(struct engine *e)
{
	anchor_dispatch(e->cfg.anchors, cluster_report, e);
	side_turn(e);
}

/* Somebody on the wire speaks as a face: another anchor's claim, or nobody who may. */
void cluster_on_stranger(struct engine *e, const struct plane_event *event)
{
	struct cluster_state *s = cluster_state_of(e, event->cluster + 1);
	struct claim_tag tag;

	if (!s || !s->anchored || event->face >= s->record->face_count)
		return;
	/* Anchors tag by the cluster's own key. */
	if (claim_read(event->frame, event->len, s->record->key, &tag) == CLAIM_VALID &&
	    vmac_mac_equal(tag.address, s->record->faces[event->face]))
		anchor_claimed(e->cfg.anchors, s->record->id, event->face, tag.epoch, tag.host);
	else
		anchor_stranger(e->cfg.anchors, s->record->id, event->face);
}

/* What the frame says, which is ARP or a neighbour advertisement: the data plane has looked.  Of
 * the latter the end is not here. */
static void claim_of(const struct plane_event *event, struct cluster_claimant *ret)
{
	const uint8_t *f = event->frame;
	const bool is_arp = f[12] == 0x08 && f[13] == 0x06;

	memset(&ret->ip, 0, sizeof(ret->ip));
	memcpy(ret->address.octet, is_arp ? f + 22 : f + 6, sizeof(ret->address.octet));
	ret->ip.family = is_arp ? 4 : 6;
	if (is_arp)
		memcpy(ret->ip.octet, f + 28, 4);
}

static void tell_claimant(struct engine *e, const struct cluster_state *s)
{
	char mac[VMAC_MAC_TEXT_MAX], ip[IP_TEXT_MAX], reason[256];
	const struct cluster_claimant *who = &s->claimant;
	const struct cluster *c = s->record;

	snprintf(reason, sizeof(reason), "foreign, %s: %s says on the wire that it is its own",
		 who->ip.family == 4 ? ip_format(&who->ip, ip) : "an IPv6 address",
		 vmac_mac_format(who->address, VMAC_MAC_COLON, mac));
	log_warning("cluster %s: %s", c->name, reason);
	event_fleet(e, "cluster", world_segment(&e->world, c->segment)->record->name, c->name,
		    "alarm", "", mac, reason);
}

void cluster_on_claimant(struct engine *e, const struct plane_event *event)
{
	struct cluster_state *s = cluster_state_of(e, event->cluster + 1);
	struct cluster_claimant now;
	mono_t at = e->cfg.mono_now();
	bool is_news;

	if (!s || event->len < 42)
		return;
	claim_of(event, &now);
	is_news = !cluster_claimed(s, at) || !vmac_mac_equal(s->claimant.address, now.address) ||
		  !ip_equal(&s->claimant.ip, &now.ip);
	now.last = e->cfg.wall_now();
	now.since = is_news ? now.last : s->claimant.since;
	now.count = is_news ? 1 : s->claimant.count + 1;
	s->claimant = now;
	s->claimed_at = at;
	s->claims++;
	if (is_news)
		tell_claimant(e, s);
}

bool cluster_claimed(const struct cluster_state *s, mono_t now)
{
	return s->claimed_at.ns && mono_since(now, s->claimed_at).ns < CLAIMANT_STAYS.ns;
}

const uint32_t *cluster_flows(struct engine *e, struct cluster_state *s)
{
	mono_t now = e->cfg.mono_now();
	struct error error;

	if (!s->set || (s->flows && mono_since(now, s->scanned).ns < FLOWS_EVERY.ns))
		return s->set ? s->flows : NULL;
	if (!s->flows)
		s->flows = engine_alloc(e, (CLUSTER_MEMBERS_MAX + 1) * sizeof(*s->flows));
	if (!s->flows ||
	    plane_cluster_flows(e->cfg.plane, cluster_slot(s->record), s->flows, &error) < 0)
		return NULL;
	s->scanned = now;
	return s->flows;
}
