#include "store/shared_key.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/text.h"

/* Where an image's pool would stand when it is of none: a name begins with a letter or digit. */
#define NO_POOL "-"

/* --- base64url ------------------------------------------------------------------------------- */

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void base64_write(const char *text, char *at)
{
	size_t len = strlen(text);
	uint32_t bits = 0;
	unsigned int have = 0;

	for (size_t i = 0; i < len; i++) {
		bits = (bits << 8 | (uint8_t)text[i]) & 0xffff;
		for (have += 8; have >= 6; have -= 6)
			*at++ = digits64[bits >> (have - 6) & 63];
	}
	if (have > 0)
		*at++ = digits64[bits << (6 - have) & 63];
	*at = '\0';
}

/* -EINVAL: no base64url, too long, a zero octet, or bits left over that are not zero. */
static int base64_read(const char *at, char *ret, size_t size)
{
	uint32_t bits = 0;
	unsigned int have = 0;
	size_t len = 0;

	for (; *at; at++) {
		const char *digit = strchr(digits64, *at);

		if (!digit)
			return -EINVAL;
		bits = (bits << 6 | (uint32_t)(digit - digits64)) & 0xffff;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (len + 1 >= size || (bits >> have & 0xff) == 0)
			return -EINVAL;
		ret[len++] = (char)(bits >> have & 0xff);
	}
	if (have >= 6 || (bits & ((1u << have) - 1)) != 0)
		return -EINVAL;
	ret[len] = '\0';
	return 0;
}

/* --- writing --------------------------------------------------------------------------------- */

static int mac_key_write(const char *segment, vmac_mac_t address, const char *kind, char *buf,
			 struct error *ret_error)
{
	char mac[VMAC_MAC_TEXT_MAX];

	snprintf(buf, SHARED_KEY_MAX, "%s/%s/%s", kind, segment,
		 vmac_mac_format(address, VMAC_MAC_COLON, mac));
	return name_check("its segment's name", segment, ret_error);
}

static int image_key_write(const struct shared_image *i, char *buf, struct error *ret_error)
{
	char host[UUID_TEXT_MAX];

	if (i->pool[0] == '\0') {
		snprintf(buf, SHARED_KEY_MAX, "image/" NO_POOL "/%s/%016" PRIx64,
			 uuid_format(&i->host, host), i->number);
		return 0;
	}
	snprintf(buf, SHARED_KEY_MAX, "image/%s/%016" PRIx64, i->pool, i->number);
	return name_check("its pool's name", i->pool, ret_error);
}

static int key_write(const struct shared_record *r, char *buf, struct error *ret_error)
{
	const char *kind = shared_kind_name(r->kind);
	char uuid[UUID_TEXT_MAX];
	int used;

	switch (r->kind) {
	case SHARED_META:
		snprintf(buf, SHARED_KEY_MAX, "%s", kind);
		return 0;
	case SHARED_HOST:
		snprintf(buf, SHARED_KEY_MAX, "%s/%s", kind, uuid_format(&r->host.uuid, uuid));
		return 0;
	case SHARED_ALIVE:
		snprintf(buf, SHARED_KEY_MAX, "%s/%s", kind, uuid_format(&r->alive.host, uuid));
		return 0;
	case SHARED_SEGMENT:
		snprintf(buf, SHARED_KEY_MAX, "%s/%s", kind, r->segment.name);
		return name_check("its name", r->segment.name, ret_error);
	case SHARED_POOL:
		snprintf(buf, SHARED_KEY_MAX, "%s/%s", kind, r->pool.pool.name);
		return name_check("its name", r->pool.pool.name, ret_error);
	case SHARED_BLOCK:
		snprintf(buf, SHARED_KEY_MAX, "%s/%s/%016" PRIx64, kind, r->block.pool,
			 r->block.number);
		return name_check("its pool's name", r->block.pool, ret_error);
	case SHARED_VMAC:
		return mac_key_write(r->vmac.segment, r->vmac.address, kind, buf, ret_error);
	case SHARED_IDENTITY:
		used = snprintf(buf, SHARED_KEY_MAX, "%s/%s/", kind, r->identity.pool);
		base64_write(r->identity.identity, buf + used);
		return name_check("its pool's name", r->identity.pool, ret_error);
	case SHARED_ASK:
		return mac_key_write(r->ask.segment, r->ask.address, kind, buf, ret_error);
	case SHARED_CLUSTER:
		snprintf(buf, SHARED_KEY_MAX, "%s/%s", kind, r->cluster.cluster->name);
		return name_check("its name", r->cluster.cluster->name, ret_error);
	case SHARED_IMAGE:
		return image_key_write(&r->image, buf, ret_error);
	case SHARED_KIND_COUNT:
		break;
	}
	assert(!"a kind of record");
	return -EINVAL;
}

int shared_key_write(const struct shared_record *r, char buf[static SHARED_KEY_MAX],
		     struct error *ret_error)
{
	int result = key_write(r, buf, ret_error);

	if (result < 0) {
		ret_error->code = ERROR_BAD_VALUE;
		return -error_errno(ERROR_BAD_VALUE);
	}
	return 0;
}

/* --- reading --------------------------------------------------------------------------------- */

/* Takes the part before the next '/' (or the end) off *at.  -EINVAL: there is none, or it is too
 * long. */
static int part_take(const char **at, char *ret, size_t size)
{
	const char *end;
	size_t len;

	if (!*at)
		return -EINVAL;
	end = strchr(*at, '/');
	len = end ? (size_t)(end - *at) : strlen(*at);
	if (len >= size)
		return -EINVAL;
	memcpy(ret, *at, len);
	ret[len] = '\0';
	*at = end ? end + 1 : NULL;
	return 0;
}

static int name_take(const char **at, char ret[static NAME_MAX_LEN + 1])
{
	struct error ignored;

	return part_take(at, ret, NAME_MAX_LEN + 1) < 0 ? -EINVAL : name_check("", ret, &ignored);
}

/* One form only for one uuid: a key is compared as text by those who keep it. */
static int uuid_take(const char **at, struct uuid *ret)
{
	char text[UUID_TEXT_MAX], again[UUID_TEXT_MAX];

	if (part_take(at, text, sizeof(text)) < 0 || uuid_parse(text, ret) < 0)
		return -EINVAL;
	return strcmp(uuid_format(ret, again), text) == 0 ? 0 : -EINVAL;
}

static int mac_take(const char **at, vmac_mac_t *ret)
{
	char text[VMAC_MAC_TEXT_MAX], again[VMAC_MAC_TEXT_MAX];

	if (part_take(at, text, sizeof(text)) < 0 || vmac_mac_parse(text, ret, NULL) < 0)
		return -EINVAL;
	return strcmp(vmac_mac_format(*ret, VMAC_MAC_COLON, again), text) == 0 ? 0 : -EINVAL;
}

static int number_take(const char **at, uint64_t *ret)
{
	char text[17];
	uint64_t n = 0;

	if (part_take(at, text, sizeof(text)) < 0 || strlen(text) != 16)
		return -EINVAL;
	for (unsigned int i = 0; i < 16; i++) {
		const char *hex = "0123456789abcdef", *digit = strchr(hex, text[i]);

		if (!digit)
			return -EINVAL;
		n = n << 4 | (uint64_t)(digit - hex);
	}
	*ret = n;
	return n <= INT64_MAX ? 0 : -EINVAL;
}

static int identity_take(const char **at, struct shared_identity *ret)
{
	char text[SHARED_KEY_MAX];

	if (name_take(at, ret->pool) < 0 || part_take(at, text, sizeof(text)) < 0)
		return -EINVAL;
	return base64_read(text, ret->identity, sizeof(ret->identity));
}

static int image_take(const char **at, struct shared_image *ret)
{
	if (strncmp(*at, NO_POOL "/", 2) == 0) {
		*at += 2;
		if (uuid_take(at, &ret->host) < 0)
			return -EINVAL;
	} else if (name_take(at, ret->pool) < 0) {
		return -EINVAL;
	}
	return number_take(at, &ret->number);
}

static int rest_take(const char **at, struct shared_record *r, struct shared_room *room)
{
	switch (r->kind) {
	case SHARED_META:
		return 0;
	case SHARED_HOST:
		return uuid_take(at, &r->host.uuid);
	case SHARED_ALIVE:
		return uuid_take(at, &r->alive.host);
	case SHARED_SEGMENT:
		return name_take(at, r->segment.name);
	case SHARED_POOL:
		return name_take(at, r->pool.pool.name);
	case SHARED_BLOCK:
		return name_take(at, r->block.pool) < 0 ? -EINVAL
							: number_take(at, &r->block.number);
	case SHARED_VMAC:
		r->vmac = (struct shared_vmac){ .segment = room->segment,
						.pool = "",
						.name = "",
						.owner = "",
						.tenant = "",
						.note = "" };
		return name_take(at, room->segment) < 0 ? -EINVAL : mac_take(at, &r->vmac.address);
	case SHARED_IDENTITY:
		return identity_take(at, &r->identity);
	case SHARED_ASK:
		r->ask = (struct shared_ask){ .segment = room->segment, .refused = "" };
		return name_take(at, room->segment) < 0 ? -EINVAL : mac_take(at, &r->ask.address);
	case SHARED_CLUSTER:
		room->cluster = (struct cluster){ .check_target = "", .note = "" };
		r->cluster = (struct shared_cluster){ &room->cluster, "" };
		return name_take(at, room->cluster.name);
	case SHARED_IMAGE:
		return *at ? image_take(at, &r->image) : -EINVAL;
	case SHARED_KIND_COUNT:
		break;
	}
	assert(!"a kind of record");
	return -EINVAL;
}

int shared_key_read(const char *key, struct shared_record *ret, struct shared_room *room,
		    struct error *ret_error)
{
	struct shared_record r = { 0 };
	const char *at = key;
	char kind[16];
	int which = -EINVAL;

	if (part_take(&at, kind, sizeof(kind)) == 0)
		which = shared_kind_from_name(kind);
	if (which < 0)
		return error_set(ret_error, ERROR_NOT_FOUND, NULL, "there is no such kind of key");
	r.kind = (enum shared_kind)which;
	if (rest_take(&at, &r, room) < 0 || at)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "that is not the key of a %s",
				 shared_kind_name(r.kind));
	*ret = r;
	return 0;
}
