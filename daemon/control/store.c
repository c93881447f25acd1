/* SPDX-License-Identifier: GPL-2.0-or-later */
/* store.c - folders, staging and checks; see store.h. Pool threads. */
#include "daemon/control/store.h"

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

/* --- paths --------------------------------------------------------------------------- */

const char *store_dir(const struct store *s)
{
	return s->dir;
}

const char *store_kernel_path(const struct store *s)
{
	return s->kernel_path;
}

void store_layer_path(const struct store *s, const char *blob_id, const char *file,
		      char ret[STORE_PATH_SIZE])
{
	snprintf(ret, STORE_PATH_SIZE, "%s/layers/%s/%s", s->dir, blob_id, file);
}

void store_bootstrap_path(const struct store *s, const char *image_id,
			  char ret[STORE_PATH_SIZE])
{
	snprintf(ret, STORE_PATH_SIZE, "%s/images/%s/bootstrap.%s", s->dir, image_id,
		 s->kernel_path);
}

void store_ztoc_path(const struct store *s, const char *staging, uint32_t number,
		     const struct image_record_layer *rec, char ret[STORE_PATH_SIZE])
{
	char id[DIGEST_HEX_LEN + 1];

	snprintf(ret, STORE_PATH_SIZE, "%s/%u.ztoc", staging, number);
	if (access(ret, F_OK) == 0)
		return;
	layer_blob_id(&rec->ztoc, id);
	store_layer_path(s, id, "ztoc", ret);
}

/* --- files --------------------------------------------------------------------------- */

int store_digest_fd(int fd, struct digest *ret)
{
	enum { PIECE = 1 << 18 };
	cleanup_free uint8_t *data = malloc(PIECE);
	struct digest_ctx ctx;
	uint64_t off = 0;

	if (!data)
		return -ENOMEM;
	digest_init(&ctx);
	for (;;) {
		ssize_t n = pread(fd, data, PIECE, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		digest_update(&ctx, data, (size_t)n);
		off += (uint64_t)n;
	}
	digest_final(&ctx, ret);
	return 0;
}

bool store_file_is(const char *path, uint64_t size, const struct digest *digest)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct digest found;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
		return false;
	if (!digest)
		return true;
	return store_digest_fd(fd, &found) == 0 && digest_is_equal(&found, digest);
}

int store_file_move(const char *from, const char *to, struct err *err)
{
	cleanup_close int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char dir[STORE_PATH_SIZE];

	if (fd < 0 || fsync(fd) < 0)
		return err_sys(err, errno, "%s", from);
	if (rename(from, to) < 0)
		return err_sys(err, errno, "cannot move %s to %s", from, to);
	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(to, '/') - to), to);
	cleanup_close int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dirfd < 0 || fsync(dirfd) < 0)
		return err_sys(err, errno, "%s", dir);
	return 0;
}

int store_map_read(const char *path, const struct digest *ztoc, struct layer_map **ret,
		   struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(STORE_MAP_MAX_BYTES);
	struct layer_map *map;
	int r = io_read_file(AT_FDCWD, path, &b);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_sys(err, -r, "%s", path);
	r = layer_map_decode(b.data, b.len, &map, err);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	if (!digest_is_equal(&map->ztoc_digest, ztoc)) {
		layer_map_free(map);
		err_set(err, ERR_CORRUPT, EBADMSG, "%s belongs to another zTOC", path);
		return 0;
	}
	*ret = map;
	return 1;
}

/* --- staging ------------------------------------------------------------------------- */

void store_staging_remove(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(path);
}

static void staging_empty(const char *dir)
{
	char path[STORE_PATH_SIZE + 300];
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		store_staging_remove(path);
	}
	if (d)
		closedir(d);
}

int store_staging_new(struct store *s, char ret[STORE_STAGING_SIZE], struct err *err)
{
	snprintf(ret, STORE_STAGING_SIZE, "%s/staging/XXXXXX", s->dir);
	return mkdtemp(ret) ? 0 : err_sys(err, errno, "cannot make a folder in %s/staging", s->dir);
}

int store_staging_record(const char *staging, struct image_record **ret, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(IMAGE_RECORD_MAX_BYTES);
	char path[STORE_PATH_SIZE];
	int r;

	snprintf(path, sizeof(path), "%s/image.json", staging);
	r = io_read_file(AT_FDCWD, path, &b);
	if (r < 0)
		return err_sys(err, -r, "%s", path);
	return image_record_decode(b.data, b.len, ret, err);
}

/* --- open ---------------------------------------------------------------------------- */

static int folder(const char *dir, const char *name, struct err *err)
{
	char path[STORE_PATH_SIZE];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make %s", path);
	return 0;
}

int store_open(const char *dir, const char *kernel_path, struct store **ret, struct err *err)
{
	static const char *const names[] = { "layers", "images", "built", "staging" };
	char path[STORE_PATH_SIZE];
	struct store *s;
	int r = io_mkdir_p(dir, 0700);

	if (r < 0)
		return err_sys(err, -r, "cannot make %s", dir);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		r = folder(dir, names[i], err);
		if (r < 0)
			return r;
	}
	s = calloc(1, sizeof(*s));
	if (!s || strlen(dir) >= sizeof(s->dir)) {
		free(s);
		return err_sys(err, s ? ENAMETOOLONG : ENOMEM, "%s", dir);
	}
	strcpy(s->dir, dir);
	snprintf(s->kernel_path, sizeof(s->kernel_path), "%s", kernel_path);
	pthread_mutex_init(&s->install, NULL);
	snprintf(path, sizeof(path), "%s/staging", dir);
	staging_empty(path);
	*ret = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->install);
	free(s);
}

/* --- layers -------------------------------------------------------------------------- */

int store_layer_open(struct store *s, const struct image_record_layer *rec,
		     struct store_layer *ret, struct err *err)
{
	struct store_layer l = { .ztoc_fd = -1, .blob_fd = -1 };
	char id[DIGEST_HEX_LEN + 1], path[STORE_PATH_SIZE];
	struct stat st;
	int r;

	layer_blob_id(&rec->ztoc, id);
	store_layer_path(s, id, "map", path);
	err_set(err, ERR_SYSTEM, ENOENT, "%s is not there", path);
	r = store_map_read(path, &rec->ztoc, &l.map, err);
	if (r <= 0)
		return r < 0 ? r : err_prefix(err, "layer %.12s", id);
	store_layer_path(s, id, "ztoc", path);
	l.ztoc_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (l.ztoc_fd < 0 || fstat(l.ztoc_fd, &st) < 0) {
		r = err_sys(err, errno, "%s", path);
	} else if ((uint64_t)st.st_size != rec->ztoc_size) {
		r = err_set(err, ERR_CORRUPT, EBADMSG, "%s is not of the size on record", path);
	} else {
		store_layer_path(s, id, "blob", path);
		l.blob_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (l.blob_fd >= 0 &&
		    (fstat(l.blob_fd, &st) < 0 || (uint64_t)st.st_size != l.map->comp_size)) {
			close(l.blob_fd);
			l.blob_fd = -1;
		}
		*ret = l;
		return 0;
	}
	store_layer_done(&l);
	return r;
}

void store_layer_done(struct store_layer *l)
{
	layer_map_free(l->map);
	if (l->ztoc_fd >= 0)
		close(l->ztoc_fd);
	if (l->blob_fd >= 0)
		close(l->blob_fd);
	*l = (struct store_layer){ .ztoc_fd = -1, .blob_fd = -1 };
}
