#include "lan.h"

#include <assert.h>
#include <string.h>

static const uint8_t key[16] = { 9, 9, 9 };

static vmac_mac_t lan_address(unsigned int h)
{
	return (vmac_mac_t){ { 2, 0, 0, 0, 0, (uint8_t)h } };
}

static void record_point(struct lan_host *h)
{
	h->record.members = h->members;
	h->record.faces = h->faces;
}

void lan_init(struct lan *l, enum cluster_mode mode, unsigned int faces)
{
	memset(l, 0, sizeof(*l));
	l->now = MS(1000000);
	for (unsigned int i = 0; i < LAN_HOSTS; i++) {
		struct lan_host *h = &l->hosts[i];

		h->record = (struct cluster){ .id = 1,
					      .segment = 1,
					      .name = "web",
					      .mode = (uint8_t)mode,
					      .face_count = faces,
					      .member_count = LAN_MEMBERS,
					      .generation = 1 };
		memcpy(h->record.key, key, sizeof(key));
		for (uint16_t m = 0; m < LAN_MEMBERS; m++)
			h->members[m] = (struct cluster_member){ .id = m + 1, .weight = 1 };
		record_point(h);
	}
}

static void send(struct lan *l, unsigned int from)
{
	struct lan_frame f = { .at = l->now + MS(1), .from = (uint8_t)from };
	struct writer w = writer_of(f.data, sizeof(f.data));
	struct heartbeat beat;

	group_compose(&l->hosts[from].g, &beat);
	heartbeat_write(&w, lan_address(from), &beat, key);
	assert(!w.failed);
	f.len = (uint16_t)writer_used(&w);
	for (unsigned int to = 0; to < LAN_HOSTS; to++) {
		f.to = (uint8_t)to;
		if (to == from || l->cut[from][to])
			continue;
		assert(l->queued < sizeof(l->queue) / sizeof(l->queue[0]));
		l->queue[l->queued++] = f;
	}
}

/* A host's data plane answers, whatever becomes of its daemon. */
static void ask(struct lan *l, unsigned int from, const struct group_effect *e)
{
	const unsigned int to = e->address.octet[5];
	struct lan_frame *f = &l->queue[l->queued];

	if (!(l->hosts[to].up || l->hosts[to].stands) || l->cut[from][to] || l->cut[to][from])
		return;
	assert(vmac_mac_equal(e->address, lan_address(to)) &&
	       l->queued < sizeof(l->queue) / sizeof(l->queue[0]));
	*f = (struct lan_frame){ .at = l->now + MS(1),
				 .from = (uint8_t)to,
				 .to = (uint8_t)from,
				 .secret = e->secret };
	l->queued++;
}

static void carry_out(struct lan *l, unsigned int i, const struct group_effect *e)
{
	struct lan_host *h = &l->hosts[i];
	struct group_event done = { .view = e->view };

	h->effects[e->kind]++;
	switch (e->kind) {
	case GROUP_LEASE:
		h->serve[e->face] = e->serve.ns;
		h->speak[e->face] = e->speak.ns;
		break;
	case GROUP_OWN:
		h->own = e->serve.ns;
		break;
	case GROUP_SEND:
		send(l, i);
		break;
	case GROUP_INSTALL:
		if (h->lazy)
			break;
		h->installed = e->view;
		h->fresh = h->g.fresh;
		done.kind = GROUP_INSTALLED;
		h->done[h->done_count++] = done;
		break;
	case GROUP_COMMIT_VIEW:
		h->committed = h->installed;
		done.kind = GROUP_COMMITTED;
		h->done[h->done_count++] = done;
		break;
	case GROUP_ASK:
		ask(l, i, e);
		break;
	case GROUP_STANDING:
		break;
	case GROUP_ANNOUNCE:
		h->announced[e->face]++;
		h->last_announced = l->now;
		break;
	case GROUP_HOLD:
		break;
	case GROUP_NOTE:
	case GROUP_ALARM:
		assert(e->reason < GROUP_REASON_COUNT);
		h->reasons[e->reason]++;
		break;
	case GROUP_EFFECT_COUNT:
		assert(0);
	}
}

void lan_event(struct lan *l, unsigned int h, const struct group_event *e)
{
	struct group_effect effects[GROUP_EFFECTS_MAX];
	unsigned int n = group_step(&l->hosts[h].g, e, (mono_t){ l->now }, effects);

	for (unsigned int i = 0; i < n; i++)
		carry_out(l, h, &effects[i]);
	while (l->hosts[h].done_count > 0) {
		const struct group_event done = l->hosts[h].done[0];

		memmove(&l->hosts[h].done[0], &l->hosts[h].done[1],
			--l->hosts[h].done_count * sizeof(done));
		lan_event(l, h, &done);
	}
}

void lan_member(struct lan *l, unsigned int h, uint16_t id, bool hosted, bool fit, bool busy)
{
	const struct group_event e = {
		.kind = GROUP_MEMBER, .member = id, .hosted = hosted, .fit = fit, .busy = busy
	};

	lan_event(l, h, &e);
}

void lan_up(struct lan *l, unsigned int i)
{
	struct lan_host *h = &l->hosts[i];
	const struct group_config config = {
		.self = { { 0xa0, [15] = (uint8_t)i } },
		.number = (uint16_t)(i + 1),
		.incarnation = ++h->incarnation,
		.segment = "lan",
		.record = &h->record,
	};
	const struct group_event link = { .kind = GROUP_LINK, .on = true };

	h->up = true;
	group_init(&h->g, &config, (mono_t){ l->now });
	lan_event(l, i, &link);
	lan_member(l, i, (uint16_t)(2 * i + 1), true, true, false);
	lan_member(l, i, (uint16_t)(2 * i + 2), true, true, false);
}

void lan_down(struct lan *l, unsigned int h)
{
	l->hosts[h].up = false;
}

void lan_record(struct lan *l, void (*change)(struct cluster_member *m), unsigned int only)
{
	for (unsigned int i = 0; i < LAN_HOSTS; i++) {
		struct lan_host *h = &l->hosts[i];
		struct group_event e = { .kind = GROUP_RECORD, .record = &h->record };

		if (only != LAN_ALL && only != i)
			continue;
		change(h->members);
		h->record.generation++;
		if (h->up)
			lan_event(l, i, &e);
	}
}

static void deliver(struct lan *l)
{
	struct lan_frame f = l->queue[0];
	struct group_event e = { .kind = GROUP_HEARD };
	struct heartbeat beat;

	memmove(&l->queue[0], &l->queue[1], --l->queued * sizeof(f));
	if (!l->hosts[f.to].up)
		return;
	if (f.secret) {
		e = (struct group_event){ .kind = GROUP_PULSE, .secret = f.secret };
		lan_event(l, f.to, &e);
		return;
	}
	e.address = lan_address(f.from);
	assert(heartbeat_read(f.data, f.len, key, &beat) == HEARTBEAT_VALID);
	e.heartbeat = &beat;
	lan_event(l, f.to, &e);
}

void lan_run(struct lan *l, int64_t ns)
{
	const struct group_event time = { .kind = GROUP_TIME };
	const int64_t end = l->now + ns;
	unsigned int steps = 0;

	for (;;) {
		int64_t next = l->queued ? l->queue[0].at : INT64_MAX;
		int who = -1;

		assert(++steps < 200000);
		for (unsigned int i = 0; i < LAN_HOSTS; i++) {
			int64_t at =
				l->hosts[i].up ? group_next_expiry(&l->hosts[i].g).ns : INT64_MAX;

			at = at < l->now ? l->now : at;
			if (at < next) {
				next = at;
				who = (int)i;
			}
		}
		if (next > end)
			break;
		l->now = next > l->now ? next : l->now;
		if (who < 0)
			deliver(l);
		else
			lan_event(l, (unsigned int)who, &time);
	}
	l->now = end;
}

int lan_anchor(const struct lan *l, unsigned int face)
{
	int who = -1;

	for (unsigned int i = 0; i < LAN_HOSTS; i++)
		if (l->hosts[i].speak[face] > l->now)
			who = who < 0 ? (int)i : -2;
	return who;
}

unsigned int lan_fresh(const struct lan *l)
{
	const struct lan_host *one = NULL;

	for (unsigned int i = 0; i < LAN_HOSTS; i++) {
		const struct lan_host *h = &l->hosts[i];

		if (!h->up)
			continue;
		if (h->installed.number != h->committed.number ||
		    h->installed.epoch != h->committed.epoch)
			return 0;
		if (one && (one->committed.number != h->committed.number ||
			    one->committed.epoch != h->committed.epoch ||
			    one->fresh.octet[0] != h->fresh.octet[0]))
			return 0;
		one = h;
	}
	return one ? one->fresh.octet[0] : 0;
}

void lan_all_up(struct lan *l, enum cluster_mode mode, unsigned int faces)
{
	lan_init(l, mode, faces);
	for (unsigned int i = 0; i < LAN_HOSTS; i++)
		lan_up(l, i);
	lan_run(l, MS(2500));
	assert(lan_anchor(l, 0) >= 0);
	assert(lan_fresh(l) == 0x3f);
}
