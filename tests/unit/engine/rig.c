#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>

#include <cmocka.h>

int64_t rig_wall_ms = INT64_C(1790000000000), rig_mono_ns = 1000;
struct elect *rig_elect;
const struct caller rig_caller = { "tester", "because" };

static void *heap_alloc(void *ctx, size_t size)
{
	return calloc(1, size);
}

static void heap_free(void *ctx, void *p)
{
	free(p);
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
	memset(buf, 7, len);
}

static void start(struct rig *r, const char *backend)
{
	struct store_config store = { .backend = backend, .directory = r->directory, .mem = &heap };
	struct engine_config config = {
		.mem = &heap, .mono_now = mono_now, .wall_now = wall_now, .random = random_fill
	};
	struct error error = { 0 };

	if (store_open(&store, &r->store, &error) < 0)
		fail_msg("%s", error.message);
	config.store = r->store;
	config.elect = rig_elect;
	assert_int_equal(engine_new(&config, &r->engine, &error), 0);
	if (engine_start(r->engine, &error) < 0)
		fail_msg("%s", error.message);
}

void rig_open(struct rig *r, const char *backend)
{
	*r = (struct rig){ 0 };
	if (strcmp(backend, "mem") != 0) {
		strcpy(r->directory, "/tmp/vmac-engine-XXXXXX");
		assert_non_null(mkdtemp(r->directory));
	}
	start(r, backend);
}

void rig_reopen(struct rig *r)
{
	rig_settle(r);
	store_close(r->store);
	engine_free(r->engine);
	start(r, "sqlite");
}

void rig_close(struct rig *r)
{
	char command[128];

	rig_settle(r);
	store_close(r->store);
	engine_free(r->engine);
	if (r->directory[0]) {
		snprintf(command, sizeof(command), "rm -r '%s'", r->directory);
		assert_int_equal(system(command), 0);
	}
}

void rig_settle(struct rig *r)
{
	while (store_pending(r->store) > 0) {
		struct pollfd p = { .fd = store_fd(r->store), .events = POLLIN };

		assert_int_equal(poll(&p, 1, 10000), 1);
		engine_store_ready(r->engine);
	}
	engine_store_ready(r->engine);
}

void rig_answered(void *ctx, const struct answer *answer)
{
	struct rig_answer *a = ctx;

	a->count++;
	a->code = ERROR_NONE;
	a->state = -1;
	if (answer->error) {
		a->code = answer->error->code;
		strcpy(a->message, answer->error->message);
		strcpy(a->hint, answer->error->hint);
	}
	if (answer->vmac) {
		a->address = answer->vmac->address;
		a->epoch = answer->vmac->epoch;
		a->state = answer->vmac->state;
	}
	a->addresses = answer->address_count;
	if (answer->address_count > 0)
		a->address = answer->addresses[answer->address_count - 1];
}

enum error_code rig_segment(struct rig *r, const char *name, struct rig_answer *a)
{
	struct segment_add add = { .name = name, .uplink = "" };

	engine_segment_add(r->engine, &rig_caller, &add, rig_answered, a);
	rig_settle(r);
	return a->code;
}

enum error_code rig_pool(struct rig *r, const char *name, const char *range, struct rig_answer *a)
{
	struct pool_add add = {
		.name = name, .segment = "", .quarantine_ms = -1, .range_count = 1
	};

	assert_int_equal(vmac_mac_range_parse(range, &add.ranges[0], NULL), 0);
	engine_pool_add(r->engine, &rig_caller, &add, rig_answered, a);
	rig_settle(r);
	return a->code;
}

enum error_code rig_vmac(struct rig *r, const char *name, struct rig_answer *a)
{
	struct vmac_add add = RIG_VMAC;

	add.name = name;
	engine_vmac_add(r->engine, &rig_caller, &add, rig_answered, a);
	rig_settle(r);
	return a->code;
}

enum error_code rig_given(struct rig *r, const char *address, bool adopted, const char *owner,
			  struct rig_answer *a)
{
	struct vmac_add add = RIG_VMAC;

	add.has_address = true;
	add.adopted = adopted;
	add.owner = owner;
	assert_int_equal(vmac_mac_parse(address, &add.address, NULL), 0);
	engine_vmac_add(r->engine, &rig_caller, &add, rig_answered, a);
	rig_settle(r);
	return a->code;
}

enum error_code rig_release(struct rig *r, const char *which, struct rig_answer *a)
{
	struct vmac_ref ref = { "", which };

	engine_vmac_release(r->engine, &rig_caller, &ref, rig_answered, a);
	rig_settle(r);
	return a->code;
}

void rig_pass(struct rig *r, int64_t ms)
{
	rig_wall_ms += ms;
	rig_mono_ns += ms * 1000000;
	engine_time_passed(r->engine);
	rig_settle(r);
}

struct pool_view rig_pool_view(struct rig *r, const char *name)
{
	struct pool_view view;
	struct error error;

	assert_int_equal(engine_pool_view(r->engine, name, &view, &error), 0);
	return view;
}
