/* The words that the tables of bodies are written in. */
#pragma once

#include "api/body.h"
#include "base/cleanup.h"

/* clang-format off */
#define SIZE_OF(T, m) sizeof(((T *)NULL)->m)
#define FIELD(n, t, T, m, ...)                                                                     \
	{ .name = n, .type = t, .at = offsetof(T, m), __VA_ARGS__ }
#define HAS(T, m)      .has_at = offsetof(T, m)
#define REQUIRED       .required = true
#define NAME(n, T, m, ...)   FIELD(n, FIELD_NAME, T, m, __VA_ARGS__)
#define IFNAME(n, T, m)      FIELD(n, FIELD_IFNAME, T, m, .most = 0)
#define TEXT(n, T, m, max)   FIELD(n, FIELD_TEXT, T, m, .most = max)
#define PARSED(n, T, m, fn, ...) FIELD(n, FIELD_PARSED, T, m, .parse = fn, __VA_ARGS__)
#define UINT(n, T, m, min, max, ...)                                                               \
	FIELD(n, FIELD_UINT, T, m, .size = SIZE_OF(T, m), .least = min, .most = max, __VA_ARGS__)
#define BOOL(n, T, m)  FIELD(n, FIELD_BOOL, T, m, .most = 1)
#define LIST(n, T, m, count, max, fn, ...)                                                         \
	FIELD(n, FIELD_LIST, T, m, .size = SIZE_OF(T, m[0]), .most = max, .parse = fn,             \
	      .count_at = offsetof(T, count), __VA_ARGS__)
#define ALLOW(T, m, ...)                                                                           \
	FIELD("allow", FIELD_LIST, T, m, .most = ALLOW_MAX, .parse = field_parse_allow, __VA_ARGS__)
#define INT(n, T, m, min, max, ...)                                                                \
	FIELD(n, FIELD_INT, T, m, .size = SIZE_OF(T, m), .least = (uint64_t)(min), .most = max,    \
	      __VA_ARGS__)
#define ITEMS(n, T, m, count, max, schema, ...)                                                    \
	FIELD(n, FIELD_ITEMS, T, m, .size = SIZE_OF(T, m[0]), .most = max, .object = schema,       \
	      .count_at = offsetof(T, count), .apart = true, __VA_ARGS__)
#define REASON         TEXT("reason", struct body, reason, REASON_MAX_LEN)

#define SCHEMA(id, title, ...)                                                                     \
	const struct schema id = { .name = title, .fields = id##_fields,                           \
				   .count = ARRAY_LEN(id##_fields), __VA_ARGS__ }
/* clang-format on */
