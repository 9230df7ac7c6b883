/* What may be looked at, and what is noted. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fleet/inside.h"

void note(struct fleet *f, enum fleet_note_kind kind, const char *peer, const char *fmt, ...)
{
	struct fleet_note n = { .kind = kind, .name = { .segment = "" }, .peer = peer };
	char text[ERROR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n.text = text;
	f->ops->note(f->ctx, &n);
}

void note_place(struct fleet *f, struct place *p, enum fleet_note_kind kind, uint8_t from,
		uint8_t to, uint8_t reason, const struct uuid *peer, const char *text)
{
	struct fleet_note n = {
		.kind = kind,
		.name = place_name(p),
		.from = from,
		.to = to,
		.reason = reason,
		.peer = host_name(f, peer),
		.text = text,
	};

	f->ops->note(f->ctx, &n);
}

bool alarm_allowed(struct fleet *f, mono_t *last)
{
	f->alarms++;
	if (last && mono_since(f->now, *last).ns < FLEET_ALARM_INTERVAL.ns)
		return false;
	if (mono_since(f->now, f->alarms_from).ns >= FLEET_ALARM_INTERVAL.ns || f->alarms_in == 0) {
		f->alarms_from = f->now;
		f->alarms_in = 0;
	}
	if (f->alarms_in >= FLEET_ALARMS_MAX)
		return false;
	f->alarms_in++;
	if (last)
		*last = f->now;
	return true;
}

void fleet_hosts(const struct fleet *f, void (*fn)(void *ctx, const struct fleet_host_view *v),
		 void *ctx)
{
	table_for_each (&f->hosts, struct host, h) {
		struct fleet_host_view v = { .self = h == f->me };

		if (!h->record)
			continue;
		v.host = &h->record->host;
		v.alive = h->alive_revision > 0;
		v.blocks = h->blocks;
		v.vmacs = h->vmacs;
		fn(ctx, &v);
	}
}

static void view_of(const struct fleet *f, const struct place *p, struct fleet_move_view *ret)
{
	const struct migrate *m = &p->machine;

	*ret = (struct fleet_move_view){
		.name = place_name(p),
		.state = (enum migrate_state)m->state,
		.gate = migrate_gate((enum migrate_state)m->state),
		.reason = (enum migrate_reason)p->reason,
		.since = p->since,
		.holder = host_name(f, p->record ? &p->record->vmac.holder : &m->holder),
		.to = host_name(f, &m->to),
		.asks = host_name(f, &m->asked),
		.epoch = m->epoch,
		.expires = m->expires,
		.strangers = p->strangers,
		.stranger_last = p->stranger_last,
	};
	if (p->sights)
		ret->wire = (struct fleet_use_view){ .frames = p->sights->frames,
						     .first = p->sights->first,
						     .last = p->sights->last,
						     .use = (enum fleet_use)p->sights->use,
						     .because = p->sights->because };
	for (unsigned int i = 0; p->sights && i < FLEET_USE_COUNT; i++)
		ret->wire.looked[i] = p->sights->looked[i];
	if (!p->record && place_holds(p) && !p->seed)
		ret->holder = f->name;
}

void fleet_moves(const struct fleet *f, void (*fn)(void *ctx, const struct fleet_move_view *v),
		 void *ctx)
{
	table_for_each (&f->places, struct place, p) {
		struct fleet_move_view v;

		if (migrate_idle(&p->machine) && !p->record && p->strangers == 0 && !p->sights)
			continue;
		view_of(f, p, &v);
		fn(ctx, &v);
	}
}

bool fleet_move(const struct fleet *f, const struct fleet_name *n, struct fleet_move_view *ret)
{
	const struct place *p = place_find(f, n->segment, n->address);

	if (p)
		view_of(f, p, ret);
	return p != NULL;
}

const struct shared_vmac *fleet_vmac_record(const struct fleet *f, const struct fleet_name *n)
{
	struct shared_record key = vmac_key_record(n->segment, n->address, SHARED_VMAC);
	const struct shared_record *r = mirror_get(f, &key);

	return r ? &r->vmac : NULL;
}

void fleet_facts(const struct fleet *f, struct fleet_facts *ret)
{
	*ret = (struct fleet_facts){
		.reachable = f->reachable,
		.complete = f->complete,
		.joined = f->join == JOIN_IN,
		.since = f->reach_since,
		.error = f->apart != APART_NOT ? f->apart_error
			 : fleet_refusal(f)    ? f->refusal
					       : f->reach_error,
		.number = f->self_kept ? f->self_kept->host.number : 0,
		.state = f->me->record ? (enum host_state)f->me->record->host.state : HOST_ACTIVE,
		.blocks = f->blocks,
		.blocks_ours = f->blocks_ours,
		.records = f->records.count,
		.alarms = f->alarms,
		.claims_lost = f->claims_lost,
		.has_cluster = f->meta || f->meta_kept,
	};
	if (ret->has_cluster)
		ret->cluster = (f->meta_kept ? f->meta_kept : f->meta)->meta.cluster;
	table_for_each (&f->hosts, struct host, h) {
		ret->hosts += h->record != NULL;
		ret->alive += h->record && h->alive_revision > 0;
	}
	table_for_each (&f->places, struct place, p)
		ret->moves += !migrate_idle(&p->machine);
	LIST_FOR_EACH((struct link *)&f->images, l)
	ret->images_behind++;
	ret->images_behind += f->images_sent;
}
