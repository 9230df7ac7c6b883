#include "pool/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model/shared.h"
#include "model/text.h"
#include "pool/mix.h"

#define STABLE_DRAWS_MAX 64

int pool_machine_init(struct pool_machine *m, const struct pool *cfg, const struct mem *mem)
{
	*m = (struct pool_machine){ .cfg = *cfg, .mem = mem };
	if (pool_space_init(&m->whole, cfg, POOL_SPACE_WHOLE, mem) < 0)
		return -ENOMEM;
	if (pool_space_init(&m->usable, cfg, POOL_SPACE_USABLE, mem) < 0) {
		pool_space_done(&m->whole, mem);
		return -ENOMEM;
	}
	m->size = m->whole.size;
	m->excluded = m->whole.size - m->usable.size;
	if (m->cfg.cursor >= m->usable.size)
		m->cfg.cursor = 0;
	permutation_init(&m->perm, m->usable.size > 0 ? m->usable.size : 1, cfg->key);
	pool_bits_init(&m->taken, m->usable.size, mem);
	quarantine_init(&m->waiting, mem);
	quarantine_init(&m->outside, mem);
	pool_blocks_init(&m->blocks, mem);
	return 0;
}

void pool_machine_done(struct pool_machine *m)
{
	pool_blocks_done(&m->blocks);
	quarantine_done(&m->outside);
	quarantine_done(&m->waiting);
	pool_bits_done(&m->taken);
	pool_space_done(&m->usable, m->mem);
	pool_space_done(&m->whole, m->mem);
}

bool pool_machine_has(const struct pool_machine *m, vmac_mac_t address)
{
	return pool_space_index(&m->whole, address) != POOL_SPACE_NONE;
}

/* --- sequence numbers and addresses ---------------------------------------------------------- */

static vmac_mac_t address_of(const struct pool_machine *m, uint64_t seq)
{
	return pool_space_address(&m->usable, permutation_apply(&m->perm, seq));
}

/* POOL_SPACE_NONE when the pool cannot hand out this address. */
static uint64_t seq_of(const struct pool_machine *m, vmac_mac_t address)
{
	uint64_t index = pool_space_index(&m->usable, address);

	return index != POOL_SPACE_NONE ? permutation_inverse(&m->perm, index) : POOL_SPACE_NONE;
}

/* Every number is marked and unmarked here, and nowhere else. */
static int mark(struct pool_machine *m, uint64_t seq)
{
	int r = pool_bits_set(&m->taken, seq);

	if (r == 0 && m->block_size)
		pool_blocks_count(&m->blocks, seq / m->block_size, true);
	return r;
}

static void unmark(struct pool_machine *m, uint64_t seq)
{
	pool_bits_clear(&m->taken, seq);
	if (m->block_size)
		pool_blocks_count(&m->blocks, seq / m->block_size, false);
}

/* Where an address in the ranges is kept track of. */
struct spot {
	struct quarantine *queue; /* where it waits, if it does */
	uint64_t number;	  /* in that queue */
	bool usable;		  /* else excluded: no bit, no counter */
};

static struct spot spot_of(struct pool_machine *m, vmac_mac_t address)
{
	struct spot spot = { &m->waiting, seq_of(m, address), true };

	if (spot.number == POOL_SPACE_NONE)
		spot = (struct spot){ &m->outside, pool_space_index(&m->whole, address), false };
	return spot;
}

/* Of an address that the caller holds. */
static struct spot held_spot_of(struct pool_machine *m, vmac_mac_t address)
{
	struct spot spot = spot_of(m, address);

	assert(spot.number != POOL_SPACE_NONE);
	assert(!spot.usable || pool_bits_has(&m->taken, spot.number));
	return spot;
}

/* --- errors ---------------------------------------------------------------------------------- */

/* "2026-10-05T12:34:56.789Z, in 3h12m" */
#define UNTIL_TEXT_MAX (WALL_TEXT_MAX + DURATION_TEXT_MAX + 8)

static const char *until_text(wall_t until, wall_t now, char buf[static UNTIL_TEXT_MAX])
{
	char date[WALL_TEXT_MAX], left[DURATION_TEXT_MAX];

	wall_format(until, date);
	if (wall_due(until, now)) {
		snprintf(buf, UNTIL_TEXT_MAX, "%s, which is now", date);
	} else {
		uint64_t left_ms = (uint64_t)until.ms - (uint64_t)now.ms;

		/* Seconds are enough for people, and never too early. */
		left_ms = left_ms < INT64_MAX - 999 ? (left_ms + 999) / 1000 * 1000 : INT64_MAX;
		snprintf(buf, UNTIL_TEXT_MAX, "%s, in %s", date,
			 duration_format((int64_t)left_ms, left));
	}
	return buf;
}

static int error_no_memory(const struct pool_machine *m, struct error *ret_error)
{
	return error_set(ret_error, ERROR_NO_MEMORY, "nothing was changed; try again later",
			 "no memory to take an address of pool '%s'", m->cfg.name);
}

static int error_exhausted(const struct pool_machine *m, wall_t now, struct error *ret_error)
{
	const struct quarantine_entry *first = quarantine_first(&m->waiting);
	char until[UNTIL_TEXT_MAX];

	return error_set(ret_error, ERROR_POOL_EXHAUSTED,
			 "release addresses that nobody needs, or add a pool to the segment",
			 "pool '%s' is exhausted: of its %llu addresses %llu are in use, "
			 "%llu in quarantine and %llu excluded; %s%s",
			 m->cfg.name, (unsigned long long)m->size, (unsigned long long)m->used,
			 (unsigned long long)m->quarantined, (unsigned long long)m->excluded,
			 first ? "the next one leaves quarantine at " : "none leaves quarantine",
			 first ? until_text(first->until, now, until) : "");
}

static int error_no_block(const struct pool_machine *m, struct error *ret_error)
{
	uint64_t room = 0;

	for (size_t i = 0; i < m->blocks.count; i++)
		room += m->blocks.items[i].size;
	return error_set(ret_error, ERROR_POOL_EXHAUSTED,
			 "this host takes another block as soon as it can reach the shared "
			 "registry; until then, release addresses that nobody needs",
			 "pool '%s': the %zu block(s) of this host, %llu addresses, have none "
			 "free, and no other block is at hand",
			 m->cfg.name, m->blocks.count, (unsigned long long)room);
}

static int check_limit(const struct pool_machine *m, struct error *ret_error)
{
	if (m->cfg.limit == 0 || m->used < m->cfg.limit)
		return 0;
	return error_set(ret_error, ERROR_LIMIT_REACHED,
			 "release addresses that nobody needs, or raise the pool's limit",
			 "pool '%s' has reached its limit of %llu addresses in use", m->cfg.name,
			 (unsigned long long)m->cfg.limit);
}

/* Whether any address may be taken at all. */
static int check_room(const struct pool_machine *m, wall_t now, struct error *ret_error)
{
	if (m->used + m->quarantined == m->usable.size)
		return error_exhausted(m, now, ret_error);
	if (m->block_size && m->blocks.room == 0)
		return error_no_block(m, ret_error);
	return check_limit(m, ret_error);
}

/* The first free number at or behind `from` that is ours, going round; there is one. */
static uint64_t next_free(const struct pool_machine *m, uint64_t from)
{
	size_t start, i;

	if (!m->block_size)
		return pool_bits_next_clear(&m->taken, from);
	start = pool_blocks_at(&m->blocks, from / m->block_size);
	/* One step more than there are blocks: what lies before `from` in its own comes last. */
	for (i = 0; i <= m->blocks.count; i++) {
		const struct pool_block *b = &m->blocks.items[(start + i) % m->blocks.count];
		uint64_t first = b->number * m->block_size, at = first, seq;

		if (b->taken == b->size)
			continue;
		if (i == 0 && from > first && from - first < b->size)
			at = from;
		seq = pool_bits_next_clear(&m->taken, at);
		if (seq >= at && seq - first < b->size)
			return seq;
	}
	assert(!"some number is free");
	return 0;
}

static int error_in_use(const struct pool_machine *m, vmac_mac_t address, uint64_t seq, wall_t now,
			struct error *ret_error)
{
	const struct quarantine_entry *entry = quarantine_find(&m->waiting, seq);
	char mac[VMAC_MAC_TEXT_MAX], until[UNTIL_TEXT_MAX];

	vmac_mac_format(address, VMAC_MAC_COLON, mac);
	if (!entry)
		return error_set(ret_error, ERROR_ADDRESS_IN_USE,
				 "choose another address, or let the pool choose",
				 "%s of pool '%s' is in use", mac, m->cfg.name);
	return error_set(ret_error, ERROR_ADDRESS_IN_USE,
			 "choose another address, or let the pool choose",
			 "%s of pool '%s' was released and is in quarantine until %s", mac,
			 m->cfg.name, until_text(entry->until, now, until));
}

/* Why an address has no sequence number. */
static int error_unusable(const struct pool_machine *m, vmac_mac_t address, struct error *ret_error)
{
	const char *choose = "choose another address, or let the pool choose";
	const struct vmac_well_known *row;
	char mac[VMAC_MAC_TEXT_MAX];

	vmac_mac_format(address, VMAC_MAC_COLON, mac);
	if (!pool_machine_has(m, address))
		return error_set(ret_error, ERROR_BAD_ADDRESS, choose,
				 "%s is in no range of pool '%s'", mac, m->cfg.name);
	row = vmac_well_known_in((struct vmac_mac_range){ address, address });
	if (row)
		return error_set(ret_error, ERROR_RESERVED_ADDRESS, choose,
				 "%s is never handed out: it belongs to %s (%s)", mac,
				 row->protocol, row->meaning);
	return error_set(ret_error, ERROR_RESERVED_ADDRESS, choose, "%s is excluded from pool '%s'",
			 mac, m->cfg.name);
}

/* --- take ------------------------------------------------------------------------------------ */

static int take_seq(struct pool_machine *m, uint64_t seq, struct error *ret_error)
{
	if (mark(m, seq) < 0)
		return error_no_memory(m, ret_error);
	m->used++;
	return 0;
}

int pool_machine_take(struct pool_machine *m, wall_t now, vmac_mac_t *ret, struct error *ret_error)
{
	uint64_t seq;
	int r = check_room(m, now, ret_error);

	if (r < 0)
		return r;
	seq = next_free(m, m->cfg.cursor);
	r = take_seq(m, seq, ret_error);
	if (r < 0)
		return r;
	m->cfg.cursor = seq + 1 < m->usable.size ? seq + 1 : 0;
	*ret = address_of(m, seq);
	return 0;
}

/* Draws in the ranges as given and not in what is usable of them, so that an exclude more (in the
 * configuration, or a row more in the table of well-known ranges) leaves other identities alone. */
static uint64_t stable_seq(const struct pool_machine *m, const char *identity, unsigned int len)
{
	uint64_t h = mix_bytes(mix_key_of(m->cfg.key), identity, len);

	for (unsigned int draw = 0; draw < STABLE_DRAWS_MAX; draw++) {
		uint64_t seq = seq_of(m, pool_space_address(&m->whole, h % m->whole.size));

		if (seq != POOL_SPACE_NONE)
			return seq;
		h = mix_u64(h + 0x9e3779b97f4a7c15ULL);
	}
	return h % m->usable.size;
}

int pool_machine_take_stable(struct pool_machine *m, const char *identity, wall_t now,
			     vmac_mac_t *ret, struct error *ret_error)
{
	size_t len = strlen(identity);
	uint64_t seq;
	int r;

	if (len < 1 || len > POOL_IDENTITY_MAX)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "use a UUID, or a name that is yours alone",
				 "an identity has 1 to %d octets, not %zu", POOL_IDENTITY_MAX, len);
	r = check_room(m, now, ret_error);
	if (r < 0)
		return r;
	seq = next_free(m, stable_seq(m, identity, (unsigned int)len));
	r = take_seq(m, seq, ret_error);
	if (r < 0)
		return r;
	*ret = address_of(m, seq);
	return 0;
}

int pool_machine_take_exact(struct pool_machine *m, vmac_mac_t address, wall_t now,
			    struct error *ret_error)
{
	uint64_t seq = seq_of(m, address);
	char mac[VMAC_MAC_TEXT_MAX];

	if (seq != POOL_SPACE_NONE && !pool_bits_has(&m->taken, seq) &&
	    !pool_machine_granted(m, seq))
		return error_set(ret_error, ERROR_ADDRESS_IN_USE,
				 "choose another address, or let the pool choose",
				 "%s lies in a block of pool '%s' that is not this host's",
				 vmac_mac_format(address, VMAC_MAC_COLON, mac), m->cfg.name);
	return pool_machine_take_agreed(m, address, now, ret_error);
}

int pool_machine_take_agreed(struct pool_machine *m, vmac_mac_t address, wall_t now,
			     struct error *ret_error)
{
	uint64_t seq = seq_of(m, address);
	int r;

	if (seq == POOL_SPACE_NONE)
		return error_unusable(m, address, ret_error);
	if (pool_bits_has(&m->taken, seq))
		return error_in_use(m, address, seq, now, ret_error);
	r = check_limit(m, ret_error);
	if (r < 0)
		return r;
	return take_seq(m, seq, ret_error);
}

void pool_machine_untake(struct pool_machine *m, vmac_mac_t address, uint64_t cursor)
{
	struct spot spot = held_spot_of(m, address);

	assert(!quarantine_find(spot.queue, spot.number));
	if (!spot.usable)
		return;
	assert(cursor < m->usable.size);
	unmark(m, spot.number);
	m->used--;
	m->cfg.cursor = cursor;
}

int pool_machine_load(struct pool_machine *m, vmac_mac_t address, bool quarantined, wall_t until)
{
	struct spot spot = spot_of(m, address);
	int r = 0;

	if (spot.number == POOL_SPACE_NONE)
		return -ERANGE;
	if (spot.usable)
		r = mark(m, spot.number);
	else if (quarantine_find(spot.queue, spot.number))
		r = -EEXIST;
	if (r < 0)
		return r;
	if (quarantined)
		r = quarantine_add(spot.queue, spot.number, until);
	if (r < 0 && spot.usable)
		unmark(m, spot.number);
	if (r == 0 && spot.usable)
		*(quarantined ? &m->quarantined : &m->used) += 1;
	return r;
}

/* --- release --------------------------------------------------------------------------------- */

int pool_machine_release(struct pool_machine *m, vmac_mac_t address, wall_t until)
{
	struct spot spot = held_spot_of(m, address);
	int r;

	assert(!quarantine_find(spot.queue, spot.number));
	r = quarantine_add(spot.queue, spot.number, until);
	if (r == 0 && spot.usable) {
		m->used--;
		m->quarantined++;
	}
	return r;
}

void pool_machine_unrelease(struct pool_machine *m, vmac_mac_t address)
{
	struct spot spot = held_spot_of(m, address);

	if (quarantine_remove(spot.queue, spot.number) && spot.usable) {
		m->quarantined--;
		m->used++;
	}
}

void pool_machine_free(struct pool_machine *m, vmac_mac_t address)
{
	struct spot spot = held_spot_of(m, address);
	bool waited = quarantine_remove(spot.queue, spot.number);

	if (!spot.usable)
		return;
	*(waited ? &m->quarantined : &m->used) -= 1;
	unmark(m, spot.number);
}

/* The entry that is due first, of both queues; *ret_usable: of which. */
static const struct quarantine_entry *first_waiting(const struct pool_machine *m, bool *ret_usable)
{
	const struct quarantine_entry *usable = quarantine_first(&m->waiting);
	const struct quarantine_entry *outside = quarantine_first(&m->outside);

	*ret_usable = usable && (!outside || usable->until.ms <= outside->until.ms);
	return *ret_usable ? usable : outside;
}

wall_t pool_machine_next_expiry(const struct pool_machine *m)
{
	bool usable;
	const struct quarantine_entry *first = first_waiting(m, &usable);

	return first ? first->until : WALL_NEVER;
}

bool pool_machine_due(const struct pool_machine *m, wall_t now, vmac_mac_t *ret)
{
	bool usable;
	const struct quarantine_entry *first = first_waiting(m, &usable);

	if (!first || !wall_due(first->until, now))
		return false;
	*ret = usable ? address_of(m, first->key) : pool_space_address(&m->whole, first->key);
	return true;
}

uint64_t pool_machine_available(const struct pool_machine *m)
{
	uint64_t unused =
		m->block_size ? m->blocks.room : m->usable.size - m->used - m->quarantined;
	uint64_t allowed = unused;

	if (m->cfg.limit > 0)
		allowed = m->cfg.limit > m->used ? m->cfg.limit - m->used : 0;
	return unused < allowed ? unused : allowed;
}

/* --- blocks ---------------------------------------------------------------------------------- */

uint32_t pool_numbers_a_block(uint64_t size)
{
	uint32_t block = BLOCK_SIZE_MAX;

	while (block > 1 && block > size / 64)
		block /= 2;
	return block;
}

void pool_machine_blocks(struct pool_machine *m, uint32_t block_size)
{
	assert(block_size > 0 && block_size <= BLOCK_SIZE_MAX);
	if (m->block_size == block_size)
		return;
	pool_blocks_done(&m->blocks);
	m->block_size = block_size;
}

int pool_machine_grant(struct pool_machine *m, uint64_t number)
{
	uint32_t taken = 0;
	uint64_t first, size;

	if (!m->block_size || !m->usable.size || number > (m->usable.size - 1) / m->block_size)
		return -ERANGE;
	first = number * m->block_size;
	size = m->usable.size - first < m->block_size ? m->usable.size - first : m->block_size;
	for (uint64_t i = 0; i < size; i++)
		taken += pool_bits_has(&m->taken, first + i);
	return pool_blocks_add(&m->blocks, number, (uint32_t)size, taken);
}

void pool_machine_revoke(struct pool_machine *m, uint64_t number)
{
	pool_blocks_remove(&m->blocks, number);
}

uint64_t pool_machine_number(const struct pool_machine *m, vmac_mac_t address)
{
	return seq_of(m, address);
}

vmac_mac_t pool_machine_address(const struct pool_machine *m, uint64_t number)
{
	assert(number < m->usable.size);
	return address_of(m, number);
}

bool pool_machine_granted(const struct pool_machine *m, uint64_t number)
{
	return !m->block_size || pool_blocks_find(&m->blocks, number / m->block_size);
}

vmac_mac_t pool_machine_stable(const struct pool_machine *m, const char *identity, unsigned int nth)
{
	uint64_t seq = stable_seq(m, identity, (unsigned int)strlen(identity));

	return address_of(m, (seq + nth) % m->usable.size);
}
