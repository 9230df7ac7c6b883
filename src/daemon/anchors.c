#include "daemon/anchors.h"

#include <sys/random.h>
#include <unistd.h>

#include "anchor/anchor.h"
#include "store/store.h"

/* The incarnation is the time of day: greater than in any earlier run, unless the clock was set
 * back; then the others hear this host by what it answers them (balance/group.h), for which it must
 * only be another than before, as the lower bits see to. */
static uint64_t incarnation(wall_t now)
{
	uint16_t other = 0;

	if (getrandom(&other, sizeof(other), GRND_NONBLOCK) < 0)
		other = (uint16_t)getpid();
	return (uint64_t)now.ms << 16 | other;
}

int anchors_begin(const struct anchors_parts *parts, struct anchors **ret, struct error *ret_error)
{
	struct anchor_config config = {
		.mem = parts->mem,
		.plane = parts->plane,
		.number = 1,
		.alone = parts->alone,
		.incarnation = incarnation(parts->now),
	};
	struct store_facts facts;

	store_facts(parts->store, &facts);
	if (uuid_parse(facts.uuid, &config.self) < 0)
		return error_set(ret_error, ERROR_REGISTRY_CORRUPT, NULL,
				 "this host's registry has no identity");
	return anchor_open(&config, ret, ret_error);
}

void anchors_end(struct anchors *a)
{
	anchor_close(a);
}
