/* HTTP probes: one request each time on a new connection, since it is the way to the server that is
 * asked for too.  A redirection is an answer; nothing is followed. */
#include <errno.h>

#include "elect/probe.h"

/* The body is of no concern: its first octet ends the transfer. */
static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
	return 0;
}

int http_begin(struct probe *p)
{
	CURL *c = curl_easy_init();

	if (!c)
		return -ENOMEM;
	curl_easy_setopt(c, CURLOPT_URL, p->target);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)p->timeout_ms);
	curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "vmac/" VMAC_VERSION);
	curl_easy_setopt(c, CURLOPT_PRIVATE, p);
	if (curl_multi_add_handle(p->prober->multi, c) != CURLM_OK) {
		curl_easy_cleanup(c);
		return -ENOMEM;
	}
	p->easy = c;
	return 0;
}

void http_end(struct probe *p)
{
	if (!p->easy)
		return;
	curl_multi_remove_handle(p->prober->multi, p->easy);
	curl_easy_cleanup(p->easy);
	p->easy = NULL;
}

static void http_answer(struct probe *p, CURLcode result)
{
	long status = 0;

	curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status);
	http_end(p);
	if (result != CURLE_OK && !(result == CURLE_WRITE_ERROR && status > 0))
		probe_answer(p, false, "%s", curl_easy_strerror(result));
	else
		probe_answer(p, status >= 200 && status <= 399, "HTTP %ld", status);
}

void http_look(struct prober *prober)
{
	int running, left;
	CURLMsg *m;

	curl_multi_perform(prober->multi, &running);
	while ((m = curl_multi_info_read(prober->multi, &left))) {
		CURLcode result = m->data.result;
		struct probe *p = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &p);
		http_answer(p, result);
	}
}
