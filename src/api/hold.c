/* What requests and streams hold of the API: its memory until the last of them has ended, and the
 * owner's loop, which they wake. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/internal.h"
#include "base/log.h"

void api_wake(struct api *a)
{
	uint64_t one = 1;

	if (a->woken)
		return;
	a->woken = true;
	/* Cannot fail but for a full counter, which is readable as well. */
	if (write(a->wake_fd, &one, sizeof(one)) < 0)
		log_debug("api: wake-up: %s", strerror(errno));
}

void api_resume(struct api *a, struct MHD_Connection *conn)
{
	MHD_resume_connection(conn);
	api_wake(a);
}

/* With the last request of a closed API, which its engine held, the API goes. */
void api_unref(struct api *a)
{
	assert(a->requests > 0);
	a->requests--;
	if (a->closed && a->requests == 0)
		free(a);
}
