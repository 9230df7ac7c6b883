/* An engine over a real store, a clock that tests turn, and commands that wait for their answer. */
#pragma once

#include "engine/engine.h"
#include "store/store.h"

struct rig {
	struct engine *engine;
	struct store *store;
	char directory[64]; /* sqlite; "" = mem */
};

extern int64_t rig_wall_ms, rig_mono_ns; /* the clock */
extern struct elect *rig_elect;		 /* for engines opened from now on; NULL = none */

void rig_open(struct rig *r, const char *backend);
void rig_reopen(struct rig *r); /* as a restart of the daemon would */
void rig_close(struct rig *r);	/* and removes the directory */

/* What the last command was answered. */
struct rig_answer {
	unsigned int count;
	enum error_code code;
	char message[ERROR_TEXT_MAX], hint[ERROR_TEXT_MAX];
	vmac_mac_t address; /* of the vMAC, or the last one of a batch */
	uint64_t epoch;
	size_t addresses;
	int state;
};
void rig_answered(void *ctx, const struct answer *answer); /* ctx: a struct rig_answer */
void rig_settle(struct rig *r);				   /* until nothing is pending */

extern const struct caller rig_caller;

/* Waits; returns the code. */
enum error_code rig_segment(struct rig *r, const char *name, struct rig_answer *a);
enum error_code rig_pool(struct rig *r, const char *name, const char *range, struct rig_answer *a);
enum error_code rig_vmac(struct rig *r, const char *name, struct rig_answer *a);
enum error_code rig_given(struct rig *r, const char *address, bool adopted, const char *owner,
			  struct rig_answer *a);
enum error_code rig_release(struct rig *r, const char *which, struct rig_answer *a);
void rig_pass(struct rig *r, int64_t ms); /* time goes by, and the engine is told */
struct pool_view rig_pool_view(struct rig *r, const char *name);

#define RIG_VMAC                                                                                   \
	(struct vmac_add)                                                                          \
	{                                                                                          \
		.segment = "", .pool = "", .name = "", .owner = "", .tenant = "", .note = "",      \
		.identity = ""                                                                     \
	}
