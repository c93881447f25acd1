/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * umount.c - `lazyerofs umount DIR...`: needs no daemon; a running one notices by itself.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cli/cli.h"
#include "daemon/control/mountinfo.h"

#define TABLE_MAX_BYTES (256ull << 20)

/* Where the last name of a path leads is not looked at: it may hang. */
static char *absolute(const char *path)
{
	char *copy = strdup(path), *out = NULL, *slash, *dir;
	size_t n = copy ? strlen(copy) : 0;

	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = '\0';
	slash = copy ? strrchr(copy, '/') : NULL;
	if (!copy || !strcmp(copy, "/") || !strcmp(slash ? slash + 1 : copy, ".") ||
	    !strcmp(slash ? slash + 1 : copy, "..")) {
		free(copy);
		return realpath(path, NULL);
	}
	if (slash)
		*slash = '\0';
	dir = realpath(slash ? (slash == copy ? "/" : copy) : ".", NULL);
	if (dir) {
		size_t size = strlen(dir) + n + 2;

		out = malloc(size);
		if (out)
			snprintf(out, size, "%s/%s", strcmp(dir, "/") ? dir : "",
				 slash ? slash + 1 : copy);
	}
	free(dir);
	free(copy);
	return out;
}

static int check_is_ours(const char *path, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(TABLE_MAX_BYTES);
	char id[DIGEST_HEX_LEN + 1];
	struct mountinfo m;
	int r = io_read_file(AT_FDCWD, "/proc/self/mountinfo", &b);

	if (r < 0)
		return err_sys(err, -r, "/proc/self/mountinfo");
	if (!b.len || mountinfo_find((char *)b.data, path, &m) < 0)
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "%s is not mounted", path);
	if (!mountinfo_image_id(&m, NULL, id))
		return err_set(err, ERR_UNSUPPORTED, EINVAL,
			       "%s is a mount of type %s, not one of lazyerofs: use umount(8)",
			       path, m.type);
	return 0;
}

static int umount_one(const char *dir, bool lazy, struct err *err)
{
	cleanup_free char *path = absolute(dir);
	int r;

	if (!path)
		return err_sys(err, errno, "%s", dir);
	r = check_is_ours(path, err);
	if (r < 0)
		return r;
	if (umount2(path, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return 0;
	if (errno == EBUSY)
		return err_set(err, ERR_SYSTEM, EBUSY,
			       "%s is in use (`fuser -vm %s` tells by whom); --lazy detaches it now "
			       "and ends it with its last user", path, path);
	if (errno == EPERM)
		return err_set(err, ERR_SYSTEM, EPERM, "only root may unmount");
	return err_sys(err, errno, "cannot unmount %s", path);
}

int cmd_umount(int argc, char **argv)
{
	bool lazy = false;
	const struct cli_opt opts[] = {
		CLI_OPT_FLAG('l', "lazy", "detach now, end when nobody uses it any more", &lazy),
		CLI_OPT_END
	};
	const struct cli_usage usage = {
		.command = "umount", .args = "DIR...", .min_args = 1, .max_args = -1,
		.text = "Unmount images. What is cached stays.", .opts = opts,
	};
	struct cli_args args;
	int rc = cli_parse(&usage, argc, argv, &args);

	if (rc >= 0)
		return rc;
	rc = CLI_OK;
	for (int i = 0; i < args.n; i++) {
		struct err err = ERR_INIT;

		if (umount_one(args.v[i], lazy, &err) < 0)
			rc = cli_fail(&err);
	}
	return rc;
}
