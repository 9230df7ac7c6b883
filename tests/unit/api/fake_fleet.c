/* The fake engine among hosts: this one is kvm1; kvm2 lives, kvm3 is silent.  What somebody is
 * hinted at here moves at once, in one step. */
#include "fake_inside.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/shared.h"

#define HOSTS 3

struct fake_move {
	vmac_mac_t address;
	const char *state, *gate, *reason, *because, *holder, *to;
	uint64_t epoch;
};

static struct {
	enum fake_fleet kind;
	const char *states[HOSTS];
	char fenced_by[HOSTS][OWNER_MAX_LEN + 1];
	bool forgotten[HOSTS];
	struct fake_move moves[FAKE_MAX];
	size_t move_count;
} fleet = { .states = { "active", "active", "active" } };

static const char *const host_names[HOSTS] = { "kvm1", "kvm2", "kvm3" };

void fake_fleet_begin(enum fake_fleet kind)
{
	fleet.kind = kind;
}

static int is_alone(struct error *ret_error)
{
	return error_set(ret_error, ERROR_WRONG_STATE, "registry: shared:", "this host is alone");
}

/* --- hosts ----------------------------------------------------------------------------------- */

static int host_at(const char *name)
{
	for (int i = 0; i < HOSTS; i++)
		if (!fleet.forgotten[i] && strcmp(host_names[i], name) == 0)
			return i;
	return -1;
}

static void see_host(int i, struct host_view *ret)
{
	static const char *const uuids[HOSTS] = { "6c2a4c3e-6b0f-4a4b-9b39-000000000001",
						  "6c2a4c3e-6b0f-4a4b-9b39-000000000002",
						  "6c2a4c3e-6b0f-4a4b-9b39-000000000003" };

	*ret = (struct host_view){ .name = host_names[i],
				   .uuid = uuids[i],
				   .state = fleet.states[i],
				   .address = i < 2 ? "10.0.0.1" : "",
				   .version = VMAC_VERSION,
				   .fenced_by = fleet.fenced_by[i],
				   .self = i == 0,
				   .alive = i < 2,
				   .number = (uint16_t)(i + 1),
				   .tunnel_port = 14789,
				   .incarnation = 3,
				   .blocks = 2,
				   .vmacs = 1 };
}

void engine_hosts(struct engine *e, void (*fn)(void *ctx, const struct host_view *v), void *ctx)
{
	struct host_view v;

	for (int i = 0; fleet.kind != FAKE_ALONE && i < HOSTS; i++)
		if (!fleet.forgotten[i]) {
			see_host(i, &v);
			fn(ctx, &v);
		}
}

int engine_host_view(struct engine *e, const char *name, struct host_view *ret,
		     struct error *ret_error)
{
	int i = host_at(name);

	if (fleet.kind == FAKE_ALONE)
		return is_alone(ret_error);
	if (i < 0)
		return fake_not_found("host", name, ret_error);
	see_host(i, ret);
	return 0;
}

static int host_state(const char *name, const char *state, const char *fenced_by,
		      struct error *ret_error)
{
	int i = host_at(name);

	if (fleet.kind == FAKE_ALONE)
		return is_alone(ret_error);
	if (i < 0)
		return fake_not_found("host", name, ret_error);
	if (fleet.kind == FAKE_CUT)
		return error_set(ret_error, ERROR_REGISTRY_UNREACHABLE, "try again", "no answer");
	if (host_state_from_name(state) < 0)
		return error_set(ret_error, ERROR_BAD_VALUE, "active, draining or dead",
				 "state: '%s' is not known", state);
	if (strcmp(state, "dead") == 0 && !fenced_by[0])
		return error_set(ret_error, ERROR_MISSING_FIELD, NULL, "fenced_by: who vouches?");
	if (strcmp(state, "dead") == 0 && i < 2)
		return error_set(ret_error, ERROR_WRONG_STATE, NULL, "%s lives", name);
	return i;
}

void engine_host_set(struct engine *e, const struct caller *c, const char *host, const char *state,
		     const char *fenced_by, answer_fn done, void *ctx)
{
	struct error error;
	int i = host_state(host, state, fenced_by ? fenced_by : "", &error);

	if (i < 0) {
		fake_refuse(e, done, ctx, &error);
		return;
	}
	fleet.states[i] = host_state_name((enum host_state)host_state_from_name(state));
	snprintf(fleet.fenced_by[i], sizeof(fleet.fenced_by[i]), "%s", fenced_by ? fenced_by : "");
	fake_accept(e, c, "host", "note", host, done, ctx);
}

void engine_host_forget(struct engine *e, const struct caller *c, const char *host, answer_fn done,
			void *ctx)
{
	int i = host_at(host);
	struct error error;

	if (fleet.kind == FAKE_ALONE || i < 0 || strcmp(fleet.states[i], "dead") != 0) {
		if (fleet.kind == FAKE_ALONE)
			is_alone(&error);
		else if (i < 0)
			fake_not_found("host", host, &error);
		else
			error_set(&error, ERROR_WRONG_STATE, NULL, "%s holds something", host);
		fake_refuse(e, done, ctx, &error);
		return;
	}
	fleet.forgotten[i] = true;
	fake_accept(e, c, "host", "note", host, done, ctx);
}

/* --- moves ----------------------------------------------------------------------------------- */

static void see_move(const struct fake_move *m, struct move_view *ret)
{
	*ret = (struct move_view){ .segment = "lan",
				   .address = m->address,
				   .state = m->state,
				   .state_meaning = "a state of the fake engine",
				   .gate = m->gate,
				   .reason = m->reason,
				   .reason_meaning = m->because,
				   .holder = m->holder,
				   .to = m->to,
				   .asks = "",
				   .epoch = m->epoch,
				   .since_ms = 2000,
				   .expires_ms = m->to[0] ? 7200000 : -1,
				   .strangers = m->epoch,
				   .stranger_ms = 5000,
				   .wire = { .frames = m->epoch,
					     .uses = { { "unknown", 1 },
						       { "move", 0 },
						       { "loop", 0 },
						       { "clone", 2 } },
					     .first_ms = 65000,
					     .last_ms = 5000,
					     .as = "clone",
					     .because = "ARP of 192.0.2.9, which the port here "
							"may not use" } };
}

static struct fake_move *move_of(vmac_mac_t address)
{
	for (size_t i = 0; i < fleet.move_count; i++)
		if (vmac_mac_equal(fleet.moves[i].address, address))
			return &fleet.moves[i];
	return NULL;
}

bool fake_fleet_move(vmac_mac_t address, struct move_view *ret)
{
	const struct fake_move *m = move_of(address);

	if (m)
		see_move(m, ret);
	return m != NULL;
}

void engine_moves(struct engine *e, void (*fn)(void *ctx, const struct move_view *v), void *ctx)
{
	struct move_view v;

	for (size_t i = 0; i < fleet.move_count; i++) {
		see_move(&fleet.moves[i], &v);
		fn(ctx, &v);
	}
}

static const char *const verbs[] = { "prepare", "activate", "abort", "stop",
				     "resume",	"thaw",	    "move" };

const char *engine_move_verb_name(enum engine_move_verb v)
{
	return verbs[v];
}

static int may_move(struct engine *e, enum engine_move_verb verb, const struct vmac_ref *ref,
		    int64_t lifetime_ms, bool force, vmac_mac_t *ret, struct error *ret_error)
{
	long i = fake_vmac_at(e, ref);
	const struct fake_move *m;

	if (fleet.kind == FAKE_ALONE)
		return is_alone(ret_error);
	if (fleet.kind == FAKE_CUT)
		return error_set(ret_error, ERROR_REGISTRY_UNREACHABLE, "try again", "no answer");
	if (vmac_mac_parse(ref->which, ret, NULL) < 0 && i < 0)
		return fake_not_found("vMAC", ref->which, ret_error);
	if (i >= 0)
		*ret = e->vmacs[i]->address;
	/* Nobody's: what is in no pool of the fake fleet. */
	if (i < 0 && vmac_mac_u64(*ret) >> 24 != 0x0a2233)
		return fake_not_found("vMAC", ref->which, ret_error);
	if (lifetime_ms > MOVE_LIFETIME_MAX)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "lifetime: out of bounds");
	m = move_of(*ret);
	if (verb == ENGINE_MOVE_MOVE && force && strcmp(fleet.states[2], "dead") != 0)
		return error_set(ret_error, ERROR_FORBIDDEN, NULL, "its holder lives");
	if (verb != ENGINE_MOVE_PREPARE && verb != ENGINE_MOVE_MOVE && i < 0 && !m)
		return error_set(ret_error, ERROR_WRONG_STATE, NULL, "nothing moves");
	return 0;
}

void engine_move(struct engine *e, const struct caller *c, enum engine_move_verb verb,
		 const struct vmac_ref *ref, int64_t lifetime_ms, bool force, answer_fn done,
		 void *ctx)
{
	static const struct fake_move after[] = {
		[ENGINE_MOVE_PREPARE] = { {},
					  "ready",
					  "tunnel-in",
					  "granted",
					  "the holder reserved it for this host",
					  "kvm2",
					  "kvm1",
					  3 },
		[ENGINE_MOVE_ACTIVATE] = { {},
					   "live",
					   "open",
					   "activated",
					   "the guest spoke first here",
					   "kvm1",
					   "",
					   4 },
		[ENGINE_MOVE_ABORT] = { {},
					"none",
					"closed",
					"aborted",
					"the move was given up",
					"kvm2",
					"",
					3 },
		[ENGINE_MOVE_STOP] = { {},
				       "paused",
				       "redirect",
				       "stopped",
				       "the guest stands still here",
				       "kvm1",
				       "kvm2",
				       3 },
		[ENGINE_MOVE_RESUME] = { {},
					 "held",
					 "open",
					 "resumed",
					 "the guest runs here again",
					 "kvm1",
					 "",
					 3 },
		[ENGINE_MOVE_THAW] = { {},
				       "held",
				       "open",
				       "thawed",
				       "the freeze is over",
				       "kvm1",
				       "",
				       3 },
		[ENGINE_MOVE_MOVE] = { {},
				       "held",
				       "open",
				       "recorded",
				       "the registry knows that this host holds it",
				       "kvm1",
				       "",
				       4 },
	};
	char text[VMAC_MAC_TEXT_MAX];
	struct move_view view;
	struct waiting *w;
	struct fake_move *m;
	struct error error;
	vmac_mac_t address;

	if (may_move(e, verb, ref, lifetime_ms, force, &address, &error) < 0) {
		fake_refuse(e, done, ctx, &error);
		return;
	}
	m = move_of(address);
	if (!m)
		m = &fleet.moves[fleet.move_count++];
	assert(fleet.move_count <= FAKE_MAX);
	*m = after[verb];
	m->address = address;
	see_move(m, &view);
	w = fake_accept(e, c, "move", "transition", vmac_mac_format(address, VMAC_MAC_COLON, text),
			done, ctx);
	w->move = view;
	w->answer.move = &w->move;
	w->event.from = "";
	w->event.to = m->state;
}

/* --- status ---------------------------------------------------------------------------------- */

void fake_fleet_status(struct fleet_status *ret)
{
	bool cut = fleet.kind == FAKE_CUT;

	if (fleet.kind == FAKE_ALONE)
		return;
	*ret = (struct fleet_status){ .shared = true,
				      .backend = "etcd",
				      .endpoint = cut ? "" : "http://10.0.0.9:2379",
				      .reachable = !cut,
				      .complete = true,
				      .joined = true,
				      .since_ms = cut ? 720500 : 3 * 3600 * 1000 + 999,
				      .name = "kvm1",
				      .uuid = "6c2a4c3e-6b0f-4a4b-9b39-000000000001",
				      .state = "active",
				      .cluster = "6c2a4c3e-6b0f-4a4b-9b39-00000000000c",
				      .number = 1,
				      .hosts = 3,
				      .alive = 2,
				      .blocks = 6,
				      .blocks_ours = 2,
				      .available = 411,
				      .records = 12,
				      .moves = fleet.move_count,
				      .claims_untagged = 5,
				      .tagged = true };
	if (cut)
		error_set(&ret->error, ERROR_REGISTRY_UNREACHABLE, "is it running?",
			  "http://10.0.0.9:2379: connection refused");
}
