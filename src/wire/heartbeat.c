#include "wire/heartbeat.h"

#include <assert.h>
#include <nettle/memops.h>
#include <sodium/crypto_shorthash_siphash24.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/eth.h"

#define VERSION	      1
#define SIGNED_AT     6	 /* the tag covers all from the source address on … */
#define MESSAGE_AT    14 /* … and the length counts from the mark on */
#define CLUSTER_AT    52
#define FACES_AT      116
#define FACE_LEN      12
#define ECHO_LEN      8
#define TAG_LEN	      8
#define BITMAPS	      5
#define LEAVING	      1
#define ECHO_FLAGS    (HEARTBEAT_COUNTS | HEARTBEAT_ANSWERS)
#define NAMES_LEN_MAX 512 /* of segment and cluster together */

#define LEN_AT_MOST                                                                                \
	(FACES_AT + HEARTBEAT_FACES_MAX * FACE_LEN + BITMAPS * HEARTBEAT_BITMAP_MAX +              \
	 HEARTBEAT_ECHOES_MAX * ECHO_LEN + TAG_LEN)
_Static_assert(LEN_AT_MOST <= HEARTBEAT_LEN_MAX, "it fits a frame, whatever it says");
_Static_assert(FACES_AT + TAG_LEN >= ETH_FRAME_MIN, "no frame needs padding");
_Static_assert(crypto_shorthash_siphash24_BYTES == TAG_LEN, "SipHash-2-4 of 64 bits");
_Static_assert(crypto_shorthash_siphash24_KEYBYTES == HEARTBEAT_KEY_LEN, "a key of 128 bits");

const vmac_mac_t heartbeat_group = { { 0x03, 0x76, 0x4d, 0x41, 0x43, 0x00 } };
static const uint8_t mark[] = { 'v', 'M', 'H' };

uint64_t heartbeat_cluster(const char *segment, const char *name,
			   const uint8_t key[static HEARTBEAT_KEY_LEN])
{
	const size_t before = strlen(segment), after = strlen(name);
	uint8_t text[NAMES_LEN_MAX], hash[TAG_LEN] = { 0 };
	struct reader r = reader_of(hash, sizeof(hash));
	struct writer w = writer_of(text, sizeof(text));

	write_bytes(&w, segment, before);
	write_u8(&w, '/');
	write_bytes(&w, name, after);
	assert(!w.failed);
	crypto_shorthash_siphash24(hash, text, writer_used(&w), key);
	return read_u64(&r);
}

/* --- writing --------------------------------------------------------------------------------- */

static void write_view(struct writer *w, const struct heartbeat_view *v)
{
	write_u64(w, v->epoch);
	write_u32(w, v->number);
}

static void write_bits(struct writer *w, const struct heartbeat_bits *b, unsigned int octets)
{
	for (unsigned int i = octets; i < HEARTBEAT_BITMAP_MAX; i++)
		assert(!b->octet[i]);
	write_bytes(w, b->octet, octets);
}

static size_t length_of(unsigned int faces, unsigned int octets, unsigned int echoes)
{
	return FACES_AT + faces * FACE_LEN + BITMAPS * octets + echoes * ECHO_LEN + TAG_LEN;
}

static void write_head(struct writer *w, vmac_mac_t source, const struct heartbeat *h)
{
	const size_t len = length_of(h->face_count, h->bitmap_octets, h->echo_count);

	write_bytes(w, heartbeat_group.octet, sizeof(heartbeat_group.octet));
	write_bytes(w, source.octet, sizeof(source.octet));
	write_u16(w, HEARTBEAT_TYPE);
	write_bytes(w, mark, sizeof(mark));
	write_u8(w, VERSION);
	write_u16(w, len - MESSAGE_AT);
	write_bytes(w, h->host, sizeof(h->host));
	write_u16(w, h->number);
	write_u16(w, h->leaving ? LEAVING : 0);
	write_u64(w, h->incarnation);
	write_u32(w, h->sequence);
	write_u64(w, h->cluster);
	write_u64(w, h->generation);
	write_view(w, &h->committed);
	write_view(w, &h->installed);
	write_view(w, &h->proposed);
	write_u64(w, h->proposed_generation);
	write_u8(w, h->face_count);
	write_u8(w, h->bitmap_octets);
	write_u8(w, h->echo_count);
	write_u8(w, 0);
}

void heartbeat_write(struct writer *w, vmac_mac_t source, const struct heartbeat *h,
		     const uint8_t key[static HEARTBEAT_KEY_LEN])
{
	uint8_t frame[HEARTBEAT_LEN_MAX], tag[TAG_LEN];
	struct writer f = writer_of(frame, sizeof(frame));

	assert(h->face_count <= HEARTBEAT_FACES_MAX && h->echo_count <= HEARTBEAT_ECHOES_MAX);
	assert(h->bitmap_octets <= HEARTBEAT_BITMAP_MAX);
	write_head(&f, source, h);
	for (unsigned int i = 0; i < h->face_count; i++) {
		write_u8(&f, h->faces[i].state);
		write_u8(&f, 0);
		write_u16(&f, h->faces[i].to);
		write_u64(&f, h->faces[i].epoch);
	}
	write_bits(&f, &h->hosted, h->bitmap_octets);
	write_bits(&f, &h->fit, h->bitmap_octets);
	write_bits(&f, &h->busy, h->bitmap_octets);
	write_bits(&f, &h->fresh, h->bitmap_octets);
	write_bits(&f, &h->known, h->bitmap_octets);
	for (unsigned int i = 0; i < h->echo_count; i++) {
		write_u16(&f, h->echoes[i].number);
		write_u16(&f, h->echoes[i].flags);
		write_u32(&f, h->echoes[i].sequence);
	}
	assert(!f.failed);
	crypto_shorthash_siphash24(tag, frame + SIGNED_AT, writer_used(&f) - SIGNED_AT, key);
	write_bytes(&f, tag, sizeof(tag));
	write_bytes(w, frame, writer_used(&f));
}

/* --- reading --------------------------------------------------------------------------------- */

static void take_octets(struct reader *r, void *to, size_t len)
{
	const uint8_t *from = read_bytes(r, len);

	if (from)
		memcpy(to, from, len);
}

static void read_view(struct reader *r, struct heartbeat_view *v)
{
	v->epoch = read_u64(r);
	v->number = read_u32(r);
}

/* What the frame is before anything of it is believed: VALID, or why not. */
static enum heartbeat_verdict shape_of(const void *frame, size_t len, size_t *ret_len)
{
	struct reader r = reader_of(frame, len);
	unsigned int faces, octets, echoes;
	const uint8_t *to, *from, *m;
	size_t says, has;

	to = read_bytes(&r, VMAC_MAC_LEN);
	from = read_bytes(&r, VMAC_MAC_LEN);
	if (read_u16(&r) != HEARTBEAT_TYPE || r.failed ||
	    memcmp(to, heartbeat_group.octet, VMAC_MAC_LEN) != 0)
		return HEARTBEAT_NOT;
	m = read_bytes(&r, sizeof(mark));
	if (!m || memcmp(m, mark, sizeof(mark)) != 0)
		return HEARTBEAT_NOT;
	if (read_u8(&r) != VERSION)
		return r.failed ? HEARTBEAT_MALFORMED : HEARTBEAT_VERSION;
	says = MESSAGE_AT + (size_t)read_u16(&r);
	if (len < FACES_AT + TAG_LEN || says > len || from[0] & 1)
		return HEARTBEAT_MALFORMED;
	r.at = (const uint8_t *)frame + FACES_AT - 4;
	faces = read_u8(&r);
	octets = read_u8(&r);
	echoes = read_u8(&r);
	has = length_of(faces, octets, echoes);
	if (read_u8(&r) != 0 || faces > HEARTBEAT_FACES_MAX || octets > HEARTBEAT_BITMAP_MAX ||
	    echoes > HEARTBEAT_ECHOES_MAX || has != says)
		return HEARTBEAT_MALFORMED;
	*ret_len = has;
	return HEARTBEAT_VALID;
}

bool heartbeat_peek(const void *frame, size_t len, uint64_t *ret_cluster)
{
	struct reader r;
	size_t has;

	if (shape_of(frame, len, &has) != HEARTBEAT_VALID)
		return false;
	r = reader_of((const uint8_t *)frame + CLUSTER_AT, sizeof(*ret_cluster));
	*ret_cluster = read_u64(&r);
	return true;
}

static bool is_authentic(const uint8_t *frame, size_t len,
			 const uint8_t key[static HEARTBEAT_KEY_LEN])
{
	uint8_t tag[TAG_LEN];

	crypto_shorthash_siphash24(tag, frame + SIGNED_AT, len - TAG_LEN - SIGNED_AT, key);
	return memeql_sec(tag, frame + len - TAG_LEN, TAG_LEN);
}

/* Whether every octet that says nothing is zero. */
static bool read_all(struct reader *r, struct heartbeat *h)
{
	unsigned int flags, unused = 0;

	take_octets(r, h->host, sizeof(h->host));
	h->number = read_u16(r);
	flags = read_u16(r);
	h->leaving = flags & LEAVING;
	unused |= flags & ~(unsigned int)LEAVING;
	h->incarnation = read_u64(r);
	h->sequence = read_u32(r);
	h->cluster = read_u64(r);
	h->generation = read_u64(r);
	read_view(r, &h->committed);
	read_view(r, &h->installed);
	read_view(r, &h->proposed);
	h->proposed_generation = read_u64(r);
	h->face_count = read_u8(r);
	h->bitmap_octets = read_u8(r);
	h->echo_count = read_u8(r);
	unused |= read_u8(r);
	for (unsigned int i = 0; i < h->face_count; i++) {
		h->faces[i].state = read_u8(r);
		unused |= read_u8(r);
		h->faces[i].to = read_u16(r);
		h->faces[i].epoch = read_u64(r);
	}
	take_octets(r, h->hosted.octet, h->bitmap_octets);
	take_octets(r, h->fit.octet, h->bitmap_octets);
	take_octets(r, h->busy.octet, h->bitmap_octets);
	take_octets(r, h->fresh.octet, h->bitmap_octets);
	take_octets(r, h->known.octet, h->bitmap_octets);
	for (unsigned int i = 0; i < h->echo_count; i++) {
		h->echoes[i].number = read_u16(r);
		h->echoes[i].flags = read_u16(r);
		unused |= h->echoes[i].flags & ~(unsigned int)ECHO_FLAGS;
		h->echoes[i].sequence = read_u32(r);
	}
	return !r->failed && !unused;
}

static bool has_only(const struct heartbeat_bits *some, const struct heartbeat_bits *all)
{
	unsigned int more = 0;

	for (unsigned int i = 0; i < HEARTBEAT_BITMAP_MAX; i++)
		more |= some->octet[i] & ~all->octet[i];
	return !more;
}

static bool view_is_sane(const struct heartbeat_view *v)
{
	return v->number ? v->epoch <= HEARTBEAT_EPOCH_MAX : !v->epoch;
}

static bool faces_are_sane(const struct heartbeat *h)
{
	for (unsigned int i = 0; i < h->face_count; i++) {
		const bool says_to = h->faces[i].to != 0;

		if (h->faces[i].state >= HEARTBEAT_FACE_STATE_COUNT ||
		    h->faces[i].epoch > HEARTBEAT_EPOCH_MAX ||
		    (says_to && h->faces[i].state != HEARTBEAT_YIELDED) ||
		    (h->faces[i].state != HEARTBEAT_IDLE && !h->faces[i].epoch))
			return false;
	}
	return true;
}

static bool echoes_are_sane(const struct heartbeat *h)
{
	for (unsigned int i = 0; i < h->echo_count; i++)
		if (!h->echoes[i].number || !h->echoes[i].sequence ||
		    h->echoes[i].number == h->number ||
		    (i > 0 && h->echoes[i].number <= h->echoes[i - 1].number))
			return false;
	return true;
}

/* One who has the key may still be wrong. */
static bool is_sane(const struct heartbeat *h)
{
	static const struct heartbeat_bits none;
	uint8_t any = 0;

	for (unsigned int i = 0; i < sizeof(h->host); i++)
		any |= h->host[i];
	if (!any || !h->number || !h->incarnation || !h->sequence)
		return false;
	if (!view_is_sane(&h->committed) || !view_is_sane(&h->installed) ||
	    !view_is_sane(&h->proposed))
		return false;
	if (!h->proposed.number && (h->proposed_generation || !has_only(&h->known, &none)))
		return false;
	return has_only(&h->fit, &h->hosted) && has_only(&h->fresh, &h->known) &&
	       faces_are_sane(h) && echoes_are_sane(h);
}

enum heartbeat_verdict heartbeat_read(const void *frame, size_t len,
				      const uint8_t key[static HEARTBEAT_KEY_LEN],
				      struct heartbeat *ret)
{
	struct heartbeat h = { .number = 0 };
	enum heartbeat_verdict v;
	struct reader r;
	size_t has;

	v = shape_of(frame, len, &has);
	if (v != HEARTBEAT_VALID)
		return v;
	if (!is_authentic(frame, has, key))
		return HEARTBEAT_FORGED;
	r = reader_of((const uint8_t *)frame + MESSAGE_AT + 6, has - MESSAGE_AT - 6 - TAG_LEN);
	if (!read_all(&r, &h) || !is_sane(&h))
		return HEARTBEAT_MALFORMED;
	*ret = h;
	return HEARTBEAT_VALID;
}
