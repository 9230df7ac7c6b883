/* Hosts, each a fleet with a journal that survives its restarts, and one registry between them that
 * tells in order and may be cut off, or lose its answers.  Nothing is delivered but by rig_run().
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fleet/fleet.h"

#define RIG_HOSTS    3
#define RIG_VMACS    256
#define RIG_RECORDS  1024
#define RIG_BLOCKS   64
#define RIG_CLUSTERS 8
#define RIG_BLOCK    4 /* numbers in a block */

struct rig_message {
	struct rig_message *next;
	int kind;
	struct shared_record *record;
	uint64_t token, revision;
	enum shared_outcome outcome;
	struct vmac before, after;
	bool has_before, has_after;
};

struct rig_place { /* by number of the pool: the journal, the port, the gate */
	bool exists, port;
	bool armed_open; /* the data plane opened the gate */
	struct vmac v;
	enum migrate_gate gate;
	unsigned int announced;
};

struct rig_host {
	struct rig *rig;
	struct fleet *fleet;
	struct uuid uuid;
	char name[16];
	const char *key_check; /* NULL: it has no key */
	bool up, cut, answer_lost, slow;
	bool claims; /* a command has claimed what is to be held, and writes it itself */
	struct rig_message *first, **last;
	struct shared_record *kept[RIG_RECORDS];
	struct shared_record *known[RIG_RECORDS]; /* was told, since it is up */
	bool ours[RIG_BLOCKS];
	bool pool_known;
	struct shared_record *clusters[RIG_CLUSTERS]; /* as told, since it is up */
	unsigned int clusters_told;
	struct rig_place places[RIG_VMACS];
	unsigned int notes[FLEET_NOTE_COUNT], reconciles;
	char said[512]; /* the last alarm */
	char registry[512];
};

struct rig {
	struct shared_record *records[RIG_RECORDS];
	uint64_t revision, seed;
	mono_t now;
	struct rig_host hosts[RIG_HOSTS];
	unsigned int host_count;
	uint64_t epochs[RIG_VMACS]; /* the highest of any record */
	long allocs, fail_at;	    /* of memory; fail_at < 0: never */
	long live;
	bool check_blocks;
	struct mem mem;
	unsigned int size; /* of the pool */
	int refuse;
};

void rig_init(struct rig *rig, unsigned int hosts, uint64_t seed);
void rig_done(struct rig *rig);
void rig_up(struct rig *rig, unsigned int host);   /* loads what the journal has, and starts */
void rig_down(struct rig *rig, unsigned int host); /* crashes: the journal stays */
void rig_cut(struct rig *rig, unsigned int host, bool cut);
void rig_run(struct rig *rig, int64_t ms);	       /* time, and all that waits */
bool rig_deliver(struct rig *rig, unsigned int host);  /* one thing that waits */
void rig_tell_all(struct rig *rig, unsigned int host); /* a full read */
void rig_restore(struct rig *rig, struct shared_record **backup);
struct shared_record *rig_copy(const struct shared_record *r); /* free() ends it */
void rig_backup(struct rig *rig, struct shared_record **ret);
void rig_drop_backup(struct rig *rig, struct shared_record **backup);
void rig_agree(struct rig *rig);		      /* segment and pool */
int rig_allocate(struct rig *rig, unsigned int host); /* the number, or -1 */
/* The journal has a cluster's face. */
void rig_face(struct rig *rig, unsigned int host, int number, uint64_t epoch);
void rig_release(struct rig *rig, unsigned int host, int number);
void rig_port(struct rig *rig, unsigned int host, int number, bool up);
void rig_speak(struct rig *rig, unsigned int host, int number); /* the guest's first frame */
int rig_hint(struct rig *rig, unsigned int host, enum migrate_event_kind kind, int number,
	     struct error *e);
enum migrate_state rig_state(struct rig *rig, unsigned int host, int number);
bool rig_held(const struct rig *rig, unsigned int host, int number);
struct fleet_name rig_name(int number);
struct shared_record *rig_find(struct rig *rig, const struct shared_record *key);
void rig_put(struct rig *rig, const struct shared_record *r, bool gone); /* somebody else */
uint64_t rig_random(struct rig *rig);
const struct shared_vmac *rig_record(struct rig *rig, int number);
