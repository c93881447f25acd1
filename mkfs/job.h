/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * job.h - the work of mkfs.lazyerofs, run in the sandbox: zTOCs in, bootstrap and maps out,
 * on descriptors that were opened before.
 */
#ifndef LZ_MKFS_JOB_H
#define LZ_MKFS_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "mkfs/bootstrap.h"

#define JOB_ZTOC_MAX_BYTES (1ull << 30)

struct job_layer {
	const char *name;	/* for messages */
	int ztoc_fd;
	int map_fd;		/* -1: no map wanted */
	const char *map_name;
};

struct job {
	const struct job_layer *layers;	/* bottom first */
	uint32_t nlayers;
	enum bootstrap_kind kind;
	int out_fd;
	const char *out_name;
	int json_fd;		/* -1: no summary */
};

/*
 * Texts begin with the name of the file concerned. kind UNSUPPORTED with num EOPNOTSUPP:
 * a layer that cannot be lazy, or a file that EROFS cannot hold.
 */
int job_run(const struct job *job, struct err *err);

#endif
