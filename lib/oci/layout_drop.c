/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layout_drop.c - removing a SOCI index from an OCI image layout; see layout.h. Blocking.
 *
 * A blob goes only if no document of the layout has its digest anywhere in its text:
 * coarse, but it never takes away what something else needs.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/beneath.h"
#include "oci/doc.h"
#include "oci/json.h"
#include "oci/layout.h"

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* Does the file name text? Larger ones are no documents. -errno if it cannot be read. */
static int file_has(int dir, const char *name, const char *text)
{
	cleanup_buf struct buf b = BUF_INIT(JDOC_MAX_BYTES);
	struct stat sb;
	int r;

	if (fstatat(dir, name, &sb, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(sb.st_mode) ||
	    sb.st_size > JDOC_MAX_BYTES)
		return 0;
	r = io_read_file(dir, name, &b);
	return r < 0 ? r : b.len && memmem(b.data, b.len, text, strlen(text)) != NULL;
}

/* Is the blob named by any document but itself? Errors count as yes. */
static bool is_named(struct oci_repo *repo, const char *hex)
{
	cleanup_close int blobs = beneath_open(repo->dir_fd, "blobs/sha256",
					       O_RDONLY | O_DIRECTORY, 0);
	cleanup_(closedirp) DIR *d = NULL;
	const struct dirent *e;
	int fd;

	if (blobs < 0 || file_has(repo->dir_fd, "index.json", hex) != 0)
		return true;
	fd = dup(blobs);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return true;
	while ((e = readdir(d)))
		if (strcmp(e->d_name, hex) != 0 && file_has(blobs, e->d_name, hex) != 0)
			return true;
	return false;
}

static void drop_unnamed(struct oci_repo *repo, const struct digest *digest)
{
	char path[96], hex[DIGEST_HEX_LEN + 1];

	digest_format_hex(digest, hex);
	layout_blob_path(digest, path);
	if (!is_named(repo, hex))
		unlinkat(repo->dir_fd, path, 0);
}

int layout_drop_manifest(struct oci_repo *repo, const struct digest *digest,
			 struct err *err)
{
	const struct oci_desc desc = { .digest = *digest, .size = UINT64_MAX };
	cleanup_buf struct buf b = BUF_INIT(JDOC_MAX_BYTES);
	cleanup_json json_t *doc = NULL;
	const json_t *layers;
	struct oci_desc part;
	int r = doc_blob(repo, &desc, &b, err);

	if (r == 0)
		r = jdoc_parse(b.data ? b.data : (const void *)"", b.len, "SOCI index", &doc, err);
	if (r == 0)
		r = layout_drop_entry(repo, digest, err);
	if (r < 0)
		return r;
	drop_unnamed(repo, digest);
	layers = json_object_get(doc, "layers");
	for (size_t i = 0; i < json_array_size(layers); i++)
		if (jdoc_desc(json_array_get(layers, i), &part) == 0)
			drop_unnamed(repo, &part.digest);
	if (jdoc_desc(json_object_get(doc, "config"), &part) == 0)
		drop_unnamed(repo, &part.digest);
	return 0;
}
