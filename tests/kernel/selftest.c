/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * selftest.c - print the self-test's report on a directory. Exit code 0: usable; 1: the
 * kernel has the features, but a rule does not hold; 2: the kernel or the file system lacks
 * them.
 */
#include <stdio.h>

#include "daemon/kernel/selftest.h"

int main(int argc, char **argv)
{
	struct selftest_report r;
	struct err err = ERR_INIT;

	if (argc != 2 || fanotify_selftest(argv[1], &r, &err) < 0) {
		printf("%s\n", err.text);
		return 99;
	}
	for (int i = 0; i < SELFTEST_CHECKS; i++)
		printf("%s: %s: %s%s%s\n", r.check[i].passed ? "pass" : "FAIL",
		       selftest_check_name((enum selftest_check)i), r.check[i].detail,
		       r.check[i].passed ? "" : "; ",
		       r.check[i].passed ? "" : selftest_check_hint((enum selftest_check)i));
	if (r.usable)
		return 0;
	return r.check[SELFTEST_MOUNT].passed ? 1 : 2;
}
