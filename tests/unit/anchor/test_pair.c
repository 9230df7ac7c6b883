/* Two cores in one process, with the machine as it is, on a wire that the test plays. */
#include "rig.h"

#define HOSTS 2

static struct rig *hosts[HOSTS];
static bool dead[HOSTS], cut;	   /* cut: nobody hears anybody */
static int64_t nobody_ns, both_ns; /* how long cluster 1 was served by none, by two */
static uint64_t held[HOSTS];
static unsigned int heartbeats, announcements;

static void world_new(unsigned int clusters)
{
	memset(dead, 0, sizeof(dead));
	memset(held, 0, sizeof(held));
	cut = false;
	nobody_ns = both_ns = 0;
	heartbeats = announcements = 0;
	for (unsigned int i = 0; i < HOSTS; i++) {
		hosts[i] = rig_new(i + 1);
		for (uint32_t id = 1; id <= clusters; id++) {
			struct rig_cluster c;

			rig_cluster(&c, id, 1, HOSTS);
			assert_int_equal(rig_set(hosts[i], &c, 0), 0);
			rig_host(hosts[i], id, (uint16_t)(i + 1));
		}
		anchor_core_link(hosts[i]->core, 1, true, rig_now);
	}
}

static void world_end(void)
{
	for (unsigned int i = 0; i < HOSTS; i++)
		rig_free(hosts[i]);
}

/* --- what the engine and the wire do --------------------------------------------------------- */

static void answer(unsigned int i, const struct anchor_report *r)
{
	struct group_event event = { .view = r->view };

	if (r->kind == ANCHOR_HOLD && r->cluster == 1)
		held[i] = r->epoch;
	if (r->kind != ANCHOR_INSTALL && r->kind != ANCHOR_COMMIT)
		return;
	event.kind = r->kind == ANCHOR_INSTALL ? GROUP_INSTALLED : GROUP_COMMITTED;
	anchor_core_event(hosts[i]->core, r->cluster, &event, rig_now);
}

static void deliver(unsigned int from, const uint8_t *frame, size_t len)
{
	if (memcmp(frame, heartbeat_group.octet, 6) != 0) {
		announcements++;
		return;
	}
	heartbeats++;
	for (unsigned int i = 0; i < HOSTS; i++)
		if (i != from && !dead[i] && !cut)
			assert_int_equal(
				anchor_core_frame(hosts[i]->core, 1, 0, frame, len, rig_now),
				/* Who has left knows no such cluster. */
				anchor_core_empty(hosts[i]->core) ? HEARTBEAT_NOT
								  : HEARTBEAT_VALID);
}

static bool settle_once(void)
{
	bool any = false;

	for (unsigned int i = 0; i < HOSTS; i++) {
		static struct order_seen o[RIG_ORDERS_MAX];
		const unsigned int n = hosts[i]->count;

		memcpy(o, hosts[i]->orders, n * sizeof(*o));
		rig_forget(hosts[i]);
		for (unsigned int k = 0; k < n && !dead[i]; k++) {
			any = true;
			if (o[k].kind == ORDER_SEND)
				deliver(i, o[k].frame, o[k].len);
			else if (o[k].kind == ORDER_REPORT)
				answer(i, &o[k].report);
		}
	}
	return any;
}

static unsigned int serving(uint32_t slot)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < HOSTS; i++)
		n += hosts[i]->serve[slot][0].ns > rig_now.ns;
	return n;
}

/* The only one that serves; HOSTS: nobody, or not the only one. */
static unsigned int server(uint32_t slot)
{
	if (serving(slot) != 1)
		return HOSTS;
	return hosts[0]->serve[slot][0].ns > rig_now.ns ? 0 : 1;
}

static void run(span_t span)
{
	const mono_t until = mono_after(rig_now, span);

	while (rig_now.ns < until.ns) {
		for (unsigned int i = 0; i < HOSTS; i++)
			if (!dead[i])
				anchor_core_time(hosts[i]->core, rig_now);
		for (unsigned int n = 0; settle_once(); n++)
			assert_true(n < 100);
		nobody_ns += serving(1) == 0 ? SPAN_MS(1).ns : 0;
		both_ns += serving(1) > 1 ? SPAN_MS(1).ns : 0;
		rig_now = mono_after(rig_now, SPAN_MS(1));
	}
}

/* --- tests ----------------------------------------------------------------------------------- */

static void test_one_of_two(void **state)
{
	struct anchor_view view;
	unsigned int who;

	world_new(1);
	run(SPAN_S(3));
	who = server(1);
	assert_true(who < HOSTS);
	assert_int_equal(both_ns, 0);
	assert_true(heartbeats >= 2 * 10 && announcements >= 3);
	for (unsigned int i = 0; i < HOSTS; i++) {
		assert_true(anchor_core_look(hosts[i]->core, 1, rig_now, &view));
		assert_int_equal(view.peer_count, 1);
		assert_int_equal(view.faces[0].holder, who + 1);
		assert_int_equal(view.faces[0].epoch, held[who]);
		assert_true(view.committed.number > 0);
		assert_int_equal(view.committed.epoch, held[who]);
		assert_string_equal(view.live[0], "up");
		assert_string_equal(view.live[1], "up");
		assert_int_equal(view.replayed, 0);
	}
	world_end();
}

static void test_one_dies(void **state)
{
	uint64_t epoch;
	unsigned int who;
	mono_t died;

	world_new(1);
	run(SPAN_S(3));
	who = server(1);
	assert_true(who < HOSTS);
	epoch = held[who];
	dead[who] = true;
	died = rig_now;
	while (server(1) != 1 - who && mono_since(rig_now, died).ns < SPAN_S(1).ns)
		run(SPAN_MS(1));
	assert_int_equal(server(1), 1 - who);
	assert_int_equal(held[1 - who], epoch + 1);
	assert_int_equal(both_ns, 0);
	world_end();
}

static void test_one_leaves(void **state)
{
	unsigned int who;

	world_new(1);
	run(SPAN_S(3));
	who = server(1);
	assert_true(who < HOSTS);
	nobody_ns = 0;
	anchor_core_leave(hosts[who]->core, rig_now);
	run(SPAN_S(2));
	assert_true(anchor_core_empty(hosts[who]->core));
	assert_int_equal(server(1), 1 - who);
	assert_int_equal(nobody_ns, 0);
	world_end();
}

/* Its member goes to the other host; the group leaves by itself. */
static void test_no_member_any_more(void **state)
{
	const struct anchor_members none = { 0 };
	unsigned int who;

	world_new(1);
	run(SPAN_S(3));
	who = server(1);
	assert_true(who < HOSTS);
	nobody_ns = 0;
	anchor_core_members(hosts[who]->core, 1, &none, rig_now);
	run(SPAN_S(2));
	assert_int_equal(server(1), 1 - who);
	assert_int_equal(nobody_ns, 0);
	world_end();
}

static void test_cut_and_healed(void **state)
{
	world_new(1);
	run(SPAN_S(3));
	cut = true;
	run(SPAN_S(3));
	cut = false;
	run(SPAN_S(2));
	assert_true(server(1) < HOSTS);
	world_end();
}

static void test_begins_anew_among_others(void **state)
{
	struct anchor_identity identity = rig_identity(9);
	unsigned int who;

	world_new(1);
	run(SPAN_S(3));
	who = server(1);
	assert_true(who < HOSTS);
	identity.self = rig_identity(who + 1).self;
	anchor_core_identity(hosts[who]->core, &identity, rig_now);
	run(SPAN_S(4));
	assert_true(server(1) < HOSTS);
	assert_int_equal(both_ns, 0);
	world_end();
}

static void test_comes_back_at_once(void **state)
{
	struct anchor_view view;
	struct rig_cluster c;
	unsigned int who;

	world_new(1);
	run(SPAN_S(3));
	who = server(1);
	assert_true(who < HOSTS);
	anchor_core_remove(hosts[who]->core, 1, rig_now);
	rig_cluster(&c, 1, 1, HOSTS);
	rig_set(hosts[who], &c, 0);
	rig_host(hosts[who], 1, (uint16_t)(who + 1));
	anchor_core_link(hosts[who]->core, 1, true, rig_now);
	run(SPAN_S(3));
	assert_true(server(1) < HOSTS);
	anchor_core_look(hosts[1 - who]->core, 1, rig_now, &view);
	assert_int_equal(view.replayed, 0);
	assert_int_equal(view.peer_count, 1);
	world_end();
}

static void test_many(void **state)
{
	unsigned int by_host[HOSTS] = { 0 };

	world_new(64);
	run(SPAN_S(4));
	for (uint32_t id = 1; id <= 64; id++) {
		assert_true(server(id) < HOSTS);
		by_host[server(id)]++;
	}
	/* Nobody has them all: each has an order of its own. */
	assert_true(by_host[0] > 10 && by_host[1] > 10);
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_of_two),
		cmocka_unit_test(test_one_dies),
		cmocka_unit_test(test_one_leaves),
		cmocka_unit_test(test_no_member_any_more),
		cmocka_unit_test(test_cut_and_healed),
		cmocka_unit_test(test_begins_anew_among_others),
		cmocka_unit_test(test_comes_back_at_once),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
