/* The data plane as the engine sees it: ports, uplinks, counters.  An interface, so that another
 * engine than tc-BPF can stand behind it.
 *
 * Theory of operation
 *
 * The programs in bpf/ run at the ingress of every port and at both directions of every uplink.
 * They forward by an exact table that only we write: no learning, no flooding of unknown unicast to
 * ports. Everything they need is in pinned maps below BPFFS/vmac/INSTANCE, and the attachments are
 * pinned links there (kernel >= 6.6) or clsact filters (before), so forwarding goes on as last told
 * whatever becomes of the daemon.  On every port a second, lower filter drops (and counts) whatever
 * our program did not take, so "no program" means "no traffic", never "into the host's stack".
 *
 * Start-up: plane_open() takes over the maps that an earlier run pinned when their layout is ours,
 * or makes new ones; the engine then sets every uplink and port (which swaps each program for ours
 * without losing a frame) and calls plane_sweep(), which removes all that nobody set. */
#pragma once

#include "base/error.h"
#include "model/model.h"

struct plane;

struct plane_config {
	const char *instance; /* a directory name below the bpffs; one daemon each */
	const char *bpffs;    /* NULL = /sys/fs/bpf; mounted there if it is not */
	const char *attach;   /* NULL = the best the kernel has; "tcx" or "clsact" insists */
};

/* Loads, verifies, pins.  Errors: ALREADY_RUNNING (one process an instance at a time),
 * KERNEL_UNSUPPORTED (no BPF, no bpffs, too old: names what), FORBIDDEN, NO_MEMORY, KERNEL_FAILED
 * (the verifier's last line). */
int plane_open(const struct plane_config *config, struct plane **ret, struct error *ret_error);

/* Closes our handles; forwarding goes on.  NULL is fine. */
void plane_close(struct plane *p);

/* Detaches everything and removes the pins: for a stop that means it. */
int plane_purge(struct plane *p, struct error *ret_error);

/* --- uplinks --------------------------------------------------------------------------------- */

struct plane_uplink {
	unsigned int slot; /* 1 … UPLINKS_MAX; 0 stands for internal segments and is never set */
	int ifindex;
	vmac_mac_t address; /* the NIC's own: the host's */
	unsigned int mtu;
};

/* A segment as the data plane knows it: (uplink slot, vlan), or (0, number) for an internal one. */
struct plane_net {
	unsigned int slot;
	uint16_t vlan; /* 0 … 4094; internal: any number 0 … 4095 */
};

/* Attaches (or swaps the programs of) an uplink; called again when its address or mtu changed. */
int plane_uplink_set(struct plane *p, const struct plane_uplink *uplink, struct error *ret_error);
int plane_uplink_remove(struct plane *p, unsigned int slot, struct error *ret_error);

/* --- ports ----------------------------------------------------------------------------------- */

/* What passes a port.  Spoofed, forged and unbound frames pass in none of them.
 *
 *               from the guest           to the guest                    from the wire with its SA
 *   CLOSED      dropped, told of         dropped where it is local (*)   as anybody's
 *   TUNNEL_IN   dropped, told of, but    what the tunnel brings;         as anybody's
 *               for the frame that       else as anybody's
 *               opens it (armed)
 *   OPEN        passes                   passes                          dropped, told of
 *   REDIRECT    dropped, told of         into the tunnel to `peer`       as anybody's, told of
 *   FENCED      dropped, told of         as anybody's: by the wire       as anybody's, told of
 *
 * (*) `elsewhere`: then as anybody's, by the wire, because another host holds the vMAC.  "As
 * anybody's" means as an address that is not on this host. */
enum plane_gate {
	PLANE_CLOSED,
	PLANE_TUNNEL_IN,
	PLANE_OPEN,
	PLANE_REDIRECT,
	PLANE_FENCED,
	PLANE_GATE_COUNT
};

struct plane_gate_more {
	bool elsewhere; /* CLOSED: another host holds the vMAC */
	bool armed;	/* TUNNEL_IN: the first RARP, gratuitous ARP, or unsolicited NA that passes
			 * the guard opens the gate, and goes on as the first frame */
	bool any_frame; /* … or any frame: for hypervisors that announce nothing */
	struct ip peer; /* REDIRECT: the tunnel's other end; family 0: dropped and counted */
};

struct plane_port {
	uint32_t id; /* 1 … PORTS_MAX: the port's slot for counters, stable over restarts */
	int ifindex;
	struct plane_net net;
	vmac_mac_t address;
	enum plane_gate gate;
	struct plane_gate_more more;
	unsigned int mtu; /* of the link: longer frames to it are dropped and counted */
	uint32_t allow;	  /* PORT_ALLOW_… */
	uint32_t flood_pps;
	unsigned int ip_count; /* 0 = IP senders are not checked */
	struct ip ips[VMAC_IPS_MAX];
	/* Routers' vMACs that it may have; then its IP senders are not checked.  Several ports of a
	 * net may have the same, and one holds it at a time: see plane_claims(). */
	unsigned int router_count;
	vmac_mac_t routers[PORT_ROUTERS_MAX];
};

/* Makes the data plane treat this port so, in an order that never forwards wrongly in between: drop
 * net, then guard, then program, then reachability (table and replication list).  Called again to
 * change anything, the ifindex included (a link that came back).  Errors: LIMIT_REACHED
 * (SEGMENT_PORTS_MAX, or too many routers' vMACs on this host), ADDRESS_IN_USE, GROUP_ADDRESS,
 * NO_INTERFACE, KERNEL_FAILED. */
int plane_port_set(struct plane *p, const struct plane_port *port, struct error *ret_error);

/* Takes the port out: unreachable first, then its maps, program and drop net.  A link that is gone
 * is no error.  `keep_dropping` leaves the drop net (the link lives on and belongs to nobody).
 * Counters of the slot start again at zero with the next set. */
int plane_port_remove(struct plane *p, uint32_t id, bool keep_dropping, struct error *ret_error);

/* The same of a port whose guest has moved, but what comes for its vMAC still goes through the
 * tunnel to the peer of its gate (its trail): until plane_trail_end(), plane_purge(), another
 * process's plane_sweep(), or a plane_port_set() of this id or of this vMAC.  A trail keeps the
 * slot, and what it sends on is counted as the tunnel's.  WRONG_STATE: the gate is not REDIRECT, or
 * to no peer. */
int plane_port_leave_trail(struct plane *p, uint32_t id, bool keep_dropping,
			   struct error *ret_error);
/* The guest moved on, to another host.  NOT_FOUND: there is no trail. */
int plane_trail_set(struct plane *p, uint32_t id, const struct ip *peer, struct error *ret_error);
void plane_trail_end(struct plane *p, uint32_t id); /* no trail: fine */

/* Removes every port, uplink and stray program of this instance that was not set since
 * plane_open(); returns how many things it removed.  To be called once after start-up even if
 * nothing is stray: where the maps could not be taken over, it is here that the running programs
 * are swapped.  The drop net of a stray port stays, as with plane_port_remove(keep_dropping): only
 * plane_purge() hands a guest's link to the host. */
int plane_sweep(struct plane *p, unsigned int *ret_removed, struct error *ret_error);

/* Changes the gate alone, in one step that no frame sees half-done; the same as plane_port_set()
 * with another gate, but cheap and without touching programs.  A gate that the data plane opened
 * meanwhile (plane_event FLIPPED) stays open where TUNNEL_IN is asked for again, here and with
 * plane_port_set(), until PLANE_OPEN was asked for once; every other gate that is asked for is what
 * it then is.  *ret_open (may be NULL): whether it is open now.  NOT_FOUND: the port is not set. */
int plane_port_gate(struct plane *p, uint32_t id, enum plane_gate gate,
		    const struct plane_gate_more *more, bool *ret_open, struct error *ret_error);

/* --- the tunnel ------------------------------------------------------------------------------ */

/* The metadata-mode VXLAN link, 0 = none (again after every plane_open(), as with ports); a net has
 * a number in it (VNI, 1 … 2^24 - 1; 0 = takes no part).  Frames are taken from `peers` only, for
 * ports that are TUNNEL_IN or OPEN, and never with the port's own vMAC as their source. */
#define TUNNEL_PEERS_MAX 4096
int plane_tunnel_set(struct plane *p, int ifindex, struct error *ret_error);
/* The source of outer packets, by which peers know this host; family 0 (as at first): as its routes
 * have it.  Before Linux 6.0 always as its routes have it. */
int plane_tunnel_local(struct plane *p, const struct ip *local, struct error *ret_error);
int plane_tunnel_net(struct plane *p, const struct plane_net *net, uint32_t vni,
		     struct error *ret_error);
int plane_tunnel_peer(struct plane *p, const struct ip *peer, bool known, struct error *ret_error);

/* --- events ---------------------------------------------------------------------------------- */

enum plane_event_kind {
	PLANE_FLIPPED,	/* an armed gate opened; once */
	PLANE_SPOKE,	/* a frame from a port whose gate let it not pass; the first at once, then
			 * one a second at most */
	PLANE_STRANGER, /* from the wire, with the vMAC of a port here as its source; likewise, but
			 * what looks like a host's claim (wire/claim.h) up to ten a second */
	/* A cluster's member answered ARP or ND for a virtual address, or for any other a question
	 * that was asked as a face; which is dropped.  Twenty a second of a port at most. */
	PLANE_ANSWERED,
	/* From the wire, with a cluster's face as its source; port is 0.  What looks like a host's
	 * claim is told of as with STRANGER, all else only while this host has the face's lease,
	 * and is dropped then. */
	PLANE_FACE_STRANGER,
	/* From the wire, by ARP or ND to all: a cluster's virtual address is said to be at what is
	 * none of its faces; port is 0.  One a second at most, while this host has the lease of the
	 * first face.  `count` is that of FACE_STRANGER, of the first face. */
	PLANE_ADDRESS_STRANGER,
	PLANE_EVENT_KIND_COUNT
};
#define PLANE_EVENT_FRAME 64
struct plane_event {
	enum plane_event_kind kind;
	uint32_t port; /* id */
	mono_t at;
	/* FACE_STRANGER, ADDRESS_STRANGER, ANSWERED: slot (plane/cluster.h); index. */
	unsigned int cluster, face;
	uint64_t count;		    /* frames of that kind so far, of that port */
	unsigned int len;	    /* of frame: how much of it is here, without a VLAN tag */
	uint8_t frame[PLANE_EVENT_FRAME];
};
int plane_events_fd(struct plane *p); /* readable when there are some; valid until close */
/* Reports what there is; never blocks.  Events that nobody read wait for the next process.  A flip
 * of a gate that was changed or taken away since is not told of any more; one that an earlier
 * process may have read is told of again (`len` 0 where its frame is not known): so call this once
 * when all ports were set, too. */
void plane_events(struct plane *p, void (*fn)(void *ctx, const struct plane_event *e), void *ctx);

/* The socket mark (SO_MARK) under which this daemon's own announcements may leave an uplink with
 * the vMAC of a port whose gate is OPEN.  To set it takes CAP_NET_ADMIN. */
#define PLANE_ANNOUNCE_MARK 0x766d616eu

/* --- claims: which guest is the active router ------------------------------------------------ */

struct plane_claim {
	struct plane_net net;
	vmac_mac_t address;
	/* Who advertised last; nobody has it when `until` is over (ns 0: nobody did). */
	uint32_t port; /* 0 = somebody on the wire, or the host */
	mono_t until;
};

/* Every (net, vMAC) that a port may have, in no order. */
void plane_claims(const struct plane *p, void (*fn)(void *ctx, const struct plane_claim *c),
		  void *ctx);
/* Of one; false: no port of the net may have it. */
bool plane_claim(const struct plane *p, const struct plane_net *net, vmac_mac_t address,
		 struct plane_claim *ret);

/* --- counters -------------------------------------------------------------------------------- */

/* Reasons, in the order of bpf/shared.h (which defines enum drop_reason). */
unsigned int plane_drop_reason_count(void);
const char *plane_drop_reason_name(unsigned int reason);    /* "spoofed_mac", … */
const char *plane_drop_reason_meaning(unsigned int reason); /* one line for people */

#define PLANE_REASONS_MAX 64

struct plane_counters {
	uint64_t rx_frames, rx_octets; /* from the guest (port) or the wire (uplink), drops
					  included; GSO counted by segment */
	uint64_t tx_frames, tx_octets; /* handed to the link */
	uint64_t drops[PLANE_REASONS_MAX];
	uint64_t redirected; /* port: frames sent after its guest, into the tunnel */
	mono_t last_seen;    /* last frame from the guest, to about a second; ns 0 = never */
};

/* Sums the per-CPU counters of one port slot.  NOT_FOUND when the slot is not set. */
int plane_port_counters(struct plane *p, uint32_t id, struct plane_counters *ret,
			struct error *ret_error);
/* Slot 0: frames of links that are nobody's, such as those that the drop net took after a port was
 * removed. */
int plane_uplink_counters(struct plane *p, unsigned int slot, struct plane_counters *ret,
			  struct error *ret_error);

/* rx: from other hosts; tx: to them; drops of what came.  NOT_FOUND when no tunnel is set. */
int plane_tunnel_counters(struct plane *p, struct plane_counters *ret, struct error *ret_error);

struct plane_facts {
	const char *attach; /* "tcx" or "clsact" */
	unsigned int schema;
	unsigned int ports, uplinks;
	bool maps_reused; /* taken over from an earlier run */
};
void plane_facts(const struct plane *p, struct plane_facts *ret);
