/* SPDX-License-Identifier: GPL-2.0-or-later */
/* layout.c - reading an OCI image layout; see layout.h. layout_put.c writes. */
#include "oci/layout.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/beneath.h"
#include "oci/index.h"
#include "oci/json.h"
#include "oci/manifest.h"

#define CHUNK_BYTES 262144u

/* The part that the other thread sees. */
struct layout_job {
	struct oci_job job;
	struct layout_read *owner;	/* NULL: cancelled */
	int dir_fd, fd;			/* dir_fd: a duplicate of ours */
	struct digest digest;
	uint64_t size;			/* of the file, once open */
	uint64_t off;
	size_t len;			/* in: how many at most; out: how many */
	int r;
	uint8_t data[CHUNK_BYTES];
};

struct layout_read {
	struct oci_req req;		/* first */
	unsigned refs;
	bool is_finished, is_paused, is_busy, is_whole;
	struct oci_repo *repo;
	struct oci_read read;
	struct oci_desc desc;
	uint64_t off, left;
	struct layout_job *job;
	struct timer kick, deadline;
};

void layout_blob_path(const struct digest *d, char ret[96])
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_format_hex(d, hex);
	snprintf(ret, 96, "blobs/sha256/%s", hex);
}

static void job_free(struct layout_job *lj)
{
	if (lj->fd >= 0)
		close(lj->fd);
	if (lj->dir_fd >= 0)
		close(lj->dir_fd);
	free(lj);
}

static void read_unref(struct layout_read *lr)
{
	if (--lr->refs)
		return;
	if (lr->job)
		job_free(lr->job);
	oci_repo_put(lr->repo);
	free(lr);
}

static void read_finish(struct layout_read *lr, const struct err *err)
{
	if (lr->is_finished)
		return;
	lr->is_finished = true;
	list_del(&lr->req.node);
	timer_stop(&lr->kick);
	timer_stop(&lr->deadline);
	if (lr->is_busy) {
		lr->job->owner = NULL;
		lr->job = NULL;
	}
	if (err)
		lr->req.client->stats.failures++;
	lr->read.on_done(lr->read.arg, err);
	read_unref(lr);
}

static void read_fail(struct layout_read *lr, enum err_kind kind, int num, const char *what)
{
	char path[96], name[300];
	struct err err;

	layout_blob_path(&lr->desc.digest, path);
	repo_name(lr->repo, name, sizeof(name));
	err_set(&err, kind, num, "%s/%s: %s", name + 4, path, what);
	read_finish(lr, &err);
}

/* Other thread: open if need be, then one piece. */
static void job_work(struct oci_job *job)
{
	struct layout_job *lj = container_of(job, struct layout_job, job);
	char path[96];
	struct stat sb;

	lj->r = 0;
	if (lj->fd < 0) {
		layout_blob_path(&lj->digest, path);
		lj->fd = beneath_open(lj->dir_fd, path, O_RDONLY | O_NONBLOCK, 0);
		if (lj->fd < 0 || fstat(lj->fd, &sb) < 0)
			lj->r = lj->fd < 0 ? lj->fd : -errno;
		else if (!S_ISREG(sb.st_mode))
			lj->r = -EINVAL;
		else
			lj->size = (uint64_t)sb.st_size;
		lj->len = 0;
		return;
	}
	lj->r = io_pread_full(lj->fd, lj->data, lj->len, lj->off);
}

static void next_piece(struct layout_read *lr)
{
	struct layout_job *lj = lr->job;
	int r;

	if (lr->is_busy || lr->is_paused || lr->is_finished)
		return;
	if (lj->fd >= 0 && lr->left == 0) {
		read_finish(lr, NULL);
		return;
	}
	lj->off = lr->off;
	lj->len = lr->left < CHUNK_BYTES ? (size_t)lr->left : CHUNK_BYTES;
	r = client_run(lr->req.client, &lj->job);
	if (r < 0)
		read_fail(lr, ERR_SYSTEM, -r, strerror(-r));
	else
		lr->is_busy = true;
}

/* The file is open: is it what the descriptor says, and is the range in it? */
static const char *check_size(struct layout_read *lr)
{
	uint64_t size = lr->job->size;

	if (lr->desc.size != UINT64_MAX && size != lr->desc.size)
		return "the file has another size than its descriptor says";
	if (lr->is_whole)
		lr->left = size;
	if (lr->off > size || lr->left > size - lr->off)
		return "the file is shorter than it should be";
	return NULL;
}

static void got_piece(struct layout_read *lr, size_t len)
{
	int r;

	lr->off += len;
	lr->left -= len;
	lr->req.client->stats.bytes += len;
	lr->refs++;
	r = lr->read.on_data(lr->read.arg, lr->job->data, len);
	if (r < 0 && !lr->is_finished)
		read_fail(lr, ERR_SYSTEM, -r, strerror(-r));
	else
		next_piece(lr);
	read_unref(lr);
}

static void job_done(struct oci_job *job, bool is_orphan)
{
	struct layout_job *lj = container_of(job, struct layout_job, job);
	struct layout_read *lr = is_orphan ? NULL : lj->owner;
	const char *bad = NULL;

	if (!lr) {
		job_free(lj);
		return;
	}
	lr->is_busy = false;
	if (lj->r < 0) {
		read_fail(lr, lj->r == -ENOENT ? ERR_UNSUPPORTED : ERR_SYSTEM, -lj->r,
			  strerror(-lj->r));
		return;
	}
	if (lj->len == 0)
		bad = check_size(lr);
	if (bad)
		read_fail(lr, ERR_CORRUPT, EBADMSG, bad);
	else if (lj->len)
		got_piece(lr, lj->len);
	else
		next_piece(lr);
}

static void kick_due(void *arg)
{
	next_piece(arg);
}

static void deadline_due(void *arg)
{
	struct layout_read *lr = arg;

	read_fail(lr, ERR_SYSTEM, ETIMEDOUT, "not read in time");
}

static void read_cancel(struct oci_req *req, const struct err *err)
{
	read_finish((struct layout_read *)req, err);
}

static void read_pause(struct oci_req *req, bool pause)
{
	struct layout_read *lr = (struct layout_read *)req;

	lr->is_paused = pause;
	if (!pause)
		timer_start(&req->client->timers, &lr->kick, 0);
}

static struct layout_job *job_new(struct layout_read *lr)
{
	struct layout_job *lj = calloc(1, sizeof(*lj));

	if (!lj)
		return NULL;
	lj->job.work = job_work;
	lj->job.done = job_done;
	lj->owner = lr;
	lj->digest = lr->desc.digest;
	lj->fd = -1;
	lj->dir_fd = fcntl(lr->repo->dir_fd, F_DUPFD_CLOEXEC, 0);
	if (lj->dir_fd < 0) {
		job_free(lj);
		return NULL;
	}
	return lj;
}

int layout_read_start(struct oci_repo *repo, const struct oci_desc *desc, uint64_t off,
		      uint64_t len, const struct oci_read *read, struct oci_req **ret,
		      struct err *err)
{
	struct oci_client *c = repo->client;
	struct layout_read *lr = calloc(1, sizeof(*lr));

	if (!lr)
		return err_sys(err, ENOMEM, "layout read");
	lr->refs = 1;
	lr->repo = repo;
	repo->refs++;
	lr->read = *read;
	lr->desc = *desc;
	lr->off = off;
	lr->left = len;
	lr->is_whole = len == UINT64_MAX;
	timer_init(&lr->kick, kick_due, lr);
	timer_init(&lr->deadline, deadline_due, lr);
	lr->req.client = c;
	lr->req.cancel = read_cancel;
	lr->req.pause = read_pause;
	list_init(&lr->req.node);
	lr->job = job_new(lr);
	if (!lr->job) {
		read_unref(lr);
		return err_sys(err, ENOMEM, "layout read");
	}
	list_add_tail(&c->reqs, &lr->req.node);
	if (read->deadline_ms)
		timer_start(&c->timers, &lr->deadline, read->deadline_ms);
	timer_start(&c->timers, &lr->kick, 0);
	*ret = &lr->req;
	return 0;
}

/* --- index.json ---------------------------------------------------------------------- */

int layout_index(struct oci_repo *repo, json_t **ret, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(JDOC_MAX_BYTES);
	cleanup_close int fd = beneath_open(repo->dir_fd, "index.json", O_RDONLY | O_NONBLOCK, 0);
	char name[300], proc[64];
	struct stat sb;
	int r = fd;

	repo_name(repo, name, sizeof(name));
	/* It is opened once more below, which waits for ever if it is a FIFO. */
	if (fd >= 0 && fstat(fd, &sb) < 0)
		r = -errno;
	else if (fd >= 0 && !S_ISREG(sb.st_mode))
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "%s/index.json: not a regular file",
			       name + 4);
	if (r >= 0) {
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
		r = io_read_file(AT_FDCWD, proc, &b);
	}
	if (r < 0)
		return err_sys(err, -r, "%s/index.json (is that an OCI image layout?)", name + 4);
	strcat(name, "/index.json");
	r = jdoc_parse(b.data ? b.data : (const void *)"", b.len, name + 4, ret, err);
	return r;
}

static void list_tags(const json_t *entries, char *ret, size_t ret_size)
{
	size_t n = 0, i;
	const json_t *e;

	ret[0] = 0;
	json_array_foreach(entries, i, e) {
		const char *tag = jdoc_annotation(e, LAYOUT_REF_NAME);
		char clean[80];

		if (!tag || n + 84 > ret_size)
			continue;
		jdoc_clean(tag, clean, sizeof(clean));
		n += (size_t)snprintf(ret + n, ret_size - n, "%s%s", n ? ", " : "", clean);
	}
}

/* The only entry that is no artifact beside an image (a SOCI index), or NULL. */
static const json_t *only_image(const json_t *entries)
{
	const json_t *e, *found = NULL;
	size_t i;

	json_array_foreach(entries, i, e) {
		if (jdoc_str(e, "artifactType"))
			continue;
		if (found)
			return NULL;
		found = e;
	}
	return found;
}

/* Of several entries, some with a platform, none has a name: they are the images of one. */
static bool is_flat(const json_t *entries)
{
	bool named = false, has_platform = false;
	const json_t *e;
	size_t i;

	json_array_foreach(entries, i, e) {
		named |= jdoc_annotation(e, LAYOUT_REF_NAME) != NULL;
		has_platform |= manifest_is_image_entry(e) && json_object_get(e, "platform");
	}
	return !named && has_platform;
}

static int flat_index(json_t *doc, struct oci_desc *ret, struct buf *own, struct err *err)
{
	json_t *entries = json_object_get(doc, "manifests");
	cleanup_free char *text = NULL;
	struct oci_desc desc;

	for (size_t i = json_array_size(entries); i-- > 0;)
		if (index_is_candidate(json_array_get(entries, i), &desc))
			json_array_remove(entries, i);
	if (!jdoc_str(doc, "mediaType"))
		json_object_set_new(doc, "mediaType", json_string(MEDIA_OCI_INDEX));
	text = json_dumps(doc, JSON_COMPACT);
	if (!text || buf_add_str(own, text) < 0)
		return err_sys(err, ENOMEM, "index.json");
	*ret = (struct oci_desc){ .size = own->len };
	digest_of(own->data, own->len, &ret->digest);
	return 1;
}

const json_t *layout_entry(const json_t *index, const char *tag)
{
	const json_t *entries = json_object_get(index, "manifests"), *e, *found = NULL;
	const char *want = *tag ? tag : "latest";
	size_t i;

	json_array_foreach(entries, i, e) {
		const char *name = jdoc_annotation(e, LAYOUT_REF_NAME);

		if (name && !strcmp(name, want))
			found = e;
	}
	return found || *tag ? found : only_image(entries);
}

int layout_resolve(struct oci_repo *repo, const char *tag, struct oci_desc *ret,
		   struct buf *own, struct err *err)
{
	const char *want = *tag ? tag : "latest";
	cleanup_json json_t *doc = NULL;
	const json_t *found;
	char tags[200];
	int r;

	r = layout_index(repo, &doc, err);
	if (r < 0)
		return r;
	found = layout_entry(doc, tag);
	if (!found && !*tag && is_flat(json_object_get(doc, "manifests")))
		return flat_index(doc, ret, own, err);
	if (!found) {
		list_tags(json_object_get(doc, "manifests"), tags, sizeof(tags));
		return err_set(err, ERR_UNSUPPORTED, ENOENT, "%.200s/index.json has no image \"%s\" "
			       "(tags there: %s): use oci:DIR:TAG", repo->ref.dir, want,
			       *tags ? tags : "none");
	}
	if (jdoc_desc(found, ret) < 0)
		return err_set(err, ERR_CORRUPT, EINVAL, "%.200s/index.json: the descriptor of "
			       "\"%s\" is malformed", repo->ref.dir, want);
	return 0;
}
