/* SPDX-License-Identifier: GPL-2.0-or-later */
/* copy.c - see copy.h. */
#include "index/copy.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/json.h"
#include "oci/manifest.h"
#include "oci/push.h"
#include "oci/soci_write.h"

#define MANIFEST_MAX_BYTES (4u << 20)

static int open_scratch(struct err *err)
{
	const char *dir = getenv("TMPDIR");
	int fd = open(dir ? dir : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? err_sys(err, errno, "cannot make a temporary file in %s",
				dir ? dir : "/var/tmp") :
			fd;
}

int copy_blob(struct oci_client *c, const struct oci_ref *src, const struct oci_ref *dst,
	      const struct oci_desc *desc, struct copy_stats *stats, struct err *err)
{
	char text[DIGEST_TEXT_SIZE];
	int r = oci_blob_exists(c, dst, desc, err);

	if (r < 0)
		return r;
	if (r == 1) {
		stats->present++;
		return 0;
	}
	cleanup_close int fd = open_scratch(err);

	if (fd < 0)
		return fd;
	digest_format(&desc->digest, text);
	r = oci_blob_get_fd(c, src, desc, fd, err);
	if (r == 0)
		r = oci_blob_put_fd(c, dst, desc, fd, 0, err);
	if (r < 0)
		return err_prefix(err, "blob %s", text);
	stats->blobs++;
	stats->bytes += desc->size;
	return 0;
}

int copy_image_blobs(struct oci_client *c, const struct oci_ref *src,
		     const struct oci_ref *dst, const struct oci_image *img,
		     struct copy_stats *stats, struct err *err)
{
	int r = copy_blob(c, src, dst, &img->config, stats, err);

	for (uint32_t i = 0; r == 0 && i < img->nlayers; i++)
		r = copy_blob(c, src, dst, &img->layers[i].desc, stats, err);
	return r;
}

/* A reference to the same place, by digest alone. */
static void by_digest(const struct oci_ref *ref, const struct digest *digest,
		      struct oci_ref *ret)
{
	*ret = *ref;
	ret->tag[0] = '\0';
	ret->has_digest = true;
	ret->digest = *digest;
}

int copy_manifest(struct oci_client *c, const struct oci_ref *src, const struct oci_ref *dst,
		  const struct digest *digest, struct err *err)
{
	cleanup_buf struct buf bytes = BUF_INIT(MANIFEST_MAX_BYTES);
	struct oci_ref from, to;
	struct oci_desc desc;
	int r;

	by_digest(src, digest, &from);
	by_digest(dst, digest, &to);
	r = oci_manifest_get(c, &from, &bytes, &desc, err);
	return r < 0 ? r : oci_manifest_put(c, &to, desc.media_type, bytes.data, bytes.len, NULL,
					    err);
}

static int copy_index_blobs(struct oci_client *c, const struct oci_ref *src,
			    const struct oci_ref *dst, const json_t *doc,
			    struct copy_stats *stats, struct err *err)
{
	const json_t *layers = json_object_get(doc, "layers");
	struct oci_desc desc;
	int r = jdoc_desc(json_object_get(doc, "config"), &desc);

	if (r < 0)
		return err_set(err, ERR_CORRUPT, EINVAL, "SOCI index: no config");
	r = copy_blob(c, src, dst, &desc, stats, err);
	for (size_t i = 0; r == 0 && i < json_array_size(layers); i++) {
		if (jdoc_desc(json_array_get(layers, i), &desc) < 0)
			return err_set(err, ERR_CORRUPT, EINVAL, "SOCI index: layers[%zu]", i);
		r = copy_blob(c, src, dst, &desc, stats, err);
	}
	return r;
}

int copy_soci_index(struct oci_client *c, const struct oci_ref *src,
		    const struct oci_ref *dst, const struct oci_image *img,
		    struct copy_stats *stats, struct err *err)
{
	cleanup_buf struct buf bytes = BUF_INIT(MANIFEST_MAX_BYTES);
	cleanup_json json_t *doc = NULL;
	struct oci_ref from, to;
	struct oci_desc desc;
	int r;

	by_digest(src, &img->index.digest, &from);
	by_digest(dst, &img->index.digest, &to);
	r = oci_manifest_get(c, &from, &bytes, &desc, err);
	if (r == 0)
		r = jdoc_parse(bytes.data, bytes.len, "SOCI index", &doc, err);
	if (r == 0)
		r = copy_index_blobs(c, src, dst, doc, stats, err);
	if (r < 0)
		return r;
	if (json_is_object(json_object_get(doc, "subject")))
		return oci_referrer_put(c, dst, &img->manifest.digest, SOCI_INDEX_V1_TYPE,
					bytes.data, bytes.len, NULL, err);
	return oci_manifest_put(c, &to, desc.media_type, bytes.data, bytes.len, NULL, err);
}
