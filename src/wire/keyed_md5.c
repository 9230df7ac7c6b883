#include "wire/keyed_md5.h"

#include <nettle/md5.h>
#include <nettle/memops.h>
#include <string.h>

#define BLOCK	    MD5_BLOCK_SIZE
#define LENGTH_SIZE 8 /* of the fill's last field, the key's length in bits */

const uint8_t keyed_md5_zeros[KEYED_MD5_LEN];

/* RFC 1828 section 2: "filled to the next 512-bit boundary, using the same pad with length
 * technique defined for MD5": 0x80, zeros, the length in bits, least significant octet first. */
static void add_fill(struct md5_ctx *ctx, size_t key_len)
{
	uint8_t fill[BLOCK + LENGTH_SIZE] = { 0x80 };
	size_t len = BLOCK - key_len % BLOCK;

	if (len < 1 + LENGTH_SIZE)
		len += BLOCK;
	for (size_t i = 0; i < LENGTH_SIZE; i++)
		fill[len - LENGTH_SIZE + i] = (uint8_t)((uint64_t)key_len * 8 >> (8 * i));
	md5_update(ctx, len, fill);
}

void keyed_md5(const char *key, const struct keyed_md5_piece *pieces, unsigned int count,
	       uint8_t ret_digest[static KEYED_MD5_LEN])
{
	size_t key_len = strlen(key);
	struct md5_ctx ctx;

	md5_init(&ctx);
	md5_update(&ctx, key_len, (const uint8_t *)key);
	add_fill(&ctx, key_len);
	for (unsigned int i = 0; i < count; i++)
		md5_update(&ctx, pieces[i].len, pieces[i].data);
	md5_update(&ctx, key_len, (const uint8_t *)key);
	md5_digest(&ctx, KEYED_MD5_LEN, ret_digest);
}

bool keyed_md5_equals(const char *key, const struct keyed_md5_piece *pieces, unsigned int count,
		      const uint8_t digest[static KEYED_MD5_LEN])
{
	uint8_t right[KEYED_MD5_LEN];

	keyed_md5(key, pieces, count, right);
	return memeql_sec(right, digest, sizeof(right));
}
