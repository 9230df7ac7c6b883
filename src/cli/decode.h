/* What the files of `vmac decode` share. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/options.h"
#include "model/model.h"
#include "model/router.h"
#include "wire/advert.h"

#define DECODE_GROUPS_MAX      256
#define DECODE_SPEAKERS_MAX    16   /* of one group */
#define DECODE_TRANSITIONS_MAX 1000 /* of one group, that are listed */
#define DECODE_ADDRESSES_MAX   64   /* of one speaker, that are remembered; of --address */
#define DECODE_KEYS_MAX	       64   /* that are tried */

struct decode_key {
	bool has_id;
	uint32_t id;
	char secret[ROUTER_KEY_LEN_MAX + 1];
};

struct decode_keys {
	unsigned int count, address_count;
	struct decode_key keys[DECODE_KEYS_MAX];
	struct ip addresses[DECODE_ADDRESSES_MAX]; /* CARP's, which it does not send */
};

/* One frame of the file, as it is explained. */
struct decode_frame {
	unsigned long long number;
	int64_t at_us; /* since 1970 */
	const uint8_t *data;
	size_t len, wire_len; /* captured, and as it was */
	enum verdict verdict;
	enum advert_depth depth;
	const char *why;      /* NULL: nothing more to say */
	const char *verified; /* what the keys say; NULL = nothing was asked */
	struct advert advert;
	json_t *told; /* every value that is printed */
};

/* --- one frame ------------------------------------------------------------------------------- */

/* Holds an accepted frame against the keys: the verdict, and text for people in *ret_why. */
enum verdict decode_authenticate(const struct decode_keys *keys, const struct advert *a,
				 const char **ret_why);

/* f->told of an advert; the caller frees. */
void decode_describe(struct decode_frame *f);

/* A frame that announces where an address lives: true, with f->told, when it is of a virtual
 * router. */
bool decode_announcement(struct decode_frame *f);

/* f->told for people. */
void decode_print(const struct decode_frame *f);

const char *decode_protocol(const struct advert *a); /* "VRRPv3", … */

/* The virtual MAC address of the group by its protocol; false: GLBP, which has several. */
bool decode_vmac(const struct advert *a, vmac_mac_t *ret);

/* Whether its sender says by it that it is the active one. */
bool decode_is_active(const struct advert *a);

/* "HH:MM:SS.uuuuuu"; with the date in front when `date`. */
#define DECODE_TIME_MAX 40
const char *decode_time(int64_t at_us, bool date, char buf[static DECODE_TIME_MAX]);

/* The addresses that an advert has, of one family: how many, and a pointer to 4 or 16 octets each.
 */
unsigned int decode_addresses(const struct advert *a, const uint8_t **ret, uint8_t *ret_family);

/* --- all of them ----------------------------------------------------------------------------- */

struct decode_summary;

struct decode_summary *decode_summary_new(void);
void decode_summary_free(struct decode_summary *s);

/* One frame of an election protocol, whatever its verdict. */
void decode_summary_add(struct decode_summary *s, const struct decode_frame *f);
void decode_summary_skip(struct decode_summary *s); /* one of none */
json_t *decode_summary_json(const struct decode_summary *s);
void decode_summary_print(const json_t *summary);
