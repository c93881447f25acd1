/* SPDX-License-Identifier: GPL-2.0-or-later */
/* store_image.c - images of the store: finding, checking, installing. Pool threads. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/control/store_priv.h"

DEFINE_CLEANUP(struct image_record *, image_record_free, image_record_freep)

static void image_path(const struct store *s, const char *id, const char *file,
		       char ret[STORE_PATH_SIZE])
{
	snprintf(ret, STORE_PATH_SIZE, "%s/images/%s/%s", s->dir, id, file);
}

/* --- reading ------------------------------------------------------------------------- */

int store_image_load(struct store *s, const char *image_id, struct image_record **ret,
		     struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(IMAGE_RECORD_MAX_BYTES);
	char path[STORE_PATH_SIZE], id[DIGEST_HEX_LEN + 1];
	struct image_record *rec;
	int r;

	image_path(s, image_id, "image.json", path);
	r = io_read_file(AT_FDCWD, path, &b);
	if (r < 0)
		return err_sys(err, -r, "%s", path);
	r = image_record_decode(b.data, b.len, &rec, err);
	if (r < 0)
		return err_prefix(err, "%s", path);
	image_record_id(rec, id);
	if (strcmp(id, image_id) != 0) {
		image_record_free(rec);
		return err_set(err, ERR_CORRUPT, EBADMSG, "%s is the record of another image",
			       path);
	}
	*ret = rec;
	return 0;
}

bool store_bootstrap_is_valid(const struct store *s, const char *image_id)
{
	cleanup_buf struct buf b = BUF_INIT(256);
	char path[STORE_PATH_SIZE], file[STORE_PATH_SIZE + 8];
	struct digest want, found;
	struct stat st;

	store_bootstrap_path(s, image_id, path);
	snprintf(file, sizeof(file), "%s.digest", path);
	if (io_read_file(AT_FDCWD, file, &b) < 0 || b.len < DIGEST_TEXT_LEN ||
	    digest_parse((const char *)b.data, DIGEST_TEXT_LEN, &want) < 0)
		return false;
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       store_digest_fd(fd, &found) == 0 && digest_is_equal(&want, &found);
}

static bool layer_is_there(struct store *s, const struct image_record_layer *rec,
			   struct err *err)
{
	char id[DIGEST_HEX_LEN + 1], path[STORE_PATH_SIZE];
	struct layer_map *map;

	layer_blob_id(&rec->ztoc, id);
	store_layer_path(s, id, "map", path);
	if (store_map_read(path, &rec->ztoc, &map, err) != 1)
		return false;
	layer_map_free(map);
	store_layer_path(s, id, "ztoc", path);
	return store_file_is(path, rec->ztoc_size, &rec->ztoc);
}

int store_image_is_complete(struct store *s, const struct image_record *rec, struct err *err)
{
	char id[DIGEST_HEX_LEN + 1];

	image_record_id(rec, id);
	if (!store_bootstrap_is_valid(s, id))
		return 0;
	for (uint32_t i = 0; i < rec->nlayers; i++)
		if (!layer_is_there(s, &rec->layers[i], err))
			return 0;
	return 1;
}

int store_images(struct store *s, char (**ret)[DIGEST_HEX_LEN + 1], size_t *ret_n,
		 struct err *err)
{
	char path[STORE_PATH_SIZE], (*ids)[DIGEST_HEX_LEN + 1] = NULL;
	size_t n = 0, cap = 0;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/images", s->dir);
	d = opendir(path);
	if (!d)
		return err_sys(err, errno, "%s", path);
	while ((e = readdir(d))) {
		if (strlen(e->d_name) != DIGEST_HEX_LEN ||
		    strspn(e->d_name, "0123456789abcdef") != DIGEST_HEX_LEN)
			continue;
		if (n == cap) {
			void *more = realloc(ids, (cap = cap ? 2 * cap : 16) * sizeof(*ids));

			if (!more) {
				free(ids);
				closedir(d);
				return err_sys(err, ENOMEM, "%s", path);
			}
			ids = more;
		}
		memcpy(ids[n++], e->d_name, DIGEST_HEX_LEN + 1);
	}
	closedir(d);
	*ret = ids;
	*ret_n = n;
	return 0;
}

int store_image_find(struct store *s, const char *reference, const char *platform,
		     struct image_record **ret, struct err *err)
{
	cleanup_(image_record_freep) struct image_record *best = NULL;
	cleanup_free char (*ids)[DIGEST_HEX_LEN + 1] = NULL;
	int64_t best_sec = INT64_MIN;
	char path[STORE_PATH_SIZE];
	size_t n;
	int r = store_images(s, &ids, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		cleanup_(image_record_freep) struct image_record *rec = NULL;
		struct stat st;

		image_path(s, ids[i], "image.json", path);
		if (store_image_load(s, ids[i], &rec, NULL) < 0 || stat(path, &st) < 0 ||
		    strcmp(rec->reference, reference) != 0 ||
		    strcmp(rec->platform, platform) != 0 || st.st_mtime < best_sec)
			continue;
		best_sec = st.st_mtime;
		image_record_free(best);
		best = TAKE_PTR(rec);
	}
	if (r < 0)
		return r;
	if (!best || store_image_is_complete(s, best, err) != 1)
		return -ENOENT;
	*ret = TAKE_PTR(best);
	return 0;
}

#define SYSFS_NAME_MAX 36	/* Linux 6.9+: super_block.s_sysfs_name without its NUL */

bool store_image_is_held(struct store *s, const char *image_id, const char *domain)
{
	char path[STORE_PATH_SIZE];
	bool held;

	if (strcmp(s->kernel_path, "cachefiles") == 0) {
		snprintf(path, sizeof(path), "/sys/fs/erofs/%s,%s", domain, image_id);
		if (access(path, F_OK) == 0 || errno != ENOENT)
			return true;
		/* 6.12 cuts the name; 6.1 does not. */
		path[strlen("/sys/fs/erofs/") + SYSFS_NAME_MAX] = '\0';
		return access(path, F_OK) == 0 || errno != ENOENT;
	}
	/*
	 * A write lease is granted only where nobody else has the file open, and the kernel
	 * keeps the bootstrap open as long as its file system lives.
	 */
	store_bootstrap_path(s, image_id, path);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno != ENOENT;
	held = fcntl(fd, F_SETLEASE, F_WRLCK) < 0;
	if (!held)
		fcntl(fd, F_SETLEASE, F_UNLCK);
	return held;
}

/* --- installing ---------------------------------------------------------------------- */

static int dir_of(const struct store *s, const char *kind, const char *id, struct err *err)
{
	char path[STORE_PATH_SIZE];

	snprintf(path, sizeof(path), "%s/%s/%s", s->dir, kind, id);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make %s", path);
	return 0;
}

/* A built zTOC is known by its layer, so that the layer need not be fetched again. */
static int built_note(struct store *s, const struct image_record_layer *rec, struct err *err)
{
	char path[STORE_PATH_SIZE], hex[DIGEST_HEX_LEN + 1], text[DIGEST_TEXT_SIZE];
	int r;

	digest_format_hex(&rec->desc.digest, hex);
	digest_format(&rec->ztoc, text);
	snprintf(path, sizeof(path), "%s/built/%s", s->dir, hex);
	r = io_write_file_atomic(AT_FDCWD, path, text, strlen(text), 0600);
	return r < 0 ? err_sys(err, -r, "%s", path) : 0;
}

/* Move STAGING/<number>.<name> to the layer's folder. */
static int layer_file(struct store *s, const char *staging, uint32_t number, const char *id,
		      const char *name, struct err *err)
{
	char from[STORE_PATH_SIZE], to[STORE_PATH_SIZE];

	snprintf(from, sizeof(from), "%s/%u.%s", staging, number, name);
	store_layer_path(s, id, name, to);
	return store_file_move(from, to, err);
}

static int layer_install(struct store *s, const char *staging, uint32_t number,
			 const struct image_record_layer *rec, struct err *err)
{
	char id[DIGEST_HEX_LEN + 1], path[STORE_PATH_SIZE];
	int r;

	layer_blob_id(&rec->ztoc, id);
	r = dir_of(s, "layers", id, err);
	store_layer_path(s, id, "blob", path);
	if (r == 0 && rec->local && !store_file_is(path, rec->desc.size, NULL)) {
		r = layer_file(s, staging, number, id, "blob", err);
		if (r == 0)
			r = built_note(s, rec, err);
	}
	if (r < 0 || layer_is_there(s, rec, NULL))
		return r;
	store_layer_path(s, id, "ztoc", path);
	if (!store_file_is(path, rec->ztoc_size, &rec->ztoc)) {
		r = layer_file(s, staging, number, id, "ztoc", err);
		if (r == -ENOENT && unlink(path) == 0)	/* not staged, as it seemed to be here */
			return err_set(err, ERR_CORRUPT, EBADMSG,
				       "%s was damaged and has been removed: mount again", path);
		if (r == 0 && !store_file_is(path, rec->ztoc_size, &rec->ztoc))
			r = err_set(err, ERR_CORRUPT, EBADMSG,
				    "layer %u: the zTOC is not the one on record", number);
	}
	if (r == 0)
		r = layer_file(s, staging, number, id, "map", err);
	if (r == 0 && !layer_is_there(s, rec, err))
		r = err_set(err, ERR_CORRUPT, EBADMSG,
			    "layer %u: mkfs.lazyerofs made a map that does not fit", number);
	return r;
}

static int bootstrap_install(struct store *s, const char *staging, const char *id,
			     struct err *err)
{
	char from[STORE_PATH_SIZE], to[STORE_PATH_SIZE], name[STORE_PATH_SIZE + 8];
	char text[DIGEST_TEXT_SIZE];
	struct digest d;
	int r;

	if (store_bootstrap_is_valid(s, id))
		return 0;
	snprintf(from, sizeof(from), "%s/bootstrap", staging);
	cleanup_close int fd = open(from, O_RDONLY | O_CLOEXEC);

	r = fd < 0 ? -errno : store_digest_fd(fd, &d);
	if (r < 0)
		return err_sys(err, -r, "%s", from);
	store_bootstrap_path(s, id, to);
	digest_format(&d, text);
	snprintf(name, sizeof(name), "%s.digest", to);
	r = io_write_file_atomic(AT_FDCWD, name, text, strlen(text), 0600);
	if (r < 0)
		return err_sys(err, -r, "%s", name);
	return store_file_move(from, to, err);
}

/* install is held: the file's temporary name is always the same. */
static int record_write(struct store *s, const struct image_record *rec, struct err *err)
{
	cleanup_buf struct buf out = BUF_INIT(IMAGE_RECORD_MAX_BYTES);
	char id[DIGEST_HEX_LEN + 1], path[STORE_PATH_SIZE];
	int r = image_record_encode(rec, &out, err);

	if (r < 0)
		return r;
	image_record_id(rec, id);
	image_path(s, id, "image.json", path);
	r = io_write_file_atomic(AT_FDCWD, path, out.data, out.len, 0600);
	return r < 0 ? err_sys(err, -r, "%s", path) : 0;
}

int store_record_write(struct store *s, const struct image_record *rec, struct err *err)
{
	WITH_LOCK(&s->install);

	return record_write(s, rec, err);
}

int store_image_install(struct store *s, const char *staging, const struct image_record *rec,
			struct err *err)
{
	WITH_LOCK(&s->install);
	char id[DIGEST_HEX_LEN + 1];
	int r = 0;

	image_record_id(rec, id);
	for (uint32_t i = 0; r == 0 && i < rec->nlayers; i++)
		r = layer_install(s, staging, i, &rec->layers[i], err);
	if (r == 0)
		r = dir_of(s, "images", id, err);
	if (r == 0)
		r = bootstrap_install(s, staging, id, err);
	return r < 0 ? r : record_write(s, rec, err);
}
