/* One host: the production machine, an engine that takes its time, and a data plane. */
#include <assert.h>
#include <string.h>

#include "balance/table.h"
#include "cluster_sim.h"

static bool is_mutant(const struct cs_world *w, enum cs_mutation m)
{
	return w->scenario->mutation == m;
}

bool cs_host_runs(const struct cs_world *w, const struct cs_host *h)
{
	return h->up && h->daemon && h->stalled <= w->now;
}

/* --- what the machine says ------------------------------------------------------------------- */

static void order(struct cs_world *w, struct cs_host *h, uint8_t kind, const struct cs_rows *rows)
{
	struct cs_order *o = &h->orders[h->order_count];
	int64_t begins = w->now;

	assert(h->order_count < CS_ORDERS_MAX);
	if (h->order_count > 0 && o[-1].at > begins)
		begins = o[-1].at;
	h->order_count++;
	*o = (struct cs_order){ .kind = kind, .rows = *rows };
	o->at = begins + chance_span(&w->chance, MS / 10, kind == CS_ORDER_INSTALL ? 15 * MS : MS);
}

static unsigned int bits_of(const struct heartbeat_bits *b)
{
	return b->octet[0];
}

static void order_rows(struct cs_world *w, struct cs_host *h, const struct group_effect *e)
{
	struct cs_rows rows = { .view = e->view };
	struct balance_choice choices[CS_MEMBERS];
	unsigned int n;

	if (e->kind == GROUP_COMMIT_VIEW) {
		order(w, h, CS_ORDER_COMMIT, &rows);
		return;
	}
	n = group_choices(&h->g, choices, CS_MEMBERS);
	for (unsigned int i = 0; i < n; i++) {
		rows.fresh |= (uint8_t)(choices[i].fresh << (choices[i].id - 1));
		rows.known |= (uint8_t)(choices[i].known << (choices[i].id - 1));
	}
	assert(rows.fresh == bits_of(&h->g.fresh) && rows.known == bits_of(&h->g.known));
	rows.table = cs_table(rows.fresh, rows.known);
	if (is_mutant(w, CS_MUTATE_CUT_DRAINS))
		rows.known = rows.fresh;
	order(w, h, CS_ORDER_INSTALL, &rows);
}

static vmac_mac_t address_of(unsigned int host)
{
	return (vmac_mac_t){ { 2, 0, 0, 0, 0, (uint8_t)host } };
}

static void send_heartbeat(struct cs_world *w, struct cs_host *h)
{
	static struct heartbeat beat;
	struct cs_frame f = { .from = h->index };
	struct writer out = writer_of(f.data, sizeof(f.data));

	group_compose(&h->g, &beat);
	heartbeat_write(&out, address_of(h->index), &beat, h->g.record->key);
	assert(!out.failed);
	f.len = (uint16_t)writer_used(&out);
	cs_send(w, h->index, &f);
}

static void announce(struct cs_world *w, struct cs_host *h, const struct group_effect *e)
{
	const struct cs_frame f = {
		.from = h->index, .claim = true, .face = e->face, .epoch = e->epoch
	};

	bool heard = false;

	for (unsigned int i = 0; i < w->scenario->hosts; i++)
		heard |= i != h->index && !w->cut[h->index][i];
	if (!h->linked || !heard)
		return;
	w->switch_port[e->face] = (int8_t)h->index;
	cs_send(w, h->index, &f);
}

static void lease(struct cs_world *w, struct cs_host *h, const struct group_effect *e)
{
	int64_t serve = e->serve.ns, speak = e->speak.ns;

	if (is_mutant(w, CS_MUTATE_LONG_LEASE) && speak > 0)
		speak = serve = speak + SECOND / 2;
	if (is_mutant(w, CS_MUTATE_SLEEPY) &&
	    h->g.faces[e->face].announce_base.ns + SECOND / 2 > w->now)
		speak = 0;
	h->serve[e->face] = serve;
	h->speak[e->face] = speak;
	cs_check_lease(w, h, e->face, speak);
}

/* A data plane answers for as long as its host is up, whatever its daemon does. */
static void ask(struct cs_world *w, struct cs_host *h, const struct group_effect *e)
{
	const unsigned int to = e->address.octet[5];
	const struct cs_frame f = { .from = (uint8_t)to, .pulse = e->secret };

	if (is_mutant(w, CS_MUTATE_MUTE))
		return;
	if (w->hosts[to].up && w->hosts[to].linked && h->linked && !w->cut[h->index][to])
		cs_send(w, to, &f);
}

static void carry_out(struct cs_world *w, struct cs_host *h, const struct group_effect *e)
{
	switch (e->kind) {
	case GROUP_LEASE:
		lease(w, h, e);
		break;
	case GROUP_OWN:
		h->own = e->serve.ns;
		break;
	case GROUP_SEND:
		send_heartbeat(w, h);
		break;
	case GROUP_ASK:
		ask(w, h, e);
		break;
	case GROUP_STANDING:
		break;
	case GROUP_INSTALL:
	case GROUP_COMMIT_VIEW:
		order_rows(w, h, e);
		break;
	case GROUP_ANNOUNCE:
		announce(w, h, e);
		break;
	case GROUP_HOLD:
		cs_check_hold(w, h, e->face, e->epoch);
		if (!is_mutant(w, CS_MUTATE_AMNESIA))
			h->journal[e->face] = e->epoch;
		w->anchors++;
		cs_tell(w, h->index, "holds", e->face, (int64_t)e->epoch);
		break;
	case GROUP_NOTE:
	case GROUP_ALARM:
		cs_tell(w, h->index, group_reason_name((enum group_reason)e->reason),
			e->has_face ? e->face : e->member, e->host);
		break;
	case GROUP_EFFECT_COUNT:
		assert(!"an effect");
	}
}

void cs_host_event(struct cs_world *w, struct cs_host *h, const struct group_event *e)
{
	struct group_effect effects[GROUP_EFFECTS_MAX];
	unsigned int n;

	if (!h->up || !h->daemon)
		return;
	w->events++;
	n = group_step(&h->g, e, (mono_t){ w->now }, effects);
	for (unsigned int i = 0; i < n; i++)
		carry_out(w, h, &effects[i]);
}

/* --- what it is told ------------------------------------------------------------------------- */

void cs_host_member(struct cs_world *w, struct cs_host *h, unsigned int member)
{
	const struct cs_member *m = &w->members[member];
	const struct group_event e = {
		.kind = GROUP_MEMBER,
		.member = (uint16_t)(member + 1),
		.hosted = m->at == h->index,
		.fit = m->at == h->index && (m->fit || is_mutant(w, CS_MUTATE_BLIND)),
		.busy = m->at == h->index && cs_flow_at(w, member),
	};

	if (h->up && h->daemon &&
	    (e.hosted != heartbeat_bit(&h->g.hosted, e.member) ||
	     e.fit != heartbeat_bit(&h->g.fit, e.member) ||
	     e.busy != heartbeat_bit(&h->g.busy, e.member)))
		cs_host_event(w, h, &e);
}

void cs_host_members(struct cs_world *w)
{
	for (unsigned int i = 0; i < w->scenario->hosts; i++)
		for (unsigned int m = 0; m < CS_MEMBERS; m++)
			if (cs_host_runs(w, &w->hosts[i]))
				cs_host_member(w, &w->hosts[i], m);
}

/* The clock may have been set back, or forward again. */
static uint64_t next_incarnation(struct cs_world *w, struct cs_host *h)
{
	h->runs++;
	return chance_percent(&w->chance, 15) ? 1000 - h->runs : 1000 + h->runs;
}

void cs_host_start(struct cs_world *w, struct cs_host *h)
{
	const struct group_config config = {
		.self = { { 0xc0, [7] = h->index, [15] = 1 } },
		.number = (uint16_t)(h->index + 1),
		.incarnation = next_incarnation(w, h),
		.segment = "lan",
		.record = &w->records[h->version],
	};
	struct group_event link = { .kind = GROUP_LINK, .on = h->linked };

	h->daemon = true;
	/* It knows nothing of those whose hosts do not speak now. */
	for (unsigned int m = 0; m < CS_MEMBERS; m++)
		if (w->members[m].at >= 0 &&
		    (!w->hosts[w->members[m].at].daemon || w->hosts[w->members[m].at].down_at))
			w->members[m].good = w->now;
	memset(w->heard[h->index], 0, sizeof(w->heard[h->index]));
	h->down_at = h->left = 0;
	h->started = w->now;
	h->order_count = 0;
	h->stalled = 0;
	group_init(&h->g, &config, (mono_t){ w->now });
	for (uint8_t f = 0; f < w->scenario->faces; f++) {
		const struct group_event known = { .kind = GROUP_CLAIMED,
						   .face = f,
						   .epoch = h->journal[f],
						   .host = (uint16_t)(h->index + 1) };

		if (h->journal[f])
			cs_host_event(w, h, &known);
	}
	cs_host_event(w, h, &link);
	for (unsigned int m = 0; m < CS_MEMBERS; m++)
		cs_host_member(w, h, m);
}

void cs_host_init(struct cs_world *w, unsigned int index)
{
	struct cs_host *h = &w->hosts[index];

	h->index = (uint8_t)index;
	h->up = h->linked = true;
	cs_host_start(w, h);
}

void cs_host_crash(struct cs_world *w, struct cs_host *h)
{
	h->up = h->daemon = false;
	h->own = 0;
	memset(h->serve, 0, sizeof(h->serve));
	memset(h->speak, 0, sizeof(h->speak));
	memset(h->entries, 0, sizeof(h->entries));
	h->installed = h->committed = (struct cs_rows){ 0 };
	for (unsigned int m = 0; m < CS_MEMBERS; m++)
		if (w->members[m].at == h->index)
			w->members[m].at = -1;
}

void cs_host_hear(struct cs_world *w, struct cs_host *h, const struct cs_frame *f)
{
	static struct heartbeat beat;
	struct group_event e = { .kind = GROUP_HEARD, .heartbeat = &beat };
	struct group_event claim = { .kind = GROUP_CLAIMED,
				     .face = f->face,
				     .epoch = f->epoch,
				     .host = (uint16_t)(f->from + 1) };

	if (is_mutant(w, CS_MUTATE_DEAF) && h->index + 1u == w->scenario->hosts)
		return;
	if (f->claim) {
		if (!is_mutant(w, CS_MUTATE_AMNESIA))
			cs_host_event(w, h, &claim);
		return;
	}
	if (f->pulse) {
		const struct group_event pulse = { .kind = GROUP_PULSE, .secret = f->pulse };

		cs_host_event(w, h, &pulse);
		return;
	}
	e.address = address_of(f->from);
	assert(heartbeat_read(f->data, f->len, h->g.record->key, &beat) == HEARTBEAT_VALID);
	if (is_mutant(w, CS_MUTATE_AMNESIA))
		for (unsigned int i = 0; i < beat.face_count; i++)
			if (beat.faces[i].state == HEARTBEAT_IDLE)
				beat.faces[i].epoch = 0;
	if (f->taped && is_mutant(w, CS_MUTATE_TRUSTING))
		beat.echo_count = 0;
	cs_host_event(w, h, &e);
	for (unsigned int i = 0; i < GROUP_PEERS_MAX && is_mutant(w, CS_MUTATE_TRUSTING); i++)
		h->g.peers[i].proven = true;
}

/* --- time ------------------------------------------------------------------------------------ */

static void finish(struct cs_world *w, struct cs_host *h)
{
	const struct cs_order o = h->orders[0];
	struct group_event e = { .kind = GROUP_INSTALLED, .view = o.rows.view };

	memmove(&h->orders[0], &h->orders[1], --h->order_count * sizeof(o));
	if (o.kind == CS_ORDER_INSTALL) {
		h->installed = o.rows;
		if (is_mutant(w, CS_MUTATE_EARLY_COMMIT))
			h->committed = o.rows;
	} else {
		e.kind = GROUP_COMMITTED;
		if (is_mutant(w, CS_MUTATE_LAZY) && h->index == 0)
			return;
		assert(h->installed.view.number == o.rows.view.number &&
		       h->installed.view.epoch == o.rows.view.epoch);
		h->committed = h->installed;
		w->views++;
		cs_tell(w, h->index, "commits", (int64_t)o.rows.view.epoch,
			h->committed.fresh << 8 | h->committed.known);
	}
	cs_host_event(w, h, &e);
}

static int64_t expiry_of(const struct cs_world *w, const struct cs_host *h)
{
	int64_t at = group_next_expiry(&h->g).ns;

	if (is_mutant(w, CS_MUTATE_UNTIMED) && w->now > CS_BEGIN + SECOND / 2)
		return INT64_MAX;
	return at;
}

int64_t cs_host_next(const struct cs_world *w, const struct cs_host *h)
{
	int64_t next;

	if (!h->up || !h->daemon)
		return INT64_MAX;
	next = expiry_of(w, h);
	if (h->order_count > 0 && h->orders[0].at < next)
		next = h->orders[0].at;
	if (h->newest_at && h->newest_at < next)
		next = h->newest_at;
	if (h->down_at && h->down_at < next)
		next = h->down_at;
	return next > h->stalled ? next : h->stalled;
}

static void tell_record(struct cs_world *w, struct cs_host *h)
{
	const struct group_event e = { .kind = GROUP_RECORD, .record = &w->records[h->newest] };

	h->newest_at = 0;
	h->version = h->newest;
	for (unsigned int m = 0; m < CS_MEMBERS; m++)
		if (w->records[h->version].members[m].state == MEMBER_FAILED)
			w->members[m].good = w->now;
	cs_check_fault(w, w->now);
	cs_host_event(w, h, &e);
}

void cs_host_time(struct cs_world *w, struct cs_host *h)
{
	const struct group_event e = { .kind = GROUP_TIME };

	if (h->down_at && h->down_at <= w->now) {
		h->daemon = false;
		h->ended = w->now;
		h->down_at = 0;
		cs_check_fault(w, w->now);
		return;
	}
	while (h->order_count > 0 && h->orders[0].at <= w->now)
		finish(w, h);
	if (h->newest_at && h->newest_at <= w->now)
		tell_record(w, h);
	if (expiry_of(w, h) <= w->now)
		cs_host_event(w, h, &e);
}

/* --- the data plane -------------------------------------------------------------------------- */

bool cs_host_speaks(const struct cs_world *w, const struct cs_host *h, unsigned int face)
{
	if (!h->up || !h->linked)
		return false;
	if (is_mutant(w, CS_MUTATE_NO_LEASE) && h->speak[face])
		return true;
	return h->speak[face] > w->now;
}

uint64_t cs_host_rows(const struct cs_world *w, const struct cs_host *h)
{
	uint64_t rows = 0;

	if (!h->up || !h->linked || !h->installed.table || !h->committed.table)
		return 0;
	if (h->own <= w->now && !(is_mutant(w, CS_MUTATE_NO_OWN) && h->own))
		return 0;
	if (is_mutant(w, CS_MUTATE_IDLE_ROWS) && h->index == 0)
		return 0;
	for (unsigned int m = 0; m < CS_MEMBERS; m++) {
		uint64_t both = h->installed.table->rows_of[m + 1];

		if (!is_mutant(w, CS_MUTATE_ONE_SET))
			both &= h->committed.table->rows_of[m + 1];
		if (w->members[m].at == h->index)
			rows |= both;
	}
	return rows;
}
