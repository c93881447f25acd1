/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source.h - where the compressed bytes of a layer come from: a registry, a file, a test.
 *
 * Loop thread only. Callbacks may come from inside read() and pause(). Bytes are
 * unverified. pause may be called from inside on_data, cancel may not (return an error
 * instead). free: no read is under way any more.
 */
#ifndef LZ_DAEMON_SOURCE_H
#define LZ_DAEMON_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct source;

struct source_read {
	/* In order; non-zero (-errno) ends the read with that error. */
	int (*on_data)(struct source_read *r, const uint8_t *data, uint64_t len);
	/* Exactly once, last: NULL on success (all bytes were delivered). */
	void (*on_done)(struct source_read *r, const struct err *err);
	bool background;	/* others go first */
	void *private;		/* the source's own while the read is under way */
};

struct source_ops {
	const char *name;
	/* Start reading layer bytes [off, off+len). 0 = on_done will come (or came). */
	int (*read)(struct source *s, uint64_t off, uint64_t len, uint32_t deadline_ms,
		    struct source_read *r, struct err *err);
	/*
	 * on_done comes at once with ECANCELED; of kind NETWORK where it had trouble that it
	 * was trying to get over, which the text then tells.
	 */
	void (*cancel)(struct source *s, struct source_read *r);
	void (*pause)(struct source *s, struct source_read *r, int pause);
	void (*free)(struct source *s);
};

struct source {
	const struct source_ops *ops;
	/* For the journal: where the bytes come from (URL, path). The source's own. */
	const char *label;
};

#endif
