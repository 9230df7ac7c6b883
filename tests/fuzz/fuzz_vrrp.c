/* One VRRP message.  The first octet says over what it comes: bit 0, IPv6; bit 1, unicast.  It is
 * tried as it came and with its checksum put right, in either dialect: otherwise little would get
 * past it. */
#include "fuzz.h"
#include "wire/checksum.h"
#include "wire/vrrp.h"

#define MESSAGE_MAX 4400

static bool same(const struct vrrp *a, const struct vrrp *b, uint8_t family)
{
	return a->version == b->version && a->group == b->group && a->priority == b->priority &&
	       a->interval_cs == b->interval_cs && a->address_count == b->address_count &&
	       memcmp(a->addresses, b->addresses, a->address_count * (family == 6 ? 16u : 4u)) ==
		       0 &&
	       a->auth == b->auth && memcmp(a->text, b->text, sizeof(a->text)) == 0 &&
	       a->md5_key_id == b->md5_key_id && memcmp(a->md5_digest, b->md5_digest, 16) == 0;
}

static void check_round_trip(const struct vrrp_path *path, const struct vrrp *v)
{
	uint8_t buf[MESSAGE_MAX];
	struct writer w = writer_of(buf, sizeof(buf));
	struct vrrp_hmac hmac;
	struct reader r;
	struct vrrp again;

	vrrp_encode(&w, path, v, v->trailer, v->trailer ? VRRP_HMAC_LEN : 0);
	MUST(!w.failed && writer_used(&w) == vrrp_len(v, path->family));
	MUST(writer_used(&w) == v->message_len);
	if (v->trailer) {
		write_bytes(&w, v->trailer, VRRP_HMAC_LEN);
		vrrp_hmac_read(v->trailer, &hmac);
	}
	r = reader_of(buf, writer_used(&w));
	MUST(vrrp_decode(&r, path, VRRP_TTL, false, &again, NULL) == VERDICT_ACCEPTED);
	MUST(same(v, &again, path->family));
	MUST(!again.trailer == !v->trailer);
	vrrp_md5_verify(&again, "key");
	vrrp_hmac_verify(path, &again, "key", 3);
}

static void check(const struct vrrp_path *path, bool unicast, const uint8_t *message, size_t len)
{
	struct reader r = reader_of(message, len);
	struct vrrp v = { .version = 99 };
	const char *why = NULL;

	if (vrrp_decode(&r, path, unicast ? 1 : VRRP_TTL, unicast, &v, &why) == VERDICT_ACCEPTED) {
		MUST(reader_left(&r) == 0 && !why);
		check_round_trip(path, &v);
	} else {
		MUST(why && v.version == 99 && r.at == message && reader_left(&r) == len);
	}
}

static void repair(const struct vrrp_path *path, uint8_t *message, size_t len, bool pseudo)
{
	size_t n = path->family == 6 ? 16 : 4;
	uint32_t sum = 0;
	uint16_t value;

	message[6] = message[7] = 0;
	if (pseudo)
		sum = checksum_add(checksum_add(112 + (uint32_t)len, path->from, n), path->to, n);
	value = checksum_finish(checksum_add(sum, message, len));
	message[6] = (uint8_t)(value >> 8);
	message[7] = (uint8_t)value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vrrp_path path = { 4, { 10, 9, 0, 1 }, { 224, 0, 0, 18 } };
	uint8_t *message;
	bool unicast;

	if (size < 1 || size > MESSAGE_MAX)
		return 0;
	path.family = data[0] & 1 ? 6 : 4;
	unicast = data[0] & 2;
	data++;
	size--;
	message = malloc(size ? size : 1);
	MUST(message);
	memcpy(message, data, size);
	check(&path, unicast, message, size);
	if (size >= VRRP_HEADER_LEN) {
		repair(&path, message, size, false);
		check(&path, unicast, message, size);
		repair(&path, message, size, true);
		check(&path, unicast, message, size);
		if (size >= VRRP_HEADER_LEN + VRRP_HMAC_LEN && path.family == 4) {
			repair(&path, message, size - VRRP_HMAC_LEN, false);
			check(&path, unicast, message, size);
		}
	}
	free(message);
	return 0;
}
