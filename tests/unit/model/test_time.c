#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <time.h>

#include "base/cleanup.h"
#include "model/text.h"

static void durations_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{ "0", 0 },
		{ "0s", 0 },
		{ "250ms", 250 },
		{ "90s", 90000 },
		{ "15m", 900000 },
		{ "4h", 14400000 },
		{ "7d", 604800000 },
		{ "1h30m", 5400000 },
		{ "1d2h3m4s5ms", 93784005 },
		{ "1m5ms", 60005 },
		{ "36525d", DURATION_MAX_MS },
		{ "3155760000000ms", DURATION_MAX_MS },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t ms = -1;

		assert_int_equal(duration_parse(rows[i].text, &ms), 0);
		assert_int_equal(ms, rows[i].ms);
	}
}

static void other_durations_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"1",
		"00",
		"h",
		"1x",
		"1H",
		"1hour",
		"-1s",
		"+1s",
		" 1s",
		"1s ",
		"1 s",
		"1.5h",
		"1h1",
		"30m1h",
		"1h1h",
		"1s1s",
		"1sm",
		"36525d1ms",
		"36526d",
		"3155760000001ms",
		"99999999999999999999d",
		"18446744073709551616ms",
		"9223372036854775807s",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		int64_t ms = -7;

		assert_int_equal(duration_parse(texts[i], &ms), -EINVAL);
		assert_int_equal(ms, -7);
	}
}

static void durations_are_written_and_read_back(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
		{ 0, "0" },
		{ 1, "1ms" },
		{ 90000, "1m30s" },
		{ 14400000, "4h" },
		{ 93784005, "1d2h3m4s5ms" },
		{ DURATION_MAX_MS, "36525d" },
		{ -5400000, "-1h30m" },
		{ INT64_MAX, "106751991167d7h12m55s807ms" },
		{ INT64_MIN, "-106751991167d7h12m55s808ms" },
	};
	char buf[DURATION_TEXT_MAX];
	uint64_t n = 1;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(duration_format(rows[i].ms, buf), rows[i].text);
	for (unsigned int i = 0; i < 10000; i++) {
		int64_t ms, again;

		n = n * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		ms = (int64_t)(n >> 12) % (DURATION_MAX_MS + 1);
		assert_int_equal(duration_parse(duration_format(ms, buf), &again), 0);
		assert_int_equal(again, ms);
	}
}

/* The C library knows the calendar too: hold ours against it. */
static void check_date(int64_t ms)
{
	char ours[WALL_TEXT_MAX], theirs[64];
	time_t s = (time_t)(ms >= 0 ? ms / 1000 : -((-ms + 999) / 1000));
	wall_t again = { 1 };
	struct tm tm;

	assert_non_null(gmtime_r(&s, &tm));
	snprintf(theirs, sizeof(theirs), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		 (int)(ms - (int64_t)s * 1000));
	assert_string_equal(wall_format((wall_t){ ms }, ours), theirs);
	assert_int_equal(wall_parse(ours, &again), 0);
	assert_int_equal(again.ms, ms);
}

#define FIRST_MS (-62167219200000) /* 0000-01-01T00:00:00.000Z */
#define LAST_MS	 253402300799999   /* 9999-12-31T23:59:59.999Z */

static void days_are_dated_as_the_library_does(void **state)
{
	int64_t day = 24 * 3600 * 1000, era = 146097 * day, start = -2208988800000; /* 1900 */

	/* Every day of 400 years, after which the calendar repeats itself; then all of it, coarser.
	 */
	for (int64_t ms = start; ms < start + era; ms += day) {
		check_date(ms);
		check_date(ms + day - 1);
	}
	for (int64_t ms = FIRST_MS; ms <= LAST_MS; ms += 29 * day)
		check_date(ms);
	for (int64_t ms = -2000; ms <= 2000; ms++)
		check_date(ms);
}

static void dates_beyond_four_digits_are_clamped(void **state)
{
	char buf[WALL_TEXT_MAX];

	assert_string_equal(wall_format(WALL_NEVER, buf), "never");
	assert_string_equal(wall_format((wall_t){ INT64_MAX - 1 }, buf),
			    "9999-12-31T23:59:59.999Z");
	assert_string_equal(wall_format((wall_t){ LAST_MS + 1 }, buf), "9999-12-31T23:59:59.999Z");
	assert_string_equal(wall_format((wall_t){ FIRST_MS - 1 }, buf), "0000-01-01T00:00:00.000Z");
	assert_string_equal(wall_format((wall_t){ INT64_MIN }, buf), "0000-01-01T00:00:00.000Z");
}

static void dates_are_read_with_any_offset(void **state)
{
	/* RFC 3339 section 5.8 among them. */
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{ "1985-04-12T23:20:50.52Z", 482196050520 },
		{ "1996-12-19T16:39:57-08:00", 851042397000 },
		{ "1996-12-20T00:39:57Z", 851042397000 },
		{ "1990-12-31T23:59:60Z", 662688000000 },
		{ "1990-12-31T15:59:60-08:00", 662688000000 },
		{ "1937-01-01T12:00:27.87+00:20", -1041337172130 },
		{ "1970-01-01t00:00:00z", 0 },
		{ "1970-01-01 00:00:00Z", 0 },
		{ "1970-01-01T00:00:00-00:00", 0 },
		{ "1970-01-01T00:00:00.999999999Z", 999 },
		{ "1970-01-01T00:00:00.0Z", 0 },
		{ "2000-02-29T00:00:00Z", 951782400000 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		wall_t t = { -1 };

		assert_int_equal(wall_parse(rows[i].text, &t), 0);
		assert_int_equal(t.ms, rows[i].ms);
	}
}

static void other_dates_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"never",
		"1970-01-01",
		"1970-01-01T00:00:00",
		"1970-01-01T00:00Z",
		"70-01-01T00:00:00Z",
		"1970-1-01T00:00:00Z",
		"1970-00-01T00:00:00Z",
		"1970-13-01T00:00:00Z",
		"1970-01-00T00:00:00Z",
		"1970-01-32T00:00:00Z",
		"1970-04-31T00:00:00Z",
		"1970-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"1970-01-01T24:00:00Z",
		"1970-01-01T00:60:00Z",
		"1970-01-01T00:00:61Z",
		"1970-01-01T00:00:60Z",
		"1990-12-31T22:59:60Z",
		"1990-12-30T23:59:60Z",
		"1970-01-01T00:00:00.Z",
		"1970-01-01T00:00:00,5Z",
		"1970-01-01T00:00:00.1234567890Z",
		"1970-01-01T00:00:00+0100",
		"1970-01-01T00:00:00+24:00",
		"1970-01-01T00:00:00+01:60",
		"1970-01-01T00:00:00Zx",
		"1970-01-01T00:00:00Z ",
		" 1970-01-01T00:00:00Z",
		"+970-01-01T00:00:00Z",
		"1970/01/01T00:00:00Z",
		"1970-01-01_00:00:00Z",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		wall_t t = { -7 };

		assert_int_equal(wall_parse(texts[i], &t), -EINVAL);
		assert_int_equal(t.ms, -7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_read),
		cmocka_unit_test(other_durations_are_refused),
		cmocka_unit_test(durations_are_written_and_read_back),
		cmocka_unit_test(days_are_dated_as_the_library_does),
		cmocka_unit_test(dates_beyond_four_digits_are_clamped),
		cmocka_unit_test(dates_are_read_with_any_offset),
		cmocka_unit_test(other_dates_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
