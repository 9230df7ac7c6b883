/* http-probe URL MS: one request; says what came on standard output and ends with 0 where that is
 * good.
 *
 * A program of its own, run by vmacd for each look (http.c): libcurl with all that it brings would
 * cost the daemon more memory than a thousand routers, needed or not, and what parses a stranger's
 * answer is better off outside of who holds the leases.
 *
 * One request each time on a new connection, since it is the way to the server that is asked for
 * too.  A redirection is an answer; nothing is followed. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

/* The body is of no concern: its first octet ends the transfer. */
static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
	return 0;
}

int main(int argc, char **argv)
{
	CURL *c = argc == 3 ? curl_easy_init() : NULL;
	CURLcode result;
	long status = 0;

	if (!c) {
		fputs(argc == 3 ? "not enough memory" : "usage: http-probe URL MS", stdout);
		return 2;
	}
	curl_easy_setopt(c, CURLOPT_URL, argv[1]);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, strtol(argv[2], NULL, 10));
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "vmac/" VMAC_VERSION);
	result = curl_easy_perform(c);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(c);
	if (result != CURLE_OK && !(result == CURLE_WRITE_ERROR && status > 0)) {
		fputs(curl_easy_strerror(result), stdout);
		return 1;
	}
	printf("HTTP %ld", status);
	return status >= 200 && status <= 399 ? 0 : 1;
}
