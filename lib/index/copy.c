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
#define MAX_NESTED 4u

static int open_scratch(struct err *err)
{
	const char *dir = getenv("TMPDIR");
	char name[4096];
	int fd;

	if (!dir || !*dir)
		dir = "/var/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		snprintf(name, sizeof(name), "%s/lazyerofs-XXXXXX", dir);
		fd = mkostemp(name, O_CLOEXEC);
		if (fd >= 0)
			unlink(name);
	}
	return fd < 0 ? err_sys(err, errno, "cannot make a temporary file in %s", dir) : fd;
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

void copy_ref_by_digest(const struct oci_ref *ref, const struct digest *digest,
			struct oci_ref *ret)
{
	*ret = *ref;
	ret->tag[0] = '\0';
	ret->has_digest = true;
	ret->digest = *digest;
}

/* --- manifests ----------------------------------------------------------------------- */

struct copy {
	struct oci_client *c;
	const struct oci_ref *src, *dst;
	struct copy_stats *stats;
	struct buf *seen;		/* digests of the SOCI indexes that are there */
};

static bool was_seen(const struct copy *k, const struct digest *digest)
{
	const struct digest *v = (const struct digest *)k->seen->data;

	for (size_t i = 0; i < k->seen->len / sizeof(*v); i++)
		if (digest_is_equal(&v[i], digest))
			return true;
	return false;
}

/* Config and layers of any manifest: images, SOCI indexes, attestations. */
static int copy_parts(const struct copy *k, const json_t *doc, struct err *err)
{
	const json_t *layers = json_object_get(doc, "layers");
	struct oci_desc desc;
	int r;

	if (jdoc_desc(json_object_get(doc, "config"), &desc) < 0)
		return err_set(err, ERR_CORRUPT, EINVAL, "a manifest without config");
	r = copy_blob(k->c, k->src, k->dst, &desc, k->stats, err);
	for (size_t i = 0; r == 0 && i < json_array_size(layers); i++) {
		if (jdoc_desc(json_array_get(layers, i), &desc) < 0)
			return err_set(err, ERR_CORRUPT, EINVAL, "layers[%zu] is malformed", i);
		r = copy_blob(k->c, k->src, k->dst, &desc, k->stats, err);
	}
	return r;
}

static bool is_soci_index(const json_t *doc)
{
	const char *type = jdoc_str(json_object_get(doc, "config"), "mediaType");

	return type && (!strcmp(type, SOCI_INDEX_V1_TYPE) || !strcmp(type, SOCI_INDEX_V2_TYPE));
}

/* By digest; an index v1 so that it is found from its subject. */
static int put_soci_index(const struct copy *k, const json_t *doc, const struct oci_desc *desc,
			  const struct buf *bytes, struct err *err)
{
	struct digest subject;
	struct oci_ref to;

	if (was_seen(k, &desc->digest))
		return 0;
	if (buf_add(k->seen, &desc->digest, sizeof(desc->digest)) < 0)
		return err_sys(err, ENOMEM, "SOCI index");
	k->stats->indexes++;
	copy_ref_by_digest(k->dst, &desc->digest, &to);
	if (jdoc_digest(json_object_get(doc, "subject"), "digest", &subject) == 0)
		return oci_referrer_put(k->c, k->dst, &subject, SOCI_INDEX_V1_TYPE, bytes->data,
					bytes->len, NULL, err);
	return oci_manifest_put(k->c, &to, desc->media_type, bytes->data, bytes->len, NULL, err);
}

static int copy_soci_index(const struct copy *k, const struct digest *digest, struct err *err)
{
	cleanup_buf struct buf bytes = BUF_INIT(MANIFEST_MAX_BYTES);
	cleanup_json json_t *doc = NULL;
	struct oci_ref from;
	struct oci_desc desc;
	int r;

	copy_ref_by_digest(k->src, digest, &from);
	r = oci_manifest_get(k->c, &from, &bytes, &desc, err);
	if (r == 0)
		r = jdoc_parse(bytes.data, bytes.len, "SOCI index", &doc, err);
	if (r == 0)
		r = copy_parts(k, doc, err);
	return r < 0 ? r : put_soci_index(k, doc, &desc, &bytes, err);
}

/*
 * All SOCI indexes of an image that is at the destination. Last first, so that they are
 * found in the same order there. One that is named but not there is left out.
 */
static int copy_indexes_of(const struct copy *k, const struct digest *digest, struct err *err)
{
	struct oci_index_list list = { 0 };
	struct oci_image *img = NULL;
	struct oci_ref from;
	struct err e = ERR_INIT;
	int r;

	copy_ref_by_digest(k->src, digest, &from);
	r = oci_image_get(k->c, &from, NULL, &img, err);
	if (r == 0)
		r = oci_index_list(k->c, img, &list, err);
	oci_image_free(img);
	for (uint32_t i = list.n; r == 0 && i-- > 0;) {
		if (was_seen(k, &list.v[i].desc.digest))
			continue;
		r = copy_soci_index(k, &list.v[i].desc.digest, &e);
		if (r == -ENOENT)
			r = 0;
		else if (r < 0 && err)
			*err = e;
	}
	return r;
}

/* Container images may have an index; other artifacts go as they are. */
static bool is_image(const json_t *doc)
{
	const char *type = jdoc_str(json_object_get(doc, "config"), "mediaType");

	return type && (!strcmp(type, MEDIA_OCI_CONFIG) || !strcmp(type, MEDIA_DOCKER_CONFIG));
}

static int copy_manifest(const struct copy *k, const struct digest *digest, bool has_index,
			 unsigned depth, struct err *err);

/* All that an index of images lists, in its order. */
static int copy_list(const struct copy *k, const json_t *doc, unsigned depth, struct err *err)
{
	const json_t *list = json_object_get(doc, "manifests");
	int r = 0;

	if (depth >= MAX_NESTED)
		return err_set(err, ERR_CORRUPT, ELOOP, "indexes nested too deep");
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i);
		const char *os = jdoc_str(json_object_get(o, "platform"), "os");
		struct oci_desc desc;

		if (jdoc_desc(o, &desc) < 0)
			return err_set(err, ERR_CORRUPT, EINVAL, "manifests[%zu] is malformed", i);
		r = copy_manifest(k, &desc.digest, os && strcmp(os, "unknown") != 0, depth + 1,
				  err);
	}
	return r;
}

/* What hangs on a manifest goes before the manifest itself. */
static int copy_below(const struct copy *k, const struct buf *bytes,
		      const struct oci_desc *desc, unsigned depth, bool *ret_is_list,
		      bool *ret_is_soci, json_t **ret, struct err *err)
{
	enum manifest_kind kind;
	char text[DIGEST_TEXT_SIZE];
	int r;

	digest_format(&desc->digest, text);
	r = jdoc_parse(bytes->data ? bytes->data : (const void *)"", bytes->len, text, ret, err);
	if (r == 0)
		r = manifest_kind_of(*ret, desc->media_type, text, &kind, err);
	if (r < 0)
		return r;
	*ret_is_list = kind == MANIFEST_INDEX;
	*ret_is_soci = kind == MANIFEST_IMAGE && is_soci_index(*ret);
	r = kind == MANIFEST_INDEX ? copy_list(k, *ret, depth, err) : copy_parts(k, *ret, err);
	return r < 0 ? err_prefix(err, "%s", text) : 0;
}

static int copy_manifest(const struct copy *k, const struct digest *digest, bool has_index,
			 unsigned depth, struct err *err)
{
	cleanup_buf struct buf bytes = BUF_INIT(MANIFEST_MAX_BYTES);
	cleanup_json json_t *doc = NULL;
	struct oci_ref from, to;
	struct oci_desc desc;
	bool is_list = false, is_soci = false;
	int r;

	copy_ref_by_digest(k->src, digest, &from);
	copy_ref_by_digest(k->dst, digest, &to);
	r = oci_manifest_get(k->c, &from, &bytes, &desc, err);
	if (r == 0)
		r = copy_below(k, &bytes, &desc, depth, &is_list, &is_soci, &doc, err);
	if (r < 0)
		return r;
	if (is_soci)
		return put_soci_index(k, doc, &desc, &bytes, err);
	r = oci_manifest_put(k->c, &to, desc.media_type, bytes.data, bytes.len, NULL, err);
	if (r < 0 || is_list || !has_index || !is_image(doc))
		return r;
	k->stats->images++;
	return copy_indexes_of(k, digest, err);
}

int copy_by_digest(struct oci_client *c, const struct oci_ref *src,
		   const struct oci_ref *dst, const struct digest *digest,
		   struct copy_stats *stats, struct err *err)
{
	cleanup_buf struct buf seen = BUF_INIT(1u << 20);
	const struct copy k = { .c = c, .src = src, .dst = dst, .stats = stats, .seen = &seen };

	return copy_manifest(&k, digest, false, 0, err);
}

/* The digest of what is wanted behind src. */
static int find_top(struct oci_client *c, const struct oci_ref *src,
		    const struct oci_platform *platform, struct digest *ret, struct err *err)
{
	cleanup_buf struct buf bytes = BUF_INIT(MANIFEST_MAX_BYTES);
	struct oci_image *img = NULL;
	struct oci_desc desc;
	int r;

	if (platform) {
		r = oci_image_resolve(c, src, platform, NULL, &img, err);
		if (r == 0)
			*ret = img->manifest.digest;
		oci_image_free(img);
		return r;
	}
	r = oci_manifest_get(c, src, &bytes, &desc, err);
	if (r == 0)
		*ret = desc.digest;
	return r;
}

int copy_image(struct oci_client *c, const struct oci_ref *src, const struct oci_ref *dst,
	       const struct oci_platform *platform, struct copy_stats *stats,
	       struct oci_desc *ret, struct err *err)
{
	cleanup_buf struct buf bytes = BUF_INIT(MANIFEST_MAX_BYTES);
	cleanup_buf struct buf seen = BUF_INIT(1u << 20);
	const struct copy k = { .c = c, .src = src, .dst = dst, .stats = stats, .seen = &seen };
	struct digest top;
	struct oci_ref from;
	struct oci_desc desc;
	int r = find_top(c, src, platform, &top, err);

	if (r == 0)
		r = copy_manifest(&k, &top, true, 0, err);
	if (r < 0)
		return r;
	copy_ref_by_digest(src, &top, &from);
	r = oci_manifest_get(c, &from, &bytes, &desc, err);
	return r < 0 ? r : oci_manifest_put(c, dst, desc.media_type, bytes.data, bytes.len, ret,
					    err);
}
