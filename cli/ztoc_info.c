/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ztoc_info.c - `lazyerofs ztoc info`: the header of a zTOC and its spans. */
#include "cli/cli.h"

#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/ztoc_source.h"

static uint64_t count_multi_span(const struct ztoc *z)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < ztoc_entry_count(z); i++) {
		struct ztoc_entry e;
		uint32_t first, last;

		ztoc_entry_get(z, i, &e);
		ztoc_entry_spans(z, &e, &first, &last);
		n += first != last;
	}
	return n;
}

static json_t *json_span(const struct ztoc *z, uint32_t i)
{
	char digest[DIGEST_TEXT_SIZE];
	struct ztoc_span s;

	ztoc_span_get(z, i, &s);
	digest_format(&s.digest, digest);
	return json_pack("{s:I s:I s:I s:I s:i s:s}", "comp_start", (json_int_t)s.comp_start,
			 "comp_end", (json_int_t)s.comp_end, "out_start",
			 (json_int_t)s.out_start, "out_end", (json_int_t)s.out_end, "bits",
			 (int)s.bits, "digest", digest);
}

/* Which of an image it is. */
struct origin {
	char ztoc[DIGEST_TEXT_SIZE], layer[DIGEST_TEXT_SIZE], index[DIGEST_TEXT_SIZE];
};

static void format_origin(const struct ztoc_row *row, struct origin *ret)
{
	digest_format(&row->ztoc.digest, ret->ztoc);
	digest_format(&row->layer.digest, ret->layer);
	digest_format(&row->index, ret->index);
}

static int json_origin(json_t *o, const struct ztoc_row *row)
{
	struct origin from;
	int bad;

	format_origin(row, &from);
	bad = json_object_set_new(o, "digest", json_string(from.ztoc));
	bad |= json_object_set_new(o, "layer", json_string(from.layer));
	bad |= json_object_set_new(o, "index", json_string(from.index));
	return bad;
}

/* row: NULL, or where the zTOC comes from */
static json_t *json_info(const struct ztoc_file *f, const struct ztoc_row *row)
{
	const struct ztoc *z = f->ztoc;
	struct ztoc_str version = ztoc_version(z), tool = ztoc_build_tool(z);
	json_t *o = json_object(), *spans = json_array();
	bool legacy;
	int bad = 0;

	ztoc_checkpoints_offset(z, &legacy);
	if (row)
		bad |= json_origin(o, row);
	bad |= cli_json_set_bytes(o, "version", version.s, version.len);
	bad |= cli_json_set_bytes(o, "build_tool", tool.s, tool.len);
	bad |= json_object_set_new(o, "size", json_integer((json_int_t)f->bytes.len));
	bad |= json_object_set_new(o, "compression",
				   json_string(ztoc_compression_word(ztoc_compression(z))));
	bad |= json_object_set_new(o, "compressed_archive_size",
				   json_integer((json_int_t)ztoc_comp_size(z)));
	bad |= json_object_set_new(o, "uncompressed_archive_size",
				   json_integer((json_int_t)ztoc_out_size(z)));
	bad |= json_object_set_new(o, "span_size", json_integer((json_int_t)ztoc_span_size(z)));
	bad |= json_object_set_new(o, "num_spans", json_integer(ztoc_span_count(z)));
	bad |= json_object_set_new(o, "num_files",
				   json_integer((json_int_t)ztoc_entry_count(z)));
	bad |= json_object_set_new(o, "num_multi_span_files",
				   json_integer((json_int_t)count_multi_span(z)));
	bad |= json_object_set_new(o, "legacy_checkpoints", json_boolean(legacy));
	bad |= json_object_set_new(o, "lazy", json_boolean(ztoc_check_lazy(z, NULL) == 0));
	for (uint32_t i = 0; i < ztoc_span_count(z); i++)
		bad |= json_array_append_new(spans, json_span(z, i));
	bad |= json_object_set_new(o, "spans", spans);
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static void print_str(const char *label, struct ztoc_str s)
{
	printf("%-17s ", label);
	cli_print_bytes(stdout, s.s, s.len);
	putchar('\n');
}

static void print_bytes_line(const char *label, uint64_t bytes)
{
	char text[24];

	printf("%-17s %s (%" PRIu64 " bytes)\n", label, cli_format_size(bytes, text), bytes);
}

static void print_origin(const struct ztoc_row *row)
{
	struct origin from;

	format_origin(row, &from);
	printf("%-17s %s\n%-17s %s\n%-17s %s\n", "digest", from.ztoc, "of layer", from.layer,
	       "named by index", from.index);
}

static void print_info(const struct ztoc_file *f)
{
	const struct ztoc *z = f->ztoc;
	struct err err = ERR_INIT;
	bool legacy;

	ztoc_checkpoints_offset(z, &legacy);
	print_str("version", ztoc_version(z));
	print_str("built by", ztoc_build_tool(z));
	print_bytes_line("zTOC", f->bytes.len);
	printf("%-17s %s\n", "compression", ztoc_compression_word(ztoc_compression(z)));
	print_bytes_line("layer", ztoc_comp_size(z));
	print_bytes_line("tar", ztoc_out_size(z));
	printf("%-17s %" PRIu32 "%s\n", "spans", ztoc_span_count(z),
	       legacy ? " (legacy checkpoints)" : "");
	print_bytes_line("span size", ztoc_span_size(z));
	printf("%-17s %" PRIu64 "\n", "files", ztoc_entry_count(z));
	printf("%-17s %" PRIu64 "\n", "multi-span files", count_multi_span(z));
	if (ztoc_check_lazy(z, &err) < 0) {
		printf("%-17s no: ", "lazy");
		cli_print_bytes(stdout, err.text, strlen(err.text));
		putchar('\n');
	} else {
		printf("%-17s yes\n", "lazy");
	}
}

static int print_spans(const struct ztoc *z)
{
	static const char *const heads[] = { ">ID", ">LAYER FROM", ">TO", ">TAR FROM",
					     ">TO", ">BITS", "DIGEST" };
	struct cli_table *t = cli_table_new(heads, 7);
	int rc;

	for (uint32_t i = 0; i < ztoc_span_count(z); i++) {
		char n[6][24], digest[DIGEST_TEXT_SIZE];
		const char *cells[7] = { n[0], n[1], n[2], n[3], n[4], n[5], digest };
		struct ztoc_span s;

		ztoc_span_get(z, i, &s);
		digest_format(&s.digest, digest);
		snprintf(n[0], sizeof(n[0]), "%" PRIu32, i);
		snprintf(n[1], sizeof(n[1]), "%" PRIu64, s.comp_start);
		snprintf(n[2], sizeof(n[2]), "%" PRIu64, s.comp_end);
		snprintf(n[3], sizeof(n[3]), "%" PRIu64, s.out_start);
		snprintf(n[4], sizeof(n[4]), "%" PRIu64, s.out_end);
		snprintf(n[5], sizeof(n[5]), "%u", s.bits);
		cli_table_add(t, cells);
	}
	putchar('\n');
	rc = cli_table_print(t, stdout);
	cli_table_free(t);
	return rc;
}

int cmd_ztoc_info(int argc, char **argv)
{
	cleanup_(ztoc_source_done) struct ztoc_source src = ZTOC_SOURCE_INIT;
	bool json = false, spans = false;
	const struct cli_opt opts[] = {
		CLI_OPT_FLAG('\0', "json", "print JSON (with the spans)", &json),
		CLI_OPT_FLAG('s', "spans", "print the spans too", &spans),
		ZTOC_SOURCE_OPTS(&src),
		CLI_OPT_END
	};
	const struct cli_usage usage = {
		.command = "ztoc info", .args = "ZTOC", .min_args = 1, .max_args = 1,
		.text = "Print what a zTOC says about its layer. ZTOC is a file (\"-\": standard input) or,\n"
			"with --image, the digest of a zTOC or layer of the image, or the beginning of it.",
		.opts = opts,
	};
	cleanup_(ztoc_file_done) struct ztoc_file f = ZTOC_FILE_INIT;
	struct err err = ERR_INIT;
	struct cli_args args;
	int rc = cli_parse(&usage, argc, argv, &args);

	if (rc >= 0)
		return rc;
	if (ztoc_source_misuse(&src, usage.command))
		return CLI_USAGE;
	if (ztoc_source_file(&src, args.v[0], &f, &err) < 0)
		return cli_fail(&err);
	if (json)
		return cli_json_print(json_info(&f, src.chosen));
	if (src.chosen)
		print_origin(src.chosen);
	print_info(&f);
	return spans ? print_spans(f.ztoc) : CLI_OK;
}
