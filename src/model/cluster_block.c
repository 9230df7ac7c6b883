/* A cluster in one block of memory: the record, its members and rules, then what is octets only
 * (faces, addresses, texts) and may stand anywhere. */
#include <assert.h>
#include <string.h>

#include "model/cluster.h"
#include "model/holders.h"

_Static_assert(sizeof(struct cluster) % _Alignof(struct cluster_member) == 0,
	       "members need no padding");
_Static_assert(_Alignof(struct cluster_rule) <= _Alignof(struct cluster_member), "nor do rules");
_Static_assert(_Alignof(vmac_mac_t) == 1 && _Alignof(struct ip) == 1, "nor do addresses");

size_t cluster_block_size(const struct cluster *c)
{
	assert(c->face_count <= CLUSTER_FACES_MAX && c->address_count <= CLUSTER_ADDRESSES_MAX);
	assert(c->rule_count <= CLUSTER_RULES_MAX && c->member_count <= CLUSTER_MEMBERS_MAX);
	return sizeof(*c) + c->member_count * sizeof(*c->members) +
	       c->rule_count * sizeof(*c->rules) + c->face_count * sizeof(*c->faces) +
	       c->address_count * sizeof(*c->addresses) + strlen(c->check_target) + 1 +
	       strlen(c->note) + 1;
}

/* Copies `size` octets to *at, which moves behind them; NULL where there is nothing. */
static const void *put(char **at, const void *data, size_t size)
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

struct cluster *cluster_block_fill(void *block, const struct cluster *c)
{
	struct cluster *copy = block;
	char *at = (char *)block + sizeof(*copy);

	*copy = *c;
	copy->members = put(&at, c->members, c->member_count * sizeof(*c->members));
	copy->rules = put(&at, c->rules, c->rule_count * sizeof(*c->rules));
	copy->faces = put(&at, c->faces, c->face_count * sizeof(*c->faces));
	copy->addresses = put(&at, c->addresses, c->address_count * sizeof(*c->addresses));
	copy->check_target = put_text(&at, c->check_target);
	copy->note = put_text(&at, c->note);
	return copy;
}

const struct cluster *cluster_record_new(const struct cluster *c, const struct mem *m)
{
	void *block = holders_new(m, cluster_block_size(c));

	return block ? cluster_block_fill(block, c) : NULL;
}

const struct cluster *cluster_hold(const struct cluster *c)
{
	holders_add(c);
	return c;
}

void cluster_release(const struct cluster *c)
{
	holders_drop(c);
}
