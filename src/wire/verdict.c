#include "wire/verdict.h"

#include <assert.h>

static const struct {
	const char *name, *meaning;
} verdicts[] = {
#define VERDICT_TEXT_(constant, text, line) [VERDICT_##constant] = { text, line },
	VERDICTS(VERDICT_TEXT_)
#undef VERDICT_TEXT_
};

const char *verdict_name(enum verdict v)
{
	assert((unsigned int)v < VERDICT_COUNT);
	return verdicts[v].name;
}

const char *verdict_meaning(enum verdict v)
{
	assert((unsigned int)v < VERDICT_COUNT);
	return verdicts[v].meaning;
}
