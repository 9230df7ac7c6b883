/* What the model's records share: one block of memory a vMAC, texts that are checked, IP text. */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "model/model.h"

/* --- a vMAC in one block ------------------------------------------------------------------------ */

/* Octets that a copy of *v needs, texts and ips included. */
size_t vmac_block_size(const struct vmac *v);

/* Copies *v with all that it points to into block (vmac_block_size(v) octets, aligned for any type)
 * and returns the copy, whose pointers point into the block.  One free() of block ends it. */
struct vmac *vmac_block_fill(void *block, const struct vmac *v);

/* The key of a vMAC: segment and address in one number, unique and sortable. segment < 2^16. */
static inline uint64_t vmac_key(uint32_t segment, vmac_mac_t address)
{
	return (uint64_t)segment << 48 | vmac_mac_u64(address);
}

/* --- texts ---------------------------------------------------------------------------------------- */

/* A name: 1 … NAME_MAX_LEN of letters, digits, '.', '_', '-'; starts with a letter or a digit; is
 * not itself a MAC address (so that one argument can be either).  `what` goes into the message. */
int name_check(const char *what, const char *name, struct error *ret_error);

/* Free text: valid UTF-8, no control characters, at most `max` octets. */
int text_check(const char *what, const char *text, size_t max, struct error *ret_error);

/* A kernel interface name: 1 … 15 octets, no '/', no white space, no control character, not "." or
 * "..", no ':' and no '%' (the kernel's dev_valid_name() and dev_alloc_name()). */
int ifname_check(const char *what, const char *name, struct error *ret_error);

/* --- IP addresses ----------------------------------------------------------------------------------- */

#define IP_TEXT_MAX 46

/* Reads "192.0.2.1" or "2001:db8::1" (RFC 5952 or any RFC 4291 form).  0 or -EINVAL. */
int ip_parse(const char *text, struct ip *ret);

/* RFC 5952 form; returns buf. */
char *ip_format(const struct ip *ip, char buf[static IP_TEXT_MAX]);

bool ip_equal(const struct ip *a, const struct ip *b);

/* The link-local address that IPv6 forms from a MAC (RFC 4291 appendix A, modified EUI-64). */
struct ip ip_link_local(vmac_mac_t m);

/* --- durations ---------------------------------------------------------------------------------------- */

#define DURATION_TEXT_MAX 40

/* Reads "90s", "15m", "4h", "7d", "250ms", sums such as "1h30m", or a bare "0".  0 or -EINVAL (also
 * for more than 100 years). */
int duration_parse(const char *text, int64_t *ret_ms);
char *duration_format(int64_t ms, char buf[static DURATION_TEXT_MAX]);

/* --- history texts -------------------------------------------------------------------------------------- */

#define STATE_TEXT_MAX 256

/* What history's from and to say of one image of a record (NULL: ""). Returns buf. */
char *change_state_text(enum change_kind kind, const void *record,
			char buf[static STATE_TEXT_MAX]);
