#include "nodes.h"

#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <stdatomic.h>

#include <cmocka.h>

#define ROUNDS 40

struct node nodes[NODES_MAX];
const uint8_t nodes_key[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };

static void *registry;
static uint64_t draws;

/* Shared with the store's thread. */
static atomic_long until_shortage, shortages, in_use;

static void *heap_alloc(void *ctx, size_t size)
{
	const long left = atomic_fetch_sub(&until_shortage, 1);
	/* More than there ever is: who asks for that wants none (and a sanitizer takes it ill). */
	const bool is_short = (left <= 1 && left + shortages > 1) || size > PTRDIFF_MAX / 2;
	void *p = is_short ? NULL : calloc(1, size);

	in_use += p != NULL;
	return p;
}

static void heap_free(void *ctx, void *p)
{
	in_use -= p != NULL;
	free(p);
}

void nodes_starve(unsigned int nth, unsigned int times)
{
	shortages = 0;
	until_shortage = nth;
	shortages = times;
}

bool nodes_starved(void)
{
	shortages = 0;
	return until_shortage <= 0;
}

long nodes_memory(void)
{
	return in_use;
}

static const struct mem heap = { heap_alloc, heap_free, NULL };

static mono_t mono_now(void)
{
	return (mono_t){ rig_mono_ns };
}

static wall_t wall_now(void)
{
	return (wall_t){ rig_wall_ms };
}

static void random_fill(void *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)(++draws * 0x9e3779b97f4a7c15ULL >> 40);
}

static void say(enum log_level level, const char *line)
{
	print_message("  %s\n", line);
}

void nodes_begin(void)
{
	/* For who looks for what went wrong. */
	if (getenv("NODES_LOG"))
		log_set(say, LOG_LEVEL_DEBUG);
	memset(nodes, 0, sizeof(nodes));
	draws = 0;
	registry = shared_mem_new(&heap, 7);
	for (unsigned int i = 0; i < NODES_MAX; i++) {
		snprintf(nodes[i].name, sizeof(nodes[i].name), "host%u", i);
		nodes[i].host.carrier = true;
		snprintf(nodes[i].rig.directory, sizeof(nodes[i].rig.directory),
			 "/tmp/vmac-nodes-XXXXXX");
		assert_non_null(mkdtemp(nodes[i].rig.directory));
	}
}

enum error_code node_try(unsigned int i)
{
	struct node *n = &nodes[i];
	struct store_config store = { .backend = "sqlite",
				      .directory = n->rig.directory,
				      .mem = &heap };
	struct shared_config shared = { .backend = "mem", .mem_registry = registry };
	struct engine_fleet fleet = {
		.shared = &shared,
		.name = n->name,
		.address = { .family = 4, .octet = { 10, 0, 0, (uint8_t)(i + 1) } },
		.tunnel_port = 14789,
		.tunnel_ifindex = 2,
		.has_key = true,
	};
	struct engine_config config = {
		.mem = &heap,
		.mono_now = mono_now,
		.wall_now = wall_now,
		.random = random_fill,
		.host = &n->host,
		.plane = &n->plane,
		.anchors = &n->anchors,
		.fleet = n->alone ? NULL : &fleet,
	};
	struct error error = { 0 };
	int r;

	memcpy(fleet.key, nodes_key, sizeof(nodes_key));
	fake_plane_next = &n->plane;
	if (store_open(&store, &n->rig.store, &error) < 0)
		return error.code;
	config.store = n->rig.store;
	n->rig.engine = NULL;
	r = engine_new(&config, &n->rig.engine, &error);
	if (r == 0)
		r = engine_start(n->rig.engine, &error);
	if (r < 0) {
		store_close(n->rig.store);
		if (n->rig.engine)
			engine_free(n->rig.engine);
		return error.code;
	}
	fake_wire(&n->plane);
	n->up = true;
	nodes_settle();
	return ERROR_NONE;
}

void node_start(unsigned int i)
{
	assert_int_equal(node_try(i), ERROR_NONE);
}

void node_stop(unsigned int i)
{
	struct node *n = &nodes[i];

	rig_settle(&n->rig);
	engine_leave(n->rig.engine);
	store_close(n->rig.store);
	engine_free(n->rig.engine);
	fake_unwire(&n->plane);
	n->up = false;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *at)
{
	return remove(path);
}

int nodes_wipe(void)
{
	int r = 0;

	for (unsigned int i = 0; i < NODES_MAX; i++)
		r |= nftw(nodes[i].rig.directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return r;
}

void nodes_end(void)
{
	for (unsigned int i = 0; i < NODES_MAX; i++)
		if (nodes[i].up)
			node_stop(i);
	assert_int_equal(nodes_wipe(), 0);
	shared_mem_free(registry);
}

void node_cut(unsigned int i, bool cut)
{
	struct shared_mem_faults faults = { .cut = cut };

	shared_mem_fault(nodes[i].rig.engine->side->shared, &faults);
	nodes_settle();
}

static void turn(struct node *n)
{
	if (!n->up)
		return;
	engine_shared_ready(n->rig.engine);
	rig_settle(&n->rig);
	engine_plane_ready(n->rig.engine);
	engine_anchors_ready(n->rig.engine);
	engine_host_ready(n->rig.engine);
	engine_time_passed(n->rig.engine);
	rig_settle(&n->rig);
}

void nodes_settle(void)
{
	for (unsigned int round = 0; round < ROUNDS; round++) {
		for (unsigned int i = 0; i < NODES_MAX; i++)
			turn(&nodes[i]);
		rig_mono_ns += 1000;
	}
}

void nodes_leap(int64_t ms, int64_t step)
{
	for (int64_t left = ms; left > 0; left -= step) {
		rig_mono_ns += step * 1000000;
		rig_wall_ms += step;
		for (unsigned int round = 0; round < 3; round++)
			for (unsigned int i = 0; i < NODES_MAX; i++)
				turn(&nodes[i]);
	}
}

void nodes_pass(int64_t ms)
{
	nodes_leap(ms, 50);
	nodes_settle();
}

/* --- commands -------------------------------------------------------------------------------- */

static enum error_code answered(struct node *n, unsigned int before)
{
	nodes_settle();
	for (int i = 0; i < 200 && n->answer.count == before; i++)
		nodes_pass(50);
	assert_int_equal(n->answer.count, before + 1);
	if (n->answer.code != ERROR_NONE)
		print_message("%s: %s\n", n->name, n->answer.message);
	return n->answer.code;
}

enum error_code node_segment(unsigned int i, const char *name)
{
	struct segment_add add = { .name = name, .uplink = "eth0" };
	unsigned int before = nodes[i].answer.count;

	engine_segment_add(nodes[i].rig.engine, &rig_caller, &add, rig_answered, &nodes[i].answer);
	return answered(&nodes[i], before);
}

enum error_code node_pool(unsigned int i, const char *name, const char *range)
{
	struct pool_add add = {
		.name = name, .segment = "", .quarantine_ms = -1, .range_count = 1
	};
	unsigned int before = nodes[i].answer.count;

	assert_int_equal(vmac_mac_range_parse(range, &add.ranges[0], NULL), 0);
	engine_pool_add(nodes[i].rig.engine, &rig_caller, &add, rig_answered, &nodes[i].answer);
	return answered(&nodes[i], before);
}

static enum error_code node_add(unsigned int i, const struct vmac_add *add)
{
	unsigned int before = nodes[i].answer.count;

	engine_vmac_add(nodes[i].rig.engine, &rig_caller, add, rig_answered, &nodes[i].answer);
	return answered(&nodes[i], before);
}

enum error_code node_vmac(unsigned int i, const char *name)
{
	struct vmac_add add = RIG_VMAC;

	add.name = name;
	return node_add(i, &add);
}

enum error_code node_given(unsigned int i, vmac_mac_t address)
{
	struct vmac_add add = RIG_VMAC;

	add.has_address = true;
	add.address = address;
	return node_add(i, &add);
}

enum error_code node_stable(unsigned int i, const char *identity)
{
	struct vmac_add add = RIG_VMAC;

	add.identity = identity;
	return node_add(i, &add);
}

enum error_code node_batch(unsigned int i, uint32_t count)
{
	struct vmac_batch batch = {
		.segment = "", .pool = "", .owner = "", .tenant = "", .note = "", .name_prefix = ""
	};
	unsigned int before = nodes[i].answer.count;

	batch.count = count;
	engine_vmac_add_batch(nodes[i].rig.engine, &rig_caller, &batch, rig_answered,
			      &nodes[i].answer);
	return answered(&nodes[i], before);
}

enum error_code node_port(unsigned int i, const char *name, const char *which)
{
	struct port_add add = {
		.name = name,
		.kind = PORT_TAP,
		.segment = "",
		.vmac = which,
		.allocate = RIG_VMAC,
		.ifname = "",
		.peer_netns = "",
		.peer_ifname = "",
		.owner_uid = UINT32_MAX,
		.owner_gid = UINT32_MAX,
	};
	unsigned int before = nodes[i].answer.count;

	engine_port_add(nodes[i].rig.engine, &rig_caller, &add, rig_answered, &nodes[i].answer);
	return answered(&nodes[i], before);
}

enum error_code node_port_delete(unsigned int i, const char *name)
{
	unsigned int before = nodes[i].answer.count;

	engine_port_delete(nodes[i].rig.engine, &rig_caller, name, false, rig_answered,
			   &nodes[i].answer);
	return answered(&nodes[i], before);
}

enum error_code node_move(unsigned int i, enum engine_move_verb verb, vmac_mac_t address)
{
	unsigned int before = nodes[i].answer.count;
	char text[VMAC_MAC_TEXT_MAX];
	struct vmac_ref ref = { "", vmac_mac_format(address, VMAC_MAC_COLON, text) };

	engine_move(nodes[i].rig.engine, &rig_caller, verb, &ref, 0, false, rig_answered,
		    &nodes[i].answer);
	return answered(&nodes[i], before);
}

/* --- looks ----------------------------------------------------------------------------------- */

static bool look(unsigned int i, vmac_mac_t address, struct vmac_view *ret)
{
	char text[VMAC_MAC_TEXT_MAX];
	struct vmac_ref ref = { "", vmac_mac_format(address, VMAC_MAC_COLON, text) };
	struct error error;

	return engine_vmac_view(nodes[i].rig.engine, &ref, ret, &error) == 0;
}

int node_state(unsigned int i, vmac_mac_t address)
{
	struct vmac_view view;

	return look(i, address, &view) ? view.vmac->state : -1;
}

uint64_t node_epoch(unsigned int i, vmac_mac_t address)
{
	struct vmac_view view;

	assert_true(look(i, address, &view));
	return view.vmac->epoch;
}

const char *node_move_state(unsigned int i, vmac_mac_t address)
{
	struct move_view move;

	return side_move(nodes[i].rig.engine->side, "lan", address, &move) ? move.state : "";
}

enum plane_gate node_gate(unsigned int i, vmac_mac_t address)
{
	struct fake_port *port = fake_port_of(&nodes[i].plane, address);

	assert_non_null(port);
	return port->port.gate;
}
