/* A program under way: its deadline and its end. */
#include <poll.h>
#include <unistd.h>

#include "errand/probe.h"

static int begun(struct run *r, int e, span_t timeout)
{
	if (e < 0) {
		r->pid = 0;
		return e;
	}
	r->deadline = mono_after(clock_boot(), timeout);
	r->overdue = false;
	return 0;
}

int run_begin(struct run *r, const char *path, char *const argv[], char *const environment[],
	      span_t timeout, struct error *ret_error)
{
	return begun(r, program_start(path, argv, environment, &r->pid, &r->fd, ret_error),
		     timeout);
}

int run_begin_own(struct run *r, const char *path, char *const argv[], char *const environment[],
		  int out, span_t timeout, struct error *ret_error)
{
	return begun(r, program_start_own(path, argv, environment, out, &r->pid, &r->fd, ret_error),
		     timeout);
}

bool run_look(struct run *r, int *ret_status)
{
	if (!r->pid || !program_reap(r->fd, ret_status))
		return false;
	close(r->fd);
	r->pid = 0;
	return true;
}

void run_overdue(struct run *r, mono_t now)
{
	if (!r->pid || r->overdue || !mono_due(r->deadline, now))
		return;
	r->overdue = true;
	program_kill(r->pid);
}

void run_end(struct run *r)
{
	struct pollfd p = { .fd = r->fd, .events = POLLIN };
	int status;

	if (!r->pid)
		return;
	program_kill(r->pid);
	/* A process in an uninterruptible wait does not end now; it is reaped by whoever reaps us.
	 */
	if (poll(&p, 1, 100) > 0 && run_look(r, &status))
		return;
	close(r->fd);
	r->pid = 0;
}
