/* Writes one frame of each kind as a capture file, for programs that are not ours to read.
 *
 * usage: write_frames FILE.pcap	prints the frames' names in their order */
#include <stdio.h>
#include <stdlib.h>

#include "frames.h"

#define LINKTYPE_ETHERNET 1

static void put(FILE *f, const void *data, size_t len)
{
	if (fwrite(data, 1, len, f) != len)
		exit(1);
}

int main(int argc, char **argv)
{
	const uint32_t head[] = { 0xa1b2c3d4, 2 | 4u << 16, 0, 0, 65535, LINKTYPE_ETHERNET };
	FILE *f = argc == 2 ? fopen(argv[1], "wb") : NULL;

	if (!f) {
		fprintf(stderr, "usage: %s FILE.pcap\n", argv[0]);
		return 2;
	}
	put(f, head, sizeof(head));
	for (size_t i = 0; i < frame_count; i++) {
		uint8_t frame[FRAME_MAX];
		struct writer w = writer_of(frame, sizeof(frame));
		uint32_t record[4] = { (uint32_t)i };

		frames[i].write(&w);
		if (w.failed) {
			fprintf(stderr, "%s: cannot be written\n", frames[i].name);
			return 1;
		}
		record[2] = record[3] = (uint32_t)writer_used(&w);
		put(f, record, sizeof(record));
		put(f, frame, writer_used(&w));
		puts(frames[i].name);
	}
	return fclose(f) == 0 ? 0 : 1;
}
