/* From the names that people use to records. */
#include <stdio.h>
#include <string.h>

#include "engine/inside.h"
#include "model/record.h"

int engine_find_segment(struct engine *e, const char *name, struct world_segment **ret,
			struct error *ret_error)
{
	struct world_segment *s;
	size_t cursor = 0;

	if (name[0]) {
		s = world_segment_named(&e->world, name);
		if (!s)
			return error_set(ret_error, ERROR_NOT_FOUND,
					 "`vmac segment list` shows what exists",
					 "there is no segment '%s'", name);
		*ret = s;
		return 0;
	}
	if (e->world.segments_by_name.count == 0)
		return error_set(ret_error, ERROR_NOT_FOUND,
				 "make one: vmac segment add NAME --uplink eth0",
				 "there is no segment yet");
	if (e->world.segments_by_name.count > 1)
		return error_set(ret_error, ERROR_MISSING_FIELD,
				 "say which one with --segment NAME",
				 "segment: there are %zu of them", e->world.segments_by_name.count);
	*ret = table_next(&e->world.segments_by_name, &cursor);
	return 0;
}

int engine_find_pool(struct engine *e, const char *name, struct world_pool **ret,
		     struct error *ret_error)
{
	struct world_pool *p = world_pool_named(&e->world, name);

	if (!p)
		return error_set(ret_error, ERROR_NOT_FOUND, "`vmac pool list` shows what exists",
				 "there is no pool '%s'", name);
	*ret = p;
	return 0;
}

int engine_find_vmac(struct engine *e, const struct vmac_ref *v, const struct vmac **ret,
		     struct error *ret_error)
{
	const char *where = "`vmac mac list --segment %s` shows what exists; what was released "
			    "answers to its address only";
	struct world_segment *s;
	const struct vmac *found;
	vmac_mac_t address;
	char hint[192];
	int r;

	r = engine_find_segment(e, v->segment, &s, ret_error);
	if (r < 0)
		return r;
	if (vmac_mac_parse(v->which, &address, NULL) == 0)
		found = world_vmac(&e->world, s->record->id, address);
	else
		found = world_vmac_named(&e->world, s->record->id, v->which);
	if (!found) {
		snprintf(hint, sizeof(hint), where, s->record->name);
		return error_set(ret_error, ERROR_NOT_FOUND, hint,
				 "segment '%s' has no virtual MAC '%.63s'", s->record->name,
				 v->which);
	}
	*ret = found;
	return 0;
}

int engine_find_port(struct engine *e, const char *name, const struct port **ret,
		     struct error *ret_error)
{
	const struct port *p = world_port_named(&e->world, name);

	if (!p)
		return error_set(ret_error, ERROR_NOT_FOUND, "`vmac port list` shows what exists",
				 "there is no port '%.63s'", name);
	*ret = p;
	return 0;
}

int engine_find_router(struct engine *e, const char *name, const struct router **ret,
		       struct error *ret_error)
{
	const struct router *r = world_router_named(&e->world, name);

	if (!r)
		return error_set(ret_error, ERROR_NOT_FOUND, "`vmac router list` shows what exists",
				 "there is no router '%.63s'", name);
	*ret = r;
	return 0;
}

int engine_find_cluster(struct engine *e, const char *name, const struct cluster **ret,
			struct error *ret_error)
{
	const struct cluster *c = world_cluster_named(&e->world, name);

	if (!c)
		return error_set(ret_error, ERROR_NOT_FOUND,
				 "`vmac cluster list` shows what exists",
				 "there is no cluster '%.63s'", name);
	*ret = c;
	return 0;
}
