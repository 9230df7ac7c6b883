/* Bodies for etcd's JSON gateway, and its answers.  Nobody else writes or reads a member's name:
 * the gateway ignores what it does not know, so a misspelt compare would be none. */
#pragma once

#include <jansson.h>

#include "store/etcd.h"

/* Each returns a text that the caller frees with free(); NULL: no memory.  Keys are below
 * `prefix`; `from` of a range is below it too, and is not included where `behind`. */
char *etcd_body_txn(const char *prefix, const struct etcd_op *ops, unsigned int count,
		    uint64_t lease);
char *etcd_body_get(const char *prefix, const char *key);

/* All keys that begin with `part` ("" = all below the prefix), after `last` (NULL = from the
 * first), at a revision (0 = the newest). */
struct etcd_range {
	const char *prefix, *part, *last;
	unsigned int limit;
	uint64_t revision;
	bool keys_only;
};
char *etcd_body_range(const struct etcd_range *r);
char *etcd_body_watch(const char *prefix, const char *part, uint64_t start);
char *etcd_body_grant(unsigned int seconds);
char *etcd_body_lease(uint64_t id); /* keepalive, revoke */
char *etcd_body_authenticate(const char *user, const char *password);

struct etcd_answer {
	json_t *json; /* owns all texts */
	json_t *list; /* kvs, events or responses; NULL = none */
	uint64_t cluster, revision, id, ttl, compacted;
	bool succeeded, more, created, cancelled;
	int code;	     /* of gRPC, 0 = no error */
	const char *message; /* of an error or a cancellation; "" = none */
	const char *token;   /* NULL = none */
	char *scratch;
	size_t scratch_size;
};

/* One answer, or one line of a stream.  0, -EBADMSG (not an object of JSON), -ENOMEM. */
int etcd_answer_parse(const char *text, size_t len, struct etcd_answer *ret);
void etcd_answer_done(struct etcd_answer *a);

static inline size_t etcd_answer_count(const struct etcd_answer *a)
{
	return a->list ? json_array_size(a->list) : 0;
}

/* Key and value number i of kvs, events or (the first of) responses, borrowed until the next call.
 * A deleted key has no value, and the revision of its deletion.  0; -ENOENT: the key of that
 * response is not there; -EBADMSG: not below the prefix, or no key at all; -ENOMEM. */
int etcd_answer_kv(struct etcd_answer *a, const char *prefix, size_t i, struct etcd_kv *ret);

/* --- what an answer means ----------------------------------------------------------------------
 */

enum etcd_fate {
	ETCD_ANSWERED,
	ETCD_NOT_SENT,	/* it has not reached anybody */
	ETCD_DOUBTFUL,	/* it may have been done, or not */
	ETCD_BUSY,	/* not done; later */
	ETCD_NO_TOKEN,	/* not done; who are you? */
	ETCD_NO_LEASE,	/* not done; the lease is gone */
	ETCD_COMPACTED, /* that revision is no more */
	ETCD_REFUSED,	/* not done, for good */
};

/* Of an HTTP status with that answer (where it was no JSON: message alone, as it came).  Fills the
 * error for all but ETCD_ANSWERED; `endpoint` is for its text. */
enum etcd_fate etcd_fate(long status, const struct etcd_answer *a, const char *endpoint,
			 struct error *ret_error);
