/* Whose member a port's guest is.
 *
 * It follows from its address: a list a port, which the engine never sees.  After a restart a port
 * keeps its list until its clusters were set or swept. */
#include <string.h>

#include <bpf/bpf.h>

#include "plane/clusters.h"

static const struct cluster_known *member_with(const struct cluster_state *state, uint64_t mac)
{
	for (unsigned int i = 0; i < state->member_count; i++)
		if (state->members[i].mac == mac)
			return &state->members[i];
	return NULL;
}

/* What an earlier run wrote, of clusters that were not set yet. */
static unsigned int keep_unset(const struct clusters *cs, const struct port_clusters *old,
			       struct port_clusters *list)
{
	unsigned int count = 0;

	for (unsigned int i = 0; !cs->swept && i < PORT_CLUSTERS_MAX; i++)
		if (old->of[i] && !cs->of[PORT_CLUSTER_SLOT(old->of[i])].set)
			list->of[count++] = old->of[i];
	return count;
}

static void forget_link_local(struct plane *p, uint32_t port)
{
	const struct cluster_ip none = { { 0, 0 } };

	bpf_map_update_elem(p->clusters->fds.links, &port, &none, BPF_ANY);
}

bool plane_cluster_link_local(struct plane *p, uint32_t port, struct ip *ret)
{
	struct cluster_ip ip;

	if (bpf_map_lookup_elem(p->clusters->fds.links, &port, &ip) < 0 || !ip.word[0])
		return false;
	ret->family = 6;
	memcpy(ret->octet, &ip, sizeof(ip));
	return true;
}

uint32_t cluster_port_list(struct plane *p, unsigned int id, unsigned int net, uint64_t mac,
			   bool is_same)
{
	struct clusters *cs = p->clusters;
	struct port_clusters *now = array_at(&p->tables.port_clusters, id), list = { { 0 } };
	unsigned int count = is_same ? keep_unset(cs, now, &list) : 0;
	bool nat = count > 0; /* perhaps; the programs find out */

	if (!is_same)
		forget_link_local(p, id);
	for (unsigned int slot = 0; slot < CLUSTER_SLOTS; slot++) {
		const struct cluster_known *m;

		if (!cs->of[slot].set || cs->of[slot].net != net)
			continue;
		m = member_with(&cs->of[slot], mac);
		if (!m || count >= PORT_CLUSTERS_MAX)
			continue;
		list.of[count++] = PORT_CLUSTER(slot, m->id);
		nat |= cs->of[slot].nat;
	}
	for (unsigned int i = 0; i < PORT_CLUSTERS_MAX; i++)
		if (now->of[i] != list.of[i])
			__atomic_store_n(&now->of[i], list.of[i], __ATOMIC_RELEASE);
	return (count ? ROW_MEMBER : 0) | (nat ? ROW_NAT : 0);
}

void cluster_port_forget(struct plane *p, unsigned int id)
{
	struct port_clusters *now = array_at(&p->tables.port_clusters, id);

	forget_link_local(p, id);
	for (unsigned int i = PORT_CLUSTERS_MAX; i-- > 0;)
		if (now->of[i])
			__atomic_store_n(&now->of[i], 0, __ATOMIC_RELEASE);
}

void cluster_ports_refresh(struct plane *p, unsigned int net)
{
	for (unsigned int id = 1; id <= PORTS_MAX; id++) {
		const struct plane_port *port = &p->ports[id];

		if (!port->ifindex || NET_OF(port->net.slot, port->net.vlan) != net)
			continue;
		tables_say_member(
			&p->tables, id,
			cluster_port_list(p, id, net, plane_mac_word(port->address), true));
	}
}
