/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layout_put.c - writing into an OCI image layout; see layout.h and push.h. Blocking.
 *
 * A file appears under its name only when it is whole and on disk: temporary name, fsync,
 * rename, fsync of the directory.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
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

/* dir/name shall be written: opens tmp beside it, whose name goes to ret. */
static int tmp_open(int dir, const char *name, char ret[LAYOUT_TMP_NAME_SIZE])
{
	uint64_t r;
	int out;

	/* Not by process number: containers that share the layout may have the same. */
	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		return -EIO;
	snprintf(ret, LAYOUT_TMP_NAME_SIZE, ".%.80s.%016" PRIx64, name, r);
	out = openat(dir, ret, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	return out < 0 ? -errno : out;
}

static int tmp_publish(int dir, int out, const char *tmp, const char *name)
{
	if (fsync(out) < 0 || renameat(dir, tmp, dir, name) < 0 || fsync(dir) < 0)
		return -errno;
	return 0;
}

/* dir/name := the bytes, all or nothing. */
static int put_file(int dir, const char *name, const void *data, size_t len)
{
	cleanup_close int out = -1;
	char tmp[LAYOUT_TMP_NAME_SIZE];
	int r;

	out = tmp_open(dir, name, tmp);
	if (out < 0)
		return out;
	r = io_write_full(out, data, len);
	if (r == 0)
		r = tmp_publish(dir, out, tmp, name);
	if (r < 0)
		unlinkat(dir, tmp, 0);
	return r;
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

/* blobs/sha256, made if need be. */
static int open_blobs(struct oci_repo *repo, struct err *err)
{
	cleanup_close int blobs = -1;
	int dir;

	if (mkdirat(repo->dir_fd, "blobs", 0755) < 0 && errno != EEXIST)
		return put_error(repo, -errno, "blobs", err);
	blobs = open_dir(repo, "blobs");
	if (blobs < 0 || (mkdirat(blobs, "sha256", 0755) < 0 && errno != EEXIST))
		return put_error(repo, blobs < 0 ? blobs : -errno, "blobs/sha256", err);
	dir = open_dir(repo, "blobs/sha256");
	return dir < 0 ? put_error(repo, dir, "blobs/sha256", err) : dir;
}

int layout_put_blob(struct oci_repo *repo, const struct digest *digest, const void *data,
		    size_t len, struct err *err)
{
	cleanup_close int dir = open_blobs(repo, err);
	char hex[DIGEST_HEX_LEN + 1];
	int r;

	if (dir < 0)
		return dir;
	digest_format_hex(digest, hex);
	r = put_file(dir, hex, data, len);
	return r < 0 ? put_error(repo, r, "blobs/sha256", err) : 0;
}

int layout_tmp_open(struct oci_repo *repo, const struct digest *digest,
		    struct layout_tmp *ret, struct err *err)
{
	int r;

	ret->repo = repo;
	ret->fd = -1;
	ret->dir = open_blobs(repo, err);
	if (ret->dir < 0)
		return ret->dir;
	digest_format_hex(digest, ret->hex);
	r = tmp_open(ret->dir, ret->hex, ret->name);
	if (r < 0) {
		layout_tmp_done(ret);
		return put_error(repo, r, "blobs/sha256", err);
	}
	ret->fd = r;
	return 0;
}

int layout_tmp_write(struct layout_tmp *t, const void *data, size_t len, struct err *err)
{
	int r = io_write_full(t->fd, data, len);

	return r < 0 ? put_error(t->repo, r, "blobs/sha256", err) : 0;
}

int layout_tmp_commit(struct layout_tmp *t, struct err *err)
{
	int r = tmp_publish(t->dir, t->fd, t->name, t->hex);

	return r < 0 ? put_error(t->repo, r, "blobs/sha256", err) : 0;
}

void layout_tmp_done(struct layout_tmp *t)
{
	if (t->fd >= 0) {
		unlinkat(t->dir, t->name, 0);	/* gone already if it was published */
		close(t->fd);
	}
	if (t->dir >= 0)
		close(t->dir);
	t->fd = t->dir = -1;
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
		r = put_file(dir, "index.json", text, strlen(text));
	return r < 0 ? put_error(repo, r, "index.json", err) : 0;
}

/* Others may change index.json at the same time: read, change, write one after another. */
static int lock_index(struct oci_repo *repo, struct err *err)
{
	int fd = open_dir(repo, "."), r;

	if (fd < 0)
		return put_error(repo, fd, ".", err);
	do
		r = flock(fd, LOCK_EX);
	while (r < 0 && errno == EINTR &&
	       !(repo->client->opts.stop && atomic_load(repo->client->opts.stop)));
	if (r < 0) {
		r = put_error(repo, -errno, "index.json", err);
		close(fd);
		return r;
	}
	return fd;
}

int layout_put_entry(struct oci_repo *repo, const char *tag, const struct oci_desc *desc,
		     struct err *err)
{
	cleanup_close int lock = lock_index(repo, err);
	cleanup_json json_t *doc = NULL;
	json_t *list, *entry;
	int r;

	if (lock < 0)
		return lock;
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
	cleanup_close int lock = lock_index(repo, err);
	cleanup_json json_t *doc = NULL;
	json_t *list;
	struct digest d;
	int r = lock < 0 ? lock : layout_index(repo, &doc, err);

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
	if (flock(dir, LOCK_EX) < 0)
		return err_sys(err, errno, "image layout %s", path);
	if (faccessat(dir, "oci-layout", F_OK, 0) < 0)
		r = put_file(dir, "oci-layout", LAYOUT_FILE, strlen(LAYOUT_FILE));
	if (r == 0 && faccessat(dir, "index.json", F_OK, 0) < 0)
		r = put_file(dir, "index.json", EMPTY_INDEX, strlen(EMPTY_INDEX));
	return r < 0 ? err_sys(err, -r, "image layout %s", path) : 0;
}
