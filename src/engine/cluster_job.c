/* A command on a cluster on its way: the wire is asked, the hosts agree, it becomes durable.
 *
 *   WIRE    new virtual addresses: whether somebody has them already
 *   CLAIM   among hosts, ADD: each face is claimed, so that it is nobody else's anywhere
 *   AGREE   among hosts: the record itself, by compare-and-swap
 *   RECORD  this host's own registry
 *
 * Whatever is in the way, what was taken on the way is given back. */
#include <string.h>

#include "engine/cluster_ask.h"
#include "engine/side.h"

enum phase { PHASE_WIRE, PHASE_CLAIM, PHASE_AGREE, PHASE_RECORD };

struct cluster_job {
	struct cluster_job *next;
	struct engine *e;
	enum cluster_job_kind kind;
	enum phase phase;
	bool asked;		      /* fleet/ has it, and will answer */
	bool answered;		      /* … has answered: go on, but from outside of it */
	bool taken;		      /* faces are marked in their pool's machine */
	unsigned int claimed;	      /* faces that fleet/ has claimed for us */
	const struct cluster *record; /* held */
	const char *verb;
	struct cluster_ask ask;
	struct error error;	    /* what fleet/ said; code NONE = yes */
	struct shared_record *told; /* that all hosts have it so, heard meanwhile */
	bool told_gone;
	answer_fn done;
	void *ctx;
	char who[64], reason[NOTE_MAX_LEN + 1];
};

/* --- what was taken is given back ------------------------------------------------------------ */

static void untake_all(struct engine *e, const struct cluster *c, bool taken)
{
	for (unsigned int i = 0; taken && i < c->face_count; i++) {
		struct world_pool *p = world_pool_over(&e->world, c->segment, c->faces[i]);

		if (p)
			pool_machine_untake(&p->machine, c->faces[i], p->machine.cfg.cursor);
	}
}

static void untake(struct cluster_job *j)
{
	untake_all(j->e, j->record, j->taken);
	j->taken = false;
}

/* What was claimed and is not to be is not kept from others. */
static void unclaim(struct cluster_job *j)
{
	struct engine *e = j->e;
	const struct world_segment *s = world_segment(&e->world, j->record->segment);

	for (unsigned int i = 0; s && e->side && i < j->claimed; i++) {
		struct vmac was = { .address = j->record->faces[i],
				    .state = VMAC_RESERVED,
				    .kind = VMAC_CLUSTER,
				    .name = "",
				    .owner = "",
				    .tenant = "",
				    .note = "" };
		const struct world_pool *over =
			world_pool_over(&e->world, s->record->id, was.address);
		uint64_t number;
		const char *pool =
			side_pool_of(e->side, over ? over->record->id : 0, was.address, &number);

		if (e->side->running)
			fleet_vmac(e->side->fleet, s->record->name, pool, number, &was, NULL,
				   e->cfg.mono_now());
	}
	j->claimed = 0;
}

static struct shared_cluster agreed_by(const struct cluster_job *j)
{
	const struct world_segment *s = world_segment(&j->e->world, j->record->segment);

	return (struct shared_cluster){ j->record, s ? s->record->name : "" };
}

static void job_end(struct cluster_job *j)
{
	struct cluster_job **at = &j->e->balancing->jobs;

	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	untake(j);
	cluster_ask_end(&j->ask);
	cluster_release(j->record);
	engine_dispose(j->e, j->told);
	engine_dispose(j->e, j);
}

static void job_refuse(struct cluster_job *j, const struct error *error)
{
	const struct error why = *error; /* it may be the job's own */
	struct shared_cluster agreed = agreed_by(j);
	struct engine *e = j->e;
	answer_fn done = j->done;
	void *ctx = j->ctx;

	/* What the hosts have agreed upon is so, and comes into our registry yet. */
	if (j->phase != PHASE_RECORD)
		unclaim(j);
	else if (e->side->running)
		side_write_cluster(e->side, &agreed, j->kind == CLUSTER_JOB_DELETE);
	/* What was told of meanwhile was left to us. */
	if (j->phase != PHASE_RECORD && j->told && e->side && e->side->running)
		side_write_cluster(e->side, &j->told->cluster, j->told_gone);
	job_end(j);
	engine_refuse(e, done, ctx, &why);
}

/* --- RECORD ---------------------------------------------------------------------------------- */

/* Meanwhile somebody else may have changed it, alone or with the others' agreement. */
static int still(struct cluster_job *j, const struct cluster *now, struct error *ret_error)
{
	const struct cluster *c = j->record;

	if (j->kind != CLUSTER_JOB_ADD && !now)
		return error_set(ret_error, ERROR_NOT_FOUND, NULL, "cluster '%s' is gone meanwhile",
				 c->name);
	if (j->kind == CLUSTER_JOB_SET && now->generation + 1 != c->generation)
		return error_set(ret_error, ERROR_CONFLICT, "look at it again, then try again",
				 "cluster '%s' was changed by somebody else meanwhile", c->name);
	return 0;
}

static int record_add(struct txn *t, struct cluster_job *j, struct error *ret_error)
{
	struct engine *e = j->e;
	int r = 0;

	untake(j);
	for (unsigned int i = 0; r == 0 && i < j->record->face_count; i++)
		r = cluster_check_face(e, j->record->segment, j->record->faces[i], j->record->name,
				       ret_error);
	return r < 0 ? r : cluster_put(t, NULL, j->record, j->verb, ret_error);
}

static int record_agreed(struct txn *t, struct cluster_job *j, const struct cluster *now,
			 struct error *ret_error)
{
	untake(j);
	return cluster_put(t, now, j->record, j->verb, ret_error);
}

static int record_change(struct txn *t, struct cluster_job *j, struct error *ret_error)
{
	struct engine *e = j->e;
	const struct cluster *now = world_cluster_named(&e->world, j->record->name);
	int r = e->side ? 0 : still(j, now, ret_error);

	/* What the hosts have agreed upon is so, whatever this one has against it by now. */
	if (e->side)
		return j->kind == CLUSTER_JOB_DELETE ? (now ? cluster_drop(t, now, ret_error) : 0)
						     : record_agreed(t, j, now, ret_error);
	if (r == 0 && j->kind != CLUSTER_JOB_DELETE)
		r = cluster_check_world(e, j->record, j->kind == CLUSTER_JOB_ADD ? NULL : now,
					ret_error);
	if (r < 0)
		return r;
	switch (j->kind) {
	case CLUSTER_JOB_ADD:
		return record_add(t, j, ret_error);
	case CLUSTER_JOB_SET:
		return cluster_put(t, now, j->record, j->verb, ret_error);
	case CLUSTER_JOB_DELETE:
		break;
	}
	return cluster_drop(t, now, ret_error);
}

static void job_record(struct cluster_job *j)
{
	struct engine *e = j->e;
	struct caller c = { .who = j->who, .reason = j->reason };
	struct txn *t = txn_begin(e, &c, NULL, NULL);
	struct shared_cluster agreed = agreed_by(j);
	struct error error;

	if (!t)
		engine_no_memory(&error);
	if (!t || record_change(t, j, &error) < 0) {
		if (t)
			txn_refuse(t, &error);
		e->refusals--; /* counted by job_refuse() */
		e->refusals_by_code[error.code]--;
		job_refuse(j, &error);
		return;
	}
	t->done = j->done;
	t->ctx = j->ctx;
	if (t->base.count == 0) { /* gone already */
		answer_fn done = j->done;
		void *ctx = j->ctx;

		txn_drop(t);
		job_end(j);
		if (done)
			done(ctx, &(struct answer){ 0 });
		return;
	}
	t->carry = cluster_durable;
	if (e->side)
		side_insist_cluster(t, &agreed, j->kind == CLUSTER_JOB_DELETE);
	job_end(j);
	txn_submit(t);
}

/* --- CLAIM, AGREE ---------------------------------------------------------------------------- */

static void fleet_said(struct cluster_job *j, const struct error *error)
{
	j->asked = false;
	j->answered = true;
	j->error = error ? *error : (struct error){ 0 };
}

static void on_claimed(void *ctx, const struct shared_vmac *record, const struct error *error)
{
	fleet_said(ctx, error);
}

static void on_agreed(void *ctx, const struct shared_record *agreed, const struct error *error)
{
	fleet_said(ctx, error);
}

static void job_claim(struct cluster_job *j)
{
	struct engine *e = j->e;
	const struct world_segment *s = world_segment(&e->world, j->record->segment);
	vmac_mac_t face = j->record->faces[j->claimed];
	const struct world_pool *p = world_pool_over(&e->world, s->record->id, face);
	char owner[CLUSTER_OWNER_MAX];
	struct shared_vmac wanted = {
		.segment = s->record->name,
		.address = face,
		.state = SHARED_HELD,
		.kind = VMAC_CLUSTER,
		.origin = j->taken ? VMAC_ALLOCATED : VMAC_PINNED,
		.epoch = s->record->epoch_floor + 1,
		.holder = e->side->self,
		.pool = p ? p->record->name : "",
		.name = "",
		.owner = owner,
		.tenant = "",
		.note = "",
	};

	cluster_owner(j->record->name, owner);
	j->asked = true;
	fleet_claim(e->side->fleet, &wanted, NULL, on_claimed, j, e->cfg.mono_now());
}

static void job_agree(struct cluster_job *j)
{
	struct engine *e = j->e;
	struct shared_record wanted = { .kind = SHARED_CLUSTER, .cluster = agreed_by(j) };

	j->phase = PHASE_AGREE;
	j->asked = true;
	if (j->kind == CLUSTER_JOB_DELETE)
		fleet_retire(e->side->fleet, &wanted, on_agreed, j, e->cfg.mono_now());
	else
		fleet_agree(e->side->fleet, &wanted, on_agreed, j, e->cfg.mono_now());
}

/* Goes on with what is next; the job may have come to its end. */
static void job_next(struct cluster_job *j)
{
	if (!j->e->side) {
		job_record(j);
	} else if (j->kind == CLUSTER_JOB_ADD && j->claimed < j->record->face_count) {
		j->phase = PHASE_CLAIM;
		job_claim(j);
	} else {
		job_agree(j);
	}
}

static void job_answered(struct cluster_job *j)
{
	bool gone = j->kind == CLUSTER_JOB_DELETE && j->error.code == ERROR_NOT_FOUND;

	j->answered = false;
	if (j->error.code != ERROR_NONE && !gone) {
		job_refuse(j, &j->error);
		return;
	}
	if (j->phase == PHASE_AGREE) {
		j->phase = PHASE_RECORD;
		job_record(j);
		return;
	}
	j->claimed++;
	job_next(j);
}

void cluster_jobs_turn(struct engine *e)
{
	struct cluster_job *j, *next;
	bool again = true;

	while (again) {
		again = false;
		for (j = e->balancing->jobs; j; j = next) {
			next = j->next;
			if (!j->answered)
				continue;
			/* It may be answered at once, and may end: the list is another then. */
			job_answered(j);
			again = true;
			break;
		}
	}
}

bool cluster_job_awaits(struct engine *e, const struct shared_cluster *told, bool gone)
{
	struct shared_record record = { .kind = SHARED_CLUSTER, .revision = 1, .cluster = *told };

	for (struct cluster_job *j = e->balancing->jobs; j; j = j->next) {
		bool ours = j->kind == CLUSTER_JOB_DELETE
				    ? gone
				    : !gone && cluster_equal(j->record, told->cluster);

		if (j->phase != PHASE_AGREE || !ours ||
		    strcmp(j->record->name, told->cluster->name) != 0)
			continue;
		engine_dispose(e, j->told);
		j->told = shared_copy(e->cfg.mem, &record);
		j->told_gone = gone;
		return j->told != NULL;
	}
	return false;
}

/* --- begin, time, end ------------------------------------------------------------------------ */

void cluster_job_begin(struct engine *e, const struct caller *c, const struct cluster_order *o,
		       answer_fn done, void *ctx)
{
	const struct cluster *before = NULL, *record = cluster_record_new(o->record, e->cfg.mem);
	struct cluster_job *j = record ? engine_alloc(e, sizeof(*j)) : NULL;
	struct error error;

	if (!j) {
		untake_all(e, o->record, o->taken);
		cluster_release(record);
		engine_no_memory(&error);
		engine_refuse(e, done, ctx, &error);
		return;
	}
	*j = (struct cluster_job){ .e = e,
				   .kind = o->kind,
				   .record = record,
				   .taken = o->taken,
				   .verb = o->verb,
				   .done = done,
				   .ctx = ctx,
				   .next = e->balancing->jobs };
	memccpy(j->who, c->who, '\0', sizeof(j->who) - 1);
	memccpy(j->reason, c->reason, '\0', sizeof(j->reason) - 1);
	e->balancing->jobs = j;
	if (o->kind == CLUSTER_JOB_SET)
		before = world_cluster_named(&e->world, record->name);
	if (o->kind != CLUSTER_JOB_DELETE && cluster_ask_begin(e, &j->ask, record, before)) {
		cluster_ask_turn(e, &j->ask, e->cfg.mono_now());
		return;
	}
	job_next(j);
	if (e->side)
		side_turn(e);
}

void cluster_jobs_time(struct engine *e, mono_t now)
{
	struct cluster_job *j, *next;
	struct error error;

	for (j = e->balancing->jobs; j; j = next) {
		next = j->next;
		if (j->phase != PHASE_WIRE || !cluster_ask_turn(e, &j->ask, now))
			continue;
		if (cluster_ask_result(&j->ask, &error) < 0) {
			job_refuse(j, &error);
			continue;
		}
		cluster_ask_end(&j->ask);
		job_next(j);
	}
}

mono_t cluster_jobs_expiry(const struct engine *e)
{
	mono_t next = MONO_NEVER, at;

	for (const struct cluster_job *j = e->balancing->jobs; j; j = j->next) {
		at = j->phase == PHASE_WIRE ? cluster_ask_expiry(&j->ask) : MONO_NEVER;
		if (at.ns < next.ns)
			next = at;
	}
	return next;
}

void cluster_jobs_end(struct engine *e)
{
	struct error error;

	error_set(&error, ERROR_REGISTRY_UNREACHABLE, "try again when it runs",
		  "vmacd is stopping");
	while (e->balancing->jobs)
		job_refuse(e->balancing->jobs, &error);
}
