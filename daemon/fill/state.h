/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state.h - the durable record of how much of each segment is trusted: `<layer dir>/state`.
 *
 * Why: a segment's data file is a prefix, so its length says what is present; but after a
 * machine crash a file system may show zeros below i_size (kernel-notes: ext4 with delayed
 * allocation does). i_size is therefore trusted only within the boot that wrote the file.
 *
 *   record of this boot     length = i_size, floored to 4 KiB
 *   record of another boot  length = min(i_size, recorded), floored; the rest is cut off
 *   no usable record        length = 0; everything is cut off
 *
 * Order that makes it true:
 *   - recording length n: the data below n was fdatasync'ed before fill_state_save()
 *   - opening: load, cut the files down, *then* save: from then on i_size of this boot is
 *     trusted, so nothing untrusted may be left below any i_size
 *
 * The file is replaced atomically (written aside, fsync, rename, fsync of the directory)
 * and ends in a digest of itself. Blocking; worker threads; not at once for one directory.
 */
#ifndef LZ_DAEMON_FILL_STATE_H
#define LZ_DAEMON_FILL_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define FILL_STATE_NAME "state"

/*
 * Read the record of the layer directory dirfd into lens[0..nsegments), each floored to
 * 4 KiB. 1: there is one, *ret_same_boot says whether this boot wrote it. 0: none that can
 * be used (absent: err untouched; damaged or of another layout: err says so, for the
 * journal), lens are all 0 and *ret_same_boot is false. -errno: cannot be read.
 */
int fill_state_load(int dirfd, uint32_t nsegments, uint64_t *lens, bool *ret_same_boot,
		    struct err *err);
/* Record lens[0..nsegments) under this boot's ID, durably. */
int fill_state_save(int dirfd, uint32_t nsegments, const uint64_t *lens, struct err *err);

#endif
