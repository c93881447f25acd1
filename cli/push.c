/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push.c - `lazyerofs push`: an image with its SOCI indexes from one place to another.
 *
 * Everything keeps its digest. The tag at the destination is set last, when all that hangs
 * on it is there.
 */
#include "cli/registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/progress.h"
#include "index/copy.h"
#include "oci/push.h"

DEFINE_CLEANUP(struct oci_client *, oci_client_free, client_freep)
DEFINE_CLEANUP(struct progress *, progress_free, progress_freep)

struct push_args {
	struct cli_registry registry;
	const char *src, *dst;
	uint64_t threads, chunk_bytes;
	bool json;
};

static int report(const struct push_args *a, const struct oci_desc *top,
		  const struct copy_stats *stats)
{
	char digest[DIGEST_TEXT_SIZE], size[24];

	if (stats->incomplete)
		cli_warn("SOCI indexes left out, as they are damaged, or not all at the source: %u",
			 stats->incomplete);
	digest_format(&top->digest, digest);
	if (a->json)
		return cli_json_print(json_pack(
			"{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "digest", digest, "images",
			(json_int_t)stats->images, "indexes", (json_int_t)stats->indexes,
			"indexes_incomplete", (json_int_t)stats->incomplete, "blobs",
			(json_int_t)stats->blobs, "blobs_present", (json_int_t)stats->present,
			"blobs_taken_over", (json_int_t)stats->mounted, "bytes",
			(json_int_t)stats->bytes));
	cli_format_size(stats->bytes, size);
	printf("%s  %u images, %u SOCI indexes; %u blobs sent (%s), %u were there", digest,
	       stats->images, stats->indexes, stats->blobs, size, stats->present);
	if (stats->mounted)
		printf(", %u taken over by the registry", stats->mounted);
	putchar('\n');
	return CLI_OK;
}

/* *src becomes the image of the one platform that was asked for. */
static int choose(struct oci_client *c, const struct cli_registry *reg, struct oci_ref *src,
		  struct err *err)
{
	cleanup_(cli_images_done) struct cli_images images = { 0 };
	struct oci_ref from = *src;
	int r = cli_images_resolve(c, reg, &from, true, &images, err);

	if (r < 0)
		return r;
	if (images.n != 1)
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "one platform can be pushed alone, or "
			       "all of them");
	copy_ref_by_digest(&from, &images.v[0]->manifest.digest, src);
	return 0;
}

static int run(struct push_args *a, struct err *err)
{
	cleanup_(client_freep) struct oci_client *c = NULL;
	cleanup_(progress_freep) struct progress *progress = progress_new("blob");
	struct oci_opts opts;
	const struct copy_opts copts = { .client = &opts, .threads = (unsigned)a->threads,
					 .chunk_bytes = a->chunk_bytes,
					 .watch = progress_watch(progress),
					 .tell = cli_images_tell };
	struct oci_ref src, dst;
	struct oci_desc top;
	struct copy_stats stats = { 0 };
	int r = oci_ref_parse(a->src, &src, err);

	if (r == 0)
		r = oci_ref_parse(a->dst, &dst, err);
	if (r == 0)
		r = cli_registry_one_user(&a->registry, &src, &dst, err);
	if (r == 0)
		r = cli_registry_opts(&a->registry, &opts, err);
	opts.stop = cli_stop_flag();
	if (r == 0)
		r = oci_client_new(&opts, NULL, &c, err);
	if (r == 0 && a->registry.platforms.n)
		r = choose(c, &a->registry, &src, err);
	if (r == 0)
		cli_layout_tag(&dst);
	if (r == 0)
		r = copy_image(c, &src, &dst, &copts, &stats, &top, err);
	return r < 0 ? r : report(a, &top, &stats);
}

int cmd_push(int argc, char **argv)
{
	struct push_args a = { 0 };
	const struct cli_opt opts[] = {
		CLI_OPT_LIST('p', "platform", "OS/ARCH[/VARIANT]",
			     "only this image of an image index (default: all of it)",
			     &a.registry.platforms),
		CLI_OPT_SIZE('\0', "chunk-size", "BYTES",
			     "upload in pieces of this size (default: whole blobs)",
			     &a.chunk_bytes),
		CLI_OPT_U64('\0', "threads", "N", "blobs at once (default: one per core)",
			    &a.threads),
		CLI_OPT_FLAG('\0', "json", "print JSON", &a.json),
		CLI_REGISTRY_OPTS(&a.registry),
		CLI_OPT_END
	};
	const struct cli_usage usage = {
		.command = "push", .args = "SRC DST", .min_args = 2, .max_args = 2,
		.text = "Copy an image and its SOCI indexes from SRC to DST, each a registry\n"
			"reference or oci:DIR[:TAG]. A layout that is not there is made.",
		.opts = opts,
	};
	struct cli_args args;
	struct err err = ERR_INIT;
	int rc = cli_parse(&usage, argc, argv, &args);

	if (rc < 0 && a.threads > 64)
		rc = cli_misuse(usage.command, "--threads is out of range");
	if (rc >= 0) {
		cli_list_done(&a.registry.platforms);
		return rc;
	}
	a.src = args.v[0];
	a.dst = args.v[1];
	rc = run(&a, &err);
	cli_list_done(&a.registry.platforms);
	if (rc == -ECANCELED)
		return cli_failf("interrupted: %s does not name the image", a.dst);
	return rc < 0 ? cli_fail(&err) : rc;
}
