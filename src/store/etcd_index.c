#include "store/etcd_index.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/hash.h"

struct entry {
	uint64_t revision;
	uint32_t generation;
	bool gone; /* told so; stays as a mark until the watch has come that far */
	char key[];
};

static uint64_t hash_of(const char *key)
{
	return hash_bytes(key, strlen(key), 0);
}

static bool entry_is(const void *item, const void *key)
{
	return strcmp(((const struct entry *)item)->key, key) == 0;
}

void etcd_index_init(struct etcd_index *ix, const struct mem *mem)
{
	*ix = (struct etcd_index){ .mem = mem };
	table_init(&ix->table, mem);
}

void etcd_index_done(struct etcd_index *ix)
{
	table_for_each (&ix->table, struct entry, entry)
		mem_free(ix->mem, entry);
	table_done(&ix->table);
}

static struct entry *find(const struct etcd_index *ix, const char *key)
{
	return table_get(&ix->table, hash_of(key), key, entry_is);
}

static int add(struct etcd_index *ix, const char *key, uint64_t revision, bool gone)
{
	size_t len = strlen(key) + 1;
	struct entry *entry = mem_alloc(ix->mem, sizeof(*entry) + len);

	if (!entry)
		return -ENOMEM;
	entry->revision = revision;
	entry->generation = ix->generation;
	entry->gone = gone;
	memcpy(entry->key, key, len);
	if (table_add(&ix->table, hash_of(key), entry) < 0) {
		mem_free(ix->mem, entry);
		return -ENOMEM;
	}
	return 0;
}

static void drop(struct etcd_index *ix, struct entry *entry)
{
	table_remove(&ix->table, hash_of(entry->key), entry);
	mem_free(ix->mem, entry);
}

static void told(struct etcd_index *ix, uint64_t revision)
{
	if (revision > ix->highest)
		ix->highest = revision;
}

int etcd_index_there(struct etcd_index *ix, const char *key, uint64_t revision)
{
	struct entry *entry = find(ix, key);

	if (entry) {
		entry->generation = ix->generation;
		if (entry->revision >= revision)
			return 0;
		if (entry->gone)
			ix->live++;
		entry->gone = false;
		entry->revision = revision;
	} else {
		if (add(ix, key, revision, false) < 0)
			return -ENOMEM;
		ix->live++;
	}
	told(ix, revision);
	return 1;
}

bool etcd_index_deleted(struct etcd_index *ix, const char *key, uint64_t revision)
{
	struct entry *entry = find(ix, key);
	bool tell;

	if (!entry || entry->revision > revision)
		return false;
	tell = !entry->gone;
	ix->live -= tell;
	drop(ix, entry);
	told(ix, revision);
	return tell;
}

int etcd_index_absent(struct etcd_index *ix, const char *key, uint64_t revision)
{
	struct entry *entry = find(ix, key);

	told(ix, revision);
	if (!entry)
		return add(ix, key, revision, true) < 0 ? -ENOMEM : 1;
	if (entry->gone || entry->revision > revision)
		return 0;
	entry->gone = true;
	entry->revision = revision;
	ix->live--;
	return 1;
}

int etcd_index_sweep(struct etcd_index *ix, uint64_t revision,
		     void (*gone)(void *ctx, const char *key), void *ctx)
{
	struct entry **lost;
	size_t count = 0;

	/* The table may not change while it is walked. */
	table_for_each (&ix->table, struct entry, entry)
		count += entry->generation != ix->generation && entry->revision <= revision;
	if (count == 0)
		return 0;
	lost = mem_alloc(ix->mem, count * sizeof(struct entry *));
	if (!lost)
		return -ENOMEM;
	count = 0;
	table_for_each (&ix->table, struct entry, entry)
		if (entry->generation != ix->generation && entry->revision <= revision)
			lost[count++] = entry;
	for (size_t i = 0; i < count; i++) {
		if (!lost[i]->gone) {
			ix->live--;
			gone(ctx, lost[i]->key);
		}
		drop(ix, lost[i]);
	}
	mem_free(ix->mem, lost);
	return 0;
}

void etcd_index_tell_again(struct etcd_index *ix)
{
	table_for_each (&ix->table, struct entry, entry)
		entry->revision = 0;
}

void etcd_index_forget_revisions(struct etcd_index *ix)
{
	etcd_index_tell_again(ix);
	ix->highest = 0;
}
