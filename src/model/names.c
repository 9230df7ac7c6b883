/* The names of the model's enums, as the API, the command line and the history write them. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/model.h"

static const char *const vmac_kinds[] = {
	[VMAC_STATION] = "station",
	[VMAC_ROUTER] = "router",
	[VMAC_CLUSTER] = "cluster",
};

static const char *const vmac_origins[] = {
	[VMAC_ALLOCATED] = "allocated",
	[VMAC_PINNED] = "pinned",
	[VMAC_ADOPTED] = "adopted",
	[VMAC_PROTOCOL] = "protocol",
};

static const char *const vmac_states[] = {
	[VMAC_RESERVED] = "reserved",
	[VMAC_BOUND] = "bound",
	[VMAC_MOVING] = "moving",
	[VMAC_QUARANTINED] = "quarantined",
	[VMAC_AWAY] = "away",
};

static const char *const port_kinds[] = {
	[PORT_TAP] = "tap",
	[PORT_VETH] = "veth",
	[PORT_NETDEV] = "netdev",
};

static const char *const port_gates[] = {
	[GATE_CLOSED] = "closed",
	[GATE_OPEN] = "open",
};

static const char *const change_kinds[] = {
	[CHANGE_SEGMENT] = "segment",
	[CHANGE_POOL] = "pool",
	[CHANGE_VMAC] = "vmac",
	[CHANGE_PORT] = "port",
	[CHANGE_ROUTER] = "router",
	[CHANGE_SHARED] = "shared",
	[CHANGE_CLUSTER] = "cluster",
};

_Static_assert(ARRAY_LEN(vmac_kinds) == VMAC_KIND_COUNT, "every kind has a name");
_Static_assert(ARRAY_LEN(vmac_origins) == VMAC_ORIGIN_COUNT, "every origin has a name");
_Static_assert(ARRAY_LEN(vmac_states) == VMAC_STATE_COUNT, "every state has a name");
_Static_assert(ARRAY_LEN(port_kinds) == PORT_KIND_COUNT, "every kind has a name");
_Static_assert(ARRAY_LEN(port_gates) == GATE_COUNT, "every gate has a name");
_Static_assert(ARRAY_LEN(change_kinds) == CHANGE_KIND_COUNT, "every kind has a name");

#define NAME_OF(names, v)                                                                          \
	({                                                                                         \
		assert((size_t)(v) < ARRAY_LEN(names));                                            \
		(names)[v];                                                                        \
	})

const char *vmac_kind_name(enum vmac_kind k)
{
	return NAME_OF(vmac_kinds, k);
}

const char *vmac_origin_name(enum vmac_origin o)
{
	return NAME_OF(vmac_origins, o);
}

const char *vmac_state_name(enum vmac_state s)
{
	return NAME_OF(vmac_states, s);
}

const char *port_kind_name(enum port_kind k)
{
	return NAME_OF(port_kinds, k);
}

const char *port_gate_name(enum port_gate g)
{
	return NAME_OF(port_gates, g);
}

const char *change_kind_name(enum change_kind k)
{
	return NAME_OF(change_kinds, k);
}

static int value_of(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -EINVAL;
}

int vmac_state_from_name(const char *name)
{
	return value_of(vmac_states, ARRAY_LEN(vmac_states), name);
}

int vmac_kind_from_name(const char *name)
{
	return value_of(vmac_kinds, ARRAY_LEN(vmac_kinds), name);
}

int vmac_origin_from_name(const char *name)
{
	return value_of(vmac_origins, ARRAY_LEN(vmac_origins), name);
}

int port_kind_from_name(const char *name)
{
	return value_of(port_kinds, ARRAY_LEN(port_kinds), name);
}
