/* Commands that wait, with all their texts. */
#include "engine/side_park.h"

#include <string.h>

#include "base/cleanup.h"

#define TEXTS_MAX 24

static unsigned int vmac_texts(struct vmac_add *a, const char ***ret)
{
	const char **texts[] = { &a->segment, &a->pool, &a->name,    &a->owner,
				 &a->tenant,  &a->note, &a->identity };

	memcpy(ret, texts, sizeof(texts));
	return ARRAY_LEN(texts);
}

/* Where a command's texts are. */
static unsigned int texts_of(struct parked *p, const char **ret[static TEXTS_MAX])
{
	unsigned int count = 0;

	ret[count++] = &p->caller.who;
	ret[count++] = &p->caller.reason;
	switch (p->kind) {
	case PARK_SEGMENT:
		ret[count++] = &p->segment.name;
		ret[count++] = &p->segment.uplink;
		break;
	case PARK_POOL:
		ret[count++] = &p->pool.name;
		ret[count++] = &p->pool.segment;
		break;
	case PARK_POOL_DELETE:
		ret[count++] = &p->name;
		break;
	case PARK_PORT_DELETE:
		ret[count++] = &p->leaving.name;
		break;
	case PARK_VMAC:
		count += vmac_texts(&p->vmac, ret + count);
		break;
	case PARK_BATCH:
		ret[count++] = &p->batch.segment;
		ret[count++] = &p->batch.pool;
		ret[count++] = &p->batch.owner;
		ret[count++] = &p->batch.tenant;
		ret[count++] = &p->batch.note;
		ret[count++] = &p->batch.name_prefix;
		break;
	case PARK_PORT:
		count += vmac_texts(&p->port.allocate, ret + count);
		ret[count++] = &p->port.name;
		ret[count++] = &p->port.segment;
		ret[count++] = &p->port.vmac;
		ret[count++] = &p->port.ifname;
		ret[count++] = &p->port.peer_netns;
		ret[count++] = &p->port.peer_ifname;
		break;
	}
	return count;
}

struct parked *park(struct fleet_side *s, const struct parked *as, const struct caller *c,
		    answer_fn done, void *ctx)
{
	struct parked template = *as, *p;
	const char **texts[TEXTS_MAX];
	size_t size = sizeof(*p);
	struct error error;
	unsigned int count;
	char *at;

	template.caller = *c;
	count = texts_of(&template, texts);
	for (unsigned int i = 0; i < count; i++)
		size += *texts[i] ? strlen(*texts[i]) + 1 : 0;
	p = engine_alloc(s->e, size);
	if (!p) {
		engine_no_memory(&error);
		engine_refuse(s->e, done, ctx, &error);
		return NULL;
	}
	*p = template;
	p->s = s;
	p->done = done;
	p->ctx = ctx;
	p->deadline = MONO_NEVER;
	at = p->text;
	count = texts_of(p, texts);
	for (unsigned int i = 0; i < count; i++) {
		size_t len = *texts[i] ? strlen(*texts[i]) + 1 : 0;

		if (len == 0)
			continue;
		*texts[i] = memcpy(at, *texts[i], len);
		at += len;
	}
	p->next = s->parked;
	s->parked = p;
	return p;
}

void unpark(struct parked *p)
{
	struct parked **at = &p->s->parked;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
}

void park_refuse(struct parked *p, const struct error *error)
{
	unpark(p);
	engine_refuse(p->s->e, p->done, p->ctx, error);
	engine_dispose(p->s->e, p);
}

bool side_claim_is_coming(const struct fleet_side *s, uint32_t segment, vmac_mac_t address)
{
	for (const struct parked *p = s->parked; p; p = p->next)
		if (p->asked && p->place.segment == segment &&
		    vmac_mac_equal(p->place.address, address))
			return true;
	return false;
}

void side_parked_end(struct fleet_side *s)
{
	struct error error;

	error_set(&error, ERROR_REGISTRY_UNREACHABLE, "try again when it runs",
		  "vmacd is stopping");
	while (s->parked)
		park_refuse(s->parked, &error);
}
