/* Clusters: setting and removing them.
 *
 * What a frame reads is complete before the forwarding table or a port's mark leads to it: maps of
 * members, flows and rows, then the conf, then the addresses, then the faces.  It is taken away the
 * other way round.  A conf is written while the slot names the other one, and named by one store.
 */
#include "plane/clusters.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>

#include "base/cleanup.h"

static_assert(CLUSTER_SLOTS == PLANE_CLUSTERS_MAX && CLUSTER_FACES == CLUSTER_FACES_MAX &&
		      CLUSTER_ADDRESSES == CLUSTER_ADDRESSES_MAX &&
		      CLUSTER_RULES == CLUSTER_RULES_MAX && CLUSTER_IDS == CLUSTER_MEMBERS_MAX &&
		      PORT_CLUSTERS_MAX == MEMBER_CLUSTERS_MAX,
	      "one limit, two names");
static_assert(CLUSTER_ROW_WORDS * 2 >= CLUSTER_MAGLEV_ROWS, "all rows have room");
static_assert(CLUSTER_MODE_DIRECTOR == CLUSTER_DIRECTOR &&
		      CLUSTER_MODE_DISTRIBUTED == CLUSTER_DISTRIBUTED &&
		      CLUSTER_MODE_CARRY == CLUSTER_CARRY &&
		      CLUSTER_DO_BALANCE == CLUSTER_BALANCED &&
		      CLUSTER_DO_PRIORITY == CLUSTER_PRIORITY &&
		      CLUSTER_DO_DROP == CLUSTER_DROPPED &&
		      CLUSTER_BY_FLOW == CLUSTER_AFFINITY_NONE &&
		      CLUSTER_BY_CLIENT == CLUSTER_AFFINITY_SINGLE &&
		      CLUSTER_BY_NETWORK == CLUSTER_AFFINITY_NETWORK,
	      "one numbering");
static_assert(FACE_SLOT_0 + CLUSTER_SLOTS * CLUSTER_FACES <= 65536 &&
		      FACE_SLOT_0 >= CLAIM_SLOT_0 + CLAIMS_MAX,
	      "16 bits, disjoint");
static_assert(PLANE_PROBE_MARK(0) == MARK_PROBE, "one mark, two names");
static_assert(FLOW_LINES * FLOW_WAYS == PLANE_FLOWS_DEFAULT, "one size, two names");

#define TCP_IDLE_DEFAULT SPAN_S(900)

/* --- tools ----------------------------------------------------------------------------------- */

int cluster_inner_fd(int outer, uint32_t key)
{
	uint32_t id;
	int r = bpf_map_lookup_elem(outer, &key, &id);

	return r < 0 ? r : bpf_map_get_fd_by_id(id);
}

int cluster_failed(int r, struct error *ret_error)
{
	return error_set(ret_error, r == -ENOMEM ? ERROR_NO_MEMORY : ERROR_KERNEL_FAILED, NULL,
			 "cannot write the BPF maps of clusters: %s", strerror(-r));
}

int cluster_not_found(unsigned int slot, struct error *ret_error)
{
	return error_set(ret_error, ERROR_NOT_FOUND, NULL, "the data plane has no cluster %u",
			 slot);
}

static struct cluster_ip ip_of(const struct ip *ip)
{
	uint8_t octet[16] = { [10] = 0xff, [11] = 0xff };
	struct cluster_ip m = { { 0, 0 } };

	if (ip->family == 4)
		memcpy(octet + 12, ip->octet, 4);
	else if (ip->family == 6)
		memcpy(octet, ip->octet, 16);
	if (ip->family)
		memcpy(&m, octet, sizeof(m));
	return m;
}

static uint32_t ticks(span_t idle, span_t otherwise)
{
	uint64_t n = ((uint64_t)(idle.ns > 0 ? idle : otherwise).ns >> FLOW_TICK_BITS) + 1;

	return n > FLOW_IDLE_MAX ? FLOW_IDLE_MAX : (uint32_t)n;
}

/* --- life ------------------------------------------------------------------------------------ */

int clusters_open(struct plane *p, const struct clusters_fds *fds)
{
	p->clusters = calloc(1, sizeof(*p->clusters));
	if (!p->clusters)
		return -ENOMEM;
	p->clusters->fds = *fds;
	return 0;
}

void clusters_close(struct clusters *cs)
{
	if (!cs)
		return;
	if (cs->slots)
		munmap(cs->slots, CLUSTER_SLOTS * sizeof(*cs->slots));
	for (unsigned int i = 0; i < CLUSTER_SLOTS; i++)
		free(cs->of[i].members);
	free(cs);
}

static int map_slots(struct clusters *cs)
{
	struct cluster_slot *slots;

	if (cs->slots)
		return 0;
	slots = mmap(NULL, CLUSTER_SLOTS * sizeof(*slots), PROT_READ | PROT_WRITE, MAP_SHARED,
		     cs->fds.slots, 0);
	if (slots == MAP_FAILED)
		return -errno;
	__atomic_store_n(&cs->slots, slots, __ATOMIC_RELEASE);
	return 0;
}

/* --- what is asked --------------------------------------------------------------------------- */

bool cluster_face_is_used(const struct plane *p, unsigned int slot)
{
	return slot >= FACE_SLOT_0 && slot < FACE_SLOT_0 + CLUSTER_SLOTS * CLUSTER_FACES &&
	       p->clusters->of[FACE_CLUSTER(slot - FACE_SLOT_0)].set;
}

static int in_use(const char *what, struct error *ret_error)
{
	return error_set(ret_error, ERROR_ADDRESS_IN_USE, NULL, "%s", what);
}

static int check_face(struct plane *p, unsigned int slot, unsigned int net, uint64_t mac,
		      struct error *ret_error)
{
	unsigned int holder = tables_fdb(&p->tables, net, mac);

	if (NET_UPLINK(net) && mac == *tables_word(&p->tables.uplink_macs, NET_UPLINK(net)))
		return in_use("a face is the uplink's own address", ret_error);
	if (holder >= FACE_SLOT_0)
		return cluster_face_is_used(p, holder) && FACE_CLUSTER(holder - FACE_SLOT_0) != slot
			       ? in_use("a face is another cluster's in this segment", ret_error)
			       : 0;
	if (plane_claim_is_used(p, holder))
		return in_use("a port may have a face as a router's address", ret_error);
	if (holder != SLOT_NOBODY && holder <= PORTS_MAX && p->ports[holder].ifindex)
		return in_use("a face is the vMAC of a port in this segment", ret_error);
	return 0;
}

static int check(struct plane *p, const struct plane_cluster *c, struct error *ret_error)
{
	unsigned int net = NET_OF(c->net.slot, c->net.vlan);
	const struct cluster *r = c->record;
	int status = 0;

	assert(c->slot < CLUSTER_SLOTS && c->net.slot <= UPLINKS_MAX && c->net.vlan <= 4095);
	assert(r->face_count <= CLUSTER_FACES && r->address_count <= CLUSTER_ADDRESSES &&
	       r->rule_count <= CLUSTER_RULES && r->member_count <= CLUSTER_IDS);
	for (unsigned int i = 0; i < r->face_count && status == 0; i++)
		status = check_face(p, c->slot, net, plane_mac_word(r->faces[i]), ret_error);
	for (unsigned int i = 0; i < r->address_count && status == 0; i++) {
		struct cluster_ip_key key = { .net = net, .ip = ip_of(&r->addresses[i]) };
		uint32_t other;

		if (bpf_map_lookup_elem(p->clusters->fds.ips, &key, &other) == 0 &&
		    other != c->slot && other < CLUSTER_SLOTS && p->clusters->of[other].set)
			status = in_use("an address is another cluster's in this segment",
					ret_error);
	}
	return status;
}

/* --- the maps of a cluster ------------------------------------------------------------------- */

/* Puts a new map where there is none; a map of that kind is large. */
static int ensure_inner(int outer, uint32_t key, enum bpf_map_type type, const char *name,
			uint32_t value, uint32_t entries, uint32_t flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);
	CLEANUP(cluster_close) int fd = cluster_inner_fd(outer, key);

	if (fd >= 0)
		return 0;
	if (fd != -ENOENT)
		return fd;
	fd = bpf_map_create(type, name, 4, value, entries, &opts);
	return fd < 0 ? fd : bpf_map_update_elem(outer, &key, &fd, BPF_ANY);
}

static int ensure_maps(struct clusters *cs, unsigned int slot)
{
	int r = ensure_inner(cs->fds.flows, 0, BPF_MAP_TYPE_ARRAY, "vmac_flows",
			     sizeof(struct flow_line), FLOW_LINES, BPF_F_MMAPABLE);

	if (r == 0)
		r = ensure_inner(cs->fds.members, slot, BPF_MAP_TYPE_ARRAY, "vmac_cmembers",
				 sizeof(struct cluster_member_conf), CLUSTER_IDS + 1,
				 BPF_F_MMAPABLE);
	if (r == 0)
		r = ensure_inner(cs->fds.member_counts, slot, BPF_MAP_TYPE_PERCPU_ARRAY,
				 "vmac_ccounts", sizeof(struct cluster_member_counters),
				 CLUSTER_IDS + 1, 0);
	return r;
}

/* One word of a member after the other; that of its address last, and first where it goes. */
static int write_members(struct clusters *cs, const struct plane_cluster *c)
{
	CLEANUP(cluster_close) int fd = cluster_inner_fd(cs->fds.members, c->slot);
	size_t size = (CLUSTER_IDS + 1) * sizeof(struct cluster_member_conf);
	const struct cluster *rec = c->record;
	struct cluster_member_conf *all;
	unsigned int next = 0;

	if (fd < 0)
		return fd;
	all = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (all == MAP_FAILED)
		return -errno;
	for (unsigned int id = 1; id <= CLUSTER_IDS; id++) {
		bool is_there = next < rec->member_count && rec->members[next].id == id;
		uint64_t mac = is_there ? plane_mac_word(rec->members[next].address) : 0;

		if (all[id].mac != mac)
			cluster_store(&all[id].mac, 0);
		for (unsigned int f = 0; is_there && f < 2; f++)
			all[id].own[f] =
				c->own ? ip_of(&c->own[next][f]) : (struct cluster_ip){ { 0, 0 } };
		cluster_store(&all[id].mac, mac);
		next += is_there;
	}
	munmap(all, size);
	return 0;
}

static void write_rules(struct cluster_conf *conf, const struct cluster *rec)
{
	conf->rule_count = rec->rule_count;
	for (unsigned int i = 0; i < rec->rule_count; i++) {
		const struct cluster_rule *r = &rec->rules[i];

		conf->rules[i] = (struct cluster_rule_conf){
			.protocol = r->protocol,
			.action = r->action,
			.from = r->from,
			.to = r->to,
			.has_ports = r->from != 0 || r->to != 65535,
		};
	}
}

static int write_conf(struct plane *p, const struct plane_cluster *c)
{
	struct clusters *cs = p->clusters;
	const struct cluster *rec = c->record;
	uint64_t word = cluster_load(&cs->slots[c->slot].conf);
	uint32_t now = (uint32_t)word - 1;
	uint32_t free = CLUSTER_CONF_OF(c->slot, word && !(now & 1) ? 1 : 0);
	struct cluster_conf conf = { .net = NET_OF(c->net.slot, c->net.vlan),
				     .mode = rec->mode,
				     .affinity = rec->affinity,
				     .flags = rec->nat ? CLUSTER_NAT : 0,
				     .face_count = (__u8)rec->face_count,
				     .row_count = rec->table == CLUSTER_MAGLEV ? CLUSTER_MAGLEV_ROWS
									       : CLUSTER_ROWS,
				     .address_count = rec->address_count,
				     .udp_ticks = ticks(c->udp_idle, UDP_IDLE_DEFAULT),
				     .tcp_ticks = ticks(c->tcp_idle, TCP_IDLE_DEFAULT) };
	struct cluster_conf old;
	int r;

	memcpy(conf.key, rec->key, sizeof(conf.key));
	for (unsigned int i = 0; i < rec->face_count; i++)
		conf.faces[i] = plane_mac_word(rec->faces[i]);
	for (unsigned int i = 0; i < rec->address_count; i++)
		conf.addresses[i] = ip_of(&rec->addresses[i]);
	write_rules(&conf, rec);
	if (word && bpf_map_lookup_elem(cs->fds.confs, &now, &old) == 0 &&
	    memcmp(&old, &conf, sizeof(conf)) == 0)
		return 0;
	if (cs->conf_free[c->slot] > p->tables.epoch) {
		r = tables_grace(&p->tables);
		if (r < 0)
			return r;
	}
	r = bpf_map_update_elem(cs->fds.confs, &free, &conf, BPF_ANY);
	if (r < 0)
		return r;
	cs->conf_free[c->slot] = p->tables.epoch + 1;
	cluster_store(&cs->slots[c->slot].conf, free + 1);
	return 0;
}

/* --- addresses and faces --------------------------------------------------------------------- */

/* The conf of a slot as it is in force; false: none. */
static bool conf_now(const struct clusters *cs, unsigned int slot, struct cluster_conf *ret)
{
	uint32_t number = (uint32_t)cluster_load(&cs->slots[slot].conf) - 1;

	return number != UINT32_MAX && bpf_map_lookup_elem(cs->fds.confs, &number, ret) == 0;
}

static bool has_face(const struct cluster_conf *conf, unsigned int net, uint64_t mac,
		     unsigned int index)
{
	return conf && conf->net == net && index < conf->face_count && conf->faces[index] == mac;
}

static bool has_ip(const struct cluster_conf *conf, unsigned int net, struct cluster_ip ip)
{
	for (unsigned int i = 0; conf && conf->net == net && i < conf->address_count; i++)
		if (memcmp(&conf->addresses[i], &ip, sizeof(ip)) == 0)
			return true;
	return false;
}

static void lease_clear(struct clusters *cs, unsigned int slot, unsigned int face)
{
	cluster_store(&cs->slots[slot].faces[face].speak, 0);
	cluster_store(&cs->slots[slot].faces[face].serve, 0);
}

/* Takes away the faces and addresses of `old` that `now` (NULL: none) has not. */
static void leave_old(struct plane *p, unsigned int slot, const struct cluster_conf *old,
		      const struct cluster_conf *now)
{
	struct clusters *cs = p->clusters;

	for (unsigned int i = 0; i < old->face_count; i++) {
		if (has_face(now, old->net, old->faces[i], i))
			continue;
		lease_clear(cs, slot, i);
		if (tables_fdb(&p->tables, old->net, old->faces[i]) ==
		    FACE_SLOT_0 + FACE_OF(slot, i))
			tables_fdb_clear(&p->tables, old->net, old->faces[i]);
	}
	for (unsigned int i = 0; i < old->address_count; i++) {
		struct cluster_ip_key key = { .net = old->net, .ip = old->addresses[i] };
		uint32_t holder;

		if (!has_ip(now, old->net, old->addresses[i]) &&
		    bpf_map_lookup_elem(cs->fds.ips, &key, &holder) == 0 && holder == slot)
			bpf_map_delete_elem(cs->fds.ips, &key);
	}
}

static int reach(struct plane *p, unsigned int slot, const struct cluster_conf *now)
{
	int r = 0;

	for (unsigned int i = 0; i < now->address_count && r == 0; i++) {
		struct cluster_ip_key key = { .net = now->net, .ip = now->addresses[i] };
		uint32_t holder = slot;

		r = bpf_map_update_elem(p->clusters->fds.ips, &key, &holder, BPF_ANY);
	}
	for (unsigned int i = 0; i < now->face_count && r == 0; i++)
		r = tables_fdb_set(&p->tables, now->net, now->faces[i],
				   FACE_SLOT_0 + FACE_OF(slot, i));
	return r;
}

static void head_mark(struct plane *p, unsigned int net)
{
	uint64_t marks = 0;

	for (unsigned int slot = 0; slot < CLUSTER_SLOTS; slot++) {
		const struct cluster_state *s = &p->clusters->of[slot];

		if (s->set && s->net == net)
			marks |= (s->has_group_face ? HEAD_GROUP_FACE : 0) |
				 (s->carried ? HEAD_CARRY : 0);
	}
	tables_head_mark(&p->tables, net, marks);
}

/* --- setting --------------------------------------------------------------------------------- */

static struct cluster_known known_of(const struct cluster_member *m)
{
	return (struct cluster_known){
		.mac = plane_mac_word(m->address),
		.id = m->id,
		.priority = m->priority,
		.state = m->state,
		.rests = m->state == MEMBER_DRAINING || (m->state == MEMBER_ACTIVE && !m->weight),
	};
}

static int state_of(const struct plane_cluster *c, struct cluster_state *ret)
{
	const struct cluster *rec = c->record;
	struct cluster_state s = { .set = true,
				   .net = NET_OF(c->net.slot, c->net.vlan),
				   .row_count = rec->table == CLUSTER_MAGLEV ? CLUSTER_MAGLEV_ROWS
									     : CLUSTER_ROWS,
				   .nat = rec->nat,
				   .carried = rec->mode == CLUSTER_CARRY,
				   .member_count = rec->member_count };

	s.members = calloc(rec->member_count ? rec->member_count : 1, sizeof(*s.members));
	if (!s.members)
		return -ENOMEM;
	for (unsigned int i = 0; i < rec->face_count; i++)
		s.has_group_face |= vmac_mac_is_group(rec->faces[i]);
	for (unsigned int i = 0; i < rec->member_count; i++)
		s.members[i] = known_of(&rec->members[i]);
	*ret = s;
	return 0;
}

static void keep_bits(__u64 *words, const uint64_t *of)
{
	for (unsigned int i = 0; i < CLUSTER_IDS / 64; i++)
		cluster_store(&words[i], cluster_load(&words[i]) & of[i]);
}

static void set_bit(uint64_t *words, unsigned int id, bool on)
{
	words[(id - 1) / 64] |= (uint64_t)on << ((id - 1) & 63);
}

/* Who is of it no more has no flows from now on, and who is not active gets no new ones. */
static void put_states(struct clusters *cs, unsigned int slot, const struct cluster_state *s)
{
	uint64_t is[CLUSTER_IDS / 64] = { 0 }, active[CLUSTER_IDS / 64] = { 0 };
	uint64_t rests[CLUSTER_IDS / 64] = { 0 };

	for (unsigned int i = 0; i < s->member_count; i++) {
		const struct cluster_known *m = &s->members[i];

		set_bit(is, m->id, true);
		set_bit(active, m->id, m->state == MEMBER_ACTIVE);
		set_bit(rests, m->id, m->rests);
	}
	keep_bits(cs->slots[slot].known, is);
	keep_bits(cs->slots[slot].fresh, active);
	for (unsigned int i = 0; i < CLUSTER_IDS / 64; i++)
		cluster_store(&cs->slots[slot].rests[i], rests[i]);
}

/* A slot that nobody had: what another cluster left there is gone first. */
static int begin_slot(struct plane *p, unsigned int slot)
{
	struct clusters *cs = p->clusters;
	int cpus = p->tables.cpus, r = cluster_flows_forget(cs, slot);
	struct cluster_counters *zero = calloc((size_t)cpus, sizeof(*zero));
	uint32_t key = slot;

	if (!zero)
		return -ENOMEM;
	memset((char *)&cs->slots[slot] + sizeof(__u64), 0,
	       sizeof(cs->slots[slot]) - sizeof(__u64)); /* but the conf, which is none */
	if (r == 0)
		r = bpf_map_update_elem(cs->fds.counts, &key, zero, BPF_ANY);
	free(zero);
	return r;
}

static int set_maps(struct plane *p, const struct plane_cluster *c, struct cluster_conf *ret_old,
		    bool *ret_had)
{
	struct clusters *cs = p->clusters;
	int r = map_slots(cs);

	if (r < 0)
		return r;
	*ret_had = conf_now(cs, c->slot, ret_old);
	r = ensure_maps(cs, c->slot);
	if (r == 0 && !*ret_had)
		r = begin_slot(p, c->slot);
	if (r == 0)
		r = write_members(cs, c);
	return r < 0 ? r : write_conf(p, c);
}

int plane_cluster_set(struct plane *p, const struct plane_cluster *c, struct error *ret_error)
{
	struct clusters *cs = p->clusters;
	struct cluster_state *s = &cs->of[c->slot], fresh;
	struct cluster_conf old, now;
	unsigned int old_net = s->net;
	bool had = false, was = s->set;
	int r = check(p, c, ret_error);

	if (r < 0)
		return r;
	r = state_of(c, &fresh);
	if (r == 0) {
		r = set_maps(p, c, &old, &had);
		if (r < 0)
			free(fresh.members);
	}
	if (r < 0)
		return cluster_failed(r, ret_error);
	memcpy(fresh.fresh, s->fresh, sizeof(fresh.fresh));
	fresh.installed = s->installed;
	free(s->members);
	*s = fresh;
	if (!conf_now(cs, c->slot, &now))
		return cluster_failed(-EIO, ret_error);
	put_states(cs, c->slot, s);
	if (had)
		leave_old(p, c->slot, &old, &now);
	r = reach(p, c->slot, &now);
	if (r < 0)
		return cluster_failed(r, ret_error);
	if (s->installed)
		cluster_prioritise(cs, c->slot, CLUSTER_INSTALLED);
	else
		cluster_prioritise_anew(cs, c->slot, CLUSTER_INSTALLED);
	cluster_ports_refresh(p, s->net);
	head_mark(p, s->net);
	if (was && old_net != s->net) {
		cluster_ports_refresh(p, old_net);
		head_mark(p, old_net);
	}
	return 0;
}

/* --- removing -------------------------------------------------------------------------------- */

static bool any_left(const struct clusters *cs)
{
	for (unsigned int slot = 0; slot < CLUSTER_SLOTS; slot++)
		if (cluster_load(&cs->slots[slot].conf))
			return true;
	return false;
}

static void forget(struct plane *p, unsigned int slot)
{
	struct clusters *cs = p->clusters;
	struct cluster_state *s = &cs->of[slot];
	struct cluster_conf old = { .net = s->net };
	uint32_t key = slot, zero = 0;

	if (conf_now(cs, slot, &old)) {
		leave_old(p, slot, &old, NULL);
		cluster_store(&cs->slots[slot].conf, 0);
		cs->conf_free[slot] = p->tables.epoch + 1;
	}
	free(s->members);
	*s = (struct cluster_state){ .net = old.net };
	cluster_ports_refresh(p, old.net);
	head_mark(p, old.net);
	for (uint32_t set = 0; set < CLUSTER_SETS; set++) {
		uint32_t rows = CLUSTER_ROWS_OF(slot, set);

		bpf_map_delete_elem(cs->fds.rows, &rows);
	}
	bpf_map_delete_elem(cs->fds.members, &key);
	bpf_map_delete_elem(cs->fds.member_counts, &key);
	if (!any_left(cs))
		bpf_map_delete_elem(cs->fds.flows, &zero);
}

int plane_cluster_remove(struct plane *p, unsigned int slot, struct error *ret_error)
{
	if (slot >= CLUSTER_SLOTS || !p->clusters->of[slot].set)
		return cluster_not_found(slot, ret_error);
	forget(p, slot);
	return 0;
}

/* Faces and addresses to which a process died between two steps of a change. */
static unsigned int sweep_strays(struct plane *p)
{
	struct clusters *cs = p->clusters;
	struct cluster_ip_key ip, next_ip;
	uint64_t key, next;
	unsigned int removed = 0;
	uint32_t holder;
	int r = bpf_map_get_next_key(cs->fds.ips, NULL, &next_ip);

	while (r == 0) {
		ip = next_ip;
		r = bpf_map_get_next_key(cs->fds.ips, &ip, &next_ip);
		if (bpf_map_lookup_elem(cs->fds.ips, &ip, &holder) == 0 &&
		    (holder >= CLUSTER_SLOTS || !cs->of[holder].set) &&
		    bpf_map_delete_elem(cs->fds.ips, &ip) == 0)
			removed++;
	}
	r = bpf_map_get_next_key(p->tables.fdb_fd, NULL, &next);
	while (r == 0) {
		unsigned int net, slot;

		key = next;
		r = bpf_map_get_next_key(p->tables.fdb_fd, &key, &next);
		net = (unsigned int)(key & 0xffff);
		slot = tables_fdb(&p->tables, net, key >> 16);
		if (slot >= FACE_SLOT_0 && !cluster_face_is_used(p, slot) &&
		    tables_fdb_clear(&p->tables, net, key >> 16) == 0)
			removed++;
	}
	return removed;
}

int plane_cluster_sweep(struct plane *p, unsigned int *ret_removed, struct error *ret_error)
{
	struct clusters *cs = p->clusters;
	unsigned int removed = 0;

	for (uint32_t slot = 0; slot < CLUSTER_SLOTS; slot++) {
		struct cluster_slot there;
		int r;

		if (cs->of[slot].set || bpf_map_lookup_elem(cs->fds.slots, &slot, &there) < 0 ||
		    !there.conf)
			continue;
		r = map_slots(cs);
		if (r < 0)
			return cluster_failed(r, ret_error);
		forget(p, slot);
		removed++;
	}
	removed += sweep_strays(p);
	cs->swept = true;
	for (unsigned int id = 1; id <= PORTS_MAX; id++)
		if (p->ports[id].ifindex)
			tables_say_member(
				&p->tables, id,
				cluster_port_list(
					p, id, NET_OF(p->ports[id].net.slot, p->ports[id].net.vlan),
					plane_mac_word(p->ports[id].address), true));
	*ret_removed = removed;
	return 0;
}

void clusters_purge(struct plane *p)
{
	struct error ignored;
	unsigned int removed;

	for (unsigned int slot = 0; slot < CLUSTER_SLOTS; slot++)
		p->clusters->of[slot].set = false;
	plane_cluster_sweep(p, &removed, &ignored);
}
