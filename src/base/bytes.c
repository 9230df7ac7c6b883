#include "base/bytes.h"

#include <string.h>

struct reader reader_of(const void *data, size_t len)
{
	return (struct reader){ .at = data, .end = (const uint8_t *)data + len };
}

size_t reader_left(const struct reader *r)
{
	return (size_t)(r->end - r->at);
}

const uint8_t *read_bytes(struct reader *r, size_t len)
{
	const uint8_t *at = r->at;

	if (r->failed || reader_left(r) < len) {
		r->failed = true;
		return NULL;
	}
	r->at += len;
	return at;
}

static uint64_t read_be(struct reader *r, size_t len)
{
	const uint8_t *at = read_bytes(r, len);
	uint64_t v = 0;

	for (size_t i = 0; at && i < len; i++)
		v = v << 8 | at[i];
	return v;
}

uint8_t read_u8(struct reader *r)
{
	return (uint8_t)read_be(r, 1);
}

uint16_t read_u16(struct reader *r)
{
	return (uint16_t)read_be(r, 2);
}

uint32_t read_u32(struct reader *r)
{
	return (uint32_t)read_be(r, 4);
}

uint64_t read_u64(struct reader *r)
{
	return read_be(r, 8);
}

struct writer writer_of(void *data, size_t len)
{
	return (struct writer){ .start = data, .at = data, .end = (uint8_t *)data + len };
}

size_t writer_used(const struct writer *w)
{
	return (size_t)(w->at - w->start);
}

static uint8_t *writer_claim(struct writer *w, size_t len)
{
	uint8_t *at = w->at;

	if (w->failed || (size_t)(w->end - w->at) < len) {
		w->failed = true;
		return NULL;
	}
	w->at += len;
	return at;
}

static void write_be(struct writer *w, uint64_t v, size_t len)
{
	uint8_t *at;

	if (len < 8 && v >> (8 * len) != 0) {
		w->failed = true;
		return;
	}
	at = writer_claim(w, len);
	for (size_t i = 0; at && i < len; i++)
		at[i] = (uint8_t)(v >> (8 * (len - 1 - i)));
}

void write_u8(struct writer *w, uint64_t v)
{
	write_be(w, v, 1);
}

void write_u16(struct writer *w, uint64_t v)
{
	write_be(w, v, 2);
}

void write_u32(struct writer *w, uint64_t v)
{
	write_be(w, v, 4);
}

void write_u64(struct writer *w, uint64_t v)
{
	write_be(w, v, 8);
}

void write_bytes(struct writer *w, const void *data, size_t len)
{
	uint8_t *at = writer_claim(w, len);

	if (at && len > 0)
		memcpy(at, data, len);
}

void write_zeros(struct writer *w, size_t len)
{
	uint8_t *at = writer_claim(w, len);

	if (at && len > 0)
		memset(at, 0, len);
}
