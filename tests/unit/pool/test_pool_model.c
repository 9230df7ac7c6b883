/* Random sequences of calls against a model made of arrays, thousands of them, each from a seed.
 *
 * The model knows the order in which the cursor meets the addresses (from a fresh machine that was
 * emptied once) and nothing else of how the machine works.  It predicts every result: which
 * address, which error, every counter, what is due.  Memory is refused now and then, at a random
 * allocation. */
#include "support.h"

#include <errno.h>

#define ADDRESSES_MAX 400
#define PENDING_MAX   16
#define SEQUENCES     2500
#define STEPS	      250

enum status { FREE, USED, WAITING };

enum action { TAKEN, RELEASED, ENDING, EXPIRING };

/* Done in the machine, not yet in the registry. */
struct pending {
	enum action action;
	uint64_t at; /* place in the order */
	uint64_t cursor;
	int64_t until;
};

struct model {
	vmac_mac_t order[ADDRESSES_MAX];
	enum status status[ADDRESSES_MAX];
	int64_t until[ADDRESSES_MAX];
	uint64_t arrival[ADDRESSES_MAX];
	uint64_t size, cursor, arrivals, used, waiting;
	struct pending pending[PENDING_MAX];
	unsigned int pending_count;
};

struct run {
	struct pool cfg;
	struct pool_machine m;
	struct counting_mem c;
	struct model model;
	struct dice dice;
	int64_t now;
	unsigned int refused;
};

static struct pool random_config(struct dice *dice)
{
	struct pool cfg = pool_of(1 + dice_below(dice, dice_below(dice, 3) ? 90 : 4));
	uint64_t extra = dice_below(dice, 3);

	for (uint64_t i = 0; i < extra; i++)
		pool_add_range(&cfg, 0x120000001000 * (i + 1) + 0x20000000000,
			       0x120000001000 * (i + 1) + 0x20000000000 + dice_below(dice, 90));
	if (dice_below(dice, 4) == 0) /* across the edge of Docker's */
		pool_add_range(&cfg, 0x0241ffffffff - dice_below(dice, 20), 0x024200000007);
	for (uint64_t n = dice_below(dice, 4); n > 0; n--) {
		struct vmac_mac_range r = cfg.ranges[dice_below(dice, cfg.range_count)];
		uint64_t size = vmac_mac_range_size(r), first = dice_below(dice, size);

		pool_add_exclude(&cfg, vmac_mac_u64(r.first) + first,
				 vmac_mac_u64(r.first) + first + dice_below(dice, size - first));
	}
	for (unsigned int i = 0; i < sizeof(cfg.key); i++)
		cfg.key[i] = (uint8_t)dice_u64(dice);
	if (dice_below(dice, 3) == 0)
		cfg.limit = 1 + dice_below(dice, 60);
	return cfg;
}

/* The order in which a cursor meets the addresses, by taking them all. */
static void learn_order(struct run *r)
{
	struct pool cfg = r->cfg;
	struct pool_machine m;
	struct error e;

	cfg.limit = 0;
	assert_int_equal(pool_machine_init(&m, &cfg, &r->c.mem), 0);
	while (pool_machine_take(&m, NOW, &r->model.order[r->model.size], &e) == 0)
		r->model.size++;
	pool_machine_done(&m);
}

static uint64_t place_of(const struct model *model, vmac_mac_t mac)
{
	for (uint64_t i = 0; i < model->size; i++)
		if (vmac_mac_equal(model->order[i], mac))
			return i;
	fail_msg("an address from nowhere");
	return 0;
}

static uint64_t next_free(const struct model *model, uint64_t from)
{
	for (uint64_t k = 0; k < model->size; k++)
		if (model->status[(from + k) % model->size] == FREE)
			return (from + k) % model->size;
	return UINT64_MAX;
}

/* The earliest that waits, first come first; UINT64_MAX when none does. */
static uint64_t first_waiting(const struct model *model)
{
	uint64_t first = UINT64_MAX;

	for (uint64_t i = 0; i < model->size; i++) {
		if (model->status[i] != WAITING)
			continue;
		if (first == UINT64_MAX || model->until[i] < model->until[first] ||
		    (model->until[i] == model->until[first] &&
		     model->arrival[i] < model->arrival[first]))
			first = i;
	}
	return first;
}

static void become(struct model *model, uint64_t i, enum status status, int64_t until)
{
	model->used += (uint64_t)(status == USED) - (model->status[i] == USED);
	model->waiting += (uint64_t)(status == WAITING) - (model->status[i] == WAITING);
	if (status == WAITING) {
		model->until[i] = until;
		model->arrival[i] = model->arrivals++;
	}
	model->status[i] = status;
}

static void push(struct model *model, enum action action, uint64_t at, uint64_t cursor,
		 int64_t until)
{
	assert_true(model->pending_count < PENDING_MAX);
	model->pending[model->pending_count++] =
		(struct pending){ .action = action, .at = at, .cursor = cursor, .until = until };
}

/* --- what must hold after every call --------------------------------------------------------- */

static void check_counters(struct run *r)
{
	const struct model *model = &r->model;
	uint64_t unused = model->size - model->used - model->waiting, first;
	uint64_t allowed = r->m.cfg.limit > model->used ? r->m.cfg.limit - model->used : 0;
	vmac_mac_t due;

	if (r->m.cfg.limit == 0 || allowed > unused)
		allowed = unused;
	assert_int_equal(r->m.used, model->used);
	assert_int_equal(r->m.quarantined, model->waiting);
	assert_int_equal(r->m.size - r->m.excluded, model->size);
	assert_int_equal(r->m.taken.set, model->used + model->waiting);
	assert_int_equal(r->m.waiting.count, model->waiting);
	assert_int_equal(r->m.cfg.cursor, model->cursor);
	assert_int_equal(pool_machine_available(&r->m), allowed);
	first = first_waiting(model);
	assert_int_equal(pool_machine_next_expiry(&r->m).ms,
			 first == UINT64_MAX ? INT64_MAX : model->until[first]);
	if (pool_machine_due(&r->m, (wall_t){ r->now }, &due)) {
		assert_true(first != UINT64_MAX && model->until[first] <= r->now);
		assert_mac_equal(due, model->order[first]);
	} else {
		assert_true(first == UINT64_MAX || model->until[first] > r->now);
	}
}

/* Asks about every single address. */
static void check_statuses(struct run *r)
{
	uint64_t limit = r->m.cfg.limit;
	struct error e;

	r->m.cfg.limit = 0;
	for (uint64_t i = 0; i < r->model.size; i++) {
		int got = pool_machine_take_exact(&r->m, r->model.order[i], (wall_t){ r->now }, &e);

		if (r->model.status[i] == FREE) {
			assert_int_equal(got, 0);
			pool_machine_untake(&r->m, r->model.order[i], r->m.cfg.cursor);
		} else {
			assert_int_equal(got, -EADDRINUSE);
			assert_int_equal(strstr(e.message, "quarantine") != NULL,
					 r->model.status[i] == WAITING);
		}
	}
	r->m.cfg.limit = limit;
}

/* --- calls ----------------------------------------------------------------------------------- */

/* What any take must answer; `at`: the place it must come to. */
static int expected_of_take(const struct run *r, uint64_t at)
{
	if (r->model.used + r->model.waiting == r->model.size)
		return -ENOSPC;
	if (r->m.cfg.limit > 0 && r->model.used >= r->m.cfg.limit)
		return -EDQUOT;
	return r->model.status[at] == FREE ? 0 : -EADDRINUSE;
}

static void settle_take(struct run *r, int got, int expected, uint64_t at, vmac_mac_t mac)
{
	uint64_t cursor = r->model.cursor;

	if (got == -ENOMEM) {
		assert_true(r->c.refuse_from != SIZE_MAX);
		r->refused++;
		return;
	}
	assert_int_equal(got, expected);
	if (got < 0)
		return;
	assert_mac_equal(mac, r->model.order[at]);
	become(&r->model, at, USED, 0);
	r->model.cursor = r->m.cfg.cursor; /* checked by the caller */
	push(&r->model, TAKEN, at, cursor, 0);
}

static void do_take(struct run *r)
{
	uint64_t at = next_free(&r->model, r->model.cursor);
	int expected = expected_of_take(r, at), got;
	struct error e;
	vmac_mac_t mac;

	got = pool_machine_take(&r->m, (wall_t){ r->now }, &mac, &e);
	if (got == 0)
		assert_int_equal(r->m.cfg.cursor, (at + 1) % r->model.size);
	settle_take(r, got, expected, at, mac);
}

/* Where an identity is at home: what a fresh machine says. */
static uint64_t home_of(struct run *r, const char *identity)
{
	struct counting_mem c;
	struct pool_machine m;
	struct error e;
	vmac_mac_t mac;

	counting_mem_init(&c);
	assert_int_equal(pool_machine_init(&m, &r->cfg, &c.mem), 0);
	assert_int_equal(pool_machine_take_stable(&m, identity, NOW, &mac, &e), 0);
	pool_machine_done(&m);
	assert_int_equal(c.blocks, 0);
	return place_of(&r->model, mac);
}

static void do_take_stable(struct run *r)
{
	uint64_t at, cursor = r->model.cursor;
	char identity[24];
	int expected, got;
	struct error e;
	vmac_mac_t mac;

	snprintf(identity, sizeof(identity), "vm-%u", (unsigned int)dice_below(&r->dice, 60));
	at = next_free(&r->model, home_of(r, identity));
	expected = expected_of_take(r, at);
	got = pool_machine_take_stable(&r->m, identity, (wall_t){ r->now }, &mac, &e);
	assert_int_equal(r->m.cfg.cursor, cursor);
	settle_take(r, got, expected, at, mac);
}

static void do_take_exact(struct run *r)
{
	uint64_t at = dice_below(&r->dice, r->model.size), cursor = r->model.cursor;
	int expected = expected_of_take(r, at), got;
	struct error e;

	if (r->model.status[at] != FREE)
		expected = -EADDRINUSE;
	got = pool_machine_take_exact(&r->m, r->model.order[at], (wall_t){ r->now }, &e);
	assert_int_equal(r->m.cfg.cursor, cursor);
	settle_take(r, got, expected, at, r->model.order[at]);
}

/* An address in use whose record is not under way, or UINT64_MAX. */
static uint64_t some_used(struct run *r)
{
	uint64_t from = dice_below(&r->dice, r->model.size);

	for (uint64_t k = 0; k < r->model.size; k++) {
		uint64_t i = (from + k) % r->model.size;
		bool busy = r->model.status[i] != USED;

		for (unsigned int p = 0; p < r->model.pending_count; p++)
			busy |= r->model.pending[p].at == i && r->model.pending[p].action != TAKEN;
		if (!busy)
			return i;
	}
	return UINT64_MAX;
}

static void do_release(struct run *r)
{
	int64_t until = r->now + (int64_t)dice_below(&r->dice, 30);
	uint64_t at = some_used(r);
	int got;

	if (at == UINT64_MAX)
		return;
	if (dice_below(&r->dice, 4) == 0) { /* without quarantine: used until it is durable */
		push(&r->model, ENDING, at, 0, 0);
		return;
	}
	got = pool_machine_release(&r->m, r->model.order[at], (wall_t){ until });
	if (got == -ENOMEM) {
		assert_true(r->c.refuse_from != SIZE_MAX);
		r->refused++;
		return;
	}
	assert_int_equal(got, 0);
	become(&r->model, at, WAITING, until);
	push(&r->model, RELEASED, at, 0, 0);
}

static void do_expire(struct run *r)
{
	uint64_t at = first_waiting(&r->model);
	vmac_mac_t due;

	if (!pool_machine_due(&r->m, (wall_t){ r->now }, &due))
		return;
	assert_mac_equal(due, r->model.order[at]);
	push(&r->model, EXPIRING, at, 0, r->model.until[at]);
	pool_machine_unrelease(&r->m, due);
	become(&r->model, at, USED, 0);
}

static void do_load(struct run *r)
{
	uint64_t at = dice_below(&r->dice, r->model.size);
	bool quarantined = dice_below(&r->dice, 2);
	int64_t until = r->now + (int64_t)dice_below(&r->dice, 30);
	int got = pool_machine_load(&r->m, r->model.order[at], quarantined, (wall_t){ until });

	assert_int_equal(
		pool_machine_load(&r->m, mac_of(0xaa0000000000), quarantined, (wall_t){ until }),
		-ERANGE);
	if (got == -ENOMEM) {
		assert_true(r->c.refuse_from != SIZE_MAX);
		r->refused++;
		return;
	}
	assert_int_equal(got, r->model.status[at] == FREE ? 0 : -EEXIST);
	if (got == 0)
		become(&r->model, at, quarantined ? WAITING : USED, until);
}

/* Everything under way is durable. */
static void do_commit(struct run *r)
{
	for (unsigned int i = 0; i < r->model.pending_count; i++) {
		const struct pending *p = &r->model.pending[i];

		if (p->action != ENDING && p->action != EXPIRING)
			continue;
		pool_machine_free(&r->m, r->model.order[p->at]);
		become(&r->model, p->at, FREE, 0);
	}
	r->model.pending_count = 0;
}

/* Everything under way has failed: undone newest first, and without any memory but for expiries. */
static void do_fail(struct run *r)
{
	counting_mem_refuse(&r->c, 0);
	while (r->model.pending_count > 0) {
		struct pending p = r->model.pending[--r->model.pending_count];
		vmac_mac_t mac = r->model.order[p.at];

		switch (p.action) {
		case TAKEN:
			pool_machine_untake(&r->m, mac, p.cursor);
			become(&r->model, p.at, FREE, 0);
			r->model.cursor = p.cursor;
			break;
		case ENDING:
			break;
		case RELEASED:
			pool_machine_unrelease(&r->m, mac);
			become(&r->model, p.at, USED, 0);
			break;
		case EXPIRING:
			counting_mem_allow(&r->c);
			assert_int_equal(pool_machine_release(&r->m, mac, (wall_t){ p.until }), 0);
			become(&r->model, p.at, WAITING, p.until);
			counting_mem_refuse(&r->c, 0);
			break;
		}
	}
	counting_mem_allow(&r->c);
}

static void step(struct run *r)
{
	uint64_t roll = dice_below(&r->dice, 100);

	r->now += (int64_t)dice_below(&r->dice, 3);
	if (r->model.pending_count == PENDING_MAX || roll < 10) {
		if (dice_below(&r->dice, 2))
			do_commit(r);
		else
			do_fail(r);
		return;
	}
	if (dice_below(&r->dice, 4) == 0)
		counting_mem_refuse(&r->c, dice_below(&r->dice, 3));
	if (roll < 35)
		do_take(r);
	else if (roll < 45)
		do_take_stable(r);
	else if (roll < 55)
		do_take_exact(r);
	else if (roll < 80)
		do_release(r);
	else if (roll < 94)
		do_expire(r);
	else
		do_load(r);
	counting_mem_allow(&r->c);
}

/* Returns how often memory was refused. */
static unsigned int run_sequence(uint64_t seed)
{
	struct run r = { .dice = { seed }, .now = NOW.ms };
	struct error e;

	counting_mem_init(&r.c);
	do {
		r.cfg = random_config(&r.dice);
	} while (pool_config_check(&r.cfg, &e) < 0);
	learn_order(&r);
	assert_int_equal(r.c.blocks, 0);
	assert_int_equal(pool_machine_init(&r.m, &r.cfg, &r.c.mem), 0);
	for (unsigned int i = 0; i < STEPS; i++) {
		step(&r);
		check_counters(&r);
		if (i % 50 == 49)
			check_statuses(&r);
	}
	do_commit(&r);
	check_counters(&r);
	check_statuses(&r);
	pool_machine_done(&r.m);
	assert_int_equal(r.c.blocks, 0);
	assert_int_equal(r.c.octets, 0);
	return r.refused;
}

static void test_agrees_with_arrays(void **state)
{
	unsigned int refused = 0;

	for (uint64_t seed = 0; seed < SEQUENCES; seed++)
		refused += run_sequence(seed);
	/* The refusals were met, not only planned. */
	assert_true(refused > SEQUENCES / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agrees_with_arrays),
	};

	return cmocka_run_group_tests_name("pool model", tests, NULL, NULL);
}
