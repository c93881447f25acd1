/* SPDX-License-Identifier: GPL-2.0-or-later */
/* transfer.c - see transfer.h. The sync client's own thread. */
#include "oci/transfer.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/layout.h"
#include "oci/push_priv.h"
#include "oci/upload.h"

#define WINDOW_BYTES (1u << 20)		/* and one piece of the source more */

/* One try. */
struct pass {
	const struct oci_transfer *t;
	struct oci_client *c;
	struct digest_ctx hash;
	uint64_t bytes;

	/* Where it goes: one of them, or neither. */
	struct upload *upload;
	struct layout_tmp *file;
	struct buf window;		/* received, not yet taken from taken on */
	size_t taken;

	struct oci_req *read;
	bool is_full;			/* the source is paused */
	bool is_read, is_right;		/* source at its end; and on_end agreed */
	bool is_done;
	bool no_source;			/* that was the failure: not there, or other bytes */
	struct err err;			/* first failure */
};

static void check_done(struct pass *p)
{
	p->is_done = p->err.num || (p->is_read && (!p->upload || p->upload->is_done));
}

static int fail(struct pass *p, int r, const char *what)
{
	if (!p->err.num)
		err_sys(&p->err, -r, "%s", what);
	check_done(p);
	return r;
}

/* --- the window ---------------------------------------------------------------------- */

static void pause_source(struct pass *p, bool pause)
{
	p->is_full = pause;
	if (p->read)
		oci_req_pause(p->read, pause);
}

/* What the upload may have: all but the last byte, until all is known to be right. */
static size_t window_ready(const struct pass *p)
{
	size_t n = p->window.len - p->taken;

	return n && !p->is_right ? n - 1 : n;
}

static ssize_t window_read(void *arg, uint8_t *data, size_t len)
{
	struct pass *p = arg;
	size_t n = window_ready(p);

	if (p->err.num)
		return -p->err.num;
	if (n > len)
		n = len;
	if (n == 0)
		return HTTP_BODY_LATER;
	memcpy(data, p->window.data + p->taken, n);
	p->taken += n;
	if (p->is_full && p->window.len - p->taken < WINDOW_BYTES / 2)
		pause_source(p, false);
	return (ssize_t)n;
}

static int window_add(struct pass *p, const uint8_t *data, size_t len)
{
	int r;

	if (p->taken) {
		p->window.len -= p->taken;
		memmove(p->window.data, p->window.data + p->taken, p->window.len);
		p->taken = 0;
	}
	r = buf_add(&p->window, data, len);
	if (r < 0)
		return r;
	if (p->window.len >= WINDOW_BYTES)
		pause_source(p, true);
	upload_body_ready(p->upload);
	return 0;
}

/* --- the source ---------------------------------------------------------------------- */

static int take_data(void *arg, const uint8_t *data, size_t len)
{
	struct pass *p = arg;
	const struct oci_transfer *t = p->t;
	int r = 0;

	digest_update(&p->hash, data, len);
	p->bytes += len;
	if (t->on_data)
		r = t->on_data(t->arg, data, len, &p->err);
	if (r == 0 && p->file)
		r = layout_tmp_write(p->file, data, len, &p->err);
	if (r == 0 && p->upload && (r = window_add(p, data, len)) < 0)
		err_sys(&p->err, -r, "upload");
	if (r == 0 && t->on_progress && (r = t->on_progress(t->arg, p->bytes)) < 0)
		err_set(&p->err, ERR_SYSTEM, -r, "interrupted");
	if (r < 0)
		fail(p, r, "blob");
	return r;
}

/* Without bytes nothing could be held back, so the upload waits until all is right. */
static bool is_empty(const struct pass *p)
{
	return p->t->desc->size == 0;
}

static void check_end(struct pass *p)
{
	const struct oci_transfer *t = p->t;
	struct digest got;
	char text[DIGEST_TEXT_SIZE];
	int r;

	digest_final(&p->hash, &got);
	if (!digest_is_equal(&got, &t->desc->digest) ||
	    (t->desc->size != UINT64_MAX && t->desc->size != p->bytes)) {
		digest_format(&t->desc->digest, text);
		p->no_source = true;
		err_set(&p->err, ERR_CORRUPT, EBADMSG, "its bytes have another sha256 than the "
			"manifest says (%s)", text);
		return;
	}
	r = t->on_end ? t->on_end(t->arg, &p->err) : 0;
	if (r < 0)
		fail(p, r, "blob");
	p->is_right = r == 0;
}

static void take_done(void *arg, const struct err *err)
{
	struct pass *p = arg;

	p->read = NULL;
	p->is_read = true;
	if (err && !p->err.num) {
		p->err = *err;
		p->no_source = err->num == ENOENT || err->kind == ERR_CORRUPT;
	}
	if (!p->err.num)
		check_end(p);
	if (p->is_right && p->upload && is_empty(p))
		upload_start(p->upload, &p->err);
	else if (p->upload)
		upload_body_ready(p->upload);
	check_done(p);
}

static void upload_over(void *arg)
{
	struct pass *p = arg;

	if (p->upload->err.num && !p->err.num)
		p->err = p->upload->err;
	else if (!p->is_right && !p->err.num)
		err_set(&p->err, ERR_CORRUPT, EPROTO, "registry %s says that it stored a blob "
			"which it has not got", p->upload->repo->ref.host);
	check_done(p);
}

/* --- one try ------------------------------------------------------------------------- */

/* Read it all; with an upload or a file set, into that. */
static int run(struct pass *p, struct oci_repo *from, struct err *err)
{
	const struct oci_read read = { .on_data = take_data, .on_done = take_done, .arg = p };
	struct err e = ERR_INIT;
	int r = 0;

	digest_init(&p->hash);
	if (p->upload && !is_empty(p))
		r = upload_start(p->upload, &p->err);
	if (r == 0)
		r = oci_blob_read(from, p->t->desc, 0, UINT64_MAX, &read, &p->read, &p->err);
	if (p->is_read)		/* within the call */
		p->read = NULL;
	if (r == 0 && oci_client_wait(p->c, &p->is_done, &e) < 0 && !p->err.num)
		p->err = e;
	if (p->read)
		oci_req_cancel(p->read);
	buf_done(&p->window);
	if (p->err.num && err)
		*err = p->err;
	return -p->err.num;
}

static int pass_file(struct oci_client *c, const struct oci_transfer *t,
		     struct oci_repo *from, struct oci_repo *to, bool *ret_no_source,
		     struct err *err)
{
	struct layout_tmp file;
	struct pass p = { .t = t, .c = c, .file = to ? &file : NULL };
	int r = to ? layout_tmp_open(to, &t->desc->digest, &file, err) : 0;

	if (r < 0)
		return r;
	r = run(&p, from, err);
	*ret_no_source = p.no_source;
	if (!to)
		return r;
	if (r == 0)
		r = layout_tmp_commit(&file, err);
	layout_tmp_done(&file);
	return r;
}

/* One session. 1: mounted. */
static int pass_upload(struct oci_client *c, const struct oci_transfer *t,
		       struct oci_repo *from, struct upload *u, const char *mount_from,
		       bool *ret_no_source, struct err *err)
{
	struct pass p = { .t = t, .c = c, .upload = u };
	int r = upload_begin(u, mount_from, err);

	if (r == 0) {
		u->stream = (struct http_body){ window_read, &p };
		u->on_done = upload_over;
		u->arg = &p;
		r = run(&p, from, err);
		*ret_no_source = p.no_source;
		if (r < 0)
			upload_abort(u);
	}
	upload_done(u);
	return r;
}

static int upload(struct oci_client *c, const struct oci_transfer *t, struct oci_repo *from,
		  struct oci_repo *to, bool *ret_no_source, struct err *err)
{
	bool may_mount = from->dir_fd < 0 && !strcmp(from->ref.host, to->ref.host) &&
			 strcmp(from->ref.repo, to->ref.repo);
	struct err e = ERR_INIT;
	int r, again = 1;

	for (unsigned i = 0; again > 0; i++) {
		struct upload u = { .repo = to, .desc = t->desc, .tries = i,
				    .chunk_bytes = t->chunk_bytes };

		r = i && t->on_restart ? t->on_restart(t->arg, &e) : 0;
		if (r == 0)
			r = pass_upload(c, t, from, &u, may_mount && !i ? from->ref.repo : NULL,
					ret_no_source, &e);
		again = r < 0 && !*ret_no_source ? upload_may_retry(&u, &e) : 0;
	}
	r = again < 0 ? again : r;
	if (r < 0 && err)
		*err = e;
	return r;
}

int oci_blob_transfer(struct oci_client *c, const struct oci_transfer *t,
		      enum oci_transfer_sent *ret_sent, struct err *err)
{
	cleanup_repo struct oci_repo *from = NULL, *to = NULL;
	enum oci_transfer_sent sent = OCI_TRANSFER_PRESENT;
	bool no_source = false;
	int r = oci_repo_get(c, t->from, &from, err);

	if (r == 0 && t->to)
		r = oci_repo_get(c, t->to, &to, err);
	if (r < 0)
		return r;
	if (to && t->desc->size > INT64_MAX)
		return err_set(err, ERR_BUG, EINVAL, "blob to push: size unknown");
	r = to ? push_has_blob(to, t->desc, err) : 1;
	if (r == 0) {
		r = to->dir_fd >= 0 ? pass_file(c, t, from, to, &no_source, err) :
				      upload(c, t, from, to, &no_source, err);
		sent = r == 1 ? OCI_TRANSFER_MOUNTED : OCI_TRANSFER_SENT;
	}
	if (r == 1)	/* it is there without us: only looked at, if at all */
		r = t->on_data || t->on_end ? pass_file(c, t, from, NULL, &no_source, err) : 0;
	if (ret_sent)
		*ret_sent = no_source ? OCI_TRANSFER_NO_SOURCE : sent;
	return r;
}
