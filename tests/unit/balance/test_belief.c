/* Whom a group machine believes: recordings, deaf hosts, witnesses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lan.h"

static struct lan l;

/* Returns the anchor. */
static int all_up(void)
{
	lan_init(&l, CLUSTER_DIRECTOR, 1);
	for (unsigned int i = 0; i < LAN_HOSTS; i++)
		lan_up(&l, i);
	lan_run(&l, MS(2500));
	assert_true(lan_anchor(&l, 0) >= 0);
	return lan_anchor(&l, 0);
}

static unsigned int another(int than)
{
	return than == 0 ? 1 : 0;
}

static const struct group_peer *peer_of(unsigned int host, unsigned int of)
{
	const struct group *g = &l.hosts[host].g;

	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++)
		if (g->peers[i].incarnation && g->peers[i].number == of + 1)
			return &g->peers[i];
	fail_msg("host %u does not know host %u", host, of);
	return NULL;
}

/* Somebody recorded what the anchor said, and sends it to one that begins anew. */
static void who_begins_anew_does_not_believe_the_dead_for_long(void **state)
{
	static struct heartbeat said[12];
	struct group_event e = { .kind = GROUP_HEARD };
	int a, b;

	a = all_up();
	b = (int)another(a);
	lan_down(&l, (unsigned int)(3 - a - b));
	lan_down(&l, (unsigned int)b);
	lan_run(&l, MS(1500));
	/* (While the other is away: so they echo nobody, and could be to anybody.) */
	for (unsigned int i = 0; i < 12; i++) {
		group_compose(&l.hosts[a].g, &said[i]);
		assert_int_equal(said[i].echo_count, 0);
		lan_run(&l, MS(200));
	}
	lan_down(&l, (unsigned int)a);
	lan_run(&l, MS(1000));
	lan_up(&l, (unsigned int)b);
	for (unsigned int i = 0; i < 12; i++) {
		e.heartbeat = &said[i];
		lan_event(&l, (unsigned int)b, &e);
		assert_int_equal(peer_of((unsigned int)b, (unsigned int)a)->there, i < 5);
		lan_run(&l, MS(200));
	}
	assert_int_equal(lan_anchor(&l, 0), b);
	assert_int_equal(l.hosts[b].reasons[GROUP_REASON_UNANSWERED], 1);
	assert_true(l.hosts[b].g.faces[0].epoch > said[0].faces[0].epoch);
	/* Who lives says that it hears us, and is believed. */
	lan_up(&l, (unsigned int)a);
	lan_run(&l, MS(500));
	assert_true(peer_of((unsigned int)b, (unsigned int)a)->there);
	assert_true(peer_of((unsigned int)a, (unsigned int)b)->there);
	assert_int_equal(lan_anchor(&l, 0), b);
	lan_run(&l, MS(5000));
	assert_int_equal(l.hosts[b].reasons[GROUP_REASON_UNANSWERED], 1);
	assert_int_equal(l.hosts[a].reasons[GROUP_REASON_UNANSWERED], 0);
}

/* It is not heard by the anchor, and one who is heard by both says that the anchor lives. */
static void who_cannot_answer_may_have_a_witness(void **state)
{
	int a, b;

	a = all_up();
	b = (int)another(a);
	lan_down(&l, (unsigned int)b);
	lan_run(&l, MS(1500));
	l.cut[b][a] = true;
	lan_up(&l, (unsigned int)b);
	lan_run(&l, MS(5000));
	assert_true(peer_of((unsigned int)b, (unsigned int)a)->there);
	assert_int_equal(l.hosts[b].reasons[GROUP_REASON_UNANSWERED], 0);
	assert_int_equal(lan_anchor(&l, 0), a);
	/* Without one it is doubted, and believed again once it answers. */
	lan_down(&l, (unsigned int)b);
	lan_down(&l, (unsigned int)(3 - a - b));
	lan_run(&l, MS(1500));
	lan_up(&l, (unsigned int)b);
	lan_run(&l, MS(3000));
	assert_false(peer_of((unsigned int)b, (unsigned int)a)->there);
	assert_int_equal(l.hosts[b].reasons[GROUP_REASON_UNANSWERED], 1);
	l.cut[b][a] = false;
	lan_run(&l, MS(1000));
	assert_true(peer_of((unsigned int)b, (unsigned int)a)->there);
	assert_int_not_equal(lan_anchor(&l, 0), -1);
	assert_int_not_equal(lan_anchor(&l, 0), -2);
}

/* Begins anew with the clock set back, while the others think that it is still there. */
static void a_clock_set_back_does_not_silence_a_host(void **state)
{
	static struct heartbeat before;
	struct group_event e = { .kind = GROUP_HEARD, .heartbeat = &before };
	const int a = all_up();
	const unsigned int b = another(a);
	uint64_t epoch;

	epoch = l.hosts[a].g.faces[0].epoch;
	lan_run(&l, MS(100));
	group_compose(&l.hosts[b].g, &before);
	lan_down(&l, b);
	l.hosts[b].incarnation = UINT64_MAX - 1;
	lan_run(&l, MS(1500));
	lan_up(&l, b);
	lan_run(&l, MS(1500));
	assert_true(peer_of((unsigned int)a, b)->there);
	group_compose(&l.hosts[b].g, &before);
	before.sequence += 100; /* (of its last run, and not heard) */
	before.echo_count = 0;
	lan_down(&l, b);
	l.hosts[b].incarnation = 77;
	lan_run(&l, MS(30));
	lan_up(&l, b);
	lan_run(&l, MS(450));
	assert_int_equal(peer_of((unsigned int)a, b)->incarnation, 78);
	assert_true(peer_of((unsigned int)a, b)->there);
	assert_true(peer_of(b, (unsigned int)a)->there);
	lan_run(&l, MS(3000));
	assert_int_equal(lan_anchor(&l, 0), a);
	assert_int_equal(l.hosts[a].g.faces[0].epoch, epoch);
	assert_int_equal(lan_fresh(&l), 0x3f);
	/* What it said in the run before is greater, and not believed. */
	assert_true(group_is_old(&l.hosts[a].g, &before));
	lan_event(&l, (unsigned int)a, &e);
	assert_int_equal(peer_of((unsigned int)a, b)->incarnation, 78);
}

/* Each knows the other by a later run than the true one: by what somebody had recorded. */
static void two_that_think_each_other_old(void **state)
{
	const unsigned int a = (unsigned int)all_up(), b = another((int)a);

	lan_run(&l, MS(500));
	for (unsigned int i = 0; i < 2; i++) {
		struct group_peer *p = (struct group_peer *)peer_of(i ? a : b, i ? b : a);

		*p = (struct group_peer){ .number = p->number,
					  .incarnation = p->incarnation + 1000,
					  .sequence = p->sequence + 1000,
					  .doubted = true,
					  .differs = MONO_NEVER };
		memcpy(p->host, l.hosts[i ? b : a].g.self.octet, sizeof(p->host));
	}
	lan_run(&l, MS(2000));
	assert_true(peer_of(a, b)->there && peer_of(b, a)->there);
	assert_int_equal(lan_fresh(&l), 0x3f);
	assert_true(lan_anchor(&l, 0) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_that_think_each_other_old),
		cmocka_unit_test(who_begins_anew_does_not_believe_the_dead_for_long),
		cmocka_unit_test(who_cannot_answer_may_have_a_witness),
		cmocka_unit_test(a_clock_set_back_does_not_silence_a_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
