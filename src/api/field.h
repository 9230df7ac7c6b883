/* Input by table: what a request may say, field by field.
 *
 * One table describes a body or a query string: names, types, bounds and where the value goes.  It
 * is read by one reader, it is what a refusal lists as known, and the OpenAPI file is held against
 * it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum field_type {
	FIELD_NAME,   /* text: name_check(); "" only where it is not required */
	FIELD_IFNAME, /* text: ifname_check() */
	FIELD_PATH,   /* text: absolute, most octets */
	FIELD_TEXT,   /* text: text_check(), most octets */
	FIELD_PARSED, /* text that parse() turns into a value at `at` */
	FIELD_LIST,   /* array of texts, each through parse() into the next element at `at` */
	FIELD_UINT,   /* integer in [least, most], stored in `size` octets */
	FIELD_INT,    /* the same with a sign: least and most are int64_t in their clothes */
	FIELD_BOOL,
	FIELD_OBJECT, /* a table of its own, at `at` */
	FIELD_ITEMS,  /* array of objects of a table, `size` octets each; always apart */
	FIELD_TYPE_COUNT
};

struct field {
	const char *name;
	enum field_type type;
	bool required;
	size_t at;     /* where the value goes, in octets from the start of the target */
	size_t has_at; /* a bool there becomes true when the field is given; FIELD_NOWHERE = none */
	size_t count_at; /* FIELD_LIST: an unsigned int there counts; FIELD_NOWHERE = none, and the
			  * elements all go to one place (flags that parse() ors together) */
	size_t size;	 /* FIELD_UINT, FIELD_INT, FIELD_LIST, FIELD_ITEMS: octets of one value */
	bool apart;	 /* FIELD_LIST: at `at` is a pointer to the elements, which the body owns */
	bool nullable;	 /* FIELD_PARSED: null is read, as the text "" */
	uint64_t least, most;
	int (*parse)(const char *text, void *to, struct error *ret_error);
	const struct schema *object;
};

/* No target keeps a bool or a counter at its very start. */
#define FIELD_NOWHERE 0

struct schema {
	const char *name; /* of the schema in the OpenAPI file */
	const struct field *fields;
	unsigned int count;
	/* Sets what is not zero or "" when it is not given; may be NULL. */
	void (*init)(void *target);
	/* Holds the fields against each other when all are read; may be NULL. */
	int (*finish)(void *target, struct error *ret_error);
	/* Texts that are not given stay NULL ("leave as it is") instead of "". */
	bool absent_is_null;
};

/* Sets every text to "" (or NULL), calls init(). */
void schema_init(const struct schema *s, void *target);

const struct field *schema_find(const struct schema *s, const char *name);

/* "name, pool, …": what the schema knows, for a hint. */
void schema_names(const struct schema *s, char *buf, size_t size);

/* Checks and stores one text; path names it in messages ("allocate.name").  The text is borrowed by
 * the target where the field keeps texts.  Only for FIELD_NAME … FIELD_PARSED. */
int field_set_text(const struct field *f, const char *path, const char *text, void *target,
		   struct error *ret_error);

/* One element of a FIELD_LIST. */
int field_add_text(const struct field *f, const char *path, unsigned int index, const char *text,
		   void *target, struct error *ret_error);

int field_set_uint(const struct field *f, const char *path, uint64_t n, void *target,
		   struct error *ret_error);
int field_set_int(const struct field *f, const char *path, int64_t n, void *target,
		  struct error *ret_error);
void field_set_bool(const struct field *f, bool b, void *target);
void field_mark(const struct field *f, void *target); /* given: has_at */

/* --- parse functions for tables -------------------------------------------------------------- */

int field_parse_mac(const char *text, void *to, struct error *ret_error);
int field_parse_range(const char *text, void *to, struct error *ret_error);
int field_parse_ip(const char *text, void *to, struct error *ret_error);
int field_parse_key(const char *text, void *to, struct error *ret_error);      /* 16 octets */
int field_parse_duration(const char *text, void *to, struct error *ret_error); /* int64_t ms */
int field_parse_time(const char *text, void *to, struct error *ret_error);     /* wall_t */
int field_parse_allow(const char *text, void *to, struct error *ret_error);    /* uint32_t, ored */
int field_parse_port_kind(const char *text, void *to, struct error *ret_error);
int field_parse_gate(const char *text, void *to, struct error *ret_error);
int field_parse_state(const char *text, void *to, struct error *ret_error); /* int */
int field_parse_kind(const char *text, void *to, struct error *ret_error);
int field_parse_origin(const char *text, void *to, struct error *ret_error);

/* Of routers (field_router.c): enums as uint8_t, lengths of time as uint32_t milliseconds. */
int field_parse_router_protocol(const char *text, void *to, struct error *ret_error);
int field_parse_router_auth(const char *text, void *to, struct error *ret_error);
int field_parse_router_auth_mode(const char *text, void *to, struct error *ret_error);
int field_parse_router_checksum(const char *text, void *to, struct error *ret_error);
int field_parse_router_garp(const char *text, void *to, struct error *ret_error);
int field_parse_router_track(const char *text, void *to, struct error *ret_error);
int field_parse_router_name(const char *text, void *to, struct error *ret_error);   /* char[] */
int field_parse_router_ifname(const char *text, void *to, struct error *ret_error); /* char[] */
int field_parse_router_address(const char *text, void *to, struct error *ret_error);
int field_parse_ms(const char *text, void *to, struct error *ret_error);
int field_parse_pace(const char *text, void *to, struct error *ret_error);   /* not 0 */
int field_parse_hold(const char *text, void *to, struct error *ret_error);   /* "", "auto": 0 */
int field_parse_linger(const char *text, void *to, struct error *ret_error); /* also "auto" */

/* Of clusters (field_cluster.c): enums as uint8_t; a rule's match as struct cluster_rule. */
int field_parse_cluster_mode(const char *text, void *to, struct error *ret_error);
int field_parse_cluster_table(const char *text, void *to, struct error *ret_error);
int field_parse_cluster_affinity(const char *text, void *to, struct error *ret_error);
int field_parse_cluster_action(const char *text, void *to, struct error *ret_error);
int field_parse_cluster_check(const char *text, void *to, struct error *ret_error);
int field_parse_cluster_match(const char *text, void *to, struct error *ret_error);
int field_parse_member_state(const char *text, void *to, struct error *ret_error);

/* The number of the value with that name, or a refusal that lists them. */
int field_parse_enum(const char *text, unsigned int count, const char *(*name)(unsigned int),
		     struct error *ret_error);

/* Defines NAME(), which reads a value of an enum into a uint8_t by name_of(): a refusal lists the
 * known ones.  For tables, which take numbers whatever the enum. */
#define FIELD_PARSE_ENUM(name, enum_type, count, name_of)                                          \
	static const char *name##_text(unsigned int i)                                             \
	{                                                                                          \
		return name_of((enum enum_type)i);                                                 \
	}                                                                                          \
	int name(const char *text, void *to, struct error *ret_error)                              \
	{                                                                                          \
		int v = field_parse_enum(text, count, name##_text, ret_error);                     \
                                                                                                   \
		if (v >= 0)                                                                        \
			*(uint8_t *)to = (uint8_t)v;                                               \
		return v < 0 ? v : 0;                                                              \
	}                                                                                          \
	struct parse_enum_needs_semicolon_

/* The PORT_ALLOW_… names: NULL behind the last. */
const char *field_allow_name(unsigned int bit);
