/* The probes' schedule, and the kinds that are one look: files and routes. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "errand/probe.h"
#include "host/virtual.h"

static char *const script_environment[] = {
	(char[]){ "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
	NULL,
};

void probe_answer(struct probe *p, enum errand_outcome outcome, const char *fmt, ...)
{
	char detail[DETAIL_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	p->busy = false;
	p->prober->result(p->prober->ctx, p->id, outcome, detail);
}

/* --- script ---------------------------------------------------------------------------------- */

static void script_begin(struct probe *p)
{
	struct program_words words;
	struct error error;

	if (p->prober->scripts == PROGRAMS_MAX) {
		p->busy = false; /* no result: it is not the script's fault */
		return;
	}
	if (program_split(p->target, &words, &error) < 0 ||
	    run_begin(&p->run, words.word[0], words.word, script_environment,
		      SPAN_MS(p->timeout_ms), &error) < 0)
		probe_answer(p, ERRAND_DOWN, "%.90s", error.message);
	else
		p->prober->scripts++;
}

static void script_look(struct probe *p)
{
	int status;

	if (!run_look(&p->run, &status))
		return;
	p->prober->scripts--;
	if (p->run.overdue)
		probe_answer(p, ERRAND_DOWN, "no end in %u ms", p->timeout_ms);
	else if (status < 0)
		probe_answer(p, ERRAND_DOWN, "ended by signal %d", -status);
	else
		probe_answer(p, status == 0 ? ERRAND_UP : ERRAND_DOWN, "exit status %d", status);
}

/* --- file, route ----------------------------------------------------------------------------- */

static void file_look(struct probe *p)
{
	struct stat st;

	if (stat(p->target, &st) == 0)
		probe_answer(p, ERRAND_UP, "exists");
	else
		probe_answer(p, ERRAND_DOWN, "%s", strerror(errno));
}

static int route_target(const char *text, struct ip *ret_prefix, uint8_t *ret_len)
{
	char prefix[IP_TEXT_MAX];
	const char *slash = strchr(text, '/');
	char *end;
	unsigned long len;

	if (!slash || (size_t)(slash - text) >= sizeof(prefix))
		return -EINVAL;
	memcpy(prefix, text, (size_t)(slash - text));
	prefix[slash - text] = '\0';
	if (ip_parse(prefix, ret_prefix) < 0)
		return -EINVAL;
	len = strtoul(slash + 1, &end, 10);
	if (end == slash + 1 || *end || len > (ret_prefix->family == 4 ? 32 : 128))
		return -EINVAL;
	*ret_len = (uint8_t)len;
	return 0;
}

static void route_look(struct probe *p)
{
	struct error error;
	struct ip prefix;
	uint8_t len;
	bool there;

	if (route_target(p->target, &prefix, &len) < 0) {
		probe_answer(p, ERRAND_DOWN, "not PREFIX/LENGTH");
		return;
	}
	if ((!p->prober->host && host_open(&p->prober->host, &error) < 0) ||
	    host_route_there(p->prober->host, &prefix, len, &there, &error) < 0)
		probe_answer(p, ERRAND_DOWN, "%.90s", error.message);
	else
		probe_answer(p, there ? ERRAND_UP : ERRAND_DOWN, there ? "there" : "no such route");
}

/* --- ping ------------------------------------------------------------------------------------ */

static void ping_begin(struct probe *p)
{
	int r = ping_target(p);

	p->sequence++;
	if (r == 0)
		r = ping_send(p->prober->ping, p);
	if (r < 0)
		probe_answer(p, ERRAND_DOWN, "%s", strerror(-r));
}

static void on_reply(void *ctx, const struct ip *from, uint16_t sequence, uint64_t id)
{
	struct prober *prober = ctx;

	for (struct probe *p = prober->probes; p; p = p->next_probe)
		if (p->id == id && p->kind == ERRAND_PING) {
			if (p->busy && p->sequence == sequence && ip_equal(&p->ip, from))
				probe_answer(p, ERRAND_UP, "answers");
			return;
		}
}

/* --- all kinds ------------------------------------------------------------------------------- */

static void probe_begin(struct probe *p, mono_t now)
{
	p->busy = true;
	p->deadline = mono_after(now, SPAN_MS(p->timeout_ms));
	p->next = mono_after(p->next, SPAN_MS(p->interval_ms));
	if (mono_due(p->next, now)) /* fell behind, or the first time */
		p->next = mono_after(now, SPAN_MS(p->interval_ms));
	switch ((enum errand_kind)p->kind) {
	case ERRAND_SCRIPT:
		script_begin(p);
		return;
	case ERRAND_FILE:
		file_look(p);
		return;
	case ERRAND_ROUTE:
		route_look(p);
		return;
	case ERRAND_HTTP:
		http_begin(p);
		return;
	case ERRAND_PING:
		ping_begin(p);
		return;
	case ERRAND_TCP:
		tcp_begin(p);
		return;
	}
	assert(!"a kind that is no errand");
}

/* What takes too long is no answer. */
static void probe_overdue(struct probe *p, mono_t now)
{
	if (p->run.pid)
		run_overdue(&p->run, now);
	else if (p->connecting && mono_due(p->deadline, now))
		tcp_overdue(p);
	else if (p->kind == ERRAND_PING && mono_due(p->deadline, now))
		probe_answer(p, ERRAND_DOWN, "no answer in %u ms", p->timeout_ms);
}

static void probe_end(struct probe *p)
{
	if (p->run.pid) {
		run_end(&p->run);
		if (p->kind == ERRAND_HTTP)
			http_end(p);
		else
			p->prober->scripts--;
	}
	if (p->connecting)
		tcp_end(p);
	free(p->target);
	free(p);
}

int prober_init(struct prober *p)
{
	p->ping = ping_new();
	return p->ping ? 0 : -ENOMEM;
}

void prober_done(struct prober *p)
{
	while (p->probes)
		prober_drop(p, p->probes->id);
	host_close(p->host);
	if (p->ping)
		ping_free(p->ping);
}

int prober_add(struct prober *prober, const struct errand_probe *what)
{
	struct probe *p;

	if (prober->count == PROBES_MAX)
		return -ENOSPC;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->target = strdup(what->target);
	if (!p->target) {
		free(p);
		return -ENOMEM;
	}
	p->prober = prober;
	p->id = what->id;
	p->kind = what->kind;
	p->interval_ms = what->interval_ms;
	p->timeout_ms = what->timeout_ms;
	p->way = what->way;
	p->next_probe = prober->probes;
	prober->probes = p;
	prober->count++;
	return 0;
}

void prober_drop(struct prober *prober, uint64_t id)
{
	for (struct probe **at = &prober->probes; *at; at = &(*at)->next_probe) {
		struct probe *p = *at;

		if (p->id != id)
			continue;
		*at = p->next_probe;
		prober->count--;
		probe_end(p);
		return;
	}
}

mono_t prober_turn(struct prober *prober, mono_t now)
{
	mono_t next = MONO_NEVER;

	for (struct probe *p = prober->probes; p; p = p->next_probe) {
		if (p->busy)
			probe_overdue(p, now);
		/* One that is under way is not begun a second time. */
		if (!p->busy && mono_due(p->next, now))
			probe_begin(p, now);
		if (p->busy && p->deadline.ns < next.ns && !p->run.overdue)
			next = p->deadline;
		if (!p->busy && p->next.ns < next.ns)
			next = p->next;
	}
	return next;
}

unsigned int prober_wait(struct prober *prober, struct pollfd *fds, unsigned int max)
{
	unsigned int n = ping_wait(prober->ping, fds, max);

	for (struct probe *p = prober->probes; p && n < max; p = p->next_probe)
		if (p->run.pid)
			fds[n++] = (struct pollfd){ .fd = p->run.fd, .events = POLLIN };
		else if (p->connecting)
			fds[n++] = (struct pollfd){ .fd = p->connecting, .events = POLLOUT };
	return n;
}

void prober_look(struct prober *prober)
{
	ping_look(prober->ping, on_reply, prober);
	for (struct probe *p = prober->probes; p; p = p->next_probe)
		if (p->run.pid && p->kind == ERRAND_HTTP)
			http_look(p);
		else if (p->run.pid)
			script_look(p);
		else if (p->connecting)
			tcp_look(p);
}
