/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mounting.c - see mounting.h. Loop thread; the *_work functions run on the pool. */
#include "daemon/control/mounting.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/log.h"

struct mounting {
	struct mounting_opts opts;
	struct obtain_request req;
	char *target;
	struct obtain *obtain;
	struct pool_job job;
	struct images_get get;
	struct image *image;
	bool cancelled, mounted;
	uint64_t started_ms;
	struct err err;
	int result;
};

static void on_pool(struct mounting *m, void (*work)(struct pool_job *),
		    void (*done)(struct pool_job *))
{
	m->job = (struct pool_job){ .work = work, .done = done, .prio = POOL_FAULT };
	pool_submit(m->opts.pool, &m->job);
}

static void finish(struct mounting *m)
{
	struct mounting_opts opts = m->opts;
	struct err err = m->err;
	char id[DIGEST_HEX_LEN + 1] = "";

	if (m->cancelled)
		m->result = err_set(&err, ERR_SYSTEM, ECANCELED, "interrupted");
	if (m->result == 0) {
		memcpy(id, image_id(m->image), sizeof(id));
		log_info("mounted %s (image %.12s) on %s in %llu ms", m->req.reference, id,
			 m->target, (unsigned long long)(io_now_ms() - m->started_ms));
	} else {
		log_warning("mount of %s on %s: %s", m->req.reference, m->target, err.text);
	}
	if (m->image)
		images_put(opts.images, m->image);
	free(m->target);
	free(m);
	opts.done(opts.arg, id[0] ? id : NULL, id[0] ? NULL : &err);
}

/* --- mount ------------------------------------------------------------------------------- */

static void undo_done(struct pool_job *job)
{
	finish(container_of(job, struct mounting, job));
}

static void undo_work(struct pool_job *job)
{
	struct mounting *m = container_of(job, struct mounting, job);

	if (umount2(m->target, UMOUNT_NOFOLLOW | MNT_DETACH) < 0)
		log_warning("cannot undo the mount on %s: %s", m->target, strerror(errno));
}

static void mount_done(struct pool_job *job)
{
	struct mounting *m = container_of(job, struct mounting, job);

	if (m->cancelled && m->result == 0)
		on_pool(m, undo_work, undo_done);
	else
		finish(m);
}

static void mount_work(struct pool_job *job)
{
	struct mounting *m = container_of(job, struct mounting, job);

	m->result = image_mount(m->image, m->target, &m->err);
}

/* --- open -------------------------------------------------------------------------------- */

static void image_there(struct images_get *get, struct image *image, const struct err *err)
{
	struct mounting *m = container_of(get, struct mounting, get);

	m->image = image;
	if (!image) {
		m->err = *err;
		m->result = -err->num;
	}
	if (m->result < 0 || m->cancelled)
		finish(m);
	else
		on_pool(m, mount_work, mount_done);
}

static void obtained(void *arg, struct image_record *rec, const struct err *err)
{
	struct mounting *m = arg;

	m->obtain = NULL;
	if (!rec) {
		m->err = *err;
		m->result = -err->num;
		finish(m);
		return;
	}
	m->get.done = image_there;
	m->result = images_get(m->opts.images, rec, &m->get, &m->err);
	if (m->result < 0)
		finish(m);
}

static void obtain_progress(void *arg, const char *text)
{
	struct mounting *m = arg;

	if (m->opts.progress && !m->cancelled)
		m->opts.progress(m->opts.arg, text);
}

/* --- target ------------------------------------------------------------------------------ */

static void target_done(struct pool_job *job)
{
	struct mounting *m = container_of(job, struct mounting, job);
	const struct obtain_opts opts = {
		.loop = m->opts.loop, .pool = m->opts.pool, .store = m->opts.store,
		.config = m->opts.config, .progress = obtain_progress, .done = obtained,
		.arg = m,
	};

	if (m->result == 0 && !m->cancelled)
		m->result = obtain_start(&opts, &m->req, &m->obtain, &m->err);
	if (m->result < 0 || m->cancelled)
		finish(m);
}

/* A mount in the cache would make the daemon wait for itself. */
static bool is_beneath(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (!path[n] || path[n] == '/');
}

/* One above it would hide it. */
static bool overlaps(const char *path, const char *dir)
{
	return is_beneath(path, dir) || is_beneath(dir, path);
}

static void target_work(struct pool_job *job)
{
	struct mounting *m = container_of(job, struct mounting, job);
	cleanup_free char *real = realpath(m->target, NULL);
	cleanup_free char *dir = realpath(m->opts.config->dir, NULL);
	cleanup_free char *run_dir = realpath(m->opts.config->run_dir, NULL);
	struct stat st;

	if (!real || stat(real, &st) < 0)
		m->result = err_sys(&m->err, errno, "cannot mount on %s", m->target);
	else if (!S_ISDIR(st.st_mode))
		m->result = err_set(&m->err, ERR_UNSUPPORTED, ENOTDIR,
				    "cannot mount on %s: not a directory", m->target);
	else if (!dir || !run_dir)
		m->result = err_sys(&m->err, errno, "cache and run folder");
	else if (strcmp(real, "/") == 0 || overlaps(real, dir) || overlaps(real, run_dir))
		m->result = err_set(&m->err, ERR_UNSUPPORTED, EINVAL,
				    "cannot mount on %s: it belongs to the system or to lazyerofs",
				    real);
	if (m->result == 0) {
		free(m->target);
		m->target = TAKE_PTR(real);
	}
}

int mounting_start(const struct mounting_opts *opts, const struct obtain_request *req,
		   const char *target, struct mounting **ret, struct err *err)
{
	struct mounting *m;

	if (target[0] != '/')
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "%s: an absolute path is needed",
			       target);
	m = calloc(1, sizeof(*m));
	if (m)
		m->target = strdup(target);
	if (!m || !m->target) {
		free(m);
		return err_sys(err, ENOMEM, "mount");
	}
	m->opts = *opts;
	m->req = *req;
	m->started_ms = io_now_ms();
	on_pool(m, target_work, target_done);
	*ret = m;
	return 0;
}

void mounting_cancel(struct mounting *m)
{
	m->cancelled = true;
	if (m->obtain)
		obtain_cancel(m->obtain);
}
