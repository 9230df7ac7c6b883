/* Hosts that are silent, and forward. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lan.h"

static struct lan l;

static struct group *anchor(void)
{
	return &l.hosts[lan_anchor(&l, 0)].g;
}

/* Members 2 h + 1 and 2 h + 2, as bits. */
static unsigned int of_host(unsigned int h)
{
	return 3u << 2 * h;
}

/* The daemon of a host that is not the anchor, or of the anchor, dies; returns which. */
static unsigned int kill_one(bool is_anchor, bool stands)
{
	unsigned int who = (unsigned int)lan_anchor(&l, 0);

	if (!is_anchor)
		who = who == 0 ? 1 : 0;
	l.hosts[who].stands = stands;
	lan_down(&l, who);
	return who;
}

static void nobody_is_asked_who_is_heard(void **state)
{
	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	lan_run(&l, MS(20000));
	for (unsigned int i = 0; i < LAN_HOSTS; i++) {
		assert_int_equal(l.hosts[i].effects[GROUP_ASK], 0);
		assert_int_equal(l.hosts[i].effects[GROUP_STANDING], 0);
	}
}

static void members_of_a_host_that_stands_keep_their_flows(void **state)
{
	for (unsigned int is_anchor = 0; is_anchor < 2; is_anchor++) {
		unsigned int who;

		lan_all_up(&l, CLUSTER_DIRECTOR, 1);
		who = kill_one(is_anchor, true);
		/* Who takes over knows by then. */
		lan_run(&l, MS(700));
		assert_int_not_equal(lan_anchor(&l, 0), (int)who);
		for (unsigned int i = 0; i < LAN_HOSTS; i++)
			if (i != who)
				assert_int_equal(l.hosts[i].g.standing.octet[0], of_host(who));
		lan_run(&l, MS(60000));
		assert_int_equal(lan_fresh(&l) & of_host(who), 0);
		assert_int_equal(anchor()->known.octet[0], 0x3f);
		assert_int_equal(anchor()->standing.octet[0], of_host(who));
		assert_string_equal(group_member_live(anchor(), (uint16_t)(2 * who + 1)), "silent");
		/* Its daemon is back, and says itself what it has. */
		lan_up(&l, who);
		lan_run(&l, MS(3000));
		assert_int_equal(anchor()->standing.octet[0], 0);
		assert_int_equal(lan_fresh(&l), 0x3f);
		assert_string_equal(group_member_live(anchor(), (uint16_t)(2 * who + 1)), "up");
	}
}

static void members_of_a_dead_host_lose_theirs(void **state)
{
	unsigned int who, asked;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	who = kill_one(false, false);
	lan_run(&l, MS(9000));
	assert_int_equal(anchor()->known.octet[0], 0x3f);
	assert_int_equal(anchor()->standing.octet[0], 0);
	lan_run(&l, MS(3000));
	assert_int_equal(anchor()->known.octet[0], 0x3f & ~of_host(who));
	assert_string_equal(group_member_live(anchor(), (uint16_t)(2 * who + 1)), "absent");
	asked = l.hosts[lan_anchor(&l, 0)].effects[GROUP_ASK];
	assert_in_range(asked, 40, 55); /* some ten seconds, every 200 ms */
	lan_run(&l, MS(20000));
	assert_int_equal(l.hosts[lan_anchor(&l, 0)].effects[GROUP_ASK], asked);
}

static void it_dies_later(void **state)
{
	unsigned int who;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	who = kill_one(false, true);
	lan_run(&l, MS(30000));
	l.hosts[who].stands = false;
	lan_run(&l, MS(700));
	assert_int_equal(anchor()->standing.octet[0], 0);
	lan_run(&l, MS(8000));
	assert_int_equal(anchor()->known.octet[0], 0x3f);
	lan_run(&l, MS(3000));
	assert_int_equal(anchor()->known.octet[0], 0x3f & ~of_host(who));
}

static void a_member_that_went_elsewhere_is_not_left_to_it(void **state)
{
	unsigned int who, other;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	who = kill_one(false, true);
	lan_run(&l, MS(2000));
	other = (unsigned int)lan_anchor(&l, 0);
	lan_member(&l, other, (uint16_t)(2 * who + 1), true, true, false);
	lan_run(&l, MS(1000));
	assert_int_equal(anchor()->standing.octet[0], 2u << 2 * who);
	assert_int_equal(lan_fresh(&l) & of_host(who), 1u << 2 * who);
}

/* It stopped in good order: its members count as they did for ten seconds, and then as above. */
static void a_host_that_left(void **state)
{
	const struct group_event leave = { .kind = GROUP_LEAVE };
	unsigned int who;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	who = lan_anchor(&l, 0) == 0 ? 1 : 0;
	lan_event(&l, who, &leave);
	lan_run(&l, MS(500));
	l.hosts[who].stands = true;
	lan_down(&l, who);
	lan_run(&l, MS(5000));
	assert_int_equal(lan_fresh(&l), 0x3f);
	assert_int_equal(anchor()->standing.octet[0], 0);
	lan_run(&l, MS(30000));
	assert_int_equal(lan_fresh(&l), 0x3f & ~of_host(who));
	assert_int_equal(anchor()->known.octet[0], 0x3f);
	assert_int_equal(anchor()->standing.octet[0], of_host(who));
}

static void drain_both(struct cluster_member *m)
{
	for (unsigned int i = 0; i < LAN_MEMBERS; i++)
		m[i].state = i / 2 == 2 ? MEMBER_DRAINING : MEMBER_ACTIVE;
}

/* Nobody knows whether a member that drains has flows there. */
static void a_drain_of_a_host_that_left(void **state)
{
	const struct group_event leave = { .kind = GROUP_LEAVE };

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	lan_event(&l, 2, &leave);
	lan_run(&l, MS(1500));
	assert_int_not_equal(lan_anchor(&l, 0), 2);
	l.hosts[2].stands = true;
	lan_down(&l, 2);
	lan_record(&l, drain_both, LAN_ALL);
	lan_run(&l, MS(30000));
	assert_int_equal(anchor()->known.octet[0], 0x3f);
	l.hosts[2].stands = false;
	lan_run(&l, MS(15000));
	assert_int_equal(anchor()->known.octet[0], 0x0f);
}

/* All that one ever heard of it is its last word. */
static void a_host_that_was_hardly_there(void **state)
{
	const struct group_event leave = { .kind = GROUP_LEAVE };

	lan_init(&l, CLUSTER_DIRECTOR, 1);
	l.cut[1][2] = true;
	for (unsigned int i = 0; i < LAN_HOSTS; i++)
		lan_up(&l, i);
	lan_run(&l, MS(2500));
	assert_int_not_equal(lan_anchor(&l, 0), 1);
	l.cut[1][2] = false;
	lan_event(&l, 1, &leave);
	lan_run(&l, MS(100));
	lan_down(&l, 1);
	lan_run(&l, MS(9000));
	/* (lan.c asserts that it is a host's address.) */
	assert_true(l.hosts[2].effects[GROUP_ASK] > 10);
}

static void only_what_was_asked_is_believed(void **state)
{
	struct group_event e = { .kind = GROUP_PULSE };
	unsigned int who, other;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	who = kill_one(false, false);
	lan_run(&l, MS(2000));
	other = (unsigned int)lan_anchor(&l, 0);
	lan_event(&l, other, &e);
	e.secret = 0x1234567890abcdef;
	lan_event(&l, other, &e);
	assert_int_equal(anchor()->standing.octet[0], 0);
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++)
		if (anchor()->peers[i].number == who + 1)
			e.secret = anchor()->peers[i].secret;
	lan_event(&l, other, &e);
	assert_int_equal(anchor()->standing.octet[0], of_host(who));
	/* Once. */
	lan_run(&l, MS(700));
	assert_int_equal(anchor()->standing.octet[0], 0);
	lan_event(&l, other, &e);
	assert_int_equal(anchor()->standing.octet[0], 0);
}

static void where_rows_are_taken_by_their_owners_nobody_asks(void **state)
{
	lan_all_up(&l, CLUSTER_DISTRIBUTED, 1);
	kill_one(false, true);
	lan_run(&l, MS(5000));
	for (unsigned int i = 0; i < LAN_HOSTS; i++)
		assert_int_equal(l.hosts[i].effects[GROUP_ASK], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_is_asked_who_is_heard),
		cmocka_unit_test(members_of_a_host_that_stands_keep_their_flows),
		cmocka_unit_test(members_of_a_dead_host_lose_theirs),
		cmocka_unit_test(it_dies_later),
		cmocka_unit_test(a_member_that_went_elsewhere_is_not_left_to_it),
		cmocka_unit_test(a_host_that_left),
		cmocka_unit_test(a_drain_of_a_host_that_left),
		cmocka_unit_test(a_host_that_was_hardly_there),
		cmocka_unit_test(only_what_was_asked_is_believed),
		cmocka_unit_test(where_rows_are_taken_by_their_owners_nobody_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
