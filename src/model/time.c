/* Lengths of time and dates as text.  Everything is arithmetic on the proleptic Gregorian calendar:
 * no time zone, no environment, no library. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/text.h"

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS	  (60 * MINUTE_MS)
#define DAY_MS	  (24 * HOUR_MS)

/* --- durations ------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int64_t ms;
} units[] = {
	{ "d", DAY_MS }, { "h", HOUR_MS }, { "m", MINUTE_MS }, { "s", SECOND_MS }, { "ms", 1 }
};

/* Reads digits; false when there are none or they say more than `max`. */
static bool take_number(const char **at, int64_t max, int64_t *ret)
{
	const char *start = *at;
	int64_t n = 0;

	for (; **at >= '0' && **at <= '9'; (*at)++) {
		n = n * 10 + (**at - '0');
		if (n > max)
			return false;
	}
	*ret = n;
	return *at > start;
}

/* Reads a unit; its index, or ARRAY_LEN(units). */
static size_t take_unit(const char **at)
{
	size_t len = 0;

	while ((*at)[len] >= 'a' && (*at)[len] <= 'z')
		len++;
	for (size_t u = 0; u < ARRAY_LEN(units); u++) {
		if (strlen(units[u].name) == len && strncmp(*at, units[u].name, len) == 0) {
			*at += len;
			return u;
		}
	}
	return ARRAY_LEN(units);
}

int duration_parse(const char *text, int64_t *ret_ms)
{
	const char *at = text;
	int64_t sum = 0, n;
	size_t next = 0; /* the greatest unit that may still come */

	if (strcmp(text, "0") == 0) {
		*ret_ms = 0;
		return 0;
	}
	do {
		size_t u;

		/* At most DURATION_MAX_MS of the smallest unit, so neither product nor sum can
		 * overflow: both are checked by division first. */
		if (!take_number(&at, DURATION_MAX_MS, &n))
			return -EINVAL;
		u = take_unit(&at);
		if (u < next || u == ARRAY_LEN(units))
			return -EINVAL;
		if (n > (DURATION_MAX_MS - sum) / units[u].ms)
			return -EINVAL;
		sum += n * units[u].ms;
		next = u + 1;
	} while (*at != '\0');
	*ret_ms = sum;
	return 0;
}

char *duration_format(int64_t ms, char buf[static DURATION_TEXT_MAX])
{
	uint64_t left = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
	int len = snprintf(buf, DURATION_TEXT_MAX, "%s", ms < 0 ? "-" : ms == 0 ? "0" : "");

	for (size_t u = 0; u < ARRAY_LEN(units); u++) {
		uint64_t n = left / (uint64_t)units[u].ms;

		left %= (uint64_t)units[u].ms;
		if (n > 0)
			len += snprintf(buf + len, DURATION_TEXT_MAX - (size_t)len, "%llu%s",
					(unsigned long long)n, units[u].name);
	}
	return buf;
}

/* --- dates ----------------------------------------------------------------------------------- */

struct civil {
	int64_t year;
	unsigned int month, day; /* 1 …, 1 … */
};

/* Days since 1970-01-01.  Years are counted from March, so that the leap day is a year's last: then
 * the days before month m (March = 0) are (153 m + 2) / 5, and 400 years have 146,097 days. */
#define ERA_DAYS   146097
#define EPOCH_DAYS 719468 /* from 0000-03-01 to 1970-01-01 */

static int64_t days_from_civil(struct civil c)
{
	int64_t year = c.month <= 2 ? c.year - 1 : c.year;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t of_era = year - era * 400;
	int64_t month = c.month > 2 ? c.month - 3 : c.month + 9;
	int64_t day = (153 * month + 2) / 5 + c.day - 1;

	return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + day - EPOCH_DAYS;
}

static struct civil civil_from_days(int64_t days)
{
	int64_t shifted = days + EPOCH_DAYS;
	int64_t era = (shifted >= 0 ? shifted : shifted - (ERA_DAYS - 1)) / ERA_DAYS;
	int64_t day = shifted - era * ERA_DAYS; /* of the era, 0 … 146,096 */
	int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	int64_t of_year = day - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153; /* from March */
	struct civil c = {
		.year = year + era * 400,
		.month = (unsigned int)(month < 10 ? month + 3 : month - 9),
		.day = (unsigned int)(of_year - (153 * month + 2) / 5 + 1),
	};

	if (c.month <= 2)
		c.year++;
	return c;
}

static unsigned int days_in_month(int64_t year, unsigned int month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return month == 2 && leap ? 29 : days[month - 1];
}

/* 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z. */
#define WALL_LEAST_MS (INT64_C(-719528) * DAY_MS)
#define WALL_MOST_MS  (INT64_C(2932897) * DAY_MS - 1)

char *wall_format(wall_t t, char buf[static WALL_TEXT_MAX])
{
	int64_t ms = t.ms, days;
	unsigned int of_day;
	struct civil c;

	if (t.ms == WALL_NEVER.ms) {
		snprintf(buf, WALL_TEXT_MAX, "never");
		return buf;
	}
	if (ms < WALL_LEAST_MS)
		ms = WALL_LEAST_MS;
	if (ms > WALL_MOST_MS)
		ms = WALL_MOST_MS;
	days = (ms >= 0 ? ms : ms - (DAY_MS - 1)) / DAY_MS;
	of_day = (unsigned int)(ms - days * DAY_MS);
	c = civil_from_days(days);
	/* The remainders tell the compiler what the arithmetic guarantees: the width of each field.
	 */
	snprintf(buf, WALL_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		 (unsigned int)c.year % 10000, c.month % 100, c.day % 100, of_day / 3600000 % 100,
		 of_day / 60000 % 60, of_day / 1000 % 60, of_day % 1000);
	return buf;
}

/* Reads exactly `digits` digits that say `least` … `most`. */
static bool take_field(const char **at, unsigned int digits, unsigned int least, unsigned int most,
		       unsigned int *ret)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < digits; i++, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		n = n * 10 + (unsigned int)(**at - '0');
	}
	*ret = n;
	return n >= least && n <= most;
}

static bool take_char(const char **at, const char *any_of)
{
	if (**at == '\0' || !strchr(any_of, **at))
		return false;
	(*at)++;
	return true;
}

/* ".789…", of which milliseconds count; 0 where there is none. */
static bool take_fraction(const char **at, unsigned int *ret_ms)
{
	unsigned int ms = 0, digits = 0;

	*ret_ms = 0;
	if (!take_char(at, "."))
		return true;
	for (; **at >= '0' && **at <= '9'; (*at)++, digits++)
		if (digits < 3)
			ms = ms * 10 + (unsigned int)(**at - '0');
	for (unsigned int i = digits; i < 3; i++)
		ms *= 10;
	*ret_ms = ms;
	return digits >= 1 && digits <= 9;
}

/* "Z" or "+hh:mm"; minutes that the local time is ahead of UTC. */
static bool take_offset(const char **at, int *ret_minutes)
{
	bool behind = **at == '-';
	unsigned int hour, minute;

	*ret_minutes = 0;
	if (take_char(at, "Zz"))
		return true;
	if (!take_char(at, "+-") || !take_field(at, 2, 0, 23, &hour) || !take_char(at, ":") ||
	    !take_field(at, 2, 0, 59, &minute))
		return false;
	*ret_minutes = (int)(hour * 60 + minute) * (behind ? -1 : 1);
	return true;
}

int wall_parse(const char *text, wall_t *ret)
{
	unsigned int year, month, day, hour, minute, second, ms;
	const char *at = text;
	int offset;
	int64_t t;

	if (!take_field(&at, 4, 0, 9999, &year) || !take_char(&at, "-") ||
	    !take_field(&at, 2, 1, 12, &month) || !take_char(&at, "-") ||
	    !take_field(&at, 2, 1, days_in_month(year, month), &day) || !take_char(&at, "Tt ") ||
	    !take_field(&at, 2, 0, 23, &hour) || !take_char(&at, ":") ||
	    !take_field(&at, 2, 0, 59, &minute) || !take_char(&at, ":") ||
	    !take_field(&at, 2, 0, 60, &second) || !take_fraction(&at, &ms) ||
	    !take_offset(&at, &offset) || *at != '\0')
		return -EINVAL;
	t = days_from_civil((struct civil){ year, month, day }) * DAY_MS + hour * HOUR_MS +
	    (int64_t)minute * MINUTE_MS + second * SECOND_MS - offset * MINUTE_MS;
	/* RFC 3339 section 5.7: 60 only where a leap second may be, at the end of a month. */
	if (second == 60 && (t % DAY_MS != 0 || civil_from_days(t / DAY_MS).day != 1))
		return -EINVAL;
	ret->ms = t + ms;
	return 0;
}
