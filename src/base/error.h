/* One error: a stable code for programs, a message for people, a hint that says what to do next.
 *
 * Functions that can fail return 0 or -errno and fill *ret_error (never NULL) on failure only.
 * The codes are part of the API ("error": {"code": …}) and of the command line's exit status. */
#pragma once

#include <stdbool.h>

#define ERROR_TEXT_MAX 320

/* X(constant, api name, HTTP status, exit status of the command line, errno) */
#define ERROR_CODES(X)                                                                             \
	X(NONE, "none", 200, 0, 0)                                                                 \
	X(BAD_JSON, "bad_json", 400, 2, EBADMSG)                                                   \
	X(UNKNOWN_FIELD, "unknown_field", 400, 2, EINVAL)                                          \
	X(WRONG_TYPE, "wrong_type", 400, 2, EINVAL)                                                \
	X(MISSING_FIELD, "missing_field", 400, 2, EINVAL)                                          \
	X(BAD_VALUE, "bad_value", 400, 2, EINVAL)                                                  \
	X(BAD_NAME, "bad_name", 400, 2, EINVAL)                                                    \
	X(BAD_ADDRESS, "bad_address", 400, 2, EINVAL)                                              \
	X(GROUP_ADDRESS, "group_address", 400, 2, EINVAL)                                          \
	X(RESERVED_ADDRESS, "reserved_address", 400, 2, EINVAL)                                    \
	X(BAD_RANGE, "bad_range", 400, 2, ERANGE)                                                  \
	X(BAD_CONFIG, "bad_config", 400, 2, EINVAL)                                                \
	X(TOO_LARGE, "too_large", 413, 2, EMSGSIZE)                                                \
	X(NO_ROUTE, "no_such_route", 404, 2, ENOSYS)                                               \
	X(BAD_METHOD, "method_not_allowed", 405, 2, ENOSYS)                                        \
	X(NOT_FOUND, "not_found", 404, 3, ENOENT)                                                  \
	X(NO_INTERFACE, "no_such_interface", 409, 3, ENODEV)                                       \
	X(NAME_IN_USE, "name_in_use", 409, 4, EEXIST)                                              \
	X(ADDRESS_IN_USE, "address_in_use", 409, 4, EADDRINUSE)                                    \
	X(RANGE_IN_USE, "range_in_use", 409, 4, EADDRINUSE)                                        \
	X(INTERFACE_IN_USE, "interface_in_use", 409, 4, EBUSY)                                     \
	X(IN_USE, "in_use", 409, 4, EBUSY)                                                         \
	X(CONFLICT, "conflict", 409, 4, ESTALE)                                                    \
	X(WRONG_STATE, "wrong_state", 409, 4, EBUSY)                                               \
	X(POOL_EXHAUSTED, "pool_exhausted", 409, 5, ENOSPC)                                        \
	X(LIMIT_REACHED, "limit_reached", 409, 5, EDQUOT)                                          \
	X(UNREACHABLE, "daemon_unreachable", 503, 6, ECONNREFUSED)                                 \
	X(ALREADY_RUNNING, "already_running", 409, 4, EBUSY)                                       \
	X(FORBIDDEN, "forbidden", 403, 7, EPERM)                                                   \
	X(REGISTRY_FULL, "registry_full", 507, 8, ENOSPC)                                          \
	X(REGISTRY_READ_ONLY, "registry_read_only", 503, 8, EROFS)                                 \
	X(REGISTRY_CORRUPT, "registry_corrupt", 503, 8, EUCLEAN)                                   \
	X(REGISTRY_VERSION, "registry_version", 503, 8, EPROTONOSUPPORT)                           \
	X(REGISTRY_FAILED, "registry_failed", 503, 8, EIO)                                         \
	X(REGISTRY_UNREACHABLE, "registry_unreachable", 503, 6, EHOSTUNREACH)                      \
	X(KERNEL_UNSUPPORTED, "kernel_unsupported", 501, 8, EOPNOTSUPP)                            \
	X(KERNEL_FAILED, "kernel_failed", 500, 8, EIO)                                             \
	X(NO_MEMORY, "no_memory", 503, 8, ENOMEM)                                                  \
	X(INTERNAL, "internal", 500, 8, EFAULT)

enum error_code {
#define ERROR_ENUM_(c, name, http, exit, err) ERROR_##c,
	ERROR_CODES(ERROR_ENUM_)
#undef ERROR_ENUM_
		ERROR_CODE_COUNT
};

struct error {
	enum error_code code;
	char message[ERROR_TEXT_MAX];
	char hint[ERROR_TEXT_MAX]; /* empty: nothing useful to say */
};

/* Fills *e and returns the code's negative errno, so that `return error_set(…)` is one expression.
 * hint may be NULL.  Texts longer than ERROR_TEXT_MAX - 1 octets are cut. */
int error_set(struct error *e, enum error_code code, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts "CONTEXT: " before the message that *e has. */
void error_prefix(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const char *error_name(enum error_code code);
int error_http_status(enum error_code code);
int error_exit_status(enum error_code code);
int error_errno(enum error_code code); /* positive */

/* The code with that API name; ERROR_INTERNAL when no code has it. */
enum error_code error_from_name(const char *name);
