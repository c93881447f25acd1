/* SPDX-License-Identifier: GPL-2.0-or-later */
/* programs.c - see programs.h. */
#include "daemon/programs.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* From the folder of the running program; the last three are the build folder. */
static const char *const beside[] = {
	"../libexec/lazyerofs", "../sbin", "../bin", ".", "mkfs", "..",
};
static const char *const configured[] = { LZ_PKGLIBEXECDIR, LZ_SBINDIR, LZ_BINDIR };

int programs_find(const char *name, char ret[PROGRAMS_PATH_SIZE], struct err *err)
{
	char self[PROGRAMS_PATH_SIZE / 2];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = '\0';
		*strrchr(self, '/') = '\0';
		for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
			snprintf(ret, PROGRAMS_PATH_SIZE, "%s/%s/%s", self, beside[i], name);
			if (access(ret, X_OK) == 0)
				return 0;
		}
	}
	for (size_t i = 0; i < sizeof(configured) / sizeof(configured[0]); i++) {
		snprintf(ret, PROGRAMS_PATH_SIZE, "%s/%s", configured[i], name);
		if (access(ret, X_OK) == 0)
			return 0;
	}
	return err_set(err, ERR_SYSTEM, ENOENT, "%s is not installed: looked beside the "
		       "running program and in %s", name, LZ_PKGLIBEXECDIR);
}
