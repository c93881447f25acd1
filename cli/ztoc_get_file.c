/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc_get_file.c - `lazyerofs ztoc get-file`: one file out of a local copy of a layer, or
 * out of the spans that hold it, fetched from where the image is.
 *
 * Names match without regard to a leading "/" or "./" and a trailing "/". Of several
 * entries of one name the last counts, as in an unpacked layer; a hardlink leads to the
 * last entry of its target's name before it.
 */
#include "cli/cli.h"

#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cli/progress.h"
#include "cli/ztoc_source.h"

#define MAX_LINKS 40

static struct ztoc_str trim(struct ztoc_str s)
{
	for (;;) {
		if (s.len >= 1 && s.s[0] == '/')
			s.s++, s.len--;
		else if (s.len >= 2 && s.s[0] == '.' && s.s[1] == '/')
			s.s += 2, s.len -= 2;
		else
			break;
	}
	while (s.len && s.s[s.len - 1] == '/')
		s.len--;
	return s;
}

/* The last entry of that name before entry `before`; ZTOC_NO_ENTRY. */
static uint64_t find(const struct ztoc *z, struct ztoc_str name, uint64_t before)
{
	struct ztoc_str want = trim(name);

	for (uint64_t i = before; i-- > 0;) {
		struct ztoc_entry e;
		struct ztoc_str got;

		ztoc_entry_get(z, i, &e);
		got = trim(e.name);
		if (got.len == want.len && memcmp(got.s, want.s, got.len) == 0)
			return i;
	}
	return ZTOC_NO_ENTRY;
}

/* The regular file that `path` names. */
static int resolve(const struct ztoc *z, const char *path, uint64_t *ret, struct err *err)
{
	struct ztoc_str name = { path, (uint32_t)strlen(path) };
	uint64_t before = ztoc_entry_count(z);

	for (int links = 0; links < MAX_LINKS; links++) {
		uint64_t i = find(z, name, before);
		struct ztoc_entry e;

		if (i == ZTOC_NO_ENTRY)
			return err_set(err, ERR_UNSUPPORTED, ENOENT,
				       links ? "%s: links to a file that is not in this layer"
					     : "%s: no such file in this layer", path);
		ztoc_entry_get(z, i, &e);
		if (e.type == ZTOC_REG) {
			*ret = i;
			return 0;
		}
		if (e.type != ZTOC_HARDLINK)
			return err_set(err, ERR_UNSUPPORTED, EINVAL, "%s: a %s, not a regular file",
				       path, ztoc_type_word(e.type));
		name = e.linkname;
		before = i;
	}
	return err_set(err, ERR_UNSUPPORTED, ELOOP, "%s: too many hard links in a row", path);
}

/* One extraction; digest and bytes of what came out. */
struct job {
	struct ztoc_source src;
	const char *path, *layer, *out_path;
	struct extract x;
	int fd;
	uint64_t bytes;
	struct digest_ctx hash;
};

static int write_sink(void *arg, const uint8_t *data, size_t len)
{
	struct job *job = arg;

	if (job->src.stop && atomic_load(job->src.stop))
		return -ECANCELED;
	job->bytes += len;
	digest_update(&job->hash, data, len);
	return io_write_full(job->fd, data, len);
}

static int extract_to(struct job *job, struct err *err)
{
	uint64_t i = 0;
	int r = resolve(job->x.ztoc, job->path, &i, err);

	if (r < 0)
		return r;
	if (!job->layer)
		r = ztoc_source_fetch(&job->src, job->x.ztoc, i, &job->x, err);
	digest_init(&job->hash);
	if (r == 0)
		r = extract_entry(&job->x, i, write_sink, job, err);
	if (r == -ECANCELED)
		err_set(err, ERR_SYSTEM, ECANCELED, "interrupted");
	return r < 0 ? err_prefix(err, "%s", job->path) : 0;
}

static int extract_to_file(struct job *job, struct err *err)
{
	struct cli_outfile file;
	int r = cli_outfile_open(&file, job->out_path, 0666, err);

	if (r < 0)
		return r;
	job->fd = file.fd;
	r = extract_to(job, err);
	if (r == 0)
		r = cli_outfile_commit(&file, err);
	cli_outfile_abort(&file);
	return r;
}

static int report(struct job *job)
{
	char text[DIGEST_TEXT_SIZE];
	json_t *o = json_object();
	struct digest d;
	int bad;

	digest_final(&job->hash, &d);
	digest_format(&d, text);
	bad = cli_json_set_bytes(o, "path", job->path, strlen(job->path));
	bad |= cli_json_set_bytes(o, "output", job->out_path, strlen(job->out_path));
	bad |= json_object_set_new(o, "size", json_integer((json_int_t)job->bytes));
	bad |= json_object_set_new(o, "digest", json_string(text));
	if (!job->layer)
		bad |= json_object_set_new(
			o, "fetched_bytes",
			json_integer((json_int_t)(job->x.part_end - job->x.part_start)));
	if (bad) {
		json_decref(o);
		o = NULL;
	}
	return cli_json_print(o);
}

static int run(struct job *job, const char *ztoc, bool json)
{
	cleanup_(ztoc_file_done) struct ztoc_file f = ZTOC_FILE_INIT;
	struct err err = ERR_INIT;
	int r = ztoc_source_file(&job->src, ztoc, &f, &err);

	job->x.ztoc = f.ztoc;
	if (r == 0 && job->layer)
		r = ztoc_layer_open(f.ztoc, job->layer, &job->x.layer_fd, &err);
	if (job->out_path)	/* no half a file is left */
		job->src.stop = cli_stop_flag();
	if (r == 0)
		r = job->out_path ? extract_to_file(job, &err) : extract_to(job, &err);
	if (r < 0)
		return cli_fail(&err);
	return json ? report(job) : CLI_OK;
}

static void job_done(struct job *job)
{
	cleanup_closep(&job->x.layer_fd);
	ztoc_source_done(&job->src);
}

int cmd_ztoc_get_file(int argc, char **argv)
{
	cleanup_(job_done) struct job job = {
		.src = ZTOC_SOURCE_INIT, .fd = STDOUT_FILENO,
		.x = { .layer_fd = -1, .backend = INFLATE_BEST },
	};
	bool json = false;
	const struct cli_opt opts[] = {
		CLI_OPT_STR('l', "layer", "FILE",
			    "local copy of the layer blob (required without --image)", &job.layer),
		CLI_OPT_STR('o', "output", "FILE", "write there, not to standard output",
			    &job.out_path),
		CLI_OPT_FLAG('\0', "json", "with -o: print size and digest as JSON", &json),
		ZTOC_SOURCE_OPTS(&job.src),
		CLI_OPT_END
	};
	const struct cli_usage usage = {
		.command = "ztoc get-file", .args = "ZTOC PATH", .min_args = 2, .max_args = 2,
		.text = "Extract one regular file, through the spans that hold it. The spans' digests\n"
			"are checked before anything is written. ZTOC is a file (\"-\": standard input) or,\n"
			"with --image, the digest of a zTOC or layer of the image, or the beginning of it;\n"
			"without --layer the spans alone are fetched from where the image is.",
		.opts = opts,
	};
	struct cli_args args;
	int rc = cli_parse(&usage, argc, argv, &args);

	if (rc >= 0)
		return rc;
	if (ztoc_source_misuse(&job.src, usage.command))
		return CLI_USAGE;
	if (!job.layer && !job.src.image)
		return cli_misuse(usage.command, "--layer or --image is required");
	if (json && !job.out_path)
		return cli_misuse(usage.command, "--json goes with --output");
	job.path = args.v[1];
	return run(&job, args.v[0], json);
}
