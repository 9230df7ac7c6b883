/* Ownership by attribute: an early return never leaks, and hand-over is visible as TAKE_PTR. */
#pragma once

#define CLEANUP(fn) __attribute__((cleanup(fn)))

#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__auto_type take_ptr_p_ = &(p);                                                    \
		__auto_type take_ptr_v_ = *take_ptr_p_;                                            \
		*take_ptr_p_ = NULL;                                                               \
		take_ptr_v_;                                                                       \
	})

#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int *take_fd_p_ = &(fd);                                                           \
		int take_fd_v_ = *take_fd_p_;                                                      \
		*take_fd_p_ = -1;                                                                  \
		take_fd_v_;                                                                        \
	})

/* Defines NAME_p(), the form that __attribute__((cleanup)) calls, for a function that takes the
 * pointer itself and accepts NULL. */
#define DEFINE_CLEANUP(type, fn)                                                                   \
	static inline void fn##_p(type *p)                                                         \
	{                                                                                          \
		if (*p)                                                                            \
			fn(*p);                                                                    \
	}                                                                                          \
	struct cleanup_needs_semicolon_

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
