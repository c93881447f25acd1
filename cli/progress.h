/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * progress.h - how far the layers of an image are, on stderr; and ^C.
 *
 * On a terminal one bar per layer, drawn by a thread of its own: bytes, rate, time left.
 * Elsewhere one line per layer when it is done.
 */
#ifndef LZ_CLI_PROGRESS_H
#define LZ_CLI_PROGRESS_H

#include <stdatomic.h>

#include "index/index.h"

struct progress;

/* img must live as long. NULL: no memory. */
struct progress *progress_new(const struct oci_image *img);
struct index_progress *progress_layers(struct progress *p);
/* Draws the last state. */
void progress_free(struct progress *p);

/*
 * From the first call on SIGINT, SIGTERM and SIGHUP set the flag, and work that looks at
 * it ends in order; a second one kills as usual.
 */
const atomic_bool *cli_stop_flag(void);

#endif
