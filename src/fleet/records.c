/* The mirror of the registry: what was told last of each record. */
#include <errno.h>
#include <string.h>

#include "fleet/inside.h"

static bool record_is(const void *item, const void *key)
{
	return shared_same_key(item, key);
}

struct shared_record vmac_key_record(const char *segment, vmac_mac_t address, enum shared_kind kind)
{
	struct shared_record key = { .kind = kind };

	if (kind == SHARED_VMAC) {
		key.vmac = (struct shared_vmac){ .segment = segment, .address = address };
		key.vmac.pool = key.vmac.name = key.vmac.owner = "";
		key.vmac.tenant = key.vmac.note = "";
	} else {
		key.ask = (struct shared_ask){ .segment = segment,
					       .address = address,
					       .refused = "" };
	}
	return key;
}

struct shared_record *mirror_get(const struct fleet *f, const struct shared_record *key)
{
	return table_get(&f->records, shared_key_hash(key), key, record_is);
}

int mirror_put(struct fleet *f, const struct shared_record *r, struct shared_record **ret_old)
{
	struct shared_record *old = mirror_get(f, r), *copy = NULL;
	uint64_t hash = shared_key_hash(r);

	if (old ? old->revision == r->revision : r->revision == 0)
		return -EEXIST;
	if (r->revision > 0) {
		copy = shared_copy(f->mem, r);
		if (!copy)
			return -ENOMEM;
		/* Room first: taking out and putting in cannot fail then. */
		if (table_reserve(&f->records, f->records.count + 1) < 0) {
			mem_free(f->mem, copy);
			return -ENOMEM;
		}
	}
	if (old)
		table_remove(&f->records, hash, old);
	if (copy && table_add(&f->records, hash, copy) < 0) {
		mem_free(f->mem, copy);
		return -ENOMEM;
	}
	*ret_old = old;
	return 0;
}

void mirror_done(struct fleet *f)
{
	table_for_each (&f->records, struct shared_record, r)
		mem_free(f->mem, r);
	table_done(&f->records);
}

static void mirrored_told(struct fleet *f, const struct shared_record *r)
{
	bool held = r->kind == SHARED_VMAC && r->revision > 0;
	struct host *holder = held ? host_get(f, &r->vmac.holder) : NULL;
	struct shared_record *old = NULL;
	int e = held && !holder ? -ENOMEM : mirror_put(f, r, &old);

	if (e == -ENOMEM)
		fleet_short(f);
	if (e < 0)
		return;
	if (holder)
		holder->vmacs++;
	if (r->kind == SHARED_VMAC && old)
		host_find(f, &old->vmac.holder)->vmacs--;
	switch (r->kind) {
	case SHARED_VMAC:
		vmac_told(f, r);
		break;
	case SHARED_ASK:
		ask_told(f, r);
		break;
	case SHARED_META:
	case SHARED_HOST:
	case SHARED_ALIVE:
	case SHARED_SEGMENT:
	case SHARED_POOL:
	case SHARED_BLOCK:
	case SHARED_CLUSTER:
	case SHARED_IDENTITY:
	case SHARED_IMAGE:
	case SHARED_KIND_COUNT:
		break;
	}
	mem_free(f->mem, old);
}

void told(struct fleet *f, const struct shared_record *r)
{
	switch (r->kind) {
	case SHARED_META:
		meta_told(f, r);
		return;
	case SHARED_HOST:
		host_told(f, r);
		return;
	case SHARED_ALIVE:
		alive_told(f, r);
		return;
	case SHARED_POOL:
		pool_told(f, r);
		return;
	case SHARED_BLOCK:
		block_told(f, r);
		return;
	case SHARED_CLUSTER:
		cluster_told(f, r);
		return;
	case SHARED_SEGMENT:
	case SHARED_VMAC:
	case SHARED_IDENTITY:
	case SHARED_ASK:
		mirrored_told(f, r);
		return;
	case SHARED_IMAGE:
	case SHARED_KIND_COUNT:
		return; /* images are not watched; newer kinds are not for us */
	}
}
