/* SPDX-License-Identifier: GPL-2.0-or-later */
/* layout_find.c - the SOCI indexes of one image among those of a layout; see layout.h. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "oci/doc.h"
#include "oci/index.h"
#include "oci/json.h"
#include "oci/layout.h"

/* Manifests read for one search: tens of thousands of honest ones. */
#define LOOK_MAX_BYTES (64u << 20)

/* What cannot be read is nobody's. */
static bool is_of(struct oci_repo *repo, const struct oci_desc *desc,
		  const struct digest *subject)
{
	cleanup_buf struct buf b = BUF_INIT(JDOC_MAX_BYTES);
	cleanup_json json_t *doc = NULL;
	struct digest of;

	return doc_blob(repo, desc, &b, NULL) == 0 && b.len &&
	       jdoc_parse(b.data, b.len, "SOCI index", &doc, NULL) == 0 &&
	       jdoc_digest(json_object_get(doc, "subject"), "digest", &of) == 0 &&
	       digest_is_equal(&of, subject);
}

int layout_find_indexes(struct oci_repo *repo, const struct digest *subject,
			struct oci_desc *ret, uint32_t max, uint32_t *ret_n, struct err *err)
{
	cleanup_json json_t *doc = NULL;
	uint64_t bytes = 0;
	uint32_t n = 0;
	const json_t *e;
	size_t i;
	int r = layout_index(repo, &doc, err);

	if (r < 0)
		return r;
	json_array_foreach(json_object_get(doc, "manifests"), i, e) {
		struct oci_desc desc;

		if (n == max)
			break;
		if (!index_is_candidate(e, &desc) || desc.size > JDOC_MAX_BYTES)
			continue;
		bytes += desc.size;
		if (bytes > LOOK_MAX_BYTES)
			return err_set(err, ERR_UNSUPPORTED, EFBIG, "%.200s/index.json: too many "
				       "SOCI indexes to look through", repo->ref.dir);
		if (is_of(repo, &desc, subject))
			ret[n++] = desc;
	}
	*ret_n = n;
	return 0;
}
