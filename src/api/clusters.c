#include <string.h>

#include "api/cluster_form.h"
#include "api/internal.h"
#include "api/named.h"
#include "api/views.h"

static void list_item(void *ctx, const struct cluster_view *v)
{
	view_cluster(ctx, v);
}

void clusters_list(struct request *r)
{
	struct out o = { 0 };

	named_list_begin(&o);
	engine_clusters(r->api->config.engine, list_item, &o);
	named_list_end(r, &o);
}

static int look(struct request *r, const char *name, struct out *o, struct error *ret_error)
{
	struct cluster_view v;
	int found = engine_cluster_view(r->api->config.engine, name, &v, ret_error);

	if (found == 0)
		view_cluster(o, &v);
	return found;
}

void clusters_show(struct request *r)
{
	named_show(r, look);
}

/* --- the whole of one ------------------------------------------------------------------------ */

struct finding {
	struct engine *engine;
	const char *segment;
};

/* A name is that of a vMAC of the segment, or of a port. */
static int find(void *ctx, const char *which, vmac_mac_t *ret, struct error *ret_error)
{
	const struct finding *f = ctx;
	struct vmac_ref ref = { .segment = f->segment, .which = which };
	struct vmac_view vmac;
	struct port_view port;
	struct error e;

	if (engine_vmac_view(f->engine, &ref, &vmac, &e) == 0) {
		*ret = vmac.vmac->address;
		return 0;
	}
	if (engine_port_view(f->engine, which, &port, ret_error) == 0) {
		*ret = port.port->address;
		return 0;
	}
	return error_set(ret_error, ERROR_NOT_FOUND, "one of another host is named by its address",
			 "members: \"%.63s\" is no address, and no vMAC or port of this host has "
			 "that name",
			 which);
}

static void added(void *ctx, const struct answer *answer)
{
	if (answer->error)
		request_refuse(ctx, answer->error);
	else
		named_answer(ctx, MHD_HTTP_CREATED, look, answer->cluster->name);
}

void clusters_add(struct request *r)
{
	const struct body_cluster *b = &r->body.cluster;
	struct finding f = { r->api->config.engine, b->segment };
	struct cluster_member members[CLUSTER_MEMBERS_MAX];
	struct cluster record;
	struct cluster_add a;
	struct error e;
	char who[32];
	struct caller c = request_caller(r, who);

	if (cluster_form_fill(b, NULL, find, &f, members, &record, &e) < 0) {
		request_refuse(r, &e);
		return;
	}
	a = (struct cluster_add){
		.segment = b->segment, .record = &record, .allocate = b->allocate, .pool = b->pool
	};
	engine_cluster_add(f.engine, &c, &a, added, r);
}

static void changed(void *ctx, const struct answer *answer)
{
	struct request *r = ctx;

	if (answer->error)
		request_refuse(r, answer->error);
	else
		named_answer(r, MHD_HTTP_OK, look, r->arg[0]);
}

void clusters_set(struct request *r)
{
	struct finding f = { .engine = r->api->config.engine };
	struct cluster_member members[CLUSTER_MEMBERS_MAX];
	struct cluster_view before;
	struct cluster record;
	struct error e;
	char who[32];
	struct caller c = request_caller(r, who);

	if (engine_cluster_view(f.engine, r->arg[0], &before, &e) < 0) {
		request_refuse(r, &e);
		return;
	}
	f.segment = before.segment;
	if (cluster_form_fill(&r->body.cluster, before.cluster, find, &f, members, &record, &e) < 0)
		request_refuse(r, &e);
	else
		engine_cluster_set(f.engine, &c, r->arg[0], &record, changed, r);
}

void clusters_delete(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_cluster_delete(r->api->config.engine, &c, r->arg[0], named_gone, r);
}

/* --- one member ------------------------------------------------------------------------------ */

static struct member_set set_of(const struct body_cluster_member *b)
{
	return (struct member_set){ .has_weight = b->has_weight,
				    .has_priority = b->has_priority,
				    .weight = b->weight,
				    .priority = b->priority,
				    .drain_ms = b->has_within ? b->within_ms : 0 };
}

static void member_do(struct request *r, enum engine_member_verb verb, const char *member)
{
	struct member_set set = set_of(&r->body.member);
	char who[32];
	struct caller c = request_caller(r, who);

	engine_cluster_member(r->api->config.engine, &c, r->arg[0], verb, member, &set, changed, r);
}

void members_add(struct request *r)
{
	member_do(r, ENGINE_MEMBER_ADD, r->body.member.which);
}

void members_set(struct request *r)
{
	static const enum engine_member_verb verbs[] = { [MEMBER_ACTIVE] = ENGINE_MEMBER_ACTIVATE,
							 [MEMBER_DRAINING] = ENGINE_MEMBER_DRAIN,
							 [MEMBER_FAILED] = ENGINE_MEMBER_FAIL };
	const struct body_cluster_member *b = &r->body.member;

	member_do(r, b->has_state ? verbs[b->state] : ENGINE_MEMBER_SET, r->arg[1]);
}

void members_remove(struct request *r)
{
	struct member_set set = { 0 };
	char who[32];
	struct caller c = request_caller(r, who);

	engine_cluster_member(r->api->config.engine, &c, r->arg[0], ENGINE_MEMBER_REMOVE, r->arg[1],
			      &set, named_gone, r);
}
