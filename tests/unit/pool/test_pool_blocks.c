/* A pool that several hosts share: what is taken lies in granted blocks, all of it can be taken,
 * and what is counted is what can be taken.  Held against a model made of arrays. */
#include "machine.h"

#define SIZE_MOST 700
#define STEPS	  4000

struct model {
	uint64_t size, block_size, cursor;
	bool taken[SIZE_MOST], granted[SIZE_MOST]; /* by number; by block */
	vmac_mac_t address[SIZE_MOST];
};

static uint64_t model_room(const struct model *model)
{
	uint64_t room = 0;

	for (uint64_t i = 0; i < model->size; i++)
		room += !model->taken[i] && model->granted[i / model->block_size];
	return room;
}

static uint64_t model_next(const struct model *model)
{
	for (uint64_t k = 0; k < model->size; k++) {
		uint64_t i = (model->cursor + k) % model->size;

		if (!model->taken[i] && model->granted[i / model->block_size])
			return i;
	}
	return UINT64_MAX;
}

static void step(struct fixture *f, struct model *model, struct dice *dice)
{
	uint64_t i = dice_below(dice, model->size), block = i / model->block_size;
	vmac_mac_t mac;
	int r;

	switch (dice_below(dice, 8)) {
	case 0:
		r = pool_machine_grant(&f->m, block);
		assert_int_equal(r, model->granted[block] ? -EEXIST : 0);
		model->granted[block] = true;
		break;
	case 1:
		pool_machine_revoke(&f->m, block);
		model->granted[block] = false;
		break;
	case 2: /* of anybody's block: it moved here */
		r = pool_machine_load(&f->m, model->address[i], false, WALL_NEVER);
		assert_int_equal(r, model->taken[i] ? -EEXIST : 0);
		model->taken[i] = true;
		break;
	case 3:
		if (model->taken[i])
			pool_machine_free(&f->m, model->address[i]);
		model->taken[i] = false;
		break;
	case 4:
		r = pool_machine_take_exact(&f->m, model->address[i], NOW, &f->e);
		assert_int_equal(r == 0, !model->taken[i] && model->granted[block]);
		if (r < 0)
			assert_int_equal(f->e.code, ERROR_ADDRESS_IN_USE);
		model->taken[i] |= r == 0;
		break;
	default:
		i = model_next(model);
		r = pool_machine_take(&f->m, NOW, &mac, &f->e);
		if (i == UINT64_MAX) {
			assert_int_equal(f->e.code, ERROR_POOL_EXHAUSTED);
			assert_true(r < 0);
			break;
		}
		assert_int_equal(r, 0);
		assert_true(vmac_mac_equal(mac, model->address[i]));
		model->taken[i] = true;
		model->cursor = (i + 1) % model->size;
		assert_int_equal(f->m.cfg.cursor, model->cursor);
	}
	assert_int_equal(pool_machine_available(&f->m), model_room(model));
}

static void holds_against_a_model(void **state)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct dice dice = { seed };
		struct pool cfg = pool_of(1 + dice_below(&dice, SIZE_MOST));
		struct model model = { .size = vmac_mac_range_size(cfg.ranges[0]) };
		struct fixture f;

		fixture_init(&f, &cfg);
		model.block_size = dice_below(&dice, 2) ? pool_numbers_a_block(model.size)
							: 1u << dice_below(&dice, 9);
		pool_machine_blocks(&f.m, (uint32_t)model.block_size);
		for (uint64_t i = 0; i < model.size; i++)
			model.address[i] = pool_machine_address(&f.m, i);
		for (int i = 0; i < STEPS; i++)
			step(&f, &model, &dice);
		fixture_done(&f);
	}
}

static void says_that_no_block_is_at_hand(void **state)
{
	struct pool cfg = pool_of(1024);
	struct fixture f;
	vmac_mac_t mac;

	fixture_init(&f, &cfg);
	pool_machine_blocks(&f.m, pool_numbers_a_block(1024));
	assert_int_equal(f.m.block_size, 16);
	assert_int_equal(pool_machine_available(&f.m), 0);
	expect_error(&f, pool_machine_take(&f.m, NOW, &mac, &f.e), ERROR_POOL_EXHAUSTED,
		     "the 0 block(s) of this host");
	assert_int_equal(pool_machine_grant(&f.m, 64), -ERANGE);
	assert_int_equal(pool_machine_grant(&f.m, 63), 0);
	for (int i = 0; i < 16; i++)
		assert_int_equal(pool_machine_number(&f.m, take(&f)) / 16, 63);
	expect_error(&f, pool_machine_take(&f.m, NOW, &mac, &f.e), ERROR_POOL_EXHAUSTED,
		     "the 1 block(s) of this host, 16 addresses");
	expect_error(&f, pool_machine_take_stable(&f.m, "vm1", NOW, &mac, &f.e),
		     ERROR_POOL_EXHAUSTED, "block");
	fixture_done(&f);
}

static void the_size_of_a_block_follows_from_the_pools(void **state)
{
	assert_int_equal(pool_numbers_a_block(1), 1);
	assert_int_equal(pool_numbers_a_block(127), 1);
	assert_int_equal(pool_numbers_a_block(128), 2);
	assert_int_equal(pool_numbers_a_block(16383), 128);
	assert_int_equal(pool_numbers_a_block(16384), 256);
	assert_int_equal(pool_numbers_a_block(UINT64_C(1) << 44), 256);
}

static void what_was_agreed_may_lie_anywhere(void **state)
{
	struct pool cfg = pool_of(1024);
	struct fixture f;
	vmac_mac_t mac;

	fixture_init(&f, &cfg);
	pool_machine_blocks(&f.m, 16);
	mac = pool_machine_stable(&f.m, "vm1", 0);
	expect_error(&f, pool_machine_take_exact(&f.m, mac, NOW, &f.e), ERROR_ADDRESS_IN_USE,
		     "not this host's");
	assert_int_equal(pool_machine_take_agreed(&f.m, mac, NOW, &f.e), 0);
	expect_error(&f, pool_machine_take_agreed(&f.m, mac, NOW, &f.e), ERROR_ADDRESS_IN_USE,
		     "in use");
	assert_false(vmac_mac_equal(mac, pool_machine_stable(&f.m, "vm1", 1)));
	/* The same as a host alone would choose. */
	pool_machine_untake(&f.m, mac, 0);
	f.m.block_size = 0;
	assert_true(vmac_mac_equal(take_stable(&f, "vm1"), mac));
	fixture_done(&f);
}

static void a_grant_that_finds_no_memory_changes_nothing(void **state)
{
	struct pool cfg = pool_of(1024);
	struct fixture f;

	fixture_init(&f, &cfg);
	pool_machine_blocks(&f.m, 16);
	counting_mem_refuse(&f.c, 0);
	assert_int_equal(pool_machine_grant(&f.m, 3), -ENOMEM);
	counting_mem_allow(&f.c);
	assert_int_equal(pool_machine_available(&f.m), 0);
	assert_int_equal(pool_machine_grant(&f.m, 3), 0);
	assert_int_equal(pool_machine_available(&f.m), 16);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_against_a_model),
		cmocka_unit_test(says_that_no_block_is_at_hand),
		cmocka_unit_test(the_size_of_a_block_follows_from_the_pools),
		cmocka_unit_test(what_was_agreed_may_lie_anywhere),
		cmocka_unit_test(a_grant_that_finds_no_memory_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
