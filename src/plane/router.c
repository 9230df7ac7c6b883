/* Leases of this host's virtual routers: see router.h and bpf/lease.h for the theory.
 *
 * What the kernel knows is the truth, as with ports: a slot's row, the keys that lead to it, its
 * bits and its addresses are taken over by the next process, set again by the election, and swept
 * where nobody did.  A slot's keys are gone before its row is written for another address, and a
 * reader compares the row with what it looked for; there is no grace period here, because the
 * thread of the elections must not wait for one. */
#include "plane/router.h"

#include <assert.h>
#include <errno.h>
#include <linux/if_vlan.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "plane/internal.h"

/* As set since plane_open(). */
struct known {
	bool set;
	unsigned int ip_count;
	struct router_ip_key *ips;
};

struct routers {
	struct array slots, maybe;
	int routers_fd, ips_fd, counts_fd;
	int cpus;
	struct router_counters *count_buffer; /* one a CPU */
	struct known known[ROUTER_SLOTS];
	uint16_t maybe_count[ROUTER_MAYBE_BITS]; /* keys that have the bit */
};

static int failed(int r, struct error *ret_error)
{
	return error_set(ret_error, r == -ENOMEM ? ERROR_NO_MEMORY : ERROR_KERNEL_FAILED, NULL,
			 "cannot write the BPF maps of the routers: %s", strerror(-r));
}

static struct router_slot *row_at(const struct routers *rs, unsigned int slot)
{
	return array_at(&rs->slots, slot);
}

/* --- bits ------------------------------------------------------------------------------------ */

static void maybe_add(struct routers *rs, uint64_t mac, bool add)
{
	uint32_t bit = ROUTER_MAYBE_BIT(mac);
	uint64_t *word = array_at(&rs->maybe, bit >> 6), mask = 1ULL << (bit & 63);

	rs->maybe_count[bit] = (uint16_t)(rs->maybe_count[bit] + (add ? 1 : -1));
	if (rs->maybe_count[bit])
		__atomic_store_n(word, *word | mask, __ATOMIC_RELEASE);
	else
		__atomic_store_n(word, *word & ~mask, __ATOMIC_RELEASE);
}

/* A process before us may have died between a key and its bit. */
static void maybe_count_all(struct routers *rs)
{
	struct router_key key, next;
	int r = bpf_map_get_next_key(rs->routers_fd, NULL, &next);

	memset(rs->maybe_count, 0, sizeof(rs->maybe_count));
	while (r == 0) {
		key = next;
		rs->maybe_count[ROUTER_MAYBE_BIT(key.mac)]++;
		r = bpf_map_get_next_key(rs->routers_fd, &key, &next);
	}
	for (unsigned int i = 0; i < ROUTER_MAYBE_BITS / 64; i++) {
		uint64_t word = 0;

		for (unsigned int bit = 0; bit < 64; bit++)
			word |= (uint64_t)(rs->maybe_count[i * 64 + bit] != 0) << bit;
		__atomic_store_n((uint64_t *)array_at(&rs->maybe, i), word, __ATOMIC_RELEASE);
	}
}

/* --- keys ------------------------------------------------------------------------------------ */

/* The slot that the key leads to, or -1. */
static int key_slot(const struct routers *rs, const struct router_key *key)
{
	uint32_t slot;

	return bpf_map_lookup_elem(rs->routers_fd, key, &slot) < 0 ? -1 : (int)slot;
}

static int key_set(struct routers *rs, const struct router_key *key, uint32_t slot)
{
	bool fresh = key_slot(rs, key) < 0;
	int r = bpf_map_update_elem(rs->routers_fd, key, &slot, BPF_ANY);

	if (r == 0 && fresh)
		maybe_add(rs, key->mac, true);
	return r;
}

static void key_clear(struct routers *rs, const struct router_key *key)
{
	if (bpf_map_delete_elem(rs->routers_fd, key) == 0)
		maybe_add(rs, key->mac, false);
}

static struct router_key key_of(const struct router_slot *row)
{
	return (struct router_key){ .mac = row->mac, .ifindex = row->ifindex };
}

static struct router_key lower_key_of(const struct router_slot *row)
{
	return (struct router_key){ row->mac, row->lower_ifindex, row->lower_vlan };
}

static int keys_set(struct routers *rs, unsigned int slot)
{
	struct router_key key = key_of(row_at(rs, slot)), lower = lower_key_of(row_at(rs, slot));
	int r = key_set(rs, &key, slot);

	return r < 0 || !lower.vlan ? r : key_set(rs, &lower, slot);
}

/* The slot has no address any more.  A key that leads elsewhere by now is another's. */
static void slot_clear(struct routers *rs, unsigned int slot)
{
	struct router_slot *row = row_at(rs, slot);
	struct router_key key = key_of(row), lower = lower_key_of(row);

	if (key_slot(rs, &key) == (int)slot)
		key_clear(rs, &key);
	if (lower.vlan && key_slot(rs, &lower) == (int)slot)
		key_clear(rs, &lower);
	__atomic_store_n(&row->until, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&row->mac, 0, __ATOMIC_RELEASE);
}

/* --- addresses that are not accepted --------------------------------------------------------- */

static struct router_ip_key ip_key_of(unsigned int slot, const struct ip *ip)
{
	struct router_ip_key key = { .slot = slot };

	if (ip->family == 4) {
		key.ip[10] = key.ip[11] = 0xff;
		memcpy(key.ip + 12, ip->octet, 4);
	} else {
		memcpy(key.ip, ip->octet, 16);
	}
	return key;
}

static bool has_ip(const struct known *k, const struct router_ip_key *key)
{
	for (unsigned int i = 0; i < k->ip_count; i++)
		if (memcmp(&k->ips[i], key, sizeof(*key)) == 0)
			return true;
	return false;
}

static void forget(struct routers *rs, unsigned int slot)
{
	struct known *k = &rs->known[slot];

	for (unsigned int i = 0; i < k->ip_count; i++)
		bpf_map_delete_elem(rs->ips_fd, &k->ips[i]);
	free(k->ips);
	*k = (struct known){ 0 };
}

/* Puts the new addresses in, which count from the moment that the row's flag is set. */
static int ips_add(struct routers *rs, const struct plane_router *r, struct known *ret,
		   struct error *ret_error)
{
	const uint8_t one = 1;

	*ret = (struct known){ .set = true };
	if (r->accept || r->ip_count == 0)
		return 0;
	ret->ips = calloc(r->ip_count, sizeof(*ret->ips));
	if (!ret->ips)
		return failed(-ENOMEM, ret_error);
	for (unsigned int i = 0; i < r->ip_count; i++) {
		struct router_ip_key key = ip_key_of(r->slot, &r->ips[i]);
		int e = bpf_map_update_elem(rs->ips_fd, &key, &one, BPF_ANY);

		if (e == -E2BIG)
			return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
					 "the routers that do not accept have more than %d "
					 "addresses together",
					 ROUTER_IPS_ALL);
		if (e < 0)
			return failed(e, ret_error);
		ret->ips[ret->ip_count++] = key;
	}
	return 0;
}

/* `now` takes the place of what was known; what only one of the two has goes. */
static void ips_swap(struct routers *rs, unsigned int slot, struct known *now, bool keep_now)
{
	struct known *k = &rs->known[slot], *stays = keep_now ? now : k, *goes = keep_now ? k : now;

	for (unsigned int i = 0; i < goes->ip_count; i++)
		if (!has_ip(stays, &goes->ips[i]))
			bpf_map_delete_elem(rs->ips_fd, &goes->ips[i]);
	free(goes->ips);
	if (keep_now)
		*k = *now;
}

/* --- routers --------------------------------------------------------------------------------- */

/* Of a VLAN device: what it stands on, and its number there. */
static void lower_of(int ifindex, struct router_slot *row)
{
	struct vlan_ioctl_args args = { .cmd = GET_VLAN_REALDEV_NAME_CMD };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char ifname[IF_NAMESIZE];
	unsigned int lower;

	static_assert(sizeof(args.device1) >= IF_NAMESIZE, "a name fits");
	if (fd < 0)
		return;
	if (!if_indextoname((unsigned int)ifindex, ifname))
		goto out;
	memcpy(args.device1, ifname, sizeof(ifname));
	if (ioctl(fd, SIOCGIFVLAN, &args) < 0)
		goto out;
	lower = if_nametoindex(args.u.device2);
	args.cmd = GET_VLAN_VID_CMD;
	memcpy(args.device1, ifname, sizeof(ifname));
	if (!lower || ioctl(fd, SIOCGIFVLAN, &args) < 0 || args.u.VID <= 0)
		goto out;
	row->lower_ifindex = lower;
	row->lower_vlan = (uint32_t)args.u.VID;
out:
	close(fd);
}

static int counters_clear(struct routers *rs, unsigned int slot)
{
	memset(rs->count_buffer, 0, (size_t)rs->cpus * sizeof(*rs->count_buffer));
	return bpf_map_update_elem(rs->counts_fd, &slot, rs->count_buffer, BPF_ANY);
}

static bool same_place(const struct router_slot *a, const struct router_slot *b)
{
	return a->mac == b->mac && a->ifindex == b->ifindex &&
	       a->lower_ifindex == b->lower_ifindex && a->lower_vlan == b->lower_vlan;
}

static int place_set(struct routers *rs, unsigned int slot, const struct router_slot *row)
{
	struct router_slot *old = row_at(rs, slot);
	int r;

	slot_clear(rs, slot);
	r = counters_clear(rs, slot);
	if (r < 0)
		return r;
	old->ifindex = row->ifindex;
	old->lower_ifindex = row->lower_ifindex;
	old->lower_vlan = row->lower_vlan;
	__atomic_store_n(&old->flags, row->flags, __ATOMIC_RELEASE);
	__atomic_store_n(&old->mac, row->mac, __ATOMIC_RELEASE);
	r = keys_set(rs, slot);
	if (r < 0)
		slot_clear(rs, slot);
	return r;
}

int plane_router_set(struct plane *p, const struct plane_router *router, struct error *ret_error)
{
	struct router_slot row = { .mac = plane_mac_word(router->address),
				   .ifindex = (uint32_t)router->ifindex,
				   .flags = router->accept ? 0 : ROUTER_NO_ACCEPT };
	struct router_key key = key_of(&row);
	struct routers *rs = p->routers;
	struct known now;
	int holder, r;

	assert(router->slot < PLANE_ROUTERS_MAX);
	assert(router->ip_count <= PLANE_ROUTER_IPS_MAX);
	holder = key_slot(rs, &key);
	if (holder >= 0 && holder != (int)router->slot) {
		if (rs->known[holder].set)
			return error_set(ret_error, ERROR_IN_USE, NULL,
					 "another router has that address on interface %d",
					 router->ifindex);
		slot_clear(rs, (unsigned int)holder); /* of an earlier run */
	}
	r = ips_add(rs, router, &now, ret_error);
	if (r == 0) {
		lower_of(router->ifindex, &row);
		if (!same_place(row_at(rs, router->slot), &row))
			r = place_set(rs, router->slot, &row);
		if (r < 0)
			failed(r, ret_error);
	}
	if (r == 0)
		__atomic_store_n(&row_at(rs, router->slot)->flags, row.flags, __ATOMIC_RELEASE);
	ips_swap(rs, router->slot, &now, r == 0);
	return r;
}

int plane_router_remove(struct plane *p, unsigned int slot, struct error *ret_error)
{
	struct routers *rs = p->routers;

	if (slot >= PLANE_ROUTERS_MAX || !rs->known[slot].set)
		return error_set(ret_error, ERROR_NOT_FOUND, NULL,
				 "the data plane has no router in slot %u", slot);
	slot_clear(rs, slot);
	forget(rs, slot);
	return 0;
}

void plane_router_lease(struct plane *p, unsigned int slot, mono_t until)
{
	assert(slot < PLANE_ROUTERS_MAX);
	__atomic_store_n(&row_at(p->routers, slot)->until, (uint64_t)(until.ns > 0 ? until.ns : 0),
			 __ATOMIC_RELEASE);
}

int plane_router_counters(struct plane *p, unsigned int slot, struct plane_router_counters *ret,
			  struct error *ret_error)
{
	struct plane_router_counters sum = { 0 };
	struct routers *rs = p->routers;
	int r;

	if (slot >= PLANE_ROUTERS_MAX || !rs->known[slot].set)
		return error_set(ret_error, ERROR_NOT_FOUND, NULL,
				 "the data plane has no router in slot %u", slot);
	r = bpf_map_lookup_elem(rs->counts_fd, &slot, rs->count_buffer);
	if (r < 0)
		return error_set(ret_error, ERROR_KERNEL_FAILED, NULL,
				 "cannot read the counters of router slot %u: %s", slot,
				 strerror(-r));
	for (int cpu = 0; cpu < rs->cpus; cpu++) {
		const struct router_counters *c = &rs->count_buffer[cpu];

		sum.passed_out += c->passed_out;
		sum.passed_in += c->passed_in;
		sum.stopped_out += c->stopped_out;
		sum.stopped_in += c->stopped_in;
		sum.not_accepted += c->not_accepted;
	}
	*ret = sum;
	return 0;
}

/* --- sweeping -------------------------------------------------------------------------------- */

static unsigned int sweep_slots(struct routers *rs)
{
	unsigned int removed = 0;

	for (unsigned int slot = 0; slot < ROUTER_SLOTS; slot++)
		if (!rs->known[slot].set && row_at(rs, slot)->mac) {
			slot_clear(rs, slot);
			removed++;
		}
	return removed;
}

/* Keys whose row says something else: a process died in the middle of a change. */
static unsigned int sweep_keys(struct routers *rs)
{
	struct router_key key, next;
	unsigned int removed = 0;
	int r = bpf_map_get_next_key(rs->routers_fd, NULL, &next);

	while (r == 0) {
		const struct router_slot *row;
		int slot;

		key = next;
		r = bpf_map_get_next_key(rs->routers_fd, &key, &next);
		slot = key_slot(rs, &key);
		if (slot < 0)
			continue;
		row = row_at(rs, slot);
		if (row->mac == key.mac &&
		    (key.vlan ? row->lower_ifindex == key.ifindex && row->lower_vlan == key.vlan
			      : row->ifindex == key.ifindex))
			continue;
		key_clear(rs, &key);
		removed++;
	}
	return removed;
}

static unsigned int sweep_ips(struct routers *rs)
{
	struct router_ip_key key, next;
	unsigned int removed = 0;
	int r = bpf_map_get_next_key(rs->ips_fd, NULL, &next);

	while (r == 0) {
		key = next;
		r = bpf_map_get_next_key(rs->ips_fd, &key, &next);
		if (key.slot < ROUTER_SLOTS && has_ip(&rs->known[key.slot], &key))
			continue;
		if (bpf_map_delete_elem(rs->ips_fd, &key) == 0)
			removed++;
	}
	return removed;
}

int plane_router_sweep(struct plane *p, unsigned int *ret_removed, struct error *ret_error)
{
	struct routers *rs = p->routers;
	unsigned int removed;
	int r = router_links_sweep(p, &removed, ret_error);

	if (r < 0)
		return r;
	removed += sweep_slots(rs) + sweep_keys(rs) + sweep_ips(rs);
	array_release(&rs->slots);
	*ret_removed = removed;
	return 0;
}

void routers_purge(struct plane *p)
{
	struct routers *rs = p->routers;

	for (unsigned int slot = 0; slot < ROUTER_SLOTS; slot++)
		forget(rs, slot);
	sweep_slots(rs);
	sweep_ips(rs);
	router_links_purge(p);
}

/* --- life ------------------------------------------------------------------------------------ */

int routers_open(struct plane *p, const struct routers_fds *fds, bool deferred)
{
	struct routers *rs = calloc(1, sizeof(*rs));
	int r;

	if (!rs)
		return -ENOMEM;
	p->routers = rs;
	p->router_links.deferred = deferred;
	rs->routers_fd = fds->routers;
	rs->ips_fd = fds->ips;
	rs->counts_fd = fds->counts;
	rs->cpus = libbpf_num_possible_cpus();
	if (rs->cpus < 0)
		return rs->cpus;
	rs->count_buffer = calloc((size_t)rs->cpus, sizeof(*rs->count_buffer));
	if (!rs->count_buffer)
		return -ENOMEM;
	r = array_open(&rs->slots, fds->slots, ROUTER_SLOTS, sizeof(struct router_slot));
	if (r == 0)
		r = array_open(&rs->maybe, fds->maybe, ROUTER_MAYBE_BITS / 64, sizeof(uint64_t));
	if (r == 0)
		maybe_count_all(rs);
	return r;
}

void routers_close(struct routers *rs)
{
	if (!rs)
		return;
	for (unsigned int slot = 0; slot < ROUTER_SLOTS; slot++)
		free(rs->known[slot].ips);
	array_close(&rs->slots);
	array_close(&rs->maybe);
	free(rs->count_buffer);
	free(rs);
}
