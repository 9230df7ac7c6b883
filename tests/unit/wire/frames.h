/* One frame of each kind that our encoders can write, for the tests that read them back: our own
 * decoder, tshark and scapy. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define FRAME_MAX 256

struct frame {
	const char *name;
	void (*write)(struct writer *w);
	int kind; /* enum advert_kind, or -1: an announcement */
	uint16_t group;
};

extern const struct frame frames[];
extern const size_t frame_count;

/* The key of every frame that has one. */
#define FRAME_KEY    "secret"
#define FRAME_KEY_ID 7
