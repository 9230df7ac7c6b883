/* MAC addresses: the 48-bit value.
 *
 * Every function here is pure: no allocation, no I/O, no state.  Bits are those of IEEE 802c-2017
 * as RFC 9542 section 2.1 gives them. */
#ifndef VMAC_MAC_H
#define VMAC_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define VMAC_AT_LEAST(n) n /* C++ has no [static n] */
#else
#define VMAC_AT_LEAST(n) static n
#endif

#define VMAC_MAC_LEN	  6
#define VMAC_MAC_TEXT_MAX 18 /* the longest style with its terminating zero */

/* A value: pass it, return it, compare it with vmac_mac_equal(). */
typedef struct vmac_mac {
	uint8_t octet[VMAC_MAC_LEN]; /* in the order of transmission */
} vmac_mac_t;

enum vmac_mac_style {
	VMAC_MAC_COLON, /* 02:00:5e:10:00:01, ours everywhere */
	VMAC_MAC_DASH,	/* 02-00-5E-10-00-01, IEEE's */
	VMAC_MAC_DOT,	/* 0200.5e10.0001, Cisco's */
	VMAC_MAC_BARE,	/* 02005e100001 */
	VMAC_MAC_STYLE_COUNT
};

/* The address as a number: the first octet is the most significant of 48 bits. */
static inline uint64_t vmac_mac_u64(vmac_mac_t m)
{
	return (uint64_t)m.octet[0] << 40 | (uint64_t)m.octet[1] << 32 |
	       (uint64_t)m.octet[2] << 24 | (uint64_t)m.octet[3] << 16 | (uint64_t)m.octet[4] << 8 |
	       m.octet[5];
}

/* The low 48 bits of n as an address. */
static inline vmac_mac_t vmac_mac_from_u64(uint64_t n)
{
	vmac_mac_t m = { { (uint8_t)(n >> 40), (uint8_t)(n >> 32), (uint8_t)(n >> 24),
			   (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n } };

	return m;
}

static inline bool vmac_mac_equal(vmac_mac_t a, vmac_mac_t b)
{
	return vmac_mac_u64(a) == vmac_mac_u64(b);
}

/* <0, 0, >0 as a sorts before, equal to, behind b as a number. */
int vmac_mac_compare(vmac_mac_t a, vmac_mac_t b);

/* 64 well-mixed bits; equal for equal addresses, stable only within one build. */
uint64_t vmac_mac_hash(vmac_mac_t m);

/* Why a text is not an address, and where: `position` is the offset in octets (0-based) of the
 * first character that cannot be right (the text before it is the beginning of some address), or
 * the length of a text that ends early; `reason` is static text. */
struct vmac_mac_fault {
	size_t position;
	const char *reason;
};

/* Reads one address in any of the four styles, in either case; the whole text must be the address:
 * nothing before, nothing behind, one separator throughout, two digits an octet (four a group with
 * dots).  0 on success; -EINVAL otherwise with *ret_fault filled (may be NULL) and *ret untouched.
 */
int vmac_mac_parse(const char *text, vmac_mac_t *ret, struct vmac_mac_fault *ret_fault);

/* Writes the address and returns buf.  Lower case, except VMAC_MAC_DASH (IEEE writes upper). */
char *vmac_mac_format(vmac_mac_t m, enum vmac_mac_style style,
		      char buf[VMAC_AT_LEAST(VMAC_MAC_TEXT_MAX)]);

/* The address `offset` behind m.  0, or -ERANGE when the result would have another first octet (and
 * so perhaps another kind: I/G and U/L live there); *ret is then untouched. */
int vmac_mac_add(vmac_mac_t m, uint64_t offset, vmac_mac_t *ret);

/* I/G: set on group (multicast, broadcast) addresses. */
static inline bool vmac_mac_is_group(vmac_mac_t m)
{
	return m.octet[0] & 0x01;
}

/* U/L: set on addresses administered locally. */
static inline bool vmac_mac_is_local(vmac_mac_t m)
{
	return m.octet[0] & 0x02;
}

static inline bool vmac_mac_is_zero(vmac_mac_t m)
{
	return vmac_mac_u64(m) == 0;
}

/* An inclusive range.  Valid when first <= last and both have the same first octet. */
struct vmac_mac_range {
	vmac_mac_t first, last;
};

/* 0, or -EINVAL (first > last) or -ERANGE (crosses a first octet). */
int vmac_mac_range_check(struct vmac_mac_range r);

/* Number of addresses: 1 … 2^40.  Only for ranges that vmac_mac_range_check() passed. */
uint64_t vmac_mac_range_size(struct vmac_mac_range r);

bool vmac_mac_range_has(struct vmac_mac_range r, vmac_mac_t m);
bool vmac_mac_ranges_overlap(struct vmac_mac_range a, struct vmac_mac_range b);

/* Reads "FIRST-LAST" (any style but DASH on either side), "FIRST..LAST" (any style), "ADDRESS/BITS"
 * (BITS 8…48 leading bits fixed, the rest of ADDRESS must be zero) or one ADDRESS.  0, -EINVAL or
 * -ERANGE, with *ret_fault filled (may be NULL) and *ret untouched.  A fault of two addresses with
 * each other (order, first octet) stands where LAST begins, one of a prefix where BITS begins. */
int vmac_mac_range_parse(const char *text, struct vmac_mac_range *ret,
			 struct vmac_mac_fault *ret_fault);

#define VMAC_MAC_RANGE_TEXT_MAX (2 * VMAC_MAC_TEXT_MAX + 2)

/* "FIRST..LAST" in the colon style, or one address when the range has one; returns buf. */
char *vmac_mac_range_format(struct vmac_mac_range r,
			    char buf[VMAC_AT_LEAST(VMAC_MAC_RANGE_TEXT_MAX)]);

#ifdef __cplusplus
}
#endif

#endif
