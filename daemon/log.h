/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.h - the daemon's journal: one line per event on stderr, with the syslog priority
 * prefix ("<6>") when systemd reads it (JOURNAL_STREAM is set), with a time stamp otherwise.
 * Any thread. lib/ does not log: it returns errors.
 */
#ifndef LZ_DAEMON_LOG_H
#define LZ_DAEMON_LOG_H

#include "base/err.h"

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

void log_set_level(enum log_level max);
/* Control characters in the text are escaped: a registry cannot forge lines. */
void log_at(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
