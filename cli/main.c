/* SPDX-License-Identifier: GPL-2.0-or-later */
/* main.c - the `lazyerofs` program: its commands, and nothing else. One line per command. */
#include "cli/cli.h"

#include <locale.h>
#include <string.h>

static const struct cli_command commands[] = {
	{ "ztoc", "look into a zTOC, the table of contents of one layer", cmd_ztoc },
	{ NULL, NULL, NULL },
};

int main(int argc, char **argv)
{
	int rc;

	setlocale(LC_CTYPE, "");
	rc = cli_dispatch("lazyerofs", commands, argc, argv);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		cli_warn("cannot write to standard output: %s", strerror(errno));
		if (rc == CLI_OK)
			rc = CLI_FAILED;
	}
	return rc;
}
