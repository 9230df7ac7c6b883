/* One exchange with an endpoint, and which endpoint. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/etcd_inside.h"

int text_add(struct text *t, const char *data, size_t len, size_t most)
{
	size_t size = t->size ? t->size : 4096;
	char *at;

	if (len > most || t->len > most - len)
		return -EMSGSIZE;
	while (size < t->len + len)
		size *= 2;
	if (size > t->size) {
		at = realloc(t->at, size);
		if (!at)
			return -ENOMEM;
		t->at = at;
		t->size = size;
	}
	memcpy(t->at + t->len, data, len);
	t->len += len;
	return 0;
}

/* --- endpoints ------------------------------------------------------------------------------- */

#define FAILURES_LEAST 2 /* in a row, before the registry is out of reach */

void endpoint_good(struct etcd *e, unsigned int endpoint)
{
	if (endpoint != e->at)
		return;
	e->failures = 0;
	e->not_before = (mono_t){ 0 };
}

static span_t backoff(unsigned int failures, unsigned int endpoints)
{
	unsigned int rounds = failures / endpoints - 1;
	int64_t ms = rounds >= 4 ? ETCD_BACKOFF_MAX_MS : ETCD_BACKOFF_MS << rounds;

	return SPAN_MS(ms > ETCD_BACKOFF_MAX_MS ? ETCD_BACKOFF_MAX_MS : ms);
}

/* Many exchanges fail at once where one endpoint does: only the first goes on to the next. */
void endpoint_failed(struct etcd *e, unsigned int endpoint, const struct error *error)
{
	unsigned int n = e->config.endpoint_count;
	struct error all;

	if (endpoint != e->at)
		return;
	e->at = (e->at + 1) % n;
	e->failures++;
	pthread_mutex_lock(&e->mutex);
	e->facts.reconnects++;
	pthread_mutex_unlock(&e->mutex);
	if (e->failures % n == 0)
		e->not_before = mono_after(etcd_now(), backoff(e->failures, n));
	/* Of one endpoint, too, a single answer that was cut short is not its end. */
	if (e->failures < n || e->failures < FAILURES_LEAST)
		return;
	all = *error;
	if (n > 1)
		error_prefix(&all, "none of %u endpoints serves; the last", n);
	etcd_reach(e, &all);
}

/* --- libcurl --------------------------------------------------------------------------------- */

static bool header_add(struct curl_slist **list, const char *line)
{
	struct curl_slist *more = curl_slist_append(*list, line);

	if (more)
		*list = more;
	return more != NULL;
}

/* libcurl reads them until the transfer has ended, so each has its own.  "hasleader" makes a member
 * that has lost the others say so instead of being silent. */
static struct curl_slist *headers_new(const struct auth *a)
{
	struct curl_slist *list = NULL;
	char token[512];

	snprintf(token, sizeof(token), "Authorization: %s", a->token ? a->token : "");
	if (!header_add(&list, "Content-Type: application/json") || !header_add(&list, "Expect:") ||
	    !header_add(&list, "Grpc-Metadata-hasleader: true") ||
	    (a->token && !header_add(&list, token))) {
		curl_slist_free_all(list);
		list = NULL;
	}
	explicit_bzero(token, sizeof(token));
	return list;
}

#define SET(option, value) (curl_easy_setopt(easy, option, value) != CURLE_OK)

static bool tls_fails(const struct etcd_config *c, CURL *easy)
{
	return SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) ||
	       (c->ca && SET(CURLOPT_CAINFO, c->ca)) ||
	       (c->cert && SET(CURLOPT_SSLCERT, c->cert)) ||
	       (c->key && SET(CURLOPT_SSLKEY, c->key));
}

/* No proxy of the environment, no redirection, no password file of the user, no signal; and where
 * the name of an endpoint is still being looked up, the end does not wait for it. */
int http_setup(struct etcd *e, CURL *easy, const char *path, const char *body, char *said,
	       struct curl_slist **ret_headers)
{
	struct curl_slist *headers = headers_new(&e->auth);
	char url[sizeof(e->endpoints[0]) + 64];

	snprintf(url, sizeof(url), "%s%s", e->endpoints[e->at], path);
	said[0] = '\0';
	curl_easy_reset(easy);
	if (!headers || SET(CURLOPT_URL, url) || SET(CURLOPT_POSTFIELDS, body) ||
	    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body)) ||
	    SET(CURLOPT_HTTPHEADER, headers) || SET(CURLOPT_ERRORBUFFER, said) ||
	    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(e->config.timeout.ns / 1000000)) ||
	    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) || SET(CURLOPT_PROXY, "") ||
	    SET(CURLOPT_PROTOCOLS_STR, "http,https") || SET(CURLOPT_NOSIGNAL, 1L) ||
	    SET(CURLOPT_QUICK_EXIT, 1L) || SET(CURLOPT_TCP_KEEPALIVE, 1L) ||
	    SET(CURLOPT_TCP_KEEPIDLE, 10L) || SET(CURLOPT_TCP_KEEPINTVL, 5L) ||
	    tls_fails(&e->config, easy)) {
		curl_slist_free_all(headers);
		return -ENOMEM;
	}
	*ret_headers = headers;
	return 0;
}

/* With TLS 1.3 a server refuses a client's certificate after the handshake, and its reason may be
 * overtaken by the end of the connection. */
static const char *hint_of(CURLcode code, const char *endpoint, const char *said, bool sent)
{
	bool tls = strncmp(endpoint, "https:", 6) == 0;

	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return "is registry.shared.ca the authority that signed etcd's certificate, and is "
		       "that in date?";
	if (tls && (code == CURLE_SSL_CERTPROBLEM || strstr(said, "certificate") ||
		    strstr(said, "alert") || (sent && code != CURLE_OPERATION_TIMEDOUT)))
		return "does etcd accept the certificate of registry.shared.cert, and is that in "
		       "date?";
	if (code == CURLE_COULDNT_CONNECT)
		return "is etcd running there, and does it listen for clients at that address?";
	if (code == CURLE_COULDNT_RESOLVE_HOST)
		return "an address of numbers needs no name service";
	return "is etcd running there?";
}

enum etcd_fate http_fate(struct etcd *e, unsigned int endpoint, CURLcode code, const char *said,
			 bool sent, struct error *ret_error)
{
	if (code == CURLE_ABORTED_BY_CALLBACK)
		said = "the connection has ended without an answer";
	else if (!*said)
		said = curl_easy_strerror(code);
	error_set(ret_error, ERROR_REGISTRY_UNREACHABLE,
		  hint_of(code, e->endpoints[endpoint], said, sent), "%s: %.200s",
		  e->endpoints[endpoint], said);
	return sent ? ETCD_DOUBTFUL : ETCD_NOT_SENT;
}

/* --- exchanges ------------------------------------------------------------------------------- */

static size_t exchange_receive(char *data, size_t one, size_t len, void *exchange)
{
	struct exchange *x = exchange;

	return text_add(&x->answer, data, len, ETCD_ANSWER_MAX) < 0 ? 0 : len;
}

/* Called just before a request goes out.  Where a connection that was kept turns out to be dead,
 * libcurl would send it again on another by itself, and nobody would know that it may have been
 * done twice: so the second time is ours. */
static int exchange_send(void *exchange, char *to, char *from, int to_port, int from_port)
{
	struct exchange *x = exchange;

	return x->sent++ == 0 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static void exchange_free(struct exchange *x)
{
	if (x->easy)
		curl_easy_cleanup(x->easy);
	curl_slist_free_all(x->headers);
	free(x->body);
	free(x->answer.at);
	free(x);
}

static struct exchange *exchange_new(struct etcd *e)
{
	struct exchange *x = e->idle;

	if (x) {
		e->idle = x->next;
		return x;
	}
	x = calloc(1, sizeof(*x));
	if (x)
		x->easy = curl_easy_init();
	if (x && !x->easy) {
		exchange_free(x);
		x = NULL;
	}
	return x;
}

/* Large answers (a page, the ranges of a lost transaction) leave no memory behind. */
static void exchange_rest(struct etcd *e, struct exchange *x)
{
	explicit_bzero(x->body, strlen(x->body)); /* it may hold a password */
	free(x->body);
	x->body = NULL;
	curl_slist_free_all(x->headers);
	x->headers = NULL;
	x->answer.len = 0;
	if (x->answer.size > 65536) {
		free(x->answer.at);
		x->answer = (struct text){ 0 };
	}
	x->next = e->idle;
	e->idle = x;
}

int exchange_begin(struct etcd *e, const char *path, char *body, span_t timeout, exchange_fn done,
		   void *owner)
{
	struct exchange *x = body ? exchange_new(e) : NULL;
	CURL *easy;

	if (!x) {
		free(body);
		return -ENOMEM;
	}
	easy = x->easy;
	x->body = body;
	x->endpoint = e->at;
	x->of_keys = strncmp(path, "/v3/kv/", 7) == 0;
	x->sent = 0;
	x->done = done;
	x->owner = owner;
	if (http_setup(e, easy, path, body, x->said, &x->headers) < 0 ||
	    SET(CURLOPT_TIMEOUT_MS, (long)(timeout.ns / 1000000)) || SET(CURLOPT_PRIVATE, x) ||
	    SET(CURLOPT_WRITEFUNCTION, exchange_receive) || SET(CURLOPT_WRITEDATA, x) ||
	    SET(CURLOPT_PREREQFUNCTION, exchange_send) || SET(CURLOPT_PREREQDATA, x) ||
	    curl_multi_add_handle(e->multi, easy) != CURLM_OK) {
		exchange_rest(e, x);
		return -ENOMEM;
	}
	x->token = e->auth.number;
	x->next = e->busy;
	e->busy = x;
	e->under_way++;
	return 0;
}

static void busy_remove(struct etcd *e, struct exchange *x)
{
	struct exchange **at = &e->busy;

	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	e->under_way--;
}

/* What is not of the endpoint (no token, refused) does not make it bad. */
static void endpoint_judge(struct etcd *e, unsigned int endpoint, enum etcd_fate fate,
			   const struct error *error)
{
	switch (fate) {
	case ETCD_NOT_SENT:
	case ETCD_DOUBTFUL:
		endpoint_failed(e, endpoint, error);
		break;
	case ETCD_ANSWERED:
	case ETCD_BUSY:
	case ETCD_NO_TOKEN:
	case ETCD_NO_LEASE:
	case ETCD_COMPACTED:
	case ETCD_REFUSED:
		endpoint_good(e, endpoint);
		break;
	}
}

/* What is no JSON stays as its first line: it is for a person. */
static void answer_read(struct exchange *x, struct etcd_answer *ret)
{
	if (text_add(&x->answer, "", 1, SIZE_MAX) < 0 ||
	    etcd_answer_parse(x->answer.at, x->answer.len - 1, ret) == 0)
		return;
	x->answer.at[strcspn(x->answer.at, "\r\n")] = '\0';
	ret->message = x->answer.at;
}

void exchange_finished(struct etcd *e, CURL *easy, CURLcode code)
{
	struct etcd_answer answer = { .message = "" };
	struct exchange *x = NULL;
	struct error error;
	enum etcd_fate fate;
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&x);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(e->multi, easy);
	busy_remove(e, x);
	if (code == CURLE_OK) {
		answer_read(x, &answer);
		fate = etcd_fate(status, &answer, e->endpoints[x->endpoint], &error);
	} else {
		fate = http_fate(e, x->endpoint, code, x->said, x->sent > 0, &error);
	}
	endpoint_judge(e, x->endpoint, fate, &error);
	/* The lease is kept alive for anybody: that says nothing about who may do what. */
	if (x->of_keys && x->endpoint == e->at)
		e->good = etcd_now();
	if (fate == ETCD_ANSWERED && x->of_keys)
		etcd_reach(e, NULL);
	if (fate == ETCD_NO_TOKEN && !auth_renew(e, x->token, &error))
		fate = ETCD_REFUSED;
	x->done(e, x->owner, fate, &answer, fate == ETCD_ANSWERED ? NULL : &error);
	etcd_answer_done(&answer);
	exchange_rest(e, x);
}

void exchanges_free(struct etcd *e)
{
	struct exchange *x, *next;

	for (x = e->busy; x; x = next) {
		next = x->next;
		curl_multi_remove_handle(e->multi, x->easy);
		exchange_free(x);
	}
	for (x = e->idle; x; x = next) {
		next = x->next;
		exchange_free(x);
	}
	e->busy = e->idle = NULL;
	e->under_way = 0;
}
