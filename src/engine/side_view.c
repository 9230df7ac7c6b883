/* Hosts and moves as others may see them, and the commands that are hints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "engine/side.h"

const char *migrate_gate_text(enum migrate_gate gate)
{
	static const char *const texts[] = {
		[MIGRATE_GATE_CLOSED] = "closed", [MIGRATE_GATE_TUNNEL_IN] = "tunnel-in",
		[MIGRATE_GATE_OPEN] = "open",	  [MIGRATE_GATE_REDIRECT] = "redirect",
		[MIGRATE_GATE_FENCED] = "fenced",
	};

	return texts[gate];
}

static int64_t ms_between(mono_t later, mono_t earlier)
{
	int64_t ms = mono_since(later, earlier).ns / 1000000;

	return ms < 0 ? 0 : ms;
}

/* --- moves ----------------------------------------------------------------------------------- */

_Static_assert(WIRE_USES == FLEET_USE_COUNT, "every use has a place");

static void see_wire(const struct fleet_use_view *v, mono_t now, struct wire_view *ret)
{
	if (v->frames == 0)
		return;
	*ret = (struct wire_view){
		.frames = v->frames,
		.first_ms = ms_between(now, v->first),
		.last_ms = ms_between(now, v->last),
		.as = fleet_use_name(v->use),
		.because = v->because,
	};
	for (unsigned int i = 0; i < WIRE_USES; i++) {
		ret->uses[i].name = fleet_use_name((enum fleet_use)i);
		ret->uses[i].looked = v->looked[i];
	}
}

static void see_move(const struct fleet_side *s, const struct fleet_move_view *v,
		     struct move_view *ret)
{
	mono_t now = s->e->cfg.mono_now();

	*ret = (struct move_view){
		.segment = v->name.segment,
		.address = v->name.address,
		.state = migrate_state_name(v->state),
		.state_meaning = migrate_state_meaning(v->state),
		.gate = migrate_gate_text(v->gate),
		.reason = migrate_reason_name(v->reason),
		.reason_meaning = migrate_reason_meaning(v->reason),
		.holder = v->holder,
		.to = v->to,
		.asks = v->asks,
		.epoch = v->epoch,
		.since_ms = ms_between(now, v->since),
		.expires_ms = v->expires.ns == MONO_NEVER.ns ? -1 : ms_between(v->expires, now),
		.strangers = v->strangers,
		.stranger_ms = v->strangers ? ms_between(now, v->stranger_last) : -1,
	};
	see_wire(&v->wire, now, &ret->wire);
}

bool side_move(struct fleet_side *s, const char *segment, vmac_mac_t address, struct move_view *ret)
{
	struct fleet_name n = { segment, address };
	struct fleet_move_view view;

	if (!fleet_move(s->fleet, &n, &view))
		return false;
	see_move(s, &view, ret);
	return true;
}

void side_holder(struct fleet_side *s, const struct vmac *v, char ret[static NAME_MAX_LEN + 1])
{
	struct move_view move;

	if (side_move(s, world_segment(&s->e->world, v->segment)->record->name, v->address,
		      &move) &&
	    move.holder[0])
		snprintf(ret, NAME_MAX_LEN + 1, "%s", move.holder);
}

struct seeing {
	struct fleet_side *s;
	void (*move)(void *ctx, const struct move_view *v);
	void *ctx;
	/* Hosts, to be put in order. */
	struct fleet_host_view *hosts;
	size_t count, capacity;
};

static void see_one_move(void *ctx, const struct fleet_move_view *v)
{
	struct seeing *seeing = ctx;
	struct move_view view;

	see_move(seeing->s, v, &view);
	seeing->move(seeing->ctx, &view);
}

void engine_moves(struct engine *e, void (*fn)(void *ctx, const struct move_view *v), void *ctx)
{
	struct seeing seeing = { .s = e->side, .move = fn, .ctx = ctx };

	if (e->side)
		fleet_moves(e->side->fleet, see_one_move, &seeing);
}

/* --- hosts ----------------------------------------------------------------------------------- */

static void gather_host(void *ctx, const struct fleet_host_view *v)
{
	struct seeing *seeing = ctx;

	if (seeing->count < seeing->capacity)
		seeing->hosts[seeing->count++] = *v;
}

static int by_host_name(const void *a, const void *b)
{
	const struct fleet_host_view *x = a, *y = b;

	return strcmp(x->host->name, y->host->name);
}

static void see_host(struct fleet_side *s, const struct fleet_host_view *v, struct host_view *ret)
{
	static char address[IP_TEXT_MAX];

	*ret = (struct host_view){
		.name = v->host->name,
		.uuid = uuid_format(&v->host->uuid, s->look[0]),
		.state = host_state_name(v->host->state),
		.address = v->host->address.family ? ip_format(&v->host->address, address) : "",
		.version = v->host->version,
		.fenced_by = v->host->fenced_by,
		.self = v->self,
		.alive = v->alive,
		.number = v->host->number,
		.tunnel_port = v->host->tunnel_port,
		.incarnation = v->host->incarnation,
		.blocks = v->blocks,
		.vmacs = v->vmacs,
	};
}

void engine_hosts(struct engine *e, void (*fn)(void *ctx, const struct host_view *v), void *ctx)
{
	struct seeing seeing = { .s = e->side, .capacity = HOSTS_MAX };
	struct host_view view;

	if (!e->side)
		return;
	seeing.hosts = engine_alloc(e, HOSTS_MAX * sizeof(*seeing.hosts));
	if (!seeing.hosts)
		return;
	fleet_hosts(e->side->fleet, gather_host, &seeing);
	qsort(seeing.hosts, seeing.count, sizeof(*seeing.hosts), by_host_name);
	for (size_t i = 0; i < seeing.count; i++) {
		see_host(e->side, &seeing.hosts[i], &view);
		fn(ctx, &view);
	}
	engine_dispose(e, seeing.hosts);
}

struct host_search {
	struct fleet_side *s;
	const char *name;
	struct host_view *ret;
	bool found;
};

static void search_host(void *ctx, const struct fleet_host_view *v)
{
	struct host_search *search = ctx;

	if (strcmp(v->host->name, search->name) != 0)
		return;
	see_host(search->s, v, search->ret);
	search->found = true;
}

static int is_alone(struct error *ret_error)
{
	return error_set(ret_error, ERROR_WRONG_STATE,
			 "name a shared registry in the configuration: registry: shared:",
			 "this host is alone: it shares no registry with others");
}

int engine_host_view(struct engine *e, const char *name, struct host_view *ret,
		     struct error *ret_error)
{
	struct host_search search = { .s = e->side, .name = name, .ret = ret };

	if (!e->side)
		return is_alone(ret_error);
	fleet_hosts(e->side->fleet, search_host, &search);
	return search.found
		       ? 0
		       : error_set(ret_error, ERROR_NOT_FOUND, "`vmac host list` shows what exists",
				   "there is no host '%.63s'", name);
}

/* --- status ---------------------------------------------------------------------------------- */

void side_status(struct fleet_side *s, struct fleet_status *ret)
{
	struct shared_facts *shared = side_alloc(s, sizeof(*shared));
	struct fleet_facts facts;
	uint64_t available = 0;

	fleet_facts(s->fleet, &facts);
	if (s->shared)
		shared_facts(s->shared, shared);
	table_for_each (&s->e->world.pools_by_name, struct world_pool, p)
		available += p->machine.block_size ? p->machine.blocks.room : 0;
	*ret = (struct fleet_status){
		.shared = true,
		.backend = shared->backend ? shared->backend : "",
		.endpoint = shared->endpoint ? shared->endpoint : "",
		.reachable = facts.reachable,
		.complete = facts.complete,
		.joined = facts.joined,
		.since_ms = ms_between(s->e->cfg.mono_now(), facts.since),
		.error = facts.error,
		.name = s->name,
		.uuid = s->uuid,
		.state = facts.joined ? host_state_name(facts.state) : "",
		.cluster = facts.has_cluster ? uuid_format(&facts.cluster, s->look[1]) : "",
		.number = facts.number,
		.hosts = facts.hosts,
		.alive = facts.alive,
		.blocks = facts.blocks,
		.blocks_ours = facts.blocks_ours,
		.records = facts.records,
		.moves = facts.moves,
		.alarms = facts.alarms,
		.available = available,
		.images_behind = facts.images_behind,
		.claims_lost = facts.claims_lost,
		.revision = shared->revision,
		.txns = shared->txns,
		.lost = shared->lost,
		.unreachable = shared->unreachable,
		.refused = shared->refused,
		.reads = shared->reads,
		.watches = shared->watches,
		.reconnects = shared->reconnects,
		.reconciles = shared->reconciles,
		.txn_ns_last = shared->txn_ns_last,
		.txn_ns_most = shared->txn_ns_most,
		.read_ns_last = shared->read_ns_last,
		.announced = s->announced,
		.queried = s->queried,
		.send_failed = s->send_failed,
		.claims_valid = s->claims[CLAIM_VALID],
		.claims_untagged = s->claims[CLAIM_UNTAGGED],
		.claims_forged = s->claims[CLAIM_FORGED],
		.tagged = s->cfg.has_key,
	};
	engine_dispose(s->e, shared);
}

/* --- commands -------------------------------------------------------------------------------- */

static const char *const verbs[] = {
	[ENGINE_MOVE_PREPARE] = "prepare", [ENGINE_MOVE_ACTIVATE] = "activate",
	[ENGINE_MOVE_ABORT] = "abort",	   [ENGINE_MOVE_STOP] = "stop",
	[ENGINE_MOVE_RESUME] = "resume",   [ENGINE_MOVE_THAW] = "thaw",
	[ENGINE_MOVE_MOVE] = "move",
};

_Static_assert(ARRAY_LEN(verbs) == ENGINE_MOVE_VERB_COUNT, "every verb has a name");

const char *engine_move_verb_name(enum engine_move_verb v)
{
	return verbs[v];
}

/* An address that this host need not know, or the name of a vMAC that it does. */
static int resolve(struct engine *e, const struct vmac_ref *ref, struct fleet_name *ret,
		   struct error *ret_error)
{
	struct world_segment *segment;
	const struct vmac *v;
	int r = engine_find_segment(e, ref->segment, &segment, ret_error);

	if (r < 0)
		return r;
	ret->segment = segment->record->name;
	if (vmac_mac_parse(ref->which, &ret->address, NULL) == 0)
		return 0;
	r = engine_find_vmac(e, ref, &v, ret_error);
	if (r == 0)
		ret->address = v->address;
	return r;
}

static enum migrate_event_kind hint_of(enum engine_move_verb verb, bool force)
{
	switch (verb) {
	case ENGINE_MOVE_PREPARE:
		return MIGRATE_PREPARE;
	case ENGINE_MOVE_ABORT:
		return MIGRATE_ABORT;
	case ENGINE_MOVE_STOP:
		return MIGRATE_STOP;
	case ENGINE_MOVE_RESUME:
		return MIGRATE_RESUME;
	case ENGINE_MOVE_THAW:
		return MIGRATE_THAW_NOW;
	case ENGINE_MOVE_MOVE:
		return force ? MIGRATE_FORCE : MIGRATE_ACTIVATE;
	case ENGINE_MOVE_ACTIVATE:
	case ENGINE_MOVE_VERB_COUNT:
		break;
	}
	return MIGRATE_ACTIVATE;
}

void engine_move(struct engine *e, const struct caller *c, enum engine_move_verb verb,
		 const struct vmac_ref *ref, int64_t lifetime_ms, bool force, answer_fn done,
		 void *ctx)
{
	struct answer answer = { 0 };
	struct move_view view;
	struct fleet_name n;
	struct error error;
	int r;

	e->commands++;
	r = e->side ? resolve(e, ref, &n, &error) : is_alone(&error);
	if (r == 0 && (lifetime_ms < 0 || lifetime_ms > MOVE_LIFETIME_MAX))
		r = error_set(&error, ERROR_BAD_VALUE, "at most 24h, such as 2h",
			      "lifetime: out of bounds");
	if (r == 0)
		r = fleet_hint(e->side->fleet, hint_of(verb, force), &n, lifetime_ms,
			       e->cfg.mono_now(), &error);
	if (r < 0) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	if (side_move(e->side, n.segment, n.address, &view))
		answer.move = &view;
	if (done)
		done(ctx, &answer);
	side_turn(e);
}

static void answer_host(struct engine *e, int r, const struct error *error, answer_fn done,
			void *ctx)
{
	struct answer answer = { 0 };

	if (r < 0)
		engine_refuse(e, done, ctx, error);
	else if (done)
		done(ctx, &answer);
	side_turn(e);
}

void engine_host_set(struct engine *e, const struct caller *c, const char *host, const char *state,
		     const char *fenced_by, answer_fn done, void *ctx)
{
	struct error error;
	int r, to;

	e->commands++;
	to = host_state_from_name(state);
	if (!e->side)
		r = is_alone(&error);
	else if (to < 0)
		r = error_set(&error, ERROR_BAD_VALUE, "active, draining or dead",
			      "state: '%.32s' is not known", state);
	else
		r = fleet_host_state(e->side->fleet, host, (enum host_state)to, fenced_by,
				     e->cfg.mono_now(), &error);
	answer_host(e, r, &error, done, ctx);
}

void engine_host_forget(struct engine *e, const struct caller *c, const char *host, answer_fn done,
			void *ctx)
{
	struct error error;
	int r;

	e->commands++;
	r = e->side ? fleet_host_forget(e->side->fleet, host, e->cfg.mono_now(), &error)
		    : is_alone(&error);
	answer_host(e, r, &error, done, ctx);
}
