/* The group machine: who anchors, and what is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "balance/table.h"
#include "lan.h"

static struct lan l;

static struct group *anchor(void)
{
	assert_true(lan_anchor(&l, 0) >= 0);
	return &l.hosts[lan_anchor(&l, 0)].g;
}

static unsigned int another(int than)
{
	return than == 0 ? 1 : 0;
}

/* --- anchors --------------------------------------------------------------------------------- */

static void nothing_is_taken_before_it_has_listened(void **state)
{
	lan_init(&l, CLUSTER_DIRECTOR, 1);
	lan_up(&l, 0);
	lan_run(&l, MS(699));
	assert_int_equal(lan_anchor(&l, 0), -1);
	assert_int_equal(l.hosts[0].announced[0], 0);
	lan_run(&l, MS(2));
	assert_int_equal(lan_anchor(&l, 0), 0);
	assert_int_equal(l.hosts[0].reasons[GROUP_REASON_STARTED], 1);
	assert_int_equal(lan_fresh(&l), 0x03);
}

static void one_of_three_has_the_face(void **state)
{
	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	lan_run(&l, MS(60000));
	assert_int_equal(anchor()->faces[0].epoch, 1);
	for (unsigned int i = 0; i < LAN_HOSTS; i++)
		assert_int_equal(l.hosts[i].g.faces[0].holder, anchor()->number);
}

static void it_announces_seven_times_and_then_every_minute(void **state)
{
	unsigned int before;
	int a;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	a = lan_anchor(&l, 0);
	lan_run(&l, MS(10000));
	assert_int_equal(l.hosts[a].announced[0], GROUP_ANNOUNCES);
	before = GROUP_ANNOUNCES;
	for (unsigned int i = 0; i < 5; i++) {
		lan_run(&l, MS(60000));
		assert_true(l.hosts[a].announced[0] > before);
		assert_true(l.now - l.hosts[a].last_announced <= MS(60000));
		before = l.hosts[a].announced[0];
	}
}

/* What it says may reach nobody, as if it were cut off. */
static void who_is_left_alone_announces_every_second_for_a_minute(void **state)
{
	unsigned int before;
	int a;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	lan_run(&l, MS(10000));
	a = lan_anchor(&l, 0);
	lan_down(&l, another(a));
	lan_run(&l, MS(10000));
	/* One is left. */
	assert_int_equal(l.hosts[a].announced[0], GROUP_ANNOUNCES);
	lan_down(&l, (unsigned int)(LAN_HOSTS - a) - another(a));
	for (unsigned int i = 0; i < 54; i++) {
		lan_run(&l, MS(1000));
		assert_true(l.now - l.hosts[a].last_announced <= MS(1000));
	}
	lan_run(&l, MS(2000));
	before = l.hosts[a].announced[0];
	lan_run(&l, MS(50000));
	assert_int_equal(l.hosts[a].announced[0], before);
	/* Who leaves in order is no reason. */
	lan_up(&l, another(a));
	lan_run(&l, MS(20000));
	before = l.hosts[a].announced[0];
	lan_event(&l, another(a), &(struct group_event){ .kind = GROUP_LEAVE });
	lan_run(&l, MS(5000));
	assert_int_equal(l.hosts[a].announced[0], before);
}

static void a_dead_anchor_is_followed_within_a_second(void **state)
{
	int a;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	a = lan_anchor(&l, 0);
	lan_down(&l, (unsigned int)a);
	lan_run(&l, MS(550));
	lan_run(&l, MS(450));
	assert_int_not_equal(lan_anchor(&l, 0), a);
	assert_int_equal(anchor()->faces[0].epoch, 2);
	assert_int_equal(l.hosts[lan_anchor(&l, 0)].reasons[GROUP_REASON_ANCHOR_SILENT], 1);
	assert_int_equal(lan_fresh(&l), 0x3fu & ~(3u << 2 * a));
}

static void the_lease_is_over_when_the_next_takes_it(void **state)
{
	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	lan_down(&l, (unsigned int)lan_anchor(&l, 0));
	for (unsigned int ms = 0; ms < 1000; ms++) {
		lan_run(&l, MS(1));
		assert_int_not_equal(lan_anchor(&l, 0), -2);
	}
	assert_true(lan_anchor(&l, 0) >= 0);
}

static void one_who_leaves_hands_over_and_serves_on(void **state)
{
	const struct group_event leave = { .kind = GROUP_LEAVE };
	int a;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	a = lan_anchor(&l, 0);
	lan_event(&l, (unsigned int)a, &leave);
	assert_int_equal(lan_anchor(&l, 0), -1);
	assert_true(l.hosts[a].serve[0] > l.now);
	lan_run(&l, MS(10));
	assert_true(lan_anchor(&l, 0) >= 0);
	assert_int_not_equal(lan_anchor(&l, 0), a);
	assert_int_equal(l.hosts[a].serve[0], 0);
	assert_int_equal(anchor()->faces[0].epoch, 2);
	assert_int_equal(l.hosts[lan_anchor(&l, 0)].reasons[GROUP_REASON_YIELDED], 1);
	/* Its stations go on without it for a while, then no more. */
	lan_down(&l, (unsigned int)a);
	lan_run(&l, MS(9000));
	assert_int_equal(lan_fresh(&l), 0x3f);
	lan_run(&l, MS(3000));
	assert_int_equal(lan_fresh(&l), 0x3fu & ~(3u << 2 * a));
}

static void nobody_to_follow_is_the_end_of_it(void **state)
{
	const struct group_event leave = { .kind = GROUP_LEAVE };

	lan_init(&l, CLUSTER_DIRECTOR, 1);
	lan_up(&l, 0);
	lan_run(&l, MS(1000));
	lan_event(&l, 0, &leave);
	assert_int_equal(l.hosts[0].serve[0], 0);
	lan_run(&l, MS(100));
	assert_true(l.hosts[0].g.silent);
	assert_true(group_next_expiry(&l.hosts[0].g).ns > l.now + MS(100));
}

static void without_members_it_hands_over_too(void **state)
{
	unsigned int a;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	a = (unsigned int)lan_anchor(&l, 0);
	lan_member(&l, a, (uint16_t)(2 * a + 1), false, false, false);
	assert_int_equal(lan_anchor(&l, 0), a);
	lan_member(&l, a, (uint16_t)(2 * a + 2), false, false, false);
	lan_run(&l, MS(20));
	assert_int_not_equal(lan_anchor(&l, 0), a);
	assert_true(lan_anchor(&l, 0) >= 0);
	/* … and it is no candidate for as long as it has none. */
	for (unsigned int i = 0; i < LAN_HOSTS; i++)
		if (i != a)
			lan_down(&l, i);
	lan_run(&l, MS(3000));
	assert_int_equal(lan_anchor(&l, 0), -1);
	lan_member(&l, a, (uint16_t)(2 * a + 1), true, true, false);
	lan_run(&l, MS(10));
	assert_int_equal(lan_anchor(&l, 0), a);
}

static void of_two_the_higher_epoch_stays(void **state)
{
	int a, b;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	a = lan_anchor(&l, 0);
	b = (int)another(a);
	l.cut[a][0] = l.cut[a][1] = l.cut[a][2] = true; /* it is not heard, but hears */
	lan_run(&l, MS(1200));
	assert_int_not_equal(lan_anchor(&l, 0), a);
	assert_true(lan_anchor(&l, 0) >= 0);
	assert_int_equal(l.hosts[a].reasons[GROUP_REASON_OVERTAKEN], 1);
	memset(l.cut, 0, sizeof(l.cut));
	lan_run(&l, MS(2000));
	assert_int_not_equal(lan_anchor(&l, 0), a);
	assert_int_equal(anchor()->faces[0].epoch, 2);
	(void)b;
}

static void of_two_halves_one_stays(void **state)
{
	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	for (unsigned int i = 1; i < LAN_HOSTS; i++)
		l.cut[0][i] = l.cut[i][0] = true;
	lan_run(&l, MS(3000));
	assert_int_equal(lan_anchor(&l, 0), -2);
	memset(l.cut, 0, sizeof(l.cut));
	lan_run(&l, MS(1000));
	assert_true(lan_anchor(&l, 0) >= 0);
	assert_int_equal(lan_fresh(&l), 0x3f);
}

static void the_lower_number_stays_of_equals(void **state)
{
	struct group_event told = { .kind = GROUP_CLAIMED, .epoch = 7 };

	lan_init(&l, CLUSTER_DIRECTOR, 1);
	memset(l.cut, 1, sizeof(l.cut));
	for (unsigned int i = 0; i < 2; i++) {
		lan_up(&l, i);
		lan_event(&l, i, &told);
	}
	lan_run(&l, MS(1000));
	assert_int_equal(lan_anchor(&l, 0), -2);
	assert_int_equal(l.hosts[0].g.faces[0].epoch, 8);
	assert_int_equal(l.hosts[1].g.faces[0].epoch, 8);
	memset(l.cut, 0, sizeof(l.cut));
	l.hosts[0].announced[0] = 0;
	lan_run(&l, MS(300));
	assert_int_equal(lan_anchor(&l, 0), 0);
	assert_int_equal(l.hosts[0].reasons[GROUP_REASON_CONTENDED], 1);
	assert_int_equal(l.hosts[1].reasons[GROUP_REASON_OVERTAKEN], 1);
	assert_true(l.hosts[0].announced[0] >= 2); /* again, from the first on */
}

static void epochs_never_fall_below_what_is_known(void **state)
{
	struct group_event told = { .kind = GROUP_CLAIMED, .epoch = 40 };

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	assert_int_equal(anchor()->faces[0].epoch, 1);
	lan_event(&l, another(lan_anchor(&l, 0)), &told);
	lan_run(&l, MS(1000));
	assert_int_equal(anchor()->faces[0].epoch, 41);
	told.epoch = HEARTBEAT_EPOCH_MAX + 1; /* no such */
	lan_event(&l, (unsigned int)lan_anchor(&l, 0), &told);
	lan_run(&l, MS(1000));
	assert_int_equal(anchor()->faces[0].epoch, 41);
}

static void who_was_late_listens_again(void **state)
{
	const struct group_event time = { .kind = GROUP_TIME };
	int64_t at;
	int a;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	a = lan_anchor(&l, 0);
	l.hosts[a].up = false; /* it stands still */
	lan_run(&l, MS(1500));
	at = l.hosts[a].speak[0];
	assert_true(at < l.now);
	l.hosts[a].up = true;
	lan_event(&l, (unsigned int)a, &time);
	assert_int_equal(l.hosts[a].reasons[GROUP_REASON_LATE], 1);
	assert_int_equal(l.hosts[a].speak[0], 0);
	lan_run(&l, MS(3000));
	assert_int_not_equal(lan_anchor(&l, 0), a);
	assert_int_equal(lan_fresh(&l), 0x3f);
}

static void without_a_link_nothing_is_held(void **state)
{
	struct group_event link = { .kind = GROUP_LINK };
	int a;

	lan_all_up(&l, CLUSTER_DISTRIBUTED, 1);
	a = lan_anchor(&l, 0);
	memset(l.cut[a], 1, sizeof(l.cut[a]));
	for (unsigned int i = 0; i < LAN_HOSTS; i++)
		l.cut[i][a] = true;
	lan_event(&l, (unsigned int)a, &link);
	assert_int_equal(l.hosts[a].serve[0], 0);
	assert_int_equal(l.hosts[a].own, 0);
	assert_int_equal(l.hosts[a].reasons[GROUP_REASON_LINK_DOWN], 1);
	lan_run(&l, MS(2000));
	memset(l.cut, 0, sizeof(l.cut));
	link.on = true;
	lan_event(&l, (unsigned int)a, &link);
	lan_run(&l, MS(2000));
	assert_int_not_equal(lan_anchor(&l, 0), a);
	assert_int_equal(lan_fresh(&l), 0x3f);
	assert_true(l.hosts[a].own > l.now);
}

static void alone_all_is_its_own_at_once(void **state)
{
	static struct group g;
	static struct lan_host *h = &l.hosts[0];
	struct group_config config = {
		.number = 1, .alone = true, .incarnation = 1, .segment = "x"
	};
	struct group_effect effects[GROUP_EFFECTS_MAX];
	struct group_event e = { .kind = GROUP_MEMBER, .member = 1, .hosted = true, .fit = true };
	unsigned int n, leases = 0, installs = 0;

	lan_init(&l, CLUSTER_DISTRIBUTED, 1);
	config.record = &h->record;
	group_init(&g, &config, (mono_t){ 1000 });
	n = group_step(&g, &e, (mono_t){ 1000 }, effects);
	for (unsigned int i = 0; i < n; i++) {
		leases += effects[i].kind == GROUP_LEASE && effects[i].speak.ns == MONO_NEVER.ns;
		installs += effects[i].kind == GROUP_INSTALL;
		assert_int_not_equal(effects[i].kind, GROUP_SEND);
		if (effects[i].kind == GROUP_INSTALL)
			e.view = effects[i].view;
	}
	assert_int_equal(leases, 1);
	assert_int_equal(installs, 1);
	e.kind = GROUP_INSTALLED;
	n = group_step(&g, &e, (mono_t){ 2000 }, effects);
	assert_int_equal(n, 1);
	assert_int_equal(effects[0].kind, GROUP_COMMIT_VIEW);
	e.kind = GROUP_COMMITTED;
	n = group_step(&g, &e, (mono_t){ 3000 }, effects);
	assert_int_equal(effects[0].kind, GROUP_OWN);
	assert_true(effects[0].serve.ns == MONO_NEVER.ns);
}

static void faces_are_spread_one_at_a_time(void **state)
{
	unsigned int of[LAN_HOSTS] = { 0 };

	lan_init(&l, CLUSTER_DIRECTOR, 6);
	lan_up(&l, 0);
	lan_run(&l, MS(2000));
	lan_up(&l, 1);
	lan_up(&l, 2);
	lan_run(&l, MS(9000));
	for (unsigned int f = 0; f < 6; f++)
		assert_int_equal(lan_anchor(&l, f), 0);
	for (unsigned int s = 0; s < 90; s++) {
		unsigned int moved = 0;
		int before[6];

		for (unsigned int f = 0; f < 6; f++)
			before[f] = lan_anchor(&l, f);
		lan_run(&l, MS(1000));
		for (unsigned int f = 0; f < 6; f++)
			moved += before[f] != lan_anchor(&l, f);
		assert_true(moved <= 1);
	}
	for (unsigned int f = 0; f < 6; f++) {
		assert_true(lan_anchor(&l, f) >= 0);
		of[lan_anchor(&l, f)]++;
	}
	for (unsigned int i = 0; i < LAN_HOSTS; i++)
		assert_int_equal(of[i], 2);
}

/* Switches believe it; so they hear the anchor again, but not for each frame. */
static void a_stranger_is_an_alarm_and_takes_nothing(void **state)
{
	const struct group_event e = { .kind = GROUP_STRANGER };
	unsigned int announced;
	int a;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	lan_run(&l, MS(12000));
	a = lan_anchor(&l, 0);
	announced = l.hosts[a].announced[0];
	lan_event(&l, (unsigned int)a, &e);
	lan_run(&l, MS(10));
	assert_int_equal(l.hosts[a].reasons[GROUP_REASON_FOREIGN], 1);
	assert_int_equal(l.hosts[a].announced[0], announced + 1);
	for (unsigned int i = 0; i < 30; i++) {
		lan_event(&l, (unsigned int)a, &e);
		lan_run(&l, MS(100));
	}
	assert_in_range(l.hosts[a].announced[0], announced + 3, announced + 5);
	assert_int_equal(lan_anchor(&l, 0), a);
	announced = l.hosts[a].announced[0];
	lan_run(&l, MS(20000));
	assert_in_range(l.hosts[a].announced[0], announced + 1, announced + 2);
}

static void what_was_said_before_is_not_believed(void **state)
{
	static struct heartbeat old, changed;
	struct group_event e = { .kind = GROUP_HEARD, .heartbeat = &old };
	const struct group_peer *p;
	int a, b;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	a = lan_anchor(&l, 0);
	b = (int)another(a);
	group_compose(&l.hosts[a].g, &old);
	lan_down(&l, (unsigned int)a);
	lan_run(&l, MS(1500));
	lan_event(&l, (unsigned int)b, &e);
	p = &l.hosts[b].g.peers[0];
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++)
		if (l.hosts[b].g.peers[i].number == a + 1)
			p = &l.hosts[b].g.peers[i];
	assert_false(p->there);
	changed = old;
	changed.sequence++;
	changed.cluster++; /* another cluster's */
	e.heartbeat = &changed;
	lan_event(&l, (unsigned int)b, &e);
	assert_false(p->there);
	changed.cluster--;
	lan_event(&l, (unsigned int)b, &e);
	assert_true(p->there);
}

static void heartbeats_every_200_ms(void **state)
{
	unsigned int before;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	lan_run(&l, MS(1000));
	before = l.hosts[0].effects[GROUP_SEND];
	lan_run(&l, MS(10000));
	assert_in_range(l.hosts[0].effects[GROUP_SEND] - before, 49, 51);
}

/* Any event in any state; what comes out is bounded, and the machine stays sane. */
static void any_event_is_fine(void **state)
{
	uint64_t x = 1;

	lan_init(&l, CLUSTER_DISTRIBUTED, 1);
	for (unsigned int i = 0; i < LAN_HOSTS; i++)
		lan_up(&l, i);
	for (unsigned int n = 0; n < 20000; n++) {
		struct group_event e;
		unsigned int h;

		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		h = (unsigned int)(x >> 60) % LAN_HOSTS;
		e = (struct group_event){
			.kind = (enum group_event_kind)((x >> 40) % GROUP_EVENT_COUNT),
			.on = x >> 33 & 3,
			.hosted = x >> 34 & 1,
			.fit = x >> 35 & 1,
			.busy = x >> 36 & 1,
			.member = (uint16_t)((x >> 20) % 1030),
			.face = (uint8_t)((x >> 18) % 10),
			.epoch = (x >> 50) % 300,
			.host = (uint16_t)((x >> 10) % 5),
			.view = { (x >> 12) % 9, (uint32_t)((x >> 30) % 3) },
			.record = &l.hosts[h].record,
		};
		if (e.kind == GROUP_HEARD || e.kind == GROUP_LEAVE)
			e.kind = GROUP_TIME;
		lan_event(&l, h, &e);
		lan_run(&l, MS((x >> 45) % 200));
	}
}

static void reasons_have_words(void **state)
{
	for (unsigned int r = 0; r < GROUP_REASON_COUNT; r++) {
		assert_true(strlen(group_reason_name((enum group_reason)r)) > 0);
		assert_true(strlen(group_reason_meaning((enum group_reason)r)) > 0);
	}
	assert_string_equal(group_reason_name(GROUP_REASON_LATE), "late");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_taken_before_it_has_listened),
		cmocka_unit_test(one_of_three_has_the_face),
		cmocka_unit_test(it_announces_seven_times_and_then_every_minute),
		cmocka_unit_test(who_is_left_alone_announces_every_second_for_a_minute),
		cmocka_unit_test(a_dead_anchor_is_followed_within_a_second),
		cmocka_unit_test(the_lease_is_over_when_the_next_takes_it),
		cmocka_unit_test(one_who_leaves_hands_over_and_serves_on),
		cmocka_unit_test(nobody_to_follow_is_the_end_of_it),
		cmocka_unit_test(without_members_it_hands_over_too),
		cmocka_unit_test(of_two_the_higher_epoch_stays),
		cmocka_unit_test(of_two_halves_one_stays),
		cmocka_unit_test(the_lower_number_stays_of_equals),
		cmocka_unit_test(epochs_never_fall_below_what_is_known),
		cmocka_unit_test(who_was_late_listens_again),
		cmocka_unit_test(without_a_link_nothing_is_held),
		cmocka_unit_test(alone_all_is_its_own_at_once),
		cmocka_unit_test(faces_are_spread_one_at_a_time),
		cmocka_unit_test(a_stranger_is_an_alarm_and_takes_nothing),
		cmocka_unit_test(what_was_said_before_is_not_believed),
		cmocka_unit_test(heartbeats_every_200_ms),
		cmocka_unit_test(any_event_is_fine),
		cmocka_unit_test(reasons_have_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
