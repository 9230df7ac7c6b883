/* Bringing the kernel in line with what was set, and leaving it altogether. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>

#include "plane/internal.h"

/* Swaps the programs that were left alone while the new maps were filled. */
static int swap_deferred(struct plane *p, struct error *ret_error)
{
	int r;

	if (!p->deferred)
		return 0;
	p->deferred = false;
	for (unsigned int slot = 1; slot <= UPLINKS_MAX; slot++) {
		if (!p->uplinks[slot].ifindex)
			continue;
		r = plane_attach_uplink(p, &p->uplinks[slot], ret_error);
		if (r < 0)
			return r;
	}
	for (unsigned int id = 1; id <= PORTS_MAX; id++) {
		if (!p->ports[id].ifindex)
			continue;
		r = plane_attach_port(p, &p->ports[id], ret_error);
		/* A link that vanished meanwhile is the engine's to notice. */
		if (r < 0 && ret_error->code != ERROR_NO_INTERFACE)
			return r;
	}
	if (p->tunnel) {
		r = plane_attach_tunnel(p, p->tunnel, ret_error);
		if (r < 0 && ret_error->code != ERROR_NO_INTERFACE)
			return r;
	}
	return plane_pin_maps(p, ret_error);
}

/* Entries of the forwarding table that no port and no uplink set since has: a process died in the
 * middle of a change. */
static unsigned int sweep_fdb(struct plane *p)
{
	uint64_t key, next, value;
	unsigned int removed = 0;
	int r = bpf_map_get_next_key(p->tables.fdb_fd, NULL, &next);

	while (r == 0) {
		unsigned int slot, net;
		bool stray;

		key = next;
		r = bpf_map_get_next_key(p->tables.fdb_fd, &key, &next);
		if (bpf_map_lookup_elem(p->tables.fdb_fd, &key, &value) < 0)
			continue;
		slot = FDB_SLOT(value);
		net = (unsigned int)(key & 0xffff);
		if (slot >= CLAIM_SLOT_0) {
			continue; /* plane_claims_sweep() */
		} else if (slot <= SLOT_PORTS) {
			const struct port_row *row = tables_row(&p->tables, slot);

			stray = !row || FDB_KEY(row->net, row->mac) != key;
		} else {
			stray = FDB_KEY(net, *tables_word(&p->tables.uplink_macs,
							  NET_UPLINK(net))) != key ||
				!HEAD_FIRST(*tables_word(&p->tables.heads, net));
		}
		if (stray && tables_fdb_clear(&p->tables, net, key >> 16) == 0)
			removed++;
	}
	return removed;
}

static unsigned int sweep_tables(struct plane *p)
{
	unsigned int removed = 0;

	for (unsigned int id = 1; id <= PORTS_MAX; id++)
		if (!p->ports[id].ifindex && plane_forget_port(p, id))
			removed++;
	for (unsigned int slot = 1; slot <= UPLINKS_MAX; slot++)
		if (!p->uplinks[slot].ifindex && plane_forget_uplink(p, slot))
			removed++;
	if (!p->tunnel && plane_forget_tunnel(p))
		removed++;
	return removed + sweep_fdb(p) + plane_claims_sweep(p);
}

static bool is_kept(void *ctx, const char *name)
{
	const struct plane *p = ctx;
	unsigned int number;

	if (strncmp(name, "router", 6) == 0)
		return true; /* plane_router_sweep()'s */
	if (!p->attach.tcx)
		return false;
	if (sscanf(name, "port%u", &number) == 1)
		return number <= PORTS_MAX && p->ports[number].ifindex;
	if (sscanf(name, "uplink%u", &number) == 1)
		return number <= UPLINKS_MAX && p->uplinks[number].ifindex;
	return strcmp(name, "tunnel") == 0 && p->tunnel;
}

static bool ifindex_is_set(const struct plane *p, int ifindex)
{
	uint64_t entry = tables_index(&p->tables, ifindex);
	unsigned int slot = ROW_SLOT(INDEX_LOW(entry));

	if (ifindex == p->tunnel)
		return true;
	if (entry & INDEX_UPLINK)
		return p->uplinks[(INDEX_LOW(entry) - SLOT_UPLINK_0) & 15].ifindex == ifindex;
	return slot && slot <= PORTS_MAX && p->ports[slot].ifindex == ifindex;
}

/* clsact filters of ours on links that nobody set.  `nets`: the drop nets go, too. */
static unsigned int sweep_filters(struct plane *p, bool nets)
{
	struct if_nameindex *all = if_nameindex();
	unsigned int removed = 0;

	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		int ifindex = (int)i->if_index;

		if (ifindex_is_set(p, ifindex))
			continue;
		if (attach_clear_filters(&p->attach, ifindex))
			removed++;
		if (nets)
			attach_drop_net_clear(&p->attach, ifindex);
	}
	if (all)
		if_freenameindex(all);
	return removed;
}

int plane_sweep(struct plane *p, unsigned int *ret_removed, struct error *ret_error)
{
	unsigned int removed;
	int r;

	r = swap_deferred(p, ret_error);
	if (r < 0)
		return r;
	removed = sweep_tables(p);
	removed += attach_sweep_links(&p->attach, is_kept, p);
	removed += sweep_filters(p, false);
	tables_release(&p->tables);
	*ret_removed = removed;
	return 0;
}

static bool keep_none(void *ctx, const char *name)
{
	return false;
}

int plane_purge(struct plane *p, struct error *ret_error)
{
	memset(p->ports, 0, sizeof(p->ports));
	memset(p->uplinks, 0, sizeof(p->uplinks));
	p->port_count = p->uplink_count = 0;
	p->tunnel = 0;
	routers_purge(p);
	clusters_purge(p);
	sweep_tables(p);
	attach_sweep_links(&p->attach, keep_none, NULL);
	sweep_filters(p, true);
	plane_drop_pins(p);
	return 0;
}
