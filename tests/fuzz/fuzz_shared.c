/* A key and a value of the shared registry, as anybody may have put them there: key, zero, value.
 * What is taken can be written again, and then is taken the same. */
#include "fuzz.h"
#include "store/shared.h"

static void *plain_alloc(void *ctx, size_t size)
{
	return calloc(1, size);
}

static void plain_free(void *ctx, void *p)
{
	free(p);
}

static const struct mem mem = { plain_alloc, plain_free, NULL };

static void check_printable(const struct error *e)
{
	MUST(e->message[0]);
	for (const char *c = e->message; *c; c++)
		MUST(*c >= 0x20 && *c < 0x7f);
}

static void check_again(const struct shared_record *r, const char *key)
{
	struct shared_record *again;
	char *again_key, *value;
	struct error e;

	MUST(shared_encode(&mem, r, &again_key, &value, &e) == 0);
	MUST(strcmp(key, again_key) == 0);
	MUST(shared_decode(&mem, again_key, value, strlen(value), 1, &again, &e) == 0);
	MUST(shared_equal(r, again));
	free(again_key);
	free(value);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *key = fuzz_text(data, size);
	size_t skip = strlen(key) < size ? strlen(key) + 1 : size;
	struct shared_record *r = NULL;
	struct error e = { 0 };

	if (shared_decode(&mem, key, (const char *)data + skip, size - skip, 1, &r, &e) == 0)
		check_again(r, key);
	else
		check_printable(&e);
	free(r);
	r = NULL;
	if (shared_decode(&mem, key, NULL, 0, 1, &r, &e) == 0)
		MUST(r->revision == 0);
	free(r);
	free(key);
	return 0;
}
