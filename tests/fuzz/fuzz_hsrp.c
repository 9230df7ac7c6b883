/* One HSRP message, of either version. */
#include "fuzz.h"
#include "wire/hsrp.h"

#define MESSAGE_MAX 2048

static bool same(const struct hsrp *a, const struct hsrp *b)
{
	return a->version == b->version && a->operation == b->operation && a->state == b->state &&
	       a->family == b->family && a->group == b->group && a->priority == b->priority &&
	       a->hello_ms == b->hello_ms && a->hold_ms == b->hold_ms &&
	       memcmp(a->address, b->address, 16) == 0 &&
	       vmac_mac_equal(a->identifier, b->identifier) && a->auth == b->auth &&
	       memcmp(a->text, b->text, sizeof(a->text)) == 0 &&
	       memcmp(a->md5_from, b->md5_from, 4) == 0 && a->md5_key_id == b->md5_key_id &&
	       a->active_groups == b->active_groups && a->passive_groups == b->passive_groups;
}

/* Of what was read, all but the unknown is written; the digest is our own then. */
static void check_round_trip(const struct hsrp *h)
{
	uint8_t buf[HSRP_LEN_MAX];
	struct writer w = writer_of(buf, sizeof(buf));
	struct hsrp again;
	struct reader r;

	hsrp_encode(&w, h, "key");
	MUST(!w.failed && writer_used(&w) == hsrp_len(h));
	r = reader_of(buf, writer_used(&w));
	MUST(hsrp_decode(&r, &again, NULL) == VERDICT_ACCEPTED);
	MUST(reader_left(&r) == 0 && same(h, &again));
	MUST(hsrp_md5_verify(&again, "key") == (h->auth == HSRP_AUTH_MD5));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hsrp h = { .version = 99 };
	const char *why = NULL;
	struct reader r;
	uint8_t *own;

	if (size > MESSAGE_MAX)
		return 0;
	own = malloc(size ? size : 1);
	MUST(own);
	memcpy(own, data, size);
	r = reader_of(own, size);
	if (hsrp_decode(&r, &h, &why) == VERDICT_ACCEPTED) {
		MUST(reader_left(&r) == 0 && !why && h.message_len == size);
		hsrp_md5_verify(&h, "key");
		check_round_trip(&h);
	} else {
		MUST(why && h.version == 99 && r.at == own && reader_left(&r) == size);
	}
	free(own);
	return 0;
}
