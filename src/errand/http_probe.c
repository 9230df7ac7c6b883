/* http-probe URL MS [DEVICE MARK]: one request, by that device and with that socket mark; says what
 * came on standard output and ends with 0 where that is good, with 3 where this host could not ask.
 *
 * A program of its own, run by vmacd for each look (http.c): libcurl with all that it brings would
 * cost the daemon more memory than a thousand routers, needed or not, and what parses a stranger's
 * answer is better off outside of who holds the leases.
 *
 * One request each time on a new connection, since it is the way to the server that is asked for
 * too.  A redirection is an answer; nothing is followed. */
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* The body is of no concern: its first octet ends the transfer. */
static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
	return 0;
}

static int on_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	unsigned int mark = (unsigned int)strtoul(ctx, NULL, 10);

	return mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0
		       ? CURL_SOCKOPT_ERROR
		       : CURL_SOCKOPT_OK;
}

/* libcurl binds to a device by SO_BINDTODEVICE where its name is marked as one. */
static void take_way(CURL *c, char *device, char *mark)
{
	char name[64];

	snprintf(name, sizeof(name), "if!%s", device);
	curl_easy_setopt(c, CURLOPT_INTERFACE, name);
	curl_easy_setopt(c, CURLOPT_SOCKOPTFUNCTION, on_socket);
	curl_easy_setopt(c, CURLOPT_SOCKOPTDATA, mark);
	/* A member is asked by the address of all, which need not be a name in its certificate: how
	 * it is, and not who. */
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
}

/* Whether it never came to ask. */
static bool is_own(CURL *c, CURLcode result)
{
	long err = 0;

	curl_easy_getinfo(c, CURLINFO_OS_ERRNO, &err);
	return result == CURLE_INTERFACE_FAILED || result == CURLE_ABORTED_BY_CALLBACK ||
	       (result == CURLE_COULDNT_CONNECT && (err == ENETUNREACH || err == EADDRNOTAVAIL));
}

int main(int argc, char **argv)
{
	CURL *c = argc == 3 || argc == 5 ? curl_easy_init() : NULL;
	CURLcode result;
	long status = 0;
	bool own;

	if (!c) {
		fputs(argc == 3 || argc == 5 ? "not enough memory"
					     : "usage: http-probe URL MS [DEVICE MARK]",
		      stdout);
		return 2;
	}
	curl_easy_setopt(c, CURLOPT_URL, argv[1]);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, strtol(argv[2], NULL, 10));
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "vmac/" VMAC_VERSION);
	if (argc == 5)
		take_way(c, argv[3], argv[4]);
	result = curl_easy_perform(c);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	own = argc == 5 && is_own(c, result);
	curl_easy_cleanup(c);
	if (result != CURLE_OK && !(result == CURLE_WRITE_ERROR && status > 0)) {
		fputs(curl_easy_strerror(result), stdout);
		return own ? 3 : 1;
	}
	printf("HTTP %ld", status);
	return status >= 200 && status <= 399 ? 0 : 1;
}
