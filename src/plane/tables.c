/* The shared tables: see tables.h for the theory. */
#include "plane/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"

static inline uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* --- life ------------------------------------------------------------------------------------ */

/* The map in a map whose update is our grace period. */
static int open_grace(struct tables *t)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);

	t->grace_inner_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "vmac_grace_in", 4, 8, 1, NULL);
	if (t->grace_inner_fd < 0)
		return t->grace_inner_fd;
	opts.inner_map_fd = (__u32)t->grace_inner_fd;
	t->grace_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "vmac_grace", 4, 4, 1, &opts);
	return t->grace_fd < 0 ? t->grace_fd : 0;
}

static const struct {
	size_t at, fd; /* in struct tables, in struct tables_fds */
	size_t count, value;
} arrays[] = {
#define ARRAY_(name, count, value)                                                                 \
	{                                                                                          \
		offsetof(struct tables, name), offsetof(struct tables_fds, name), count, value     \
	}
	ARRAY_(index_near, INDEX_NEAR, sizeof(uint64_t)),
	ARRAY_(members, SLOT_COUNT, sizeof(uint64_t)),
	ARRAY_(heads, NET_COUNT, sizeof(uint64_t)),
	ARRAY_(uplink_macs, 16, sizeof(uint64_t)),
	ARRAY_(fdb_near, FDB_NEAR_ENTRIES, sizeof(uint64_t)),
	ARRAY_(rows, ROW_COUNT, sizeof(struct port_row)),
	ARRAY_(drops, SLOT_COUNT, sizeof(struct slot_drops)),
	ARRAY_(claims, CLAIMS_MAX, sizeof(struct claim)),
	ARRAY_(gates, SLOT_PORTS + 1, sizeof(struct gate_slot)),
	ARRAY_(tunnel, 1, sizeof(struct tunnel_conf)),
	ARRAY_(port_clusters, SLOT_PORTS + 1, sizeof(struct port_clusters)),
#undef ARRAY_
};

static struct array *array_of(struct tables *t, size_t i)
{
	return (struct array *)((char *)t + arrays[i].at);
}

static int arrays_open(struct tables *t, const struct tables_fds *fds)
{
	for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
		int fd = *(const int *)((const char *)fds + arrays[i].fd);
		int r = array_open(array_of(t, i), fd, arrays[i].count, arrays[i].value);

		if (r < 0)
			return r;
	}
	return 0;
}

void tables_release(struct tables *t)
{
	for (size_t i = 0; i < ARRAY_LEN(arrays); i++)
		array_release(array_of(t, i));
}

int tables_open(struct tables *t, const struct tables_fds *fds)
{
	int r;

	memset(t, 0, sizeof(*t));
	t->index_far_fd = fds->index_far;
	t->fdb_fd = fds->fdb;
	t->counters_fd = fds->counters;
	t->grace_fd = t->grace_inner_fd = -1;
	t->cpus = libbpf_num_possible_cpus();
	if (t->cpus < 0)
		return t->cpus;
	t->counter_buffer = calloc((size_t)t->cpus, sizeof(struct slot_counters));
	r = t->counter_buffer ? arrays_open(t, fds) : -ENOMEM;
	if (r == 0)
		r = open_grace(t);
	/* A process before us may have died just after giving a row up. */
	if (r == 0)
		r = tables_grace(t);
	if (r < 0)
		tables_close(t);
	return r;
}

void tables_close(struct tables *t)
{
	for (size_t i = 0; i < ARRAY_LEN(arrays); i++)
		array_close(array_of(t, i));
	if (t->grace_fd >= 0)
		close(t->grace_fd);
	if (t->grace_inner_fd >= 0)
		close(t->grace_inner_fd);
	free(t->counter_buffer);
	memset(t, 0, sizeof(*t));
	t->grace_fd = t->grace_inner_fd = -1;
}

int tables_grace(struct tables *t)
{
	uint32_t zero = 0;
	int r = bpf_map_update_elem(t->grace_fd, &zero, &t->grace_inner_fd, BPF_ANY);

	if (r < 0)
		return r;
	t->epoch++;
	return 0;
}

/* Returns when a program that began before `epoch` can no longer run. */
static int wait_for(struct tables *t, uint64_t epoch)
{
	return epoch > t->epoch ? tables_grace(t) : 0;
}

/* --- index and rows -------------------------------------------------------------------------- */

uint64_t tables_index(const struct tables *t, int ifindex)
{
	uint32_t key = (uint32_t)ifindex;
	uint64_t entry;

	if (key < INDEX_NEAR)
		return load(tables_word(&t->index_near, key));
	return bpf_map_lookup_elem(t->index_far_fd, &key, &entry) < 0 ? 0 : entry;
}

int tables_index_set(struct tables *t, int ifindex, uint64_t entry)
{
	uint32_t key = (uint32_t)ifindex;
	int r = 0;

	if (key < INDEX_NEAR) {
		store(tables_word(&t->index_near, key), entry);
		return 0;
	}
	if (entry)
		return bpf_map_update_elem(t->index_far_fd, &key, &entry, BPF_ANY);
	r = bpf_map_delete_elem(t->index_far_fd, &key);
	return r == -ENOENT ? 0 : r;
}

static int row_active(const struct tables *t, unsigned int slot)
{
	for (int which = 0; which < 2; which++) {
		unsigned int number = ROW_OF(slot, (unsigned int)which);
		const struct port_row *row = array_at(&t->rows, number);

		if (row->ifindex && tables_index(t, (int)row->ifindex) == number)
			return which;
	}
	return -1;
}

struct port_row *tables_row(const struct tables *t, unsigned int slot)
{
	int which = row_active(t, slot);

	return which < 0 ? NULL : tables_any_row(t, slot, (unsigned int)which);
}

int tables_row_set(struct tables *t, unsigned int slot, const struct port_row *row)
{
	int which = row_active(t, slot), r;
	unsigned int number = ROW_OF(slot, which == 0 ? 1u : 0u);
	int old_ifindex = 0;

	if (which >= 0) {
		const struct port_row *old = tables_any_row(t, slot, (unsigned int)which);

		if (memcmp(old, row, sizeof(*row)) == 0)
			return 0;
		old_ifindex = (int)old->ifindex;
	}
	r = wait_for(t, t->row_free[slot]);
	if (r < 0)
		return r;
	*(struct port_row *)array_at(&t->rows, number) = *row;
	r = tables_index_set(t, (int)row->ifindex, number);
	if (r < 0)
		return r;
	if (which >= 0)
		t->row_free[slot] = t->epoch + 1;
	return old_ifindex && old_ifindex != (int)row->ifindex ? tables_index_set(t, old_ifindex, 0)
							       : 0;
}

int tables_row_clear(struct tables *t, unsigned int slot)
{
	const struct port_row *row = tables_row(t, slot);

	if (!row)
		return 0;
	t->row_free[slot] = t->epoch + 1;
	return tables_index_set(t, (int)row->ifindex, 0);
}

/* --- forwarding table ------------------------------------------------------------------------ */

unsigned int tables_fdb(const struct tables *t, unsigned int net, uint64_t mac)
{
	uint64_t key = FDB_KEY(net, mac), value;

	return bpf_map_lookup_elem(t->fdb_fd, &key, &value) < 0 ? SLOT_NOBODY : FDB_SLOT(value);
}

int tables_fdb_set(struct tables *t, unsigned int net, uint64_t mac, unsigned int slot)
{
	uint64_t key = FDB_KEY(net, mac), value = FDB_VALUE(slot, mac), old;
	uint64_t *near = tables_word(&t->fdb_near, FDB_NEAR_PLACE(net, mac));
	int r;

	/* An update takes a fresh entry and frees the old one: not for nothing. */
	if (bpf_map_lookup_elem(t->fdb_fd, &key, &old) < 0 || old != value) {
		r = bpf_map_update_elem(t->fdb_fd, &key, &value, BPF_ANY);
		if (r < 0)
			return r;
	}
	if (load(near) == 0 || load(near) == FDB_NEAR_ASK || load(near) >> 16 == mac)
		store(near, value);
	return 0;
}

int tables_fdb_clear(struct tables *t, unsigned int net, uint64_t mac)
{
	uint64_t key = FDB_KEY(net, mac),
		 *near = tables_word(&t->fdb_near, FDB_NEAR_PLACE(net, mac));
	int r;

	/* Not empty: others may have their place here, too. */
	if (load(near) >> 16 == mac)
		store(near, FDB_NEAR_ASK);
	r = bpf_map_delete_elem(t->fdb_fd, &key);
	return r == -ENOENT ? 0 : r;
}

/* --- members and their lists ----------------------------------------------------------------- */

void tables_member_set(struct tables *t, unsigned int slot, uint32_t ifindex, unsigned int mtu)
{
	uint64_t next = MEMBER_NEXT(load(tables_word(&t->members, slot)));

	store(tables_word(&t->members, slot), MEMBER(ifindex, mtu > 0xffff ? 0xffff : mtu, next));
}

/* The next slot in the list behind `slot`; a damaged list ends instead of leading out of bounds. */
static unsigned int next_of(const struct tables *t, unsigned int slot)
{
	unsigned int next = MEMBER_NEXT(load(tables_word(&t->members, slot)));

	return next <= SLOT_PORTS ? next : 0;
}

static unsigned int first_of(const struct tables *t, unsigned int net)
{
	uint32_t first = HEAD_FIRST(load(tables_word(&t->heads, net)));

	return first <= SLOT_PORTS ? first : 0;
}

static void set_first(struct tables *t, unsigned int net, unsigned int first)
{
	uint64_t *head = tables_word(&t->heads, net);

	store(head, (load(head) & ~0xffffffffULL) | first);
}

void tables_head_mark(struct tables *t, unsigned int net, uint64_t marks)
{
	uint64_t *head = tables_word(&t->heads, net), was = load(head);
	uint64_t now = HEAD_FIRST(was) | marks;

	if (now != was)
		store(head, now);
}

static void set_next(struct tables *t, unsigned int slot, unsigned int next)
{
	uint64_t m = load(tables_word(&t->members, slot));

	store(tables_word(&t->members, slot), MEMBER(MEMBER_IFINDEX(m), MEMBER_MTU(m), next));
}

unsigned int tables_list_count(const struct tables *t, unsigned int net)
{
	unsigned int count = 0;

	for (unsigned int slot = first_of(t, net); slot && count < SLOT_PORTS;
	     slot = next_of(t, slot))
		count++;
	return count;
}

bool tables_list_has(const struct tables *t, unsigned int net, unsigned int wanted)
{
	unsigned int count = 0;

	for (unsigned int slot = first_of(t, net); slot && count < SLOT_PORTS;
	     slot = next_of(t, slot), count++)
		if (slot == wanted)
			return true;
	return false;
}

int tables_list_add(struct tables *t, unsigned int net, unsigned int slot)
{
	int r;

	if (tables_list_has(t, net, slot))
		return 0;
	r = wait_for(t, t->place_free[slot]);
	if (r < 0)
		return r;
	set_next(t, slot, first_of(t, net));
	set_first(t, net, slot);
	return 0;
}

void tables_list_remove(struct tables *t, unsigned int net, unsigned int wanted)
{
	unsigned int count = 0;

	if (first_of(t, net) == wanted) {
		set_first(t, net, next_of(t, wanted));
		t->place_free[wanted] = t->epoch + 1;
		return;
	}
	for (unsigned int slot = first_of(t, net); slot && count < SLOT_PORTS;
	     slot = next_of(t, slot), count++)
		if (next_of(t, slot) == wanted) {
			set_next(t, slot, next_of(t, wanted));
			t->place_free[wanted] = t->epoch + 1;
			return;
		}
}

/* --- gates ----------------------------------------------------------------------------------- */

void tables_say_open(struct tables *t, unsigned int slot, bool open)
{
	uint64_t *member = tables_word(&t->members, slot), m = load(member);
	uint32_t ifindex = MEMBER_IFINDEX(m) & ~MEMBER_GATED;

	if (ifindex)
		store(member, MEMBER(open ? ifindex : ifindex | MEMBER_GATED, MEMBER_MTU(m),
				     MEMBER_NEXT(m)));
	for (unsigned int which = 0; which < 2; which++) {
		struct port_row *row = tables_any_row(t, slot, which);
		uint32_t flags = open ? row->flags | ROW_OPEN : row->flags & ~ROW_OPEN;

		if (row->ifindex && flags != row->flags)
			__atomic_store_n(&row->flags, flags, __ATOMIC_RELEASE);
	}
}

void tables_say_member(struct tables *t, unsigned int slot, uint32_t is_member)
{
	uint64_t *member = tables_word(&t->members, slot), m = load(member);
	uint32_t ifindex = MEMBER_IFINDEX(m);
	uint32_t now = is_member ? ifindex | MEMBER_CLUSTERED : ifindex & ~MEMBER_CLUSTERED;

	if ((ifindex & ~MEMBER_FLAGS) && now != ifindex)
		store(member, MEMBER(now, MEMBER_MTU(m), MEMBER_NEXT(m)));
	for (unsigned int which = 0; which < 2; which++) {
		struct port_row *row = tables_any_row(t, slot, which);
		uint32_t flags = (row->flags & ~(ROW_MEMBER | ROW_NAT)) | is_member;

		if (row->ifindex && flags != row->flags)
			__atomic_store_n(&row->flags, flags, __ATOMIC_RELEASE);
	}
}

int tables_peer_set(struct tables *t, unsigned int slot, struct tunnel_ip peer)
{
	struct gate_slot *g = tables_gate(t, slot);
	int which = load((uint64_t *)&g->word) & GATE_PEER_1 ? 0 : 1;
	int r = wait_for(t, t->peer_free[slot]);

	if (r < 0)
		return r;
	g->peer[which] = peer;
	/* The other one may be read until the word names this one, and a little longer. */
	t->peer_free[slot] = t->epoch + 1;
	return which;
}

/* --- counters -------------------------------------------------------------------------------- */

int tables_counters(struct tables *t, unsigned int slot, struct slot_counters *ret)
{
	const struct slot_counters *each = t->counter_buffer;
	struct slot_counters sum = { 0 };
	int r = bpf_map_lookup_elem(t->counters_fd, &slot, t->counter_buffer);

	if (r < 0)
		return r;
	for (int cpu = 0; cpu < t->cpus; cpu++) {
		sum.rx_frames += each[cpu].rx_frames;
		sum.rx_octets += each[cpu].rx_octets;
		sum.tx_frames += each[cpu].tx_frames;
		sum.tx_octets += each[cpu].tx_octets;
		if (each[cpu].seen_ns > sum.seen_ns)
			sum.seen_ns = each[cpu].seen_ns;
	}
	*ret = sum;
	return 0;
}

int tables_counters_clear(struct tables *t, unsigned int slot)
{
	memset(t->counter_buffer, 0, (size_t)t->cpus * sizeof(struct slot_counters));
	memset(tables_drops(t, slot), 0, sizeof(struct slot_drops));
	return bpf_map_update_elem(t->counters_fd, &slot, t->counter_buffer, BPF_ANY);
}
