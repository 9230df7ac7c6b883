/* The counters, and what the reasons mean. */
#include <assert.h>

#include "base/cleanup.h"
#include "plane/internal.h"

static const struct {
	const char *name, *meaning;
} reasons[] = {
#define REASON_(constant, name, meaning) [DROP_##constant] = { name, meaning },
	VMAC_DROP_REASONS(REASON_)
#undef REASON_
};
static_assert(ARRAY_LEN(reasons) == DROP_REASON_COUNT, "every reason has a text");

unsigned int plane_drop_reason_count(void)
{
	return DROP_REASON_COUNT;
}

const char *plane_drop_reason_name(unsigned int reason)
{
	assert(reason < DROP_REASON_COUNT);
	return reasons[reason].name;
}

const char *plane_drop_reason_meaning(unsigned int reason)
{
	assert(reason < DROP_REASON_COUNT);
	return reasons[reason].meaning;
}

static int read_slot(struct plane *p, unsigned int slot, struct plane_counters *ret,
		     struct error *ret_error)
{
	const struct slot_drops *drops = tables_drops(&p->tables, slot);
	struct plane_counters c = { 0 };
	struct slot_counters sum;
	int r = tables_counters(&p->tables, slot, &sum);

	if (r < 0)
		return error_set(ret_error, ERROR_KERNEL_FAILED, NULL,
				 "cannot read the counters of slot %u", slot);
	c.rx_frames = sum.rx_frames;
	c.rx_octets = sum.rx_octets;
	c.tx_frames = sum.tx_frames;
	c.tx_octets = sum.tx_octets;
	c.last_seen.ns = (int64_t)sum.seen_ns;
	if (slot <= SLOT_PORTS)
		c.redirected = __atomic_load_n(&tables_gate(&p->tables, slot)->redirected,
					       __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < DROP_REASON_COUNT; i++)
		c.drops[i] = __atomic_load_n((const uint64_t *)&drops->frames[i], __ATOMIC_RELAXED);
	*ret = c;
	return 0;
}

int plane_port_counters(struct plane *p, uint32_t id, struct plane_counters *ret,
			struct error *ret_error)
{
	if (id < 1 || id > PORTS_MAX || !p->ports[id].ifindex)
		return error_set(ret_error, ERROR_NOT_FOUND, NULL, "the data plane has no port %u",
				 id);
	return read_slot(p, id, ret, ret_error);
}

int plane_uplink_counters(struct plane *p, unsigned int slot, struct plane_counters *ret,
			  struct error *ret_error)
{
	if (slot == 0)
		return read_slot(p, SLOT_NOBODY, ret, ret_error);
	if (slot > UPLINKS_MAX || !p->uplinks[slot].ifindex)
		return error_set(ret_error, ERROR_NOT_FOUND, NULL,
				 "the data plane has no uplink %u", slot);
	return read_slot(p, SLOT_UPLINK_0 + slot, ret, ret_error);
}

int plane_tunnel_counters(struct plane *p, struct plane_counters *ret, struct error *ret_error)
{
	if (!p->tunnel)
		return error_set(ret_error, ERROR_NOT_FOUND, NULL, "the data plane has no tunnel");
	return read_slot(p, SLOT_TUNNEL, ret, ret_error);
}
