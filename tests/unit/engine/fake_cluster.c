#include "fake_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fake_kernel.h"
#include "host/listen.h"

bool fake_install_fails, fake_commit_fails;

/* --- the data plane -------------------------------------------------------------------------- */

int plane_cluster_set(struct plane *p, const struct plane_cluster *c, struct error *ret_error)
{
	struct fake_cluster *f = &p->clusters[c->slot];

	f->set = true;
	f->sets++;
	f->net = c->net;
	f->members = c->record->member_count;
	f->faces = c->record->face_count;
	for (unsigned int i = 0; c->own && i < f->members; i++)
		memcpy(f->own[i], c->own[i], sizeof(f->own[i]));
	return 0;
}

int plane_cluster_remove(struct plane *p, unsigned int slot, struct error *ret_error)
{
	unsigned int removed = p->clusters[slot].removed + 1;

	p->clusters[slot] = (struct fake_cluster){ .removed = removed };
	return 0;
}

int plane_cluster_install(struct plane *p, unsigned int slot, const struct balance_row *rows,
			  const uint8_t *fresh, const uint8_t *known, struct error *ret_error)
{
	struct fake_cluster *f = &p->clusters[slot];

	if (fake_install_fails)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no room for rows");
	f->installed = true;
	f->checksum = 0;
	for (unsigned int i = 0; i < CLUSTER_ROWS; i++)
		f->checksum = f->checksum * 31 + rows[i].first * 7 + rows[i].second;
	memcpy(f->fresh, fresh, sizeof(f->fresh));
	return 0;
}

int plane_cluster_commit(struct plane *p, unsigned int slot, struct error *ret_error)
{
	if (fake_commit_fails)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no room for rows");
	p->clusters[slot].committed = p->clusters[slot].installed;
	return 0;
}

int plane_cluster_sweep(struct plane *p, unsigned int *ret_removed, struct error *ret_error)
{
	*ret_removed = 0;
	return 0;
}

int plane_cluster_counters(struct plane *p, unsigned int slot, struct plane_cluster_counters *ret,
			   struct error *ret_error)
{
	*ret = (struct plane_cluster_counters){ .local = 5 };
	return 0;
}

int plane_cluster_flows(struct plane *p, unsigned int slot,
			uint32_t ret[static CLUSTER_MEMBERS_MAX + 1], struct error *ret_error)
{
	memcpy(ret, p->flows, sizeof(p->flows));
	return 0;
}

struct ip fake_link_local;

bool plane_cluster_link_local(struct plane *p, uint32_t port, struct ip *ret)
{
	*ret = fake_link_local;
	return ret->family != 0;
}

int plane_cluster_member(struct plane *p, unsigned int slot, uint16_t member, uint64_t *ret_frames,
			 uint64_t *ret_octets, struct error *ret_error)
{
	*ret_frames = member;
	*ret_octets = 100u * member;
	return 0;
}

/* --- the anchors ----------------------------------------------------------------------------- */

void anchor_identity(struct anchors *a, const struct uuid *self, uint16_t number, bool alone)
{
	a->self = *self;
	a->number = number;
}

void anchor_set(struct anchors *a, const struct cluster *record, const struct anchor_where *where)
{
	struct fake_anchor *f = &a->clusters[record->id];

	cluster_release(f->record);
	f->record = cluster_hold(record);
	f->where = *where;
	f->sets++;
	f->removed = false;
}

void anchor_remove(struct anchors *a, uint32_t cluster)
{
	cluster_release(a->clusters[cluster].record);
	a->clusters[cluster] = (struct fake_anchor){ .removed = true };
}

void anchor_member(struct anchors *a, uint32_t cluster, uint16_t member, bool hosted, bool fit,
		   bool busy)
{
	struct fake_anchor *f = &a->clusters[cluster];

	f->members[member].told = true;
	f->members[member].hosted = hosted;
	f->members[member].fit = fit;
	f->members[member].busy = busy;
	f->members[member].count++;
}

void anchor_installed(struct anchors *a, uint32_t cluster, const struct heartbeat_view *view)
{
	a->clusters[cluster].installed = *view;
}

void anchor_committed(struct anchors *a, uint32_t cluster, const struct heartbeat_view *view)
{
	a->clusters[cluster].committed = *view;
}

void anchor_claimed(struct anchors *a, uint32_t cluster, unsigned int face, uint64_t epoch,
		    uint16_t host)
{
	if (epoch > a->clusters[cluster].claimed[face])
		a->clusters[cluster].claimed[face] = epoch;
}

void anchor_stranger(struct anchors *a, uint32_t cluster, unsigned int face)
{
	a->clusters[cluster].strangers++;
}

void fake_report(struct anchors *a, const struct anchor_report *r)
{
	struct fake_anchor *f = &a->clusters[r->cluster];
	struct anchor_report *mine = &a->reports[a->report_count];

	*mine = *r;
	if (r->choice_count > 0) {
		memmove(f->choices, r->choices, r->choice_count * sizeof(*r->choices));
		mine->choices = f->choices;
	}
	if (r->kind == ANCHOR_INSTALL || r->kind == ANCHOR_COMMIT)
		f->told[r->kind] = *mine;
	a->report_count++;
}

void anchor_again(struct anchors *a, uint32_t cluster, enum anchor_report_kind kind)
{
	const struct fake_anchor *f = &a->clusters[cluster];

	for (unsigned int i = 0; i < ARRAY_LEN(f->told); i++)
		if (f->told[i].kind == kind && f->told[i].cluster)
			fake_report(a, &f->told[i]);
}

void anchor_dispatch(struct anchors *a, void (*fn)(void *ctx, const struct anchor_report *r),
		     void *ctx)
{
	unsigned int count = a->report_count;

	a->report_count = 0;
	for (unsigned int i = 0; i < count; i++)
		fn(ctx, &a->reports[i]);
}

bool anchor_look(struct anchors *a, uint32_t cluster, struct anchor_view *ret)
{
	const struct fake_anchor *f = &a->clusters[cluster];

	if (!f->record)
		return false;
	*ret = (struct anchor_view){ .face_count = f->record->face_count,
				     .coordinator = true,
				     .committed = f->committed };
	for (unsigned int i = 0; i < f->record->face_count; i++) {
		ret->faces[i].active = true;
		ret->faces[i].holder = a->number ? a->number : 1;
		ret->faces[i].epoch = 9;
		ret->faces[i].lease_ms = 500;
	}
	for (unsigned int i = 0; i < f->record->member_count; i++)
		ret->live[i] = f->members[f->record->members[i].id].fit ? "up" : "absent";
	return true;
}

/* --- who listens ----------------------------------------------------------------------------- */

struct listen {
	int ifindex;
};

static uint8_t heard[LISTEN_LEN_MAX];
static size_t heard_len;

void fake_heard(const void *frame, size_t len)
{
	memcpy(heard, frame, len);
	heard_len = len;
}

int listen_open(int ifindex, uint16_t vlan, struct listen **ret, struct error *ret_error)
{
	*ret = calloc(1, sizeof(**ret));
	(*ret)->ifindex = ifindex;
	return 0;
}

void listen_close(struct listen *l)
{
	free(l);
}

void listen_read(struct listen *l, void (*fn)(void *ctx, const uint8_t *frame, size_t len),
		 void *ctx)
{
	if (heard_len > 0)
		fn(ctx, heard, heard_len);
	heard_len = 0;
}

/* --- the errands ----------------------------------------------------------------------------- */

struct errands {
	int unused;
};

struct fake_probe fake_probe;

static struct {
	bool there;
	uint64_t id;
	enum errand_outcome outcome;
	char detail[DETAIL_MAX];
} outcome;

int errands_open(struct errands **ret, struct error *ret_error)
{
	*ret = calloc(1, sizeof(**ret));
	return 0;
}

void errands_close(struct errands *e)
{
	free(e);
}

int errands_probe(struct errands *e, const struct errand_probe *p)
{
	fake_probe.begun++;
	fake_probe.probe = *p;
	snprintf(fake_probe.target, sizeof(fake_probe.target), "%s", p->target);
	return 0;
}

void errands_drop(struct errands *e, uint64_t id)
{
	fake_probe.dropped++;
}

int errands_fd(const struct errands *e)
{
	return -1;
}

void fake_outcome(uint64_t id, enum errand_outcome what, const char *detail)
{
	outcome.there = true;
	outcome.id = id;
	outcome.outcome = what;
	snprintf(outcome.detail, sizeof(outcome.detail), "%s", detail);
}

void errands_results(struct errands *e,
		     void (*fn)(void *ctx, uint64_t id, enum errand_outcome outcome,
				const char *detail),
		     void *ctx)
{
	if (outcome.there)
		fn(ctx, outcome.id, outcome.outcome, outcome.detail);
	outcome.there = false;
}
