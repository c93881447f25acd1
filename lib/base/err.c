/* SPDX-License-Identifier: GPL-2.0-or-later */
/* err.c - see err.h. Any thread. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, enum err_kind kind, int num, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -num;
	err->num = num;
	err->kind = kind;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -num;
}

int err_sys(struct err *err, int num, const char *fmt, ...)
{
	char buf[64];
	va_list ap;
	size_t n;

	if (!err)
		return -num;
	err->num = num;
	err->kind = ERR_SYSTEM;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s",
		 strerror_r(num, buf, sizeof(buf)));
	return -num;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
	char old[sizeof(err->text)];
	va_list ap;
	size_t n;

	if (!err)
		return -EIO;
	memcpy(old, err->text, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %.*s",
		 (int)(sizeof(old) - 1), old);
	return err->num ? -err->num : -EIO;
}

const char *err_kind_name(enum err_kind kind)
{
	switch (kind) {
	case ERR_NONE:
		return "none";
	case ERR_SYSTEM:
		return "system";
	case ERR_NETWORK:
		return "network";
	case ERR_AUTH:
		return "auth";
	case ERR_CORRUPT:
		return "corrupt";
	case ERR_UNSUPPORTED:
		return "unsupported";
	case ERR_BUG:
		return "bug";
	}
	return "unknown";
}
