/* A place to try the data plane in: network namespaces of our own, links, raw frames.
 *
 * lab_open() puts the process into a new network and mount namespace with a BPF file system of its
 * own, so whatever a test leaves behind dies with it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plane/internal.h"

#define LAB_BPFFS "/tmp/vmac-t-bpffs"

/* Exits with 77 and says why where this kernel or user cannot run the test. */
void lab_open(void);

struct plane *lab_plane(
	const char *attach); /* NULL: the best; fails the test when it cannot open */

/* The same with nothing in it: what the case before has left goes.  `p` is the one that it used, or
 * NULL; its programs stay loaded, because the verifier takes longer than most cases. */
struct plane *lab_plane_fresh(struct plane *p, const char *attach);

struct plane *lab_plane_of(const char *instance, const char *attach);

bool lab_try(const char *line); /* whether the shell's command succeeded */
void lab_command(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Namespaces beside the lab's own. */
int lab_namespace(void);    /* a handle */
void lab_inside(int space); /* -1: back to the lab's own */

/* Links in the lab's own namespace, up.  A tap's far end is *ret_fd: what is sent to the tap is
 * read there. A veth's far end is `peer` in `space`. */
int lab_tap(const char *name, unsigned int mtu, int *ret_fd);
int lab_veth(const char *name, const char *peer, int space, vmac_mac_t peer_address);
/* The same with the near end in another namespace than the lab's own. */
int lab_veth_at(int at, const char *name, const char *peer, int space, vmac_mac_t peer_address);

/* A raw socket on a link of the namespace that we are in; receives everything, own frames excepted.
 */
int lab_raw(const char *ifname);
/* The same behind tc, as a protocol of the host's stack sees frames of that EtherType. */
int lab_stack(const char *ifname, uint16_t type);
void lab_raw_send(int fd, const void *frame, size_t len); /* a program may drop it */
/* Frames that came within `ms` (the first one may take that long) and match: EtherType, 0 = any. */
unsigned int lab_raw_count(int fd, uint16_t type, int ms);
/* The next frame with that type, its length or 0. */
struct lab_meta {
	int vlan; /* from the metadata, -1 = none */
	int kind; /* PACKET_HOST, …; OTHERHOST is also what the stack makes of a VLAN it does not
		     have */
};
size_t lab_raw_next(int fd, uint16_t type, int ms, uint8_t buf[static 2048], struct lab_meta *ret);

/* BPF_PROG_RUN of one frame as if received by (or, for PROGRAM_UPLINK_OUT, leaving by) ifindex. */
struct lab_run {
	enum plane_program program;
	int ifindex;
	const void *frame;
	size_t len;
	uint32_t gso_size, mark;
	int ingress_ifindex;
	unsigned int repeat; /* 0 = 1 */
	/* answers */
	uint32_t mark_after;
	uint32_t ns; /* a run */
	uint8_t after[4096];
	size_t after_len;
};
int lab_run(struct plane *p, struct lab_run *run); /* the program's verdict, TC_ACT_… */

vmac_mac_t lab_mac(const char *text);
struct ip lab_ip(const char *text);

struct plane_counters lab_counters(struct plane *p, uint32_t id);
uint64_t lab_drops_sum(const struct plane_counters *c);
