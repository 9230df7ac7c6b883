/* What the model's records share: one block of memory a vMAC, and what history says of a record. */
#pragma once

#include <stddef.h>

#include "model/cluster.h"
#include "model/ip.h"
#include "model/model.h"
#include "model/router.h"
#include "model/text.h"

/* --- a vMAC in one block --------------------------------------------------------------------- */

/* Octets that a copy of *v needs, texts and ips included. */
size_t vmac_block_size(const struct vmac *v);

/* Copies *v with all that it points to into block (vmac_block_size(v) octets, aligned for any type)
 * and returns the copy, whose pointers point into the block (ips: NULL when there are none).  One
 * free() of block ends it. */
struct vmac *vmac_block_fill(void *block, const struct vmac *v);

/* The key of a vMAC: segment and address in one number, unique and sortable. segment < 2^16. */
static inline uint64_t vmac_key(uint32_t segment, vmac_mac_t address)
{
	return (uint64_t)segment << 48 | vmac_mac_u64(address);
}

/* --- history texts --------------------------------------------------------------------------- */

#define STATE_TEXT_MAX 2048 /* a router with 16 sets on links of ugly names */

/* What history's from and to say of one image of a record (NULL: "").  Returns buf.
 *
 * A text is words and key=value, in this order, keys left out where there is nothing to say; values
 * with white space or a quote stand in quotes, '"' and '\' inside with a '\' before them.  Readers
 * may rely on the first word and on the keys; new keys come at the end.
 *
 *   segment  internal | uplink=IFNAME  vlan=N
 *   pool     ranges=A..B,…  excludes=A..B,…  quarantine=DURATION  limit=N   (never the key)
 *   vMAC     reserved | bound | moving | quarantined | away  port=ID  epoch=N  until=TIME  name=
 *            owner=  tenant=  ips=IP,…  (epoch: bound, moving and away only; quarantined: until
 *                                        only, for the name and the owner are gone)
 *   port     open | closed  kind=tap|veth|netdev  mac=ADDRESS  ifname=IFNAME  netns=PATH
 *            peer=IFNAME  mtu=N  allow=dhcp-server,router-advert,any-ip  flood=PPS
 *   router   enabled | disabled  protocol=vrrp3  priority=N  interval=DURATION  hold=DURATION
 *            sets=IFNAME:GROUP:4|6,…  addresses=IP[/LEN],… (four at most, then +N)
 *            preempt=yes|no  accept=yes|no  auth=none|text|md5|hmac  mode=receive-only|…
 *            keys=ID,…  tracks=KIND,…  notify=PATH          (never a secret)
 *   cluster  director | distributed | carry  faces=ADDRESS,…  addresses=IP,… (four at most, then
 *            +N)  table=rendezvous|maglev  affinity=none|single|network  rules=tcp/80:ACTION,…
 *            nat=yes  check=none|arp|tcp|http|https  port=N  path=PATH  interval=DURATION
 *            generation=N
 *            members=N  weight=SUM  draining=ADDRESS,…  failed=ADDRESS,… (four at most, then +N;
 *            never the key)
 */
char *change_state_text(enum change_kind kind, const void *record, char buf[static STATE_TEXT_MAX]);
