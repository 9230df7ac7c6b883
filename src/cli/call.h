/* From a command to a request, and from an answer to what is printed. */
#pragma once

#include <jansson.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "cli/options.h"

DEFINE_CLEANUP(json_t *, json_decref);
#define JSON_AUTO CLEANUP(json_decref_p) json_t *

static inline void call_free_text(char **p)
{
	free(*p);
}

#define TEXT_AUTO CLEANUP(call_free_text) char *

/* "/v1/…" with what the parts say, escaped, and with the query parameters that the verb's options
 * (those with a field) and `reason` are; malloc, exits the program when there is no memory. */
char *call_path(const struct command *c, const char *const *parts, bool with_options);

/* The options that have a field as a body.  0, or the exit status with the reason told. */
int call_body(const struct command *c, json_t **ret);

/* Sends, and prints the answer when --json is on (*ret is NULL then, as with an empty answer). body
 * NULL: none.  Returns the exit status; on failure stderr has message and hint. */
int call(struct command *c, const char *method, const char *path, const json_t *body, json_t **ret);

/* Whether there is something for people to be printed. */
static inline bool call_talks(const struct command *c)
{
	return !c->json && !c->quiet;
}

/* Prints "vmac: MESSAGE" and "hint: HINT", without control characters. */
void call_complain(const char *message, const char *hint);

int call_open(struct command *c); /* c->client; exit status */
void call_close(struct command *c);

/* --- answers --------------------------------------------------------------------------------- */

const char *json_text(const json_t *object, const char *key); /* "" when absent */
unsigned long long json_number(const json_t *object, const char *key);
bool json_yes(const json_t *object, const char *key);

/* "a, b, c" of an array of strings; malloc. */
char *json_words(const json_t *object, const char *key, const char *separator);

_Noreturn void call_no_memory(void);
