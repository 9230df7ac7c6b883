/* Any history of one machine: three octets an event, what, who, and how much. */
#include "base/cleanup.h"
#include "fuzz.h"
#include "migrate/migrate.h"

#define EVENT 3

struct watched {
	uint64_t journal;
	bool ours;
};

static struct uuid host(unsigned int n)
{
	return (struct uuid){ .octet = { [15] = n & 3 } };
}

static void watch(struct watched *w, const struct migrate *m, const struct migrate_effect *effects,
		  unsigned int count)
{
	MUST(m->state < MIGRATE_STATE_COUNT && count <= MIGRATE_EFFECTS_MAX);
	for (unsigned int i = 0; i < count; i++) {
		const struct migrate_effect *e = &effects[i];

		MUST(e->kind < MIGRATE_EFFECT_COUNT);
		MUST(e->kind != MIGRATE_GATE || i == 0);
		if (e->kind == MIGRATE_GATE)
			MUST(e->gate == (unsigned int)migrate_gate(m->state));
		if (e->kind == MIGRATE_GATE && e->gate == MIGRATE_GATE_REDIRECT)
			MUST(!uuid_equal(&e->peer, &m->self));
		if (e->kind == MIGRATE_DO_CLAIM)
			MUST(e->epoch > m->record_epoch);
		if (e->kind == MIGRATE_ANNOUNCE)
			MUST(e->count < MIGRATE_ANNOUNCES &&
			     migrate_gate(m->state) == MIGRATE_GATE_OPEN);
		if (e->kind == MIGRATE_HOLD) {
			MUST(e->epoch >= w->journal);
			w->journal = e->epoch;
		}
	}
}

static void event(struct migrate *m, const uint8_t *in, mono_t *now, struct watched *w)
{
	static const char *const refused[] = { "", "two_guests", NULL, "prepared" };
	const unsigned int who = in[1], much = in[2];
	const struct shared_vmac record = {
		.segment = "lan",
		.state = (uint8_t)(who >> 4 & 3) % SHARED_VMAC_STATE_COUNT,
		.holder = host(who),
		.to = host(who >> 2),
		.move = host(who >> 6),
		.epoch = much,
		.lifetime_ms = (int64_t)(much & 7) << (much & 31),
	};
	const struct shared_ask ask = {
		.segment = "lan",
		.why = (uint8_t)(who >> 2 & 3) % ASK_WHY_COUNT,
		.host = host(who),
		.move = host(who >> 6),
		.lifetime_ms = (int64_t)much - 8,
		.refused = refused[who >> 4 & 3],
	};
	struct migrate_event e = {
		.kind = in[0] % MIGRATE_EVENT_COUNT,
		.record = much ? &record : NULL,
		.ask = much ? &ask : NULL,
		.host = host(who),
		.epoch = much,
		.move = host(who >> 6),
		.lifetime_ms = (int64_t)much * 1000,
	};
	struct migrate_effect effects[MIGRATE_EFFECTS_MAX];

	if (e.kind == MIGRATE_TIME) {
		const mono_t next = migrate_next_expiry(m);

		if (who & 1)
			*now = mono_after(*now, SPAN_MS((int64_t)much << (who >> 4)));
		else if (next.ns != MONO_NEVER.ns && next.ns > now->ns)
			*now = next;
		if (now->ns > SPAN_S(1000000000).ns)
			return;
	}
	watch(w, m, effects, migrate_step(m, &e, *now, effects));
	/* What was due has been done. */
	if (e.kind == MIGRATE_TIME)
		MUST(migrate_next_expiry(m).ns > now->ns);
	(void)migrate_idle(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct uuid self = host(1);
	mono_t now = { SPAN_S(1).ns };
	struct watched w = { 0 };
	struct migrate m;

	migrate_init(&m, &self, size & 1);
	for (; size >= EVENT; data += EVENT, size -= EVENT)
		event(&m, data, &now, &w);
	return 0;
}
