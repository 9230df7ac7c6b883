/* HTTP probes: a program each time (http_probe.c says why), whose words are the detail. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errand/probe.h"

#define HTTP_UNABLE 3 /* http_probe.c */

static char *const http_environment[] = { NULL };

/* It belongs to us as the daemon itself does, so who may write it is not looked at. */
static const char *http_program(void)
{
	const char *given = secure_getenv("VMAC_HTTP_PROBE"); /* of a build that is not installed */

	return given ? given : VMAC_LIBEXECDIR "/http-probe";
}

static int http_start(struct probe *p, int out, struct error *ret_error)
{
	char ms[16], mark[16];
	bool way = p->way.device[0];
	char *argv[] = { (char[]){ "http-probe" },   p->target, ms,
			 way ? p->way.device : NULL, mark,	NULL };

	snprintf(ms, sizeof(ms), "%u", p->timeout_ms);
	snprintf(mark, sizeof(mark), "%u", p->way.mark);
	return run_begin_own(&p->run, http_program(), argv, http_environment, out,
			     SPAN_MS(p->timeout_ms), ret_error);
}

void http_begin(struct probe *p)
{
	struct error error;
	int both[2], r;

	if (p->prober->requests == PROGRAMS_MAX) {
		p->busy = false; /* no result: it is not the server's fault */
		return;
	}
	if (pipe2(both, O_CLOEXEC | O_NONBLOCK) < 0) {
		probe_answer(p, ERRAND_DOWN, "%s", strerror(errno));
		return;
	}
	r = http_start(p, both[1], &error);
	close(both[1]);
	if (r < 0) {
		close(both[0]);
		probe_answer(p, ERRAND_DOWN, "%.90s", error.message);
		return;
	}
	p->said = both[0];
	p->prober->requests++;
}

void http_end(struct probe *p)
{
	close(p->said);
	p->prober->requests--;
}

/* What it says is less than a pipe holds, so nobody has to read it before the end. */
void http_look(struct probe *p)
{
	char said[DETAIL_MAX] = "";
	ssize_t n;
	int status;

	if (!run_look(&p->run, &status))
		return;
	n = read(p->said, said, sizeof(said) - 1);
	http_end(p);
	if (p->run.overdue)
		probe_answer(p, ERRAND_DOWN, "no answer in %u ms", p->timeout_ms);
	else if (status < 0 || n <= 0)
		probe_answer(p, ERRAND_DOWN, "the probe ended by itself: %d", status);
	else
		probe_answer(p,
			     status == 0	     ? ERRAND_UP
			     : status == HTTP_UNABLE ? ERRAND_UNABLE
						     : ERRAND_DOWN,
			     "%s", said);
}
