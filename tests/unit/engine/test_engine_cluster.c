/* Clusters of one host: what is asked becomes a durable record, the data plane and the anchors hear
 * of it, and what they report is carried out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cluster_case.h"
#include "model/ip.h"
#include "store/mem.h"
#include "wire/announce.h"
#include "wire/arp.h"
#include "wire/claim.h"
#include "wire/eth.h"

static void is_made_told_and_kept(void **state)
{
	struct fake_anchor *a = &nodes[0].anchors.clusters[1];
	struct cluster_view v;
	vmac_mac_t face;
	struct wish w;

	made(&w);
	v = view(0, "web");
	face = v.cluster->faces[0];
	assert_int_equal(v.member_count, 2);
	assert_int_equal(v.cluster->members[0].id, 1);
	assert_int_equal(v.cluster->members[1].id, 2);
	assert_int_equal(v.cluster->generation, 1);
	assert_int_equal(clusters(0), 1);
	/* The face has a record of its own, of the pool. */
	assert_int_equal(node_state(0, face), VMAC_RESERVED);
	assert_int_equal(face.octet[0], 0x8a);
	/* Data plane, NIC and anchors know. */
	assert_true(nodes[0].plane.clusters[0].set);
	assert_int_equal(nodes[0].plane.clusters[0].members, 2);
	assert_true(fake_filters(&nodes[0].host, face));
	assert_non_null(a->record);
	assert_true(a->where.up);
	assert_int_equal(a->where.ifindex, 1);
	assert_string_equal(a->where.segment, "lan");
	assert_true(a->members[1].hosted && a->members[2].hosted);
	assert_true(a->claimed[0] > 0);
	/* A restart changes nothing. */
	node_stop(0);
	node_start(0);
	assert_true(vmac_mac_equal(view(0, "web").cluster->faces[0], face));
	assert_int_equal(node_state(0, face), VMAC_RESERVED);
	assert_int_equal(nodes[0].plane.clusters[0].sets, 2);
	assert_int_equal(nodes[0].plane.clusters[0].removed, 0);
	assert_true(fake_filters(&nodes[0].host, face));
	assert_int_equal(delete (0, "web"), ERROR_NONE);
	assert_int_equal(clusters(0), 0);
	assert_false(nodes[0].plane.clusters[0].set);
	assert_true(a->removed);
	assert_false(fake_filters(&nodes[0].host, face));
	assert_int_equal(node_state(0, face), VMAC_QUARANTINED);
	assert_int_equal(delete (0, "web"), ERROR_NOT_FOUND);
}

static void a_face_is_nobody_elses(void **state)
{
	char text[VMAC_MAC_TEXT_MAX];
	struct vmac_ref ref = { "", text };
	struct wish w;
	unsigned int before = nodes[0].answer.count;

	made(&w);
	vmac_mac_format(view(0, "web").cluster->faces[0], VMAC_MAC_COLON, text);
	engine_vmac_release(nodes[0].rig.engine, &rig_caller, &ref, rig_answered, &nodes[0].answer);
	nodes_settle();
	assert_int_equal(nodes[0].answer.count, before + 1);
	assert_int_equal(nodes[0].answer.code, ERROR_WRONG_STATE);
	assert_int_equal(node_port(0, "p2", text), ERROR_WRONG_STATE);
	assert_int_equal(node_given(0, view(0, "web").cluster->faces[0]), ERROR_ADDRESS_IN_USE);
	/* Nor is a member let go while it is one. */
	ref.which = "g2";
	assert_int_equal(member(0, ENGINE_MEMBER_ADD, "g2", NULL), ERROR_NONE);
	engine_vmac_release(nodes[0].rig.engine, &rig_caller, &ref, rig_answered, &nodes[0].answer);
	nodes_settle();
	assert_int_equal(nodes[0].answer.code, ERROR_IN_USE);
	/* Another of the same face, name or address. */
	wish(&w, "other", "10.1.0.81");
	w.faces[0] = mac(text);
	w.c.face_count = 1;
	assert_int_equal(add(0, &w, 0), ERROR_ADDRESS_IN_USE);
	wish(&w, "web", "10.1.0.81");
	assert_int_equal(add(0, &w, 1), ERROR_NAME_IN_USE);
	wish(&w, "other", "10.1.0.80");
	assert_int_equal(add(0, &w, 1), ERROR_ADDRESS_IN_USE);
}

static void bind_ip(const char *name, const char *text)
{
	struct vmac_set s = { .has_ips = true, .ip_count = 1, .ips = { ip(text) } };
	struct vmac_ref ref = { "", name };

	engine_vmac_set(nodes[0].rig.engine, &rig_caller, &ref, &s, rig_answered, &nodes[0].answer);
	nodes_settle();
}

static void bad_ones_are_refused_precisely(void **state)
{
	struct wish w;

	wish(&w, "web", "10.1.0.80");
	wish_member(&w, mac("8a:00:00:77:77:77"));
	assert_int_equal(add(0, &w, 1), ERROR_NOT_FOUND);
	assert_non_null(strstr(last.message, "8a:00:00:77:77:77"));
	wish(&w, "web", "10.1.0.80");
	wish_member(&w, guests[0]);
	wish_member(&w, guests[0]);
	assert_int_equal(add(0, &w, 1), ERROR_BAD_ADDRESS);
	wish(&w, "web", "10.1.0.80");
	assert_int_equal(add(0, &w, 9), ERROR_LIMIT_REACHED);
	w.c.address_count = 0;
	assert_int_equal(add(0, &w, 1), ERROR_MISSING_FIELD);
	/* What nat needs. */
	wish(&w, "web", "10.1.0.80");
	w.c.nat = true;
	wish_member(&w, guests[0]);
	assert_int_equal(add(0, &w, 1), ERROR_BAD_VALUE);
	bind_ip("g0", "10.1.0.10");
	assert_int_equal(nodes[0].answer.code, ERROR_NONE);
	assert_int_equal(add(0, &w, 1), ERROR_NONE);
	assert_true(ip_equal(&nodes[0].plane.clusters[0].own[0][0],
			     &(struct ip){ 4, { 10, 1, 0, 10 } }));
	/* A changed address of a member's reaches the data plane. */
	bind_ip("g0", "10.1.0.11");
	assert_true(ip_equal(&nodes[0].plane.clusters[0].own[0][0],
			     &(struct ip){ 4, { 10, 1, 0, 11 } }));
	/* What is bound cannot be virtual, what is virtual cannot be bound. */
	bind_ip("g1", "10.1.0.80");
	assert_int_equal(nodes[0].answer.code, ERROR_ADDRESS_IN_USE);
	wish(&w, "mail", "10.1.0.11");
	assert_int_equal(add(0, &w, 1), ERROR_ADDRESS_IN_USE);
	/* Nothing of all that was refused is left in the pool: the first address that was tried is
	 * given to the next. */
	assert_int_equal(clusters(0), 1);
}

static void members_come_change_and_go(void **state)
{
	struct fake_anchor *a = &nodes[0].anchors.clusters[1];
	struct member_set how = { .has_weight = true, .weight = 7 };
	struct wish w;

	made(&w);
	assert_int_equal(member(0, ENGINE_MEMBER_ADD, "g0", NULL), ERROR_IN_USE);
	assert_int_equal(member(0, ENGINE_MEMBER_ADD, "nobody", NULL), ERROR_NOT_FOUND);
	assert_int_equal(member(0, ENGINE_MEMBER_ADD, "g2", &how), ERROR_NONE);
	assert_int_equal(view(0, "web").cluster->members[2].id, 3);
	assert_int_equal(view(0, "web").cluster->members[2].weight, 7);
	assert_false(a->members[3].told); /* nobody carries it */
	assert_int_equal(node_port(0, "p2", "g2"), ERROR_NONE);
	assert_true(a->members[3].hosted);
	/* Its port's name will do, too. */
	assert_int_equal(
		member(0, ENGINE_MEMBER_DRAIN, "p0", &(struct member_set){ .drain_ms = 5000 }),
		ERROR_NONE);
	assert_int_equal(view(0, "web").cluster->members[0].state, MEMBER_DRAINING);
	assert_int_equal(view(0, "web").cluster->members[0].drain_ms, 5000);
	assert_int_equal(member(0, ENGINE_MEMBER_ACTIVATE, "g0", NULL), ERROR_NONE);
	assert_int_equal(view(0, "web").cluster->members[0].state, MEMBER_ACTIVE);
	assert_int_equal(member(0, ENGINE_MEMBER_FAIL, "g1", NULL), ERROR_NONE);
	assert_int_equal(view(0, "web").cluster->generation, 5);
	/* Ids stay; a new one takes the one that is free. */
	assert_int_equal(member(0, ENGINE_MEMBER_REMOVE, "g0", NULL), ERROR_NONE);
	assert_int_equal(view(0, "web").member_count, 2);
	assert_int_equal(view(0, "web").cluster->members[0].id, 2);
	assert_int_equal(view(0, "web").cluster->members[1].id, 3);
	assert_int_equal(member(0, ENGINE_MEMBER_REMOVE, "g0", NULL), ERROR_NOT_FOUND);
	assert_int_equal(member(0, ENGINE_MEMBER_ADD, "g0", NULL), ERROR_NONE);
	assert_int_equal(view(0, "web").cluster->members[0].id, 1);
	/* A record that is equal changes nothing. */
	{
		struct cluster_view v = view(0, "web");
		struct wish same = { .c = *v.cluster };

		assert_int_equal(set(0, "web", &same), ERROR_NONE);
		assert_int_equal(view(0, "web").cluster->generation, 7);
	}
	/* A port that goes takes its member along. */
	assert_int_equal(node_port_delete(0, "p2"), ERROR_NONE);
	assert_false(a->members[3].hosted);
	fake_carrier(&nodes[0].host, false);
	nodes_settle();
	assert_true(a->members[1].hosted);
	assert_false(a->members[1].fit);
	fake_carrier(&nodes[0].host, true);
	nodes_settle();
	/* It joined a cluster that was there: its first check is to go well. */
	assert_false(a->members[1].fit);
}

static void an_address_in_use_on_the_wire_is_refused(void **state)
{
	struct cluster_add a = { .segment = "", .allocate = 1, .pool = "" };
	unsigned int before = last.count;
	uint8_t buf[ANNOUNCE_LEN_MAX];
	struct writer writer = writer_of(buf, sizeof(buf));
	const uint8_t address[4] = { 10, 1, 0, 80 };
	struct wish w;

	wish(&w, "web", "10.1.0.80");
	wish_member(&w, guests[0]);
	a.record = &w.c;
	engine_cluster_add(nodes[0].rig.engine, &rig_caller, &a, on_answer, NULL);
	nodes_settle();
	assert_int_equal(last.count, before); /* asks */
	assert_int_equal(nodes[0].plane.asked_at, 1);
	announce_arp(&writer, ANNOUNCE_REPLY, mac("00:11:22:33:44:55"), address);
	fake_heard(buf, writer_used(&writer));
	nodes_pass(300);
	assert_int_equal(last.count, before + 1);
	assert_int_equal(last.code, ERROR_ADDRESS_IN_USE);
	assert_non_null(strstr(last.message, "00:11:22:33:44:55"));
	/* A member may answer for it. */
	engine_cluster_add(nodes[0].rig.engine, &rig_caller, &a, on_answer, NULL);
	nodes_settle();
	writer = writer_of(buf, sizeof(buf));
	announce_arp(&writer, ANNOUNCE_REPLY, guests[0], address);
	fake_heard(buf, writer_used(&writer));
	nodes_pass(1000);
	assert_int_equal(last.count, before + 2);
	assert_int_equal(last.code, ERROR_NONE);
}

static void views_become_rows(void **state)
{
	const struct balance_choice choices[] = { { 1, 1, true, true }, { 2, 3, true, true } };
	struct fake_cluster *f = &nodes[0].plane.clusters[0];
	struct fake_anchor *a = &nodes[0].anchors.clusters[1];
	struct anchor_report r = {
		.kind = ANCHOR_INSTALL,
		.view = { 4, 1 },
		.choice_count = 2,
		.choices = choices,
	};
	struct cluster_view v;
	struct wish w;

	made(&w);
	heartbeat_set_bit(&r.fresh, 1, true);
	/* The data plane cannot: it is tried again. */
	fake_install_fails = true;
	report(0, r);
	assert_int_equal(a->installed.number, 0);
	fake_install_fails = false;
	nodes_pass(1100);
	assert_int_equal(a->installed.number, 1);
	assert_true(f->installed);
	assert_int_equal(f->fresh[0], 1);
	assert_int_equal(view(0, "web").members[0].rows, 0); /* not in force */
	assert_int_equal(view(0, "web").rows_unassigned, CLUSTER_ROWS);
	fake_commit_fails = true;
	report(0, (struct anchor_report){ .kind = ANCHOR_COMMIT, .view = { 4, 1 } });
	assert_int_equal(a->committed.epoch, 0);
	fake_commit_fails = false;
	nodes_pass(1100);
	assert_true(f->committed);
	assert_int_equal(a->committed.epoch, 4);
	v = view(0, "web");
	assert_int_equal(v.row_count, CLUSTER_ROWS);
	assert_int_equal(v.members[0].rows + v.members[1].rows, CLUSTER_ROWS);
	assert_true(v.members[1].rows > 2 * v.members[0].rows);
	assert_int_equal(v.rows_unassigned, 0);
	assert_string_equal(v.faces[0].anchor, "this host");
	assert_string_equal(v.members[0].port, "p0");
	assert_int_equal(v.counters[0].value, 5);
	/* Members of one JSON object. */
	for (unsigned int i = 0; i < v.counter_count; i++)
		for (unsigned int j = 0; j < i; j++)
			assert_string_not_equal(v.counters[i].name, v.counters[j].name);
}

static void epochs_go_into_the_journal(void **state)
{
	struct wish w;
	vmac_mac_t face;

	made(&w);
	face = view(0, "web").cluster->faces[0];
	report(0, (struct anchor_report){ .kind = ANCHOR_HOLD, .epoch = 41 });
	assert_int_equal(node_epoch(0, face), 41);
	report(0, (struct anchor_report){ .kind = ANCHOR_HOLD, .epoch = 40 });
	assert_int_equal(node_epoch(0, face), 41);
	node_stop(0);
	nodes[0].anchors.clusters[1].claimed[0] = 0;
	node_start(0);
	assert_int_equal(nodes[0].anchors.clusters[1].claimed[0], 41);
}

/* The answer to what was asked last. */
static void guest_answers(void)
{
	struct reader r = reader_of(nodes[0].plane.asked, nodes[0].plane.asked_len);
	uint8_t buf[ANNOUNCE_LEN_MAX];
	struct writer writer = writer_of(buf, sizeof(buf));
	struct fake_port *port;
	const char *why;
	struct eth eth;
	struct arp arp;

	assert_int_equal(eth_decode(&r, &eth, &why), 0);
	assert_int_equal(arp_decode(&r, eth.type, &arp, &why), 0);
	port = fake_port_of(&nodes[0].plane, eth.to);
	assert_non_null(port);
	announce_arp(&writer, ANNOUNCE_REPLY, eth.to, arp.target_ip);
	fake_tell(&nodes[0].plane, PLANE_ANSWERED, port->port.id, buf,
		  writer_used(&writer)); /* of the cluster in slot 0 */
}

static void who_answers_is_fit(void **state)
{
	struct fake_anchor *a = &nodes[0].anchors.clusters[1];
	struct wish w;

	wish(&w, "web", "10.1.0.80");
	wish_member(&w, guests[0]);
	assert_int_equal(add(0, &w, 1), ERROR_NONE);
	assert_true(a->members[1].fit); /* nothing is known against it */
	assert_true(nodes[0].plane.asked_at >= 10);
	guest_answers();
	nodes_settle();
	assert_string_equal(view(0, "web").members[0].health, "up");
	/* Three questions in a row without an answer. */
	nodes_pass(4500);
	assert_true(a->members[1].fit);
	nodes_pass(3000);
	assert_false(a->members[1].fit);
	assert_string_equal(view(0, "web").members[0].health, "down");
	assert_string_equal(view(0, "web").members[0].detail, "no answer in 1000 ms");
	for (unsigned int i = 0; i < 6; i++) {
		guest_answers();
		nodes_pass(1000);
	}
	assert_true(a->members[1].fit);
	/* The port goes and comes: what was known counts no more. */
	assert_int_equal(node_port_delete(0, "p0"), ERROR_NONE);
	assert_string_equal(view(0, "web").members[0].health, "");
}

/* Members that have its old one answer to nobody.  What it has not yet proven to be its own, it
 * does not speak for. */
static void a_host_with_another_address_says_so(void **state)
{
	const vmac_mac_t now = { { 2, 0, 0, 0, 1, 1 } };
	struct plane *p = &nodes[0].plane;
	unsigned int before;
	struct wish w;

	wish(&w, "web", "10.1.0.80");
	wish_member(&w, guests[0]);
	assert_int_equal(add(0, &w, 1), ERROR_NONE);
	before = p->announced;
	fake_readdress(&nodes[0].host);
	nodes_settle();
	assert_int_equal(p->announced, before + 2);
	assert_int_equal(p->asked_at, 1);
	assert_memory_equal(p->asked + 6, now.octet, 6);	 /* from it, */
	assert_int_equal(p->asked[14 + 40], 136);		 /* an NA */
	assert_int_equal(p->asked[14 + 44] & 0xe0, 0x80 | 0x20); /* of a router, which overrides, */
	assert_int_equal(p->asked[14 + 48 + 15], 1);		 /* of fd00::1 */
	nodes_pass(5000);
	assert_int_equal(p->announced, before + 2);
}

/* It has no bound address, and one of its own making. */
static void who_has_ipv6_alone_is_asked_for_its_link_local(void **state)
{
	const struct ip formed = ip_link_local(guests[0]);
	struct wish w;

	fake_link_local = (struct ip){ 0 };
	wish(&w, "web", "fd00::80");
	wish_member(&w, guests[0]);
	assert_int_equal(add(0, &w, 1), ERROR_NONE);
	assert_memory_equal(nodes[0].plane.asked + 62, formed.octet, 16);
	fake_link_local = ip("fe80::1234:5678:9abc:def0");
	nodes_pass(2500);
	assert_memory_equal(nodes[0].plane.asked + 62, fake_link_local.octet, 16);
	/* The group that it listens to is that of this address. */
	assert_memory_equal(nodes[0].plane.asked + 38 + 13, fake_link_local.octet + 13, 3);
	fake_link_local = (struct ip){ 0 };
}

static void probe_says(enum errand_outcome what, const char *detail)
{
	fake_outcome(fake_probe.probe.id, what, detail);
	engine_probes_ready(nodes[0].rig.engine);
}

static void connections_are_asked_for_on_the_real_path(void **state)
{
	struct fake_anchor *a = &nodes[0].anchors.clusters[1];
	struct wish w;

	memset(&fake_probe, 0, sizeof(fake_probe));
	wish(&w, "web", "2001:db8::80");
	w.c.check = CLUSTER_CHECK_HTTP;
	w.c.check_port = 8080;
	w.c.check_target = "/alive";
	wish_member(&w, guests[0]);
	assert_int_equal(add(0, &w, 1), ERROR_NONE);
	nodes_pass(100);
	assert_int_equal(fake_probe.begun, 1);
	assert_int_equal(fake_probe.probe.kind, ERRAND_HTTP);
	assert_string_equal(fake_probe.target, "http://[2001:db8::80]:8080/alive");
	assert_string_equal(fake_probe.probe.way.device, "eth0");
	assert_int_equal(fake_probe.probe.way.mark, PLANE_PROBE_MARK(1));
	assert_true(a->members[1].fit);
	/* Who cannot ask says nothing against the member, but says so. */
	probe_says(ERRAND_UNABLE, "Network is unreachable");
	assert_true(a->members[1].fit);
	assert_int_equal(view(0, "web").trouble.code, ERROR_KERNEL_FAILED);
	/* Nobody answers where no face had an anchor yet: that says nothing. */
	probe_says(ERRAND_DOWN, "no answer in 1000 ms");
	assert_true(a->members[1].fit);
	nodes_pass(w.c.check_timeout_ms);
	/* The first result counts at once. */
	probe_says(ERRAND_DOWN, "HTTP 500");
	assert_false(a->members[1].fit);
	assert_string_equal(view(0, "web").members[0].detail, "HTTP 500");
	assert_int_equal(view(0, "web").trouble.code, ERROR_NONE);
	probe_says(ERRAND_UP, "HTTP 200");
	assert_false(a->members[1].fit);
	probe_says(ERRAND_UP, "HTTP 200");
	assert_true(a->members[1].fit);
	/* Another question: begun anew, and the old one's results are nobody's. */
	{
		struct cluster_view v = view(0, "web");
		struct wish other = { .c = *v.cluster };
		uint64_t old = fake_probe.probe.id;

		other.c.check = CLUSTER_CHECK_TCP;
		other.c.check_target = "";
		assert_int_equal(set(0, "web", &other), ERROR_NONE);
		nodes_pass(100);
		assert_int_equal(fake_probe.begun, 2);
		assert_int_equal(fake_probe.dropped, 1);
		assert_string_equal(fake_probe.target, "[2001:db8::80]:8080");
		fake_outcome(old, ERRAND_DOWN, "HTTP 500");
		engine_probes_ready(nodes[0].rig.engine);
		assert_true(a->members[1].fit);
	}
	assert_int_equal(node_port_delete(0, "p0"), ERROR_NONE);
	assert_int_equal(fake_probe.dropped, 2);
}

static void who_drains_is_watched(void **state)
{
	struct fake_anchor *a = &nodes[0].anchors.clusters[1];
	unsigned int count;
	struct wish w;

	made(&w);
	nodes[0].plane.flows[1] = 3;
	nodes_pass(3000);
	assert_false(a->members[1].busy);
	assert_int_equal(member(0, ENGINE_MEMBER_DRAIN, "g0", NULL), ERROR_NONE);
	nodes_pass(100);
	assert_true(a->members[1].busy);
	nodes[0].plane.flows[1] = 0;
	nodes_pass(1200);
	assert_false(a->members[1].busy);
	/* Before it is known whether it has flows, it has; that is looked at soon. */
	assert_int_equal(member(0, ENGINE_MEMBER_ACTIVATE, "g0", NULL), ERROR_NONE);
	nodes_pass(3000);
	count = a->members[1].count;
	assert_int_equal(member(0, ENGINE_MEMBER_DRAIN, "g0", NULL), ERROR_NONE);
	nodes_pass(100);
	assert_int_equal(a->members[1].count, count + 2);
	assert_false(a->members[1].busy);
}

static void strangers_are_told_apart(void **state)
{
	struct fake_anchor *a = &nodes[0].anchors.clusters[1];
	struct claim_tag tag = { .epoch = 77, .host = 3 };
	uint8_t buf[CLAIM_LEN];
	struct writer writer = writer_of(buf, sizeof(buf));
	struct wish w;

	made(&w);
	tag.address = view(0, "web").cluster->faces[0];
	claim_write(&writer, &tag, view(0, "web").cluster->key);
	fake_tell(&nodes[0].plane, PLANE_FACE_STRANGER, 0, buf, sizeof(buf));
	nodes_settle();
	assert_int_equal(a->claimed[0], 77);
	assert_int_equal(a->strangers, 0);
	buf[59] ^= 1;
	fake_tell(&nodes[0].plane, PLANE_FACE_STRANGER, 0, buf, sizeof(buf));
	nodes_settle();
	assert_int_equal(a->strangers, 1);
}

/* As the data plane tells of it: an ARP announcement, or a neighbour advertisement's beginning. */
static void claims(const char *who, const char *address)
{
	uint8_t buf[64] = { 0 };
	struct writer w = writer_of(buf, sizeof(buf));

	announce_arp(&w, ANNOUNCE_REPLY, mac(who), ip(address).octet);
	assert_false(w.failed);
	fake_tell(&nodes[0].plane, PLANE_ADDRESS_STRANGER, 0, buf, sizeof(buf));
	nodes_settle();
}

static void who_claims_an_address_is_told_of(void **state)
{
	struct cluster_claimant first;
	struct wish w;

	made(&w);
	assert_int_equal(view(0, "web").claimant.count, 0);
	claims("52:54:00:00:00:66", "10.1.0.80");
	first = view(0, "web").claimant;
	assert_int_equal(first.count, 1);
	assert_true(vmac_mac_equal(first.address, mac("52:54:00:00:00:66")));
	assert_true(ip_equal(&first.ip, &(struct ip){ 4, { 10, 1, 0, 80 } }));
	/* The same again is no news; since when it is, stays. */
	nodes_pass(60000);
	claims("52:54:00:00:00:66", "10.1.0.80");
	assert_int_equal(view(0, "web").claimant.count, 2);
	assert_true(view(0, "web").claimant.since.ms == first.since.ms);
	assert_true(view(0, "web").claimant.last.ms > first.last.ms);
	/* Another is. */
	claims("52:54:00:00:00:67", "10.1.0.80");
	assert_int_equal(view(0, "web").claimant.count, 1);
	nodes_pass(599000);
	assert_int_equal(view(0, "web").claimant.count, 1);
	nodes_pass(2000);
	assert_int_equal(view(0, "web").claimant.count, 0);
}

/* --- a disk that is full ---------------------------------------------------------------------- */

static void what_is_not_durable_is_undone(void **state)
{
	const struct member_set none = { 0 };
	struct cluster_add a = { .segment = "", .allocate = 2, .pool = "" };
	struct rig_answer answer = { 0 };
	struct rig r;
	struct wish w;
	uint64_t used;

	rig_open(&r, "mem");
	rig_segment(&r, "lan", &answer);
	rig_pool(&r, "pool", CASE_RANGE, &answer);
	assert_int_equal(rig_vmac(&r, "g0", &answer), ERROR_NONE);
	used = rig_pool_view(&r, "pool").used;
	wish(&w, "web", "10.1.0.80");
	wish_member(&w, answer.address);
	a.record = &w.c;
	store_mem_fail_next(r.store, 1, ERROR_REGISTRY_FULL);
	engine_cluster_add(r.engine, &rig_caller, &a, rig_answered, &answer);
	rig_settle(&r);
	assert_int_equal(answer.code, ERROR_REGISTRY_FULL);
	assert_int_equal(rig_pool_view(&r, "pool").used, used);
	engine_cluster_add(r.engine, &rig_caller, &a, rig_answered, &answer);
	rig_settle(&r);
	assert_int_equal(answer.code, ERROR_NONE);
	assert_int_equal(rig_pool_view(&r, "pool").used, used + 2);
	store_mem_fail_next(r.store, 1, ERROR_REGISTRY_FULL);
	engine_cluster_member(r.engine, &rig_caller, "web", ENGINE_MEMBER_REMOVE, "g0", &none,
			      rig_answered, &answer);
	rig_settle(&r);
	assert_int_equal(answer.code, ERROR_REGISTRY_FULL);
	engine_cluster_member(r.engine, &rig_caller, "web", ENGINE_MEMBER_DRAIN, "g0", &none,
			      rig_answered, &answer);
	rig_settle(&r);
	assert_int_equal(answer.code, ERROR_NONE);
	store_mem_fail_next(r.store, 1, ERROR_REGISTRY_FULL);
	engine_cluster_delete(r.engine, &rig_caller, "web", rig_answered, &answer);
	rig_settle(&r);
	assert_int_equal(answer.code, ERROR_REGISTRY_FULL);
	engine_cluster_delete(r.engine, &rig_caller, "web", rig_answered, &answer);
	rig_settle(&r);
	assert_int_equal(answer.code, ERROR_NONE);
	assert_int_equal(rig_pool_view(&r, "pool").used, used);
	assert_int_equal(rig_pool_view(&r, "pool").quarantined, 2);
	rig_close(&r);
}

static void a_guest_is_a_member_of_so_many(void **state)
{
	char name[16], address[16];
	struct wish w;

	for (unsigned int i = 0; i < MEMBER_CLUSTERS_MAX; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		snprintf(address, sizeof(address), "10.1.0.%u", 100 + i);
		wish(&w, name, address);
		wish_member(&w, guests[0]);
		assert_int_equal(add(0, &w, 1), ERROR_NONE);
	}
	/* A new one with it, and it into one that is there. */
	wish(&w, "web", "10.1.0.80");
	wish_member(&w, guests[0]);
	assert_int_equal(add(0, &w, 1), ERROR_LIMIT_REACHED);
	assert_non_null(strstr(last.message, "of 16 clusters already"));
	wish(&w, "web", "10.1.0.80");
	wish_member(&w, guests[1]);
	assert_int_equal(add(0, &w, 1), ERROR_NONE);
	assert_int_equal(member(0, ENGINE_MEMBER_ADD, "g0", NULL), ERROR_LIMIT_REACHED);
	/* What it is already may be changed, and once there is room it may join. */
	wish(&w, "c3", "10.1.0.103");
	wish_member(&w, guests[0]);
	w.members[0].weight = 5;
	assert_int_equal(set(0, "c3", &w), ERROR_NONE);
	assert_int_equal(delete (0, "c3"), ERROR_NONE);
	assert_int_equal(member(0, ENGINE_MEMBER_ADD, "g0", NULL), ERROR_NONE);
	assert_int_equal(view(0, "web").trouble.code, ERROR_NONE);
}

int main(void)
{
#define T(fn, setup) cmocka_unit_test_setup_teardown(fn, setup, end)
	const struct CMUnitTest tests[] = {
		T(is_made_told_and_kept, alone),
		T(a_face_is_nobody_elses, alone),
		T(bad_ones_are_refused_precisely, alone),
		T(members_come_change_and_go, alone),
		T(an_address_in_use_on_the_wire_is_refused, alone),
		T(views_become_rows, alone),
		T(epochs_go_into_the_journal, alone),
		T(who_answers_is_fit, alone),
		T(a_host_with_another_address_says_so, alone),
		T(who_has_ipv6_alone_is_asked_for_its_link_local, alone),
		T(connections_are_asked_for_on_the_real_path, alone),
		T(who_drains_is_watched, alone),
		T(strangers_are_told_apart, alone),
		T(who_claims_an_address_is_told_of, alone),
		T(a_guest_is_a_member_of_so_many, alone),
		cmocka_unit_test(what_is_not_durable_is_undone),
	};

	return cmocka_run_group_tests_name("engine clusters", tests, NULL, NULL);
}
