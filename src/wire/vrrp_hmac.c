/* The authentication trailer of draft-cassen-vrrp-auth-hmac.
 *
 *	type = 1 | key id | reserved (2) | sequence (8) | HMAC-SHA256, cut to 16 octets
 *
 * The HMAC covers a pseudo-header (family, version, group, zero, source address in 16 octets), the
 * message with its checksum as zero, and the trailer with its HMAC as zero.  The checksum counts as
 * zero because kernels write it behind the sender's back. */
#include <assert.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <string.h>

#include "wire/codec.h"
#include "wire/vrrp.h"

#define TYPE_HMAC     1
#define MAC_LEN	      16
#define MAC_AT	      (VRRP_HMAC_LEN - MAC_LEN)
#define PSEUDO_LEN    20
#define CHECKSUM_AT   6
#define CHECKSUM_SIZE 2

bool vrrp_hmac_read(const uint8_t trailer[static VRRP_HMAC_LEN], struct vrrp_hmac *ret)
{
	struct reader r = reader_of(trailer, VRRP_HMAC_LEN);
	struct vrrp_hmac h = { 0 };
	uint16_t reserved;
	uint8_t type;

	type = read_u8(&r);
	h.key_id = read_u8(&r);
	reserved = read_u16(&r);
	h.sequence = read_u64(&r);
	wire_take(&r, h.mac, sizeof(h.mac));
	if (type != TYPE_HMAC || reserved != 0)
		return false;
	*ret = h;
	return true;
}

static void compute(const struct vrrp_path *path, const uint8_t *message, size_t message_len,
		    const uint8_t *trailer, const void *key, size_t key_len, uint8_t mac[MAC_LEN])
{
	static const uint8_t zeros[MAC_LEN];
	uint8_t pseudo[PSEUDO_LEN] = { path->family, message[0] >> 4, message[1] };
	struct hmac_sha256_ctx ctx;

	memcpy(pseudo + 4, path->from, path->family == 6 ? 16 : 4);
	hmac_sha256_set_key(&ctx, key_len, key);
	hmac_sha256_update(&ctx, sizeof(pseudo), pseudo);
	hmac_sha256_update(&ctx, CHECKSUM_AT, message);
	hmac_sha256_update(&ctx, CHECKSUM_SIZE, zeros);
	hmac_sha256_update(&ctx, message_len - VRRP_HEADER_LEN, message + VRRP_HEADER_LEN);
	hmac_sha256_update(&ctx, MAC_AT, trailer);
	hmac_sha256_update(&ctx, MAC_LEN, zeros);
	hmac_sha256_digest(&ctx, MAC_LEN, mac);
}

void vrrp_hmac_sign(const struct vrrp_path *path, const uint8_t *message, size_t message_len,
		    uint8_t key_id, uint64_t sequence, const void *key, size_t key_len,
		    uint8_t ret_trailer[static VRRP_HMAC_LEN])
{
	struct writer w = writer_of(ret_trailer, VRRP_HMAC_LEN);

	assert(message_len >= VRRP_HEADER_LEN);
	write_u8(&w, TYPE_HMAC);
	write_u8(&w, key_id);
	write_u16(&w, 0);
	write_u64(&w, sequence);
	compute(path, message, message_len, ret_trailer, key, key_len, ret_trailer + MAC_AT);
}

bool vrrp_hmac_verify(const struct vrrp_path *path, const struct vrrp *v, const void *key,
		      size_t key_len)
{
	uint8_t mac[MAC_LEN];

	if (!v->trailer)
		return false;
	compute(path, v->message, v->message_len, v->trailer, key, key_len, mac);
	return memeql_sec(mac, v->trailer + MAC_AT, MAC_LEN);
}
