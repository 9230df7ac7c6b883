/* Byte cursors for codecs, with a sticky error: the first access out of bounds (or value out of
 * range) marks the cursor, every later one is harmless, and the caller asks once at the end.
 * Multi-byte values are big-endian (network order) on the wire and host order in the arguments. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
	const uint8_t *at, *end;
	bool failed;
};

struct writer {
	uint8_t *start, *at, *end;
	bool failed;
};

/* Borrows data, which must outlive the cursor. */
struct reader reader_of(const void *data, size_t len);
size_t reader_left(const struct reader *r);

/* Each returns 0 (or NULL) and marks the reader when fewer octets are left than asked for. */
uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
const uint8_t *read_bytes(struct reader *r, size_t len); /* points into the data */

struct writer writer_of(void *data, size_t len);
size_t writer_used(const struct writer *w);

/* Each range-checks its value: 256 given to write_u8 marks the writer. */
void write_u8(struct writer *w, uint64_t v);
void write_u16(struct writer *w, uint64_t v);
void write_u32(struct writer *w, uint64_t v);
void write_u64(struct writer *w, uint64_t v);
void write_bytes(struct writer *w, const void *data, size_t len);
void write_zeros(struct writer *w, size_t len);
