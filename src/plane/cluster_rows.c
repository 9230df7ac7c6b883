/* Clusters: rows, leases, flows, counters. */
#include "plane/clusters.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/cleanup.h"

static_assert(sizeof(struct balance_row) == sizeof(uint32_t) &&
		      __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	      "the rows are copied as they are: first in the low half, even rows first");

#define ROWS_SIZE (CLUSTER_ROW_WORDS * sizeof(uint64_t))

static bool bit_of(const uint8_t *bits, unsigned int id)
{
	return bits[(id - 1) / 8] >> ((id - 1) & 7) & 1;
}

static struct clusters *find(struct plane *p, unsigned int slot)
{
	return slot < CLUSTER_SLOTS && p->clusters->of[slot].set ? p->clusters : NULL;
}

/* --- rows ------------------------------------------------------------------------------------ */

void cluster_prioritise(struct clusters *cs, unsigned int slot, unsigned int set)
{
	const struct cluster_state *s = &cs->of[slot];
	const struct cluster_known *first = NULL, *second = NULL;

	for (unsigned int i = 0; i < s->member_count; i++) {
		const struct cluster_known *m = &s->members[i];

		if (m->state != MEMBER_ACTIVE || !bit_of(s->fresh, m->id))
			continue;
		if (!first || m->priority > first->priority) {
			second = first;
			first = m;
		} else if (!second || m->priority > second->priority) {
			second = m;
		}
	}
	__atomic_store_n(&cs->slots[slot].priority[set],
			 (first ? first->id : 0u) | (second ? second->id : 0u) << 16,
			 __ATOMIC_RELEASE);
}

static bool is_active(const struct cluster_state *s, uint32_t id)
{
	for (unsigned int i = 0; id && i < s->member_count; i++)
		if (s->members[i].id == id)
			return s->members[i].state == MEMBER_ACTIVE;
	return false;
}

void cluster_prioritise_anew(struct clusters *cs, unsigned int slot, unsigned int set)
{
	uint32_t chosen = __atomic_load_n(&cs->slots[slot].priority[set], __ATOMIC_ACQUIRE);
	uint32_t first = chosen & 0xffff, second = chosen >> 16;

	if (!is_active(&cs->of[slot], second))
		second = 0;
	if (!is_active(&cs->of[slot], first)) {
		first = second;
		second = 0;
	}
	__atomic_store_n(&cs->slots[slot].priority[set], first | second << 16, __ATOMIC_RELEASE);
}

static int put_rows(struct clusters *cs, unsigned int slot, const struct balance_row *rows)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	uint32_t key = CLUSTER_ROWS_OF(slot, CLUSTER_INSTALLED);
	CLEANUP(cluster_close)
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "vmac_rows", 4, 8, CLUSTER_ROW_WORDS, &opts);
	void *all;

	if (fd < 0)
		return fd;
	all = mmap(NULL, ROWS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (all == MAP_FAILED)
		return -errno;
	memcpy(all, rows, cs->of[slot].row_count * sizeof(*rows));
	munmap(all, ROWS_SIZE);
	return bpf_map_update_elem(cs->fds.rows, &key, &fd, BPF_ANY);
}

static void put_bits(__u64 *words, const uint8_t *bits)
{
	for (unsigned int i = 0; i < CLUSTER_IDS / 64; i++) {
		uint64_t word = 0;

		for (unsigned int b = 0; b < 8; b++)
			word |= (uint64_t)bits[i * 8 + b] << (8 * b);
		cluster_store(&words[i], word);
	}
}

int plane_cluster_install(struct plane *p, unsigned int slot, const struct balance_row *rows,
			  const uint8_t *fresh, const uint8_t *known, struct error *ret_error)
{
	struct clusters *cs = find(p, slot);
	int r;

	if (!cs)
		return cluster_not_found(slot, ret_error);
	r = put_rows(cs, slot, rows);
	if (r < 0)
		return cluster_failed(r, ret_error);
	put_bits(cs->slots[slot].known, known);
	put_bits(cs->slots[slot].fresh, fresh);
	memcpy(cs->of[slot].fresh, fresh, sizeof(cs->of[slot].fresh));
	cs->of[slot].installed = true;
	cluster_prioritise(cs, slot, CLUSTER_INSTALLED);
	return 0;
}

int plane_cluster_commit(struct plane *p, unsigned int slot, struct error *ret_error)
{
	struct clusters *cs = find(p, slot);
	uint32_t to = CLUSTER_ROWS_OF(slot, CLUSTER_COMMITTED);
	CLEANUP(cluster_close) int fd = -1;
	int r;

	if (!cs)
		return cluster_not_found(slot, ret_error);
	fd = cluster_inner_fd(cs->fds.rows, CLUSTER_ROWS_OF(slot, CLUSTER_INSTALLED));
	if (fd == -ENOENT)
		return error_set(ret_error, ERROR_NOT_FOUND, NULL,
				 "cluster %u has no rows to commit", slot);
	r = fd < 0 ? fd : bpf_map_update_elem(cs->fds.rows, &to, &fd, BPF_ANY);
	if (r < 0)
		return cluster_failed(r, ret_error);
	__atomic_store_n(&cs->slots[slot].priority[CLUSTER_COMMITTED],
			 cs->slots[slot].priority[CLUSTER_INSTALLED], __ATOMIC_RELEASE);
	return 0;
}

/* --- leases: another thread's ---------------------------------------------------------------- */

static struct cluster_slot *slot_of(struct plane *p, unsigned int slot)
{
	struct cluster_slot *slots = __atomic_load_n(&p->clusters->slots, __ATOMIC_ACQUIRE);

	assert(slot < CLUSTER_SLOTS);
	return slots ? &slots[slot] : NULL;
}

/* Before a lease that may be the first: what began at another host is not known here, and what of
 * it is silent for as long as we guess is forgotten anyway. */
static void guess_if_new(struct cluster_slot *s, unsigned int face)
{
	const mono_t had = { (int64_t)cluster_load(&s->faces[face].serve) }, now = plane_now();

	if (mono_due(had, now))
		cluster_store(&s->guess, (uint64_t)mono_after(now, UDP_IDLE_DEFAULT).ns);
}

void plane_cluster_lease(struct plane *p, unsigned int slot, unsigned int face, mono_t serve,
			 mono_t speak)
{
	struct cluster_slot *s = slot_of(p, slot);

	assert(face < CLUSTER_FACES);
	if (!s)
		return;
	if (serve.ns && serve.ns != MONO_NEVER.ns)
		guess_if_new(s, face);
	cluster_store(&s->faces[face].speak, (uint64_t)speak.ns);
	cluster_store(&s->faces[face].serve, (uint64_t)serve.ns);
}

void plane_cluster_own(struct plane *p, unsigned int slot, mono_t until)
{
	struct cluster_slot *s = slot_of(p, slot);

	if (s)
		cluster_store(&s->own, (uint64_t)until.ns);
}

void plane_cluster_standing(struct plane *p, unsigned int slot, const uint8_t *members)
{
	struct cluster_slot *s = slot_of(p, slot);

	if (s)
		put_bits(s->stands, members);
}

/* --- flows ----------------------------------------------------------------------------------- */

static struct flow_line *map_flows(struct clusters *cs, int *ret_r)
{
	CLEANUP(cluster_close) int fd = cluster_inner_fd(cs->fds.flows, 0);
	struct flow_line *lines;

	*ret_r = fd == -ENOENT ? 0 : fd;
	if (fd < 0)
		return NULL;
	lines = mmap(NULL, FLOW_LINES * sizeof(*lines), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	*ret_r = lines == MAP_FAILED ? -errno : 0;
	return lines == MAP_FAILED ? NULL : lines;
}

static bool is_over(uint64_t entry, uint32_t tick)
{
	return ((FLOW_UNTIL(entry) - tick) & (FLOW_UNTILS - 1)) > FLOW_IDLE_MAX;
}

/* Takes what is over out of the table (see FLOW_TICK_BITS), and with `of` all of that cluster. */
static int walk(struct clusters *cs, int of, unsigned int counted, uint32_t *ret_flows)
{
	struct flow_line *lines;
	uint32_t tick = (uint32_t)((uint64_t)plane_now().ns >> FLOW_TICK_BITS);
	int r;

	lines = map_flows(cs, &r);
	for (size_t i = 0; lines && i < (size_t)FLOW_LINES * FLOW_WAYS; i++) {
		__u64 *at = &lines[i / FLOW_WAYS].entry[i % FLOW_WAYS];
		__u64 entry = __atomic_load_n(at, __ATOMIC_RELAXED);

		if (!entry)
			continue;
		if (is_over(entry, tick) || (of >= 0 && FLOW_CLUSTER(entry) == (unsigned int)of))
			__atomic_compare_exchange_n(at, &entry, 0, false, __ATOMIC_RELAXED,
						    __ATOMIC_RELAXED);
		else if (ret_flows && FLOW_CLUSTER(entry) == counted &&
			 FLOW_STATE(entry) != FLOW_CLOSING && FLOW_ID(entry) <= CLUSTER_IDS)
			ret_flows[FLOW_ID(entry)]++;
	}
	if (lines)
		munmap(lines, FLOW_LINES * sizeof(*lines));
	return r;
}

int cluster_flows_forget(struct clusters *cs, unsigned int slot)
{
	return walk(cs, (int)slot, 0, NULL);
}

int plane_cluster_flows(struct plane *p, unsigned int slot,
			uint32_t ret_flows[static CLUSTER_MEMBERS_MAX + 1], struct error *ret_error)
{
	struct clusters *cs = find(p, slot);
	int r;

	if (!cs)
		return cluster_not_found(slot, ret_error);
	memset(ret_flows, 0, (CLUSTER_MEMBERS_MAX + 1) * sizeof(*ret_flows));
	r = walk(cs, -1, slot, ret_flows);
	return r < 0 ? cluster_failed(r, ret_error) : 0;
}

/* --- counters -------------------------------------------------------------------------------- */

int plane_cluster_counters(struct plane *p, unsigned int slot, struct plane_cluster_counters *ret,
			   struct error *ret_error)
{
	struct clusters *cs = find(p, slot);
	struct cluster_counters *each, sum = { 0 };
	int r;

	if (!cs)
		return cluster_not_found(slot, ret_error);
	each = calloc((size_t)p->tables.cpus, sizeof(*each));
	r = each ? bpf_map_lookup_elem(cs->fds.counts, &slot, each) : -ENOMEM;
	for (int cpu = 0; r == 0 && cpu < p->tables.cpus; cpu++) {
		const __u64 *from = (const __u64 *)&each[cpu];

		for (size_t i = 0; i < sizeof(sum) / sizeof(__u64); i++)
			((__u64 *)&sum)[i] += from[i];
	}
	free(each);
	if (r < 0)
		return cluster_failed(r, ret_error);
	*ret = (struct plane_cluster_counters){
		.local = sum.local,
		.remote = sum.remote,
		.second = sum.second,
		.answered_arp = sum.answered_arp,
		.answered_nd = sum.answered_nd,
		.not_anchor = sum.not_anchor,
		.others = sum.others,
		.no_member = sum.no_member,
		.rule = sum.rule,
		.no_address = sum.no_address,
		.malformed = sum.malformed,
		.arp_filtered = sum.arp_filtered,
		.nd_filtered = sum.nd_filtered,
		.flows_made = sum.flows_made,
		.flows_denied = sum.flows_denied,
	};
	return 0;
}

int plane_cluster_member(struct plane *p, unsigned int slot, uint16_t member, uint64_t *ret_frames,
			 uint64_t *ret_octets, struct error *ret_error)
{
	struct clusters *cs = find(p, slot);
	struct cluster_member_counters *each;
	uint64_t frames = 0, octets = 0;
	CLEANUP(cluster_close) int fd = -1;
	uint32_t id = member;
	int r;

	if (!cs || member < 1 || member > CLUSTER_IDS)
		return cluster_not_found(slot, ret_error);
	fd = cluster_inner_fd(cs->fds.member_counts, slot);
	each = calloc((size_t)p->tables.cpus, sizeof(*each));
	r = !each ? -ENOMEM : fd < 0 ? fd : bpf_map_lookup_elem(fd, &id, each);
	for (int cpu = 0; r == 0 && cpu < p->tables.cpus; cpu++) {
		frames += each[cpu].frames;
		octets += each[cpu].octets;
	}
	free(each);
	if (r < 0)
		return cluster_failed(r, ret_error);
	*ret_frames = frames;
	*ret_octets = octets;
	return 0;
}
