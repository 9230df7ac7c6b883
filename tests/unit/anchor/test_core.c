/* What the core makes of what a machine says, and what it tells it. */
#include <errno.h>

#include "rig.h"

#include "false_group.h"
#include "base/cleanup.h"
#include "wire/claim.h"

static const mono_t never = { INT64_MAX };

static void fresh(void)
{
	false_forget();
	false_inits = 0;
	false_expiry = never;
	memset(&false_heartbeat, 0, sizeof(false_heartbeat));
	false_heartbeat.face_count = 1;
}

static struct anchor_members members_none(void)
{
	return (struct anchor_members){ 0 };
}

/* Makes the machine take a step that says this. */
static void say(struct rig *r, uint32_t id, const struct group_effect *effects, unsigned int count)
{
	const struct group_event event = { .kind = GROUP_STRANGER };

	false_say(effects, count);
	rig_forget(r);
	anchor_core_event(r->core, id, &event, rig_now);
}

/* --- beginnings ------------------------------------------------------------------------------ */

static void test_begins(void **state)
{
	struct rig *r = rig_new(4);
	struct group_event told = { 0 };
	struct rig_cluster c;

	fresh();
	rig_cluster(&c, 3, 1, 2);
	assert_true(anchor_core_empty(r->core));
	assert_int_equal(rig_set(r, &c, 0), 0);
	assert_false(anchor_core_empty(r->core));
	assert_int_equal(false_inits, 1);
	assert_int_equal(false_config.number, 4);
	assert_int_equal(false_config.incarnation, 7);
	assert_false(false_config.alone);
	assert_string_equal(false_segment, "lan");
	assert_int_equal(false_config.record->member_count, 2);
	/* Nobody has said yet that the link can be heard on. */
	assert_int_equal(false_told(GROUP_LINK, NULL), 0);
	anchor_core_link(r->core, 2, true, rig_now);
	assert_int_equal(false_told(GROUP_LINK, NULL), 0);
	anchor_core_link(r->core, 1, true, rig_now);
	assert_int_equal(false_told(GROUP_LINK, &told), 1);
	assert_true(told.on);
	anchor_core_link(r->core, 1, true, rig_now);
	assert_int_equal(false_told(GROUP_LINK, NULL), 1);
	anchor_core_link(r->core, 1, false, rig_now);
	assert_int_equal(false_told(GROUP_LINK, &told), 2);
	assert_false(told.on);
	rig_free(r);
}

static void test_nobody_without_number(void **state)
{
	struct anchor_identity identity = rig_identity(4);
	struct rig *r = rig_new(4);
	struct rig_cluster c;

	fresh();
	identity.number = 0;
	anchor_core_identity(r->core, &identity, rig_now);
	rig_cluster(&c, 1, 1, 1);
	rig_set(r, &c, 0);
	anchor_core_link(r->core, 1, true, rig_now);
	assert_int_equal(false_told(GROUP_LINK, NULL), 0);
	identity.number = 9;
	anchor_core_identity(r->core, &identity, rig_now);
	assert_int_equal(false_inits, 2);
	assert_int_equal(false_config.number, 9);
	assert_int_equal(false_told(GROUP_LINK, NULL), 1);
	rig_free(r);
}

static void test_internal_is_alone(void **state)
{
	const struct anchor_where where = { .slot = 1, .segment = "inner", .internal = true };
	struct rig *r = rig_new(4);
	struct group_event told = { 0 };
	struct rig_cluster c;

	fresh();
	rig_cluster(&c, 1, 1, 1);
	assert_int_equal(rig_set_at(r, &c, &where), 0);
	assert_true(false_config.alone);
	assert_int_equal(false_told(GROUP_LINK, &told), 1);
	assert_true(told.on);
	/* It gets a wire: others may be there. */
	assert_int_equal(rig_set(r, &c, 0), 0);
	assert_int_equal(false_inits, 2);
	assert_false(false_config.alone);
	rig_free(r);
}

static void test_record_changes(void **state)
{
	struct rig *r = rig_new(4);
	struct group_event told = { 0 };
	struct rig_cluster c;

	fresh();
	rig_cluster(&c, 1, 1, 1);
	rig_set(r, &c, 0);
	c.record.generation = 4;
	rig_set(r, &c, 0);
	assert_int_equal(false_inits, 1);
	assert_int_equal(false_told(GROUP_RECORD, &told), 1);
	assert_int_equal(told.record->generation, 4);
	/* Another key: other names on the wire. */
	c.record.key[0] ^= 1;
	rig_set(r, &c, 0);
	assert_int_equal(false_inits, 2);
	assert_int_equal(rig_count(r, ORDER_GONE), 1);
	rig_free(r);
}

static void test_members(void **state)
{
	struct anchor_members m = members_none();
	struct rig *r = rig_new(4);
	struct group_event told = { 0 };
	struct anchor_place place;
	struct rig_cluster c;

	fresh();
	rig_cluster(&c, 1, 1, 3);
	rig_set(r, &c, 0);
	assert_true(anchor_core_place(r->core, 1, &place));
	assert_false(place.hosts);
	rig_host(r, 1, 2);
	assert_int_equal(false_told(GROUP_MEMBER, &told), 1);
	assert_int_equal(told.member, 2);
	assert_true(told.hosted && told.fit && !told.busy);
	rig_host(r, 1, 2);
	assert_int_equal(false_told(GROUP_MEMBER, NULL), 1);
	anchor_core_place(r->core, 1, &place);
	assert_true(place.hosts);
	heartbeat_set_bit(&m.hosted, CLUSTER_MEMBERS_MAX, true);
	heartbeat_set_bit(&m.busy, CLUSTER_MEMBERS_MAX, true);
	anchor_core_members(r->core, 1, &m, rig_now);
	assert_int_equal(false_told(GROUP_MEMBER, &told), 3);
	assert_int_equal(told.member, CLUSTER_MEMBERS_MAX);
	assert_true(told.hosted && !told.fit && told.busy);
	/* What begins anew is told all that is known. */
	false_forget();
	c.record.key[0] ^= 1;
	rig_set(r, &c, 0);
	assert_int_equal(false_told(GROUP_MEMBER, NULL), 0); /* of another cluster nothing is */
	rig_host(r, 1, 2);
	m = (struct anchor_members){ .hosted = { { 2 } }, .busy = { { 4 } } };
	anchor_core_members(r->core, 1, &m, rig_now);
	false_forget();
	anchor_core_identity(r->core, &(struct anchor_identity){ .number = 3, .incarnation = 1 },
			     rig_now);
	assert_int_equal(false_told(GROUP_MEMBER, &told), 2);
	assert_int_equal(told.member, 3);
	assert_true(!told.hosted && told.busy);
	rig_free(r);
}

/* --- effects --------------------------------------------------------------------------------- */

static void test_effects_in_order(void **state)
{
	const struct group_effect effects[] = {
		{ .kind = GROUP_LEASE, .face = 1, .serve = { 70 }, .speak = { 60 } },
		{ .kind = GROUP_OWN, .serve = { 50 } },
		{ .kind = GROUP_SEND },
		{ .kind = GROUP_INSTALL, .view = { 9, 2 } },
		{ .kind = GROUP_COMMIT_VIEW, .view = { 9, 1 } },
		{ .kind = GROUP_HOLD, .face = 1, .epoch = 9 },
		{ .kind = GROUP_NOTE, .member = 2, .reason = GROUP_REASON_MEMBER_UP },
		{ .kind = GROUP_ALARM, .reason = GROUP_REASON_LATE },
	};
	static const uint8_t key[16] = { 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3 };
	struct rig *r = rig_new(4);
	struct anchor_view view;
	struct heartbeat read;
	struct rig_cluster c;
	uint64_t name;

	fresh();
	rig_cluster(&c, 3, 2, 2);
	rig_set(r, &c, 12);
	false_heartbeat.host[0] = 0x77;
	false_heartbeat.number = 4;
	false_heartbeat.incarnation = 7;
	false_heartbeat.sequence = 5;
	false_heartbeat.cluster = heartbeat_cluster("lan", "web3", key);
	say(r, 3, effects, ARRAY_LEN(effects));
	assert_int_equal(r->count, ARRAY_LEN(effects));
	assert_int_equal(r->orders[0].kind, ORDER_LEASE);
	assert_int_equal(r->orders[0].slot, 3);
	assert_int_equal(r->orders[0].face, 1);
	assert_int_equal(r->orders[0].serve.ns, 70);
	assert_int_equal(r->orders[0].speak.ns, 60);
	assert_int_equal(r->orders[1].kind, ORDER_OWN);
	assert_int_equal(r->orders[1].serve.ns, 50);
	assert_int_equal(r->orders[2].kind, ORDER_SEND);
	assert_int_equal(r->orders[2].vlan, 12);
	assert_int_equal(r->orders[2].ifindex, 1);
	assert_memory_equal(r->orders[2].frame, heartbeat_group.octet, 6);
	assert_memory_equal(r->orders[2].frame + 6, ((const uint8_t[]){ 2, 0, 0, 0, 0, 0x11 }), 6);
	assert_true(heartbeat_peek(r->orders[2].frame, r->orders[2].len, &name));
	assert_true(name == false_heartbeat.cluster);
	assert_int_equal(heartbeat_read(r->orders[2].frame, r->orders[2].len, key, &read),
			 HEARTBEAT_VALID);
	assert_int_equal(read.sequence, 5);
	for (unsigned int i = 3; i < r->count; i++) {
		assert_int_equal(r->orders[i].kind, ORDER_REPORT);
		assert_int_equal(r->orders[i].report.kind, ANCHOR_INSTALL + (i - 3));
		assert_int_equal(r->orders[i].report.cluster, 3);
	}
	assert_int_equal(r->orders[3].report.view.number, 2);
	assert_int_equal(r->orders[3].report.choice_count, 2);
	assert_int_equal(r->orders[3].report.choices[1].id, 2);
	assert_int_equal(r->orders[4].report.view.number, 1);
	assert_null(r->orders[4].report.choices);
	assert_int_equal(r->orders[5].report.face, 1);
	assert_true(r->orders[5].report.has_face);
	assert_int_equal(r->orders[5].report.epoch, 9);
	assert_int_equal(r->orders[6].report.member, 2);
	assert_true(anchor_core_look(r->core, 3, rig_now, &view));
	assert_int_equal(view.sent, 1);
	assert_int_equal(view.late, 1);
	assert_int_equal(view.face_count, 2);
	assert_string_equal(view.live[0], "up");
	assert_int_equal(view.hosts[0], 5);
	assert_string_equal(view.live[1], "absent");
	assert_int_equal(view.faces[0].lease_ms, -1);
	rig_free(r);
}

/* --- announcements --------------------------------------------------------------------------- */

static const struct group_effect announce = { .kind = GROUP_ANNOUNCE };

static uint16_t type_of(const struct order_seen *o)
{
	return (uint16_t)(o->frame[12] << 8 | o->frame[13]);
}

static void test_announces(void **state)
{
	struct rig *r = rig_new(4);
	const struct order_seen *o;
	struct rig_cluster c;
	struct claim_tag tag;

	fresh();
	rig_cluster(&c, 1, 1, 1);
	rig_set(r, &c, 0);
	say(r, 1, &announce, 1);
	assert_int_equal(r->count, 0); /* there is no link */
	anchor_core_link(r->core, 1, true, rig_now);
	/* The epoch that it is announced at is the face's. */
	((struct group *)anchor_core_group(r->core, 1))->faces[0].epoch = 12;
	say(r, 1, &announce, 1);
	assert_int_equal(r->count, 3);
	o = &r->orders[0];
	assert_int_equal(claim_read(o->frame, o->len, c.record.key, &tag), CLAIM_VALID);
	assert_int_equal(tag.epoch, 12);
	assert_int_equal(tag.host, 4);
	assert_true(vmac_mac_equal(tag.address, c.faces[0]));
	assert_int_equal(type_of(&r->orders[1]), 0x0806);
	assert_memory_equal(r->orders[1].frame + 28, ((const uint8_t[]){ 10, 0, 0, 1 }), 4);
	assert_int_equal(type_of(&r->orders[2]), 0x86dd);
	for (unsigned int i = 0; i < 3; i++)
		assert_memory_equal(r->orders[i].frame + 6, c.faces[0].octet, 6);
	rig_free(r);
}

static void test_announces_what_all_hear(void **state)
{
	struct rig *r = rig_new(4);
	struct rig_cluster c;

	fresh();
	rig_cluster(&c, 1, 1, 1);
	c.record.mode = CLUSTER_DISTRIBUTED;
	rig_set(r, &c, 0);
	anchor_core_link(r->core, 1, true, rig_now);
	say(r, 1, &announce, 1);
	assert_int_equal(r->count, 2);
	for (unsigned int i = 0; i < 2; i++) { /* from the uplink's own, about the face */
		assert_memory_equal(r->orders[i].frame + 6,
				    ((const uint8_t[]){ 2, 0, 0, 0, 0, 0x11 }), 6);
		assert_non_null(memmem(r->orders[i].frame + 12, r->orders[i].len - 12,
				       c.faces[0].octet, 6));
	}
	/* A group address is no source, and nobody believes it. */
	c.faces[0].octet[0] = 0x03;
	c.record.key[0] ^= 1;
	rig_set(r, &c, 0);
	anchor_core_link(r->core, 1, true, rig_now);
	say(r, 1, &announce, 1);
	assert_int_equal(r->count, 0);
	rig_free(r);
}

/* A switch that looks at IGMP delivers a face that is IP multicast's to its members alone. */
static void test_listens_in_a_vlan(void **state)
{
	const vmac_mac_t face = { { 0x01, 0x00, 0x5e, 0x7f, 7, 9 } };
	const struct order_seen *o;
	struct rig *r = rig_new(4);
	struct rig_cluster c;
	mono_t now = rig_now;

	fresh();
	rig_cluster(&c, 1, 1, 1);
	c.record.mode = CLUSTER_DISTRIBUTED;
	c.record.address_count = 1; /* IPv4 */
	c.faces[0] = face;
	rig_set(r, &c, 12);
	anchor_core_link(r->core, 1, true, now);
	assert_int_equal(rig_count(r, ORDER_SEND), 0); /* there is nobody here to hear it */
	rig_host(r, 1, 1);
	assert_int_equal(rig_count(r, ORDER_SEND), 1);
	o = rig_order(r, ORDER_SEND, 0);
	assert_memory_equal(o->frame, face.octet, 6);
	assert_int_equal(o->vlan, 12);
	assert_memory_equal(o->frame + 6, ((const uint8_t[]){ 2, 0, 0, 0, 0, 0x11 }), 6);
	for (unsigned int s = 0; s < 200; s++) {
		now = mono_after(now, SPAN_S(1));
		anchor_core_time(r->core, now);
	}
	assert_int_equal(rig_count(r, ORDER_SEND), 1 + 1 + 3);
	/* Untagged it is the kernel's. */
	rig_forget(r);
	rig_set(r, &c, 0);
	anchor_core_time(r->core, mono_after(now, SPAN_S(100)));
	assert_int_equal(rig_count(r, ORDER_SEND), 0);
	rig_free(r);
}

/* Of frames to IPv6 multicast addresses: how many, and what the last one was. */
static unsigned int mld_sent(const struct rig *r, uint8_t *ret_type, uint8_t ret_group[static 16])
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < r->count; i++) {
		const struct order_seen *o = &r->orders[i];

		if (o->kind != ORDER_SEND || memcmp(o->frame + 12, "\x86\xdd", 2) != 0 ||
		    o->frame[20] != 0)
			continue;
		n++;
		*ret_type = o->frame[62];
		memcpy(ret_group, o->frame + 70, 16);
	}
	return n;
}

/* A switch that looks at MLD delivers questions for an address to those who listen to its group. */
static void test_listens_to_questions(void **state)
{
	static const uint8_t one[16] = { 0xff, 2, [11] = 1, 0xff, 0, 0, 1 };
	static const uint8_t two[16] = { 0xff, 2, [11] = 1, 0xff, 0, 0, 2 };
	struct anchor_members nobody = { 0 };
	struct rig *r = rig_new(4);
	struct rig_cluster c, same;
	uint8_t type = 0, group[16];
	mono_t now = rig_now;

	fresh();
	rig_cluster(&c, 1, 1, 1);
	rig_set(r, &c, 0);
	anchor_core_link(r->core, 1, true, now);
	assert_int_equal(mld_sent(r, &type, group), 0); /* no member is here */
	rig_host(r, 1, 1);
	assert_int_equal(mld_sent(r, &type, group), 1);
	assert_int_equal(type, 131);
	assert_memory_equal(group, one, 16);
	for (unsigned int s = 0; s < 200; s++) {
		now = mono_after(now, SPAN_S(1));
		anchor_core_time(r->core, now);
	}
	assert_int_equal(mld_sent(r, &type, group), 1 + 1 + 3);
	/* Another address: the one is left, the other is said at once. */
	rig_forget(r);
	c.addresses[1].octet[15] = 2;
	c.record.generation++;
	rig_set(r, &c, 0);
	assert_int_equal(mld_sent(r, &type, group), 2);
	assert_int_equal(type, 131);
	assert_memory_equal(group, two, 16);
	/* The group is of the last 24 bits, so another cluster may be in it. */
	rig_cluster(&same, 2, 1, 1);
	rig_set(r, &same, 0);
	anchor_core_link(r->core, 1, true, now);
	rig_host(r, 2, 1);
	rig_forget(r);
	anchor_core_members(r->core, 1, &nobody, now);
	assert_int_equal(mld_sent(r, &type, group), 0);
	anchor_core_members(r->core, 2, &nobody, now);
	assert_int_equal(mld_sent(r, &type, group), 1);
	assert_int_equal(type, 132);
	assert_memory_equal(group, two, 16);
	anchor_core_time(r->core, mono_after(now, SPAN_S(100)));
	assert_int_equal(mld_sent(r, &type, group), 1);
	rig_free(r);
}

/* --- heartbeats ------------------------------------------------------------------------------ */

static size_t frame_of(uint8_t *frame, const struct rig_cluster *c, const uint8_t key[16],
		       uint8_t host, uint32_t sequence)
{
	struct heartbeat h = {
		.host = { 1, [15] = host },
		.number = host,
		.incarnation = 1,
		.sequence = sequence,
		.generation = c->record.generation,
		.face_count = c->record.face_count,
		.cluster = heartbeat_cluster("lan", c->record.name, c->record.key),
	};
	struct writer w = writer_of(frame, HEARTBEAT_LEN_MAX);

	heartbeat_write(&w, (vmac_mac_t){ { 2, 0, 0, 0, 0, host } }, &h, key);
	assert_false(w.failed);
	return writer_used(&w);
}

static void test_hears(void **state)
{
	uint8_t frame[HEARTBEAT_LEN_MAX], wrong[16] = { 9 };
	struct rig *r = rig_new(4);
	struct group_event told = { 0 };
	struct anchor_view view;
	struct rig_cluster c;
	struct group *g;
	size_t len;

	fresh();
	rig_cluster(&c, 1, 1, 1);
	rig_set(r, &c, 12);
	g = (struct group *)anchor_core_group(r->core, 1);
	len = frame_of(frame, &c, c.record.key, 5, 10);
	assert_int_equal(anchor_core_frame(r->core, 1, 0, frame, len, rig_now), HEARTBEAT_NOT);
	assert_int_equal(anchor_core_frame(r->core, 2, 12, frame, len, rig_now), HEARTBEAT_NOT);
	assert_int_equal(false_told(GROUP_HEARD, NULL), 0);
	assert_int_equal(anchor_core_frame(r->core, 1, 12, frame, len, rig_now), HEARTBEAT_VALID);
	assert_int_equal(false_told(GROUP_HEARD, &told), 1);
	assert_int_equal(told.heartbeat->sequence, 10);
	assert_int_equal(told.address.octet[5], 5);
	/* Sent again, once the machine knows the host. */
	g->peers[3] =
		(struct group_peer){ .there = true, .host = { 1, [15] = 5 }, .incarnation = 1 };
	g->peers[3].sequence = 10;
	assert_int_equal(anchor_core_frame(r->core, 1, 12, frame, len, rig_now), HEARTBEAT_VALID);
	len = frame_of(frame, &c, c.record.key, 5, 9);
	assert_int_equal(anchor_core_frame(r->core, 1, 12, frame, len, rig_now), HEARTBEAT_VALID);
	/* Our own, come back. */
	len = frame_of(frame, &c, c.record.key, 4, 10);
	anchor_core_frame(r->core, 1, 12, frame, len, rig_now);
	assert_int_equal(false_told(GROUP_HEARD, NULL), 1);
	/* Forged, cut short, of another's record. */
	len = frame_of(frame, &c, wrong, 5, 11);
	assert_int_equal(anchor_core_frame(r->core, 1, 12, frame, len, rig_now), HEARTBEAT_FORGED);
	assert_int_equal(anchor_core_frame(r->core, 1, 12, frame, len - 1, rig_now),
			 HEARTBEAT_MALFORMED);
	assert_int_equal(anchor_core_frame(r->core, 1, 12, frame, 5, rig_now), HEARTBEAT_NOT);
	assert_int_equal(false_told(GROUP_HEARD, NULL), 1);
	c.record.generation++;
	len = frame_of(frame, &c, c.record.key, 5, 12);
	anchor_core_frame(r->core, 1, 12, frame, len, rig_now);
	assert_int_equal(false_told(GROUP_HEARD, NULL), 2);
	anchor_core_look(r->core, 1, rig_now, &view);
	assert_int_equal(view.heard, 2);
	assert_int_equal(view.replayed, 3);
	assert_int_equal(view.behind, 1);
	assert_int_equal(view.verdicts[HEARTBEAT_VALID], 5);
	assert_int_equal(view.verdicts[HEARTBEAT_FORGED], 1);
	assert_int_equal(view.verdicts[HEARTBEAT_MALFORMED], 1);
	rig_free(r);
}

/* --- ends ------------------------------------------------------------------------------------ */

static void leases_ended(const struct rig *r, unsigned int slot)
{
	unsigned int faces = 0;

	for (unsigned int i = 0; i < r->count; i++)
		if (r->orders[i].kind == ORDER_LEASE && r->orders[i].slot == slot) {
			assert_int_equal(r->orders[i].serve.ns, 0);
			faces |= 1u << r->orders[i].face;
		}
	assert_int_equal(faces, (1u << CLUSTER_FACES_MAX) - 1);
	assert_int_equal(rig_count(r, ORDER_OWN), 1);
}

static void test_leaves_at_once(void **state)
{
	struct rig *r = rig_new(4);
	struct rig_cluster c;

	fresh();
	rig_cluster(&c, 2, 1, 1);
	rig_set(r, &c, 0);
	rig_forget(r);
	anchor_core_remove(r->core, 2, rig_now);
	assert_int_equal(false_told(GROUP_LEAVE, NULL), 1);
	leases_ended(r, 2);
	assert_int_equal(rig_count(r, ORDER_GONE), 1);
	assert_true(anchor_core_empty(r->core));
	assert_true(anchor_core_next_expiry(r->core).ns == INT64_MAX);
	anchor_core_remove(r->core, 2, rig_now);
	rig_free(r);
}

static struct group *begin_yielding(struct rig *r, struct rig_cluster *c, uint32_t id)
{
	struct group *g;

	rig_cluster(c, id, 1, 1);
	rig_set(r, c, 0);
	g = (struct group *)anchor_core_group(r->core, id);
	g->faces[0].yielded = true;
	g->sequence = 40;
	rig_forget(r);
	anchor_core_remove(r->core, id, rig_now);
	assert_int_equal(rig_count(r, ORDER_GONE), 0);
	return g;
}

static void test_leaves_when_heard(void **state)
{
	struct rig *r = rig_new(4);
	struct anchor_place place;
	struct rig_cluster c;
	struct group *g;

	fresh();
	g = begin_yielding(r, &c, 1);
	assert_true(anchor_core_place(r->core, 1, &place) && place.leaving);
	g->faces[0].yielded = false;
	anchor_core_time(r->core, mono_after(rig_now, SPAN_MS(10))); /* not its time yet */
	assert_int_equal(rig_count(r, ORDER_GONE), 0);
	anchor_core_event(r->core, 1, &(struct group_event){ .kind = GROUP_STRANGER }, rig_now);
	leases_ended(r, 1);
	assert_int_equal(rig_count(r, ORDER_GONE), 1);
	rig_free(r);
}

static void test_leaves_unheard(void **state)
{
	struct rig *r = rig_new(4);
	struct rig_cluster c;

	fresh();
	begin_yielding(r, &c, 1);
	assert_true(anchor_core_next_expiry(r->core).ns == mono_after(rig_now, GROUP_SERVE).ns);
	anchor_core_time(r->core, mono_after(rig_now, GROUP_SERVE));
	leases_ended(r, 1);
	assert_true(anchor_core_empty(r->core));
	rig_free(r);
}

/* Whoever comes into its place does not wait for it, and nothing of the old one is stored after. */
static void test_place_is_taken(void **state)
{
	const struct group_effect lease = { .kind = GROUP_LEASE, .serve = { 70 } };
	struct rig_cluster c, other;
	struct rig *r = rig_new(4);
	struct anchor_place place;
	struct anchor_where where = { .slot = 1, .segment = "lan", .ifindex = 1, .up = true };

	fresh();
	begin_yielding(r, &c, 1);
	rig_cluster(&other, 2, 1, 1);
	assert_int_equal(rig_set_at(r, &other, &where), 0);
	assert_false(anchor_core_place(r->core, 1, &place));
	assert_int_equal(rig_order(r, ORDER_GONE, 0)->cluster, 1);
	say(r, 2, &lease, 1);
	anchor_core_time(r->core, mono_after(rig_now, SPAN_S(5)));
	assert_int_equal(r->serve[1][0].ns, 70);
	rig_free(r);
}

static void test_comes_back(void **state)
{
	struct rig *r = rig_new(4);
	struct rig_cluster c;

	fresh();
	begin_yielding(r, &c, 1);
	assert_int_equal(rig_set(r, &c, 0), 0);
	assert_int_equal(false_inits, 2);
	/* Those who heard the one before would take a lower sequence for old. */
	assert_int_equal(anchor_core_group(r->core, 1)->sequence, 40);
	rig_free(r);
}

static void test_all_leave(void **state)
{
	struct rig_cluster a, b;
	struct rig *r = rig_new(4);

	fresh();
	rig_cluster(&a, 1, 1, 1);
	rig_cluster(&b, CLUSTERS_MAX, 1, 1);
	rig_set(r, &a, 0);
	rig_set(r, &b, 0);
	anchor_core_leave(r->core, rig_now);
	assert_int_equal(false_told(GROUP_LEAVE, NULL), 2);
	assert_true(anchor_core_empty(r->core));
	rig_free(r);
}

static void test_identity(void **state)
{
	struct anchor_identity identity = rig_identity(6);
	struct rig *r = rig_new(0);
	struct group_event told = { 0 };
	struct rig_cluster c;
	struct group *g;

	fresh();
	rig_cluster(&c, 1, 2, 1);
	rig_set(r, &c, 0);
	assert_true(false_config.alone);
	assert_int_equal(false_config.number, 1);
	anchor_core_link(r->core, 1, true, rig_now);
	rig_host(r, 1, 1);
	g = (struct group *)anchor_core_group(r->core, 1);
	g->faces[1].active = true;
	g->faces[1].epoch = 44;
	anchor_core_identity(r->core, &(struct anchor_identity){ rig_identity(0).self, 1, true, 7 },
			     rig_now);
	assert_int_equal(false_inits, 1);
	rig_forget(r);
	false_forget();
	anchor_core_identity(r->core, &identity, rig_now);
	assert_int_equal(false_inits, 2);
	assert_false(false_config.alone);
	assert_int_equal(false_config.number, 6);
	leases_ended(r, 1); /* another may have it among those whom it meets now */
	assert_int_equal(false_told(GROUP_CLAIMED, &told), 1);
	assert_int_equal(told.face, 1);
	assert_int_equal(told.epoch, 44);
	assert_int_equal(false_told(GROUP_LINK, NULL), 1);
	assert_int_equal(false_told(GROUP_MEMBER, NULL), 1);
	rig_free(r);
}

/* --- time and memory ------------------------------------------------------------------------- */

static void test_time(void **state)
{
	struct rig_cluster a, b;
	struct rig *r = rig_new(4);

	fresh();
	rig_cluster(&a, 1, 1, 1);
	rig_cluster(&b, 2, 1, 1);
	false_expiry = mono_after(rig_now, SPAN_MS(200));
	rig_set(r, &a, 0);
	false_expiry = mono_after(rig_now, SPAN_MS(100));
	rig_set(r, &b, 0);
	assert_true(anchor_core_next_expiry(r->core).ns == false_expiry.ns);
	false_forget();
	anchor_core_time(r->core, mono_after(rig_now, SPAN_MS(99)));
	assert_int_equal(false_event_count, 0);
	anchor_core_time(r->core, mono_after(rig_now, SPAN_MS(100)));
	assert_int_equal(false_event_count, 1);
	assert_ptr_equal(false_events[0].group, anchor_core_group(r->core, 2));
	/* It wants to be told again at once: it is, but not without an end. */
	assert_true(anchor_core_next_expiry(r->core).ns > mono_after(rig_now, SPAN_MS(100)).ns);
	assert_true(anchor_core_next_expiry(r->core).ns <= mono_after(rig_now, SPAN_MS(101)).ns);
	rig_free(r);
}

static void test_memory_is_short(void **state)
{
	struct rig *r = rig_new(4);
	struct rig_cluster c;

	fresh();
	rig_cluster(&c, 1, 1, 1);
	r->refuse_after = 0;
	assert_int_equal(rig_set(r, &c, 0), -ENOMEM);
	assert_true(anchor_core_empty(r->core));
	r->refuse_after = -1;
	assert_int_equal(rig_set(r, &c, 0), 0);
	/* What replaces it finds none: the old one goes on. */
	c.record.key[0] ^= 1;
	r->refuse_after = 0;
	assert_int_equal(rig_set(r, &c, 0), -ENOMEM);
	assert_false(anchor_core_empty(r->core));
	assert_int_equal(false_inits, 1);
	r->refuse_after = -1;
	assert_int_equal(rig_set(r, &c, 0), 0);
	assert_int_equal(false_inits, 2);
	rig_free(r);
}

static void test_all_at_once(void **state)
{
	struct rig *r = rig_new(4);
	struct rig_cluster c;

	fresh();
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++) {
		struct anchor_where where = {
			.slot = id - 1, .segment = "lan", .ifindex = 1, .up = true
		};

		rig_cluster(&c, id, 1, 1);
		assert_int_equal(rig_set_at(r, &c, &where), 0);
	}
	anchor_core_link(r->core, 1, true, rig_now);
	assert_int_equal(false_told(GROUP_LINK, NULL), CLUSTERS_MAX);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begins),
		cmocka_unit_test(test_nobody_without_number),
		cmocka_unit_test(test_internal_is_alone),
		cmocka_unit_test(test_record_changes),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_effects_in_order),
		cmocka_unit_test(test_announces),
		cmocka_unit_test(test_announces_what_all_hear),
		cmocka_unit_test(test_listens_in_a_vlan),
		cmocka_unit_test(test_listens_to_questions),
		cmocka_unit_test(test_hears),
		cmocka_unit_test(test_leaves_at_once),
		cmocka_unit_test(test_leaves_when_heard),
		cmocka_unit_test(test_leaves_unheard),
		cmocka_unit_test(test_place_is_taken),
		cmocka_unit_test(test_comes_back),
		cmocka_unit_test(test_all_leave),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_memory_is_short),
		cmocka_unit_test(test_all_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
