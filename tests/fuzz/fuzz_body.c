/* The API's bodies: the first octet chooses the schema, the rest is JSON, or not. */
#include "api/body.h"
#include "api/router_form.h"
#include "base/cleanup.h"

#include "fuzz.h"

static const struct schema *const schemas[] = {
	&body_segment_add, &body_pool_add,   &body_pool_set,   &body_vmac_add,
	&body_vmac_batch,  &body_vmac_set,   &body_vmac_renew, &body_port_add,
	&body_port_set,	   &body_router_add, &body_router_set,
};

/* What makes a record of it is as safe with the worst of them: the rules pass or refuse it. */
static void check_router(const struct body_router *b, bool whole)
{
	struct router before, r;
	struct error e = { 0 };

	router_defaults(&before, ROUTER_HSRP2);
	router_form_fill(b, whole ? NULL : &before, &r);
	MUST(r.set_count <= ROUTER_SETS_MAX && r.key_count <= ROUTER_KEYS_MAX);
	MUST(r.track_count <= ROUTER_TRACKS_MAX && r.notify && r.note);
	if (router_check(&r, &e) < 0)
		MUST(e.code != ERROR_NONE && e.message[0]);
	else
		MUST(router_equal(&r, &r) && r.set_count > 0);
}

/* Texts are given (or absent where that means something), and counts are in their bounds. */
static void check(const struct schema *s, const struct body *b)
{
	MUST(b->reason);
	if (s == &body_segment_add) {
		MUST(b->segment_add.name[0] && b->segment_add.uplink);
		MUST(strlen(b->segment_add.uplink) <= IFNAME_MAX_LEN);
		MUST(b->segment_add.vlan <= 4094);
	} else if (s == &body_pool_add) {
		MUST(b->pool_add.range_count <= POOL_RANGES_MAX);
		MUST(b->pool_add.exclude_count <= POOL_EXCLUDES_MAX);
		for (unsigned int i = 0; i < b->pool_add.range_count; i++)
			MUST(vmac_mac_range_check(b->pool_add.ranges[i]) == 0);
	} else if (s == &body_vmac_add) {
		MUST(b->vmac_add.add.name && strlen(b->vmac_add.add.owner) <= OWNER_MAX_LEN);
		MUST(b->vmac_add.add.ip_count <= VMAC_IPS_MAX);
		MUST(!b->vmac_add.add.adopted || b->vmac_add.add.has_address);
	} else if (s == &body_vmac_batch) {
		MUST(b->vmac_batch.count >= 1 && b->vmac_batch.count <= VMAC_BATCH_MAX);
	} else if (s == &body_port_add) {
		MUST(b->port_add.add.name[0] && b->port_add.add.kind < PORT_KIND_COUNT);
		MUST(b->port_add.add.allocate.name && b->port_add.add.allocate.identity);
		MUST(!b->port_add.add.peer_netns[0] || b->port_add.add.peer_netns[0] == '/');
	} else if (s == &body_port_set) {
		MUST(!b->port_set.has_gate || b->port_set.gate < GATE_COUNT);
	} else if (s == &body_router_add || s == &body_router_set) {
		check_router(&b->router, s == &body_router_add);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct schema *s;
	struct error e = { 0 };
	struct body b;
	char *json;

	if (size == 0)
		return 0;
	s = schemas[data[0] % ARRAY_LEN(schemas)];
	/* A copy of exactly its length, so that every octet read behind it is seen. */
	json = malloc(size - 1 + (size == 1));
	MUST(json);
	memcpy(json, data + 1, size - 1);
	if (body_read(s, json, size - 1, &b, &e) == 0) {
		check(s, &b);
		body_done(&b);
	} else {
		MUST(e.code != ERROR_NONE && e.message[0]);
	}
	free(json);
	return 0;
}
