/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor.h - shared by the doctor*.c files: what was found, said in one form. */
#ifndef LZ_CLI_DOCTOR_H
#define LZ_CLI_DOCTOR_H

#include "cli/cli.h"
#include "daemon/config.h"

enum doctor_verdict { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_MISSING };

struct doctor {
	unsigned missing, paths;	/* kernel paths that work */
	bool quiet, verbose;
	json_t *checks;			/* NULL: print for people */
};

/* hint: what to do about it, or NULL. */
void doctor_say(struct doctor *d, enum doctor_verdict verdict, const char *name,
		const char *found, const char *hint);

/* --- doctor_probe.c ------------------------------------------------------------------------ */
/* The cache's file system; then test(d, folder) with a folder on it, removed afterwards. */
void doctor_cache(struct doctor *d, const char *dir,
		  void (*test)(struct doctor *d, const char *dir));
/* taken: the daemon holds the device right now, so it works. */
void doctor_cachefiles(struct doctor *d, const struct config *c, bool taken);
void doctor_image(struct doctor *d, const struct config *c, const char *image,
		  const char *platform);

#endif
