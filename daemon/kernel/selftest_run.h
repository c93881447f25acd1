/* SPDX-License-Identifier: GPL-2.0-or-later */
/* selftest_run.h - the part of the self-test that runs in the child process. */
#ifndef LZ_DAEMON_SELFTEST_RUN_H
#define LZ_DAEMON_SELFTEST_RUN_H

#include "daemon/kernel/selftest.h"

/*
 * Run all checks in the empty directory dir, stopping at the first that fails; the caller
 * is in a mount namespace of its own. Results go to r as they come.
 */
void selftest_run(const char *dir, struct selftest_report *r);

#endif
