/* The event queue, the wire, and the steps of a scenario. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "balance/table.h"
#include "base/cleanup.h"
#include "cluster_sim.h"

static const uint8_t key[16] = { 0x5e, 0xed };

/* --- tables ---------------------------------------------------------------------------------- */

const struct cs_table *cs_table(unsigned int fresh, unsigned int known)
{
	static struct cs_table tables[1 << CS_MEMBERS][1 << CS_MEMBERS];
	static struct balance_row rows[CLUSTER_ROWS];
	static uint64_t scratch[1 << 16];
	struct cs_table *t = &tables[fresh][known];
	struct balance_choice m[CS_MEMBERS];
	unsigned int count = 0;

	if (t->built)
		return t;
	assert(balance_scratch_words(CS_MEMBERS) <= ARRAY_LEN(scratch));
	for (unsigned int i = 0; i < CS_MEMBERS; i++)
		if ((fresh | known) >> i & 1)
			m[count++] = (struct balance_choice){ (uint16_t)(i + 1), 1, fresh >> i & 1,
							      known >> i & 1 };
	balance_rendezvous(key, m, count, scratch, rows);
	for (unsigned int i = 0; i < CS_ROWS; i++) {
		const struct balance_row r = rows[i * (CLUSTER_ROWS / CS_ROWS)];

		t->first[i] = (uint8_t)r.first;
		t->second[i] = (uint8_t)r.second;
		if (r.first)
			t->rows_of[r.first] |= UINT64_C(1) << i;
	}
	t->built = true;
	return t;
}

/* --- history --------------------------------------------------------------------------------- */

void cs_tell(struct cs_world *w, int host, const char *what, int64_t a, int64_t b)
{
	uint64_t x = w->hash ^ (uint64_t)w->now ^ (uint64_t)(host + 1) << 56;

	for (const char *c = what; *c; c++)
		x = (x ^ (uint64_t)*c) * UINT64_C(0x100000001b3);
	x = (x ^ (uint64_t)a) * UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (uint64_t)b ^ x >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
	w->hash = x ^ x >> 29;
	if (w->trace)
		printf("%10.6f  host %d  %s %" PRId64 " %" PRIx64 "\n",
		       (double)(w->now - CS_BEGIN) / 1e9, host, what, a, (uint64_t)b);
}

/* --- the wire -------------------------------------------------------------------------------- */

static bool before(const struct cs_frame *a, const struct cs_frame *b)
{
	return a->at != b->at ? a->at < b->at : a->sequence < b->sequence;
}

static void push(struct cs_world *w, const struct cs_frame *f, int64_t at)
{
	struct cs_frame *copy;
	unsigned int i = w->queued;

	if (w->spare_count == 0) {
		cs_fail(w, CS_RULE_STORM, "%u frames under way", w->queued);
		return;
	}
	copy = w->spare[--w->spare_count];
	memcpy(copy, f, offsetof(struct cs_frame, data) + f->len);
	copy->at = at;
	copy->sequence = w->sequence++;
	w->queued++;
	for (; i > 0 && before(copy, w->queue[(i - 1) / 2]); i = (i - 1) / 2)
		w->queue[i] = w->queue[(i - 1) / 2];
	w->queue[i] = copy;
}

static struct cs_frame *pop(struct cs_world *w)
{
	struct cs_frame *top = w->queue[0], *last = w->queue[--w->queued];
	unsigned int i = 0;

	for (;;) {
		unsigned int child = 2 * i + 1;

		if (child >= w->queued)
			break;
		if (child + 1 < w->queued && before(w->queue[child + 1], w->queue[child]))
			child++;
		if (!before(w->queue[child], last))
			break;
		w->queue[i] = w->queue[child];
		i = child;
	}
	w->queue[i] = last;
	w->spare[w->spare_count++] = top;
	return top;
}

static void record(struct cs_world *w, const struct cs_frame *f)
{
	struct cs_tape *t = &w->recorded[f->from];
	struct cs_frame *copy = &t->frames[t->count++ % CS_TAPE];

	memcpy(copy, f, offsetof(struct cs_frame, data) + f->len);
	copy->taped = true;
}

void cs_send(struct cs_world *w, unsigned int from, const struct cs_frame *frame)
{
	struct cs_frame f = *frame;

	w->sent++;
	if (!f.claim && !f.pulse)
		record(w, &f);
	for (unsigned int to = 0; to < w->scenario->hosts; to++) {
		bool lost = w->cut[from][to] || chance_percent(&w->chance, w->loss);

		if (to == from)
			continue;
		if (!w->hosts[from].linked)
			continue;
		if (!f.claim && !f.pulse)
			cs_check_lost(w, from, to, lost);
		if (lost)
			continue;
		f.to = (uint8_t)to;
		push(w, &f,
		     w->now + CS_WIRE / 2 + chance_span(&w->chance, 0, CS_WIRE / 2) +
			     chance_span(&w->chance, 0, w->delay));
		if (chance_percent(&w->chance, w->twice))
			push(w, &f, w->now + chance_span(&w->chance, CS_WIRE, 300 * MS));
	}
}

static void replay(struct cs_world *w, unsigned int to, unsigned int of)
{
	struct cs_tape *t = &w->played[to];

	*t = w->recorded[of];
	t->next = t->count > CS_TAPE ? t->count - CS_TAPE : 0;
	t->due = w->now;
}

static void play(struct cs_world *w)
{
	for (unsigned int i = 0; i < w->scenario->hosts; i++) {
		struct cs_tape *t = &w->played[i];

		if (!t->due || t->due > w->now)
			continue;
		if (t->next == t->count) {
			t->due = 0;
			continue;
		}
		t->due = w->now + GROUP_HEARTBEAT.ns;
		t->frames[t->next % CS_TAPE].to = (uint8_t)i;
		push(w, &t->frames[t->next++ % CS_TAPE], w->now + CS_WIRE);
	}
}

static void deliver(struct cs_world *w, const struct cs_frame *f)
{
	struct cs_host *h = &w->hosts[f->to];
	struct cs_frame waits;

	if (!h->up || !h->daemon || !h->linked)
		return;
	if (f->socket && f->socket != h->runs)
		return; /* closed since */
	if (h->stalled > w->now) {
		waits = *f;
		waits.socket = h->runs;
		push(w, &waits, h->stalled + chance_span(&w->chance, 0, 1));
		return;
	}
	cs_host_hear(w, h, f);
}

/* --- records --------------------------------------------------------------------------------- */

const struct cluster *cs_record(const struct cs_world *w, const struct cs_host *h)
{
	return &w->records[h->version];
}

static void first_record(struct cs_world *w)
{
	static const vmac_mac_t faces[CS_FACES_MAX] = { { { 0xf2, 1 } }, { { 0xf2, 2 } } };
	struct cluster *r = &w->records[0];

	*r = (struct cluster){ .id = 1,
			       .segment = 1,
			       .name = "web",
			       .mode = (uint8_t)w->scenario->mode,
			       .face_count = w->scenario->faces,
			       .faces = faces,
			       .member_count = CS_MEMBERS,
			       .members = w->record_members[0],
			       .generation = 1 };
	memcpy(r->key, key, sizeof(key));
	for (uint16_t i = 0; i < CS_MEMBERS; i++)
		w->record_members[0][i] = (struct cluster_member){ .id = i + 1, .weight = 1 };
	w->record_count = 1;
}

static void change_record(struct cs_world *w, unsigned int member, const struct cs_step *step)
{
	const unsigned int n = w->record_count;
	struct cluster_member *m = &w->record_members[n][member];

	if (n == CS_RECORDS_MAX)
		return;
	w->record_count++;
	w->records[n] = w->records[n - 1];
	w->records[n].generation++;
	w->records[n].members = w->record_members[n];
	memcpy(w->record_members[n], w->record_members[n - 1], sizeof(w->record_members[n]));
	if (step->kind == CS_STATE)
		m->state = (uint8_t)step->value;
	else
		m->weight = (uint16_t)step->value;
	for (unsigned int i = 0; i < w->scenario->hosts; i++) {
		w->hosts[i].newest = n;
		w->hosts[i].newest_at = w->now + chance_span(&w->chance, 0, 30 * MS) +
					chance_span(&w->chance, 0, w->away);
	}
}

/* --- steps ----------------------------------------------------------------------------------- */

const char *cs_step_name(unsigned int kind)
{
	static const char *const names[] = {
#define NAME_(c) #c,
		CS_STEPS(NAME_)
#undef NAME_
	};

	return names[kind];
}

static void befall(struct cs_world *w, unsigned int member)
{
	w->members[member].good = w->now;
}

static void isolate(struct cs_world *w, unsigned int host, bool on)
{
	for (unsigned int i = 0; i < CS_HOSTS_MAX; i++)
		w->cut[host][i] = w->cut[i][host] = on && i != host;
}

static void crash(struct cs_world *w, struct cs_host *h)
{
	if (!h->up)
		return;
	cs_check_died(w, h);
	for (unsigned int m = 0; m < CS_MEMBERS; m++)
		if (w->members[m].at == h->index || w->members[m].to == h->index)
			w->members[m].good = w->now;
	cs_host_crash(w, h);
}

static void boot(struct cs_world *w, struct cs_host *h)
{
	if (h->up)
		return;
	h->up = true;
	for (unsigned int m = 0; m < CS_MEMBERS; m++) {
		struct cs_member *member = &w->members[m];

		if (member->at >= 0 || member->arrives || member->home != h->index)
			continue;
		member->at = h->index;
		member->good = w->now;
	}
	cs_host_start(w, h);
}

static void plug(struct cs_world *w, struct cs_host *h, bool on)
{
	const struct group_event e = { .kind = GROUP_LINK, .on = on };

	if (h->linked == on)
		return;
	if (!on)
		cs_check_died(w, h);
	h->linked = on;
	for (unsigned int m = 0; m < CS_MEMBERS; m++)
		if (w->members[m].at == h->index)
			befall(w, m);
	cs_host_event(w, h, &e);
}

static void daemon_gone(struct cs_world *w, struct cs_host *h, bool in_order)
{
	const struct group_event leave = { .kind = GROUP_LEAVE };

	if (!h->up || !h->daemon || h->down_at)
		return;
	for (unsigned int m = 0; m < CS_MEMBERS; m++)
		if (w->members[m].at == h->index && !in_order)
			befall(w, m);
	if (!in_order) {
		cs_check_died(w, h);
		cs_check_stall(w, h, w->now + GROUP_DEAD.ns);
		h->daemon = false;
		h->ended = w->now;
		return;
	}
	h->left = w->now;
	h->down_at = w->now + SECOND + 50 * MS;
	cs_host_event(w, h, &leave);
}

static void move(struct cs_world *w, unsigned int member, unsigned int host, int64_t gap)
{
	struct cs_member *m = &w->members[member];

	if (m->at < 0 || m->at == (int)host || m->arrives || !w->hosts[host].up)
		return;
	if (gap > 400 * MS)
		befall(w, member);
	m->to = (int)host;
	m->arrives = w->now + gap;
	m->at = -1;
	cs_host_members(w);
}

static void arrive(struct cs_world *w, unsigned int member)
{
	struct cs_member *m = &w->members[member];

	m->arrives = 0;
	m->home = m->to;
	if (!w->hosts[m->to].up) {
		befall(w, member);
		return;
	}
	m->at = m->to;
	if (!cs_host_runs(w, &w->hosts[m->to]) || !w->hosts[m->to].linked || w->hosts[m->to].left)
		m->good = w->hosts[m->to].stalled > w->now ? w->hosts[m->to].stalled : w->now;
	cs_check_fault(w, w->now);
	cs_host_members(w);
}

static void heal(struct cs_world *w)
{
	memset(w->cut, 0, sizeof(w->cut));
	w->loss = w->twice = 0;
	w->delay = w->away = 0;
	w->healed = true;
	for (unsigned int i = 0; i < CS_HOSTS_MAX; i++)
		w->played[i].due = 0;
	for (unsigned int i = 0; i < w->scenario->hosts; i++) {
		struct cs_host *h = &w->hosts[i];

		plug(w, h, true);
		if (h->newest_at)
			h->newest_at = w->now;
		if (h->down_at) {
			h->daemon = false;
			h->ended = w->now;
		}
		boot(w, h);
		if (!h->daemon)
			cs_host_start(w, h);
	}
	for (unsigned int m = 0; m < CS_MEMBERS; m++) {
		if (w->members[m].at < 0 && !w->members[m].arrives)
			w->members[m].at = w->members[m].home;
		w->members[m].fit |= m == 0;
		befall(w, m);
	}
	cs_host_members(w);
}

static void take_member_step(struct cs_world *w, const struct cs_step *step)
{
	struct cs_member *m = &w->members[step->other % CS_MEMBERS];
	const unsigned int member = step->other % CS_MEMBERS;

	switch (step->kind) {
	case CS_FIT:
		m->fit = step->value;
		befall(w, member);
		break;
	case CS_MOVE:
		move(w, member, step->host % w->scenario->hosts, step->value);
		return;
	case CS_GONE:
		if (m->arrives)
			return;
		m->at = -1;
		befall(w, member);
		break;
	case CS_BACK:
		if (m->at >= 0 || m->arrives || !w->hosts[m->home].up)
			return;
		m->at = m->home;
		befall(w, member);
		break;
	case CS_STATE:
		if (step->value != MEMBER_DRAINING)
			befall(w, member);
		change_record(w, member, step);
		return;
	case CS_WEIGHT:
		change_record(w, member, step);
		return;
	default:
		return;
	}
	cs_host_members(w);
}

static void take_step(struct cs_world *w, const struct cs_step *step)
{
	struct cs_host *h = &w->hosts[step->host % w->scenario->hosts];
	const unsigned int other = step->other % w->scenario->hosts;

	cs_tell(w, (int)h->index, cs_step_name(step->kind), step->other, step->value);
	if (step->kind != CS_CRASH && step->kind != CS_KILL && step->kind != CS_UNPLUG)
		cs_check_fault(w, w->now + (step->kind == CS_STALL ? step->value : 0));
	switch (step->kind) {
	case CS_LOSS:
		w->loss = (unsigned int)step->value;
		break;
	case CS_DELAY:
		w->delay = step->value;
		break;
	case CS_TWICE:
		w->twice = (unsigned int)step->value;
		break;
	case CS_CUT:
	case CS_JOIN:
		w->cut[h->index][other] = step->kind == CS_CUT && other != h->index;
		break;
	case CS_ISOLATE:
	case CS_REJOIN:
		isolate(w, h->index, step->kind == CS_ISOLATE);
		break;
	case CS_CRASH:
		crash(w, h);
		break;
	case CS_BOOT:
		boot(w, h);
		break;
	case CS_KILL:
	case CS_STOP:
		daemon_gone(w, h, step->kind == CS_STOP);
		break;
	case CS_START:
		if (h->up && !h->daemon)
			cs_host_start(w, h);
		break;
	case CS_STALL:
		if (h->stalled < w->now + step->value)
			h->stalled = w->now + step->value;
		cs_check_stall(w, h, h->stalled);
		for (unsigned int m = 0; m < CS_MEMBERS; m++)
			if (w->members[m].at == h->index || w->members[m].to == h->index)
				w->members[m].good = h->stalled;
		break;
	case CS_UNPLUG:
	case CS_PLUG:
		plug(w, h, step->kind == CS_PLUG);
		break;
	case CS_REPLAY:
		if (other != h->index)
			replay(w, h->index, other);
		break;
	case CS_AWAY:
		w->away = step->value;
		break;
	case CS_HEAL:
		heal(w);
		break;
	default:
		take_member_step(w, step);
	}
}

/* --- the loop -------------------------------------------------------------------------------- */

static void tick(struct cs_world *w)
{
	w->next_tick = w->now + CS_TICK;
	for (unsigned int m = 0; m < CS_MEMBERS; m++)
		if (w->members[m].arrives && w->members[m].arrives <= w->now)
			arrive(w, m);
	play(w);
	cs_flows_tick(w);
	cs_host_members(w);
	cs_check_tick(w);
}

static void begin(struct cs_world *w, const struct cs_scenario *s, bool trace)
{
	static struct cs_frame frames[CS_QUEUE_MAX];

	memset(w, 0, sizeof(*w));
	w->scenario = s;
	w->trace = trace;
	w->chance.state = s->seed * 77 + 1;
	w->now = w->next_tick = CS_BEGIN;
	w->hash = 1;
	for (unsigned int i = 0; i < CS_QUEUE_MAX; i++)
		w->spare[w->spare_count++] = &frames[i];
	memset(w->switch_port, -1, sizeof(w->switch_port));
	first_record(w);
	w->last_fault = w->now;
	for (unsigned int m = 0; m < CS_MEMBERS; m++)
		w->members[m] = (struct cs_member){ .at = (int)(m % s->hosts),
						    .home = (int)(m % s->hosts),
						    .fit = true,
						    .to = -1,
						    .good = w->now };
	for (unsigned int i = 0; i < s->hosts; i++)
		cs_host_init(w, i);
}

static void step_world(struct cs_world *w)
{
	const struct cs_scenario *s = w->scenario;
	int64_t next = w->next_tick;
	int who = -1;

	for (unsigned int i = 0; i < s->hosts; i++) {
		const int64_t at = cs_host_next(w, &w->hosts[i]);

		if (at < next) {
			next = at;
			who = (int)i;
		}
	}
	if (w->queued && w->queue[0]->at <= next) {
		next = w->queue[0]->at;
		who = -2;
	}
	if (w->next_step < s->step_count && CS_BEGIN + s->steps[w->next_step].at <= next) {
		next = CS_BEGIN + s->steps[w->next_step].at;
		who = -3;
	}
	w->now = next > w->now ? next : w->now;
	if (who == -3)
		take_step(w, &s->steps[w->next_step++]);
	else if (who == -2)
		deliver(w, pop(w));
	else if (who >= 0)
		cs_host_time(w, &w->hosts[who]);
	else
		tick(w);
	cs_check_instant(w);
	if (++w->taken > CS_EVENTS_MAX)
		cs_fail(w, CS_RULE_STORM, "%u things happened", w->taken);
}

void cs_run(const struct cs_scenario *s, bool trace, struct sim_result *ret)
{
	static struct cs_world w;

	begin(&w, s, trace);
	while (w.now < CS_BEGIN + s->end && w.finding.rule == CS_RULE_NONE)
		step_world(&w);
	*ret = (struct sim_result){ .finding = w.finding,
				    .hash = w.hash,
				    .events = w.events,
				    .frames = w.sent,
				    .counts = { { "times an anchor", w.anchors },
						{ "views committed", w.views },
						{ "flows", w.opened },
						{ "packets delivered", w.delivered },
						{ "flows broken with their member or by a cut",
						  w.broken } } };
}
