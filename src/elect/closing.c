/* The end of all links' sockets at once.
 *
 * The kernel lets go of a packet socket only after a grace period of some 20 ms, so that a hundred
 * links would take seconds one after the other.  Grace periods are shared by all who wait for one:
 * so a few threads close, while the devices are being deleted. */
#include <stdatomic.h>
#include <stdlib.h>

#include "elect/thread.h"

#define CLOSERS_MAX 64

struct closing {
	unsigned int count, closer_count;
	atomic_uint next;
	pthread_t closers[CLOSERS_MAX];
	struct packet_link *packets[];
};

static void *closer(void *ctx)
{
	struct closing *c = ctx;
	unsigned int i;

	while ((i = atomic_fetch_add(&c->next, 1)) < c->count)
		packet_close(c->packets[i]);
	return NULL;
}

struct closing *closing_begin(struct elect *e)
{
	unsigned int links = 0;
	struct closing *c;

	for (struct link *l = e->links; l; l = l->next)
		links++;
	c = calloc(1, sizeof(*c) + links * sizeof(c->packets[0]));
	if (!c)
		return NULL; /* then each link closes its own */
	for (struct link *l = e->links; l; l = l->next) {
		if (!l->packet)
			continue;
		sd_event_source_disable_unref(l->io);
		sd_event_source_disable_unref(l->rest);
		l->io = l->rest = NULL;
		c->packets[c->count++] = l->packet;
		l->packet = NULL;
	}
	while (c->closer_count < c->count && c->closer_count < CLOSERS_MAX &&
	       pthread_create(&c->closers[c->closer_count], NULL, closer, c) == 0)
		c->closer_count++;
	return c;
}

void closing_end(struct closing *c)
{
	if (!c)
		return;
	closer(c); /* what is left, where no thread could be had */
	for (unsigned int i = 0; i < c->closer_count; i++)
		pthread_join(c->closers[i], NULL);
	free(c);
}
