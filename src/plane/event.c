/* What the programs tell of, and what they did while nobody listened.
 *
 * The ring is pinned like every other map, and so is the place up to which it was read: what an
 * earlier process did not read is read by the next.  A flip that it did read, and died before it
 * made use of it, is still in the gate's word (GATE_FLIPPED), and is told of again from there. */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "plane/internal.h"

static uint64_t word_of(const struct plane *p, unsigned int slot)
{
	return __atomic_load_n(&tables_gate(&p->tables, slot)->word, __ATOMIC_ACQUIRE);
}

/* The gate is as the flip left it, or as we agreed that it be. */
static bool flip_holds(const struct plane *p, uint32_t id, uint32_t generation)
{
	uint64_t word = word_of(p, id);

	return GATE_STATE(word) == GATE_IS_OPEN && GATE_GENERATION(word) == generation;
}

static int on_event(void *ctx, void *data, size_t size)
{
	struct plane *p = ctx;
	const struct event *from = data;
	struct plane_event e = { 0 };

	if (size < sizeof(*from) || from->kind >= PLANE_EVENT_KIND_COUNT ||
	    (!from->port && from->kind != EVENT_FACE && from->kind != EVENT_ADDRESS) ||
	    from->port > PORTS_MAX || from->len > PLANE_EVENT_FRAME)
		return 0;
	if (from->kind == EVENT_FLIPPED) {
		if (!flip_holds(p, from->port, from->generation) ||
		    p->flip_told[from->port] == from->generation)
			return 0;
		p->flip_told[from->port] = from->generation;
	} else if (from->generation < p->gate_born[from->port]) {
		return 0; /* of an earlier port with that number */
	}
	e.kind = (enum plane_event_kind)from->kind;
	e.port = from->port;
	e.at.ns = (int64_t)from->at;
	e.cluster = FACE_CLUSTER(from->face);
	e.face = FACE_INDEX(from->face);
	e.count = from->count;
	e.len = from->len;
	memcpy(e.frame, from->frame, from->len);
	p->event_fn(p->event_ctx, &e);
	return 0;
}

/* Flips of which the ring does not know any more. */
static void tell_found(struct plane *p)
{
	p->found_open = false;
	for (uint32_t id = 1; id <= PORTS_MAX; id++) {
		struct plane_event e = { .kind = PLANE_FLIPPED, .port = id, .count = 1 };
		uint64_t word;

		if (!p->ports[id].ifindex)
			continue;
		word = word_of(p, id);
		if (!(word & GATE_FLIPPED) || p->flip_told[id] == GATE_GENERATION(word))
			continue;
		p->flip_told[id] = GATE_GENERATION(word);
		e.at = plane_now();
		p->event_fn(p->event_ctx, &e);
	}
}

void gates_open(struct plane *p, const struct gates_fds *fds)
{
	p->peers_fd = fds->peers;
	p->vnis_fd = fds->vnis;
	p->nets_fd = fds->nets;
	p->events_fd = fds->events;
}

/* The ring is mapped when there is something in it for the first time: the kernel gives all its
 * pages at once, twice the ring, which a host that only has routers would never read. */
static bool ring_mapped(struct plane *p)
{
	struct pollfd ring = { .fd = p->events_fd, .events = POLLIN };

	if (!p->events && poll(&ring, 1, 0) > 0)
		p->events = ring_buffer__new(p->events_fd, on_event, p, NULL);
	return p->events;
}

void gates_close(struct plane *p)
{
	ring_buffer__free(p->events);
	p->events = NULL;
}

int plane_events_fd(struct plane *p)
{
	return p->events_fd;
}

void plane_events(struct plane *p, void (*fn)(void *ctx, const struct plane_event *e), void *ctx)
{
	p->event_fn = fn;
	p->event_ctx = ctx;
	if (ring_mapped(p))
		ring_buffer__consume(p->events);
	if (p->found_open)
		tell_found(p);
	p->event_fn = NULL;
	p->event_ctx = NULL;
}
