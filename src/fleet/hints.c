/* Commands that concern one vMAC: each is refused with a reason, or goes to its machine. */
#include <stdio.h>
#include <string.h>

#include "fleet/inside.h"

#define MAC_TEXT 18

static const char *mac_text(vmac_mac_t m, char buf[static MAC_TEXT])
{
	snprintf(buf, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", m.octet[0], m.octet[1], m.octet[2],
		 m.octet[3], m.octet[4], m.octet[5]);
	return buf;
}

static int no_such(const struct fleet_name *n, struct error *ret_error)
{
	char mac[MAC_TEXT];

	return error_set(ret_error, ERROR_NOT_FOUND, "vmac mac list shows those of a host",
			 "no host has %s in segment %s", mac_text(n->address, mac), n->segment);
}

static int wrong_state(const struct place *p, const char *hint, struct error *ret_error)
{
	enum migrate_state s = (enum migrate_state)p->machine.state;
	char mac[MAC_TEXT];

	return error_set(ret_error, ERROR_WRONG_STATE, hint, "%s is %s here: %s",
			 mac_text(p->address, mac), migrate_state_name(s),
			 migrate_state_meaning(s));
}

static int need_registry(const struct fleet *f, struct error *ret_error)
{
	const struct error *refusal = fleet_refusal(f);

	if (f->apart != APART_NOT)
		return error_set(ret_error, ERROR_WRONG_STATE, f->apart_error.hint,
				 "this host does not take part: %s", f->apart_error.message);
	if (!f->reachable)
		return error_set(ret_error, ERROR_REGISTRY_UNREACHABLE,
				 "what is here goes on; moves wait until it is back",
				 "the shared registry is out of reach: %s", f->reach_error.message);
	if (refusal)
		return error_set(ret_error, refusal->code, refusal->hint,
				 "the shared registry takes nothing: %s", refusal->message);
	if (f->join != JOIN_IN)
		return error_set(ret_error, ERROR_REGISTRY_UNREACHABLE, "try again in a moment",
				 "this host has not joined the others yet");
	return 0;
}

/* Who has it, as far as anybody can know: NULL, nobody. */
static struct host *holder_of(struct fleet *f, const struct place *p, bool *ret_block)
{
	struct fleet_name n = place_name(p);
	const char *pool = "";
	struct block *b;
	uint64_t number;

	*ret_block = false;
	if (p->record) {
		if (p->record->vmac.state == SHARED_RELEASED)
			return NULL;
		return host_get(f, &p->record->vmac.holder);
	}
	if (!f->ops->locate(f->ctx, &n, &pool, &number))
		return NULL;
	b = block_of(f, pool, number);
	*ret_block = true;
	return b ? b->host : NULL;
}

static bool is_held_here(const struct place *p)
{
	switch ((enum migrate_state)p->machine.state) {
	case MIGRATE_HELD:
	case MIGRATE_OFFERED:
	case MIGRATE_PAUSED:
	case MIGRATE_LIVE:
	case MIGRATE_RETURNING:
	case MIGRATE_FROZEN:
		return true;
	case MIGRATE_NONE:
	case MIGRATE_HANDED:
	case MIGRATE_FENCED:
	case MIGRATE_ASKED:
	case MIGRATE_READY:
	case MIGRATE_STATE_COUNT:
		break;
	}
	return false;
}

/* --- to this host ---------------------------------------------------------------------------- */

static int check_wanted(struct fleet *f, struct place *p, struct error *ret_error)
{
	struct fleet_name n = place_name(p);
	char mac[MAC_TEXT];
	struct host *h;
	bool block;
	int r = need_registry(f, ret_error);

	if (r < 0)
		return r;
	if (is_held_here(p))
		return wrong_state(p, "a move is ordered at the host that it is to go to",
				   ret_error);
	h = holder_of(f, p, &block);
	if (!h || (h == f->me && block))
		return no_such(&n, ret_error);
	if (f->me->record && f->me->record->host.state == HOST_DRAINING)
		return error_set(ret_error, ERROR_WRONG_STATE, "vmac host undrain NAME ends it",
				 "host %s is draining: it takes no vMAC", f->name);
	if (host_is_dead(f, &h->uuid))
		return error_set(ret_error, ERROR_WRONG_STATE, "vmac mac move M --force takes it",
				 "host %s, which has it, was declared dead (%s)",
				 h->record->host.name, h->record->host.fenced_by);
	if (p->ask && !uuid_equal(&p->ask->ask.host, &f->self))
		return error_set(ret_error, ERROR_CONFLICT, "abort that move first",
				 "host %s already asks for %s", host_name(f, &p->ask->ask.host),
				 mac_text(p->address, mac));
	if (p->record && p->record->vmac.state == SHARED_MOVING &&
	    !uuid_equal(&p->record->vmac.to, &f->self))
		return error_set(ret_error, ERROR_CONFLICT, "abort that move first",
				 "%s is reserved for host %s", mac_text(p->address, mac),
				 host_name(f, &p->record->vmac.to));
	return 0;
}

static int hint_prepare(struct fleet *f, struct place *p, int64_t lifetime_ms,
			struct error *ret_error)
{
	struct migrate_event e = { .kind = MIGRATE_PREPARE, .lifetime_ms = lifetime_ms };
	int r = check_wanted(f, p, ret_error);
	struct host *h;
	bool block;

	if (r < 0)
		return r;
	h = holder_of(f, p, &block);
	if (host_has_other_key(f, h))
		return error_set(ret_error, ERROR_FORBIDDEN,
				 "give all hosts the same file (host.cluster_key_file), and "
				 "restart vmacd",
				 "host %s, which has it, has another cluster key than this host",
				 h->record->host.name);
	if (lifetime_ms == 0)
		e.lifetime_ms = MOVE_LIFETIME_MS;
	e.move = fleet_uuid(f);
	move_event(f, p, &e);
	return 0;
}

static int hint_activate(struct fleet *f, struct place *p, struct error *ret_error)
{
	int r = p->machine.state == MIGRATE_READY ? 0 : check_wanted(f, p, ret_error);

	if (r < 0)
		return r;
	move_simple(f, p, MIGRATE_ACTIVATE);
	return 0;
}

/* --- by force -------------------------------------------------------------------------------- */

/* Of a vMAC that had no record: what it is stands in its block's image, which the dead host wrote.
 */
static int force_from_image(struct fleet *f, struct place *p, struct error *ret_error)
{
	struct shared_record key = { .kind = SHARED_IMAGE };
	struct fleet_name n = place_name(p);
	const char *pool = "";
	struct block *b = NULL;
	uint64_t number;

	if (f->ops->locate(f->ctx, &n, &pool, &number))
		b = block_of(f, pool, number);
	if (!b || !b->host)
		return no_such(&n, ret_error);
	if (write_pending(&p->seed_write))
		return 0;
	snprintf(key.image.pool, sizeof(key.image.pool), "%s", pool);
	key.image.number = b->number;
	key.image.host = b->host->uuid;
	f->ops->read(f->ctx, &key, write_expect(f, &p->seed_write, WRITE_SEED, false));
	return 0;
}

static bool image_counts(const struct fleet *f, const struct shared_image *i)
{
	const struct pool_state *p = pool_find(f, i->pool);
	const struct block *b = p ? block_find(p, i->number) : NULL;

	return b && b->host && uuid_equal(&b->host->uuid, &i->host);
}

void seed_read(struct fleet *f, struct place *p, const struct shared_record *image,
	       const struct error *error)
{
	struct shared_record seed = { .kind = SHARED_VMAC };
	const struct shared_image *i = NULL;
	const struct vmac *v = NULL;

	/* One that the block's owner before left behind says nothing. */
	if (image && image_counts(f, &image->image))
		i = &image->image;
	for (size_t n = 0; i && n < i->count; n++)
		if (vmac_mac_u64(i->vmacs[n].address) == vmac_mac_u64(p->address))
			v = &i->vmacs[n];
	if (!v || p->record || v->state == VMAC_QUARANTINED) {
		if (!p->record)
			note_place(f, p, FLEET_ALARM, p->machine.state, p->machine.state, p->reason,
				   &p->machine.holder,
				   error ? "it was not taken: its block's image cannot be read"
					 : "it was not taken: by its block's image, the dead host "
					   "did not have it");
	} else {
		vmac_fill(f, v, p->segment, i->pool, &seed.vmac);
		seed.vmac.holder = i->host;
		mem_free(f->mem, p->seed);
		p->seed = shared_copy(f->mem, &seed);
		p->record_stale = p->seed != NULL;
		if (!p->seed)
			fleet_short(f);
	}
	place_settle(f, p);
	if (v && (p->seed || p->record)) {
		move_simple(f, p, MIGRATE_FORCE);
		place_settle(f, p);
	}
}

static int hint_force(struct fleet *f, struct place *p, struct error *ret_error)
{
	struct fleet_name n = place_name(p);
	char mac[MAC_TEXT];
	struct host *h;
	bool block;
	int r = need_registry(f, ret_error);

	if (r < 0)
		return r;
	if (is_held_here(p))
		return wrong_state(p, NULL, ret_error);
	h = holder_of(f, p, &block);
	if (!h || h == f->me)
		return no_such(&n, ret_error);
	if (h->record && !host_is_dead(f, &h->uuid))
		return error_set(
			ret_error, ERROR_FORBIDDEN,
			"fence it, then: vmac host dead NAME --fenced-by TEXT; or stop the guest "
			"there, and move without --force",
			"host %s has %s, and nobody vouched that it is dead", h->record->host.name,
			mac_text(p->address, mac));
	if (block)
		return force_from_image(f, p, ret_error);
	move_simple(f, p, MIGRATE_FORCE);
	return 0;
}

/* --- all others ------------------------------------------------------------------------------ */

static int hint_abort(struct fleet *f, struct place *p, struct error *ret_error)
{
	enum migrate_state s = (enum migrate_state)p->machine.state;

	if (s != MIGRATE_ASKED && s != MIGRATE_READY && s != MIGRATE_OFFERED && s != MIGRATE_PAUSED)
		return wrong_state(p, "there is no move to abort", ret_error);
	move_simple(f, p, MIGRATE_ABORT);
	return 0;
}

static int hint_guest(struct fleet *f, struct place *p, enum migrate_event_kind kind,
		      struct error *ret_error)
{
	struct fleet_name n = place_name(p);

	if (p->machine.state == MIGRATE_NONE ||
	    (p->machine.state == MIGRATE_HANDED && !p->machine.port))
		return no_such(&n, ret_error);
	move_simple(f, p, kind);
	return 0;
}

static int hint(struct fleet *f, enum migrate_event_kind kind, struct place *p, int64_t lifetime_ms,
		struct error *ret_error)
{
	switch (kind) {
	case MIGRATE_PREPARE:
		return hint_prepare(f, p, lifetime_ms, ret_error);
	case MIGRATE_ACTIVATE:
		return hint_activate(f, p, ret_error);
	case MIGRATE_ABORT:
		return hint_abort(f, p, ret_error);
	case MIGRATE_STOP:
	case MIGRATE_RESUME:
		return hint_guest(f, p, kind, ret_error);
	case MIGRATE_THAW_NOW:
		if (p->machine.state != MIGRATE_FROZEN)
			return wrong_state(p, "only what is frozen can be thawed", ret_error);
		move_simple(f, p, kind);
		return 0;
	case MIGRATE_FORCE:
		return hint_force(f, p, ret_error);
	case MIGRATE_PORT_UP:
	case MIGRATE_PORT_DOWN:
	case MIGRATE_FLIPPED:
	case MIGRATE_SPOKE:
	case MIGRATE_RECORD:
	case MIGRATE_ASK:
	case MIGRATE_LOST:
	case MIGRATE_UNREACHABLE:
	case MIGRATE_REACHABLE:
	case MIGRATE_HOST_DEAD:
	case MIGRATE_TAG:
	case MIGRATE_STRANGER:
	case MIGRATE_LOOPED:
	case MIGRATE_TIME:
	case MIGRATE_EVENT_COUNT:
		break;
	}
	return error_set(ret_error, ERROR_INTERNAL, NULL, "not a hint: %d", (int)kind);
}

int fleet_hint(struct fleet *f, enum migrate_event_kind kind, const struct fleet_name *n,
	       int64_t lifetime_ms, mono_t now, struct error *ret_error)
{
	char mac[MAC_TEXT];
	struct place *p;
	int r;

	f->now = now;
	if (lifetime_ms < 0 || lifetime_ms > MOVE_LIFETIME_MAX)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "a reservation's lifetime is at most %d h",
				 MOVE_LIFETIME_MAX / 3600000);
	p = place_get(f, n->segment, n->address);
	if (!p)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for a move");
	place_settle(f, p);
	p = place_get(f, n->segment, n->address);
	if (!p)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for a move");
	if (p->face)
		r = error_set(ret_error, ERROR_WRONG_STATE,
			      "vmac cluster show NAME shows where its anchors are",
			      "%s is a cluster's face: it moves by itself",
			      mac_text(n->address, mac));
	else
		r = hint(f, kind, p, lifetime_ms, ret_error);
	place_settle(f, p);
	return r;
}
