/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layout_put.c - writing into an OCI image layout; see layout.h and push.h. Blocking.
 *
 * A file appears under its name only when it is whole and on disk: temporary name, fsync,
 * rename, fsync of the directory.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/beneath.h"
#include "oci/json.h"
#include "oci/layout.h"
#include "oci/push.h"

#define LAYOUT_FILE "{\"imageLayoutVersion\":\"1.0.0\"}"
#define EMPTY_INDEX                                                                      \
	"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","    \
	"\"manifests\":[]}"

/* Copy len bytes from data, or from fd at 0, to out. */
static int write_all(int out, const void *data, int fd, uint64_t len)
{
	cleanup_free uint8_t *chunk = NULL;
	uint64_t off = 0;

	if (data || len == 0)
		return io_write_full(out, data, len);
	chunk = malloc(1 << 18);
	if (!chunk)
		return -ENOMEM;
	while (off < len) {
		size_t n = len - off < 1 << 18 ? (size_t)(len - off) : 1 << 18;
		int r = io_pread_full(fd, chunk, n, off);

		if (r == 0)
			r = io_write_full(out, chunk, n);
		if (r < 0)
			return r;
		off += n;
	}
	return 0;
}

/* dir/name := the bytes, all or nothing. */
static int put_file(int dir, const char *name, const void *data, int fd, uint64_t len)
{
	static atomic_uint serial;	/* two threads may put one blob */
	cleanup_close int out = -1;
	char tmp[128];
	int r;

	snprintf(tmp, sizeof(tmp), ".%.80s.%ld.%u", name, (long)getpid(),
		 atomic_fetch_add(&serial, 1));
	unlinkat(dir, tmp, 0);	/* of a process that died, with our number */
	out = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (out < 0)
		return -errno;
	r = write_all(out, data, fd, len);
	if (r == 0 && fsync(out) < 0)
		r = -errno;
	if (r == 0 && renameat(dir, tmp, dir, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dir, tmp, 0);
		return r;
	}
	return fsync(dir) < 0 ? -errno : 0;
}

/* A directory below the layout that can be written to and synced. */
static int open_dir(struct oci_repo *repo, const char *path)
{
	return beneath_open(repo->dir_fd, path, O_RDONLY | O_DIRECTORY, 0);
}

static int put_error(const struct oci_repo *repo, int r, const char *what, struct err *err)
{
	return err_sys(err, -r, "%.200s/%s", repo->ref.dir, what);
}

bool layout_has_blob(struct oci_repo *repo, const struct digest *digest, uint64_t size)
{
	cleanup_close int fd = -1;
	struct stat sb;
	char path[96];

	layout_blob_path(digest, path);
	fd = beneath_open(repo->dir_fd, path, O_RDONLY | O_NONBLOCK, 0);
	return fd >= 0 && fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode) &&
	       (size == UINT64_MAX || (uint64_t)sb.st_size == size);
}

int layout_put_blob(struct oci_repo *repo, const struct digest *digest, const void *data,
		    int fd, uint64_t len, struct err *err)
{
	cleanup_close int dir = -1;
	char hex[DIGEST_HEX_LEN + 1];
	int r;

	if ((mkdirat(repo->dir_fd, "blobs", 0755) < 0 && errno != EEXIST))
		return put_error(repo, -errno, "blobs", err);
	dir = open_dir(repo, "blobs");
	if (dir < 0 || (mkdirat(dir, "sha256", 0755) < 0 && errno != EEXIST))
		return put_error(repo, dir < 0 ? dir : -errno, "blobs/sha256", err);
	close(dir);
	dir = open_dir(repo, "blobs/sha256");
	if (dir < 0)
		return put_error(repo, dir, "blobs/sha256", err);
	digest_format_hex(digest, hex);
	r = put_file(dir, hex, data, fd, len);
	return r < 0 ? put_error(repo, r, "blobs/sha256", err) : 0;
}

static json_t *make_entry(const char *tag, const struct oci_desc *desc)
{
	char digest[DIGEST_TEXT_SIZE];
	json_t *e;

	digest_format(&desc->digest, digest);
	e = json_pack("{s:s, s:s, s:I}", "mediaType", desc->media_type, "digest", digest, "size",
		      (json_int_t)desc->size);
	if (e && tag)
		json_object_set_new(e, "annotations",
				    json_pack("{s:s}", LAYOUT_REF_NAME, tag));
	if (e && *desc->artifact_type)
		json_object_set_new(e, "artifactType", json_string(desc->artifact_type));
	return e;
}

static bool is_replaced(const json_t *e, const char *tag, const struct digest *digest)
{
	const char *name = jdoc_annotation(e, LAYOUT_REF_NAME);
	struct digest d;

	if (tag)
		return name && !strcmp(name, tag);
	return !name && jdoc_digest(e, "digest", &d) == 0 && digest_is_equal(&d, digest);
}

/* Artifacts before others of their kind (readers take the first), all else at the end. */
static size_t place_of(const json_t *list, const struct oci_desc *desc)
{
	size_t i = 0, n = json_array_size(list);

	if (!*desc->artifact_type)
		return n;
	while (i < n && !jdoc_str(json_array_get(list, i), "artifactType"))
		i++;
	return i;
}

static int write_index(struct oci_repo *repo, const json_t *doc, struct err *err)
{
	cleanup_free char *text = json_dumps(doc, JSON_COMPACT);
	cleanup_close int dir = open_dir(repo, ".");
	int r = !text ? -ENOMEM : dir;

	if (r >= 0)
		r = put_file(dir, "index.json", text, -1, strlen(text));
	return r < 0 ? put_error(repo, r, "index.json", err) : 0;
}

int layout_put_entry(struct oci_repo *repo, const char *tag, const struct oci_desc *desc,
		     struct err *err)
{
	cleanup_json json_t *doc = NULL;
	json_t *list, *entry;
	int r;

	r = layout_index(repo, &doc, err);
	if (r < 0)
		return r;
	list = json_object_get(doc, "manifests");
	if (!json_is_array(list))
		return err_set(err, ERR_CORRUPT, EINVAL, "%.200s/index.json: manifests is not an "
			       "array", repo->ref.dir);
	for (size_t i = json_array_size(list); i-- > 0;)
		if (is_replaced(json_array_get(list, i), tag, &desc->digest))
			json_array_remove(list, i);
	entry = make_entry(tag, desc);
	if (!entry || json_array_insert_new(list, place_of(list, desc), entry) < 0)
		return put_error(repo, -ENOMEM, "index.json", err);
	return write_index(repo, doc, err);
}

int layout_drop_entry(struct oci_repo *repo, const struct digest *digest, struct err *err)
{
	cleanup_json json_t *doc = NULL;
	json_t *list;
	struct digest d;
	int r = layout_index(repo, &doc, err);

	if (r < 0)
		return r;
	list = json_object_get(doc, "manifests");
	for (size_t i = json_array_size(list); i-- > 0;)
		if (jdoc_digest(json_array_get(list, i), "digest", &d) == 0 &&
		    digest_is_equal(&d, digest))
			json_array_remove(list, i);
	return write_index(repo, doc, err);
}

int oci_layout_create(const char *path, struct err *err)
{
	cleanup_close int dir = -1;
	int r;

	r = io_mkdir_p(path, 0755);
	if (r < 0)
		return err_sys(err, -r, "image layout %s", path);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, errno, "image layout %s", path);
	if (faccessat(dir, "oci-layout", F_OK, 0) < 0)
		r = put_file(dir, "oci-layout", LAYOUT_FILE, -1, strlen(LAYOUT_FILE));
	if (r == 0 && faccessat(dir, "index.json", F_OK, 0) < 0)
		r = put_file(dir, "index.json", EMPTY_INDEX, -1, strlen(EMPTY_INDEX));
	return r < 0 ? err_sys(err, -r, "image layout %s", path) : 0;
}
