/* Which members that are here are fit.
 *
 * ARP (IPv6: ND) is asked into the member's port under the name of a face, and the data plane tells
 * of the answer, which goes nowhere.  TCP and HTTP are asked by the errands' thread from the
 * uplink, with a mark by which the data plane sends the question to this very member, whatever rows
 * and leases say.  A check that this host cannot make says nothing about the member. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/cluster.h"
#include "engine/cluster_ask.h"
#include "engine/side.h"
#include "errand/errands.h"
#include "host/inject.h"
#include "model/ip.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/ip.h"
#include "wire/nd.h"

/* Between the first checks of two members: each answers with a broadcast, who asks, and of fifty at
 * once a host of fifty containers loses most. */
#define CHECK_SPREAD SPAN_MS(5)

/* An id of the errands' says whose it is; the count before that makes it unique. */
#define PROBE_ID(count, cluster, member) ((count) << 24 | (uint64_t)(cluster) << 11 | (member))
#define PROBE_CLUSTER(id)		 ((uint32_t)((id) >> 11) & 0x1fff)
#define PROBE_MEMBER(id)		 ((uint16_t)((id)&0x7ff))
_Static_assert(CLUSTERS_MAX < 1 << 13 && CLUSTER_MEMBERS_MAX < 1 << 11, "they fit");

bool member_fit(const struct engine *e, const struct cluster_state *s, unsigned int index)
{
	const struct member_here *m = &s->members[index];

	/* A guest that has left takes its end of the link along. */
	if (!m->hosted || !(e->ports[m->port].carrier || m->paused.ns))
		return false;
	if (s->record->check == CLUSTER_CHECK_NONE || m->health.health == HEALTH_UP)
		return true;
	return m->health.health == HEALTH_UNKNOWN && !m->newcomer;
}

static void note(struct engine *e, struct cluster_state *s, unsigned int index)
{
	const struct cluster *c = s->record;
	const struct member_here *m = &s->members[index];
	char mac[VMAC_MAC_TEXT_MAX], reason[256];
	const char *health = health_name(m->health.health);

	vmac_mac_format(c->members[index].address, VMAC_MAC_COLON, mac);
	snprintf(reason, sizeof(reason), "health of %s by %s: %s%s%s", mac,
		 cluster_check_name(c->check), health, m->detail[0] ? ": " : "", m->detail);
	log_info("cluster %s: %s", c->name, reason);
	event_fleet(e, "cluster", world_segment(&e->world, c->segment)->record->name, c->name,
		    "health", "", health, reason);
}

static void result(struct engine *e, struct cluster_state *s, unsigned int index, bool up,
		   const char *detail)
{
	struct member_here *m = &s->members[index];
	const struct cluster *c = s->record;

	if (m->paused.ns && !up)
		return;
	m->newcomer = m->newcomer && !up;
	memset(m->detail, 0, sizeof(m->detail));
	memccpy(m->detail, detail, '\0', sizeof(m->detail) - 1);
	s->unable = (struct error){ 0 };
	if (!health_result(&m->health, up, c->rise, c->fall))
		return;
	note(e, s, index);
	cluster_tell_member(e, s, index);
}

/* --- ARP and ND ------------------------------------------------------------------------------ */

static const struct ip *first_of(const struct ip *list, unsigned int count, uint8_t family)
{
	for (unsigned int i = 0; i < count; i++)
		if (list[i].family == family)
			return &list[i];
	return NULL;
}

/* What the member answers for: the virtual address where it carries it, else its own.  No guest
 * answers a solicitation for an IPv6 address on its loopback device; each has a link-local one. */
static struct ip target_of(struct engine *e, const struct cluster *c, unsigned int index)
{
	vmac_mac_t address = c->members[index].address;
	const struct vmac *v = world_vmac(&e->world, c->segment, address);
	const struct ip *own4 = v ? first_of(v->ips, v->ip_count, 4) : NULL;
	const struct ip *own6 = v ? first_of(v->ips, v->ip_count, 6) : NULL;
	const struct ip *four = first_of(c->addresses, c->address_count, 4);

	if (four && !c->nat)
		return *four;
	if (c->nat && own4)
		return *own4;
	return own6 ? *own6 : ip_link_local(address);
}

static void ask_nd(struct writer *w, vmac_mac_t from, vmac_mac_t to, const struct ip *target)
{
	struct nd nd = { .kind = ND_NEIGHBOUR_SOLICIT, .has_mac = true, .mac = from };
	struct ipv6 head = { .next_header = IP_PROTOCOL_ICMPV6, .hop_limit = ND_HOP_LIMIT };
	struct eth eth = { .from = from, .to = to, .type = ETH_TYPE_IPV6 };
	struct ip source = ip_link_local(from);

	memcpy(nd.target, target->octet, sizeof(nd.target));
	memcpy(head.from, source.octet, sizeof(head.from));
	nd_solicited_node(target->octet, head.to);
	head.payload_len = (uint16_t)nd_len(&nd);
	eth_encode(w, &eth);
	ipv6_encode(w, &head);
	nd_encode(w, &head, &nd);
}

/* To the member alone, also where its port is a link that others share. */
static bool ask_for(struct engine *e, struct cluster_state *s, unsigned int index, struct ip target)
{
	const struct cluster *c = s->record;
	struct member_here *m = &s->members[index];
	vmac_mac_t to = c->members[index].address;
	uint8_t buf[ASK_LEN_MAX];
	struct writer w = writer_of(buf, sizeof(buf));

	if (target.family == 4) {
		struct eth eth = { .from = c->faces[0], .to = to, .type = ETH_TYPE_ARP };
		struct arp arp = { .operation = ARP_REQUEST, .sender_mac = c->faces[0] };

		memcpy(arp.target_ip, target.octet, sizeof(arp.target_ip));
		eth_encode(&w, &eth);
		arp_encode(&w, &arp);
	} else {
		ask_nd(&w, c->faces[0], to, &target);
	}
	eth_pad(&w);
	return !w.failed && e->balancing->inject &&
	       inject_send(e->balancing->inject, e->ports[m->port].ifindex, buf, writer_used(&w)) ==
		       0;
}

/* Which link-local address a guest has, nobody says who gives it: the one that its vMAC forms, or
 * one of its own making, which it was heard with.  Any answer will do. */
static bool ask(struct engine *e, struct cluster_state *s, unsigned int index)
{
	const struct ip target = target_of(e, s->record, index);
	struct ip heard;

	if (!ask_for(e, s, index, target))
		return false;
	if (target.family == 6 && ip_is_link_local(&target) &&
	    plane_cluster_link_local(e->cfg.plane, s->members[index].port, &heard) &&
	    !ip_equal(&target, &heard))
		ask_for(e, s, index, heard);
	return true;
}

/* Whatever it said for the cluster's addresses, or to one of its faces: there is not room for all
 * of an advertisement in what the data plane tells, so which address is not looked at. */
void cluster_health_answered(struct engine *e, const struct plane_event *event)
{
	const struct port *p = event->port <= PORTS_MAX ? e->world.ports[event->port] : NULL;
	struct cluster_state *s = cluster_state_of(e, event->cluster + 1);
	const struct cluster_member *m =
		p && s ? cluster_member_by_address(s->record, p->address) : NULL;
	unsigned int index = m ? (unsigned int)(m - s->record->members) : 0;

	if (!m || s->members[index].port != p->id || !s->members[index].asking)
		return;
	s->members[index].asking = false;
	result(e, s, index, true, "answers");
}

static void arp_time(struct engine *e, struct cluster_state *s, unsigned int index, mono_t now)
{
	struct member_here *m = &s->members[index];
	const struct cluster *c = s->record;
	char detail[64];

	if (m->asking && mono_due(m->deadline, now)) {
		m->asking = false;
		snprintf(detail, sizeof(detail), "no answer in %u ms", c->check_timeout_ms);
		result(e, s, index, false, detail);
	}
	if (m->asking || !mono_due(m->next, now))
		return;
	m->next = mono_after(now, SPAN_MS(c->check_interval_ms));
	/* A link that takes no frame now says nothing: without carrier the member is unfit anyway.
	 */
	if (!ask(e, s, index))
		return;
	m->asking = true;
	m->deadline = mono_after(now, SPAN_MS(c->check_timeout_ms));
}

/* --- TCP and HTTP ---------------------------------------------------------------------------- */

/* A link-local one would need the link's name in its text. */
static const struct ip *probe_address(const struct cluster *c)
{
	for (unsigned int i = 0; i < c->address_count; i++)
		if (!ip_is_link_local(&c->addresses[i]))
			return &c->addresses[i];
	return NULL;
}

static int probe_target(const struct cluster *c, char *buf, size_t size, struct error *ret_error)
{
	const struct ip *ip = probe_address(c);
	char text[IP_TEXT_MAX];
	const char *scheme = c->check == CLUSTER_CHECK_HTTP    ? "http://"
			     : c->check == CLUSTER_CHECK_HTTPS ? "https://"
							       : "";
	bool http = cluster_check_requests(c->check);

	if (!ip)
		return error_set(ret_error, ERROR_BAD_VALUE, "check arp asks for those, too",
				 "it has link-local virtual addresses only");
	ip_format(ip, text);
	snprintf(buf, size, "%s%s%s%s:%u%s%s", scheme, ip->family == 6 ? "[" : "", text,
		 ip->family == 6 ? "]" : "", c->check_port,
		 http && c->check_target[0] != '/' ? "/" : "", http ? c->check_target : "");
	return 0;
}

/* The uplink, or the device of its VLAN: the kernel routes by it, and takes tags off there. */
static int probe_device(struct engine *e, const struct cluster *c, char *ret,
			struct error *ret_error)
{
	const struct segment *segment = world_segment(&e->world, c->segment)->record;
	char name[IFNAME_MAX_LEN + 8];
	struct host_link link;

	snprintf(ret, IFNAME_MAX_LEN + 1, "%s", segment->uplink);
	if (!segment->vlan)
		return 0;
	snprintf(name, sizeof(name), "%s.%u", segment->uplink, segment->vlan);
	snprintf(ret, IFNAME_MAX_LEN + 1, "%.15s", name);
	if (strlen(name) <= IFNAME_MAX_LEN &&
	    host_link_by_name(e->cfg.host, name, &link, ret_error) == 0 &&
	    strcmp(link.kind, "vlan") == 0)
		return 0;
	return error_set(ret_error, ERROR_NO_INTERFACE,
			 "make one with an address of this host's, or check by arp",
			 "there is no VLAN device %s to ask from", name);
}

static bool has_anchor(struct engine *e, const struct cluster_state *s)
{
	struct anchor_view *view = engine_alloc(e, sizeof(*view));
	bool has = !view || !s->anchored || !anchor_look(e->cfg.anchors, s->record->id, view);

	for (unsigned int i = 0; !has && i < view->face_count; i++)
		has = view->faces[i].active || view->faces[i].holder;
	engine_dispose(e, view);
	return has;
}

/* Clients find the members by the faces' anchors, and so do these checks: that nobody answers says
 * something of the member only where there was an anchor when it was asked. */
static bool was_reachable(struct engine *e, struct cluster_state *s)
{
	mono_t now = e->cfg.mono_now();

	if (!has_anchor(e, s))
		s->reached.ns = 0;
	else if (s->reached.ns == 0)
		s->reached = now;
	return s->reached.ns &&
	       mono_due(mono_after(s->reached, SPAN_MS(s->record->check_timeout_ms)), now);
}

static int probe_begin(struct engine *e, struct cluster_state *s, unsigned int index,
		       struct error *ret_error)
{
	const struct cluster *c = s->record;
	struct member_here *m = &s->members[index];
	char target[IP_TEXT_MAX + CLUSTER_TARGET_MAX + 32];
	struct errand_probe probe = {
		.id = PROBE_ID(++e->balancing->probes, c->id, m->id),
		.kind = c->check == CLUSTER_CHECK_TCP ? ERRAND_TCP : ERRAND_HTTP,
		.target = target,
		.interval_ms = c->check_interval_ms,
		.timeout_ms = c->check_timeout_ms,
		.way.mark = PLANE_PROBE_MARK(m->id),
	};
	int r = probe_target(c, target, sizeof(target), ret_error);

	if (r == 0)
		r = probe_device(e, c, probe.way.device, ret_error);
	if (r < 0)
		return r;
	if (errands_probe(e->balancing->errands, &probe) < 0)
		return engine_no_memory(ret_error);
	m->probe = probe.id;
	return 0;
}

static void probe_time(struct engine *e, struct cluster_state *s, unsigned int index, mono_t now)
{
	struct member_here *m = &s->members[index];
	struct error error;

	if (m->probe || !mono_due(m->next, now))
		return;
	m->next = mono_after(now, SPAN_MS(s->record->check_interval_ms));
	if (!e->balancing->errands || probe_begin(e, s, index, &error) == 0)
		return;
	if (s->unable.code == ERROR_NONE)
		log_warning("cluster %s: its members cannot be checked: %s", s->record->name,
			    error.message);
	s->unable = error;
	memset(m->detail, 0, sizeof(m->detail));
	memccpy(m->detail, error.message, '\0', sizeof(m->detail) - 1);
}

static void on_probe(void *ctx, uint64_t id, enum errand_outcome outcome, const char *detail)
{
	struct engine *e = ctx;
	struct cluster_state *s = cluster_state_of(e, PROBE_CLUSTER(id));
	const struct cluster_member *m =
		s ? cluster_member_by_id(s->record, PROBE_MEMBER(id)) : NULL;
	unsigned int index = m ? (unsigned int)(m - s->record->members) : 0;

	if (!m || s->members[index].probe != id)
		return; /* of one that has gone */
	if (outcome == ERRAND_DOWN && !was_reachable(e, s))
		return;
	if (outcome != ERRAND_UNABLE) {
		result(e, s, index, outcome == ERRAND_UP, detail);
		return;
	}
	if (s->unable.code == ERROR_NONE)
		log_warning("cluster %s: its members cannot be checked from here: %s",
			    s->record->name, detail);
	error_set(&s->unable, ERROR_KERNEL_FAILED,
		  "checks by tcp, http and https need an address of this host's own on the uplink",
		  "its members cannot be checked from here: %s", detail);
	memset(s->members[index].detail, 0, sizeof(s->members[index].detail));
	memccpy(s->members[index].detail, detail, '\0', sizeof(s->members[index].detail) - 1);
}

int engine_probes_fd(struct engine *e)
{
	return e->balancing->errands ? errands_fd(e->balancing->errands) : -1;
}

void engine_probes_ready(struct engine *e)
{
	errands_results(e->balancing->errands, on_probe, e);
}

/* --- begin, end, time ------------------------------------------------------------------------ */

void cluster_health_begin(struct engine *e, struct cluster_state *s, unsigned int index)
{
	struct member_here *m = &s->members[index];

	if (m->checked || s->record->check == CLUSTER_CHECK_NONE)
		return;
	m->checked = true;
	/* The data plane tells of one answer of a port in 50 ms: who is a member of several
	 * clusters is asked by them one after the other. */
	m->next = mono_after(e->cfg.mono_now(),
			     SPAN_MS((s->record->id - 1) % 16 * s->record->check_interval_ms / 32));
	if (s->check_begun.ns && m->next.ns < mono_after(s->check_begun, CHECK_SPREAD).ns)
		m->next = mono_after(s->check_begun, CHECK_SPREAD);
	s->check_begun = m->next;
	if (m->next.ns < s->check_due.ns || s->check_due.ns == 0)
		s->check_due = m->next;
}

void cluster_health_inherit(struct engine *e, struct cluster_state *s, unsigned int index)
{
	struct anchor_view *view = engine_alloc(e, sizeof(*view));
	struct member_here *m = &s->members[index];

	if (view && m->checked && s->anchored && anchor_look(e->cfg.anchors, s->record->id, view) &&
	    view->live[index] &&
	    (strcmp(view->live[index], "up") == 0 || strcmp(view->live[index], "draining") == 0))
		m->health.health = HEALTH_UP;
	m->newcomer = m->newcomer && m->health.health != HEALTH_UP;
	engine_dispose(e, view);
}

void cluster_health_end(struct engine *e, struct member_here *m)
{
	if (m->probe)
		errands_drop(e->balancing->errands, m->probe);
	m->probe = 0;
	m->checked = m->asking = false;
	m->health = (struct health_state){ 0 };
	m->detail[0] = '\0';
}

void cluster_health_time(struct engine *e, struct cluster_state *s, mono_t now)
{
	mono_t next = MONO_NEVER;

	if (s->check_due.ns == 0 || !mono_due(s->check_due, now))
		return;
	for (unsigned int i = 0; i < s->record->member_count; i++) {
		struct member_here *m = &s->members[i];

		if (!m->checked)
			continue;
		if (s->record->check == CLUSTER_CHECK_ARP)
			arp_time(e, s, i, now);
		else
			probe_time(e, s, i, now);
		/* Begun ones of the errands come by themselves. */
		if (m->probe)
			continue;
		if (m->asking && m->deadline.ns < next.ns)
			next = m->deadline;
		if (m->next.ns < next.ns)
			next = m->next;
	}
	s->check_due = next;
}
