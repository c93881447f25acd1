/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fbw.h - FlatBuffers builder, byte for byte like the Go library's.
 *
 * A buffer that grows from its end towards its front; a position is counted from the end
 * (struct fbw's `used` when the object was complete), so it survives growth. zTOC digests
 * depend on the exact bytes, hence the Go library's habits are kept: fields lie in call
 * order, scalars equal to their default are left out, trailing empty slots are trimmed
 * from a vtable, the newest vtable with the same slots is shared (the table's size is not
 * compared). Source: FlatBuffers' internals document, and kernel-notes/soci-format.md.
 *
 * Life cycle: fbw_init() -> strings and vectors, fbw_table_begin(), fbw_add_*(),
 * fbw_table_end(), ... -> fbw_finish() -> fbw_take() or fbw_done(). Objects are made inside
 * out: a string or vector before the table that refers to it.
 *
 * After fbw_init_measure() the same calls store nothing and only count: fbw_finish() then
 * gives the length of the content, which is all that a second run needs to be given at
 * once. Nothing is moved then, and no second copy ever exists.
 * Errors stick: after the first (-ENOMEM, or -EFBIG beyond max_bytes) all calls do
 * nothing, and fbw_finish() returns it. One thread at a time.
 */
#ifndef LZ_ZTOC_FBW_H
#define LZ_ZTOC_FBW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FBW_MAX_SLOTS 16
#define FBW_MAX_BYTES INT32_MAX		/* the format's offsets are 32 bits, signed */

typedef uint32_t fbw_ref;		/* position from the end; 0: nothing there */

/* Words of a vtable after its two sizes: offsets of the fields in the table. */
struct fbw_vtable {
	fbw_ref ref;
	uint16_t nslots;
	uint16_t offsets[FBW_MAX_SLOTS];
};

struct fbw {
	uint8_t *bytes;
	size_t cap, used;		/* content is bytes[cap - used .. cap) */
	size_t max_bytes;
	uint32_t min_align;
	int error;
	bool measure;			/* bytes stays NULL */
	uint8_t scratch[64];		/* takes the place of what is not stored */

	/* the table under construction */
	uint32_t slots[FBW_MAX_SLOTS];
	unsigned int nslots;
	uint32_t table_base;

	struct fbw_vtable *vtables;	/* all written so far, oldest first */
	size_t nvtables, vtables_cap;
};

/* Room for size_hint bytes at once; max_bytes 0 means FBW_MAX_BYTES. */
void fbw_init(struct fbw *w, size_t size_hint, size_t max_bytes);
void fbw_init_measure(struct fbw *w, size_t max_bytes);
void fbw_done(struct fbw *w);

/* A string (a NUL follows it) and a vector of bytes. */
fbw_ref fbw_string(struct fbw *w, const void *s, size_t len);
fbw_ref fbw_byte_vector(struct fbw *w, const void *data, size_t len);
/* A vector of offsets, in the order of refs. */
fbw_ref fbw_ref_vector(struct fbw *w, const fbw_ref *refs, size_t n);
/*
 * A vector of `bytes` bytes that comes in parts, the last part first: fbw_vector_begin(),
 * then bytes or offsets until all are there, then fbw_vector_end() with its count.
 */
void fbw_vector_begin(struct fbw *w, size_t bytes);
void fbw_vector_bytes(struct fbw *w, const void *data, size_t len);
void fbw_vector_ref(struct fbw *w, fbw_ref ref);
fbw_ref fbw_vector_end(struct fbw *w, size_t count);

void fbw_table_begin(struct fbw *w, unsigned int nslots);
void fbw_add_ref(struct fbw *w, unsigned int slot, fbw_ref ref);
void fbw_add_i64(struct fbw *w, unsigned int slot, int64_t v, int64_t dflt);
void fbw_add_u32(struct fbw *w, unsigned int slot, uint32_t v, uint32_t dflt);
void fbw_add_i32(struct fbw *w, unsigned int slot, int32_t v, int32_t dflt);
void fbw_add_i8(struct fbw *w, unsigned int slot, int8_t v, int8_t dflt);
fbw_ref fbw_table_end(struct fbw *w);

/*
 * Put the root offset in front; the bytes stay the builder's until fbw_done(). *ret is NULL
 * after fbw_init_measure().
 */
int fbw_finish(struct fbw *w, fbw_ref root, const uint8_t **ret, size_t *ret_len);
/* After fbw_finish(), where size_hint was the content's length: yours to free(). */
uint8_t *fbw_take(struct fbw *w);

#endif
