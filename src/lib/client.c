#include <vmac/client.h>

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

#define SOCKET_PATH_MAX	   108
#define REPLY_MAX	   (256 * 1024 * 1024) /* what a sane daemon never sends */
#define EVENT_LINE_MAX	   (64 * 1024)
#define CONNECT_TIMEOUT_MS 5000L
#define CALL_TIMEOUT_MS	   60000L

struct vmac_client {
	CURL *curl;
	char socket[SOCKET_PATH_MAX];
};

DEFINE_CLEANUP(struct curl_slist *, curl_slist_free_all);
DEFINE_CLEANUP(json_t *, json_decref);

int vmac_client_open(const char *socket, struct vmac_client **ret)
{
	struct vmac_client *c;

	if (!socket)
		socket = getenv("VMAC_SOCKET");
	if (!socket || !socket[0])
		socket = VMAC_SOCKET_DEFAULT;
	if (strlen(socket) >= SOCKET_PATH_MAX)
		return -ENAMETOOLONG;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	snprintf(c->socket, sizeof(c->socket), "%s", socket);
	c->curl = curl_easy_init();
	if (!c->curl) {
		free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

void vmac_client_close(struct vmac_client *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->curl);
	free(c);
}

const char *vmac_client_socket(const struct vmac_client *c)
{
	return c->socket;
}

char *vmac_escape(const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~:";
	static const char hex[] = "0123456789ABCDEF";
	char *escaped = malloc(3 * strlen(text) + 1), *at = escaped;

	if (!escaped)
		return NULL;
	for (; *text; text++) {
		if (strchr(plain, *text)) {
			*at++ = *text;
		} else {
			*at++ = '%';
			*at++ = hex[(unsigned char)*text >> 4];
			*at++ = hex[*text & 15];
		}
	}
	*at = '\0';
	return escaped;
}

void vmac_reply_done(struct vmac_reply *r)
{
	if (r->len > 0)
		free(r->body);
	*r = (struct vmac_reply){ .body = (char *)"" };
}

/* --- failures -------------------------------------------------------------------------------- */

static void fail(struct vmac_reply *r, enum error_code code, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void fail(struct vmac_reply *r, enum error_code code, const char *hint, const char *fmt, ...)
{
	va_list ap;

	snprintf(r->code, sizeof(r->code), "%s", error_name(code));
	va_start(ap, fmt);
	vsnprintf(r->message, sizeof(r->message), fmt, ap);
	va_end(ap);
	snprintf(r->hint, sizeof(r->hint), "%s", hint);
	r->exit_status = error_exit_status(code);
}

static const char *member(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* An answer of 400 and more: what the daemon says about it. */
static void fail_as_told(struct vmac_reply *r)
{
	CLEANUP(json_decref_p) json_t *root = json_loadb(r->body, r->len, 0, NULL);
	const json_t *e = json_object_get(root, "error");

	if (!json_is_object(e)) {
		fail(r, ERROR_INTERNAL, "", "the daemon answered %d without saying why", r->status);
		r->exit_status = 1;
		return;
	}
	snprintf(r->code, sizeof(r->code), "%s", member(e, "code"));
	snprintf(r->message, sizeof(r->message), "%s", member(e, "message"));
	snprintf(r->hint, sizeof(r->hint), "%s", member(e, "hint"));
	r->exit_status = error_exit_status(error_from_name(r->code));
	if (strcmp(r->code, error_name(ERROR_INTERNAL)) == 0)
		r->exit_status = 1;
}

static void fail_transport(const struct vmac_client *c, struct vmac_reply *r, CURLcode code,
			   long os_errno)
{
	char hint[sizeof(r->hint)];

	if (code == CURLE_COULDNT_CONNECT && (os_errno == EACCES || os_errno == EPERM)) {
		fail(r, ERROR_FORBIDDEN, "run it as root, or join the socket's group",
		     "%s: not allowed to connect", c->socket);
	} else if (code == CURLE_COULDNT_CONNECT) {
		snprintf(hint, sizeof(hint),
			 "is vmacd running?  It should listen at %s (--socket or $VMAC_SOCKET "
			 "choose another)",
			 c->socket);
		fail(r, ERROR_UNREACHABLE, hint, "cannot reach vmacd at %s: %s", c->socket,
		     os_errno ? strerror((int)os_errno) : curl_easy_strerror(code));
	} else if (code == CURLE_OUT_OF_MEMORY) {
		fail(r, ERROR_NO_MEMORY, "", "no memory");
	} else {
		fail(r, ERROR_UNREACHABLE, "the log of vmacd says more",
		     "the connection to vmacd at %s broke: %s", c->socket,
		     curl_easy_strerror(code));
	}
}

/* --- calling --------------------------------------------------------------------------------- */

struct text {
	char *data;
	size_t len;
};

static size_t receive(char *data, size_t size, size_t count, void *ctx)
{
	struct text *t = ctx;
	char *p;

	if (t->len + count > REPLY_MAX)
		return 0;
	p = realloc(t->data, t->len + count + 1);
	if (!p)
		return 0;
	memcpy(p + t->len, data, count);
	t->data = p;
	t->len += count;
	p[t->len] = '\0';
	return count;
}

/* What all requests have in common; curl keeps its connection over a reset. */
static int prepare(struct vmac_client *c, const char *path, char **ret_url)
{
	char *url;

	if (asprintf(&url, "http://vmacd%s", path) < 0)
		return -ENOMEM;
	curl_easy_reset(c->curl);
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, c->socket);
	curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	*ret_url = url;
	return 0;
}

static inline void free_text(char **p)
{
	free(*p);
}

int vmac_client_call(struct vmac_client *c, const char *method, const char *path, const char *body,
		     struct vmac_reply *ret)
{
	CLEANUP(curl_slist_free_all_p) struct curl_slist *headers = NULL;
	CLEANUP(free_text) char *url = NULL;
	struct text text = { 0 };
	long status = 0, os_errno = 0;
	CURLcode code;

	*ret = (struct vmac_reply){ .body = (char *)"" };
	if (prepare(c, path, &url) < 0) {
		fail(ret, ERROR_NO_MEMORY, "", "no memory");
		return -1;
	}
	headers = curl_slist_append(headers, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Expect:");
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, CALL_TIMEOUT_MS);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &text);
	if (body) {
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
	}
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
	code = curl_easy_perform(c->curl);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &os_errno);
	if (text.len > 0) {
		ret->body = text.data;
		ret->len = text.len;
	}
	if (code != CURLE_OK) {
		fail_transport(c, ret, code, os_errno);
		return -1;
	}
	ret->status = (int)status;
	if (status >= 200 && status < 300)
		return 0;
	fail_as_told(ret);
	return -1;
}

/* --- events ---------------------------------------------------------------------------------- */

/* A server-sent event is lines up to an empty one. */
struct stream {
	CURL *curl;
	vmac_event_fn fn;
	void *ctx;
	bool ended;	  /* by fn */
	struct text head; /* the body of a refusal */
	char line[EVENT_LINE_MAX];
	size_t len;
	char id[64], what[32];
	char *data;
};

static bool stream_field(struct stream *s, const char *name, const char **ret_value)
{
	size_t len = strlen(name);

	if (strncmp(s->line, name, len) != 0 || s->line[len] != ':')
		return false;
	*ret_value = s->line + len + 1;
	if (**ret_value == ' ')
		(*ret_value)++;
	return true;
}

/* false: stop. */
static bool stream_line(struct stream *s)
{
	const char *value;

	s->line[s->len] = '\0';
	if (s->len == 0 && s->data) {
		s->ended = s->fn(s->ctx, s->id, s->what, s->data) != 0;
		free(s->data);
		s->data = NULL;
		s->what[0] = '\0';
	} else if (stream_field(s, "id", &value)) {
		snprintf(s->id, sizeof(s->id), "%.63s", value);
	} else if (stream_field(s, "event", &value)) {
		snprintf(s->what, sizeof(s->what), "%.31s", value);
	} else if (stream_field(s, "data", &value) && !s->data) {
		s->data = strdup(value);
	}
	s->len = 0;
	return !s->ended;
}

static size_t stream_receive(char *data, size_t size, size_t count, void *ctx)
{
	struct stream *s = ctx;
	long status = 0;

	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return receive(data, size, count, &s->head);
	for (size_t i = 0; i < count; i++) {
		if (data[i] == '\n') {
			if (!stream_line(s))
				return 0;
		} else if (s->len + 1 < sizeof(s->line)) {
			s->line[s->len++] = data[i];
		}
	}
	return count;
}

static void stream_free(struct stream *s)
{
	free(s->data);
	free(s->head.data);
	free(s);
}

DEFINE_CLEANUP(struct stream *, stream_free);

static int stream_result(struct vmac_client *c, struct stream *s, CURLcode code,
			 struct vmac_reply *ret)
{
	long status = 0, os_errno = 0;

	if (s->ended || code == CURLE_OPERATION_TIMEDOUT)
		return 0;
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &os_errno);
	/* A daemon that stops ends the stream in the middle of it. */
	if (code != CURLE_OK && !(code == CURLE_PARTIAL_FILE && status == 200)) {
		fail_transport(c, ret, code, os_errno);
		return -1;
	}
	ret->status = (int)status;
	if (s->head.len > 0) {
		ret->body = s->head.data;
		ret->len = s->head.len;
		s->head = (struct text){ 0 };
	}
	if (status == 200)
		fail(ret, ERROR_UNREACHABLE, "has it been stopped?", "vmacd ended the stream");
	else
		fail_as_told(ret);
	return -1;
}

int vmac_client_events(struct vmac_client *c, const char *last_id, unsigned int seconds,
		       vmac_event_fn fn, void *ctx, struct vmac_reply *ret)
{
	CLEANUP(curl_slist_free_all_p) struct curl_slist *headers = NULL;
	CLEANUP(stream_free_p) struct stream *s = calloc(1, sizeof(*s));
	CLEANUP(free_text) char *url = NULL;
	char header[96];

	*ret = (struct vmac_reply){ .body = (char *)"" };
	if (!s || prepare(c, "/v1/events", &url) < 0) {
		fail(ret, ERROR_NO_MEMORY, "", "no memory");
		return -1;
	}
	s->curl = c->curl;
	s->fn = fn;
	s->ctx = ctx;
	if (last_id) {
		snprintf(header, sizeof(header), "Last-Event-ID: %.64s", last_id);
		headers = curl_slist_append(headers, header);
	}
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, 1000L * (long)seconds);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, stream_receive);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, s);
	return stream_result(c, s, curl_easy_perform(c->curl), ret);
}
