/* One QEMU's monitor, as vmac hook qmp watches it.  Without descriptors: octets in, words out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <vmac/mac.h>

#define QMP_LINE_MAX (256u << 10) /* query-rx-filter of many NICs with many groups */
#define QMP_NICS_MAX 64

struct qmp_monitor {
	/* The addresses that QEMU gave the guest's NICs: asked for once, when the monitor is
	 * opened.  What the guest makes of them later is its own affair: it shall not speak for
	 * another guest by taking its address. */
	unsigned int nic_count;
	vmac_mac_t nics[QMP_NICS_MAX];
	size_t len;
	char line[QMP_LINE_MAX];
};

enum qmp_said {
	QMP_NOTHING,
	QMP_GREETS, /* answer with qmp_questions */
	QMP_NICS,   /* nics are known */
	QMP_STOPS,
	QMP_RESUMES,
	QMP_MIGRATES, /* *ret_status: "active", "completed", "failed", … */
	QMP_BROKEN,   /* no QMP */
};

extern const char qmp_questions[];

/* Takes up to len octets in and, where a line has come to its end, says what it was; returns how
 * many were taken.  The status is valid until the next call. */
size_t qmp_take(struct qmp_monitor *m, const char *data, size_t len, enum qmp_said *ret_said,
		char ret_status[static 32]);
