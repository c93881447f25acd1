/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mount.c - `lazyerofs mount IMAGE DIR`. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/admin_client.h"
#include "cli/cli.h"

static void show(const char *text)
{
	fputs("lazyerofs: ", stderr);
	cli_print_bytes(stderr, text, strlen(text));
	fputc('\n', stderr);
}

/* The daemon has another working directory: a layout's folder becomes absolute. */
static char *image_absolute(const char *image)
{
	char *real, *out = NULL;
	size_t n;

	if (strncmp(image, "oci:", 4) != 0 || image[4] == '/')
		return strdup(image);
	real = realpath(".", NULL);
	n = real ? strlen(real) + strlen(image) + 2 : 0;
	if (real && (out = malloc(n)))
		snprintf(out, n, "oci:%s/%s", real, image + 4);
	free(real);
	return out;
}

int cmd_mount(int argc, char **argv)
{
	struct mount_request req = { 0 };
	bool quiet = false, verbose = false;
	const struct cli_opt opts[] = {
		CLI_OPT_STR('p', "platform", "OS/ARCH[/VARIANT]",
			    "of an image for several (default: this machine's)", &req.platform),
		CLI_OPT_STR('\0', "index", "DIGEST", "the SOCI index to use", &req.index),
		CLI_OPT_FLAG('\0', "build-index",
			     "an image without SOCI index: fetch it whole and index it here",
			     &req.build_index),
		CLI_OPT_FLAG('q', "quiet", "show no progress", &quiet),
		CLI_OPT_FLAG('v', "verbose", "show progress also where stderr is no terminal",
			     &verbose),
		CLI_OPT_END
	};
	const struct cli_usage usage = {
		.command = "mount", .args = "IMAGE DIR", .min_args = 2, .max_args = 2,
		.text = "Mount a container image read-only; what is read is fetched when it is read.\n"
			"IMAGE: [HOST[:PORT]/]REPO[:TAG][@sha256:HEX] or oci:DIR[:TAG].",
		.opts = opts,
	};
	struct cli_args args;
	struct err err = ERR_INIT;
	int rc = cli_parse(&usage, argc, argv, &args);

	if (rc >= 0)
		return rc;
	cleanup_free char *image = image_absolute(args.v[0]);

	if (!image)
		return cli_failf("no memory");
	req.image = image;
	req.target = args.v[1];
	req.progress = !quiet && (verbose || isatty(STDERR_FILENO)) ? show : NULL;
	return mount_request_run(&req, &err) < 0 ? cli_fail(&err) : CLI_OK;
}
