/* SPDX-License-Identifier: GPL-2.0-or-later */
/* commands.c - what can be asked on the admin socket. Loop thread. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "daemon/control/mounting.h"
#include "daemon/daemon.h"

/* --- ping, status ------------------------------------------------------------------------ */

static void run_ping(struct admin_call *call, json_t *request, void *arg)
{
	struct daemon *d = arg;

	(void)request;
	admin_done(call, json_pack("{s:s, s:i, s:s}", "version", PACKAGE_VERSION, "pid",
				   (int)getpid(), "kernel_path", d->transport->ops->name));
}

static void run_status(struct admin_call *call, json_t *request, void *arg)
{
	(void)request;
	admin_done(call, status_json(arg));
}

/* --- mount -------------------------------------------------------------------------------- */

struct mount_call {
	struct admin_call *call;
	struct mounting *mounting;
};

static void mount_cancel(void *arg)
{
	struct mount_call *m = arg;

	mounting_cancel(m->mounting);
}

static void mount_progress(void *arg, const char *text)
{
	struct mount_call *m = arg;

	admin_progress(m->call, text);
}

static void mount_done(void *arg, const char *image_id, const struct err *err)
{
	struct mount_call *m = arg;
	struct admin_call *call = m->call;

	free(m);
	if (image_id)
		admin_done(call, json_pack("{s:s}", "image", image_id));
	else
		admin_fail(call, err);
}

static int take(json_t *request, const char *key, char *ret, size_t size, struct err *err)
{
	const char *v = json_string_value(json_object_get(request, key));

	if (v && strlen(v) >= size)
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "\"%s\" is too long", key);
	strcpy(ret, v ? v : "");
	return 0;
}

/* A mount made here would not be seen from another mount namespace. */
static int check_namespace(json_t *request, struct err *err)
{
	json_t *ns = json_object_get(request, "mount_ns");
	struct stat st;

	if (!ns || stat("/proc/self/ns/mnt", &st) < 0 ||
	    json_integer_value(ns) == (json_int_t)st.st_ino)
		return 0;
	return err_set(err, ERR_UNSUPPORTED, EXDEV,
		       "the daemon lives in another mount namespace than this command: a mount "
		       "would not be seen here");
}

static int mount_start(struct daemon *d, struct mount_call *m, json_t *request,
		       struct err *err)
{
	const struct mounting_opts opts = {
		.loop = d->loop, .pool = d->pool, .store = d->store, .images = d->images,
		.config = &d->config, .progress = mount_progress, .done = mount_done, .arg = m,
	};
	struct obtain_request req = { 0 };
	int r = take(request, "image", req.reference, sizeof(req.reference), err);

	if (r == 0)
		r = take(request, "platform", req.platform, sizeof(req.platform), err);
	if (r == 0)
		r = take(request, "index", req.index, sizeof(req.index), err);
	if (r == 0)
		r = check_namespace(request, err);
	if (r < 0)
		return r;
	req.build_index = json_is_true(json_object_get(request, "build_index"));
	return mounting_start(&opts, &req,
			      json_string_value(json_object_get(request, "target")),
			      &m->mounting, err);
}

static void run_mount(struct admin_call *call, json_t *request, void *arg)
{
	struct mount_call *m = calloc(1, sizeof(*m));
	struct err err = ERR_INIT;
	int r;

	if (m) {
		m->call = call;
		r = mount_start(arg, m, request, &err);
	} else {
		r = err_sys(&err, ENOMEM, "mount");
	}
	if (r < 0) {
		free(m);
		admin_fail(call, &err);
		return;
	}
	admin_call_set_cancel(call, mount_cancel, m);
}

/* --- the table ---------------------------------------------------------------------------- */

static const struct admin_field no_fields[] = { { .name = NULL } };

static const struct admin_field mount_fields[] = {
	{ "image", JSON_STRING, true },
	{ "target", JSON_STRING, true },
	{ "platform", JSON_STRING, false },
	{ "index", JSON_STRING, false },	/* digest of the SOCI index to use */
	{ "build_index", JSON_TRUE, false },
	{ "mount_ns", JSON_INTEGER, false },	/* inode of the client's mount namespace */
	{ .name = NULL },
};

const struct admin_command daemon_commands[] = {
	{ "ping", no_fields, run_ping },
	{ "status", no_fields, run_status },
	{ "mount", mount_fields, run_mount },
	{ .name = NULL },
};
