/* Texts of the model: what may be a name or a note, and how lengths of time and dates are
 * written. */
#pragma once

#include <stddef.h>

#include "base/clock.h"
#include "base/error.h"
#include "model/model.h"

/* --- what a text may be ---------------------------------------------------------------------- */

/* Each: 0, or an error whose text quotes nothing that could upset a terminal. */

/* A name: 1 … NAME_MAX_LEN of letters, digits, '.', '_', '-'; starts with a letter or a digit; is
 * not itself a MAC address (so that one argument can be either).  `what` goes into the message.
 * Error: BAD_NAME. */
int name_check(const char *what, const char *name, struct error *ret_error);

/* Free text: valid UTF-8 (RFC 3629), at most `max` octets, no control characters: neither ASCII's,
 * nor U+0080 … U+009F, nor those that break or turn round a line (U+2028, U+2029, U+202A … U+202E,
 * U+2066 … U+2069).  Error: BAD_VALUE. */
int text_check(const char *what, const char *text, size_t max, struct error *ret_error);

/* A kernel interface name: 1 … 15 octets of valid UTF-8, no '/', no white space, no control
 * character, not "." or "..", no ':' and no '%' (the kernel's dev_valid_name() and
 * dev_alloc_name()).  Error: BAD_NAME. */
int ifname_check(const char *what, const char *name, struct error *ret_error);

/* --- durations ------------------------------------------------------------------------------- */

#define DURATION_TEXT_MAX 40
#define DURATION_MAX_MS	  (INT64_C(36525) * 24 * 3600 * 1000) /* 100 years */

/* Reads "90s", "15m", "4h", "7d", "250ms", sums such as "1h30m" (each unit once, greater ones
 * first), or a bare "0".  0 or -EINVAL (also for more than DURATION_MAX_MS). */
int duration_parse(const char *text, int64_t *ret_ms);

/* The shortest such text ("90s" comes back as "1m30s", nothing as "0"), with a '-' before it when
 * ms is negative; returns buf. */
char *duration_format(int64_t ms, char buf[static DURATION_TEXT_MAX]);

/* --- dates ----------------------------------------------------------------------------------- */

#define WALL_TEXT_MAX 25

/* RFC 3339 in UTC with milliseconds, "2026-10-05T12:34:56.789Z"; WALL_NEVER is "never".  RFC 3339
 * knows the years 0000 … 9999 only: what is outside is written as the nearest instant inside.
 * Returns buf. */
char *wall_format(wall_t t, char buf[static WALL_TEXT_MAX]);

/* Reads RFC 3339 (section 5.6) with any offset and 0 … 9 digits of a fraction, of which three
 * count. A leap second (only at a month's end, 23:59:60 UTC) is the first second of the next day.
 * 0 or -EINVAL. */
int wall_parse(const char *text, wall_t *ret);
