/* What the files of this room share: the API itself, a request, a route. */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <sys/types.h>

#include "api/api.h"
#include "api/body.h"
#include "api/out.h"
#include "api/query.h"
#include "engine/engine.h"

/* Limits. */
#define API_CONNECTIONS_MAX   512
#define API_CONNECTION_MEMORY (32 * 1024) /* headers of a request, and the read buffer */
#define API_IDLE_S	      60	  /* a connection that neither sends nor reads */
#define API_BODY_MAX	      (1024 * 1024)
#define API_BODY_DRAIN_MAX                                                                         \
	(16 * 1024 * 1024) /* read and thrown away, so that the refusal arrives */
#define API_ARGS_MAX   2   /* of a path */
#define API_ARG_MAX    128
#define API_STATUS_MAX 600
#define API_RUNS_MAX   8 /* of the server, before others in the loop have their turn */

struct events;
struct route;

/* The counters of this room; the engine has its own. */
struct api_counters {
	uint64_t by_status[API_STATUS_MAX];
	uint64_t refusals[ERROR_CODE_COUNT];
	uint64_t connections;  /* ever */
	uint64_t answers_lost; /* the client was gone before its answer */
	uint64_t events_sent, events_lost;
	unsigned int connected; /* now */
	unsigned int subscribers;
};

struct api {
	struct api_config config;
	char path[108];
	ino_t inode; /* of the socket file, so that we remove only our own */
	struct MHD_Daemon *mhd;
	int epoll_fd; /* over mhd's own and wake_fd */
	int wake_fd;
	bool woken; /* wake_fd is readable */
	struct events *events;
	struct api_counters counters;
	struct request *waiting; /* suspended until the engine answers */
	unsigned int requests;	 /* alive, those of gone clients included */
	bool closed;		 /* lives only for `requests` */
};

/* One request.  The engine may hold it longer than the client stays: `conn` is NULL then, and the
 * answer only frees it. */
struct request {
	struct api *api;
	struct MHD_Connection *conn;
	const struct route *route;

	/* Reading: */
	char *data;
	size_t len, capacity;
	uint64_t drained; /* octets beyond API_BODY_MAX */
	char arg[API_ARGS_MAX][API_ARG_MAX];
	struct query query;
	struct body body; /* during the handler only */

	/* Waiting for the engine: */
	bool started, held, suspended, answered;
	struct request *next, **link; /* in api->waiting */

	/* Answered: */
	int status;
	const char *content_type;
	char *reply; /* malloc; NULL with reply_fixed */
	const char *reply_fixed;
	size_t reply_len;
	char allow[64];		     /* of OPTIONS and 405 */
	struct MHD_Response *stream; /* an event stream instead of a text */
};

/* --- request.c: the way of a request --------------------------------------------------------- */

enum MHD_Result request_handle(void *cls, struct MHD_Connection *conn, const char *url,
			       const char *method, const char *version, const char *upload_data,
			       size_t *upload_data_size, void **con_cls);
void request_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
		       enum MHD_RequestTerminationCode toe);

/* Resumes everything that waits, so that the daemon may be stopped. */
void request_resume_all(struct api *a);

/* Handlers end with exactly one of these.  `o` is taken over. */
void request_answer(struct request *r, int status, struct out *o);
void request_answer_text(struct request *r, const char *content_type, struct out *o);
void request_refuse(struct request *r, const struct error *e);
void request_done(struct request *r);				     /* 204 */
void request_stream(struct request *r, struct MHD_Response *stream); /* taken over */

/* The vMAC that a path names; "-" stands for the only segment: no segment can have that name. */
struct vmac_ref request_vmac(const struct request *r);

/* Who asks, and the reason that body or query gave. */
struct caller request_caller(const struct request *r, char who[static 32]);

/* --- routes.c -------------------------------------------------------------------------------- */

struct route {
	const char *method, *pattern;
	const char *summary;
	void (*handler)(struct request *r);
	const struct schema *query;
	const struct schema *body; /* NULL: takes none */
	bool view;		   /* runs when everything submitted before it is durable */
};

extern const struct route routes[];
extern const unsigned int route_count;

/* Finds the route and fills r->route and r->arg.  Errors: NO_ROUTE, BAD_METHOD (fills r->allow),
 * and those of query_decode().  OPTIONS: 0 with r->route NULL and r->allow filled. */
int route_find(struct request *r, const char *method, const char *url, struct error *ret_error);

/* --- handlers -------------------------------------------------------------------------------- */

void segments_list(struct request *r);
void segments_add(struct request *r);
void segments_show(struct request *r);
void segments_delete(struct request *r);
void pools_list(struct request *r);
void pools_add(struct request *r);
void pools_show(struct request *r);
void pools_set(struct request *r);
void pools_delete(struct request *r);
void vmacs_list(struct request *r);
void vmacs_add(struct request *r);
void vmacs_add_batch(struct request *r);
void vmacs_show(struct request *r);
void vmacs_set(struct request *r);
void vmacs_renew(struct request *r);
void vmacs_release(struct request *r);
void vmacs_prepare(struct request *r);
void vmacs_activate(struct request *r);
void vmacs_abort(struct request *r);
void vmacs_stop(struct request *r);
void vmacs_resume(struct request *r);
void vmacs_thaw(struct request *r);
void vmacs_move(struct request *r);
void moves_list(struct request *r);
void hosts_list(struct request *r);
void hosts_show(struct request *r);
void hosts_set(struct request *r);
void clusters_list(struct request *r);
void clusters_add(struct request *r);
void clusters_show(struct request *r);
void clusters_set(struct request *r);
void clusters_delete(struct request *r);
void members_add(struct request *r);
void members_set(struct request *r);
void members_remove(struct request *r);
void hosts_forget(struct request *r);
void ports_list(struct request *r);
void ports_add(struct request *r);
void ports_show(struct request *r);
void ports_set(struct request *r);
void ports_delete(struct request *r);
void routers_list(struct request *r);
void routers_add(struct request *r);
void routers_show(struct request *r);
void routers_set(struct request *r);
void routers_delete(struct request *r);
void routers_history(struct request *r);
void history_list(struct request *r);
void status_show(struct request *r);
void metrics_show(struct request *r);
void openapi_show(struct request *r);
void events_stream(struct request *r);

/* --- events.c -------------------------------------------------------------------------------- */

int events_new(struct api *a, struct events **ret, struct error *ret_error);
void events_tick(struct events *e, mono_t now);
mono_t events_next_expiry(const struct events *e);

/* Ends every stream (their connections resume and close); then, when the connections are gone:
 * free. */
void events_stop(struct events *e);
void events_free(struct events *e);

/* --- hold.c ---------------------------------------------------------------------------------- */

void api_unref(struct api *a); /* a request has ended */

/* Makes the owner's loop call api_ready(), at once and without a timer. */
void api_wake(struct api *a);

/* Resumes a connection.  libmicrohttpd looks for resumed ones only in MHD_run(), and with an
 * external loop nothing of its own makes that be called: so our descriptor becomes readable. */
void api_resume(struct api *a, struct MHD_Connection *conn);
