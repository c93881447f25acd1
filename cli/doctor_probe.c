/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_probe.c - the doctor's look at file systems, cachefiles and registries. */
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cli/doctor.h"
#include "daemon/kernel/cachefiles.h"
#include "daemon/log.h"
#include "oci/image.h"

/* The folder, or the nearest one above it that is there. */
static void existing(const char *dir, char *ret, size_t size)
{
	char *slash;

	snprintf(ret, size, "%s", dir);
	while (access(ret, F_OK) < 0 && (slash = strrchr(ret, '/')) && slash != ret)
		*slash = '\0';
	if (access(ret, F_OK) < 0)
		snprintf(ret, size, "/");
}

static const char *fs_name(uint64_t type)
{
	switch (type) {
	case EXT4_SUPER_MAGIC:
		return "ext4";
	case XFS_SUPER_MAGIC:
		return "xfs";
	case BTRFS_SUPER_MAGIC:
		return "btrfs";
	case TMPFS_MAGIC:
		return "tmpfs";
	case OVERLAYFS_SUPER_MAGIC:
		return "overlayfs";
	case NFS_SUPER_MAGIC:
		return "nfs";
	default:
		return "another file system";
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void doctor_cache(struct doctor *d, const char *dir,
		  void (*test)(struct doctor *d, const char *dir))
{
	char base[CONFIG_TEXT_SIZE], text[CONFIG_TEXT_SIZE + 128], free_text[24];
	struct statvfs space;
	struct statfs fs;
	bool good;

	existing(dir, base, sizeof(base));
	if (statfs(base, &fs) < 0 || statvfs(base, &space) < 0) {
		doctor_say(d, DOCTOR_MISSING, "cache folder", base, "cannot be looked at");
		return;
	}
	good = fs.f_type != TMPFS_MAGIC && fs.f_type != OVERLAYFS_SUPER_MAGIC &&
	       fs.f_type != NFS_SUPER_MAGIC;
	snprintf(text, sizeof(text), "%s on %s, %s free", dir, fs_name((uint64_t)fs.f_type),
		 cli_format_size((uint64_t)space.f_bavail * space.f_frsize, free_text));
	doctor_say(d, good ? DOCTOR_OK : DOCTOR_MISSING, "cache folder", text,
		   good ? NULL : "set dir to a folder on ext4, xfs or btrfs");
	if (good)
		test(d, base);
}

/* --- cachefiles ---------------------------------------------------------------------------- */

static int cachefiles_prove(const struct config *c, const char *dir, struct err *err)
{
	struct transport *t = NULL;
	struct loop *loop = NULL;
	int r = loop_new(&loop, err);

	/* What the transport tells the daemon's journal is not for this screen. */
	log_set_level(LOG_LEVEL_ERROR);
	if (r == 0) {
		const struct cachefiles_opts opts = {
			.loop = loop, .dir = dir, .tag = "lazyerofs-doctor",
			.domain = "lazyerofs-doctor", .any_kernel = c->any_kernel,
		};

		r = cachefiles_transport_new(&opts, &t, err);
	}
	if (t)
		t->ops->free(t);
	loop_free(loop);
	return r;
}

void doctor_cachefiles(struct doctor *d, const struct config *c, bool taken)
{
	char base[CONFIG_TEXT_SIZE], dir[CONFIG_TEXT_SIZE + 32];
	struct err err = ERR_INIT;

	if (taken) {
		d->paths++;
		doctor_say(d, DOCTOR_OK, "cachefiles path", "in use by the daemon", NULL);
		return;
	}
	if (access("/dev/cachefiles", F_OK) < 0) {
		doctor_say(d, DOCTOR_NOTE, "cachefiles path", "this kernel has no /dev/cachefiles",
			   "needed only where fanotify does not work: `modprobe cachefiles`, or a "
			   "kernel with CACHEFILES_ONDEMAND and EROFS_FS_ONDEMAND");
		return;
	}
	existing(c->dir, base, sizeof(base));
	snprintf(dir, sizeof(dir), "%s/.lazyerofs-doctor.XXXXXX", base);
	if (!mkdtemp(dir)) {
		doctor_say(d, DOCTOR_NOTE, "cachefiles path", strerror(errno), NULL);
		return;
	}
	if (cachefiles_prove(c, dir, &err) == 0) {
		d->paths++;
		doctor_say(d, DOCTOR_OK, "cachefiles path", "works on this kernel and cache", NULL);
	} else {
		doctor_say(d, DOCTOR_NOTE, "cachefiles path", err.text,
			   "needed only where fanotify does not work");
	}
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- an image ------------------------------------------------------------------------------- */

static void say_index(struct doctor *d, const struct oci_image *img)
{
	static const char *const found[] = { "none", "as given", "named by the manifest",
					     "by the referrers API", "by the fallback tag" };
	uint32_t with = 0, strange = 0;
	char text[128];

	for (uint32_t i = 0; i < img->nlayers; i++) {
		with += img->layers[i].has_ztoc;
		strange += !img->layers[i].has_ztoc && (img->layers[i].kind == OCI_LAYER_ZSTD ||
							img->layers[i].kind == OCI_LAYER_OTHER);
	}
	if (img->index_found == OCI_INDEX_NONE) {
		doctor_say(d, DOCTOR_NOTE, "SOCI index", "the image has none",
			   "make one with `lazyerofs create`, or mount with --build-index");
		return;
	}
	snprintf(text, sizeof(text), "%s; %u of %u layers have a zTOC", found[img->index_found],
		 with, img->nlayers);
	doctor_say(d, strange ? DOCTOR_MISSING : DOCTOR_OK, "SOCI index", text,
		   strange ? "layers that are neither gzip nor plain tar cannot be served" : NULL);
}

static int look_up(const struct config *c, const char *image, const char *platform_text,
		   struct oci_image **ret, struct err *err)
{
	const struct oci_opts opts = {
		.docker_config = c->docker_config[0] ? c->docker_config : NULL,
		.hosts_dirs = c->hosts_dirs[0] ? c->hosts_dirs : NULL,
		.ca_file = c->ca_file[0] ? c->ca_file : NULL,
		.plain_http = c->plain_http[0] ? c->plain_http : NULL,
		.retries = 1,
	};
	struct oci_platform platform;
	struct oci_client *client;
	struct oci_ref ref;
	int r = oci_ref_parse(image, &ref, err);

	oci_platform_host(&platform);
	if (r == 0 && platform_text)
		r = oci_platform_parse(platform_text, &platform, err);
	if (r == 0)
		r = oci_client_new(&opts, NULL, &client, err);
	if (r < 0)
		return r;
	r = oci_image_resolve(client, &ref, &platform, NULL, ret, err);
	oci_client_free(client);
	return r;
}

void doctor_image(struct doctor *d, const struct config *c, const char *image,
		  const char *platform)
{
	static const char *const hints[] = {
		[ERR_NETWORK] = "is the registry up, and the name of its host right?",
		[ERR_AUTH] = "log in with `docker login`, or set docker_config",
		[ERR_CORRUPT] = "the registry's answers do not fit together",
		[ERR_BUG] = NULL,
	};
	struct oci_image *img = NULL;
	struct err err = ERR_INIT;
	char text[DIGEST_TEXT_SIZE + 64], digest[DIGEST_TEXT_SIZE];

	if (look_up(c, image, platform, &img, &err) < 0) {
		doctor_say(d, DOCTOR_MISSING, "image", err.text, hints[err.kind]);
		return;
	}
	digest_format(&img->manifest.digest, digest);
	snprintf(text, sizeof(text), "found: %s, %u layers", digest, img->nlayers);
	doctor_say(d, DOCTOR_OK, "image", text, NULL);
	say_index(d, img);
	oci_image_free(img);
}
