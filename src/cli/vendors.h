/* IEEE's registry of vendors, from the CSV files that Debian's ieee-data installs. */
#pragma once

#include <stddef.h>

#include <vmac/classify.h>

#define VENDORS_DIRECTORY "/usr/share/ieee-data"
#define VENDORS_FILE_MAX  (64 * 1024 * 1024)

struct vendors {
	struct vmac_oui *sorted;
	size_t count, capacity;
	char *files[4]; /* the texts live here */
};

/* Reads what is there; returns how many prefixes are known (0: none). */
size_t vendors_load(struct vendors *v, const char *directory);
void vendors_done(struct vendors *v);

const struct vmac_oui *vendors_find(const struct vendors *v, vmac_mac_t m);
