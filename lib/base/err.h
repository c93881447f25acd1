/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * err.h - how a failure travels to the person who must read it.
 *
 * A function returns 0 (or a count) or -errno. Where someone will read the failure, its
 * last argument is a `struct err *` (may be NULL): a fixed-size value, no allocation.
 *   num   positive errno, what the kernel or a peer gets
 *   kind  decides retry and the metric label
 *   text  one line for the journal: what, where, what to do
 * The first err_set() wins only if the caller lets it: each call overwrites. Use
 * err_prefix() to add context on the way up.
 */
#ifndef LZ_BASE_ERR_H
#define LZ_BASE_ERR_H

#include <errno.h>

enum err_kind {
	ERR_NONE = 0,
	ERR_SYSTEM,		/* a system call failed: disk, memory, descriptor limit */
	ERR_NETWORK,		/* peer unreachable, timed out, 5xx: worth a retry */
	ERR_AUTH,		/* credentials missing, wrong or expired */
	ERR_CORRUPT,		/* input violates its format, or its digest differs */
	ERR_UNSUPPORTED,	/* input is valid, but not ours to serve lazily */
	ERR_BUG,		/* our own arithmetic */
};

struct err {
	int num;
	enum err_kind kind;
	char text[512];
};

#define ERR_INIT { .num = 0, .kind = ERR_NONE, .text = "" }

/* Fill *err (may be NULL); returns -num, so `return err_set(...)` is the idiom. */
int err_set(struct err *err, enum err_kind kind, int num, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* err_set() with kind SYSTEM and ": strerror(num)" appended to the text. */
int err_sys(struct err *err, int num, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "prefix: " in front of the text; returns -err->num (or -EIO without an err). */
int err_prefix(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* "system", "network", "auth", "corrupt", "unsupported", "bug", "none" */
const char *err_kind_name(enum err_kind kind);

#endif
