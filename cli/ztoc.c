/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ztoc.c - `lazyerofs ztoc ...`: the group's table of commands. */
#include "cli/cli.h"

static const struct cli_command commands[] = {
	{ NULL, NULL, NULL },
};

int cmd_ztoc(int argc, char **argv)
{
	return cli_dispatch("lazyerofs ztoc", commands, argc, argv);
}
