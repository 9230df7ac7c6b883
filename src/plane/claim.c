/* Which guest is the active router: see bpf/claim.h for the theory.
 *
 * A claim lives as long as some port's row has its (net, vMAC).  It is made, and the forwarding
 * table led to it, before the first row names it; it is freed when the last one is gone.  No grace
 * period is needed: a claim repeats its key, and who finds another one there finds nobody. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "plane/internal.h"

static struct claim *claim_at(const struct plane *p, unsigned int slot)
{
	return slot >= CLAIM_SLOT_0 && slot < CLAIM_SLOT_0 + CLAIMS_MAX
		       ? tables_claim(&p->tables, slot - CLAIM_SLOT_0)
		       : NULL;
}

/* The claim of that address, or NULL. */
static struct claim *find(const struct plane *p, unsigned int net, uint64_t mac)
{
	struct claim *c = claim_at(p, tables_fdb(&p->tables, net, mac));

	return c && c->key == FDB_KEY(net, mac) ? c : NULL;
}

static bool row_has(const struct port_row *row, unsigned int net, uint64_t mac)
{
	if (row->net != net)
		return false;
	for (unsigned int i = 0; i < row->router_count && i < ROW_ROUTERS_MAX; i++)
		if (row->routers[i] == mac)
			return true;
	return false;
}

/* In a row that guards a port now. */
static bool is_used(const struct plane *p, unsigned int net, uint64_t mac)
{
	for (unsigned int slot = 1; slot <= SLOT_PORTS; slot++) {
		const struct port_row *row = tables_row(&p->tables, slot);

		if (row && row_has(row, net, mac))
			return true;
	}
	return false;
}

bool plane_claim_is_used(const struct plane *p, unsigned int slot)
{
	const struct claim *c = claim_at(p, slot);

	return c && c->key && is_used(p, (unsigned int)(c->key & 0xffff), c->key >> 16);
}

static void give_up(struct claim *c, unsigned int slot)
{
	__u64 word = __atomic_load_n(&c->word, __ATOMIC_ACQUIRE);

	if (CLAIM_SLOT(word) == slot)
		__atomic_compare_exchange_n(&c->word, &word, 0, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED);
}

static void end(struct plane *p, struct claim *c)
{
	unsigned int net = (unsigned int)(c->key & 0xffff);
	uint64_t mac = c->key >> 16;

	if (claim_at(p, tables_fdb(&p->tables, net, mac)) == c)
		tables_fdb_clear(&p->tables, net, mac);
	__atomic_store_n(&c->key, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&c->word, 0, __ATOMIC_RELEASE);
}

static int take(struct plane *p, unsigned int net, uint64_t mac, uint16_t *ret,
		struct error *ret_error)
{
	struct claim *c = find(p, net, mac);
	unsigned int i;
	int r = 0;

	for (i = 0; !c && i < CLAIMS_MAX; i++)
		if (!tables_claim(&p->tables, i)->key)
			c = tables_claim(&p->tables, i);
	if (!c)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "the ports of this host have more than %d routers' vMACs",
				 CLAIMS_MAX);
	i = (unsigned int)(c - tables_claim(&p->tables, 0));
	if (!c->key) {
		__atomic_store_n(&c->word, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&c->key, FDB_KEY(net, mac), __ATOMIC_RELEASE);
		r = tables_fdb_set(&p->tables, net, mac, CLAIM_SLOT_0 + i);
	}
	if (r < 0) {
		__atomic_store_n(&c->key, 0, __ATOMIC_RELEASE);
		return error_set(ret_error, ERROR_KERNEL_FAILED, NULL,
				 "cannot write the BPF maps: %s", strerror(-r));
	}
	*ret = (uint16_t)i;
	return 0;
}

int plane_claims_take(struct plane *p, struct port_row *row, struct error *ret_error)
{
	for (unsigned int i = 0; i < row->router_count; i++) {
		int r = take(p, row->net, row->routers[i], &row->claims[i], ret_error);

		if (r < 0)
			return r; /* what was taken is swept, or found again */
	}
	return 0;
}

void plane_claims_release(struct plane *p, unsigned int slot, const struct port_row *row)
{
	const struct port_row *now = tables_row(&p->tables, slot);

	for (unsigned int i = 0; i < row->router_count && i < ROW_ROUTERS_MAX; i++) {
		struct claim *c = find(p, row->net, row->routers[i]);

		if (!c || (now && row_has(now, row->net, row->routers[i])))
			continue;
		give_up(c, slot);
		if (!is_used(p, row->net, row->routers[i]))
			end(p, c);
	}
}

unsigned int plane_claims_sweep(struct plane *p)
{
	bool *used = calloc(CLAIMS_MAX, sizeof(*used));
	unsigned int removed = 0;

	if (!used)
		return 0;
	for (unsigned int slot = 1; slot <= SLOT_PORTS; slot++) {
		const struct port_row *row = tables_row(&p->tables, slot);

		for (unsigned int i = 0; row && i < row->router_count && i < ROW_ROUTERS_MAX; i++)
			if (row->claims[i] < CLAIMS_MAX)
				used[row->claims[i]] = true;
	}
	for (unsigned int i = 0; i < CLAIMS_MAX; i++)
		if (!used[i] && tables_claim(&p->tables, i)->key) {
			end(p, tables_claim(&p->tables, i));
			removed++;
		}
	free(used);
	return removed;
}

/* --- looking --------------------------------------------------------------------------------- */

static struct plane_claim view_of(const struct claim *c)
{
	uint64_t word = __atomic_load_n(&c->word, __ATOMIC_ACQUIRE), mac = c->key >> 16;
	unsigned int net = (unsigned int)(c->key & 0xffff), slot = CLAIM_SLOT(word);
	struct plane_claim view = { .net = { NET_UPLINK(net), (uint16_t)NET_VLAN(net) },
				    .port = slot <= SLOT_PORTS ? slot : 0,
				    .until = { (int64_t)CLAIM_UNTIL(word) } };
	uint32_t first = (uint32_t)mac;
	uint16_t last = (uint16_t)(mac >> 32);

	memcpy(view.address.octet, &first, sizeof(first));
	memcpy(view.address.octet + 4, &last, sizeof(last));
	return view;
}

void plane_claims(const struct plane *p, void (*fn)(void *ctx, const struct plane_claim *c),
		  void *ctx)
{
	for (unsigned int i = 0; i < CLAIMS_MAX; i++)
		if (tables_claim(&p->tables, i)->key) {
			struct plane_claim view = view_of(tables_claim(&p->tables, i));

			fn(ctx, &view);
		}
}

bool plane_claim(const struct plane *p, const struct plane_net *net, vmac_mac_t address,
		 struct plane_claim *ret)
{
	const struct claim *c = find(p, NET_OF(net->slot, net->vlan), plane_mac_word(address));

	if (!c)
		return false;
	*ret = view_of(c);
	return true;
}
