/* vmac hook: what hypervisors tell, as hints to vmacd.  What its files share. */
#pragma once

#include <vmac/client.h>
#include <vmac/mac.h>

#include "cli/call.h"
#include "model/model.h"

#define HOOK_SEGMENTS_MAX 1024 /* that are looked through for a guest's address */

/* One request.  0, or -1 and *ret_why says why not; *ret_json (may be NULL) is the answer. */
int hook_ask(struct command *c, const char *method, const char *path, const json_t *body,
	     json_t **ret_json, struct vmac_reply *ret_why);

/* Prints why, after what was wanted; returns the exit status. */
int hook_complain(const char *wanted, const struct vmac_reply *why);

/* The segments of this host, or NULL: vmacd could not be asked (*ret_why). */
json_t *hook_segments(struct command *c, struct vmac_reply *ret_why);

/* "/v1/vmacs/SEGMENT/MAC[/VERB]"; malloc. */
char *hook_path(const struct command *c, const char *segment, vmac_mac_t mac, const char *verb);

/* POST …/VERB with a reason. */
int hook_hint(struct command *c, const char *segment, vmac_mac_t mac, const char *verb,
	      const char *reason, json_t **ret_move, struct vmac_reply *ret_why);

/* Whether a hint failed only because there is nothing that it could hint at. */
bool hook_is_moot(const struct vmac_reply *why);

/* How a vMAC's move stands here; NULL: this host has no part in any. */
json_t *hook_move(struct command *c, const char *segment, vmac_mac_t mac);

/* Ports that the hook made are known by their vMAC's note: it is, or ends with "; ", and this. */
#define HOOK_MARK_MAX (NOTE_MAX_LEN + 1)
void hook_mark(const char *guest, char ret[static HOOK_MARK_MAX]);
/* The note's length without the mark, or -1: it bears none. */
long hook_marked(const char *note, const char *mark);

int hook_libvirt(struct command *c);
int hook_libvirt_events(struct command *c);
int hook_qmp(struct command *c);
