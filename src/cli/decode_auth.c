/* vmac decode: what the keys say of a frame. */
#include <string.h>

#include "cli/decode.h"

/* What a key is tried with. */
struct trial {
	const struct advert *a;
	const struct decode_keys *keys;
};

typedef bool (*verify_fn)(const struct trial *t, const struct decode_key *key);

static bool text_is(const void *padded, size_t size, const char *secret)
{
	size_t len = strlen(secret);
	const uint8_t *octets = padded;

	if (len > size || memcmp(octets, secret, len) != 0)
		return false;
	for (; len < size; len++)
		if (octets[len] != 0)
			return false;
	return true;
}

static bool vrrp_text(const struct trial *t, const struct decode_key *key)
{
	return text_is(t->a->vrrp.text, VRRP_TEXT_LEN, key->secret);
}

static bool vrrp_md5(const struct trial *t, const struct decode_key *key)
{
	return vrrp_md5_verify(&t->a->vrrp, key->secret);
}

static bool vrrp_hmac(const struct trial *t, const struct decode_key *key)
{
	return vrrp_hmac_verify(&t->a->path, &t->a->vrrp, key->secret, strlen(key->secret));
}

static bool hsrp_text(const struct trial *t, const struct decode_key *key)
{
	return text_is(t->a->hsrp.text, HSRP_TEXT_LEN, key->secret);
}

static bool hsrp_md5(const struct trial *t, const struct decode_key *key)
{
	return hsrp_md5_verify(&t->a->hsrp, key->secret);
}

static bool glbp_text(const struct trial *t, const struct decode_key *key)
{
	return strcmp(t->a->glbp.text, key->secret) == 0;
}

static bool glbp_md5(const struct trial *t, const struct decode_key *key)
{
	return t->a->path.family == 4 && glbp_md5_verify(&t->a->glbp, t->a->path.from, key->secret);
}

static bool carp_hmac(const struct trial *t, const struct decode_key *key)
{
	uint8_t octets[DECODE_ADDRESSES_MAX * 16];
	uint8_t family = t->a->path.family;
	size_t size = family == 4 ? 4 : 16;
	unsigned int count = 0;

	for (unsigned int i = 0; i < t->keys->address_count; i++)
		if (t->keys->addresses[i].family == family)
			memcpy(octets + size * count++, t->keys->addresses[i].octet, size);
	return carp_verify(&t->a->carp, key->secret, family, octets, count);
}

/* Tries every key that may be meant.  Only the number that a frame has rules one out. */
static enum verdict try_keys(const struct trial *t, verify_fn verify, bool has_id, uint32_t id)
{
	bool tried = false;

	for (unsigned int i = 0; i < t->keys->count; i++) {
		const struct decode_key *key = &t->keys->keys[i];

		if (has_id && key->has_id && key->id != id)
			continue;
		tried = true;
		if (verify(t, key))
			return VERDICT_ACCEPTED;
	}
	return tried ? VERDICT_AUTH_FAILED : VERDICT_AUTH_KEY;
}

static enum verdict authenticate_vrrp(const struct trial *t, const char **ret_why)
{
	const struct vrrp *v = &t->a->vrrp;
	struct vrrp_hmac hmac;

	if (v->trailer && vrrp_hmac_read(v->trailer, &hmac))
		return try_keys(t, vrrp_hmac, true, hmac.key_id);
	if (v->trailer)
		return VERDICT_AUTH_TYPE;
	if (v->version == 2 && v->auth == VRRP_AUTH_TEXT)
		return try_keys(t, vrrp_text, false, 0);
	if (v->version == 2 && v->auth == VRRP_AUTH_MD5)
		return try_keys(t, vrrp_md5, true, v->md5_key_id);
	if (v->version == 2 && v->auth != VRRP_AUTH_NONE) {
		*ret_why = "an authentication that vmac does not check";
		return VERDICT_AUTH_TYPE;
	}
	return VERDICT_AUTH_MISSING;
}

static enum verdict authenticate_glbp(const struct trial *t, const char **ret_why)
{
	const struct glbp *g = &t->a->glbp;

	switch (g->auth) {
	case 0:
		return VERDICT_AUTH_MISSING;
	case 1:
		return try_keys(t, glbp_text, false, 0);
	default:
		if (t->a->path.family != 4)
			*ret_why = "MD5 of GLBP is checked over IPv4 only";
		return try_keys(t, glbp_md5, g->auth == 3, g->md5_key_id);
	}
}

enum verdict decode_authenticate(const struct decode_keys *keys, const struct advert *a,
				 const char **ret_why)
{
	struct trial t = { .a = a, .keys = keys };

	*ret_why = NULL;
	switch (a->kind) {
	case ADVERT_VRRP:
		return authenticate_vrrp(&t, ret_why);
	case ADVERT_HSRP:
		if (a->hsrp.auth == HSRP_AUTH_MD5)
			return try_keys(&t, hsrp_md5, true, a->hsrp.md5_key_id);
		return try_keys(&t, hsrp_text, false, 0);
	case ADVERT_CARP:
		if (keys->address_count == 0)
			*ret_why = "CARP's keys cover the virtual addresses, which it does not "
				   "send: name them by --address";
		return try_keys(&t, carp_hmac, false, 0);
	default:
		return authenticate_glbp(&t, ret_why);
	}
}
