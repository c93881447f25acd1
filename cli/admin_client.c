/* SPDX-License-Identifier: GPL-2.0-or-later */
/* admin_client.c - see admin_client.h. */
#include "cli/admin_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"

#define ANSWER_MAX_BYTES (64u << 20)

static const char *run_dir = ADMIN_CLIENT_RUN_DIR;

void admin_client_set_run_dir(const char *dir)
{
	run_dir = dir;
}

const char *admin_client_run_dir(void)
{
	return run_dir;
}

static int connect_daemon(int *ret_fd, struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(err, errno, "socket");
	if ((size_t)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/admin.sock", run_dir) >=
	    sizeof(addr.sun_path))
		return err_set(err, ERR_UNSUPPORTED, ENAMETOOLONG, "--run-dir %s is too long",
			       run_dir);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
		*ret_fd = TAKE_FD(fd);
		return 0;
	}
	if (errno == ENOENT || errno == ECONNREFUSED)
		return err_set(err, ERR_SYSTEM, errno,
			       "lazyerofsd is not running (no answer at %s): start it with "
			       "`systemctl start lazyerofsd`, or `lazyerofsd &`", addr.sun_path);
	if (errno == EACCES || errno == EPERM)
		return err_set(err, ERR_SYSTEM, errno, "only root may talk to lazyerofsd (%s)",
			       addr.sun_path);
	return err_sys(err, errno, "%s", addr.sun_path);
}

/* Not write(): a daemon that goes away just then would end us with SIGPIPE. */
static int send_full(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_request(int fd, json_t *request, struct err *err)
{
	cleanup_free char *text = json_dumps(request, JSON_COMPACT);
	int r;

	if (!text)
		return err_set(err, ERR_UNSUPPORTED, EILSEQ, "arguments must be UTF-8");
	r = send_full(fd, text, strlen(text));
	if (r == 0)
		r = send_full(fd, "\n", 1);
	return r < 0 ? err_sys(err, -r, "cannot ask the daemon") : 0;
}

static enum err_kind kind_of(const char *name)
{
	for (int k = ERR_NONE; k <= ERR_BUG; k++)
		if (name && strcmp(err_kind_name((enum err_kind)k), name) == 0)
			return (enum err_kind)k;
	return ERR_SYSTEM;
}

/* 1: it was the last line. */
static int take_line(char *line, void (*progress)(const char *text), json_t **ret_result,
		     struct err *err)
{
	json_auto_t *o = json_loads(line, 0, NULL);
	const char *event = json_string_value(json_object_get(o, "event"));
	const char *text = json_string_value(json_object_get(o, "text"));

	if (event && strcmp(event, "progress") == 0) {
		if (progress && text)
			progress(text);
		return 0;
	}
	if (event && strcmp(event, "done") == 0) {
		*ret_result = json_incref(json_object_get(o, "result"));
		return 1;
	}
	if (event && strcmp(event, "error") == 0) {
		int num = (int)json_integer_value(json_object_get(o, "num"));

		return err_set(err, kind_of(json_string_value(json_object_get(o, "kind"))),
			       num > 0 ? num : EIO, "%s", text ? text : "failed");
	}
	return err_set(err, ERR_CORRUPT, EPROTO, "lazyerofsd gave an answer of another version");
}

static int read_answer(int fd, void (*progress)(const char *text), json_t **ret_result,
		       struct err *err)
{
	cleanup_buf struct buf in = BUF_INIT(ANSWER_MAX_BYTES);
	char data[16384], *nl;
	int r = 0;

	for (;;) {
		ssize_t n = read(fd, data, sizeof(data));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "lazyerofsd");
		if (n == 0)
			return err_set(err, ERR_SYSTEM, EPIPE,
				       "lazyerofsd went away before it had answered");
		if (buf_add(&in, data, (size_t)n) < 0)
			return err_sys(err, EFBIG, "answer of lazyerofsd");
		while (r == 0 && in.len && (nl = memchr(in.data, '\n', in.len))) {
			size_t len = (size_t)(nl - (char *)in.data) + 1;

			*nl = '\0';
			r = take_line((char *)in.data, progress, ret_result, err);
			memmove(in.data, in.data + len, in.len - len);
			in.len -= len;
		}
		if (r)
			return r < 0 ? r : 0;
	}
}

int admin_client_call(json_t *request, void (*progress)(const char *text),
		      json_t **ret_result, struct err *err)
{
	json_auto_t *req = request;
	cleanup_close int fd = -1;
	int r;

	if (!req)
		return err_set(err, ERR_UNSUPPORTED, EILSEQ, "arguments must be UTF-8");
	r = connect_daemon(&fd, err);
	if (r == 0)
		r = send_request(fd, req, err);
	return r < 0 ? r : read_answer(fd, progress, ret_result, err);
}

/* --- mounting ----------------------------------------------------------------------------- */

static int set_text(json_t *o, const char *key, const char *text, struct err *err)
{
	if (text && json_object_set_new(o, key, json_string(text)) < 0)
		return err_set(err, ERR_UNSUPPORTED, EILSEQ, "%s: not UTF-8", key);
	return 0;
}

int mount_request_run(const struct mount_request *m, struct err *err)
{
	cleanup_free char *target = realpath(m->target, NULL);
	json_auto_t *result = NULL;
	json_t *req;
	struct stat st;
	int r;

	if (!target)
		return err_sys(err, errno, "cannot mount on %s", m->target);
	if (stat(target, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(err, ERR_UNSUPPORTED, ENOTDIR, "cannot mount on %s: not a directory",
			       m->target);
	if (geteuid() != 0)
		return err_set(err, ERR_SYSTEM, EPERM, "only root may mount");
	req = json_pack("{s:s}", "cmd", "mount");
	r = req ? 0 : err_sys(err, ENOMEM, "request");
	if (r == 0)
		r = set_text(req, "image", m->image, err);
	if (r == 0)
		r = set_text(req, "target", target, err);
	if (r == 0)
		r = set_text(req, "platform", m->platform, err);
	if (r == 0)
		r = set_text(req, "index", m->index, err);
	if (r < 0) {
		json_decref(req);
		return r;
	}
	if (m->build_index)
		json_object_set_new(req, "build_index", json_true());
	if (stat("/proc/self/ns/mnt", &st) == 0)
		json_object_set_new(req, "mount_ns", json_integer((json_int_t)st.st_ino));
	return admin_client_call(req, m->progress, &result, err);
}
