/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status.c - `lazyerofs status`: what the daemon serves. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cli/admin_client.h"
#include "cli/cli.h"

#define WAIT_STEP_MS 50

static uint64_t number(json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static const char *text(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void print_head(json_t *s)
{
	json_t *t = json_object_get(s, "totals");
	char fetched[24], written[24];

	printf("lazyerofsd %s, process %" PRIu64 ", up %" PRIu64 " s, kernel path %s\n",
	       text(s, "version"), number(s, "pid"), number(s, "uptime_ms") / 1000,
	       text(s, "kernel_path"));
	printf("cache %s, fetched %s (%" PRIu64 " requests to registries), written %s\n",
	       text(s, "dir"), cli_format_size(number(t, "fetched_bytes"), fetched),
	       number(t, "registry_requests"),
	       cli_format_size(number(t, "written_bytes"), written));
	printf("reads served %" PRIu64 ", failed %" PRIu64 ", waiting %" PRIu64
	       "; digest mismatches %" PRIu64 "\n",
	       number(t, "answered_ok"), number(t, "answered_error"), number(t, "pending"),
	       number(t, "digest_mismatches"));
}

static void add_image(struct cli_table *table, json_t *image)
{
	uint64_t data = number(image, "data_bytes"), present = number(image, "present_bytes");
	char size[24], percent[16], id[13];
	json_t *mounts = json_object_get(image, "mounts");
	size_t n = json_array_size(mounts);

	snprintf(id, sizeof(id), "%s", text(image, "id"));
	snprintf(percent, sizeof(percent), "%" PRIu64 "%%", data ? present * 100 / data : 100);
	cli_format_size(data, size);
	for (size_t i = 0; i < (n ? n : 1); i++) {
		const char *point = json_string_value(json_array_get(mounts, i));
		const char *cells[] = { i ? "" : text(image, "reference"), i ? "" : id,
					i ? "" : size, i ? "" : percent, point ? point : "-" };

		cli_table_add(table, cells);
	}
}

static int print_table(json_t *s)
{
	static const char *const heads[] = { "IMAGE", "ID", ">SIZE", ">LOCAL", "MOUNTED ON" };
	struct cli_table *table = cli_table_new(heads, 5);
	json_t *image;
	size_t i;
	int rc;

	if (!table)
		return cli_failf("no memory");
	print_head(s);
	json_array_foreach(json_object_get(s, "images"), i, image)
		add_image(table, image);
	if (i > 0)
		putchar('\n');
	rc = i > 0 ? cli_table_print(table, stdout) : CLI_OK;
	cli_table_free(table);
	return rc;
}

/* Also when the socket of one that was killed is still being taken down. */
static bool is_away(int r)
{
	return r == -ENOENT || r == -ECONNREFUSED || r == -ECONNRESET || r == -EPIPE;
}

int cmd_status(int argc, char **argv)
{
	uint64_t wait_s = 0;
	bool json = false;
	const struct cli_opt opts[] = {
		CLI_OPT_U64('w', "wait", "SECONDS", "wait so long for the daemon to be ready", &wait_s),
		CLI_OPT_FLAG('\0', "json", "print JSON", &json),
		CLI_OPT_END
	};
	const struct cli_usage usage = {
		.command = "status", .args = "", .min_args = 0, .max_args = 0,
		.text = "Show what the daemon serves: images, mounts, how much is local.",
		.opts = opts,
	};
	struct cli_args args;
	struct err err = ERR_INIT;
	json_auto_t *status = NULL;
	uint64_t end;
	int r, rc = cli_parse(&usage, argc, argv, &args);

	if (rc >= 0)
		return rc;
	end = io_now_ms() + (wait_s > 86400 ? 86400 : wait_s) * 1000;
	for (;;) {
		struct timespec step = { .tv_nsec = WAIT_STEP_MS * 1000000l };

		r = admin_client_call(json_pack("{s:s}", "cmd", "status"), NULL, &status, &err);
		if (!is_away(r) || io_now_ms() >= end)
			break;
		nanosleep(&step, NULL);
	}
	if (r < 0)
		return cli_fail(&err);
	return json ? cli_json_print(json_incref(status)) : print_table(status);
}
