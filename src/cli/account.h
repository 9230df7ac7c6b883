/* Users and groups of this host, by name or number. */
#pragma once

/* The id; -1: there is none. */
long long account_user(const char *text);
long long account_group(const char *text);
