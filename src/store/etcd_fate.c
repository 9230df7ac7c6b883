/* What an answer means for the request that it answers.  The gateway says it three times (HTTP
 * status, gRPC code, words), and of some codes the words alone tell one case from another. */
#include <string.h>

#include "store/etcd_json.h"

enum grpc {
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID = 3,
	GRPC_DEADLINE = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_DENIED = 7,
	GRPC_EXHAUSTED = 8,
	GRPC_PRECONDITION = 9,
	GRPC_ABORTED = 10,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_UNAUTHENTICATED = 16,
};

static bool says(const struct etcd_answer *a, const char *words)
{
	return strstr(a->message, words) != NULL;
}

static enum etcd_fate refused(struct error *e, enum error_code code, const char *endpoint,
			      const struct etcd_answer *a, const char *hint)
{
	error_set(e, code, hint, "%s refuses: %.160s", endpoint, a->message);
	return ETCD_REFUSED;
}

static enum etcd_fate exhausted(const struct etcd_answer *a, const char *endpoint, struct error *e)
{
	if (says(a, "space exceeded"))
		return refused(
			e, ERROR_REGISTRY_FULL, endpoint, a,
			"etcd has reached its quota: 'etcdctl compaction REVISION', 'etcdctl "
			"defrag' at each member, then 'etcdctl alarm disarm'; or raise "
			"--quota-backend-bytes");
	if (says(a, "too many requests")) {
		error_set(e, ERROR_REGISTRY_UNREACHABLE, NULL, "%s is overloaded: %.160s", endpoint,
			  a->message);
		return ETCD_BUSY;
	}
	return refused(e, ERROR_TOO_LARGE, endpoint, a, NULL);
}

static enum etcd_fate invalid(const struct etcd_answer *a, const char *endpoint, struct error *e)
{
	if (says(a, "user name is empty") || says(a, "revision in header is old")) {
		error_set(e, ERROR_FORBIDDEN, "set registry.shared.user and password_file",
			  "%s asks for a user: %.160s", endpoint, a->message);
		return ETCD_NO_TOKEN;
	}
	if (says(a, "authentication failed"))
		return refused(e, ERROR_FORBIDDEN, endpoint, a,
			       "look at registry.shared.user and at the file of its password");
	if (says(a, "CommonName"))
		return refused(e, ERROR_FORBIDDEN, endpoint, a,
			       "with users and passwords, etcd's gateway takes client certificates "
			       "without a common name (CN) only");
	if (says(a, "too large") || says(a, "too many operations"))
		return refused(e, ERROR_TOO_LARGE, endpoint, a, NULL);
	return refused(e, ERROR_REGISTRY_FAILED, endpoint, a, NULL);
}

static enum etcd_fate doubtful(struct error *e, const char *endpoint, const char *what)
{
	error_set(e, ERROR_REGISTRY_UNREACHABLE, "is a majority of etcd's members up?",
		  "%s says: %.160s", endpoint, what);
	return ETCD_DOUBTFUL;
}

/* No answer of etcd's: a proxy, another service, an old or a new gateway. */
static enum etcd_fate foreign(long status, const char *endpoint, struct error *e)
{
	error_set(e, ERROR_REGISTRY_UNREACHABLE,
		  status == 421 ? "etcd does not know this host name: see its --host-whitelist"
				: "is it an etcd (3.4 or newer), and not something before it?",
		  "%s answers like no etcd: HTTP %ld", endpoint, status);
	return status >= 500 || status == 200 || status == 408 ? ETCD_DOUBTFUL : ETCD_NOT_SENT;
}

enum etcd_fate etcd_fate(long status, const struct etcd_answer *a, const char *endpoint,
			 struct error *ret_error)
{
	/* Said in plain text, before the gateway is reached. */
	if (!a->json && says(a, "CommonName"))
		return invalid(a, endpoint, ret_error);
	if (!a->json || (status != 200 && a->code == 0))
		return foreign(status, endpoint, ret_error);
	switch (a->code) {
	case 0:
		return ETCD_ANSWERED;
	case GRPC_INVALID:
		return invalid(a, endpoint, ret_error);
	case GRPC_EXHAUSTED:
		return exhausted(a, endpoint, ret_error);
	case GRPC_DENIED:
		return refused(ret_error, ERROR_FORBIDDEN, endpoint, a,
			       "grant the user's role readwrite on the prefix "
			       "(etcdctl role grant-permission --prefix=true)");
	case GRPC_UNAUTHENTICATED:
		error_set(ret_error, ERROR_FORBIDDEN, NULL, "%s: %.160s", endpoint, a->message);
		return ETCD_NO_TOKEN;
	case GRPC_NOT_FOUND:
		error_set(ret_error, ERROR_REGISTRY_FAILED, NULL, "%s: %.160s", endpoint,
			  a->message);
		return ETCD_NO_LEASE;
	case GRPC_OUT_OF_RANGE:
		error_set(ret_error, ERROR_REGISTRY_FAILED, NULL, "%s: %.160s", endpoint,
			  a->message);
		return ETCD_COMPACTED;
	case GRPC_PRECONDITION:
		return refused(ret_error, ERROR_REGISTRY_FAILED, endpoint, a, NULL);
	case GRPC_CANCELLED:
	case GRPC_UNKNOWN:
	case GRPC_DEADLINE:
	case GRPC_ABORTED:
	case GRPC_INTERNAL:
	case GRPC_UNAVAILABLE:
	default:
		return doubtful(ret_error, endpoint, a->message);
	}
}
