#include "cli/account.h"

#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>

static long long number(const char *text)
{
	unsigned long long n;
	char *end;

	n = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && !*end && n < UINT32_MAX ? (long long)n : -1;
}

long long account_user(const char *text)
{
	const struct passwd *pw = getpwnam(text);

	return pw ? (long long)pw->pw_uid : number(text);
}

long long account_group(const char *text)
{
	const struct group *gr = getgrnam(text);

	return gr ? (long long)gr->gr_gid : number(text);
}
