/* The links that have routers of this host: two programs at each, before all others. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "plane/internal.h"
#include "plane/router.h"

static void link_name(int ifindex, enum attach_side side, char name[static ATTACH_NAME_MAX])
{
	snprintf(name, ATTACH_NAME_MAX, "router%d%s", ifindex,
		 side == ATTACH_ROUTER_OUT ? "out" : "in");
}

static bool link_is_set(const struct router_links *links, int ifindex)
{
	for (size_t i = 0; i < links->count; i++)
		if (links->list[i] == ifindex)
			return true;
	return false;
}

static int link_attach(struct plane *p, int ifindex, struct error *ret_error)
{
	static const struct {
		enum attach_side side;
		enum plane_program program;
	} both[] = {
		{ ATTACH_ROUTER_OUT, PROGRAM_ROUTER_OUT },
		{ ATTACH_ROUTER_IN, PROGRAM_ROUTER_IN },
	};
	char name[ATTACH_NAME_MAX];
	int r;

	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		link_name(ifindex, both[i].side, name);
		r = attach_set(&p->attach, name, ifindex, both[i].side,
			       plane_program_fd(p, both[i].program), p->router_links.deferred,
			       ret_error);
		if (r < 0)
			return r;
	}
	return 0;
}

static void link_detach(struct plane *p, int ifindex)
{
	char name[ATTACH_NAME_MAX];

	link_name(ifindex, ATTACH_ROUTER_IN, name);
	attach_clear(&p->attach, name, ifindex, ATTACH_ROUTER_IN);
	link_name(ifindex, ATTACH_ROUTER_OUT, name);
	attach_clear(&p->attach, name, ifindex, ATTACH_ROUTER_OUT);
}

static int link_remember(struct router_links *links, int ifindex)
{
	size_t room = links->room ? links->room * 2 : 16;
	int *list;

	if (link_is_set(links, ifindex))
		return 0;
	if (links->count == links->room) {
		list = realloc(links->list, room * sizeof(*list));
		if (!list)
			return -ENOMEM;
		links->list = list;
		links->room = room;
	}
	links->list[links->count++] = ifindex;
	return 0;
}

static void link_forget(struct router_links *links, int ifindex)
{
	for (size_t i = 0; i < links->count; i++)
		if (links->list[i] == ifindex) {
			links->list[i] = links->list[--links->count];
			return;
		}
}

int plane_router_link_set(struct plane *p, int ifindex, struct error *ret_error)
{
	bool was_set = link_is_set(&p->router_links, ifindex);
	int r = link_remember(&p->router_links, ifindex);

	if (r < 0)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL,
				 "no memory for a link of routers");
	r = link_attach(p, ifindex, ret_error);
	if (r < 0 && !was_set) {
		link_detach(p, ifindex);
		link_forget(&p->router_links, ifindex);
	}
	return r;
}

int plane_router_link_remove(struct plane *p, int ifindex, struct error *ret_error)
{
	link_detach(p, ifindex);
	link_forget(&p->router_links, ifindex);
	return 0;
}

static bool is_kept(void *ctx, const char *name)
{
	const struct plane *p = ctx;
	int ifindex;

	if (sscanf(name, "router%d", &ifindex) != 1)
		return true; /* plane_sweep()'s */
	return p->attach.tcx && link_is_set(&p->router_links, ifindex);
}

static unsigned int sweep_filters(struct plane *p)
{
	struct if_nameindex *all = if_nameindex();
	unsigned int removed = 0;

	for (struct if_nameindex *i = all; i && i->if_index; i++)
		if (!link_is_set(&p->router_links, (int)i->if_index) &&
		    attach_clear_router_filters(&p->attach, (int)i->if_index))
			removed++;
	if (all)
		if_freenameindex(all);
	return removed;
}

int router_links_sweep(struct plane *p, unsigned int *ret_removed, struct error *ret_error)
{
	struct router_links *links = &p->router_links;
	int r;

	if (links->deferred) {
		links->deferred = false;
		for (size_t i = 0; i < links->count; i++) {
			r = link_attach(p, links->list[i], ret_error);
			/* A link that vanished meanwhile is the election's to notice. */
			if (r < 0 && ret_error->code != ERROR_NO_INTERFACE)
				return r;
		}
	}
	*ret_removed = attach_sweep_links(&p->attach, is_kept, p) + sweep_filters(p);
	return 0;
}

void router_links_purge(struct plane *p)
{
	p->router_links.count = 0;
	attach_sweep_links(&p->attach, is_kept, p);
	sweep_filters(p);
}

void router_links_done(struct plane *p)
{
	free(p->router_links.list);
	p->router_links = (struct router_links){ 0 };
}
