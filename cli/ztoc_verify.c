/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ztoc_verify.c - `lazyerofs ztoc verify`: a whole layer against its zTOC. */
#include "cli/cli.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "cli/ztoc_common.h"
#include "ztoc/verify.h"

static json_t *json_totals(const struct verify_totals *t, const struct err *err)
{
	return json_pack("{s:b s:I s:I s:I s:I s:I s:I s:I s:s*}", "ok", err->kind == ERR_NONE,
			 "spans", (json_int_t)t->spans, "layer_bytes",
			 (json_int_t)t->comp_bytes, "tar_bytes", (json_int_t)t->out_bytes,
			 "entries", (json_int_t)t->entries, "files", (json_int_t)t->files,
			 "file_bytes", (json_int_t)t->file_bytes, "sparse_files",
			 (json_int_t)t->sparse_files, "error",
			 err->kind == ERR_NONE ? NULL : err->text);
}

static int report(const struct verify_totals *t, const struct err *err, bool json)
{
	char layer[24], files[24];

	if (json && cli_json_print(json_totals(t, err)) != CLI_OK)
		return CLI_FAILED;
	if (err->kind != ERR_NONE)
		return cli_fail(err);
	if (!json)
		printf("%" PRIu64 " spans (%s) are as the zTOC says; %" PRIu64 " entries, %" PRIu64
		       " files with %s can be read\n",
		       t->spans, cli_format_size(t->comp_bytes, layer), t->entries, t->files,
		       cli_format_size(t->file_bytes, files));
	return CLI_OK;
}

int cmd_ztoc_verify(int argc, char **argv)
{
	const char *layer = NULL;
	bool json = false;
	const struct cli_opt opts[] = {
		CLI_OPT_STR('l', "layer", "FILE", "local copy of the layer blob (required)", &layer),
		CLI_OPT_FLAG('\0', "json", "print JSON", &json),
		CLI_OPT_END
	};
	const struct cli_usage usage = {
		.command = "ztoc verify", .args = "ZTOC", .min_args = 1, .max_args = 1,
		.text = "Check that a layer is the one a zTOC was made for: every span's digest, every\n"
			"checkpoint, and every entry against the tar's own headers.",
		.opts = opts,
	};
	cleanup_(ztoc_file_done) struct ztoc_file f = ZTOC_FILE_INIT;
	struct verify_totals totals = { 0 };
	cleanup_close int layer_fd = -1;
	struct err err = ERR_INIT;
	struct cli_args args;
	struct extract x;
	int rc = cli_parse(&usage, argc, argv, &args), r;

	if (rc >= 0)
		return rc;
	if (!layer)
		return cli_misuse(usage.command, "--layer is required");
	r = ztoc_file_open(&f, args.v[0], &err);
	if (r == 0)
		r = ztoc_layer_open(f.ztoc, layer, &layer_fd, &err);
	x = (struct extract){ f.ztoc, layer_fd, INFLATE_BEST };
	if (r == 0)
		r = verify_layer(&x, &totals, &err);
	if (r == 0)
		ztoc_check_lazy(f.ztoc, &err);
	return report(&totals, &err, json);
}
