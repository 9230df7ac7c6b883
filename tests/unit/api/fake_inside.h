/* What the fake engine keeps, for its two halves. */
#pragma once

#include "fake_engine.h"

#define FAKE_MAX       64
#define FAKE_VMACS_MAX 400000

/* A command or a view that waits for its answer. */
struct waiting {
	struct waiting *next;
	mono_t due;
	answer_fn done;
	void (*view)(void *ctx);
	void *ctx;
	struct answer answer;
	struct error error;
	vmac_mac_t *addresses;
	struct move_view move;
	struct engine_event event;
	char reason[NOTE_MAX_LEN + 1], who[40], subject[NAME_MAX_LEN + 1];
};

struct engine {
	mono_t (*mono_now)(void);
	wall_t (*wall_now)(void);
	int fd;
	struct waiting *first, **last;
	struct segment *segments[FAKE_MAX];
	struct pool *pools[FAKE_MAX];
	struct port *ports[FAKE_MAX];
	struct vmac **vmacs;
	size_t vmac_count;
	uint64_t commands, refusals, by_code[ERROR_CODE_COUNT];
	uint64_t next_address, seq;
	uint64_t drops[2];
	mono_t started;
	void (*event_fn)(void *ctx, const struct engine_event *event);
	void *event_ctx;
};

/* Index of the one with that name ("" = the first), or -1. */
int fake_segment_at(struct engine *e, const char *name);
int fake_pool_at(struct engine *e, const char *name);
int fake_port_at(struct engine *e, const char *name);
long fake_vmac_at(struct engine *e, const struct vmac_ref *ref);
/* fake_engine.c: a refusal at once; an answer later, as the caller's reason says. */
void fake_refuse(struct engine *e, answer_fn done, void *ctx, const struct error *error);
struct waiting *fake_accept(struct engine *e, const struct caller *c, const char *what,
			    const char *verb, const char *subject, answer_fn done, void *ctx);
void fake_routers_free(void);
void fake_clusters_free(void);
/* fake_fleet.c */
bool fake_fleet_move(vmac_mac_t address, struct move_view *ret);
void fake_fleet_status(struct fleet_status *ret);
int fake_not_found(const char *what, const char *name, struct error *ret_error);
