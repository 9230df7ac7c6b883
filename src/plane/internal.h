/* What the files of this room share; tests/bpf/ may look, too. */
#pragma once

#include <time.h>

#include <linux/limits.h>

#include "plane/attach.h"
#include "plane/plane.h"
#include "plane/router.h"
#include "plane/tables.h"

struct vmac_bpf;
struct routers;
struct clusters;
struct ring_buffer;

struct plane {
	char dir[96];	/* BPFFS/vmac/INSTANCE */
	char maps[128]; /* dir/SCHEMA: the pinned maps */
	int lock_fd;	/* dir, locked: one process an instance */
	struct attach attach;
	struct vmac_bpf *bpf;
	struct tables tables;
	bool maps_reused;
	/* The maps are new, but programs of an earlier run still forward by the old ones: these
	 * programs and the pins of their maps stay until everything is set, and plane_sweep() swaps
	 * them. */
	bool deferred;

	/* As set since plane_open(); ifindex 0 = not set. */
	struct plane_port ports[PORTS_MAX + 1];
	struct plane_uplink uplinks[UPLINKS_MAX + 1];
	unsigned int port_count, uplink_count;

	/* event.c's and tunnel.c's. */
	struct ring_buffer *events; /* NULL: nothing was told yet */
	int events_fd, peers_fd, vnis_fd, nets_fd;
	int tunnel;	 /* ifindex as set since plane_open(); 0 = not set */
	bool found_open; /* a port's flip that this process may not have been told of */
	uint32_t flip_told[PORTS_MAX + 1]; /* the generation of the gate's flip that it was */
	uint32_t gate_born[PORTS_MAX + 1]; /* the generation from which a port's gate is its own */
	void (*event_fn)(void *ctx, const struct plane_event *e);
	void *event_ctx;

	/* router.c's and router_links.c's own, which perhaps another thread uses; all else here it
	 * only reads, and only what never changes after plane_open(). */
	struct routers *routers;
	struct router_links {
		int *list; /* as set since plane_open() */
		size_t count, room;
		bool deferred; /* programs of an earlier run stay until the sweep */
	} router_links;

	struct clusters *clusters; /* cluster.c's */
};

/* event.c */
struct gates_fds {
	int events, peers, vnis, nets;
};
void gates_open(struct plane *p, const struct gates_fds *fds);
void gates_close(struct plane *p);

/* gate.c: brings a set port's gate to what is asked; *ret_open: it is open (now, or still).  And to
 * what a slot without a port has. */
int gate_apply(struct plane *p, uint32_t id, enum plane_gate gate,
	       const struct plane_gate_more *more, bool *ret_open, struct error *ret_error);
void gate_forget(struct plane *p, unsigned int slot);
/* What the word says now. */
bool gate_is_open(const struct plane *p, unsigned int slot);

/* tunnel.c */
struct tunnel_ip tunnel_ip_of(const struct ip *ip);
int plane_attach_tunnel(struct plane *p, int ifindex, struct error *ret_error);
bool plane_forget_tunnel(struct plane *p); /* whether there was one */

/* router.c */
struct routers_fds {
	int routers, slots, maybe, ips, counts;
};
int routers_open(struct plane *p, const struct routers_fds *fds, bool deferred);
void routers_close(struct routers *rs); /* NULL is fine */
/* For plane_purge(), when the thread of the routers is gone. */
void routers_purge(struct plane *p);

/* router_links.c */
int router_links_sweep(struct plane *p, unsigned int *ret_removed, struct error *ret_error);
void router_links_purge(struct plane *p);
void router_links_done(struct plane *p);

/* cluster.c */
struct clusters_fds {
	int slots, confs, rows, members, member_counts, counts, flows, ips, links;
};
int clusters_open(struct plane *p, const struct clusters_fds *fds); /* -errno */
void clusters_close(struct clusters *cs);			    /* NULL is fine */
void clusters_purge(struct plane *p);
/* Whether the slot (of the forwarding table) is a face of a cluster that is set. */
bool cluster_face_is_used(const struct plane *p, unsigned int slot);
/* cluster_ports.c: lists the clusters of a port's guest anew; returns what its row is to say of
 * that.  `is_same`: the guest is who it was. */
uint32_t cluster_port_list(struct plane *p, unsigned int id, unsigned int net, uint64_t mac,
			   bool is_same);
void cluster_port_forget(struct plane *p, unsigned int id);

/* open.c: loads the object with its maps, fresh or taken over. */
int plane_load(struct plane *p, struct error *ret_error);

/* Pins the loaded maps in place of all earlier ones. */
int plane_pin_maps(struct plane *p, struct error *ret_error);
/* Removes all pins and their directories. */
void plane_drop_pins(struct plane *p);

/* plane.c, for the sweep: programs as the state of deferral has it; everything that the tables know
 * of a port or an uplink, both rows of a port included, as a process may have died between the
 * steps of a change. Each returns whether something was known. */
int plane_attach_uplink(struct plane *p, const struct plane_uplink *u, struct error *ret_error);
int plane_attach_port(struct plane *p, const struct plane_port *port, struct error *ret_error);
bool plane_forget_port(struct plane *p, unsigned int slot);
bool plane_forget_uplink(struct plane *p, unsigned int number);

/* claim.c: a claim for each router's vMAC of the row, whose numbers it writes there; the end of
 * those of an earlier row that no row has any more. */
int plane_claims_take(struct plane *p, struct port_row *row, struct error *ret_error);
void plane_claims_release(struct plane *p, unsigned int slot, const struct port_row *row);
/* Whether the slot (of the forwarding table) is a claim that a port's row has. */
bool plane_claim_is_used(const struct plane *p, unsigned int slot);
/* Frees what no row has; returns how many. */
unsigned int plane_claims_sweep(struct plane *p);

enum plane_program {
	PROGRAM_PORT,
	PROGRAM_UPLINK_IN,
	PROGRAM_UPLINK_OUT,
	PROGRAM_DROP_NET,
	PROGRAM_ROUTER_IN,
	PROGRAM_ROUTER_OUT,
	PROGRAM_TUNNEL_IN
};
int plane_program_fd(const struct plane *p, enum plane_program which);

/* CLOCK_BOOTTIME, by which the programs go. */
static inline mono_t plane_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (mono_t){ (int64_t)t.tv_sec * 1000000000 + t.tv_nsec };
}

/* The words that the kernel side compares. */
static inline uint64_t plane_mac_word(vmac_mac_t m)
{
	uint32_t first;
	uint16_t last;

	__builtin_memcpy(&first, m.octet, sizeof(first));
	__builtin_memcpy(&last, m.octet + 4, sizeof(last));
	return MAC_WORD(first, last);
}
