/* Structs as JSON objects: what there is of each, a row a member, so that writing and reading
 * cannot disagree.  For all records that this room writes as text: the shared registry's, those of
 * routers and clusters, exports. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "model/shared.h"

enum member_type {
	MEMBER_NUMBER, /* signed where its least is below 0; never above INT64_MAX */
	MEMBER_WORD,   /* uint8_t: an enum by its names */
	MEMBER_BOOL,
	MEMBER_UUID, /* "" = none */
	MEMBER_MAC,
	MEMBER_IP,    /* "" = family 0 */
	MEMBER_CHARS, /* char[] */
	MEMBER_TEXT,  /* const char * */
	MEMBER_KEY,   /* 16 octets as hexadecimal digits */
	/* Arrays: these are the last. */
	MEMBER_RANGES, /* struct vmac_mac_range[POOL_RANGES_MAX], counted by an unsigned int */
	MEMBER_MACS,   /* vmac_mac_t[PORT_ROUTERS_MAX], counted by an unsigned int */
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
	const struct members *of;	     /* VMACS */
};

struct members {
	const struct member *list;
	size_t count;
	size_t size; /* of the struct */
};
#define MEMBERS(T, list)                                                                           \
	{                                                                                          \
		list, ARRAY_LEN(list), sizeof(struct T)                                            \
	}

/* For the rows: T is defined as the struct's name meanwhile. */
#define MEMBER_AT(m)	offsetof(struct T, m)
#define MEMBER_SIZE(m)	sizeof(((struct T *)NULL)->m)
#define MEMBER_PLACE(m) .at = MEMBER_AT(m), .size = MEMBER_SIZE(m)

/* A member's function `word`, of an enum's names. */
#define MEMBER_WORDS(fn, count, name)                                                              \
	static const char *fn(unsigned int i)                                                      \
	{                                                                                          \
		return i < (count) ? name(i) : NULL;                                               \
	}

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

/* An array of them: the `count` structs that begin at `from`. */
json_t *members_write_list(const struct members *members, const void *from, size_t count,
			   struct error *ret_error);
/* 0 and the count; the error says which of them is wrong. */
int members_read_list(const struct members *members, const json_t *object, const char *name,
		      size_t most, void *to, unsigned int *ret_count, struct error *ret_error);

/* The array of that name, of at most `most`. */
int json_array_named(const json_t *object, const char *name, size_t most, const json_t **ret,
		     struct error *ret_error);
/* From text that is one value.  BAD_JSON, NO_MEMORY. */
int json_from_text(const char *text, size_t len, json_t **ret, struct error *ret_error);
/* Takes `object` over; NULL: the error is said already.  Of *ret_text free(). */
int json_to_text(json_t *object, char **ret_text, struct error *ret_error);
/* NO_MEMORY, said. */
int json_no_memory(struct error *ret_error);
