/* An export becomes the shared registry.
 *
 * It may be larger than a transaction of etcd, so it is put in many, and may end between any two of
 * them.  That nobody takes a part for the whole, META goes first and says that it is being
 * imported: hosts keep off then, and so does every tool.  What it says last is what the export
 * says.  After an end in between the same file is imported again: what is there is compared with
 * it, all before anything is put, and the rest follows. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/registry_tool.h"

struct importing {
	const struct record_set *from, *there;
	struct shared_record meta; /* as it is put */
	bool meta_put;
	size_t at;
};

static const struct shared_record meta_key = { .kind = SHARED_META };

/* ALIVE records are under the lease of who lives: an import has none to give. */
static bool is_imported(const struct shared_record *r)
{
	return r->kind != SHARED_ALIVE && r->kind != SHARED_META;
}

/* META, where it is not there, then what is not. */
static int next_missing(void *ctx, struct shared_record *ret)
{
	struct importing *i = ctx;

	if (!i->meta_put) {
		i->meta_put = true;
		*ret = i->meta;
		return 1;
	}
	while (i->at < i->from->count) {
		*ret = *i->from->list[i->at++];
		if (is_imported(ret) && !record_set_get(i->there, ret))
			return 1;
	}
	return 0;
}

static int next_meta(void *ctx, struct shared_record *ret)
{
	struct importing *i = ctx;

	if (i->meta_put)
		return 0;
	i->meta_put = true;
	*ret = i->meta;
	return 1;
}

/* What an import that ended before its end has left; anything else is not ours to add to. */
static int compare(const struct importing *i, struct error *ret_error)
{
	const struct shared_record *meta = record_set_get(i->there, &meta_key);
	size_t others = 0;

	if (i->there->count == 0)
		return 0;
	if (!meta || !meta->meta.importing)
		return error_set(ret_error, ERROR_IN_USE, "give another prefix, or empty it first",
				 "the shared registry has %zu records already", i->there->count);
	for (size_t n = 0; n < i->there->count; n++) {
		const struct shared_record *there = i->there->list[n];
		const struct shared_record *from = record_set_get(i->from, there);
		char key[RECORD_KEY_MAX];

		if (there->kind == SHARED_META ? shared_equal(there, &i->meta)
					       : from && shared_equal(there, from))
			continue;
		fprintf(stderr, "%s: %s\n", record_key(there, key),
			from ? "is another one in the file" : "is not in the file");
		others++;
	}
	return others == 0 ? 0
			   : error_set(ret_error, ERROR_CONFLICT, "nothing was written",
				       "another import has not ended: %zu records, listed above, "
				       "are not of this file",
				       others);
}

static int begin(struct importing *i, struct error *ret_error)
{
	const struct shared_record *meta = record_set_get(i->from, &meta_key);

	if (!meta)
		return error_set(ret_error, ERROR_MISSING_FIELD, NULL,
				 "the export has no record 'meta': it says not of which cluster");
	if (meta->meta.importing)
		return error_set(ret_error, ERROR_BAD_VALUE, "take the export that was imported",
				 "it is an export of an import that had not ended");
	i->meta = *meta;
	i->meta.meta.importing = true;
	return 0;
}

int registry_import_shared(const struct tool *t, struct error *ret_error)
{
	struct record_set from, there;
	struct importing i = { .from = &from, .there = &there };
	int r = registry_read_shared(t->file, &from, ret_error);

	if (r < 0)
		return r;
	record_set_init(&there);
	r = begin(&i, ret_error);
	if (r == 0)
		r = record_set_dump(&t->shared, &there, ret_error);
	if (r == 0)
		r = compare(&i, ret_error);
	i.meta_put = there.count > 0;
	if (r == 0) {
		r = shared_restore(&t->shared, false, next_missing, &i, ret_error);
		if (r == 0) {
			i.meta.meta.importing = i.meta_put = false;
			r = shared_restore(&t->shared, true, next_meta, &i, ret_error);
		}
		if (r < 0 && ret_error->hint[0] == '\0')
			snprintf(ret_error->hint, sizeof(ret_error->hint), "%s",
				 "import the same file again: hosts keep off until it has ended");
	}
	record_set_done(&there);
	record_set_done(&from);
	return r;
}
