/* The tables of every request body. */
#include "api/body.h"

#include "api/tables.h"

#define MTU_LEAST  68
#define MTU_MOST   65521
#define QUEUES_MAX 256
#define VLAN_MAX   4094
#define LIMIT_MAX  (UINT64_C(1) << 44)
#define ALLOW_MAX  16 /* words, repeated ones included */

/* clang-format off */
/* --- segments and pools ---------------------------------------------------------------------- */

static const struct field body_segment_add_fields[] = {
	NAME("name", struct body, segment_add.name, REQUIRED),
	IFNAME("uplink", struct body, segment_add.uplink),
	UINT("vlan", struct body, segment_add.vlan, 0, VLAN_MAX),
	REASON,
};
SCHEMA(body_segment_add, "SegmentAdd");

static const struct field body_pool_add_fields[] = {
	NAME("name", struct body, pool_add.name, REQUIRED),
	NAME("segment", struct body, pool_add.segment),
	LIST("ranges", struct body, pool_add.ranges, pool_add.range_count, POOL_RANGES_MAX,
	     field_parse_range),
	LIST("excludes", struct body, pool_add.excludes, pool_add.exclude_count, POOL_EXCLUDES_MAX,
	     field_parse_range),
	PARSED("key", struct body, pool_add.key, field_parse_key,
	       HAS(struct body, pool_add.has_key)),
	PARSED("quarantine", struct body, pool_add.quarantine_ms, field_parse_duration),
	UINT("limit", struct body, pool_add.limit, 0, LIMIT_MAX),
	REASON,
};

static void pool_add_init(void *target)
{
	((struct body *)target)->pool_add.quarantine_ms = -1;
}

SCHEMA(body_pool_add, "PoolAdd", .init = pool_add_init);

static const struct field body_pool_set_fields[] = {
	PARSED("quarantine", struct body, pool_set.quarantine_ms, field_parse_duration,
	       HAS(struct body, pool_set.has_quarantine)),
	UINT("limit", struct body, pool_set.limit, 0, LIMIT_MAX,
	     HAS(struct body, pool_set.has_limit)),
	REASON,
};
SCHEMA(body_pool_set, "PoolSet");

/* --- vMACs ----------------------------------------------------------------------------------- */

/* P: how to get from a T to its struct body_vmac_add. */
#define VMAC_ADD_FIELDS(T, P)                                                                      \
	NAME("segment", T, P add.segment),                                                         \
	NAME("pool", T, P add.pool),                                                               \
	NAME("name", T, P add.name),                                                               \
	TEXT("owner", T, P add.owner, OWNER_MAX_LEN),                                              \
	TEXT("tenant", T, P add.tenant, OWNER_MAX_LEN),                                            \
	TEXT("note", T, P add.note, NOTE_MAX_LEN),                                                 \
	LIST("ips", T, P add.ips, P add.ip_count, VMAC_IPS_MAX, field_parse_ip),                   \
	PARSED("address", T, P pinned, field_parse_mac, HAS(T, P has_pinned)),                     \
	PARSED("adopt", T, P adopted, field_parse_mac, HAS(T, P has_adopted)),                     \
	TEXT("stable", T, P add.identity, NOTE_MAX_LEN),                                           \
	PARSED("ttl", T, P add.ttl_ms, field_parse_duration)

static const struct field body_vmac_add_fields[] = {
	VMAC_ADD_FIELDS(struct body, vmac_add.),
	REASON,
};

static int vmac_add_finish(struct body_vmac_add *v, struct error *ret_error)
{
	if (v->has_pinned + v->has_adopted + (v->add.identity[0] != '\0') > 1)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "address pins, adopt keeps one that is in use, stable derives one",
				 "address, adopt, stable: only one of them");
	v->add.has_address = v->has_pinned || v->has_adopted;
	v->add.adopted = v->has_adopted;
	v->add.address = v->has_adopted ? v->adopted : v->pinned;
	return 0;
}

static int body_vmac_add_finish(void *target, struct error *ret_error)
{
	return vmac_add_finish(&((struct body *)target)->vmac_add, ret_error);
}

SCHEMA(body_vmac_add, "VmacAdd", .finish = body_vmac_add_finish);

static const struct field body_vmac_allocate_fields[] = {
	VMAC_ADD_FIELDS(struct body_vmac_add, ),
};

static int allocate_finish(void *target, struct error *ret_error)
{
	return vmac_add_finish(target, ret_error);
}

SCHEMA(body_vmac_allocate, "VmacAllocate", .finish = allocate_finish);

static const struct field body_vmac_batch_fields[] = {
	NAME("segment", struct body, vmac_batch.segment),
	NAME("pool", struct body, vmac_batch.pool),
	UINT("count", struct body, vmac_batch.count, 1, VMAC_BATCH_MAX, REQUIRED),
	NAME("name_prefix", struct body, vmac_batch.name_prefix),
	TEXT("owner", struct body, vmac_batch.owner, OWNER_MAX_LEN),
	TEXT("tenant", struct body, vmac_batch.tenant, OWNER_MAX_LEN),
	TEXT("note", struct body, vmac_batch.note, NOTE_MAX_LEN),
	PARSED("ttl", struct body, vmac_batch.ttl_ms, field_parse_duration),
	REASON,
};
SCHEMA(body_vmac_batch, "VmacBatch");

static const struct field body_vmac_set_fields[] = {
	NAME("name", struct body, vmac_set.name),
	TEXT("owner", struct body, vmac_set.owner, OWNER_MAX_LEN),
	TEXT("tenant", struct body, vmac_set.tenant, OWNER_MAX_LEN),
	TEXT("note", struct body, vmac_set.note, NOTE_MAX_LEN),
	LIST("ips", struct body, vmac_set.ips, vmac_set.ip_count, VMAC_IPS_MAX, field_parse_ip,
	     HAS(struct body, vmac_set.has_ips)),
	PARSED("ttl", struct body, vmac_set.ttl_ms, field_parse_duration,
	       HAS(struct body, vmac_set.has_ttl)),
	REASON,
};
SCHEMA(body_vmac_set, "VmacSet", .absent_is_null = true);

static const struct field body_vmac_renew_fields[] = { REASON };
SCHEMA(body_vmac_renew, "VmacRenew");

/* --- ports ----------------------------------------------------------------------------------- */

static const struct field body_port_add_fields[] = {
	NAME("name", struct body, port_add.add.name, REQUIRED),
	PARSED("kind", struct body, port_add.add.kind, field_parse_port_kind, REQUIRED),
	NAME("segment", struct body, port_add.add.segment),
	TEXT("vmac", struct body, port_add.add.vmac, NAME_MAX_LEN),
	FIELD("allocate", FIELD_OBJECT, struct body, port_add.allocate,
	      .object = &body_vmac_allocate, HAS(struct body, port_add.has_allocate)),
	IFNAME("ifname", struct body, port_add.add.ifname),
	FIELD("netns", FIELD_PATH, struct body, port_add.add.peer_netns, .most = PATH_MAX_LEN),
	IFNAME("peer_ifname", struct body, port_add.add.peer_ifname),
	UINT("owner_uid", struct body, port_add.add.owner_uid, 0, UINT32_MAX - 1),
	UINT("owner_gid", struct body, port_add.add.owner_gid, 0, UINT32_MAX - 1),
	UINT("queues", struct body, port_add.add.queues, 1, QUEUES_MAX),
	UINT("mtu", struct body, port_add.add.mtu, MTU_LEAST, MTU_MOST),
	ALLOW(struct body, port_add.add.allow),
	UINT("flood_pps", struct body, port_add.add.flood_pps, 0, UINT32_MAX,
	     HAS(struct body, port_add.add.has_flood_pps)),
	LIST("routers", struct body, port_add.add.routers, port_add.add.router_count,
	     PORT_ROUTERS_MAX, field_parse_mac),
	BOOL("closed", struct body, port_add.add.closed),
	REASON,
};

static void port_add_init(void *target)
{
	struct port_add *a = &((struct body *)target)->port_add.add;

	a->owner_uid = UINT32_MAX;
	a->owner_gid = UINT32_MAX;
}

static int port_add_finish(void *target, struct error *ret_error)
{
	struct body_port_add *p = &((struct body *)target)->port_add;

	if (p->has_allocate && p->add.vmac[0])
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "vmac takes one that is there, allocate says how to get a new one",
				 "vmac, allocate: only one of them");
	p->add.allocate = p->allocate.add;
	return 0;
}

SCHEMA(body_port_add, "PortAdd", .init = port_add_init, .finish = port_add_finish);

static const struct field body_port_set_fields[] = {
	ALLOW(struct body, port_set.allow, HAS(struct body, port_set.has_allow)),
	UINT("flood_pps", struct body, port_set.flood_pps, 0, UINT32_MAX,
	     HAS(struct body, port_set.has_flood_pps)),
	LIST("routers", struct body, port_set.routers, port_set.router_count, PORT_ROUTERS_MAX,
	     field_parse_mac, HAS(struct body, port_set.has_routers)),
	PARSED("gate", struct body, port_set.gate, field_parse_gate,
	       HAS(struct body, port_set.has_gate)),
	REASON,
};
SCHEMA(body_port_set, "PortSet");
/* clang-format on */
