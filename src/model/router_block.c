/* A router in one block of memory: the record, its arrays of things with pointers, then what is
 * octets only (addresses, peers, texts) and may stand anywhere. */
#include <assert.h>
#include <string.h>

#include "model/holders.h"
#include "model/router.h"

_Static_assert(sizeof(struct router) % _Alignof(struct router_set) == 0, "sets need no padding");
_Static_assert(_Alignof(struct router_set) == _Alignof(struct router_key), "nor do keys");
_Static_assert(_Alignof(struct router_set) == _Alignof(struct router_track), "nor do tracks");
_Static_assert(_Alignof(struct router_address) == 1 && _Alignof(struct ip) == 1,
	       "addresses need no padding");

size_t router_block_size(const struct router *r)
{
	size_t size = sizeof(*r) + r->set_count * sizeof(*r->sets) +
		      r->key_count * sizeof(*r->keys) + r->track_count * sizeof(*r->tracks) +
		      strlen(r->notify) + 1 + strlen(r->note) + 1;

	assert(r->set_count <= ROUTER_SETS_MAX && r->key_count <= ROUTER_KEYS_MAX);
	assert(r->track_count <= ROUTER_TRACKS_MAX);
	for (unsigned int i = 0; i < r->set_count; i++)
		size += r->sets[i].address_count * sizeof(*r->sets[i].addresses) +
			r->sets[i].peer_count * sizeof(*r->sets[i].peers);
	for (unsigned int i = 0; i < r->key_count; i++)
		size += strlen(r->keys[i].secret) + 1;
	for (unsigned int i = 0; i < r->track_count; i++)
		size += strlen(r->tracks[i].target) + 1;
	return size;
}

/* Copies `size` octets to *at, which moves behind them; NULL where there is nothing. */
static void *put(char **at, const void *data, size_t size)
{
	void *start = *at;

	if (size == 0)
		return NULL;
	memcpy(*at, data, size);
	*at += size;
	return start;
}

static const char *put_text(char **at, const char *text)
{
	return put(at, text, strlen(text) + 1);
}

struct router *router_block_fill(void *block, const struct router *r)
{
	struct router *copy = block;
	char *at = (char *)block + sizeof(*copy);
	struct router_track *tracks;
	struct router_set *sets;
	struct router_key *keys;

	*copy = *r;
	copy->sets = sets = put(&at, r->sets, r->set_count * sizeof(*r->sets));
	copy->keys = keys = put(&at, r->keys, r->key_count * sizeof(*r->keys));
	copy->tracks = tracks = put(&at, r->tracks, r->track_count * sizeof(*r->tracks));
	for (unsigned int i = 0; i < r->set_count; i++) {
		sets[i].addresses = put(&at, sets[i].addresses,
					sets[i].address_count * sizeof(*sets[i].addresses));
		sets[i].peers =
			put(&at, sets[i].peers, sets[i].peer_count * sizeof(*sets[i].peers));
	}
	for (unsigned int i = 0; i < r->key_count; i++)
		keys[i].secret = put_text(&at, keys[i].secret);
	for (unsigned int i = 0; i < r->track_count; i++)
		tracks[i].target = put_text(&at, tracks[i].target);
	copy->notify = put_text(&at, r->notify);
	copy->note = put_text(&at, r->note);
	return copy;
}

/* --- holders --------------------------------------------------------------------------------- */

const struct router *router_record_new(const struct router *r, const struct mem *m)
{
	void *block = holders_new(m, router_block_size(r));

	return block ? router_block_fill(block, r) : NULL;
}

const struct router *router_hold(const struct router *r)
{
	holders_add(r);
	return r;
}

void router_release(const struct router *r)
{
	holders_drop(r);
}
