/* The NIC's receive filter: addresses that the device takes besides its own. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include "host/private.h"

/* RTM_NEWNEIGH without NLM_F_EXCL: an entry that is there already is success. */
static int filter_change(struct host *h, int type, int flags, int ifindex, vmac_mac_t address)
{
	struct ndmsg entry = {
		.ndm_family = AF_BRIDGE,
		.ndm_ifindex = ifindex,
		.ndm_state = NUD_PERMANENT,
		.ndm_flags = NTF_SELF,
	};
	struct nl_msg *m CLEANUP(nlmsg_free_p) =
		netlink_message(type, flags, &entry, sizeof(entry));

	assert(ifindex > 0);
	if (!m)
		return -ENOMEM;
	netlink_put(m, NDA_LLADDR, address.octet, VMAC_MAC_LEN);
	return netlink_request(&h->command, m, NULL, NULL);
}

int host_filter_add(struct host *h, int ifindex, vmac_mac_t address, struct error *ret_error)
{
	int r = filter_change(h, RTM_NEWNEIGH, NLM_F_CREATE, ifindex, address);

	if (r < 0 && r != -EEXIST)
		return netlink_fail(&h->command, r, ret_error,
				    "add an address to the receive filter of interface %d",
				    ifindex);
	return 0;
}

int host_filter_delete(struct host *h, int ifindex, vmac_mac_t address, struct error *ret_error)
{
	int r = filter_change(h, RTM_DELNEIGH, 0, ifindex, address);

	if (r < 0 && r != -ENOENT && r != -ENODEV)
		return netlink_fail(&h->command, r, ret_error,
				    "remove an address from the receive filter of interface %d",
				    ifindex);
	return 0;
}

/* A dump may have to be begun again, so the entries are told only when all are there. */
struct filter_list {
	int ifindex;
	vmac_mac_t *entries;
	size_t count, capacity;
	bool no_memory;
};

static void on_entry(void *ctx, const struct nlmsghdr *answer)
{
	struct nlmsghdr *message = (struct nlmsghdr *)answer;
	const struct ndmsg *entry = nlmsg_data(message);
	struct filter_list *list = ctx;
	struct nlattr *a[NDA_MAX + 1];
	vmac_mac_t address;

	if (nlmsg_parse(message, sizeof(*entry), a, NDA_MAX, NULL) < 0 || !a[NDA_LLADDR] ||
	    nla_len(a[NDA_LLADDR]) != VMAC_MAC_LEN || entry->ndm_ifindex != list->ifindex ||
	    !(entry->ndm_flags & NTF_SELF))
		return;
	memcpy(address.octet, nla_data(a[NDA_LLADDR]), VMAC_MAC_LEN);
	if (vmac_mac_is_group(address))
		return;
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 64;
		vmac_mac_t *more = reallocarray(list->entries, capacity, sizeof(*more));

		if (!more) {
			list->no_memory = true;
			return;
		}
		list->entries = more;
		list->capacity = capacity;
	}
	list->entries[list->count++] = address;
}

int host_filter_list(struct host *h, int ifindex, void (*fn)(void *ctx, vmac_mac_t address),
		     void *ctx, struct error *ret_error)
{
	struct ndmsg filter = { .ndm_family = AF_BRIDGE, .ndm_ifindex = ifindex };
	struct filter_list list = { .ifindex = ifindex };
	int r = -EAGAIN;

	assert(ifindex > 0);
	for (int i = 0; i < NETLINK_DUMP_TRIES && r == -EAGAIN; i++) {
		struct nl_msg *m CLEANUP(nlmsg_free_p) =
			netlink_message(RTM_GETNEIGH, NLM_F_DUMP, &filter, sizeof(filter));

		list.count = 0;
		r = m ? netlink_request(&h->command, m, on_entry, &list) : -ENOMEM;
	}
	if (r == 0 && list.no_memory)
		r = -ENOMEM;
	if (r == 0)
		for (size_t i = 0; i < list.count; i++)
			fn(ctx, list.entries[i]);
	free(list.entries);
	if (r < 0)
		return netlink_fail(&h->command, r, ret_error,
				    "list the receive filter of interface %d", ifindex);
	return 0;
}
