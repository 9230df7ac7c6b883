#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static const struct {
	const char *name;
	int http, exit, err;
} codes[] = {
#define ERROR_ROW_(c, name, http, exit, err) [ERROR_##c] = { name, http, exit, err },
	ERROR_CODES(ERROR_ROW_)
#undef ERROR_ROW_
};

_Static_assert(ARRAY_LEN(codes) == ERROR_CODE_COUNT, "every code has a row");

int error_set(struct error *e, enum error_code code, const char *hint, const char *fmt, ...)
{
	va_list ap;

	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
	snprintf(e->hint, sizeof(e->hint), "%s", hint ? hint : "");
	return -codes[code].err;
}

void error_prefix(struct error *e, const char *fmt, ...)
{
	char old[ERROR_TEXT_MAX];
	va_list ap;
	int n;

	memcpy(old, e->message, sizeof(old));
	va_start(ap, fmt);
	n = vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
	/* What does not fit is cut; a text that cannot be made at all leaves the prefix alone. */
	if (n >= 0 && (size_t)n < sizeof(e->message) &&
	    snprintf(e->message + n, sizeof(e->message) - (size_t)n, ": %s", old) < 0)
		e->message[n] = '\0';
}

const char *error_name(enum error_code code)
{
	return codes[code].name;
}

int error_http_status(enum error_code code)
{
	return codes[code].http;
}

int error_exit_status(enum error_code code)
{
	return codes[code].exit;
}

int error_errno(enum error_code code)
{
	return codes[code].err;
}

enum error_code error_from_name(const char *name)
{
	for (unsigned int c = 0; c < ERROR_CODE_COUNT; c++)
		if (strcmp(codes[c].name, name) == 0)
			return (enum error_code)c;
	return ERROR_INTERNAL;
}
