/* SPDX-License-Identifier: GPL-2.0-or-later */
/* image.c - oci_image_resolve() and the discovery of SOCI indexes; see image.h. */
#include "oci/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/doc.h"
#include "oci/index.h"
#include "oci/layout.h"
#include "oci/manifest.h"

#define MAX_NESTED_INDEXES 3u

DEFINE_CLEANUP(struct oci_image *, oci_image_free, cleanup_imagep)

void oci_image_free(struct oci_image *img)
{
	if (!img)
		return;
	free(img->layers);
	free(img);
}

/* --- the image ----------------------------------------------------------------------- */

static void name_doc(const struct oci_repo *repo, const struct oci_desc *d, char *ret,
		     size_t ret_size)
{
	char text[DIGEST_TEXT_SIZE], name[600];

	digest_format(&d->digest, text);
	repo_name(repo, name, sizeof(name));
	snprintf(ret, ret_size, "%.160s@%s", name, text);
}

/* What the document says it is; an OCI manifest if neither it nor the registry said. */
static void own_media_type(const json_t *doc, struct oci_desc *d)
{
	char own[sizeof(d->media_type)];

	if (jdoc_copy(doc, "mediaType", own, sizeof(own)) == 0 && *own)
		strcpy(d->media_type, own);
	else if (!*d->media_type)
		strcpy(d->media_type, MEDIA_OCI_MANIFEST);
}

/* Down from the reference to the manifest of one platform. */
static int find_manifest(struct oci_repo *repo, struct oci_image *img,
			 const struct oci_platform *platform, struct buf *b, json_t **ret,
			 struct err *err)
{
	const struct oci_ref *ref = &img->ref;
	const struct digest *digest = ref->has_digest ? &ref->digest : NULL;
	struct oci_desc want = { .size = UINT64_MAX }, got;

	for (unsigned depth = 0; depth <= MAX_NESTED_INDEXES; depth++) {
		cleanup_json json_t *doc = NULL;
		enum manifest_kind kind;
		char what[300];
		int r;

		r = doc_manifest(repo, ref->tag, digest, &want, &got, b, NULL, err);
		if (r < 0)
			return r;
		name_doc(repo, &got, what, sizeof(what));
		r = jdoc_parse(b->data ? b->data : (const void *)"", b->len, what, &doc, err);
		if (r == 0)
			r = manifest_kind_of(doc, got.media_type, what, &kind, err);
		if (r < 0)
			return r;
		if (kind == MANIFEST_IMAGE) {
			img->manifest = got;
			own_media_type(doc, &img->manifest);
			*ret = TAKE_PTR(doc);
			return 0;
		}
		r = manifest_choose(doc, platform, MANIFEST_NEAREST, what, NULL, &want, err);
		if (r < 0)
			return r;
		digest = &want.digest;
	}
	return err_set(err, ERR_CORRUPT, ELOOP, "%s: indexes nested too deep", ref->repo);
}

static int get_config(struct oci_repo *repo, struct oci_image *img, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(OCI_MANIFEST_MAX_BYTES);
	char what[300];
	int r;

	r = doc_blob(repo, &img->config, &b, err);
	if (r < 0)
		return err_prefix(err, "image config");
	name_doc(repo, &img->config, what, sizeof(what));
	return manifest_parse_config(b.data ? b.data : (const void *)"", b.len, what, img, err);
}

/* --- its SOCI index ------------------------------------------------------------------ */

/* Fetch and read the index d. *ret_status 404: it is not there. */
static int take_index(struct oci_repo *repo, const struct oci_desc *d,
		      enum oci_index_found how, struct oci_image *img, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(OCI_MANIFEST_MAX_BYTES);
	struct oci_desc got;
	char what[300];
	int r;

	name_doc(repo, d, what, sizeof(what));
	r = doc_manifest(repo, "", &d->digest, d, &got, &b, NULL, err);
	if (r < 0)
		return err_prefix(err, "SOCI index");
	r = index_parse(b.data ? b.data : (const void *)"", b.len, what, img, err);
	if (r < 0)
		return r;
	strcpy(got.media_type, MEDIA_OCI_MANIFEST);	/* index_parse() takes no other */
	img->index = got;
	img->index_found = how;
	return 0;
}

/* The first candidate that fits; none: 0 if there were none, else the first's error. */
static int take_candidates(struct oci_repo *repo, const struct oci_desc *cand, int n,
			   enum oci_index_found how, struct oci_image *img, struct err *err)
{
	struct err first = ERR_INIT, e;
	int r;

	for (int i = 0; i < n; i++) {
		r = take_index(repo, &cand[i], how, img, &e);
		if (r == 0)
			return 0;
		if (e.kind == ERR_NETWORK || e.kind == ERR_SYSTEM) {
			first = e;
			break;
		}
		if (!first.num)
			first = e;
	}
	if (!first.num)
		return 0;
	if (err)
		*err = first;
	return -first.num;
}

/* A registry that does not know the call says so in many ways; the next way is tried. */
static bool is_no_such_call(int status)
{
	return status >= 400 && status < 500 && status != 401 && status != 408 &&
	       status != 429;
}

static int from_referrers(struct oci_repo *repo, struct oci_image *img, struct err *err)
{
	struct oci_desc cand[INDEX_MAX_CANDIDATES];
	cleanup_buf struct buf b = BUF_INIT(OCI_MANIFEST_MAX_BYTES);
	cleanup_json json_t *doc = NULL;
	char path[256], digest[DIGEST_TEXT_SIZE];
	struct call_spec spec = { .method = "GET", .path = path,
				  .cap = HOST_CAP_PULL | HOST_CAP_RESOLVE,
				  .headers = { "Accept: " MEDIA_OCI_INDEX } };
	struct doc_reply reply;
	int r, status;

	digest_format(&img->manifest.digest, digest);
	snprintf(path, sizeof(path), "referrers/%s?artifactType=%s", digest,
		 "application%2Fvnd.amazon.soci.index.v1%2Bjson");
	r = doc_call(repo, &spec, &b, &reply, err);
	status = reply.status;
	doc_reply_done(&reply);
	if (r < 0)
		return is_no_such_call(status) || status == 501 ? 0 :
			err_prefix(err, "looking for a SOCI index");
	/* Some servers answer 200 to any path, with a page for people. */
	if (jdoc_parse(b.data ? b.data : (const void *)"", b.len, "referrers", &doc, NULL) < 0)
		return 0;
	return take_candidates(repo, cand, index_candidates(doc, cand), OCI_INDEX_REFERRERS, img,
			       err);
}

static int from_fallback_tag(struct oci_repo *repo, struct oci_image *img, struct err *err)
{
	struct oci_desc cand[INDEX_MAX_CANDIDATES];
	cleanup_buf struct buf b = BUF_INIT(OCI_MANIFEST_MAX_BYTES);
	cleanup_json json_t *doc = NULL;
	char tag[DIGEST_TEXT_SIZE];
	struct oci_desc got;
	struct err e = ERR_INIT;
	int r, status;

	digest_format(&img->manifest.digest, tag);
	tag[6] = '-';
	r = doc_manifest(repo, tag, NULL, NULL, &got, &b, &status, &e);
	if (r < 0) {
		if (e.num == ENOENT || is_no_such_call(status))
			return 0;
		if (err)
			*err = e;
		return err_prefix(err, "looking for a SOCI index");
	}
	r = jdoc_parse(b.data ? b.data : (const void *)"", b.len, tag, &doc, err);
	if (r < 0)
		return r;
	return take_candidates(repo, cand, index_candidates(doc, cand), OCI_INDEX_FALLBACK_TAG,
			       img, err);
}

/* A layout has no referrers API: what index.json lists is looked through. */
static int from_layout(struct oci_repo *repo, struct oci_image *img, struct err *err)
{
	struct oci_desc cand[INDEX_MAX_CANDIDATES];
	uint32_t n;
	int r = layout_find_indexes(repo, &img->manifest.digest, cand, INDEX_MAX_CANDIDATES, &n,
				    err);

	return r < 0 ? r : take_candidates(repo, cand, (int)n, OCI_INDEX_REFERRERS, img, err);
}

static int discover(struct oci_repo *repo, const struct digest *explicit,
		    const struct digest *annotated, struct oci_image *img, struct err *err)
{
	struct oci_desc d = { .size = UINT64_MAX };
	struct err e = ERR_INIT;
	int r;

	if (explicit) {
		d.digest = *explicit;
		return take_index(repo, &d, OCI_INDEX_EXPLICIT, img, err);
	}
	if (annotated) {
		d.digest = *annotated;
		r = take_index(repo, &d, OCI_INDEX_ANNOTATION, img, &e);
		if (r == 0)
			return 0;
		if (e.num != ENOENT) {
			if (err)
				*err = e;
			return r;
		}
	}
	r = repo->dir_fd >= 0 ? from_layout(repo, img, err) : from_referrers(repo, img, err);
	if (r == 0 && img->index_found == OCI_INDEX_NONE)
		r = from_fallback_tag(repo, img, err);
	return r;
}

static int get_image(struct oci_repo *repo, const struct oci_ref *ref,
		     const struct oci_platform *platform, struct oci_image *img,
		     struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(OCI_MANIFEST_MAX_BYTES);
	cleanup_json json_t *doc = NULL;
	struct oci_platform host;
	char what[300];
	int r;

	oci_platform_host(&host);
	img->ref = *ref;
	r = find_manifest(repo, img, platform ? platform : &host, &b, &doc, err);
	if (r < 0)
		return r;
	name_doc(repo, &img->manifest, what, sizeof(what));
	r = manifest_parse_image(doc, what, img, &img->has_annotation, &img->annotated, err);
	return r < 0 ? r : get_config(repo, img, err);
}

int oci_image_get(struct oci_client *c, const struct oci_ref *ref,
		  const struct oci_platform *platform, struct oci_image **ret,
		  struct err *err)
{
	cleanup_(cleanup_imagep) struct oci_image *img = calloc(1, sizeof(*img));
	cleanup_repo struct oci_repo *repo = NULL;
	int r;

	if (!img)
		return err_sys(err, ENOMEM, "image");
	r = oci_repo_get(c, ref, &repo, err);
	if (r == 0)
		r = get_image(repo, ref, platform, img, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(img);
	return 0;
}

int oci_image_resolve(struct oci_client *c, const struct oci_ref *ref,
		      const struct oci_platform *platform, const struct digest *index_digest,
		      struct oci_image **ret, struct err *err)
{
	cleanup_(cleanup_imagep) struct oci_image *img = calloc(1, sizeof(*img));
	cleanup_repo struct oci_repo *repo = NULL;
	int r;

	if (!img)
		return err_sys(err, ENOMEM, "image");
	r = oci_repo_get(c, ref, &repo, err);
	if (r == 0)
		r = get_image(repo, ref, platform, img, err);
	if (r == 0)
		r = discover(repo, index_digest, img->has_annotation ? &img->annotated : NULL,
			     img, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(img);
	return 0;
}

int oci_manifest_get(struct oci_client *c, const struct oci_ref *ref, struct buf *b,
		     struct oci_desc *ret, struct err *err)
{
	cleanup_repo struct oci_repo *repo = NULL;
	cleanup_json json_t *doc = NULL;
	int r;

	r = oci_repo_get(c, ref, &repo, err);
	if (r == 0)
		r = doc_manifest(repo, ref->tag, ref->has_digest ? &ref->digest : NULL, NULL, ret,
				 b, NULL, err);
	if (r == 0)
		r = jdoc_parse(b->data ? b->data : (const void *)"", b->len, "manifest", &doc, err);
	if (r == 0)
		own_media_type(doc, ret);
	return r;
}

int oci_layout_entry(struct oci_client *c, const struct oci_ref *ref, json_t **ret,
		     struct err *err)
{
	cleanup_repo struct oci_repo *repo = NULL;
	cleanup_json json_t *index = NULL;
	const json_t *e, *found = NULL;
	struct digest digest;
	size_t i;
	int r = oci_repo_get(c, ref, &repo, err);

	if (r == 0 && repo->dir_fd >= 0)
		r = layout_index(repo, &index, err);
	if (r < 0)
		return r;
	if (index && !ref->has_digest)
		found = layout_entry(index, ref->tag);
	json_array_foreach(json_object_get(index, "manifests"), i, e)
		if (ref->has_digest && !found && jdoc_digest(e, "digest", &digest) == 0 &&
		    digest_is_equal(&digest, &ref->digest))
			found = e;
	*ret = json_incref((json_t *)found);
	return 0;
}
