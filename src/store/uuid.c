#include "store/uuid.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

char *uuid_make(char buf[static UUID_TEXT_MAX])
{
	uint8_t o[16];

	/* 16 octets are never cut short once the kernel has seeded itself, which it waits for. */
	if (getrandom(o, sizeof(o), 0) != sizeof(o))
		abort();
	o[6] = (o[6] & 0x0f) | 0x40;
	o[8] = (o[8] & 0x3f) | 0x80;
	snprintf(buf, UUID_TEXT_MAX,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", o[0], o[1],
		 o[2], o[3], o[4], o[5], o[6], o[7], o[8], o[9], o[10], o[11], o[12], o[13], o[14],
		 o[15]);
	return buf;
}
