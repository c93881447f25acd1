/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * referrers.c - SOCI indexes beside an image: put, listed, removed; see push.h.
 *
 * Where they are found: the v2 annotation, the referrers API, the fallback tag
 * sha256-HEX, or index.json of a layout.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/index.h"
#include "oci/json.h"
#include "oci/layout.h"
#include "oci/manifest.h"
#include "oci/push_priv.h"

#define cleanup_reply cleanup_(doc_reply_done)

static void fallback_tag(const struct digest *subject, char ret[DIGEST_TEXT_SIZE])
{
	digest_format(subject, ret);
	ret[6] = '-';
}

/* Registries say in many ways that they do not know a call or have no such tag. */
static bool is_no_such_call(int status)
{
	return status >= 400 && status < 500 && status != 401 && status != 408 &&
	       status != 429;
}

/*
 * The list behind the fallback tag, or a new one. To be written again it comes from the
 * registry itself (PUSH_CAPS), and only a 404 means that there is none.
 */
static int get_fallback(struct oci_repo *repo, const char *tag, unsigned caps, json_t **ret,
			struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(OCI_MANIFEST_MAX_BYTES);
	cleanup_reply struct doc_reply reply = { 0 };
	char path[160];
	struct call_spec spec = { .method = "GET", .path = path,
				  .cap = caps, .headers = { "Accept: " MEDIA_OCI_INDEX } };
	struct err e = ERR_INIT;
	int r;

	snprintf(path, sizeof(path), "manifests/%s", tag);
	r = doc_call(repo, &spec, &b, &reply, &e);
	if (r < 0 && (reply.status == 404 ||
		      (caps != PUSH_CAPS && is_no_such_call(reply.status)))) {
		*ret = json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType",
				 MEDIA_OCI_INDEX, "manifests");
		return *ret ? 0 : err_sys(err, ENOMEM, "fallback tag");
	}
	if (r < 0) {
		if (err)
			*err = e;
		return r;
	}
	r = jdoc_parse(b.data ? b.data : (const void *)"", b.len, tag, ret, err);
	if (r == 0 && !json_is_array(json_object_get(*ret, "manifests"))) {
		json_decref(*ret);
		*ret = NULL;
		return err_set(err, ERR_CORRUPT, EINVAL, "%s is no image index", tag);
	}
	return r;
}

/* desc as JSON, with the annotations of the manifest itself. */
static json_t *entry_json(const struct oci_desc *desc, const void *data)
{
	cleanup_json json_t *doc = NULL;
	char digest[DIGEST_TEXT_SIZE];
	json_t *e, *notes;

	digest_format(&desc->digest, digest);
	e = json_pack("{s:s, s:s, s:I}", "mediaType", desc->media_type, "digest", digest, "size",
		      (json_int_t)desc->size);
	if (e && jdoc_parse(data, desc->size, "manifest", &doc, NULL) == 0) {
		notes = json_object_get(doc, "annotations");
		if (notes)
			json_object_set(e, "annotations", notes);
	}
	if (e)
		json_object_set_new(e, "artifactType", json_string(desc->artifact_type));
	return e;
}

/* Take the entries of d out of list; how many there were. */
static unsigned drop_entry(json_t *list, const struct digest *d)
{
	struct digest have;
	unsigned n = 0;

	for (size_t i = json_array_size(list); i-- > 0;) {
		if (jdoc_digest(json_array_get(list, i), "digest", &have) < 0 ||
		    !digest_is_equal(&have, d))
			continue;
		json_array_remove(list, i);
		n++;
	}
	return n;
}

static int put_fallback(struct oci_repo *repo, const char *tag, const json_t *list,
			struct err *err)
{
	cleanup_free char *text = json_dumps(list, JSON_COMPACT);
	struct oci_desc desc;
	bool has_subject;
	int r;

	if (!text)
		return err_sys(err, ENOMEM, "fallback tag");
	r = push_describe(MEDIA_OCI_INDEX, text, strlen(text), &desc, err);
	return r < 0 ? r : push_manifest(repo, tag, &desc, text, &has_subject, err);
}

/*
 * Read, add, write: the spec has no better way, and two at once may lose one. The newest
 * goes first, since readers take the first that they find.
 */
static int add_to_fallback(struct oci_repo *repo, const struct digest *subject,
			   const struct oci_desc *desc, const void *data, struct err *err)
{
	cleanup_json json_t *list = NULL;
	char tag[DIGEST_TEXT_SIZE];
	struct digest first;
	json_t *entries, *entry;
	int r;

	fallback_tag(subject, tag);
	r = get_fallback(repo, tag, PUSH_CAPS, &list, err);
	if (r < 0)
		return r;
	entries = json_object_get(list, "manifests");
	if (jdoc_digest(json_array_get(entries, 0), "digest", &first) == 0 &&
	    digest_is_equal(&first, &desc->digest))
		return 0;
	drop_entry(entries, &desc->digest);
	entry = entry_json(desc, data);
	if (!entry || json_array_insert_new(entries, 0, entry) < 0)
		return err_sys(err, ENOMEM, "fallback tag");
	return put_fallback(repo, tag, list, err);
}

int oci_referrer_put(struct oci_client *c, const struct oci_ref *ref,
		     const struct digest *subject, const char *artifact_type,
		     const void *data, size_t len, struct oci_desc *ret, struct err *err)
{
	cleanup_repo struct oci_repo *repo = NULL;
	char name[DIGEST_TEXT_SIZE];
	struct oci_desc desc;
	bool has_subject;
	int r;

	r = push_describe(MEDIA_OCI_MANIFEST, data, len, &desc, err);
	if (r < 0)
		return r;
	snprintf(desc.artifact_type, sizeof(desc.artifact_type), "%s", artifact_type);
	digest_format(&desc.digest, name);
	r = oci_repo_get(c, ref, &repo, err);
	if (r == 0)
		r = push_manifest(repo, name, &desc, data, &has_subject, err);
	if (r == 0 && repo->dir_fd >= 0)
		r = layout_put_entry(repo, NULL, &desc, err);
	else if (r == 0 && !has_subject)
		r = add_to_fallback(repo, subject, &desc, data, err);
	if (r < 0)
		return err_prefix(err, "push of an index");
	if (ret)
		*ret = desc;
	return 0;
}

/* --- listing ------------------------------------------------------------------------- */

static void add_all(struct oci_index_list *list, const json_t *doc, enum oci_index_found how)
{
	const json_t *e;
	size_t i;

	json_array_foreach(json_object_get(doc, "manifests"), i, e) {
		struct oci_desc desc;
		bool known = false;

		if (list->n == OCI_INDEX_LIST_MAX || !index_is_candidate(e, &desc))
			continue;
		for (uint32_t k = 0; k < list->n; k++)
			known |= digest_is_equal(&list->v[k].desc.digest, &desc.digest);
		if (known)
			continue;
		list->v[list->n].found = how;
		list->v[list->n++].desc = desc;
	}
}

static int list_referrers(struct oci_repo *repo, const struct digest *subject,
			  struct oci_index_list *list, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(OCI_MANIFEST_MAX_BYTES);
	cleanup_reply struct doc_reply reply = { 0 };
	cleanup_json json_t *doc = NULL;
	char path[256], digest[DIGEST_TEXT_SIZE];
	struct call_spec spec = { .method = "GET", .path = path,
				  .cap = HOST_CAP_PULL | HOST_CAP_RESOLVE,
				  .headers = { "Accept: " MEDIA_OCI_INDEX } };
	int r;

	digest_format(subject, digest);
	snprintf(path, sizeof(path), "referrers/%s?artifactType=%s", digest,
		 "application%2Fvnd.amazon.soci.index.v1%2Bjson");
	r = doc_call(repo, &spec, &b, &reply, err);
	if (r < 0)
		return is_no_such_call(reply.status) || reply.status == 501 ? 0 : r;
	if (b.len && jdoc_parse(b.data, b.len, "referrers", &doc, NULL) == 0)
		add_all(list, doc, OCI_INDEX_REFERRERS);
	return 0;
}

static int list_layout(struct oci_repo *repo, const struct digest *subject,
		       struct oci_index_list *list, struct err *err)
{
	struct oci_desc found[OCI_INDEX_LIST_MAX];
	uint32_t n;
	int r = layout_find_indexes(repo, subject, found, OCI_INDEX_LIST_MAX - list->n, &n, err);

	for (uint32_t i = 0; r == 0 && i < n; i++) {
		list->v[list->n].found = OCI_INDEX_REFERRERS;
		list->v[list->n++].desc = found[i];
	}
	return r;
}

int oci_index_list(struct oci_client *c, const struct oci_image *img,
		   struct oci_index_list *ret, struct err *err)
{
	struct oci_index_list list = { 0 };
	cleanup_repo struct oci_repo *repo = NULL;
	cleanup_json json_t *doc = NULL;
	char tag[DIGEST_TEXT_SIZE];
	int r = oci_repo_get(c, &img->ref, &repo, err);

	if (r < 0)
		return r;
	if (img->has_annotation) {
		list.v[0].found = OCI_INDEX_ANNOTATION;
		list.v[0].desc = (struct oci_desc){ .digest = img->annotated,
						    .size = UINT64_MAX };
		list.n = 1;
	}
	if (repo->dir_fd >= 0) {
		r = list_layout(repo, &img->manifest.digest, &list, err);
	} else {
		fallback_tag(&img->manifest.digest, tag);
		r = list_referrers(repo, &img->manifest.digest, &list, err);
		if (r == 0)
			r = get_fallback(repo, tag, HOST_CAP_PULL | HOST_CAP_RESOLVE, &doc, err);
		if (r == 0)
			add_all(&list, doc, OCI_INDEX_FALLBACK_TAG);
	}
	if (r < 0)
		return r;
	*ret = list;
	return 0;
}

/* --- removal ------------------------------------------------------------------------- */

static int delete_manifest(struct oci_repo *repo, const struct digest *digest,
			   struct err *err)
{
	char path[DIGEST_TEXT_SIZE + 16] = "manifests/";
	struct call_spec spec = { .method = "DELETE", .path = path,
				  .cap = PUSH_CAPS };
	cleanup_reply struct doc_reply reply = { 0 };
	int r;

	digest_format(digest, path + 10);
	r = doc_call(repo, &spec, NULL, &reply, err);
	if (r < 0 && (reply.status == 405 || reply.status == 501))
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP, "registry %s does not allow "
			       "manifests to be deleted (answer %d): nothing was changed",
			       repo->ref.host, reply.status);
	return r;
}

/* Off the list first, so that nobody finds what is not there; back on it on failure. */
static int delete_from_registry(struct oci_repo *repo, const struct digest *subject,
				const struct digest *index, struct err *err)
{
	cleanup_json json_t *list = NULL, *before = NULL;
	char tag[DIGEST_TEXT_SIZE];
	int r;

	fallback_tag(subject, tag);
	r = get_fallback(repo, tag, PUSH_CAPS, &list, err);
	if (r < 0)
		return r;
	before = json_deep_copy(list);
	if (!before)
		return err_sys(err, ENOMEM, "fallback tag");
	if (!drop_entry(json_object_get(list, "manifests"), index))
		return delete_manifest(repo, index, err);
	r = put_fallback(repo, tag, list, err);
	if (r < 0)
		return r;
	r = delete_manifest(repo, index, err);
	if (r == -ENOENT)
		return 0;	/* a list that named what was not there */
	if (r < 0 && put_fallback(repo, tag, before, NULL) < 0)
		return err_prefix(err, "the index is off the list of tag %s, but still there",
				  tag);
	return r;
}

int oci_index_delete(struct oci_client *c, const struct oci_image *img,
		     const struct digest *index, struct err *err)
{
	cleanup_repo struct oci_repo *repo = NULL;
	int r;

	if (img->has_annotation && digest_is_equal(index, &img->annotated))
		return err_set(err, ERR_UNSUPPORTED, EINVAL,
			       "this index (v2) is part of the image, whose manifest names it: "
			       "only the image as a whole can be removed");
	r = oci_repo_get(c, &img->ref, &repo, err);
	if (r < 0)
		return r;
	return repo->dir_fd >= 0 ? layout_drop_manifest(repo, index, err) :
				   delete_from_registry(repo, &img->manifest.digest, index, err);
}
