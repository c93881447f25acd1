/* SPDX-License-Identifier: GPL-2.0-or-later */
/* present.c - see present.h. */
#include "index/present.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "index/copy.h"
#include "oci/json.h"
#include "oci/manifest.h"
#include "oci/push.h"

#define MAX_NESTED 4u

/* Where one looks, and what was missed. */
struct look {
	struct oci_client *c;
	const struct oci_ref *ref;
	const struct present_opts *opts;
	struct digest missing;
};

/* 1 there, 0 not, -errno. */
static int has(struct look *l, const json_t *o, struct err *err)
{
	struct oci_desc desc;
	int r;

	if (jdoc_desc(o, &desc) < 0)
		return 1;	/* whoever reads it says what is wrong */
	desc.size = UINT64_MAX;	/* likewise */
	r = oci_blob_exists(l->c, l->ref, &desc, err);
	if (r == 0)
		l->missing = desc.digest;
	return r;
}

static int is_whole(struct look *l, const json_t *o, unsigned depth, struct err *err);

static int are_whole(struct look *l, const json_t *list, unsigned depth, struct err *err)
{
	int r = 1;

	for (size_t i = 0; r == 1 && i < json_array_size(list); i++)
		r = is_whole(l, json_array_get(list, i), depth, err);
	return r;
}

/* The same of a descriptor with all that its manifest names. */
static int is_whole(struct look *l, const json_t *o, unsigned depth, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(OCI_MANIFEST_MAX_BYTES);
	cleanup_json json_t *doc = NULL;
	struct oci_desc desc;
	struct oci_ref one;
	int r = has(l, o, err);

	if (r != 1 || depth >= MAX_NESTED || jdoc_desc(o, &desc) < 0 ||
	    !manifest_is_type(desc.media_type))
		return r;
	copy_ref_by_digest(l->ref, &desc.digest, &one);
	if (oci_manifest_get(l->c, &one, &b, &desc, NULL) < 0 ||
	    jdoc_parse(b.data, b.len, "manifest", &doc, NULL) < 0)
		return 1;	/* broken, not absent */
	r = json_object_get(doc, "config") ? has(l, json_object_get(doc, "config"), err) : 1;
	if (r == 1)
		r = are_whole(l, json_object_get(doc, "layers"), depth + 1, err);
	return r == 1 ? are_whole(l, json_object_get(doc, "manifests"), depth + 1, err) : r;
}

static bool is_kept(const struct present_opts *opts, const json_t *o)
{
	struct digest d;

	if (jdoc_digest(o, "digest", &d) < 0)
		return true;
	for (size_t i = 0; i < opts->nkeep; i++)
		if (digest_is_equal(&opts->keep[i], &d))
			return true;
	return false;
}

static void tell(const struct look *l, const json_t *o)
{
	char digest[DIGEST_TEXT_SIZE], missing[DIGEST_TEXT_SIZE];
	char platform[OCI_PLATFORM_TEXT_SIZE] = "", text[400];
	struct oci_platform p = { 0 };
	struct digest d;

	if (!l->opts->tell || jdoc_digest(o, "digest", &d) < 0)
		return;
	if (manifest_entry_platform(o, &p) == 0 && (*p.os || *p.arch))
		oci_platform_format(&p, platform);
	digest_format(&d, digest);
	digest_format(&l->missing, missing);
	if (digest_is_equal(&d, &l->missing))
		snprintf(text, sizeof(text), "%s%s%s is not in the layout: left out", platform,
			 *platform ? " " : "", digest);
	else
		snprintf(text, sizeof(text), "%s%s%s lacks %s in the layout: left out", platform,
			 *platform ? " " : "", digest, missing);
	l->opts->tell(text);
}

static int rewrite(const json_t *doc, struct buf *index, struct err *err)
{
	cleanup_free char *text = json_dumps(doc, JSON_COMPACT);

	buf_reset(index);
	return !text || buf_add_str(index, text) < 0 ? err_sys(err, ENOMEM, "image index") : 0;
}

int present_filter(struct oci_client *c, const struct oci_ref *ref,
		   const struct present_opts *opts, struct buf *index, struct err *err)
{
	struct look l = { .c = c, .ref = ref, .opts = opts };
	cleanup_json json_t *doc = NULL;
	json_t *list;
	size_t i = 0;
	int n = 0, r;

	if (!ref->is_layout)
		return 0;
	r = jdoc_parse(index->data, index->len, "image index", &doc, err);
	list = json_object_get(doc, "manifests");
	while (r >= 0 && i < json_array_size(list)) {
		const json_t *o = json_array_get(list, i);

		r = opts->whole && !is_kept(opts, o) ? is_whole(&l, o, 0, err) : has(&l, o, err);
		if (r != 0) {
			i++;
			continue;
		}
		tell(&l, o);
		json_array_remove(list, i);
		n++;
	}
	if (r >= 0 && n)
		r = rewrite(doc, index, err);
	return r < 0 ? r : n;
}
