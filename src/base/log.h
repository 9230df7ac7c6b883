/* Log lines leave through one sink that the program sets at start; rooms below the daemon log at
 * DEBUG only, and return their errors instead. */
#pragma once

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* line: no newline, at most 1,023 octets, valid during the call only. */
typedef void (*log_sink_fn)(enum log_level level, const char *line);

/* NULL (the start value) drops every line. */
void log_set(log_sink_fn sink, enum log_level most);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
