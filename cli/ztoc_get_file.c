/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc_get_file.c - `lazyerofs ztoc get-file`: one file out of a local copy of a layer.
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
#include "cli/ztoc_common.h"

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

struct output {
	int fd;
	uint64_t bytes;
	struct digest_ctx hash;
};

static int write_sink(void *arg, const uint8_t *data, size_t len)
{
	struct output *out = arg;

	out->bytes += len;
	digest_update(&out->hash, data, len);
	return io_write_full(out->fd, data, len);
}

static int extract_to(const struct extract *x, const char *path, struct output *out,
		      struct err *err)
{
	uint64_t i = 0;
	int r = resolve(x->ztoc, path, &i, err);

	if (r < 0)
		return r;
	digest_init(&out->hash);
	r = extract_entry(x, i, write_sink, out, err);
	return r < 0 ? err_prefix(err, "%s", path) : 0;
}

static int extract_to_file(const struct extract *x, const char *path, const char *out_path,
			   struct output *out, struct err *err)
{
	struct cli_outfile file;
	int r = cli_outfile_open(&file, out_path, 0666, err);

	if (r < 0)
		return r;
	out->fd = file.fd;
	r = extract_to(x, path, out, err);
	if (r == 0)
		r = cli_outfile_commit(&file, err);
	cli_outfile_abort(&file);
	return r;
}

static int report(const char *path, const char *out_path, struct output *out)
{
	char text[DIGEST_TEXT_SIZE];
	json_t *o = json_object();
	struct digest d;

	digest_final(&out->hash, &d);
	digest_format(&d, text);
	if (cli_json_set_bytes(o, "path", path, strlen(path)) < 0 ||
	    cli_json_set_bytes(o, "output", out_path, strlen(out_path)) < 0 ||
	    json_object_set_new(o, "size", json_integer((json_int_t)out->bytes)) < 0 ||
	    json_object_set_new(o, "digest", json_string(text)) < 0) {
		json_decref(o);
		o = NULL;
	}
	return cli_json_print(o);
}

int cmd_ztoc_get_file(int argc, char **argv)
{
	const char *layer = NULL, *out_path = NULL;
	bool json = false;
	const struct cli_opt opts[] = {
		CLI_OPT_STR('l', "layer", "FILE", "local copy of the layer blob (required)", &layer),
		CLI_OPT_STR('o', "output", "FILE", "write there, not to standard output", &out_path),
		CLI_OPT_FLAG('\0', "json", "with -o: print size and digest as JSON", &json),
		CLI_OPT_END
	};
	const struct cli_usage usage = {
		.command = "ztoc get-file", .args = "ZTOC PATH", .min_args = 2, .max_args = 2,
		.text = "Extract one regular file, through the spans that hold it. The spans' digests\n"
			"are checked before anything is written.",
		.opts = opts,
	};
	cleanup_(ztoc_file_done) struct ztoc_file f = ZTOC_FILE_INIT;
	struct output out = { .fd = STDOUT_FILENO };
	cleanup_close int layer_fd = -1;
	struct err err = ERR_INIT;
	struct cli_args args;
	struct extract x;
	int rc = cli_parse(&usage, argc, argv, &args), r;

	if (rc >= 0)
		return rc;
	if (!layer)
		return cli_misuse(usage.command, "--layer is required");
	if (json && !out_path)
		return cli_misuse(usage.command, "--json goes with --output");
	if (ztoc_file_open(&f, args.v[0], &err) < 0 ||
	    ztoc_layer_open(f.ztoc, layer, &layer_fd, &err) < 0)
		return cli_fail(&err);
	x = (struct extract){ f.ztoc, layer_fd, INFLATE_BEST };
	r = out_path ? extract_to_file(&x, args.v[1], out_path, &out, &err)
		     : extract_to(&x, args.v[1], &out, &err);
	if (r < 0)
		return cli_fail(&err);
	return json ? report(args.v[1], out_path, &out) : CLI_OK;
}
