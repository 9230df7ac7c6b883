/* What the engine asks of the thread: a queue, done in order.
 *
 * The engine cannot wait until there is memory again, and an election that was asked for and is
 * not there would be found out when it is needed.  So what finds no memory for its place in the
 * queue is noted at the router's own place, which is always there; it is done behind the queue, and
 * what is asked of the same router later takes its place. */
#include <assert.h>
#include <stdlib.h>

#include "elect/thread.h"

/* In place of a record: the router is to be removed. */
static const struct router removed;

static void late_set(struct elect *e, uint32_t id, const struct router *record)
{
	if (e->late[id])
		e->late_count--;
	if (e->late[id] != &removed)
		router_release(e->late[id]);
	e->late[id] = record;
	if (record)
		e->late_count++;
}

/* Takes the hold of the record over. */
static void command_add(struct elect *e, uint32_t id, const struct router *record)
{
	struct command *c = calloc(1, sizeof(*c));

	pthread_mutex_lock(&e->queues);
	late_set(e, id, c ? NULL : record ? record : &removed);
	if (c) {
		c->id = id;
		c->record = record;
		*e->commands_last = c;
		e->commands_last = &c->next;
	}
	pthread_mutex_unlock(&e->queues);
	punctual_wake(&e->thread);
}

void elect_set(struct elect *e, const struct router *r)
{
	assert(r->id >= 1 && r->id <= ROUTERS_MAX);
	command_add(e, r->id, router_hold(r));
}

void elect_remove(struct elect *e, uint32_t id)
{
	assert(id >= 1 && id <= ROUTERS_MAX);
	command_add(e, id, NULL);
}

void elect_ready(struct elect *e)
{
	pthread_mutex_lock(&e->queues);
	e->ready_asked = true;
	pthread_mutex_unlock(&e->queues);
	punctual_wake(&e->thread);
}

const struct router *commands_asked(struct elect *e, uint32_t id)
{
	const struct router *r = NULL;

	pthread_mutex_lock(&e->queues);
	for (const struct command *c = e->commands; c; c = c->next)
		if (c->id == id)
			r = c->record;
	if (e->late[id])
		r = e->late[id] == &removed ? NULL : e->late[id];
	router_hold(r);
	pthread_mutex_unlock(&e->queues);
	return r;
}

static void command_do(struct elect *e, uint32_t id, const struct router *record)
{
	if (record)
		entry_set(e, record);
	else
		entry_remove(e, id);
}

/* The id of a router that was noted, with what it is to be; 0 = none. */
static uint32_t late_take(struct elect *e, const struct router **ret_record)
{
	uint32_t id = 0;

	pthread_mutex_lock(&e->queues);
	if (e->late_count)
		do
			id++;
		while (!e->late[id]);
	if (id) {
		*ret_record = e->late[id] == &removed ? NULL : e->late[id];
		e->late[id] = NULL;
		e->late_count--;
	}
	pthread_mutex_unlock(&e->queues);
	return id;
}

bool commands_do(struct elect *e)
{
	const struct router *record;
	struct command *c;
	uint32_t id;
	bool stop;

	pthread_mutex_lock(&e->queues);
	c = e->commands;
	e->commands = NULL;
	e->commands_last = &e->commands;
	e->ready_wanted |= e->ready_asked;
	e->ready_asked = false;
	stop = e->stop_wanted;
	pthread_mutex_unlock(&e->queues);
	while (c) {
		struct command *next = c->next;

		command_do(e, c->id, c->record);
		free(c);
		c = next;
	}
	while ((id = late_take(e, &record)))
		command_do(e, id, record);
	entries_settle(e);
	return stop;
}

void commands_free(struct elect *e)
{
	struct command *c;

	while ((c = e->commands)) {
		e->commands = c->next;
		router_release(c->record);
		free(c);
	}
	for (uint32_t id = 1; e->late_count; id++)
		late_set(e, id, NULL);
}
