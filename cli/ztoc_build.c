/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ztoc_build.c - `lazyerofs ztoc build`: the zTOC of a layer file, as `soci` makes it. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cli/progress.h"
#include "cli/ztoc_common.h"
#include "ztoc/build.h"

#define READ_BYTES (1u << 20)
#define STOP_LOOK_MS 200
#define ZONE_DIR "/usr/share/zoneinfo"

struct build_args {
	const char *layer, *out, *compat, *zone, *compression;
	uint64_t span_size, max_ztoc_bytes;
	bool strict, json;
};

/* The C library knows one local zone per process: fine for a command. */
static int32_t local_offset(void *arg, int64_t sec)
{
	time_t t = (time_t)sec;
	struct tm tm;

	(void)arg;
	return localtime_r(&t, &tm) ? (int32_t)tm.tm_gmtoff : 0;
}

static int set_zone(const char *zone, struct ztoc_build_opts *opts, struct err *err)
{
	char path[256];

	if (!strcmp(zone, "UTC"))
		return 0;
	if (!*zone || *zone == '/' || strstr(zone, "..") ||
	    snprintf(path, sizeof(path), ZONE_DIR "/%s", zone) >= (int)sizeof(path) ||
	    access(path, R_OK) < 0)
		return err_set(err, ERR_UNSUPPORTED, EINVAL,
			       "unknown time zone \"%s\" (no such file in " ZONE_DIR ")", zone);
	if (setenv("TZ", zone, 1) < 0)
		return err_sys(err, errno, "TZ");
	tzset();
	opts->utc_offset = local_offset;
	return 0;
}

/* gzip or plain tar, by the first bytes; anything else is left to the builder's error. */
static enum ztoc_compression sniff(const uint8_t *data, size_t len)
{
	return len >= 2 && data[0] == 0x1f && data[1] == 0x8b ? ZTOC_GZIP : ZTOC_UNCOMPRESSED;
}

/* How far it is, for a terminal only: piped, the one line at the end is enough. */
struct watched {
	struct index_progress of;
	struct progress *progress;
	const struct index_watch *watch;
	const atomic_bool *stop;
};

static void watch_begin(struct watched *w, const char *path, int fd)
{
	struct stat st;

	w->stop = cli_stop_flag();
	w->of.name = path;
	if (!isatty(STDERR_FILENO) || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	w->of.size = (uint64_t)st.st_size;
	w->progress = progress_new("layer");
	w->watch = progress_watch(w->progress);
	if (w->watch)
		w->watch->begin(w->watch->arg, &w->of, 1);
	atomic_store(&w->of.state, INDEX_INDEXING);
}

static void watch_end(struct watched *w)
{
	if (w->watch)
		w->watch->end(w->watch->arg);
	progress_free(w->progress);
}

static int read_some(int fd, const struct watched *w, uint8_t *data, size_t *ret_len,
		     struct err *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t have = 0;

	while (have < READ_BYTES) {
		/* ^C may come right before a read() that waits for ever. */
		bool ready = poll(&p, 1, STOP_LOOK_MS) != 0;
		ssize_t n;

		if (atomic_load(w->stop))
			return err_set(err, ERR_SYSTEM, ECANCELED, "interrupted");
		if (!ready)
			continue;
		n = read(fd, data + have, READ_BYTES - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "cannot read");
		if (n == 0)
			break;
		have += (size_t)n;
	}
	*ret_len = have;
	return 0;
}

DEFINE_CLEANUP(struct ztoc_builder *, ztoc_builder_free, builder_freep)

static int feed(struct ztoc_builder *b, int fd, uint8_t *data, size_t len, struct watched *w,
		struct err *err)
{
	int r = 0;

	while (r == 0 && len) {
		r = ztoc_builder_feed(b, data, len, err);
		atomic_fetch_add(&w->of.bytes, len);
		if (r == 0)
			r = read_some(fd, w, data, &len, err);
	}
	return r;
}

static int build_from(int fd, struct ztoc_build_opts *opts, bool sniff_it, struct watched *w,
		      struct ztoc_built *ret, struct err *err)
{
	cleanup_(builder_freep) struct ztoc_builder *b = NULL;
	cleanup_free uint8_t *data = malloc(READ_BYTES);
	size_t len = 0;
	int r = data ? 0 : err_sys(err, ENOMEM, "reading the layer");

	if (r == 0)
		r = read_some(fd, w, data, &len, err);
	if (r == 0 && sniff_it)
		opts->compression = sniff(data, len);
	if (r == 0)
		r = ztoc_builder_new(opts, &b, err);
	if (r == 0)
		r = feed(b, fd, data, len, w, err);
	return r < 0 ? r : ztoc_builder_finish(b, ret, err);
}

/* Is path the layer itself, or a link to it? */
static bool is_same_file(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && S_ISREG(a.st_mode) &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int write_out(const struct build_args *a, const struct ztoc_built *built,
		     const struct watched *w, struct err *err)
{
	struct cli_outfile o;
	int r = cli_outfile_open(&o, a->out, 0666, err);

	if (r < 0)
		return r;
	r = io_write_full(o.fd, built->bytes, built->len);
	if (r < 0)
		err_sys(err, -r, "cannot write %s", a->out);
	else if (atomic_load(w->stop))
		r = err_set(err, ERR_SYSTEM, ECANCELED, "interrupted");
	if (r == 0)
		return cli_outfile_commit(&o, err);
	cli_outfile_abort(&o);
	return r;
}

static int report(const struct build_args *a, const struct ztoc_built *built)
{
	char ztoc[DIGEST_TEXT_SIZE], layer[DIGEST_TEXT_SIZE], diff_id[DIGEST_TEXT_SIZE];

	digest_format(&built->ztoc, ztoc);
	digest_format(&built->layer, layer);
	digest_format(&built->diff_id, diff_id);
	if (a->json)
		return cli_json_print(json_pack(
			"{s:s, s:I, s:s, s:I, s:s, s:I, s:I, s:I, s:o}", "ztoc_digest", ztoc,
			"ztoc_size", (json_int_t)built->len, "layer_digest", layer,
			"layer_size", (json_int_t)built->layer_bytes, "diff_id", diff_id,
			"tar_size", (json_int_t)built->tar_bytes, "entries",
			(json_int_t)built->entries, "spans", (json_int_t)built->spans,
			"accepted", ztoc_accepted_json(built->accepted)));
	printf("%s  %zu bytes, %llu entries, %u spans\n", ztoc, built->len,
	       (unsigned long long)built->entries, built->spans);
	return CLI_OK;
}

static int run(const struct build_args *a, struct ztoc_build_opts *opts, struct err *err)
{
	cleanup_close int fd = -1;
	cleanup_free uint8_t *bytes = NULL;
	struct watched w = { .watch = NULL };
	struct ztoc_built built;
	int r = set_zone(a->zone, opts, err);

	if (r < 0)
		return r;
	fd = open(strcmp(a->layer, "-") ? a->layer : "/dev/stdin", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "cannot open %s", a->layer);
	if (is_same_file(fd, a->out))
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "%s is the layer itself", a->out);
	watch_begin(&w, a->layer, fd);
	r = build_from(fd, opts, !a->compression, &w, &built, err);
	watch_end(&w);
	if (r < 0)
		return err_prefix(err, "%s", a->layer);
	bytes = built.bytes;
	ztoc_warn_accepted(a->layer, built.accepted);
	r = write_out(a, &built, &w, err);
	return r < 0 || !strcmp(a->out, "-") ? r : report(a, &built);
}

/* Words to options; what is wrong with them, or NULL. */
static const char *set_opts(const struct build_args *a, struct ztoc_build_opts *opts)
{
	if (!a->out)
		return "-o FILE is missing";
	if (!strcmp(a->out, "-") && a->json)
		return "--json and the zTOC cannot both go to standard output";
	if (!a->span_size || a->span_size > INT64_MAX)
		return "--span-size is out of range";
	if (!a->max_ztoc_bytes)
		return "--max-ztoc-size is out of range";
	if (!strcmp(a->compat, "soci-0.1"))
		opts->compat = ZTOC_BUILD_SOCI_0_1;
	else if (strcmp(a->compat, "soci-0.2") != 0)
		return "--compat is soci-0.1 or soci-0.2";
	if (a->compression && !strcmp(a->compression, "none"))
		opts->compression = ZTOC_UNCOMPRESSED;
	else if (a->compression && strcmp(a->compression, "gzip") != 0)
		return "--compression is gzip or none";
	opts->span_size = a->span_size;
	opts->max_ztoc_bytes = a->max_ztoc_bytes;
	opts->strict = a->strict;
	return NULL;
}

int cmd_ztoc_build(int argc, char **argv)
{
	struct build_args a = { .compat = "soci-0.2", .zone = "UTC",
				.span_size = ZTOC_BUILD_SPAN_BYTES,
				.max_ztoc_bytes = ZTOC_BUILD_MAX_ZTOC_BYTES };
	const struct cli_opt opts[] = {
		CLI_OPT_STR('o', "output", "FILE", "where the zTOC goes (- is standard output)", &a.out),
		CLI_OPT_SIZE('\0', "span-size", "BYTES", "least size of a span (4M)",
			     &a.span_size),
		CLI_OPT_STR('\0', "compat", "soci-0.2|soci-0.1",
			    "the soci to be like (default: soci-0.2; soci-0.1: before 0.10)",
			    &a.compat),
		CLI_OPT_STR('\0', "tz", "ZONE",
			    "zone of modification times, as in Europe/Berlin (UTC)", &a.zone),
		CLI_OPT_STR('\0', "compression", "gzip|none",
			    "of the layer (default: by the first bytes)", &a.compression),
		CLI_OPT_FLAG('\0', "strict",
			     "refuse what soci refuses, though it can be served", &a.strict),
		CLI_OPT_SIZE('\0', "max-ztoc-size", "BYTES", "make no larger zTOC (512M)",
			     &a.max_ztoc_bytes),
		CLI_OPT_FLAG('\0', "json", "print JSON", &a.json),
		CLI_OPT_END
	};
	const struct cli_usage usage = {
		.command = "ztoc build", .args = "LAYER", .min_args = 1, .max_args = 1,
		.text = "Make the zTOC of a layer (tar or tar.gz; - is standard input), byte for\n"
			"byte as soci does.",
		.opts = opts,
	};
	struct ztoc_build_opts build = { .compression = ZTOC_GZIP };
	struct cli_args args;
	struct err err = ERR_INIT;
	const char *wrong;
	int rc = cli_parse(&usage, argc, argv, &args);

	if (rc >= 0)
		return rc;
	a.layer = args.v[0];
	wrong = set_opts(&a, &build);
	if (wrong)
		return cli_misuse(usage.command, "%s", wrong);
	rc = run(&a, &build, &err);
	return rc < 0 ? cli_fail(&err) : rc;
}
