/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap.h - the whole unit test framework: TAP lines on stdout.
 *
 *	int main(void)
 *	{
 *		ok(1 + 1 == 2, "arithmetic %s", "holds");
 *		return tap_done();
 *	}
 */
#ifndef LZ_TESTS_TAP_H
#define LZ_TESTS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_count, tap_failed;

__attribute__((format(printf, 4, 5), unused)) static bool
tap_report(bool pass, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", pass ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	if (!pass) {
		tap_failed++;
		printf("#   failed at %s:%d\n", file, line);
	}
	fflush(stdout);
	return pass;
}

#define ok(cond, ...) tap_report((cond), __FILE__, __LINE__, __VA_ARGS__)
#define is_int(got, want, ...)                                                           \
	({                                                                               \
		long long tap_g = (long long)(got), tap_w = (long long)(want);           \
		bool tap_p = tap_report(tap_g == tap_w, __FILE__, __LINE__, __VA_ARGS__);\
		if (!tap_p)                                                              \
			printf("#   got %lld, want %lld\n", tap_g, tap_w);               \
		tap_p;                                                                   \
	})
#define is_str(got, want, ...)                                                           \
	({                                                                               \
		const char *tap_g = (got), *tap_w = (want);                              \
		bool tap_p = tap_report(tap_g && !strcmp(tap_g, tap_w), __FILE__,        \
					__LINE__, __VA_ARGS__);                          \
		if (!tap_p)                                                              \
			printf("#   got \"%s\", want \"%s\"\n", tap_g ? tap_g : "(null)",\
			       tap_w);                                                   \
		tap_p;                                                                   \
	})
/* The rest cannot go on. */
#define bail(...)                                                                        \
	do {                                                                             \
		printf("Bail out! ");                                                    \
		printf(__VA_ARGS__);                                                     \
		printf("\n");                                                            \
		exit(99);                                                                \
	} while (0)

__attribute__((unused)) static int tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed ? 1 : 0;
}

/* Path of a file of the source tree; SRCDIR comes from the environment of make check. */
__attribute__((unused)) static const char *tap_src(const char *rel)
{
	static char path[4][4096];
	static int slot;
	const char *dir = getenv("SRCDIR");

	slot = (slot + 1) % 4;
	snprintf(path[slot], sizeof(path[slot]), "%s/%s", dir ? dir : ".", rel);
	return path[slot];
}

#endif
