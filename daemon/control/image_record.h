/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * image_record.h - what is known of an image once it has been resolved: image.json.
 *
 * Written by lazyerofs-resolve into its staging folder, kept by the daemon as
 * DIR/images/<image ID>/image.json, read at every start: input like any other, checked.
 *
 *	{ "format": 1, "reference": "...", "platform": "linux/amd64",
 *	  "manifest": {"mediaType", "digest", "size"}, "index": "sha256:..." | null,
 *	  "layers": [ {"mediaType", "digest", "size", "ztoc": "sha256:...", "ztoc_size": N,
 *	               "local": true | false} ] }
 * Bottom layer first. `local`: no zTOC stood in the registry; the layer was fetched whole
 * and indexed here, its bytes lie beside the zTOC.
 */
#ifndef LZ_DAEMON_IMAGE_RECORD_H
#define LZ_DAEMON_IMAGE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "oci/ref.h"

#define IMAGE_RECORD_MAX_LAYERS 4096u
#define IMAGE_RECORD_MAX_BYTES (4u << 20)
#define IMAGE_RECORD_REF_SIZE 4608u

struct image_record_layer {
	struct oci_desc desc;
	struct digest ztoc;
	uint64_t ztoc_size;
	bool local;
};

struct image_record {
	char reference[IMAGE_RECORD_REF_SIZE];
	char platform[80];
	struct oci_desc manifest;
	bool has_index;
	struct digest index;
	uint32_t nlayers;
	struct image_record_layer *layers;
};

/* An empty record with room for n layers. */
int image_record_new(uint32_t nlayers, struct image_record **ret, struct err *err);
void image_record_free(struct image_record *rec);
int image_record_encode(const struct image_record *rec, struct buf *out, struct err *err);
int image_record_decode(const void *data, size_t len, struct image_record **ret,
			struct err *err);
/*
 * The image's name in the cache, and its fsid under cachefiles: 64 hex characters, sha256
 * over the layout version, the manifest digest and the zTOC digests in order.
 */
void image_record_id(const struct image_record *rec, char ret[DIGEST_HEX_LEN + 1]);

#endif
