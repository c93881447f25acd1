/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * progress.h - how far the layers or blobs of an image are, on stderr; and ^C.
 *
 * On a terminal one bar each and a sum, drawn by a thread of its own: bytes, rate, time
 * left. Elsewhere one line for each when it is done.
 */
#ifndef LZ_CLI_PROGRESS_H
#define LZ_CLI_PROGRESS_H

#include <stdatomic.h>

#include "index/watch.h"

struct progress;

/* what: "layer", "blob". NULL: no memory, and the work goes on unseen. */
struct progress *progress_new(const char *what);
void progress_free(struct progress *p);
/* To be handed to the work; may be used for several pieces of work, one after the other. */
const struct index_watch *progress_watch(struct progress *p);

/*
 * From the first call on SIGINT, SIGTERM and SIGHUP set the flag, and work that looks at
 * it ends in order; a second one kills as usual.
 */
const atomic_bool *cli_stop_flag(void);

#endif
