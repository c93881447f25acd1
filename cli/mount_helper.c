/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mount_helper.c - mount.lazyerofs: what mount(8) runs for `mount -t lazyerofs IMAGE DIR`
 * and for lines of fstab. Calls: mount.lazyerofs IMAGE DIR [-sfnv] [-o OPTIONS].
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "cli/admin_client.h"
#include "config.h"

/* Exit codes of mount(8). */
enum { EX_USAGE = 1, EX_FAIL = 32 };

struct helper {
	struct mount_request req;
	unsigned long flags;		/* MS_*, for the mount point */
	bool fake, sloppy, verbose;
};

struct word {
	const char *name;
	unsigned long flag;
};

/*
 * What changes the mount point, and what mount(8) and systemd keep for themselves. mount(8)
 * says rw wherever nobody asked for ro, so rw is no wish of anybody's.
 */
static const struct word words[] = {
	{ "ro", 0 }, { "rw", 0 }, { "defaults", 0 }, { "auto", 0 }, { "noauto", 0 }, { "nofail", 0 },
	{ "_netdev", 0 }, { "nouser", 0 }, { "async", 0 }, { "norelatime", 0 },
	{ "suid", 0 }, { "dev", 0 }, { "exec", 0 }, { "relatime", 0 }, { "atime", 0 },
	{ "nosuid", MS_NOSUID }, { "nodev", MS_NODEV }, { "noexec", MS_NOEXEC },
	{ "noatime", MS_NOATIME }, { "nodiratime", MS_NODIRATIME },
	{ "nosymfollow", MS_NOSYMFOLLOW },
	{ NULL, 0 },
};

static int complain(int code, const char *what, const char *arg)
{
	fprintf(stderr, "mount.lazyerofs: %s%s%s\n", what, arg ? ": " : "", arg ? arg : "");
	return code;
}

static void show(const char *text)
{
	fprintf(stderr, "mount.lazyerofs: %s\n", text);
}

/* One option; 0, or the exit code. */
static int take_word(struct helper *h, char *word)
{
	char *value = strchr(word, '=');

	if (strncmp(word, "x-", 2) == 0 || strncmp(word, "comment", 7) == 0 || !*word)
		return 0;
	if (strcmp(word, "build-index") == 0) {
		h->req.build_index = true;
		return 0;
	}
	if (value)
		*value++ = '\0';
	if (value && strcmp(word, "platform") == 0)
		h->req.platform = value;
	else if (value && strcmp(word, "index") == 0)
		h->req.index = value;
	else if (value && strcmp(word, "run-dir") == 0)
		admin_client_set_run_dir(value);
	else if (!value) {
		for (const struct word *w = words; w->name; w++)
			if (strcmp(w->name, word) == 0) {
				h->flags |= w->flag;
				return 0;
			}
		return h->sloppy ? 0 : complain(EX_USAGE, "unknown option", word);
	} else {
		return h->sloppy ? 0 : complain(EX_USAGE, "unknown option", word);
	}
	return 0;
}

static int take_options(struct helper *h, char *list)
{
	char *save = NULL;
	int rc = 0;

	for (char *w = strtok_r(list, ",", &save); w && rc == 0; w = strtok_r(NULL, ",", &save))
		rc = take_word(h, w);
	return rc;
}

static int run(const struct helper *h)
{
	struct err err = ERR_INIT;

	if (h->fake)
		return 0;
	if (mount_request_run(&h->req, &err) < 0)
		return complain(EX_FAIL, err.text, NULL);
	if (h->flags && mount(NULL, h->req.target, NULL,
			      MS_REMOUNT | MS_BIND | MS_RDONLY | h->flags, NULL) < 0) {
		perror("mount.lazyerofs: cannot set the mount options");
		umount2(h->req.target, UMOUNT_NOFOLLOW | MNT_DETACH);
		return EX_FAIL;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct helper h = { 0 };
	char *list[16];
	int c, n = 0, rc = 0;

	/* The order in which -s comes must not matter. */
	while ((c = getopt(argc, argv, "sfnvo:t:Vh")) >= 0) {
		switch (c) {
		case 's':
			h.sloppy = true;
			break;
		case 'f':
			h.fake = true;
			break;
		case 'v':
			h.verbose = true;
			break;
		case 'o':
			if (n == 16)
				return complain(EX_USAGE, "too many -o", NULL);
			list[n++] = optarg;
			break;
		case 'n':
		case 't':
			break;
		case 'V':
			printf("mount.lazyerofs %s\n", PACKAGE_VERSION);
			return 0;
		default:
			fprintf(stderr, "usage: mount.lazyerofs IMAGE DIR [-sfnv] [-o OPTIONS]\n");
			return c == 'h' ? 0 : EX_USAGE;
		}
	}
	if (argc - optind != 2)
		return complain(EX_USAGE, "IMAGE and DIR are needed", NULL);
	h.req.image = argv[optind];
	h.req.target = argv[optind + 1];
	h.req.progress = h.verbose ? show : NULL;
	for (int i = 0; i < n && rc == 0; i++)
		rc = take_options(&h, list[i]);
	return rc ? rc : run(&h);
}
