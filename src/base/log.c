#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static log_sink_fn log_sink;
static enum log_level log_most = LOG_LEVEL_INFO;

void log_set(log_sink_fn sink, enum log_level most)
{
	log_sink = sink;
	log_most = most;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	if (!log_sink || level > log_most)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	log_sink(level, line);
}
