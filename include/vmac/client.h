/* The client side of vmacd's API: one connection, JSON in, JSON out.
 *
 * What can be asked is described by the OpenAPI file that the daemon itself serves at
 * /v1/openapi.yaml.  A client is used by one thread at a time; several clients may be used at once.
 */
#ifndef VMAC_CLIENT_H
#define VMAC_CLIENT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VMAC_SOCKET_DEFAULT "/run/vmac/vmacd.sock"

struct vmac_client;

/* What came back.  status 0: the daemon was not reached. */
struct vmac_reply {
	int status; /* HTTP's: 200, 201, 204 on success */
	char *body; /* JSON (or what was asked for), terminated by zero; never NULL */
	size_t len;
	char code[40];	   /* "" on success; else "not_found", "daemon_unreachable", … */
	char message[512]; /* for people */
	char hint[512];	   /* what to do next; may be "" */
	int exit_status;   /* what a command line should exit with: 0, or 1 … 8 */
};

/* socket NULL: $VMAC_SOCKET, else VMAC_SOCKET_DEFAULT.  Connects to nothing yet.  0, -ENAMETOOLONG
 * or -ENOMEM. */
int vmac_client_open(const char *socket, struct vmac_client **ret);
void vmac_client_close(struct vmac_client *c); /* NULL is fine */

const char *vmac_client_socket(const struct vmac_client *c);

/* One request on the kept connection; waits for the answer.  body NULL: none.  path begins with "/"
 * and is already escaped (see vmac_escape()).  Returns 0 when the daemon did it, -1 when not: *ret
 * is filled either way, and belongs to the caller until vmac_reply_done(). */
int vmac_client_call(struct vmac_client *c, const char *method, const char *path, const char *body,
		     struct vmac_reply *ret);
void vmac_reply_done(struct vmac_reply *r);

/* One event of the stream; texts valid during the call.  `what` is "vmac", "port", "segment",
 * "pool", "uplink", "router" or "cluster", among hosts that share a registry also "move", "host"
 * and "registry"; or "lost" when the daemon had to drop some.  What is none of these is a newer
 * daemon's, and to be passed over.  Not 0: ends the stream. */
typedef int (*vmac_event_fn)(void *ctx, const char *id, const char *what, const char *json);

/* Follows /v1/events until fn says so, seconds (0 = for ever) are over, or the daemon goes. last_id
 * NULL or the id of the last event one has.  Returns 0 when fn or the time ended it, else -1 with
 * *ret filled as by vmac_client_call(). */
int vmac_client_events(struct vmac_client *c, const char *last_id, unsigned int seconds,
		       vmac_event_fn fn, void *ctx, struct vmac_reply *ret);

/* Percent-escapes one path segment or query value: malloc, or NULL. */
char *vmac_escape(const char *text);

#ifdef __cplusplus
}
#endif

#endif
