/* What the files of the etcd client share.  Private to them.
 *
 * Threads: `config`, the endpoints' texts and `multi` are set before the thread begins and not
 * changed; what is under `mutex` is said there; all else belongs to the thread. */
#pragma once

#include <curl/curl.h>
#include <pthread.h>

#include "store/etcd.h"
#include "store/etcd_index.h"
#include "store/etcd_json.h"

#define ETCD_TOLD_MAX	    4096	/* waiting for the owner: reading pauses */
#define ETCD_ANSWER_MAX	    (64u << 20) /* octets of one answer, or of one line of the watch */
#define ETCD_LEASED_MAX	    4		/* keys under the lease */
#define ETCD_BACKOFF_MS	    100		/* after all endpoints have failed; doubles up to … */
#define ETCD_BACKOFF_MAX_MS 1000
/* Between authentications that are refused: each costs a server 60 ms. */
#define ETCD_DENIED_MS	    5000
#define ETCD_CLOSE_MS	    400 /* for the end of the lease */

/* --- what goes to the owner, and comes from it ----------------------------------------------- */

enum item_kind { ITEM_TOLD, ITEM_COMPLETE, ITEM_REACH, ITEM_ORDER };

struct item {
	struct item *next;
	enum item_kind kind;
};

struct item_told {
	struct item item;
	struct etcd_kv kv; /* points behind this */
	char text[];
};

struct item_complete {
	struct item item;
	uint64_t revision;
};

struct item_reach {
	struct item item;
	bool reachable;
	struct error error;
};

/* A transaction, or a read (done NULL). */
struct order {
	struct item item; /* on its way to the thread, in it, and back */
	etcd_done_fn done;
	etcd_read_fn read;
	void *ctx;
	mono_t began, until, not_before;
	bool doubtful; /* it may have been done already */
	bool leased;
	bool look;	/* asks only what became of it: it was refused when asked again */
	bool own;	/* of the lease: nobody is told */
	uint64_t lease; /* that it was sent with */
	enum shared_outcome outcome;
	uint64_t revision;
	struct error *error;	  /* NULL where there is none (or no memory for it) */
	struct item_told *answer; /* of a read; NULL = there is none */
	unsigned int count;
	struct etcd_op ops[]; /* texts behind them; of a read: one, with its key */
};

struct item_queue {
	struct item *first, *last;
	size_t count;
};

static inline void item_put(struct item_queue *q, struct item *item)
{
	item->next = NULL;
	if (q->first)
		q->last->next = item;
	else
		q->first = item;
	q->last = item;
	q->count++;
}

static inline struct item *item_take(struct item_queue *q)
{
	struct item *item = q->first;

	if (item) {
		q->first = item->next;
		q->count--;
	}
	return item;
}

/* --- one exchange with an endpoint --------------------------------------------------------------
 */

struct text {
	char *at;
	size_t len, size;
};

struct exchange;

/* The end of an exchange: what it means, and the answer (json NULL where there is none).  The
 * exchange is free again when this returns, and `owner` may begin another in it. */
typedef void (*exchange_fn)(struct etcd *e, void *owner, enum etcd_fate fate,
			    struct etcd_answer *answer, const struct error *error);

struct exchange {
	struct exchange *next; /* of those that are free, or under way */
	CURL *easy;
	char *body;
	struct curl_slist *headers;
	bool of_keys; /* reads or writes keys: its answer says that etcd serves us */
	struct text answer;
	char said[CURL_ERROR_SIZE];
	unsigned int endpoint, sent;
	uint64_t token; /* the number of the token that it bears */
	exchange_fn done;
	void *owner;
};

/* --- parts ---------------------------------------------------------------------------------------
 */

struct auth {
	char *token;	 /* NULL = none */
	uint64_t number; /* of the token: grows with each */
	bool off;	 /* etcd says that it asks nobody */
	bool under_way;
	bool denied; /* the last time */
	struct error error;
	mono_t not_before;
};

struct lease {
	uint64_t id;	/* 0 = none */
	bool under_way; /* grant or keepalive */
	bool wanted;	/* there is something to keep alive */
	mono_t due;	/* of the next keepalive, or of another try at a grant */
	/* What is under it: copies of the puts, put anew after the lease has died. */
	struct order *keys[ETCD_LEASED_MAX];
	unsigned int count;
};

struct sync {
	bool wanted, reading, under_way; /* … a page of it */
	bool anew; /* the next read tells what was told before, too */
	mono_t not_before, reconcile, began;
	unsigned int failures;
	uint64_t revision;	     /* 0 = not known yet */
	char last[ETCD_KEY_MAX + 1]; /* of the page before; "" = this is the first */
};

struct watch {
	CURL *easy; /* NULL = none */
	char *body;
	struct curl_slist *headers;
	struct text line;
	char said[CURL_ERROR_SIZE];
	unsigned int endpoint;
	uint64_t token;
	mono_t began, created_until; /* MONO_NEVER once it is created */
	bool paused;
	bool ended; /* by something that it said */
};

struct etcd {
	struct etcd_config config;
	char *texts; /* all of config */
	char endpoints[SHARED_ENDPOINTS_MAX][256];
	struct mem mem;
	pthread_t thread;
	int ring; /* eventfd: the owner has something to fetch */
	CURLM *multi;

	pthread_mutex_t mutex;
	struct item_queue orders;  /* to the thread */
	struct item_queue answers; /* to the owner */
	bool stop, reconcile_asked;
	struct etcd_facts facts;

	/* The owner's. */
	size_t pending;

	/* The thread's. */
	struct item_queue waiting; /* orders that are not under way */
	size_t answers_seen;	   /* how many waited for the owner when last looked */
	struct exchange *idle, *busy;
	unsigned int under_way, orders_under_way;
	unsigned int at, failures; /* endpoint in use; how many failed since one did not */
	mono_t not_before;	   /* after all of them have failed */
	mono_t good;		   /* the last answer of the endpoint in use that was of keys */
	mono_t look_through;	   /* when all that waits is looked at for its time */
	uint64_t cluster;	   /* etcd's own number of it */
	bool reach_known, reachable, pinging;
	struct auth auth;
	struct lease lease;
	struct sync sync;
	struct watch watch;
	struct etcd_index index;
};

mono_t etcd_now(void);

/* etcd.c */
void etcd_give(struct etcd *e, struct item *item); /* to the owner; takes over */
/* A copy that the caller frees with free(); NULL: no memory. */
struct item_told *etcd_told_new(const struct etcd_kv *kv);
void order_free(struct order *o);

/* etcd_loop.c */
void *etcd_thread(void *etcd);
/* Whether anything may be asked now. */
bool etcd_open_to_ask(const struct etcd *e, mono_t now);
/* Tells the owner at a change. */
void etcd_reach(struct etcd *e, const struct error *error);

/* etcd_http.c */
/* Takes over body (NULL: no memory).  0, -ENOMEM: nothing begun, and `done` is not called. */
int exchange_begin(struct etcd *e, const char *path, char *body, span_t timeout, exchange_fn done,
		   void *owner);
void exchange_finished(struct etcd *e, CURL *easy, CURLcode code);
void exchanges_free(struct etcd *e);
/* Options that all have in common. */
int http_setup(struct etcd *e, CURL *easy, const char *path, const char *body, char *said,
	       struct curl_slist **ret_headers);
/* What became of an exchange that libcurl gave up. */
enum etcd_fate http_fate(struct etcd *e, unsigned int endpoint, CURLcode code, const char *said,
			 bool sent, struct error *ret_error);
/* That endpoint failed: the next one, unless that was done already. */
void endpoint_failed(struct etcd *e, unsigned int endpoint, const struct error *error);
void endpoint_good(struct etcd *e, unsigned int endpoint);
/* 0; -ENOMEM; larger than `most`: -EMSGSIZE. */
int text_add(struct text *t, const char *data, size_t len, size_t most);

/* etcd_auth.c */
/* Whether requests can go; begins what is needed otherwise. */
bool auth_ready(struct etcd *e, mono_t now);
/* That token is not accepted.  Whether another can be had; ret_error where not. */
bool auth_renew(struct etcd *e, uint64_t number, struct error *ret_error);
void auth_done(struct etcd *e);

/* etcd_txn.c */
void txn_take_orders(struct etcd *e);
void txn_start(struct etcd *e, mono_t now); /* as many as may be */
mono_t txn_next_expiry(const struct etcd *e, mono_t now);
/* Answers all that wait for a lease (leased_only), or all that wait. */
void txn_refuse(struct etcd *e, bool leased_only, const struct error *error);
void txn_abandon(struct etcd *e); /* what is under way waits again; for the end */
/* NULL: no memory. */
struct order *order_new(const struct etcd_op *ops, unsigned int count);

/* etcd_lease.c */
/* The lease for an order: 0 = not yet. */
uint64_t lease_of(struct etcd *e);
/* The order was done: what it put under the lease is kept alive from now on. */
void lease_note(struct etcd *e, const struct order *o);
/* A put of our own, after the lease had died, found another revision: kv as it is, or NULL. */
void lease_contested(struct etcd *e, const struct order *o, const struct etcd_kv *kv);
void lease_lost(struct etcd *e, uint64_t id);
void lease_work(struct etcd *e, mono_t now);
mono_t lease_next_expiry(const struct etcd *e);
void lease_end(struct etcd *e); /* blocking, for ETCD_CLOSE_MS at most */
void lease_done(struct etcd *e);

/* etcd_sync.c */
/* Each tells the owner what is news to it. */
void sync_there(struct etcd *e, const struct etcd_kv *kv);
void sync_deleted(struct etcd *e, const struct etcd_kv *kv);
void sync_absent(struct etcd *e, const char *key, uint64_t revision);
void sync_want(struct etcd *e); /* read everything anew */
void sync_work(struct etcd *e, mono_t now);
mono_t sync_next_expiry(const struct etcd *e);

/* etcd_watch.c */
void watch_begin(struct etcd *e, uint64_t revision);
void watch_end(struct etcd *e);
void watch_finished(struct etcd *e, CURLcode code);
void watch_work(struct etcd *e, mono_t now);
mono_t watch_next_expiry(const struct etcd *e);
