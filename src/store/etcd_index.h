/* The keys that were told, with their revisions: what keeps anything older from being told after
 * something newer, whichever way it comes (a write's answer, the watch, a full read), and what a
 * full read is held against to find what is gone.  About 80 octets a key. */
#pragma once

#include "base/table.h"
#include "store/etcd.h"

struct etcd_index {
	struct table table;
	const struct mem *mem;
	uint32_t generation; /* of the full read under way */
	uint64_t highest;    /* revision that was told */
	size_t live;
};

void etcd_index_init(struct etcd_index *ix, const struct mem *mem);
void etcd_index_done(struct etcd_index *ix);

/* A key is there at that revision.  1: tell it; 0: that or newer was told; -ENOMEM: not noted. */
int etcd_index_there(struct etcd_index *ix, const char *key, uint64_t revision);

/* A watch saw its deletion.  Whether to tell it. */
bool etcd_index_deleted(struct etcd_index *ix, const char *key, uint64_t revision);

/* It is not there at that revision, says an answer that may have overtaken the watch.  Leaves a
 * mark, so that what the watch still has to say of older times is not told.  As _there(). */
int etcd_index_absent(struct etcd_index *ix, const char *key, uint64_t revision);

/* The end of a full read at that revision: what was not seen in it, and is not newer, is gone; told
 * by `gone` and forgotten.  -ENOMEM: nothing done. */
int etcd_index_sweep(struct etcd_index *ix, uint64_t revision,
		     void (*gone)(void *ctx, const char *key), void *ctx);

/* Everything is told again by the next read, as it is then. */
void etcd_index_tell_again(struct etcd_index *ix);
/* Revisions have begun anew (another cluster, or one restored from a copy): everything counts as
 * older than whatever comes. */
void etcd_index_forget_revisions(struct etcd_index *ix);
