/* What libvirt's XML of a guest says of its network interfaces. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <vmac/mac.h>

#include "base/error.h"

#define DOMAIN_XML_MAX	 (4u << 20)
#define DOMAIN_NICS_MAX	 64
#define DOMAIN_DEPTH_MAX 64
#define DOMAIN_DEV_MAX	 15 /* IFNAMSIZ - 1 */

struct domain_nic {
	vmac_mac_t mac;
	bool has_mac;
	bool ethernet;		      /* type='ethernet' */
	char dev[DOMAIN_DEV_MAX + 1]; /* of <target>; "" = not said */
	bool unmanaged;		      /* … managed='no': not libvirt's to make */
	unsigned int queues;	      /* of <driver>; 0 = not said */
};

struct domain {
	unsigned int nic_count;
	struct domain_nic nics[DOMAIN_NICS_MAX];
};

/* Errors: BAD_VALUE (no XML; a document type, for entities are how XML bites; nested too deep),
 * LIMIT_REACHED (too many interfaces), NO_MEMORY. */
int domain_parse(const char *xml, size_t len, struct domain *ret, struct error *ret_error);
