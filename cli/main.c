/* SPDX-License-Identifier: GPL-2.0-or-later */
/* main.c - the `lazyerofs` program: its commands, and nothing else. One line per command. */
#include "cli/cli.h"

#include <locale.h>
#include <string.h>

#include "cli/admin_client.h"

static const struct cli_command commands[] = {
	{ "mount", "mount an image", cmd_mount },
	{ "umount", "unmount images", cmd_umount },
	{ "status", "what the daemon serves", cmd_status },
	{ "doctor", "can this machine serve images, and if not, why", cmd_doctor },
	{ "create", "make the SOCI index of an image, beside the image", cmd_create },
	{ "convert", "make an image that names its SOCI index", cmd_convert },
	{ "index", "list, show and remove the SOCI indexes of an image", cmd_index },
	{ "push", "copy an image and its SOCI indexes to another place", cmd_push },
	{ "ztoc", "look into a zTOC, the table of contents of one layer", cmd_ztoc },
	{ NULL, NULL, NULL },
};

/* Goes before the command. */
static const struct cli_opt opts[] = {
	{ CLI_STR, '\0', "run-dir", "DIR", "where the daemon's sockets are", NULL },
	CLI_OPT_END
};

int main(int argc, char **argv)
{
	int rc;

	setlocale(LC_CTYPE, "");
	if (argc > 2 && strcmp(argv[1], "--run-dir") == 0) {
		admin_client_set_run_dir(argv[2]);
		argv[2] = argv[0];
		argv += 2;
		argc -= 2;
	} else if (argc > 1 && strncmp(argv[1], "--run-dir=", 10) == 0) {
		admin_client_set_run_dir(argv[1] + 10);
		argv[1] = argv[0];
		argv++;
		argc--;
	}
	rc = cli_dispatch("lazyerofs", commands, opts, argc, argv);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		cli_warn("cannot write to standard output: %s", strerror(errno));
		if (rc == CLI_OK)
			rc = CLI_FAILED;
	}
	return rc;
}
