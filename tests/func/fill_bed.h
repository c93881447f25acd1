/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fill_bed.h - a test bed: loop, pool, conductor, fake transport, and a fixture layer with
 * its truth, made independently of the fill path: zlib inflates the whole layer, and each
 * file is held against the digests of the truth table (python's tarfile made that).
 */
#ifndef LZ_TESTS_FILL_BED_H
#define LZ_TESTS_FILL_BED_H

#include "daemon/fill/conductor.h"
#include "daemon/kernel/fake.h"
#include "tests/func/scripted_source.h"

/* A fixture in memory. */
struct bed_layer {
	char name[128];			/* for messages: SET/NAME */
	char blob_path[4096], ztoc_path[4096];
	uint8_t *comp, *truth;
	uint64_t comp_size;
	struct layer_map *map;		/* for reading; each struct layer has its own */
	bool made;			/* the two files are to be removed */
};

struct bed {
	struct loop *loop;
	struct pool *pool;
	struct conductor *conductor;
	struct fake fake;
	struct conductor_opts opts;
};

/*
 * set: directory under ztoc/, name: without .ztoc. 0, or -ENOENT when there is no such
 * fixture or its zTOC cannot be laid out (then *ret is empty).
 */
int bed_layer_load(const char *set, const char *name, struct bed_layer *ret);
/*
 * A layer made here: about tar_bytes of files whose sizes and places come from seed, in
 * spans of about span_bytes; so that many segments end inside a file and share spans.
 * Its files live in dir (which must exist) until bed_layer_done().
 */
void bed_layer_make(const char *dir, uint64_t tar_bytes, uint64_t span_bytes, uint32_t seed,
		    enum ztoc_compression compression, struct bed_layer *ret);
void bed_layer_done(struct bed_layer *bl);

/* opts NULL: generous ones. loop, pool and spool_dirfd are filled in. Bails on failure. */
void bed_init(struct bed *b, const struct conductor_opts *opts);
/* Ends the conductor and the rest; returns the fake's violations (told as TAP comment). */
unsigned bed_done(struct bed *b);

/* A layer over source (taken), known to fake and conductor, with lens present (or NULL). */
struct layer *bed_add(struct bed *b, const struct bed_layer *bl, struct source *source,
		      const uint64_t *lens);
/* Remove it from the conductor, wait, free it. */
void bed_remove(struct bed *b, struct layer *l);

/* Turn the loop until *counter >= want; false after ten seconds without that. */
bool bed_until(struct bed *b, const uint64_t *counter, uint64_t want);
/* Until every request so far is answered. */
bool bed_settle(struct bed *b);
bool bed_until_complete(struct bed *b, const struct layer *l);
void bed_turns(struct bed *b, int n);

#endif
