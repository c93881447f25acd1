/* SPDX-License-Identifier: GPL-2.0-or-later */
/* log.c - see log.h. */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic int log_max = LOG_LEVEL_INFO;

void log_set_level(enum log_level max)
{
	log_max = (int)max;
}

static size_t put_prefix(enum log_level level, char *out, size_t size)
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	if (getenv("JOURNAL_STREAM"))
		return (size_t)snprintf(out, size, "<%d>", (int)level);
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(out + n, size - n, ".%03ldZ %s ", ts.tv_nsec / 1000000,
			      level <= LOG_LEVEL_ERROR	   ? "error"
			      : level == LOG_LEVEL_WARNING ? "warning"
			      : level == LOG_LEVEL_INFO	   ? "info"
							   : "debug");
	return n;
}

void log_at(enum log_level level, const char *fmt, ...)
{
	char line[2048];
	size_t start, n;
	va_list ap;
	int r;

	if ((int)level > log_max)
		return;
	start = put_prefix(level, line, sizeof(line));
	va_start(ap, fmt);
	r = vsnprintf(line + start, sizeof(line) - start - 1, fmt, ap);
	va_end(ap);
	if (r < 0)
		return;
	n = strlen(line);
	for (size_t i = start; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return;	/* nowhere left to say it */
}
