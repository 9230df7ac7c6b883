/* Members of an answer as C values. */
#include "cli/call.h"

#include <stdio.h>

#include "base/error.h"

_Noreturn void call_no_memory(void)
{
	fputs("vmac: no memory\n", stderr);
	exit(error_exit_status(ERROR_NO_MEMORY));
}

const char *json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

unsigned long long json_number(const json_t *object, const char *key)
{
	return (unsigned long long)json_integer_value(json_object_get(object, key));
}

bool json_yes(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}
