/* Several engines in one process, each a host with a registry, a data plane and a wire of its own,
 * over one shared registry in memory. */
#pragma once

#include "engine/engine.h"
#include "engine/side.h"
#include "fake_kernel.h"
#include "rig.h"

#define NODES_MAX 3

struct node {
	struct rig rig; /* engine, store, directory */
	struct host host;
	struct plane plane;
	struct anchors anchors;
	char name[16];
	bool up, alone; /* alone: without a shared registry */
	struct rig_answer answer;
};

extern struct node nodes[NODES_MAX];
extern const uint8_t nodes_key[16];

void nodes_begin(void); /* no host yet */
void nodes_end(void);
int nodes_wipe(void); /* their folders alone: of a process that dies */

/* Starts host i on the registry that it has (an empty one at first). */
void node_start(unsigned int i);
enum error_code node_try(unsigned int i); /* … or says why it could not */
void node_stop(unsigned int i);		  /* as a daemon that ends would */
void node_cut(unsigned int i, bool cut);  /* from the shared registry */

/* Of all allocations from now on the nth (1 …) fails, and so do those after it, so many times. */
void nodes_starve(unsigned int nth, unsigned int times);
bool nodes_starved(void); /* whether any did; none does from now on */
long nodes_memory(void);  /* blocks that are allocated now */

void nodes_settle(void);     /* until nobody has anything to do now */
void nodes_pass(int64_t ms); /* time goes by */
void nodes_leap(int64_t ms, int64_t step);

/* Each waits; returns the code of the answer, which is in nodes[i].answer. */
enum error_code node_segment(unsigned int i, const char *name);
enum error_code node_pool(unsigned int i, const char *name, const char *range);
enum error_code node_vmac(unsigned int i, const char *name);
enum error_code node_given(unsigned int i, vmac_mac_t address);
enum error_code node_stable(unsigned int i, const char *identity);
enum error_code node_batch(unsigned int i, uint32_t count);
enum error_code node_port(unsigned int i, const char *name, const char *which);
enum error_code node_port_delete(unsigned int i, const char *name);
enum error_code node_move(unsigned int i, enum engine_move_verb verb, vmac_mac_t address);

/* What a host's own registry says; -1: it has no record. */
int node_state(unsigned int i, vmac_mac_t address);
uint64_t node_epoch(unsigned int i, vmac_mac_t address);
const char *node_move_state(unsigned int i, vmac_mac_t address); /* "" = none */
enum plane_gate node_gate(unsigned int i, vmac_mac_t address);
