/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy.h - copy an image with its SOCI index from one reference to another, by the public
 * calls of lib/oci alone.
 */
#ifndef LZ_TESTS_OCI_COPY_H
#define LZ_TESTS_OCI_COPY_H

#include "base/cleanup.h"
#include "oci/image.h"
#include "oci/push.h"
#include "oci/transfer.h"

static int copy_blob(struct oci_client *c, const struct oci_ref *from,
		     const struct oci_ref *to, const struct oci_desc *desc, uint64_t chunk_bytes,
		     struct err *err)
{
	const struct oci_transfer t = { .from = from, .to = to, .desc = desc,
					.chunk_bytes = chunk_bytes };

	return oci_blob_transfer(c, &t, NULL, err);
}

static int copy_manifest(struct oci_client *c, const struct oci_image *img,
			 const struct oci_ref *to, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(4 << 20);
	struct oci_ref from = img->ref;
	struct oci_desc desc;
	int r;

	from.has_digest = true;
	from.digest = img->manifest.digest;
	r = oci_manifest_get(c, &from, &b, &desc, err);
	return r < 0 ? r : oci_manifest_put(c, to, img->manifest.media_type, b.data, b.len,
					    NULL, err);
}

static int copy_index(struct oci_client *c, const struct oci_image *img,
		      const struct oci_ref *to, struct err *err)
{
	struct oci_desc config = { .size = 2 };
	cleanup_buf struct buf b = BUF_INIT(4 << 20);
	struct oci_ref from = img->ref;
	struct oci_desc desc;
	int r;

	digest_of("{}", 2, &config.digest);
	r = oci_blob_put(c, to, &config, "{}", err);
	for (uint32_t i = 0; i < img->nlayers && r == 0; i++)
		if (img->layers[i].has_ztoc)
			r = copy_blob(c, &img->ref, to, &img->layers[i].ztoc, 0, err);
	if (r < 0)
		return r;
	from.has_digest = true;
	from.digest = img->index.digest;
	r = oci_manifest_get(c, &from, &b, &desc, err);
	if (r < 0)
		return r;
	return oci_referrer_put(c, to, &img->manifest.digest,
				"application/vnd.amazon.soci.index.v1+json", b.data, b.len, NULL,
				err);
}

/* chunk_bytes: of layer uploads, 0: whole. */
static int copy_image(struct oci_client *c, const struct oci_image *img,
		      const struct oci_ref *to, uint64_t chunk_bytes, struct err *err)
{
	int r = copy_blob(c, &img->ref, to, &img->config, 0, err);

	for (uint32_t i = 0; i < img->nlayers && r == 0; i++)
		r = copy_blob(c, &img->ref, to, &img->layers[i].desc, chunk_bytes, err);
	if (r == 0)
		r = copy_manifest(c, img, to, err);
	if (r == 0 && img->index_found != OCI_INDEX_NONE)
		r = copy_index(c, img, to, err);
	return r;
}

#endif
