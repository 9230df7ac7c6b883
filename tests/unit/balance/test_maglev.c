/* Maglev tables: even, by weight, and what a change moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "balance/inside.h"
#include "base/cleanup.h"

#define ROWS CLUSTER_MAGLEV_ROWS

static struct balance_row a[ROWS], b[ROWS];
static uint64_t *scratch;
static const uint8_t key[16] = { 42 };

static unsigned int equal_members(struct balance_choice *m, unsigned int count)
{
	for (uint16_t i = 0; i < count; i++)
		m[i] = (struct balance_choice){ i + 1, 1, true, true };
	return count;
}

static void equal_members_share_evenly(void **state)
{
	static const unsigned int counts[] = { 1, 2, 3, 7, 32, 100, 1000 };
	static struct balance_choice m[1000];
	uint32_t rows[1000];

	for (size_t n = 0; n < ARRAY_LEN(counts); n++) {
		const unsigned int count = equal_members(m, counts[n]);

		balance_maglev(key, m, count, NULL, scratch, a);
		assert_int_equal(balance_shares(a, ROWS, m, count, rows), 0);
		for (unsigned int i = 0; i < count; i++)
			assert_in_range(rows[i], ROWS / count, ROWS / count + 1);
	}
}

static void weights_are_shares(void **state)
{
	static const uint16_t weights[] = { 1, 2, 3, 500, 1000 };
	struct balance_choice m[ARRAY_LEN(weights)];
	uint32_t rows[ARRAY_LEN(weights)];

	for (uint16_t i = 0; i < ARRAY_LEN(weights); i++)
		m[i] = (struct balance_choice){ (uint16_t)(i + 1), weights[i], true, true };
	balance_maglev(key, m, ARRAY_LEN(m), NULL, scratch, a);
	balance_shares(a, ROWS, m, ARRAY_LEN(m), rows);
	for (unsigned int i = 0; i < ARRAY_LEN(m); i++)
		assert_in_range(rows[i], ROWS * weights[i] / 1506 - 1,
				ROWS * weights[i] / 1506 + 2);
}

static void order_never_matters(void **state)
{
	struct balance_choice m[40], backwards[40];

	for (uint16_t i = 0; i < ARRAY_LEN(m); i++) {
		m[i] = (struct balance_choice){ i + 1, (uint16_t)(1 + i % 4), i % 5 != 0,
						i % 7 != 0 };
		backwards[ARRAY_LEN(m) - 1 - i] = m[i];
	}
	balance_maglev(key, m, ARRAY_LEN(m), NULL, scratch, a);
	balance_maglev(key, backwards, ARRAY_LEN(m), NULL, scratch, b);
	assert_memory_equal(a, b, sizeof(a));
}

/* Slowly, from the paper's words: whole lists of wishes, in 64 bits.  Products of 32 bits give
 * another table. */
static void as_the_paper_says(void **state)
{
	struct balance_choice m[7];
	uint64_t offset[7], skip[7], wish[7] = { 0 };
	unsigned int taken = 0;

	equal_members(m, 7);
	balance_maglev(key, m, 7, NULL, scratch, a);
	for (unsigned int i = 0; i < 7; i++) {
		offset[i] = balance_seed(key, BALANCE_OFFSET, 0, i + 1) % ROWS;
		skip[i] = balance_seed(key, BALANCE_SKIP, 0, i + 1) % (ROWS - 1) + 1;
	}
	memset(b, 0, sizeof(b));
	while (taken < ROWS) {
		for (unsigned int i = 0; i < 7 && taken < ROWS; i++) {
			while (b[(offset[i] + wish[i] * skip[i]) % ROWS].first)
				wish[i]++;
			b[(offset[i] + wish[i] * skip[i]) % ROWS].first = (uint16_t)(i + 1);
			taken++;
		}
	}
	for (unsigned int row = 0; row < ROWS; row++)
		assert_int_equal(a[row].first, b[row].first);
}

/* Who leaves takes its rows along; beyond those few move, and what moves is found by its second. */
static void a_change_moves_little(void **state)
{
	static const unsigned int counts[] = { 2, 3, 4, 8, 16, 32, 100 };
	struct balance_choice m[100];

	for (size_t n = 0; n < ARRAY_LEN(counts); n++) {
		const unsigned int count = counts[n];
		double sum = 0, worst = 0;

		for (uint8_t k = 0; k < 20; k++) {
			const uint8_t other[16] = { k, 1 };
			unsigned int excess = 0;

			equal_members(m, count);
			balance_maglev(other, m, count, NULL, scratch, a);
			balance_maglev(other, m, count - 1, a, scratch, b);
			for (unsigned int row = 0; row < ROWS; row++) {
				excess += a[row].first != count && a[row].first != b[row].first;
				if (a[row].first != b[row].first && a[row].first != count)
					assert_int_equal(b[row].second, a[row].first);
			}
			sum += excess * 100.0 / ROWS;
			worst = excess * 100.0 / ROWS > worst ? excess * 100.0 / ROWS : worst;
		}
		printf("%3u members, one leaves: %.3f %% of the rows move between others, %.3f %% "
		       "at worst\n",
		       count, sum / 20, worst);
		assert_true(worst < 5);
	}
}

static void the_second_is_who_had_it(void **state)
{
	struct balance_choice m[5];

	equal_members(m, 5);
	balance_maglev(key, m, 4, NULL, scratch, a);
	for (unsigned int row = 0; row < ROWS; row++) {
		assert_in_range(a[row].second, 1, 4);
		assert_int_not_equal(a[row].second, a[row].first);
	}
	/* One joins: in place, so that the table before is its own. */
	memcpy(b, a, sizeof(b));
	balance_maglev(key, m, 5, b, scratch, b);
	for (unsigned int row = 0; row < ROWS; row++)
		assert_int_equal(b[row].second,
				 a[row].first != b[row].first ? a[row].first : a[row].second);
	/* One drains: it is second where it was first. */
	memcpy(a, b, sizeof(a));
	m[1].fresh = false;
	balance_maglev(key, m, 5, b, scratch, b);
	for (unsigned int row = 0; row < ROWS; row++) {
		assert_int_not_equal(b[row].first, 2);
		if (a[row].first == 2)
			assert_int_equal(b[row].second, 2);
	}
	/* … and is gone: nobody names it. */
	m[1].known = false;
	balance_maglev(key, m, 5, b, scratch, b);
	for (unsigned int row = 0; row < ROWS; row++) {
		assert_int_not_equal(b[row].first, 2);
		assert_int_not_equal(b[row].second, 2);
	}
}

static void nobody_and_few(void **state)
{
	struct balance_choice m[2] = { { 9, 1, true, true }, { 1024, 0, true, true } };

	balance_maglev(key, m, 0, NULL, scratch, a);
	assert_int_equal(a[0].first | a[0].second | a[ROWS - 1].first, 0);
	balance_maglev(key, &m[1], 1, NULL, scratch, a);
	assert_int_equal(a[0].first | a[0].second | a[ROWS - 1].first, 0);
	balance_maglev(key, m, 2, NULL, scratch, a);
	for (unsigned int row = 0; row < ROWS; row++) {
		assert_int_equal(a[row].first, 9);
		assert_int_equal(a[row].second, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_members_share_evenly),
		cmocka_unit_test(weights_are_shares),
		cmocka_unit_test(order_never_matters),
		cmocka_unit_test(as_the_paper_says),
		cmocka_unit_test(a_change_moves_little),
		cmocka_unit_test(the_second_is_who_had_it),
		cmocka_unit_test(nobody_and_few),
	};
	int failed;

	scratch = calloc(balance_scratch_words(CLUSTER_MEMBERS_MAX), sizeof(*scratch));
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(scratch);
	return failed;
}
