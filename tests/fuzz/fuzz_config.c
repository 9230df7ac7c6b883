/* The configuration: any bytes are refused precisely or read; what is read has a canonical form
 * that reads back to itself. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *printed(const struct config *c)
{
	struct error error;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f || config_print(c, true, f, &error) < 0)
		abort();
	fclose(f);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1), *first, *second;
	struct error error = { 0 };
	struct config *c;

	memcpy(text, data, size);
	if (config_parse("fuzz", text, size, NULL, &c, &error) < 0) {
		if (error.code == ERROR_NONE || !error.message[0])
			abort();
		free(text);
		return 0;
	}
	first = printed(c);
	config_free(c);
	if (config_parse("again", first, strlen(first), NULL, &c, &error) < 0)
		abort();
	second = printed(c);
	config_free(c);
	if (strcmp(first, second) != 0)
		abort();
	free(first);
	free(second);
	free(text);
	return 0;
}
