/* Two and three hosts under random schedules: whatever befalls them, no address is allocated twice,
 * no block is two hosts', epochs grow; and when all faults are over, who runs the guest has it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define RUNS   6000
#define STEPS  40
#define GUESTS 6
#define SETTLE 60000 /* ms without faults */

struct guest {
	int number;	   /* -1: none */
	unsigned int host; /* where it runs */
};

struct run {
	struct rig rig;
	struct guest guests[GUESTS];
};

static void start_guest(struct run *r, struct guest *g)
{
	unsigned int h = (unsigned int)(rig_random(&r->rig) % r->rig.host_count);

	if (!r->rig.hosts[h].up)
		return;
	g->number = rig_allocate(&r->rig, h);
	g->host = h;
	if (g->number >= 0)
		rig_port(&r->rig, h, g->number, true);
}

/* The guest goes to another host: prepared or not, with or without a hint, or rolled back. */
static void move_guest(struct run *r, struct guest *g)
{
	unsigned int to = (unsigned int)(rig_random(&r->rig) % r->rig.host_count);
	uint64_t how = rig_random(&r->rig);
	bool back = how & 4 && (how & 48) == 0;
	unsigned int from = g->host;

	if (to == from)
		return;
	if (how & 1 && r->rig.hosts[to].up)
		rig_hint(&r->rig, to, MIGRATE_PREPARE, g->number, NULL);
	rig_port(&r->rig, to, g->number, true);
	rig_run(&r->rig, (int64_t)(how >> 8 & 63));
	if (how & 2 && r->rig.hosts[from].up)
		rig_hint(&r->rig, from, MIGRATE_STOP, g->number, NULL);
	g->host = to;
	rig_speak(&r->rig, to, g->number);
	rig_run(&r->rig, (int64_t)(how >> 16 & 63));
	if (back) {
		rig_port(&r->rig, to, g->number, false);
		g->host = from;
		if (r->rig.hosts[from].up)
			rig_hint(&r->rig, from, MIGRATE_RESUME, g->number, NULL);
		rig_speak(&r->rig, from, g->number);
	} else {
		rig_port(&r->rig, from, g->number, false);
	}
}

static void one_step(struct run *r)
{
	struct rig *rig = &r->rig;
	unsigned int h = (unsigned int)(rig_random(rig) % rig->host_count);
	struct guest *g = &r->guests[rig_random(rig) % GUESTS];
	struct rig_host *host = &rig->hosts[h];

	switch (rig_random(rig) % 12) {
	case 0:
		rig_cut(rig, h, !host->cut);
		break;
	case 1:
		host->answer_lost = !host->answer_lost;
		break;
	case 2:
		if (host->up)
			rig_down(rig, h);
		else
			rig_up(rig, h);
		break;
	case 3:
		host->slow = !host->slow;
		break;
	case 4:
		if (host->up && !host->cut)
			rig_tell_all(rig, h);
		break;
	case 5:
	case 6:
	case 7:
		if (g->number < 0)
			start_guest(r, g);
		break;
	default:
		if (g->number >= 0)
			move_guest(r, g);
		break;
	}
	if (g->number >= 0)
		rig_speak(rig, g->host, g->number);
	rig_run(rig, (int64_t)(rig_random(rig) % 700));
}

/* The guest speaks where it runs, and moves that nobody goes on with are given up there. */
static void carry_on(struct run *r, const struct guest *g)
{
	for (unsigned int i = 0; i < r->rig.host_count; i++)
		if (i != g->host)
			rig_hint(&r->rig, i, MIGRATE_ABORT, g->number, NULL);
	rig_speak(&r->rig, g->host, g->number);
}

static void settle(struct run *r)
{
	for (unsigned int i = 0; i < r->rig.host_count; i++) {
		struct rig_host *h = &r->rig.hosts[i];

		h->answer_lost = h->slow = false;
		if (!h->up)
			rig_up(&r->rig, i);
		rig_cut(&r->rig, i, false);
	}
	for (int i = 0; i < SETTLE / 1000; i++) {
		rig_run(&r->rig, 1000);
		for (unsigned int g = 0; g < GUESTS; g++)
			if (r->guests[g].number >= 0)
				carry_on(r, &r->guests[g]);
	}
	/* The registry's last word. */
	for (unsigned int i = 0; i < r->rig.host_count; i++)
		rig_tell_all(&r->rig, i);
	rig_run(&r->rig, 5000);
}

static void check(struct run *r, uint64_t seed)
{
	for (unsigned int g = 0; g < GUESTS; g++) {
		int n = r->guests[g].number;
		unsigned int open = 0, held = 0;

		if (n < 0)
			continue;
		for (unsigned int i = 0; i < r->rig.host_count; i++) {
			const struct rig_place *p = &r->rig.hosts[i].places[n];

			held += rig_held(&r->rig, i, n);
			open += p->port && p->gate == MIGRATE_GATE_OPEN;
		}
		if (held != 1 || open != 1 || !rig_held(&r->rig, r->guests[g].host, n) ||
		    r->rig.hosts[r->guests[g].host].places[n].gate != MIGRATE_GATE_OPEN)
			fail_msg("seed %lu: %d runs at kvm%u (%s): %u gates are open, %u hosts "
				 "hold it",
				 (unsigned long)seed, n, r->guests[g].host + 1,
				 migrate_state_name(rig_state(&r->rig, r->guests[g].host, n)), open,
				 held);
	}
}

static void one_run(uint64_t seed)
{
	static struct run r;

	memset(&r, 0, sizeof(r));
	rig_init(&r.rig, 2 + seed % 2, seed + 1);
	for (unsigned int g = 0; g < GUESTS; g++)
		r.guests[g].number = -1;
	for (unsigned int i = 0; i < r.rig.host_count; i++)
		rig_up(&r.rig, i);
	rig_run(&r.rig, 1000);
	rig_agree(&r.rig);
	for (unsigned int i = 0; i < STEPS; i++)
		one_step(&r);
	settle(&r);
	check(&r, seed);
	rig_done(&r.rig);
}

static void runs(void **state)
{
	const char *one = getenv("FLEET_SEED");
	uint64_t count = RUNS;

	if (one) {
		one_run(strtoull(one, NULL, 10));
		return;
	}
	if (getenv("FLEET_RUNS"))
		count = strtoull(getenv("FLEET_RUNS"), NULL, 10);
	for (uint64_t seed = 0; seed < count; seed++)
		one_run(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(runs) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
