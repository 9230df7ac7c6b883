/* Memory runs short, once or a few times in a row, at every place where a cluster needs some: what
 * is refused leaves nothing behind, what is accepted comes to be, and what is reported or carried
 * is done a little later. */
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cluster_case.h"

#define LATER_MS  6000 /* every retry has come */
#define LEAP_MS	  500
#define ALL_FOUND 77  /* a child's exit status: there was no such allocation */
#define ENDED	  78  /* … it ended as it must where there is no other way */
#define NTH_MOST  400 /* no act allocates oftener */

/* --- a picture of all that is to be right ---------------------------------------------------- */

struct picture {
	struct {
		bool there;
		uint64_t generation;
		unsigned int members;
		struct {
			unsigned int guest;
			uint16_t id, weight;
			uint8_t state;
		} member[8];
		struct ip address;
		unsigned int faces;
		int face_state;
		uint64_t used, quarantined; /* of the pool */
	} record;
	struct {
		bool set, committed;
		unsigned int members, faces;
		struct ip own[2];
		uint64_t checksum;
	} plane;
	struct {
		bool there, up;
		uint64_t generation, claimed;
		uint32_t installed, committed; /* numbers of views */
		struct {
			bool hosted, fit, busy;
		} members[8];
	} anchors;
	bool filter;
	uint64_t epoch; /* of the face, in the journal */
	uint32_t rows[8];
};

static void picture_record(struct picture *p, const struct cluster_view *v)
{
	const struct cluster *c = v->cluster;

	p->record.there = true;
	p->record.generation = c->generation;
	p->record.address = c->addresses[0];
	p->record.faces = c->face_count;
	p->record.face_state = node_state(0, c->faces[0]);
	p->record.members = c->member_count;
	for (unsigned int i = 0; i < c->member_count; i++) {
		while (!vmac_mac_equal(guests[p->record.member[i].guest], c->members[i].address))
			assert_true(++p->record.member[i].guest < 3);
		p->record.member[i].id = c->members[i].id;
		p->record.member[i].weight = c->members[i].weight;
		p->record.member[i].state = c->members[i].state;
		p->rows[i] = v->members[i].rows;
	}
	p->epoch = node_epoch(0, c->faces[0]);
}

static void picture_take(struct picture *p)
{
	struct pool_view pool = rig_pool_view(&nodes[0].rig, "pool");
	const struct fake_cluster *plane;
	const struct fake_anchor *a;
	struct cluster_view v;
	struct error error;

	memset(p, 0, sizeof(*p));
	p->record.used = pool.used;
	p->record.quarantined = pool.quarantined;
	if (engine_cluster_view(nodes[0].rig.engine, "web", &v, &error) < 0) {
		assert_int_equal(error.code, ERROR_NOT_FOUND);
		for (unsigned int i = 0; i < FAKE_CLUSTERS; i++) {
			assert_false(nodes[0].plane.clusters[i].set);
			assert_null(nodes[0].anchors.clusters[i + 1].record);
		}
		return;
	}
	picture_record(p, &v);
	plane = &nodes[0].plane.clusters[v.cluster->id - 1];
	a = &nodes[0].anchors.clusters[v.cluster->id];
	p->plane.set = plane->set;
	p->plane.committed = plane->committed;
	p->plane.members = plane->members;
	p->plane.faces = plane->faces;
	p->plane.checksum = plane->checksum;
	memcpy(p->plane.own, plane->own[0], sizeof(p->plane.own));
	p->anchors.there = a->record != NULL;
	p->anchors.generation = a->record ? a->record->generation : 0;
	p->anchors.up = a->where.up;
	p->anchors.claimed = a->claimed[0];
	p->anchors.installed = a->installed.number;
	p->anchors.committed = a->committed.number;
	for (unsigned int i = 0; i < 8; i++) {
		p->anchors.members[i].hosted = a->members[i].hosted;
		p->anchors.members[i].fit = a->members[i].fit;
		p->anchors.members[i].busy = a->members[i].busy;
	}
	p->filter = fake_filters(&nodes[0].host, v.cluster->faces[0]);
}

#define SAME(a, b, part, what)                                                                     \
	do {                                                                                       \
		if (memcmp(&(a)->part, &(b)->part, sizeof((a)->part)) != 0)                        \
			fail_msg("shortage %u: %s: " #part " differs", nth, what);                 \
	} while (0)

static void same(const struct picture *a, const struct picture *b, unsigned int nth,
		 const char *what)
{
	SAME(a, b, record, what);
	SAME(a, b, plane, what);
	SAME(a, b, anchors, what);
	SAME(a, b, filter, what);
	SAME(a, b, epoch, what);
	SAME(a, b, rows, what);
}

/* --- the sweep ------------------------------------------------------------------------------- */

struct scene {
	void (*prepare)(void);
	/* Returns what was answered; ERROR_NONE for what is not asked but told. */
	enum error_code (*act)(void);
};

static bool begun;

static void begin(const struct scene *s)
{
	alone(NULL);
	begun = true;
	s->prepare();
	nodes_leap(LATER_MS, LEAP_MS);
}

static void finish(long before)
{
	end(NULL);
	begun = false;
	assert_int_equal(nodes_memory(), before);
}

static int left(void **state)
{
	nodes_starved();
	return begun ? end(state) : 0;
}

/* Without a shortage. */
static void play(const struct scene *s, struct picture *ret)
{
	const long before = nodes_memory();

	begin(s);
	assert_int_equal(s->act(), ERROR_NONE);
	nodes_leap(LATER_MS, LEAP_MS);
	picture_take(ret);
	finish(before);
}

static bool play_short(const struct scene *s, unsigned int nth, unsigned int times,
		       const struct picture *good)
{
	const long before = nodes_memory();
	struct picture was, is;
	enum error_code code;
	bool starved;

	begin(s);
	picture_take(&was);
	nodes_starve(nth, times);
	code = s->act();
	starved = nodes_starved();
	nodes_leap(LATER_MS, LEAP_MS);
	picture_take(&is);
	if (code != ERROR_NONE) {
		assert_int_equal(code, ERROR_NO_MEMORY);
		assert_true(starved);
		same(&was, &is, nth, "refused");
		assert_int_equal(s->act(), ERROR_NONE);
		nodes_leap(LATER_MS, LEAP_MS);
		picture_take(&is);
	}
	same(good, &is, nth, "done");
	/* What is durable is what was answered.  (Once is enough: it takes the disk time.) */
	if (times == 1) {
		node_stop(0);
		node_start(0);
		nodes_leap(LATER_MS, LEAP_MS);
		picture_take(&is);
		SAME(good, &is, record, "after a restart");
		SAME(good, &is, epoch, "after a restart");
	}
	finish(before);
	return starved;
}

static void sweep(void (*prepare)(void), enum error_code (*act)(void))
{
	const struct scene s = { prepare, act };
	struct picture good;

	play(&s, &good);
	for (unsigned int times = 1; times <= 4; times += 3) {
		unsigned int nth = 1;

		while (play_short(&s, nth, times, &good))
			assert_true(nth++ < NTH_MOST);
		assert_true(nth > 1);
	}
}

/* --- scenes ---------------------------------------------------------------------------------- */

/* Nobody answers here: no check. */
static struct wish *web(bool nat)
{
	static struct wish w;

	wish(&w, "web", "10.1.0.80");
	w.c.check = CLUSTER_CHECK_NONE;
	w.c.nat = nat;
	wish_member(&w, guests[0]);
	wish_member(&w, guests[1]);
	return &w;
}

static void nothing(void)
{
}

static void bind(const char *name, const char *text)
{
	struct vmac_set s = { .has_ips = true, .ip_count = 1, .ips = { ip(text) } };

	engine_vmac_set(nodes[0].rig.engine, &rig_caller, &(struct vmac_ref){ "", name }, &s,
			rig_answered, &nodes[0].answer);
	nodes_settle();
}

static void members_have_addresses(void)
{
	bind("g0", "10.1.0.10");
	bind("g1", "10.1.0.11");
}

static void there(void)
{
	assert_int_equal(add(0, web(false), 1), ERROR_NONE);
}

static void there_with_nat(void)
{
	members_have_addresses();
	assert_int_equal(add(0, web(true), 1), ERROR_NONE);
}

static void there_with_three(void)
{
	there();
	assert_int_equal(member(0, ENGINE_MEMBER_ADD, "g2", NULL), ERROR_NONE);
}

static enum error_code add_one_face(void)
{
	return add(0, web(false), 1);
}

static enum error_code add_three_faces_with_nat(void)
{
	return add(0, web(true), 3);
}

static enum error_code set_all(void)
{
	struct wish *w = web(false);

	w->addresses[0] = ip("10.1.0.90");
	w->members[1].weight = 9;
	wish_member(w, guests[2]);
	return set(0, "web", w);
}

static enum error_code set_with_nat(void)
{
	struct wish *w = web(true);

	w->members[0].weight = 9;
	return set(0, "web", w);
}

static enum error_code delete_it(void)
{
	return delete (0, "web");
}

static enum error_code member_add(void)
{
	return member(0, ENGINE_MEMBER_ADD, "g2", NULL);
}

static enum error_code member_set(void)
{
	return member(0, ENGINE_MEMBER_SET, "g0",
		      &(struct member_set){ .has_weight = true, .weight = 7 });
}

static enum error_code member_drain(void)
{
	nodes[0].plane.flows[1] = 3;
	return member(0, ENGINE_MEMBER_DRAIN, "g0", &(struct member_set){ .drain_ms = 0 });
}

static enum error_code member_fail(void)
{
	return member(0, ENGINE_MEMBER_FAIL, "g0", NULL);
}

static enum error_code member_activate(void)
{
	return member(0, ENGINE_MEMBER_ACTIVATE, "g0", NULL);
}

static enum error_code member_remove(void)
{
	return member(0, ENGINE_MEMBER_REMOVE, "g2", NULL);
}

static void there_and_failed(void)
{
	there();
	assert_int_equal(member_fail(), ERROR_NONE);
}

static void commands(void **state)
{
	sweep(nothing, add_one_face);
	sweep(members_have_addresses, add_three_faces_with_nat);
	sweep(there, set_all);
	sweep(there_with_nat, set_with_nat);
	sweep(there, delete_it);
}

static void verbs_of_members(void **state)
{
	sweep(there, member_add);
	sweep(there, member_set);
	sweep(there, member_drain);
	sweep(there, member_fail);
	sweep(there_and_failed, member_activate);
	sweep(there_with_three, member_remove);
}

/* --- what the anchors report ----------------------------------------------------------------- */

static void report_install(void)
{
	const struct balance_choice choices[] = { { 1, 1, true, true }, { 2, 3, true, true } };
	struct anchor_report r = { .kind = ANCHOR_INSTALL,
				   .cluster = 1,
				   .view = { 4, 1 },
				   .choice_count = 2,
				   .choices = choices };

	heartbeat_set_bit(&r.fresh, 1, true);
	heartbeat_set_bit(&r.fresh, 2, true);
	r.known = r.fresh;
	report(0, r);
}

static enum error_code install(void)
{
	report_install();
	return ERROR_NONE;
}

/* The machine orders it when the installing was reported. */
static enum error_code install_and_commit(void)
{
	report_install();
	for (unsigned int i = 0; i < 100 && !nodes[0].anchors.clusters[1].installed.number; i++)
		nodes_pass(100);
	report(0, (struct anchor_report){ .kind = ANCHOR_COMMIT, .view = { 4, 1 } });
	return ERROR_NONE;
}

static enum error_code hold(void)
{
	report(0, (struct anchor_report){ .kind = ANCHOR_HOLD, .epoch = 41 });
	return ERROR_NONE;
}

static void there_by_maglev(void)
{
	struct wish *w = web(false);

	w->c.table = CLUSTER_MAGLEV;
	assert_int_equal(add(0, w, 1), ERROR_NONE);
}

static void reports(void **state)
{
	sweep(there, install);
	sweep(there_by_maglev, install);
	sweep(there, install_and_commit);
	sweep(there_by_maglev, install_and_commit);
	sweep(there, hold);
}

/* --- what happens to ports, addresses and the uplink ----------------------------------------- */

static enum error_code another_address(void)
{
	const unsigned int before = nodes[0].answer.count;

	bind("g0", "10.1.0.12");
	assert_int_equal(nodes[0].answer.count, before + 1);
	return nodes[0].answer.code;
}

static enum error_code a_port(void)
{
	return node_port(0, "p2", "g2");
}

static void carried(void **state)
{
	sweep(there_with_nat, another_address);
	sweep(there_with_three, a_port);
}

/* A start that finds no memory fails, or carries what it can and the rest a little later. */
static void starts(void **state)
{
	struct picture good, is;
	unsigned int nth = 1, refused = 0, carried_on = 0;
	bool starved = true;
	long before;

	assert_int_equal(alone(NULL), 0);
	there_with_nat();
	nodes_leap(LATER_MS, LEAP_MS);
	node_stop(0);
	node_start(0);
	nodes_leap(LATER_MS, LEAP_MS);
	picture_take(&good);
	for (; starved; nth++) {
		enum error_code code;

		assert_true(nth < NTH_MOST);
		node_stop(0);
		anchor_remove(&nodes[0].anchors, 1);
		before = nodes_memory();
		nodes_starve(nth, 1);
		code = node_try(0);
		starved = nodes_starved();
		if (code != ERROR_NONE) {
			assert_int_equal(code, ERROR_NO_MEMORY);
			assert_int_equal(nodes_memory(), before);
			node_start(0);
			refused++;
		} else {
			carried_on++;
		}
		nodes_leap(LATER_MS, LEAP_MS);
		picture_take(&is);
		same(&good, &is, nth, "started");
	}
	assert_true(refused > 5 && carried_on > 5);
	end(NULL);
}

/* --- views ----------------------------------------------------------------------------------- */

static void count_one(void *ctx, const struct cluster_view *v)
{
	assert_string_equal(v->cluster->name, "web");
	assert_int_equal(v->member_count, 2);
	++*(unsigned int *)ctx;
}

static void views(void **state)
{
	unsigned int shown = 0, nth = 1;
	struct cluster_view v;
	struct error error;
	bool starved = true;
	int r;

	for (; starved; nth++) {
		assert_int_equal(alone(NULL), 0);
		there();
		nodes_starve(nth, 1);
		r = engine_cluster_view(nodes[0].rig.engine, "web", &v, &error);
		starved = nodes_starved();
		if (r < 0)
			assert_int_equal(error.code, ERROR_NO_MEMORY);
		assert_int_equal(view(0, "web").member_count, 2);
		nodes_starve(1, 1);
		engine_clusters(nodes[0].rig.engine, count_one, &shown);
		assert_true(nodes_starved());
		shown = 0;
		engine_clusters(nodes[0].rig.engine, count_one, &shown);
		assert_int_equal(shown, 1);
		end(NULL);
	}
	assert_int_equal(nth, 4); /* what is lent, and flows, which are shown another time */
}

/* --- among hosts ----------------------------------------------------------------------------- */

/* Instead of the library's: not to be taken for the end of a process that lacks memory. */
void __assert_fail(const char *what, const char *file, unsigned int line, const char *function)
{
	fprintf(stderr, "%s:%u: %s: %s\n", file, line, function, what);
	_exit(1);
}

/* The engine traps, the registry of these tests aborts. */
static void on_end(int number)
{
	nodes_wipe();
	_exit(ENDED);
}

/* Whatever was answered, both hosts have it in the end, or neither; and it can be had. */
static void add_among_hosts(unsigned int nth)
{
	enum error_code code;
	struct wish w;

	signal(SIGILL, on_end);
	signal(SIGABRT, on_end);
	many(NULL);
	wish(&w, "web", "10.1.0.80");
	wish_member(&w, guests[0]);
	wish_member(&w, guests[1]);
	nodes_starve(nth, 1);
	code = add(0, &w, 1);
	if (!nodes_starved()) {
		end(NULL);
		_exit(ALL_FOUND);
	}
	nodes_pass(5000);
	assert_true(has_cluster(0, "web") == has_cluster(1, "web"));
	if (!has_cluster(0, "web")) {
		assert_int_not_equal(code, ERROR_NONE);
		assert_int_equal(add(0, &w, 1), ERROR_NONE);
		nodes_pass(500);
	}
	assert_true(cluster_equal(view(0, "web").cluster, view(1, "web").cluster));
	assert_int_equal(node_state(0, view(0, "web").cluster->faces[0]), VMAC_RESERVED);
	assert_non_null(nodes[0].anchors.clusters[view(0, "web").cluster->id].record);
	assert_int_equal(member(1, ENGINE_MEMBER_FAIL, "g1", NULL), ERROR_NONE);
	end(NULL);
	_exit(0);
}

/* Where this host among others must have memory the daemon ends, and goes on from what is durable:
 * so every shortage has a process of its own. */
static void among_hosts(void **state)
{
	unsigned int ended = 0, survived = 0;
	int status = 0;

	for (unsigned int nth = 1; nth < NTH_MOST; nth++) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0)
			add_among_hosts(nth);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (!WIFEXITED(status))
			fail_msg("shortage %u: signal %d", nth, WTERMSIG(status));
		if (WEXITSTATUS(status) == ALL_FOUND)
			break;
		if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != ENDED)
			fail_msg("shortage %u: see above", nth);
		ended += WEXITSTATUS(status) == ENDED;
		survived += WEXITSTATUS(status) == 0;
	}
	assert_true(survived > 10);
	print_message("%u survived, %u ended\n", survived, ended);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(commands, left),
		cmocka_unit_test_teardown(verbs_of_members, left),
		cmocka_unit_test_teardown(reports, left),
		cmocka_unit_test_teardown(carried, left),
		cmocka_unit_test(starts),
		cmocka_unit_test(views),
		cmocka_unit_test(among_hosts), /* the last: a child that fails goes on behind it */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
