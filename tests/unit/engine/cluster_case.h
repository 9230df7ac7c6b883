/* What tests of clusters ask of nodes. */
#pragma once

#include "nodes.h"

#define CASE_RANGE "8a:00:00:00:00:00-8a:00:00:00:ff:ff"

struct wish {
	struct cluster c;
	struct ip addresses[CLUSTER_ADDRESSES_MAX];
	struct cluster_member members[8];
	vmac_mac_t faces[CLUSTER_FACES_MAX];
};

extern struct rig_answer last; /* of what follows */
extern unsigned int conflicts; /* answers that were one */
extern char answered_name[NAME_MAX_LEN + 1];
void on_answer(void *ctx, const struct answer *answer);

struct ip ip(const char *text);
vmac_mac_t mac(const char *text);
void wish(struct wish *w, const char *name, const char *address);
void wish_member(struct wish *w, vmac_mac_t m);

/* Each waits; returns the code. */
enum error_code add(unsigned int i, struct wish *w, unsigned int faces);
enum error_code set(unsigned int i, const char *name, struct wish *w);
enum error_code delete (unsigned int i, const char *name);
enum error_code member(unsigned int i, enum engine_member_verb verb, const char *which,
		       const struct member_set *how);
void report(unsigned int node, struct anchor_report r);

struct cluster_view view(unsigned int i, const char *name);
bool has_cluster(unsigned int i, const char *name);
uint64_t clusters(unsigned int i);

extern vmac_mac_t guests[3];
int alone(void **state);   /* a host: two guests with ports, one without */
int many(void **state);	   /* two hosts with a guest each */
int end(void **state);	   /* of every test */
void made(struct wish *w); /* "web" of the first two guests */
