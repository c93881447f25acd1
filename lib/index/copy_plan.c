/* SPDX-License-Identifier: GPL-2.0-or-later */
/* copy_plan.c - what hangs on a manifest: read, and written down in order. */
#include "index/copy_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/json.h"
#include "oci/manifest.h"
#include "oci/push.h"
#include "oci/soci_write.h"

#define MAX_NESTED 4u
#define MAX_DOCS 4096u
#define MAX_BLOBS 16384u
#define MAX_ALL_DOC_BYTES (64u << 20)

/* How a document is looked at. */
enum look {
	LOOK_IMAGE,		/* may be an image, whose SOCI indexes come along */
	LOOK_BARE,
	LOOK_OPTIONAL,		/* a SOCI index found beside an image */
};

/* Room for one more of v, whose elements are size bytes. */
static int grow(void **v, uint32_t n, size_t size, uint32_t max, struct err *err)
{
	void *more;

	if (n >= max)
		return err_set(err, ERR_CORRUPT, E2BIG, "it consists of more than %u parts", max);
	if (n & (n - 1))	/* room for the next power of two */
		return 0;
	more = reallocarray(*v, n ? 2 * (size_t)n : 1, size);
	if (!more)
		return err_sys(err, ENOMEM, "list of what to copy");
	*v = more;
	return 0;
}

static int add_blob(struct copy *k, const struct oci_desc *desc, bool is_needed,
		    struct err *err)
{
	uint32_t i = 0;
	int r;

	while (i < k->nblobs && !digest_is_equal(&k->blobs[i].desc.digest, &desc->digest))
		i++;
	if (i == k->nblobs) {
		r = grow((void **)&k->blobs, i, sizeof(*k->blobs), MAX_BLOBS, err);
		if (r < 0)
			return r;
		k->blobs[k->nblobs++] = (struct copy_blob){ .desc = *desc };
	}
	k->blobs[i].is_needed |= is_needed;
	r = grow((void **)&k->refs, k->nrefs, sizeof(*k->refs), 4 * MAX_BLOBS, err);
	if (r == 0)
		k->refs[k->nrefs++] = i;
	return r;
}

/* Config and layers of any manifest: images, SOCI indexes, attestations. */
static int add_parts(struct copy *k, const json_t *doc, bool is_needed, struct err *err)
{
	const json_t *layers = json_object_get(doc, "layers");
	struct oci_desc desc;
	int r;

	if (jdoc_desc(json_object_get(doc, "config"), &desc) < 0)
		return err_set(err, ERR_CORRUPT, EINVAL, "a manifest without config");
	r = add_blob(k, &desc, is_needed, err);
	for (size_t i = 0; r == 0 && i < json_array_size(layers); i++) {
		if (jdoc_desc(json_array_get(layers, i), &desc) < 0)
			return err_set(err, ERR_CORRUPT, EINVAL, "layers[%zu] is malformed", i);
		r = add_blob(k, &desc, is_needed, err);
	}
	return r;
}

static struct copy_doc *find_doc(const struct copy *k, const struct digest *digest)
{
	for (uint32_t i = 0; i < k->ndocs; i++)
		if (digest_is_equal(&k->docs[i].desc.digest, digest))
			return &k->docs[i];
	return NULL;
}

static void describe(const json_t *doc, struct copy_doc *d)
{
	const char *type = jdoc_str(json_object_get(doc, "config"), "mediaType");

	/* Container images may have a SOCI index; other artifacts go as they are. */
	d->is_image = type && (!strcmp(type, MEDIA_OCI_CONFIG) ||
			       !strcmp(type, MEDIA_DOCKER_CONFIG));
	d->is_soci = type && (!strcmp(type, SOCI_INDEX_V1_TYPE) ||
			      !strcmp(type, SOCI_INDEX_V2_TYPE));
	d->has_subject = d->is_soci &&
			 jdoc_digest(json_object_get(doc, "subject"), "digest", &d->subject) == 0;
}

static int add(struct copy *k, const struct digest *digest, enum look look, unsigned depth,
	       struct err *err);

/* All that an index of images lists, in its order. */
static int add_list(struct copy *k, const json_t *doc, enum look look, unsigned depth,
		    struct err *err)
{
	const json_t *list = json_object_get(doc, "manifests");
	int r = 0;

	if (depth >= MAX_NESTED)
		return err_set(err, ERR_CORRUPT, ELOOP, "indexes nested too deep");
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i);
		const char *os = jdoc_str(json_object_get(o, "platform"), "os");
		bool is_attestation = os && !strcmp(os, "unknown");
		struct oci_desc desc;

		if (jdoc_desc(o, &desc) < 0)
			return err_set(err, ERR_CORRUPT, EINVAL, "manifests[%zu] is malformed", i);
		if (!manifest_is_type(desc.media_type))
			r = add_blob(k, &desc, look != LOOK_OPTIONAL, err);
		else
			r = add(k, &desc.digest, is_attestation ? LOOK_BARE : look, depth + 1,
				err);
	}
	return r;
}

/*
 * All SOCI indexes of an image. Last first, so that they are found in the same order at
 * the destination.
 */
static int add_indexes_of(struct copy *k, const struct digest *digest, struct err *err)
{
	struct oci_index_list list = { 0 };
	struct oci_image *img = NULL;
	struct oci_ref from;
	struct err e = ERR_INIT;
	int r;

	copy_ref_by_digest(k->src, digest, &from);
	r = oci_image_get(k->c, &from, NULL, &img, &e);
	/* What is no image to us has no index that we could find. */
	if (r < 0 && (e.kind == ERR_CORRUPT || e.kind == ERR_UNSUPPORTED))
		return 0;
	if (r == 0)
		r = oci_index_list(k->c, img, &list, &e);
	oci_image_free(img);
	if (r < 0 && err)
		*err = e;
	k->of = digest;
	for (uint32_t i = list.n; r == 0 && i-- > 0;) {
		r = add(k, &list.v[i].desc.digest, LOOK_OPTIONAL, 0, &e);
		if (r == -ENOENT || (r < 0 && e.kind == ERR_CORRUPT)) {
			k->incomplete++;
			r = 0;
		} else if (r < 0 && err) {
			*err = e;
		}
	}
	return r;
}

static int keep_doc(struct copy *k, const struct copy_doc *d, struct err *err)
{
	int r = grow((void **)&k->docs, k->ndocs, sizeof(*k->docs), MAX_DOCS, err);

	if (r < 0)
		return r;
	if (k->doc_bytes + d->bytes.len > MAX_ALL_DOC_BYTES)
		return err_set(err, ERR_CORRUPT, E2BIG, "its manifests are more than %u MiB",
			       MAX_ALL_DOC_BYTES >> 20);
	k->doc_bytes += d->bytes.len;
	k->docs[k->ndocs++] = *d;
	return 0;
}

/* What hangs on a manifest goes before the manifest itself. */
static int add_doc(struct copy *k, struct copy_doc *d, enum look look, unsigned depth,
		   struct err *err)
{
	cleanup_json json_t *doc = NULL;
	enum manifest_kind kind;
	char text[DIGEST_TEXT_SIZE];
	int r;

	digest_format(&d->desc.digest, text);
	r = jdoc_parse(d->bytes.data ? d->bytes.data : (const void *)"", d->bytes.len, text, &doc,
		       err);
	if (r == 0)
		r = manifest_kind_of(doc, d->desc.media_type, text, &kind, err);
	if (r < 0)
		return r;
	d->is_optional = look == LOOK_OPTIONAL;
	if (kind != MANIFEST_INDEX)
		describe(doc, d);
	/* Who lists indexes of an image may not attach one to another image by it. */
	if (d->is_optional && (!d->is_soci || (d->has_subject &&
					       !digest_is_equal(&d->subject, k->of))))
		return err_set(err, ERR_UNSUPPORTED, ENOENT, "%s is no SOCI index of that image",
			       text);
	if (kind == MANIFEST_INDEX) {
		r = add_list(k, doc, look, depth, err);
	} else {
		d->is_image = d->is_image && look == LOOK_IMAGE;
		d->refs = k->nrefs;
		r = add_parts(k, doc, !d->is_optional, err);
		d->nrefs = k->nrefs - d->refs;
	}
	return r < 0 ? err_prefix(err, "%s", text) : keep_doc(k, d, err);
}

static int add(struct copy *k, const struct digest *digest, enum look look, unsigned depth,
	       struct err *err)
{
	struct copy_doc d = { .bytes = BUF_INIT(OCI_MANIFEST_MAX_BYTES) }, *have;
	struct oci_ref from;
	int r;

	have = find_doc(k, digest);
	if (have) {
		if (look != LOOK_OPTIONAL && have->is_optional) {
			have->is_optional = false;
			for (uint32_t i = 0; i < have->nrefs; i++)
				k->blobs[k->refs[have->refs + i]].is_needed = true;
		}
		return 0;
	}
	copy_ref_by_digest(k->src, digest, &from);
	r = oci_manifest_get(k->c, &from, &d.bytes, &d.desc, err);
	if (r == 0)
		r = add_doc(k, &d, look, depth, err);
	if (r < 0) {
		buf_done(&d.bytes);
		return r;
	}
	return d.is_image ? add_indexes_of(k, digest, err) : 0;
}

int copy_add(struct copy *k, const struct digest *digest, struct err *err)
{
	return add(k, digest, LOOK_IMAGE, 0, err);
}

int copy_add_bare(struct copy *k, const struct digest *digest, struct err *err)
{
	return add(k, digest, LOOK_BARE, 0, err);
}

int copy_add_manifest(struct copy *k, const void *data, size_t len, struct oci_desc *ret,
		      struct err *err)
{
	struct copy_doc d = { .desc = { .media_type = MEDIA_OCI_MANIFEST, .size = len },
			      .bytes = BUF_INIT(OCI_MANIFEST_MAX_BYTES) };
	int r = buf_add(&d.bytes, data, len);

	digest_of(data, len, &d.desc.digest);
	*ret = d.desc;
	if (r < 0)
		return err_sys(err, -r, "manifest");
	r = find_doc(k, &d.desc.digest) ? 1 : add_doc(k, &d, LOOK_BARE, 0, err);
	if (r != 0)
		buf_done(&d.bytes);
	return r < 0 ? r : 0;
}

int copy_add_blob(struct copy *k, const struct oci_desc *desc, struct err *err)
{
	return add_blob(k, desc, true, err);
}

int copy_add_list(struct copy *k, const json_t *index, struct err *err)
{
	return add_list(k, index, LOOK_IMAGE, 0, err);
}
