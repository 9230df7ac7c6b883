/* Many virtual MACs in one command: all or none, in one transaction. */
#include <stdio.h>
#include <string.h>

#include "engine/side.h"
#include "model/record.h"

static int batch_check(const struct vmac_batch *b, struct error *ret_error)
{
	char longest[NAME_MAX_LEN + 1];

	if (b->count < 1 || b->count > VMAC_BATCH_MAX)
		return error_set(ret_error, ERROR_BAD_VALUE, "1 to 100,000 at a time",
				 "count: %u is out of bounds", b->count);
	if (b->name_prefix[0] &&
	    snprintf(longest, sizeof(longest), "%s%u", b->name_prefix, b->count) > NAME_MAX_LEN)
		return error_set(ret_error, ERROR_BAD_NAME, NULL,
				 "name_prefix: too long for names of %u characters", NAME_MAX_LEN);
	return 0;
}

static int batch_fill(struct txn *t, const struct vmac_batch *b, struct error *ret_error)
{
	char name[NAME_MAX_LEN + 1] = "";
	struct vmac_add one = {
		.segment = b->segment,
		.pool = b->pool,
		.name = name,
		.owner = b->owner,
		.tenant = b->tenant,
		.note = b->note,
		.identity = "",
		.ttl_ms = b->ttl_ms,
	};
	const struct vmac *v;

	for (uint32_t i = 0; i < b->count; i++) {
		int r;

		if (b->name_prefix[0])
			snprintf(name, sizeof(name), "%s%u", b->name_prefix, i + 1);
		r = vmac_create(t, &one, &v, ret_error);
		if (r < 0) {
			if (ret_error->code == ERROR_POOL_EXHAUSTED)
				error_prefix(ret_error, "number %u of %u", i + 1, b->count);
			return r;
		}
		t->addresses[i] = v->address;
	}
	return 0;
}

void engine_vmac_add_batch(struct engine *e, const struct caller *c, const struct vmac_batch *b,
			   answer_fn done, void *ctx)
{
	e->commands++;
	if (e->side)
		side_vmac_batch(e, c, b, done, ctx);
	else
		vmac_batch_now(e, c, b, done, ctx);
}

void vmac_batch_now(struct engine *e, const struct caller *c, const struct vmac_batch *b,
		    answer_fn done, void *ctx)
{
	struct error error;
	struct txn *t;

	if (batch_check(b, &error) < 0) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	t = txn_begin(e, c, done, ctx);
	if (!t)
		return;
	t->addresses = engine_alloc(e, b->count * sizeof(*t->addresses));
	if (!t->addresses) {
		engine_no_memory(&error);
		txn_refuse(t, &error);
		return;
	}
	if (batch_fill(t, b, &error) < 0) {
		txn_refuse(t, &error);
		return;
	}
	t->answer.addresses = t->addresses;
	t->answer.address_count = b->count;
	txn_submit(t);
}
