/* The world: what happens next, links and their faults, the switch. */
#include "sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define DELAY_LEAST_NS	 50000
#define LOSS_OF_MUTATION 70
#define EVENTS_MOST	 2000000	  /* of one run: more is a storm */
#define WALL_CALM_NS	 (10000 * SIM_MS) /* after a wall clock jumped, authentication may refuse */

static const char *const step_names[STEP_KIND_COUNT] = {
	[STEP_LOSS] = "loss",	      [STEP_DISORDER] = "disorder",
	[STEP_CUT] = "cut",	      [STEP_JOIN] = "join",
	[STEP_STALL] = "stall",	      [STEP_STALL_INSIDE] = "stall inside",
	[STEP_CRASH] = "crash",	      [STEP_STOP] = "stop",
	[STEP_BOOT] = "boot",	      [STEP_UNPLUG] = "unplug",
	[STEP_PLUG] = "plug",	      [STEP_ADJUST] = "adjust",
	[STEP_FAULT] = "fault",	      [STEP_SAME] = "same",
	[STEP_PRIORITY] = "priority", [STEP_ADDRESS] = "address",
	[STEP_DISABLE] = "disable",   [STEP_ENABLE] = "enable",
	[STEP_WALL] = "wall",	      [STEP_KEYS] = "keys",
	[STEP_HEAL] = "heal",
};

const char *step_name(enum step_kind k)
{
	return step_names[k];
}

void world_tell(struct world *w, const struct host *h, const char *what, int64_t a, int64_t b)
{
	uint64_t v[4] = { (uint64_t)w->now, h ? h->number : 255u, (uint64_t)a, (uint64_t)b };

	w->hash = hash_bytes(v, sizeof(v), w->hash ^ (uint64_t)what[0] << 8 ^ (uint64_t)what[1]);
	if (!w->trace)
		return;
	printf("%12.6f  ", (double)(w->now - SIM_START_NS) / 1e9);
	if (h)
		printf("host %u  ", h->number);
	printf("%s %" PRId64 " %" PRId64 "\n", what, a, b);
}

/* --- events ---------------------------------------------------------------------------------- */

static bool event_before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->sequence < b->sequence;
}

static struct event *event_new(struct world *w)
{
	struct event *e = w->spare;

	if (e)
		w->spare = e->next;
	else
		e = malloc(sizeof(*e));
	if (!e)
		abort();
	return e;
}

void event_free(struct world *w, struct event *e)
{
	e->next = w->spare;
	w->spare = e;
}

static void heap_push(struct world *w, struct event *e)
{
	unsigned int i = w->heap_count++;

	assert(i < SIM_EVENTS_MAX);
	e->sequence = ++w->sequence;
	for (; i > 0 && event_before(e, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = e;
}

static struct event *heap_pop(struct world *w)
{
	struct event *top = w->heap[0], *last = w->heap[--w->heap_count];
	unsigned int i = 0, child;

	while ((child = 2 * i + 1) < w->heap_count) {
		if (child + 1 < w->heap_count && event_before(w->heap[child + 1], w->heap[child]))
			child++;
		if (!event_before(w->heap[child], last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	w->heap[i] = last;
	return top;
}

/* --- links ----------------------------------------------------------------------------------- */

void world_disturb(struct world *w, unsigned int a, unsigned int b, int64_t at)
{
	if (w->disturbed[a][b] < at)
		w->disturbed[a][b] = w->disturbed[b][a] = at;
}

void world_disturb_host(struct world *w, unsigned int a, int64_t at)
{
	for (unsigned int i = 0; i < w->host_count; i++)
		if (i != a)
			world_disturb(w, a, i, at);
}

static const struct nth *nth_of_frame(const struct world *w, unsigned int number)
{
	for (unsigned int i = 0; i < SIM_NTH_MAX; i++) {
		const struct nth *n = &w->scenario->nth[i];

		if (n->kind != NTH_NOTHING && n->kind != NTH_STEP && n->number == number &&
		    !w->heal_at)
			return n;
	}
	return NULL;
}

static void deliver(struct world *w, const struct host *from, struct host *to, unsigned int set,
		    const uint8_t *frame, size_t len, int64_t more)
{
	struct event *e = event_new(w);

	e->at = w->now + DELAY_LEAST_NS +
		(int64_t)chance_below(&w->chance, SIM_DELAY_NS - DELAY_LEAST_NS) + more;
	if (more > 0)
		world_disturb(w, from->number, to->number, e->at);
	e->frame = w->frames;
	e->host = to->number;
	e->from = from->number;
	e->set = (uint8_t)set;
	e->as_active = check_says_active(frame);
	e->len = (uint16_t)len;
	memcpy(e->data, frame, len);
	heap_push(w, e);
}

void world_send(struct world *w, struct host *from, unsigned int set, const uint8_t *frame,
		size_t len)
{
	const struct nth *n = nth_of_frame(w, w->frames);

	w->frames++;
	w->hash = hash_bytes(frame, len, w->hash);
	world_tell(w, from, "sends", set,
		   frame[12] == 0x08 && frame[13] == 0x06 ? -1 : (int64_t)len);
	for (unsigned int i = 0; i < w->host_count; i++) {
		struct host *to = &w->hosts[i];
		int64_t more = 0;
		bool twice = false;

		if (to == from || (frame[0] == 0x0e && frame[33] != i + 1))
			continue;
		if (i == 0 && w->scenario->mutation == MUTATE_DEAF)
			continue;
		if (w->cut[from->number][i] || !to->plugged ||
		    chance_percent(&w->chance, w->loss) || (n && n->kind == NTH_LOSE)) {
			world_disturb(w, from->number, i, w->now);
			continue;
		}
		if (chance_percent(&w->chance, w->disorder)) {
			twice = chance_percent(&w->chance, 50);
			if (!twice)
				more = (int64_t)chance_below(&w->chance,
							     (uint64_t)w->scenario->interval);
		}
		if (n && n->kind == NTH_LATE)
			more = w->scenario->interval + w->scenario->interval / 2;
		deliver(w, from, to, set, frame, len, more);
		if (twice || (n && n->kind == NTH_TWICE))
			deliver(w, from, to, set, frame, len,
				(int64_t)chance_below(&w->chance, (uint64_t)w->scenario->interval));
	}
}

/* --- steps ----------------------------------------------------------------------------------- */

/* The daemon can be told now; a stalled one is told all when it goes on. */
static bool can_tell(const struct host *h)
{
	return h->core && h->stalled == 0;
}

static void track(struct host *h)
{
	if (!can_tell(h))
		return;
	host_enter(h);
	elect_core_track(h->core, SIM_ROUTER, h->adjust, h->fault, host_now(h));
	host_leave(h);
}

static void configure(struct host *h)
{
	if (!can_tell(h))
		return;
	host_configure(h);
	host_leave(h);
}

static void same(struct host *h)
{
	struct candidate kept = h->config;
	unsigned int before = h->ops;

	if (!can_tell(h) || h->stopping)
		return;
	if (h->world->scenario->mutation == MUTATE_UNEQUAL)
		h->config.record.priority ^= 1;
	configure(h);
	if (h->ops != before)
		check_fail(h->world, RULE_NOT_EQUAL, "host %u: %u orders", h->number,
			   h->ops - before);
	h->config = kept;
	candidate_point(&h->config);
}

static void stop(struct host *h)
{
	h->stopping = true;
	if (!can_tell(h))
		return;
	host_enter(h);
	elect_core_stop(h->core, host_now(h));
	host_leave(h);
}

/* A key's way into and out of a group: known to all, sent by all, the only one.  Or, where it
 * began with receiving only: sent, then insisted on. */
static void key_stage(struct host *h)
{
	struct router *r = &h->config.record;
	struct router_key first = h->config.keys[0];

	h->key_stage++;
	if (r->auth_mode != ROUTER_AUTH_ENFORCE) {
		r->auth_mode++;
		return configure(h);
	}
	if (h->key_stage == 1) {
		h->config.keys[1] = (struct router_key){ 2, "beta" };
		r->key_count = 2;
	} else if (h->key_stage == 2) {
		h->config.keys[0] = h->config.keys[1];
		h->config.keys[1] = first;
	} else {
		r->key_count = 1;
	}
	configure(h);
}

static void wake_up(struct host *h)
{
	struct event *e;

	h->stalled = 0;
	if (!h->core)
		return;
	world_tell(h->world, h, "goes on", 0, 0);
	if (h->flush_late)
		host_carry_out(h);
	host_time(h); /* as the daemon's loop has it: timers first */
	for (unsigned int i = 0; i < h->queued; i++) {
		e = h->queue[i];
		if (h->core)
			host_frame(h, e);
		event_free(h->world, e);
	}
	h->queued = 0;
	if (!h->core)
		return;
	host_plug(h, h->plugged);
	track(h);
	if (h->core && !h->stopping)
		configure(h);
	else if (h->core)
		stop(h);
}

static void heal(struct world *w, int64_t down)
{
	w->heal_at = w->now;
	w->loss = w->disorder = 0;
	memset(w->cut, 0, sizeof(w->cut));
	for (unsigned int i = 0; i < w->host_count; i++) {
		struct host *h = &w->hosts[i];

		if (h->wall_ms != 0)
			world_disturb_host(w, i, w->now + WALL_CALM_NS);
		h->wall_ms = 0;
		h->down_for_good = down >> i & 1;
		h->fault = false;
		h->config.record.enabled = true;
		if (h->stalled)
			wake_up(h);
		if (h->core && h->down_for_good)
			stop(h);
		if (h->core && !h->plugged)
			host_plug(h, true);
		h->plugged = true;
		track(h);
		if (h->core && !h->stopping)
			configure(h);
		world_disturb_host(w, i, w->now);
	}
	if (w->scenario->mutation == MUTATE_RESTLESS)
		w->loss = LOSS_OF_MUTATION;
}

static void step_on_host(struct host *h, const struct step *s)
{
	struct world *w = h->world;

	switch ((enum step_kind)s->kind) {
	case STEP_STALL:
		h->stalled = h->core ? w->now + s->value : 0;
		return world_disturb_host(w, h->number, h->stalled);
	case STEP_STALL_INSIDE:
		h->stall_inside = h->core != NULL;
		h->stall_length = s->value;
		return;
	case STEP_CRASH:
		if (h->core)
			host_crash(h);
		return;
	case STEP_STOP:
		if (h->core && !h->stopping)
			stop(h);
		return;
	case STEP_BOOT:
		if (!h->core)
			host_boot(h, true);
		return;
	case STEP_UNPLUG:
	case STEP_PLUG:
		h->plugged = s->kind == STEP_PLUG;
		world_disturb_host(w, h->number, w->now);
		if (can_tell(h))
			host_plug(h, h->plugged);
		return;
	case STEP_ADJUST:
		h->adjust = (int)s->value;
		return track(h);
	case STEP_FAULT:
		h->fault = s->value != 0;
		return track(h);
	case STEP_SAME:
		return same(h);
	case STEP_PRIORITY:
		h->config.stated_priority = (int)s->value;
		if (w->scenario->mutation != MUTATE_LIAR)
			h->config.record.priority = (uint8_t)s->value;
		return configure(h);
	case STEP_ADDRESS:
		/* Not CARP's or HSRP's, where all must have the same. */
		for (unsigned int i = 0; i < h->config.record.set_count; i++)
			h->config.sets[i].address_count ^= 3;
		return configure(h);
	case STEP_DISABLE:
	case STEP_ENABLE:
		h->config.record.enabled = s->kind == STEP_ENABLE;
		return configure(h);
	case STEP_WALL:
		h->wall_ms = s->value;
		return world_disturb_host(w, h->number, w->now + WALL_CALM_NS);
	case STEP_KEYS:
		return key_stage(h);
	case STEP_LOSS:
	case STEP_DISORDER:
	case STEP_CUT:
	case STEP_JOIN:
	case STEP_HEAL:
	case STEP_KIND_COUNT:
		break;
	}
	assert(!"a step of a host");
}

static void step_do(struct world *w, const struct step *s)
{
	struct host *h = &w->hosts[s->host];

	world_tell(w, h, step_names[s->kind], s->other, s->value);
	if (s->kind == STEP_LOSS) {
		w->loss = (unsigned int)s->value;
	} else if (s->kind == STEP_DISORDER) {
		w->disorder = (unsigned int)s->value;
	} else if (s->kind == STEP_CUT || s->kind == STEP_JOIN) {
		w->cut[s->host][s->other] = s->kind == STEP_CUT;
		world_disturb(w, s->host, s->other, w->now);
	} else if (s->kind == STEP_HEAL) {
		heal(w, s->value);
	} else if (!(h->stalled && (s->kind == STEP_STALL || s->kind == STEP_STALL_INSIDE))) {
		step_on_host(h, s);
	}
}

/* --- what is next ---------------------------------------------------------------------------- */

static int64_t host_wakes(const struct host *h)
{
	mono_t next;

	if (h->stalled)
		return h->stalled;
	if (!h->core)
		return h->world->heal_at && !h->down_for_good ? h->world->now : SIM_NEVER;
	if (h->world->heal_at && h->world->scenario->mutation == MUTATE_DEAD)
		return SIM_NEVER;
	next = elect_core_next_expiry(h->core);
	return next.ns == MONO_NEVER.ns ? SIM_NEVER : next.ns - h->offset + h->late;
}

static void nth_step(struct world *w)
{
	for (unsigned int i = 0; i < SIM_NTH_MAX; i++) {
		const struct nth *n = &w->scenario->nth[i];

		if (n->kind == NTH_STEP && n->number == w->events && !w->heal_at)
			step_do(w, &n->step);
	}
	w->events++;
}

static void host_turn(struct host *h)
{
	if (h->stalled)
		return wake_up(h);
	if (!h->core) {
		host_boot(h, true);
		return;
	}
	nth_step(h->world);
	if (h->core && !h->stalled)
		host_time(h);
}

static void frame_turn(struct world *w)
{
	struct event *e = heap_pop(w);
	struct host *h = &w->hosts[e->host];

	nth_step(w);
	if (!h->core || !h->plugged) {
		event_free(w, e);
	} else if (h->stalled) {
		if (h->queued < SIM_QUEUE_MAX)
			h->queue[h->queued++] = e;
		else
			event_free(w, e);
	} else {
		host_frame(h, e);
		event_free(w, e);
	}
}

static bool world_turn(struct world *w)
{
	const struct scenario *s = w->scenario;
	int64_t at = SIM_START_NS + s->end, wakes;
	struct host *next = NULL;

	for (unsigned int i = 0; i < w->host_count; i++) {
		wakes = host_wakes(&w->hosts[i]);
		if (wakes < at) {
			at = wakes;
			next = &w->hosts[i];
		}
	}
	if (w->heap_count > 0 && w->heap[0]->at <= at) {
		at = w->heap[0]->at;
		next = NULL;
	} else if (!next && at == SIM_START_NS + s->end &&
		   (w->next_step == s->step_count ||
		    s->steps[w->next_step].at + SIM_START_NS > at)) {
		w->now = at;
		return false;
	}
	if (w->next_step < s->step_count && s->steps[w->next_step].at + SIM_START_NS <= at) {
		if (w->now < s->steps[w->next_step].at + SIM_START_NS)
			w->now = s->steps[w->next_step].at + SIM_START_NS;
		step_do(w, &s->steps[w->next_step++]);
		return true;
	}
	if (w->now < at)
		w->now = at;
	if (next)
		host_turn(next);
	else
		frame_turn(w);
	return true;
}

static void world_start(struct world *w, const struct scenario *s, bool trace)
{
	w->scenario = s;
	w->trace = trace;
	w->now = SIM_START_NS;
	w->chance.state = s->seed ^ 0x5eed;
	w->host_count = s->host_count;
	for (unsigned int i = 0; i < SIM_SETS_MAX; i++)
		w->switch_port[i] = -1;
	for (unsigned int i = 0; i < w->host_count; i++)
		host_init(&w->hosts[i], w, i);
	for (unsigned int i = 0; i < s->step_count; i++)
		w->key_rolls |= s->steps[i].kind == STEP_KEYS;
	for (unsigned int i = 0; i < w->host_count; i++)
		host_boot(&w->hosts[i], true);
}

static void world_end(struct world *w)
{
	struct event *e;

	for (unsigned int i = 0; i < w->host_count; i++)
		host_crash(&w->hosts[i]);
	while (w->heap_count > 0)
		event_free(w, w->heap[--w->heap_count]);
	while ((e = w->spare)) {
		w->spare = e->next;
		free(e);
	}
}

void world_run(const struct scenario *s, bool trace, struct sim_result *ret)
{
	struct world *w = calloc(1, sizeof(*w));
	unsigned int turns = 0;

	if (!w)
		abort();
	world_start(w, s, trace);
	while (w->finding.rule == RULE_NONE && world_turn(w)) {
		check_time(w);
		if (++turns > EVENTS_MOST)
			check_fail(w, RULE_UNSETTLED, "more than %u events", EVENTS_MOST);
	}
	if (w->finding.rule == RULE_NONE)
		check_end(w);
	*ret = (struct sim_result){ .finding = w->finding,
				    .hash = w->hash,
				    .events = w->events,
				    .frames = w->frames,
				    .counts = { { "transitions", w->transitions },
						{ "contentions", w->contentions },
						{ "frames with a vMAC passed", w->passed },
						{ "stopped", w->dropped } } };
	world_end(w);
	free(w);
}
