/* A command that waits until the hosts have agreed, until there are blocks, or until another host
 * has the guest that left; of side_park.c and side_command.c only. */
#pragma once

#include "engine/side.h"

enum parked_kind {
	PARK_SEGMENT,
	PARK_POOL,
	PARK_POOL_DELETE,
	PARK_VMAC,
	PARK_BATCH,
	PARK_PORT,
	PARK_PORT_DELETE
};

struct parked {
	struct parked *next;
	struct fleet_side *s;
	enum parked_kind kind;
	struct caller caller;
	answer_fn done;
	void *ctx;
	union {
		struct segment_add segment;
		struct pool_add pool;
		const char *name;
		struct vmac_add vmac;
		struct vmac_batch batch;
		struct port_add port;
		struct {
			const char *name;
			bool release;
		} leaving;
	};
	bool asked;		  /* fleet/ has it, and will answer */
	struct fleet_place place; /* asked: of what */
	bool again;		  /* to be asked for with the next candidate */
	unsigned int tries;
	struct error first; /* what was in the way of the first candidate */
	/* Waiting for blocks of a pool: */
	char room_pool[NAME_MAX_LEN + 1];
	uint64_t room_wanted, room_seen;
	mono_t deadline; /* of that, or of a port's deletion */
	char text[];
};

/* Copies a command with its texts.  NULL: no memory, and the caller has been answered. */
struct parked *park(struct fleet_side *s, const struct parked *as, const struct caller *c,
		    answer_fn done, void *ctx);
void unpark(struct parked *p); /* from the list; whoever does it ends it with engine_dispose() */
/* Answers it with what was in the way, and ends it. */
void park_refuse(struct parked *p, const struct error *error);
