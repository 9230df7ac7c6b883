/* A cluster as JSON: what was written of it, and how it stands now. */
#include "api/cluster_form.h"
#include "api/views.h"

static void write_face(struct out *o, const struct cluster_face_view *f)
{
	out_open(o, '{');
	out_mac(o, "address", f->address);
	out_text(o, "anchor", f->anchor);
	out_bool(o, "here", f->here);
	out_u64(o, "epoch", f->epoch);
	if (f->lease_ms >= 0)
		out_u64(o, "lease_ms", (uint64_t)f->lease_ms);
	out_close(o, '}');
}

static void write_member(struct out *o, const struct cluster_member_view *v)
{
	const struct cluster_member *m = v->member;

	out_open(o, '{');
	out_u64(o, "id", m->id);
	out_mac(o, "address", m->address);
	out_u64(o, "weight", m->weight);
	out_u64(o, "priority", m->priority);
	out_text(o, "state", member_state_name(m->state));
	if (m->drain_ms > 0)
		out_duration(o, "within", m->drain_ms);
	out_text(o, "live", v->live);
	out_text(o, "host", v->host);
	out_text(o, "port", v->port);
	out_text(o, "name", v->name);
	out_text(o, "health", v->health);
	out_text(o, "detail", v->detail);
	out_u64(o, "rows", v->rows);
	out_u64(o, "flows", v->flows);
	out_u64(o, "frames", v->frames);
	out_u64(o, "octets", v->octets);
	out_close(o, '}');
}

static void write_live(struct out *o, const struct cluster_view *v)
{
	char ip[IP_TEXT_MAX];

	out_key(o, "live");
	out_open(o, '{');
	out_u64(o, "hosts", v->host_count);
	out_u64(o, "rows", v->row_count);
	out_u64(o, "rows_unassigned", v->rows_unassigned);
	out_u64(o, "view_epoch", v->view_epoch);
	out_u64(o, "view_number", v->view_number);
	out_bool(o, "coordinator", v->coordinator);
	out_bool(o, "fail_open", v->fail_open);
	if (v->claimant.count > 0) {
		out_key(o, "claimant");
		out_open(o, '{');
		out_mac(o, "address", v->claimant.address);
		out_text(o, "ip", v->claimant.ip.family == 4 ? ip_format(&v->claimant.ip, ip) : "");
		out_time(o, "since", v->claimant.since);
		out_time(o, "last", v->claimant.last);
		out_u64(o, "count", v->claimant.count);
		out_close(o, '}');
	}
	out_key(o, "counters");
	out_open(o, '{');
	for (unsigned int i = 0; i < v->counter_count; i++)
		out_u64(o, v->counters[i].name, v->counters[i].value);
	out_close(o, '}');
	out_close(o, '}');
}

void view_cluster(struct out *o, const struct cluster_view *v)
{
	const struct cluster *c = v->cluster;

	out_open(o, '{');
	cluster_form_write(o, c);
	out_text(o, "segment", v->segment);
	out_key(o, "faces");
	out_open(o, '[');
	for (unsigned int i = 0; i < v->face_count; i++)
		write_face(o, &v->faces[i]);
	out_close(o, ']');
	out_key(o, "members");
	out_open(o, '[');
	for (unsigned int i = 0; i < v->member_count; i++)
		write_member(o, &v->members[i]);
	out_close(o, ']');
	out_u64(o, "generation", c->generation);
	out_time(o, "created", c->created);
	out_time(o, "changed", c->changed);
	out_trouble(o, "trouble", &v->trouble);
	if (v->live)
		write_live(o, v);
	out_close(o, '}');
}
