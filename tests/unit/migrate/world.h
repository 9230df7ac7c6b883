/* Hosts that share one vMAC, as a world small enough to be copied: a machine each, a registry with
 * compare-and-swap whose answers come late or not at all, ports, gates, and a guest. */
#pragma once

#include "migrate/migrate.h"

#define HOSTS	 3
#define VERSIONS 200

struct version {
	bool exists;
	uint8_t state;
	int8_t holder, to; /* -1 = none */
	uint8_t move;
	uint64_t epoch;
};

struct ask_version {
	bool exists, refused;
	int8_t host;
	uint8_t why, move;
};

enum write_fate { NO_WRITE, ON_ITS_WAY, LANDED, TOO_LATE };

struct write {
	uint8_t fate;
	uint8_t base; /* version compared */
	struct migrate_effect effect;
};

struct host {
	struct migrate m;
	uint8_t gate; /* the data plane's */
	bool port, flipped, spoke, said;
	uint8_t told, ask_told; /* versions */
	struct write record, ask;
	bool tag;
	int8_t tag_from;
	uint64_t tag_epoch, journal;
};

struct world {
	unsigned int hosts;
	int8_t guest; /* where it runs; -1 = nowhere */
	mono_t now;
	uint8_t moves;
	unsigned int count, ask_count; /* versions */
	struct version versions[VERSIONS];
	struct ask_version asks[VERSIONS];
	struct host host[HOSTS];
	unsigned int alarms;
};

struct uuid world_uuid(int host);
/* How a world came about, for a failure's report; whoever copies worlds sets the length. */
#define TRACE_MAX 1200
extern unsigned int world_trace_len;

void world_init(struct world *w, unsigned int hosts);

/* Everything that may happen; each returns false where it cannot, and changes nothing then. */
enum world_act {
	W_LAND_RECORD, /* a write reaches the registry */
	W_LAND_ASK,
	W_ANSWER_RECORD, /* the host learns of its outcome */
	W_ANSWER_ASK,
	W_LOSE_RECORD, /* … never does; it may have landed */
	W_LOSE_ASK,
	W_TELL, /* the watch tells the next version */
	W_TELL_ASK,
	W_SPEAK,   /* the guest, where it runs */
	W_FLIPPED, /* the data plane reports */
	W_SPOKE,
	W_TAG,
	W_TIMER,
	W_GUEST_HERE, /* it stops elsewhere, and runs here */
	W_PREPARE,
	W_ABORT,
	W_STOP,
	W_RESUME,
	W_PORT_UP,
	W_PORT_DOWN,
	W_ACT_COUNT
};
bool world_act(struct world *w, enum world_act a, int host);
void world_event(struct world *w, int host, const struct migrate_event *e);

/* Nothing is lost any more, time passes, the guest speaks on; ports where it does not run go. */
void world_settle(struct world *w);
const struct version *world_record(const struct world *w);
bool world_open(const struct world *w, int host);
