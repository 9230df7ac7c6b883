/* What the value of each kind of record has, a row a member, so that writing and reading cannot
 * disagree.  For shared_encode.c and shared_decode.c, and for whoever writes other records in the
 * same way (exports). */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/shared.h"

enum member_type {
	MEMBER_NUMBER, /* unsigned or, of 8 octets, int64_t: never above INT64_MAX */
	MEMBER_WORD,   /* uint8_t: an enum by its names */
	MEMBER_BOOL,
	MEMBER_UUID, /* "" = none */
	MEMBER_MAC,
	MEMBER_IP,     /* "" = family 0 */
	MEMBER_CHARS,  /* char[] */
	MEMBER_TEXT,   /* const char * */
	MEMBER_KEY,    /* 16 octets as hexadecimal digits */
	MEMBER_RANGES, /* struct vmac_mac_range[POOL_RANGES_MAX], counted by an unsigned int */
	MEMBER_IPS,    /* const struct ip *, counted by a uint8_t */
	MEMBER_VMACS,  /* const struct vmac *, counted by a size_t */
};

/* What a text has to be. */
enum member_rule { RULE_TEXT, RULE_NAME, RULE_NAME_OR_EMPTY };

struct member {
	const char *name;
	enum member_type type;
	uint16_t at, size;
	uint16_t count_at;		     /* of arrays */
	bool optional;			     /* left out where it is 0, "", never or empty */
	bool wanted;			     /* UUID: may not be none */
	enum member_rule rule;		     /* CHARS, TEXT */
	int64_t absent;			     /* NUMBER: what it is where it is left out */
	int64_t least, most;		     /* NUMBER; CHARS, TEXT: octets at most */
	const char *(*word)(unsigned int i); /* WORD: NULL behind the last */
};

struct members {
	const struct member *list;
	size_t count;
	size_t at; /* in struct shared_record: what the members' offsets count from */
};

/* A cluster's are those of cluster_json.c. */
extern const struct members shared_members[SHARED_KIND_COUNT];
extern const struct members shared_image_vmac; /* of struct vmac */

/* Hold one value against its member's rules, when it is written as when it is read.  BAD_VALUE. */
int member_check_number(const struct member *m, int64_t n, struct error *ret_error);
int member_check_text(const struct member *m, const char *text, struct error *ret_error);
int member_check_uuid(const struct member *m, const struct uuid *u, struct error *ret_error);
int member_check_range(const struct member *m, struct vmac_mac_range r, struct error *ret_error);

/* The size of blocks is a power of two; all else stands in the table. */
int member_check_record(const struct shared_record *r, struct error *ret_error);

/* What stands in a record, whatever the size of the field. */
uint64_t member_number(const struct member *m, const void *from);
void member_number_set(const struct member *m, void *to, int64_t n);

/* --- both ways ------------------------------------------------------------------------------- */

/* A new object, members in the table's order; NULL: the error says why. */
json_t *members_write(const struct members *members, const void *from, struct error *ret_error);

/* Where arrays stand until the record is copied: room for the IPS and VMACS of one record. */
struct scratch {
	size_t ips_used, ips_room;
	struct ip *ips;
	struct vmac *vmacs;
};

/* Texts point into `object`.  BAD_VALUE, MISSING_FIELD. */
int members_read(const struct members *members, const json_t *object, struct scratch *s, void *to,
		 struct error *ret_error);
