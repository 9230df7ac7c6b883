/* Any document is read without harm; each record that it gives passed its own rules, and each block
 * is the reader's to free. */
#include "fuzz.h"
#include "model/cluster.h"
#include "model/record.h"
#include "model/router.h"
#include "store/export.h"

static long blocks;

static void *count_alloc(void *ctx, size_t size)
{
	blocks++;
	return calloc(1, size);
}

static void count_free(void *ctx, void *p)
{
	blocks -= p != NULL;
	free(p);
}

static const struct mem mem = { count_alloc, count_free, NULL };

static int see_segment(void *ctx, const struct segment *s)
{
	MUST(s->id >= 1 && s->name[0]);
	return 0;
}

static int see_pool(void *ctx, const struct pool *p)
{
	MUST(p->id >= 1 && p->range_count <= POOL_RANGES_MAX);
	return 0;
}

static int see_port(void *ctx, const struct port *p)
{
	MUST(p->id >= 1 && p->kind < PORT_KIND_COUNT && p->router_count <= PORT_ROUTERS_MAX);
	return 0;
}

static int see_router(void *ctx, const struct router *r)
{
	struct error error;

	MUST(router_check(r, &error) == 0);
	return 0;
}

static int see_cluster(void *ctx, const struct cluster *c)
{
	struct error error;

	MUST(cluster_check_record(c, &error) == 0);
	return 0;
}

static int see_record(void *ctx, const struct shared_record *r)
{
	MUST(r->kind < SHARED_KIND_COUNT);
	return 0;
}

static int see_vmac(void *ctx, struct vmac *owned)
{
	MUST(owned->state < VMAC_STATE_COUNT && owned->ip_count <= VMAC_IPS_MAX);
	mem_free(&mem, owned);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct store_visitor visitor = { .segment = see_segment,
					       .pool = see_pool,
					       .port = see_port,
					       .router = see_router,
					       .cluster = see_cluster,
					       .shared = see_record,
					       .vmac = see_vmac };
	struct error error;
	FILE *f;

	for (int shared = 0; shared < 2 && size > 0; shared++) {
		int r;

		f = fmemopen((void *)data, size, "r");
		MUST(f);
		r = shared ? export_read_shared(f, "it", &mem, see_record, NULL, &error)
			   : export_read_own(f, "it", &mem, &visitor, &error);
		fclose(f);
		MUST(r == 0 || (error.code != ERROR_NONE && error.message[0]));
		MUST(blocks == 0);
	}
	return 0;
}
