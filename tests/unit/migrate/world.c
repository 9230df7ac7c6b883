#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define MUST(what)                                                                                 \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);         \
			world_print(w);                                                            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct uuid world_uuid(int host)
{
	struct uuid u = { { 0 } };

	if (host >= 0)
		u.octet[15] = (uint8_t)(host + 1);
	return u;
}

static struct uuid move_uuid(uint8_t move)
{
	return (struct uuid){ { move } };
}

static int host_of(const struct uuid *u)
{
	return (int)u->octet[15] - 1;
}

const struct version *world_record(const struct world *w)
{
	return &w->versions[w->count - 1];
}

static const struct ask_version *ask_of(const struct world *w)
{
	return &w->asks[w->ask_count - 1];
}

bool world_open(const struct world *w, int host)
{
	return w->host[host].port && w->host[host].gate == MIGRATE_GATE_OPEN;
}

static const char *const act_names[] = {
	"land record", "land ask", "answer record", "answer ask", "lose record",
	"lose ask",    "tell",	   "tell ask",	    "speak",	  "flipped",
	"spoke",       "tag",	   "timer",	    "guest here", "prepare",
	"abort",       "stop",	   "resume",	    "port up",	  "port down",
};
_Static_assert(ARRAY_LEN(act_names) == W_ACT_COUNT, "every act has a name");

static struct {
	uint8_t act, host;
} trace[TRACE_MAX];
unsigned int world_trace_len;

static void world_print(const struct world *w)
{
	const struct version *r = world_record(w);

	for (unsigned int i = 0; i < world_trace_len; i++)
		fprintf(stderr, "%s(%u) ", act_names[trace[i].act], trace[i].host);
	fprintf(stderr,
		"\nrecord: exists %d state %d holder %d to %d move %u epoch %llu; guest %d\n",
		r->exists, r->state, r->holder, r->to, r->move, (unsigned long long)r->epoch,
		w->guest);
	fprintf(stderr, "ask: exists %d host %d why %d refused %d\n", ask_of(w)->exists,
		ask_of(w)->host, ask_of(w)->why, ask_of(w)->refused);
	for (unsigned int i = 0; i < w->hosts; i++) {
		const struct host *h = &w->host[i];

		fprintf(stderr,
			"host %u: %s gate %u port %d told %u/%u asks %u/%u write %u/%u epoch %llu "
			"asking %u claim %d withdraw %d declined %d stopped %d writing %d/%d\n",
			i, migrate_state_name(h->m.state), h->gate, h->port, h->told, w->count - 1,
			h->ask_told, w->ask_count - 1, h->record.fate, h->ask.fate,
			(unsigned long long)h->m.epoch, h->m.asking, h->m.claim, h->m.withdraw,
			h->m.declined, h->m.stopped, h->m.writing, h->m.ask_writing);
	}
}

/* --- what must always be so ------------------------------------------------------------------- */

/* That the registry ever reserved it for this host, as far as this host was told. */
static bool was_reserved(const struct world *w, int host)
{
	for (unsigned int i = 0; i <= w->host[host].told; i++)
		if (w->versions[i].to == host)
			return true;
	return false;
}

/* Whether this host has not yet heard that the one for which it had reserved the vMAC, prepared,
 * has claimed it. */
static bool is_displaced(const struct world *w, int host)
{
	for (unsigned int i = w->host[host].told; i + 1 < w->count; i++) {
		const struct version *v = &w->versions[i], *next = &w->versions[i + 1];

		if (v->holder == host && next->holder != host)
			return v->to == next->holder && v->move != 0;
	}
	return false;
}

static void check_gates(const struct world *w)
{
	for (unsigned int i = 0; i < w->hosts; i++) {
		const struct host *h = &w->host[i];

		if (!world_open(w, (int)i))
			continue;
		if (h->m.state == MIGRATE_LIVE || h->flipped) {
			MUST(was_reserved(w, (int)i));
			continue;
		}
		MUST(world_record(w)->holder == (int)i || is_displaced(w, (int)i));
	}
}

static void check_machines(const struct world *w)
{
	for (unsigned int i = 0; i < w->hosts; i++) {
		const struct host *h = &w->host[i];
		const bool flipped = h->flipped && h->m.state == MIGRATE_READY && h->port;

		MUST(h->gate == (unsigned int)migrate_gate(h->m.state) || flipped);
		MUST(h->m.state != MIGRATE_FENCED || h->m.port);
		MUST(h->m.state != MIGRATE_HANDED || h->m.redirect_until.ns != MONO_NEVER.ns);
	}
}

/* --- the registry ---------------------------------------------------------------------------- */

static void record_tell(struct world *w, int host, unsigned int version)
{
	const struct version *v = &w->versions[version];
	const struct shared_vmac r = {
		.segment = "lan",
		.state = v->state,
		.epoch = v->epoch,
		.holder = world_uuid(v->holder),
		.to = world_uuid(v->to),
		.move = move_uuid(v->move),
		.lifetime_ms = 60000,
	};
	const struct migrate_event e = { .kind = MIGRATE_RECORD, .record = v->exists ? &r : NULL };

	w->host[host].told = (uint8_t)version;
	world_event(w, host, &e);
}

static void ask_tell(struct world *w, int host, unsigned int version)
{
	const struct ask_version *v = &w->asks[version];
	const struct shared_ask a = {
		.segment = "lan",
		.why = v->why,
		.host = world_uuid(v->host),
		.move = move_uuid(v->move),
		.lifetime_ms = 60000,
		.refused = v->refused ? "refused" : "",
	};
	const struct migrate_event e = { .kind = MIGRATE_ASK, .ask = v->exists ? &a : NULL };

	w->host[host].ask_told = (uint8_t)version;
	world_event(w, host, &e);
}

static void check_claim(const struct world *w, const struct version *old, int host, uint64_t epoch)
{
	if (!old->exists || old->holder == host)
		return;
	MUST(epoch > old->epoch);
	/* Nobody takes what was not reserved for him. */
	MUST(old->to == host);
	/* Without a plan the old holder's gate has closed before. */
	if (old->holder >= 0 && world_open(w, old->holder))
		MUST(old->move != 0 && w->host[host].said);
}

static void record_land(struct world *w, int host)
{
	struct write *wr = &w->host[host].record;
	const struct migrate_effect *e = &wr->effect;
	const struct version old = *world_record(w);
	struct version v = old;

	if (wr->base != w->count - 1) {
		wr->fate = TOO_LATE;
		return;
	}
	v.exists = true;
	v.epoch = e->epoch;
	v.to = -1;
	v.state = SHARED_HELD;
	if (!old.exists)
		v.holder = (int8_t)host;
	if (e->kind == MIGRATE_DO_GRANT) {
		MUST(!old.exists || old.holder == host);
		v.holder = (int8_t)host;
		v.state = SHARED_MOVING;
		v.to = (int8_t)host_of(&e->peer);
		v.move = e->move.octet[0];
		MUST(v.to >= 0 && v.to != host);
	} else if (e->kind == MIGRATE_DO_CLAIM) {
		check_claim(w, &old, host, e->epoch);
		v.holder = (int8_t)host;
	} else if (e->kind == MIGRATE_DO_FREEZE) {
		MUST(old.holder == host);
		v.state = SHARED_FROZEN;
	}
	MUST(v.epoch >= old.epoch && v.epoch > 0);
	MUST(w->count < VERSIONS);
	w->versions[w->count++] = v;
	wr->fate = LANDED;
}

static void ask_land(struct world *w, int host)
{
	struct write *wr = &w->host[host].ask;
	struct ask_version v = *ask_of(w);

	if (wr->base != w->ask_count - 1) {
		wr->fate = TOO_LATE;
		return;
	}
	if (wr->effect.kind == MIGRATE_DO_ASK) {
		v = (struct ask_version){ .exists = true,
					  .host = (int8_t)host,
					  .why = wr->effect.why,
					  .move = wr->effect.move.octet[0] };
	} else if (wr->effect.kind == MIGRATE_DO_REFUSE) {
		MUST(v.exists && v.host != host);
		v.refused = true;
	} else {
		v = (struct ask_version){ .host = -1 };
	}
	MUST(w->ask_count < VERSIONS);
	w->asks[w->ask_count++] = v;
	wr->fate = LANDED;
}

static void catch_up(struct world *w, int host)
{
	while (w->host[host].told + 1u < w->count)
		record_tell(w, host, w->host[host].told + 1u);
}

static void catch_up_asks(struct world *w, int host)
{
	while (w->host[host].ask_told + 1u < w->ask_count)
		ask_tell(w, host, w->host[host].ask_told + 1u);
}

/* What the machine wants to know is told first, then how its write fared. */
static void answered(struct world *w, int host, struct write *wr, bool ask)
{
	const struct migrate_event lost = { .kind = MIGRATE_LOST };
	const uint8_t fate = wr->fate;

	wr->fate = NO_WRITE;
	if (ask)
		catch_up_asks(w, host);
	else
		catch_up(w, host);
	if (fate == TOO_LATE && wr->fate == NO_WRITE)
		world_event(w, host, &lost);
}

static void lost(struct world *w, int host, struct write *wr)
{
	const struct migrate_event gone = { .kind = MIGRATE_UNREACHABLE };
	const struct migrate_event back = { .kind = MIGRATE_REACHABLE };

	wr->fate = NO_WRITE;
	world_event(w, host, &gone);
	world_event(w, host, &back);
}

/* --- what a machine wants --------------------------------------------------------------------- */

static void write_put(struct world *w, int host, const struct migrate_effect *e, bool ask)
{
	struct host *h = &w->host[host];

	*(ask ? &h->ask : &h->record) = (struct write){ .fate = ON_ITS_WAY,
							.base = ask ? h->ask_told : h->told,
							.effect = *e };
}

static void announced(struct world *w, int host, uint64_t epoch)
{
	if (!world_open(w, host))
		return;
	for (unsigned int i = 0; i < w->hosts; i++) {
		if ((int)i == host)
			continue;
		w->host[i].tag = true;
		w->host[i].tag_from = (int8_t)host;
		w->host[i].tag_epoch = epoch;
	}
}

static void carry_out(struct world *w, int host, const struct migrate_effect *e)
{
	struct host *h = &w->host[host];

	switch (e->kind) {
	case MIGRATE_GATE:
		/* A gate that opened by itself stays open where it is armed again. */
		if (!(h->flipped && h->port && e->gate == MIGRATE_GATE_TUNNEL_IN))
			h->gate = e->gate;
		if (e->gate == MIGRATE_GATE_REDIRECT)
			MUST(host_of(&e->peer) >= 0 && host_of(&e->peer) != host);
		return;
	case MIGRATE_DO_GRANT:
	case MIGRATE_DO_WITHDRAW:
	case MIGRATE_DO_CLAIM:
	case MIGRATE_DO_FREEZE:
		write_put(w, host, e, false);
		return;
	case MIGRATE_DO_ASK:
	case MIGRATE_DO_UNASK:
	case MIGRATE_DO_REFUSE:
		write_put(w, host, e, true);
		return;
	case MIGRATE_HOLD:
	case MIGRATE_YIELD:
		MUST(e->epoch >= h->journal);
		h->journal = e->epoch;
		return;
	case MIGRATE_ANNOUNCE:
		announced(w, host, e->epoch);
		return;
	case MIGRATE_ALARM:
		w->alarms++;
		return;
	case MIGRATE_QUERY:
	case MIGRATE_NOTE:
	case MIGRATE_EFFECT_COUNT:
		return;
	}
}

void world_event(struct world *w, int host, const struct migrate_event *e)
{
	struct migrate_effect effects[MIGRATE_EFFECTS_MAX];
	const unsigned int count = migrate_step(&w->host[host].m, e, w->now, effects);

	MUST(count <= MIGRATE_EFFECTS_MAX);
	for (unsigned int i = 0; i < count; i++) {
		MUST(effects[i].kind != MIGRATE_GATE || i == 0);
		carry_out(w, host, &effects[i]);
	}
	check_gates(w);
	check_machines(w);
}

/* --- what happens ---------------------------------------------------------------------------- */

static bool event(struct world *w, int host, enum migrate_event_kind kind)
{
	const struct migrate_event e = { .kind = kind,
					 .move = move_uuid(kind == MIGRATE_PREPARE ? ++w->moves
										   : 0),
					 .lifetime_ms = 60000 };

	world_event(w, host, &e);
	return true;
}

static bool speak(struct world *w, int host)
{
	struct host *h = &w->host[host];

	if (w->guest != host || !h->port)
		return false;
	h->said = true;
	if (h->gate == MIGRATE_GATE_OPEN)
		return false;
	if (h->gate == MIGRATE_GATE_TUNNEL_IN) {
		h->gate = MIGRATE_GATE_OPEN;
		h->flipped = true;
		check_gates(w);
		return true;
	}
	h->spoke = true;
	return true;
}

static bool timer(struct world *w, int host)
{
	const mono_t next = migrate_next_expiry(&w->host[host].m);

	if (next.ns == MONO_NEVER.ns)
		return false;
	if (next.ns > w->now.ns)
		w->now = next;
	return event(w, host, MIGRATE_TIME);
}

static bool tag(struct world *w, int host)
{
	struct host *h = &w->host[host];
	const struct migrate_event e = { .kind = MIGRATE_TAG,
					 .host = world_uuid(h->tag_from),
					 .epoch = h->tag_epoch };

	if (!h->tag)
		return false;
	h->tag = false;
	world_event(w, host, &e);
	return true;
}

static bool port(struct world *w, int host, bool up)
{
	struct host *h = &w->host[host];

	if (h->port == up || (!up && w->guest == host))
		return false;
	h->port = up;
	/* Of a claim that is on its way, the guest has spoken before. */
	h->said = h->said && (h->record.fate != NO_WRITE || world_record(w)->to == host);
	h->gate = (uint8_t)migrate_gate(h->m.state);
	/* What the data plane told of the old port is not told of the new one. */
	h->spoke = h->spoke && !up;
	h->flipped = h->flipped && !up;
	return event(w, host, up ? MIGRATE_PORT_UP : MIGRATE_PORT_DOWN);
}

static bool guest_here(struct world *w, int host)
{
	if (w->guest == host || !w->host[host].port)
		return false;
	w->guest = (int8_t)host;
	return true;
}

static bool act_registry(struct world *w, enum world_act a, int host)
{
	struct host *h = &w->host[host];
	struct write *wr =
		a == W_LAND_ASK || a == W_ANSWER_ASK || a == W_LOSE_ASK ? &h->ask : &h->record;

	if (wr->fate == NO_WRITE)
		return false;
	if (a == W_LAND_RECORD || a == W_LAND_ASK) {
		if (wr->fate != ON_ITS_WAY)
			return false;
		if (a == W_LAND_ASK)
			ask_land(w, host);
		else
			record_land(w, host);
		check_gates(w);
		return true;
	}
	if (a == W_LOSE_RECORD || a == W_LOSE_ASK) {
		lost(w, host, wr);
		return true;
	}
	if (wr->fate == ON_ITS_WAY)
		return false;
	answered(w, host, wr, a == W_ANSWER_ASK);
	return true;
}

static bool act(struct world *w, enum world_act a, int host)
{
	struct host *h = &w->host[host];

	switch (a) {
	case W_LAND_RECORD:
	case W_LAND_ASK:
	case W_ANSWER_RECORD:
	case W_ANSWER_ASK:
	case W_LOSE_RECORD:
	case W_LOSE_ASK:
		return act_registry(w, a, host);
	case W_TELL:
		if (h->told + 1u >= w->count)
			return false;
		record_tell(w, host, h->told + 1u);
		return true;
	case W_TELL_ASK:
		if (h->ask_told + 1u >= w->ask_count)
			return false;
		ask_tell(w, host, h->ask_told + 1u);
		return true;
	case W_SPEAK:
		return speak(w, host);
	case W_FLIPPED:
		if (!h->flipped)
			return false;
		h->flipped = false;
		return event(w, host, MIGRATE_FLIPPED);
	case W_SPOKE:
		if (!h->spoke)
			return false;
		h->spoke = false;
		return event(w, host, MIGRATE_SPOKE);
	case W_TAG:
		return tag(w, host);
	case W_TIMER:
		return timer(w, host);
	case W_GUEST_HERE:
		return guest_here(w, host);
	case W_PREPARE:
		return event(w, host, MIGRATE_PREPARE);
	case W_ABORT:
		return event(w, host, MIGRATE_ABORT);
	case W_STOP:
		return w->guest != host && h->port && event(w, host, MIGRATE_STOP);
	case W_RESUME:
		if (w->guest != host || !h->port)
			return false;
		h->said = true;
		return event(w, host, MIGRATE_RESUME);
	case W_PORT_UP:
		return port(w, host, true);
	case W_PORT_DOWN:
		return port(w, host, false);
	case W_ACT_COUNT:
		break;
	}
	return false;
}

bool world_act(struct world *w, enum world_act a, int host)
{
	const unsigned int at = world_trace_len;
	bool done;

	if (at < TRACE_MAX) {
		trace[at].act = (uint8_t)a;
		trace[at].host = (uint8_t)host;
		world_trace_len++;
	}
	done = act(w, a, host);
	if (!done)
		world_trace_len = at;
	return done;
}

void world_init(struct world *w, unsigned int hosts)
{
	const struct migrate_event first = { .kind = MIGRATE_PORT_UP, .epoch = 1 };

	world_trace_len = 0;
	memset(w, 0, sizeof(*w));
	w->hosts = hosts;
	w->now = (mono_t){ SPAN_S(1).ns };
	w->count = w->ask_count = 1;
	w->versions[0] = (struct version){ .holder = 0, .to = -1, .epoch = 1 };
	w->asks[0] = (struct ask_version){ .host = -1 };
	for (unsigned int i = 0; i < hosts; i++) {
		const struct uuid self = world_uuid((int)i);

		migrate_init(&w->host[i].m, &self, true);
	}
	w->host[0].port = true;
	world_event(w, 0, &first);
}

static bool settle_once(struct world *w)
{
	static const enum world_act kind[] = { W_FLIPPED,  W_SPOKE,	    W_LAND_RECORD,
					       W_LAND_ASK, W_ANSWER_RECORD, W_ANSWER_ASK,
					       W_TELL,	   W_TELL_ASK,	    W_TAG };

	const unsigned int all = w->hosts * ARRAY_LEN(kind);
	bool any = false;

	/* Each in its turn: nothing that is on its way waits for ever. */
	for (unsigned int i = 0; i < all; i++)
		any |= world_act(w, kind[i % ARRAY_LEN(kind)], (int)(i / ARRAY_LEN(kind)));
	return any;
}

#define SETTLE_STEPS 400

static void settle_all(struct world *w)
{
	unsigned int steps = 0;

	while (settle_once(w))
		MUST(++steps < SETTLE_STEPS);
}

void world_settle(struct world *w)
{
	for (unsigned int i = 0; i < w->hosts; i++)
		if (w->guest != (int)i)
			port(w, (int)i, false);
	settle_all(w);
	/* Ten seconds of speech, and then two hours in which whatever is left ends. */
	for (unsigned int round = 0; round < 16; round++) {
		const struct migrate_event e = { .kind = MIGRATE_TIME };

		w->now = mono_after(w->now, round < 12 ? SPAN_S(1) : SPAN_S(1801));
		for (unsigned int i = 0; i < w->hosts; i++)
			world_event(w, (int)i, &e);
		if (w->guest >= 0)
			world_act(w, W_SPEAK, w->guest);
		settle_all(w);
	}
	if (w->guest < 0)
		return;
	for (unsigned int i = 0; i < w->hosts; i++)
		MUST(world_open(w, (int)i) == (w->guest == (int)i));
	MUST(world_record(w)->holder == w->guest);
}
