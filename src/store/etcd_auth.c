/* The token of a user.  etcd's tokens are short-lived and its members forget them, so one that is
 * refused is no error: another is fetched, and the request goes out again.  The password is read
 * from its file each time, so that it may be changed under us, and stays in memory no longer than
 * the request; neither it nor a token is ever in an error or a log. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/etcd_inside.h"
#include "store/fd.h"

#define PASSWORD_MAX 1024

static void token_drop(struct auth *a)
{
	if (a->token)
		explicit_bzero(a->token, strlen(a->token));
	free(a->token);
	a->token = NULL;
}

static int password_read(const struct etcd_config *c, char buf[static PASSWORD_MAX],
			 struct error *ret_error)
{
	CLEANUP(fd_close) int fd = -1;
	ssize_t n;

	buf[0] = '\0';
	if (!c->password_file)
		return 0;
	fd = open(c->password_file, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, PASSWORD_MAX - 1);
	if (n < 0)
		return error_set(ret_error, ERROR_FORBIDDEN, "see registry.shared.password_file",
				 "the password of etcd's user cannot be read: %s: %s",
				 c->password_file, strerror(errno));
	buf[n] = '\0';
	buf[strcspn(buf, "\r\n")] = '\0';
	return 0;
}

/* It is tried again now and then: the password may be changed at either end. */
static void denied(struct etcd *e, const struct error *error)
{
	struct auth *a = &e->auth;

	a->denied = true;
	a->error = *error;
	a->not_before = mono_after(etcd_now(), SPAN_MS(ETCD_DENIED_MS));
	etcd_reach(e, error);
	txn_refuse(e, false, error);
}

static void answered(struct etcd *e, void *owner, enum etcd_fate fate, struct etcd_answer *answer,
		     const struct error *error)
{
	struct auth *a = &e->auth;

	a->under_way = false;
	a->not_before = mono_after(etcd_now(), SPAN_MS(ETCD_BACKOFF_MS));
	if (fate == ETCD_ANSWERED && answer->token) {
		token_drop(a);
		a->token = strdup(answer->token);
		a->number++;
		a->denied = false;
	} else if (fate == ETCD_REFUSED && strstr(answer->message, "not enabled")) {
		a->off = true;
		a->denied = false;
	} else if (fate == ETCD_REFUSED) {
		denied(e, error);
	}
}

static void authenticate(struct etcd *e)
{
	char password[PASSWORD_MAX];
	struct error error;
	char *body;

	if (password_read(&e->config, password, &error) < 0) {
		denied(e, &error);
		return;
	}
	body = etcd_body_authenticate(e->config.user, password);
	explicit_bzero(password, sizeof(password));
	e->auth.under_way = exchange_begin(e, "/v3/auth/authenticate", body, e->config.timeout,
					   answered, NULL) == 0;
}

bool auth_ready(struct etcd *e, mono_t now)
{
	struct auth *a = &e->auth;

	if (!e->config.user || a->token || a->off)
		return true;
	if (!a->under_way && mono_due(a->not_before, now) && mono_due(e->not_before, now))
		authenticate(e);
	return false;
}

bool auth_renew(struct etcd *e, uint64_t number, struct error *ret_error)
{
	struct auth *a = &e->auth;

	if (!e->config.user) {
		etcd_reach(e, ret_error);
		return false;
	}
	if (number == a->number) {
		token_drop(a);
		a->off = false;
	}
	return true;
}

void auth_done(struct etcd *e)
{
	token_drop(&e->auth);
}
