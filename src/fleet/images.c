/* What is in use in our blocks, written behind the journal: others read it when this host is dead.
 * At most one write a second and block, and FLEET_IMAGES_MAX on their way; what changes meanwhile
 * goes with the next. */
#include <stdio.h>
#include <string.h>

#include "fleet/inside.h"

void image_dirty(struct fleet *f, struct own_block *o)
{
	if (write_pending(&o->image_write))
		o->image_again = true;
	else
		list_add(&f->images, &o->image_link);
}

struct collected {
	struct vmac *vmacs;
	unsigned int count;
};

static void collect(void *ctx, const struct vmac *v)
{
	struct collected *c = ctx;

	if (c->count < BLOCK_SIZE_MAX)
		c->vmacs[c->count++] = *v;
}

static struct shared_record image_key(const struct fleet *f, const struct own_block *o)
{
	const struct pool_state *p = o->block->pool;
	struct shared_record r = { .kind = SHARED_IMAGE, .revision = o->image_revision };

	snprintf(r.image.pool, sizeof(r.image.pool), "%s", p->name);
	if (p->record)
		snprintf(r.image.segment, sizeof(r.image.segment), "%s", p->record->pool.segment);
	r.image.number = o->block->number;
	r.image.host = f->self;
	return r;
}

static bool image_send(struct fleet *f, struct own_block *o)
{
	struct shared_record r = image_key(f, o);
	struct collected c = { .count = 0 };

	if (!o->image_known) {
		f->ops->read(f->ctx, &r, write_expect(f, &o->image_write, WRITE_IMAGE_READ, false));
		return true;
	}
	c.vmacs = mem_alloc(f->mem, BLOCK_SIZE_MAX * sizeof(*c.vmacs));
	if (!c.vmacs) {
		fleet_short(f);
		return false;
	}
	f->ops->each(f->ctx, r.image.pool, r.image.number, collect, &c);
	r.image.count = c.count;
	r.image.vmacs = c.vmacs;
	o->image_again = false;
	if (c.count > 0 || o->image_revision > 0)
		write_send(f, &o->image_write, WRITE_IMAGE, &r, c.count == 0);
	mem_free(f->mem, c.vmacs);
	return true;
}

void images_settle(struct fleet *f)
{
	if (f->join != JOIN_IN || !fleet_may_write(f) || f->apart != APART_NOT)
		return;
	LIST_FOR_EACH(&f->images, l)
	{
		struct own_block *o = OF_LINK(struct own_block, image_link, l);

		if (f->images_sent >= FLEET_IMAGES_MAX)
			return;
		if (!mono_due(o->image_at, f->now)) {
			fleet_retry_at(f, o->image_at);
			continue;
		}
		list_remove(&o->image_link);
		if (o->block->host != f->me)
			continue; /* lost meanwhile: its image is another host's */
		if (!image_send(f, o)) {
			list_add(&f->images, &o->image_link);
			return;
		}
		if (write_pending(&o->image_write))
			f->images_sent++;
	}
}

void image_outcome(struct fleet *f, struct own_block *o, enum shared_outcome outcome,
		   uint64_t revision)
{
	bool again = o->image_again;

	f->images_sent--;
	o->image_at = mono_after(f->now, FLEET_IMAGE_INTERVAL);
	if (outcome == SHARED_DONE) {
		o->image_revision = o->block->used > 0 ? revision : 0;
		/* Deleted, or written while the last one went: look. */
		o->image_known = !again && o->block->used > 0;
	} else {
		o->image_known = false;
		again = true;
		if (outcome == SHARED_REFUSED)
			o->image_at = mono_after(f->now, FLEET_REFUSED_RETRY);
		if (outcome == SHARED_LOST)
			f->claims_lost++;
	}
	if (again && o->block->host == f->me)
		list_add(&f->images, &o->image_link);
	block_attend(f, o->block);
	images_settle(f);
}

void image_read(struct fleet *f, struct own_block *o, const struct shared_record *image,
		const struct error *error)
{
	f->images_sent--;
	if (error) {
		o->image_at = mono_after(f->now, FLEET_RETRY);
	} else {
		o->image_known = true;
		o->image_revision = image ? image->revision : 0;
	}
	list_add(&f->images, &o->image_link);
	images_settle(f);
}
