/* The tunnel for stragglers, as the control plane sets it: a link, nets' numbers, peers.
 *
 * Peers and numbers are pinned with the other maps and hold over a restart; the engine sets them
 * anew, and with no tunnel set after a start plane_sweep() takes them away with its program. */
#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include <bpf/bpf.h>

#include "plane/internal.h"

#define NAME	"tunnel"
#define VNI_MAX ((1u << 24) - 1)

struct tunnel_ip tunnel_ip_of(const struct ip *ip)
{
	uint8_t octets[16] = { [10] = 0xff, [11] = 0xff };
	struct tunnel_ip t;

	assert(ip->family == 4 || ip->family == 6);
	if (ip->family == 4)
		memcpy(octets + 12, ip->octet, 4);
	else
		memcpy(octets, ip->octet, sizeof(octets));
	memcpy(&t, octets, sizeof(t));
	return t;
}

static int map_failed(int r, struct error *ret_error)
{
	if (r == -E2BIG)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "the tunnel has at most %d peers and %d segments",
				 TUNNEL_PEERS_MAX, TUNNEL_NETS);
	return error_set(ret_error, r == -ENOMEM ? ERROR_NO_MEMORY : ERROR_KERNEL_FAILED, NULL,
			 "cannot write the BPF maps: %s", strerror(-r));
}

int plane_attach_tunnel(struct plane *p, int ifindex, struct error *ret_error)
{
	return attach_set(&p->attach, NAME, ifindex, ATTACH_TUNNEL,
			  plane_program_fd(p, PROGRAM_TUNNEL_IN), p->deferred, ret_error);
}

static void clear_map(int fd, size_t key_size)
{
	uint8_t key[sizeof(struct tunnel_ip)];

	assert(key_size <= sizeof(key));
	while (bpf_map_get_next_key(fd, NULL, key) == 0 && bpf_map_delete_elem(fd, key) == 0)
		;
}

static int unset(struct plane *p)
{
	struct tunnel_conf *conf = tables_tunnel(&p->tables);
	int old = (int)conf->ifindex;

	__atomic_store_n(&conf->ifindex, 0, __ATOMIC_RELEASE);
	if (old)
		attach_clear(&p->attach, NAME, old, ATTACH_TUNNEL);
	return old;
}

bool plane_forget_tunnel(struct plane *p)
{
	int old = unset(p);

	/* The net behind stays, as that of a port: the link lives on and belongs to nobody. */
	clear_map(p->peers_fd, sizeof(struct tunnel_ip));
	clear_map(p->vnis_fd, sizeof(__u32));
	clear_map(p->nets_fd, sizeof(__u32));
	tables_tunnel(&p->tables)->has_local = 0;
	tables_counters_clear(&p->tables, SLOT_TUNNEL);
	return old != 0;
}

static int check_link(struct plane *p, int ifindex, struct error *ret_error)
{
	char ifname[IF_NAMESIZE];

	if (ifindex <= 0 || !if_indextoname((unsigned int)ifindex, ifname))
		return error_set(ret_error, ERROR_NO_INTERFACE, NULL, "interface %d does not exist",
				 ifindex);
	for (unsigned int slot = 1; slot <= UPLINKS_MAX; slot++)
		if (p->uplinks[slot].ifindex == ifindex)
			return error_set(ret_error, ERROR_INTERFACE_IN_USE, NULL,
					 "interface %d is uplink %u already", ifindex, slot);
	for (unsigned int id = 1; id <= PORTS_MAX; id++)
		if (p->ports[id].ifindex == ifindex)
			return error_set(ret_error, ERROR_INTERFACE_IN_USE, NULL,
					 "interface %d is port %u already", ifindex, id);
	return 0;
}

int plane_tunnel_set(struct plane *p, int ifindex, struct error *ret_error)
{
	struct tunnel_conf *conf = tables_tunnel(&p->tables);
	int r;

	if (!ifindex) {
		r = unset(p);
		if (r)
			attach_drop_net_clear(&p->attach, r);
		p->tunnel = 0;
		return 0;
	}
	r = check_link(p, ifindex, ret_error);
	if (r < 0)
		return r;
	if (conf->ifindex && (int)conf->ifindex != ifindex)
		unset(p);
	r = attach_drop_net_set(&p->attach, ifindex, plane_program_fd(p, PROGRAM_DROP_NET),
				ret_error);
	if (r == 0)
		r = plane_attach_tunnel(p, ifindex, ret_error);
	if (r < 0)
		return r;
	__atomic_store_n(&conf->ifindex, (__u32)ifindex, __ATOMIC_RELEASE);
	p->tunnel = ifindex;
	return 0;
}

int plane_tunnel_local(struct plane *p, const struct ip *local, struct error *ret_error)
{
	struct tunnel_conf *conf = tables_tunnel(&p->tables);
	struct tunnel_ip t;
	int r;

	if (!local->family) {
		__atomic_store_n(&conf->has_local, 0, __ATOMIC_RELEASE);
		return 0;
	}
	t = tunnel_ip_of(local);
	if (conf->has_local && memcmp(&conf->local, &t, sizeof(t)) == 0)
		return 0;
	__atomic_store_n(&conf->has_local, 0, __ATOMIC_RELEASE);
	r = tables_grace(&p->tables); /* a frame has half of the old one */
	if (r < 0)
		return map_failed(r, ret_error);
	conf->local = t;
	__atomic_store_n(&conf->has_local, 1, __ATOMIC_RELEASE);
	return 0;
}

static int forget_number(int fd, uint32_t key)
{
	int r = bpf_map_delete_elem(fd, &key);

	return r == -ENOENT ? 0 : r;
}

int plane_tunnel_net(struct plane *p, const struct plane_net *net, uint32_t vni,
		     struct error *ret_error)
{
	uint32_t number = NET_OF(net->slot, net->vlan), old, other;
	int r = 0;

	assert(vni <= VNI_MAX);
	if (vni && bpf_map_lookup_elem(p->vnis_fd, &vni, &other) == 0 && other != number)
		return error_set(ret_error, ERROR_ADDRESS_IN_USE, NULL,
				 "another segment of this host has number %u in the tunnel", vni);
	if (bpf_map_lookup_elem(p->nets_fd, &number, &old) == 0 && old != vni) {
		r = forget_number(p->vnis_fd, old);
		if (r == 0 && !vni)
			r = forget_number(p->nets_fd, number);
	}
	if (r == 0 && vni)
		r = bpf_map_update_elem(p->vnis_fd, &vni, &number, BPF_ANY);
	if (r == 0 && vni)
		r = bpf_map_update_elem(p->nets_fd, &number, &vni, BPF_ANY);
	return r < 0 ? map_failed(r, ret_error) : 0;
}

int plane_tunnel_peer(struct plane *p, const struct ip *peer, bool known, struct error *ret_error)
{
	struct tunnel_ip key = tunnel_ip_of(peer);
	uint8_t one = 1;
	int r;

	if (known)
		r = bpf_map_update_elem(p->peers_fd, &key, &one, BPF_ANY);
	else
		r = bpf_map_delete_elem(p->peers_fd, &key);
	return r < 0 && r != -ENOENT ? map_failed(r, ret_error) : 0;
}
