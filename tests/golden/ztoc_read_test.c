/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc_read_test.c - every zTOC that soci wrote for us, read back and compared with what an
 * independent decoder (decoded/, toc/), soci itself (info/) and Python's tarfile (truth/)
 * said about it; every span and every file extracted with zlib and with ISA-L.
 */
#include "tests/unit/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <jansson.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "ztoc/verify.h"

#define FIXTURES "tests/fixtures/soci"
#define ZEROS_32K "sha256:c35020473aed1b4642cd726cad727b63fff2824ad68cedd7ffb73c7cbd890479"

struct fixture {
	char set[64], name[64];	/* soci-head-smallspan, gzv-mm2 */
	char layer_name[64];	/* name up to its first '.' */
	struct buf bytes;
	struct ztoc *z;
	int layer_fd;
};

static const char *fixture_path(const char *fmt, ...)
{
	char rel[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(rel, sizeof(rel), fmt, ap);
	va_end(ap);
	return tap_src(rel);
}

static uint64_t get_u64(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static const char *get_str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static bool str_is(struct ztoc_str s, const char *want)
{
	return s.len == strlen(want) && !memcmp(s.s, want, s.len);
}

/* o[key] as text, or o[key_hex] as hexadecimal digits. */
static bool bytes_are(struct ztoc_str s, const json_t *o, const char *key)
{
	char hex_key[32], byte[3];
	const char *hex;

	snprintf(hex_key, sizeof(hex_key), "%s_hex", key);
	hex = json_string_value(json_object_get(o, hex_key));
	if (!hex)
		return str_is(s, get_str(o, key));
	if (strlen(hex) != 2 * (size_t)s.len)
		return false;
	for (uint32_t i = 0; i < s.len; i++) {
		snprintf(byte, sizeof(byte), "%02x", (unsigned char)s.s[i]);
		if (memcmp(byte, hex + 2 * i, 2))
			return false;
	}
	return true;
}

/* --- decoded/: header, checkpoints, spans ------------------------------------------ */

static bool span_is(const struct fixture *f, uint32_t i, const json_t *want)
{
	char digest[DIGEST_TEXT_SIZE];
	struct ztoc_span s;

	ztoc_span_get(f->z, i, &s);
	digest_format(&s.digest, digest);
	/* the decoder gives a last span past the end a negative length; ours is empty */
	return s.comp_start == get_u64(want, "cs") && s.comp_end == get_u64(want, "ce") &&
	       s.out_start == get_u64(want, "us") &&
	       (s.out_end == get_u64(want, "ue") ||
		(i + 1 == ztoc_span_count(f->z) && s.out_end == s.out_start &&
		 get_u64(want, "ue") < s.out_start)) &&
	       !strcmp(digest, get_str(want, "digest"));
}

static bool checkpoint_is(const struct fixture *f, uint32_t i, const json_t *want)
{
	char text[DIGEST_TEXT_SIZE] = ZEROS_32K;
	struct ztoc_span s;
	struct digest d;

	ztoc_span_get(f->z, i, &s);
	if (s.window) {
		digest_of(s.window, ZTOC_WINDOW_BYTES, &d);
		digest_format(&d, text);
		if (memcmp(f->bytes.data + ztoc_window_offset(f->z, i), s.window,
			   ZTOC_WINDOW_BYTES))
			return false;
	}
	return s.bits == get_u64(want, "bits") && s.out_start == get_u64(want, "out") &&
	       s.comp_start + (s.bits ? 1 : 0) == get_u64(want, "in") &&
	       !strcmp(text + strlen("sha256:"), get_str(want, "window_sha256"));
}

static void check_decoded(const struct fixture *f)
{
	json_t *d = json_load_file(
		fixture_path(FIXTURES "/decoded/%s/%s.json", f->set, f->name), 0, NULL);
	const json_t *spans = json_object_get(d, "spans"), *ckpts = json_object_get(d, "checkpoints");
	const json_t *head = json_object_get(d, "checkpoints_header");
	bool same;
	size_t i;
	json_t *v;

	if (!d)
		bail("no decoded/%s/%s.json", f->set, f->name);
	same = str_is(ztoc_version(f->z), get_str(d, "version")) &&
	       str_is(ztoc_build_tool(f->z), get_str(d, "build_tool")) &&
	       ztoc_comp_size(f->z) == get_u64(d, "compressed_archive_size") &&
	       ztoc_out_size(f->z) == get_u64(d, "uncompressed_archive_size") &&
	       (uint64_t)ztoc_compression(f->z) == get_u64(d, "algorithm") &&
	       ztoc_span_count(f->z) == get_u64(d, "max_span_id") + 1 &&
	       ztoc_entry_count(f->z) == get_u64(d, "num_files");
	same &= ztoc_span_size(f->z) ==
		(head ? get_u64(head, "span_size")
		      : get_u64(json_object_get(d, "tar_zinfo"), "span"));
	ok(same, "%s/%s: header as decoded", f->set, f->name);
	same = json_array_size(spans) == ztoc_span_count(f->z);
	json_array_foreach((json_t *)(uintptr_t)spans, i, v)
		same = same && span_is(f, (uint32_t)i, v);
	if (ztoc_compression(f->z) == ZTOC_GZIP)
		same &= json_array_size(ckpts) == ztoc_span_count(f->z);
	json_array_foreach((json_t *)(uintptr_t)ckpts, i, v)
		same = same && checkpoint_is(f, (uint32_t)i, v);
	ok(same, "%s/%s: %zu spans and checkpoints as decoded", f->set, f->name,
	   json_array_size(spans));
	json_decref(d);
}

/* --- toc/: every field of every entry ---------------------------------------------- */

static const char *type_word(enum ztoc_type t)
{
	static const char *const words[] = { "reg",  "hardlink", "symlink", "dir",
					     "char", "block",	 "fifo" };

	return words[t];
}

static bool pax_is(const struct fixture *f, uint64_t i, uint32_t n, const json_t *want)
{
	if (n != json_array_size(want))
		return false;
	for (uint32_t k = 0; k < n; k++) {
		const json_t *w = json_array_get(want, k);
		struct ztoc_xattr x;

		ztoc_xattr_get(f->z, i, k, &x);
		if (!bytes_are(x.key, w, "k") || !bytes_are(x.value, w, "v"))
			return false;
	}
	return true;
}

static bool entry_is(const struct fixture *f, uint64_t i, const json_t *want)
{
	const json_t *dev = json_object_get(want, "dev");
	uint64_t major = (uint64_t)json_integer_value(json_array_get(dev, 0));
	uint64_t minor = (uint64_t)json_integer_value(json_array_get(dev, 1));
	struct ztoc_entry e;
	uint64_t raw = ztoc_entry_raw_size(f->z, i);

	ztoc_entry_get(f->z, i, &e);
	return bytes_are(e.name, want, "name") && bytes_are(e.linkname, want, "link") &&
	       !strcmp(type_word(e.type), get_str(want, "type")) &&
	       e.offset == get_u64(want, "off") && raw == get_u64(want, "size") &&
	       e.size == (e.type == ZTOC_REG ? raw : 0) &&
	       e.mode == strtoul(get_str(want, "mode"), NULL, 8) &&
	       e.uid == get_u64(want, "uid") && e.gid == get_u64(want, "gid") &&
	       e.devmajor == major && e.devminor == minor &&
	       pax_is(f, i, e.nxattrs, json_object_get(want, "pax"));
}

/* The times of timezone/ are in another zone: compare what they mean. */
static bool time_is(const struct fixture *f, uint64_t i, const json_t *want)
{
	struct ztoc_entry e;

	ztoc_entry_get(f->z, i, &e);
	if (strcmp(f->set, "timezone"))
		return str_is(ztoc_entry_mod_time(f->z, i), get_str(want, "mtime"));
	return e.mtime_sec == 1700000000 && !str_is(ztoc_entry_mod_time(f->z, i),
						    get_str(want, "mtime"));
}

static void check_toc(const struct fixture *f)
{
	cleanup_fclose FILE *in =
		fopen(fixture_path(FIXTURES "/toc/%s.jsonl", f->layer_name), "re");
	char *line = NULL;
	size_t cap = 0;
	uint64_t i = 0;
	bool same = true, times = true;

	if (!in)
		bail("no toc/%s.jsonl", f->layer_name);
	while (getline(&line, &cap, in) > 1) {
		json_t *want = json_loads(line, 0, NULL);

		same = same && want && i < ztoc_entry_count(f->z) && entry_is(f, i, want);
		times = times && same && time_is(f, i, want);
		if (same)
			i++;
		json_decref(want);
	}
	ok(same && i == ztoc_entry_count(f->z), "%s/%s: %llu entries as decoded", f->set, f->name,
	   (unsigned long long)i);
	ok(times, "%s/%s: their times", f->set, f->name);
	free(line);
}

/* --- info/: what soci itself says --------------------------------------------------- */

static void check_info(const struct fixture *f)
{
	json_t *d = json_load_file(fixture_path(FIXTURES "/info/%s/%s.json", f->set, f->name), 0,
				   NULL);
	const json_t *files = json_object_get(d, "files");
	bool same = true;
	size_t i;
	json_t *v;

	if (!d)		/* soci refused it, or was not asked */
		return;
	json_array_foreach((json_t *)(uintptr_t)files, i, v) {
		struct ztoc_entry e;

		ztoc_entry_get(f->z, i, &e);
		same = same && e.offset == get_u64(v, "offset") &&
		       ztoc_span_find(f->z, e.offset) == get_u64(v, "start_span") &&
		       ztoc_span_find(f->z, e.offset + e.size) == get_u64(v, "end_span");
	}
	ok(same && i == ztoc_entry_count(f->z) &&
	   get_u64(d, "num_spans") == ztoc_span_count(f->z) &&
	   get_u64(d, "span_size") == ztoc_span_size(f->z),
	   "%s/%s: spans of %zu files as soci says", f->set, f->name, i);
	json_decref(d);
}

/* --- truth/: the bytes -------------------------------------------------------------- */

static int hash_sink(void *arg, const uint8_t *data, size_t len)
{
	digest_update(arg, data, len);
	return 0;
}

static int hash_entry(const struct extract *x, uint64_t i, char ret[DIGEST_HEX_LEN + 1],
		      struct err *err)
{
	struct digest_ctx ctx;
	struct digest d;
	int r;

	digest_init(&ctx);
	r = extract_entry(x, i, hash_sink, &ctx, err);
	digest_final(&ctx, &d);
	digest_format_hex(&d, ret);
	return r;
}

/* The same out of a file that holds those bytes of the layer alone that it takes. */
static int hash_part(const struct fixture *f, uint64_t i, char ret[DIGEST_HEX_LEN + 1],
		     struct err *err)
{
	struct extract x = { f->z, memfd_create("part", MFD_CLOEXEC), INFLATE_BEST, 0, 0 };
	int r = extract_entry_part(f->z, i, &x.part_start, &x.part_end, err);
	size_t len = (size_t)(x.part_end - x.part_start);
	cleanup_free uint8_t *bytes = malloc(len + 1);

	if (x.layer_fd < 0 || !bytes || io_pread_full(f->layer_fd, bytes, len, x.part_start) < 0 ||
	    io_write_full(x.layer_fd, bytes, len) < 0)
		bail("part of a layer");
	if (r == 0)
		r = hash_entry(&x, i, ret, err);
	close(x.layer_fd);
	return r;
}

static bool file_is(const struct fixture *f, uint64_t i, const char *want)
{
	struct extract x = { .ztoc = f->z, .layer_fd = f->layer_fd };
	char hex[DIGEST_HEX_LEN + 1] = "";
	struct err err = ERR_INIT;
	bool same = true;

	if (ztoc_entry_is_sparse(f->z, i))
		return hash_entry(&x, i, hex, &err) == -EOPNOTSUPP &&
		       err.kind == ERR_UNSUPPORTED && hash_part(f, i, hex, &err) == -EOPNOTSUPP;
	for (int b = 0; b < 1 + inflate_has_isal() && same; b++) {
		x.backend = b ? INFLATE_ISAL : INFLATE_ZLIB;
		same = hash_entry(&x, i, hex, &err) == 0 && !strcmp(hex, want);
	}
	same = same && hash_part(f, i, hex, &err) == 0 && !strcmp(hex, want);
	if (!same)
		printf("# entry %llu: %s %s\n", (unsigned long long)i, hex, err.text);
	return same;
}

static void check_truth(const struct fixture *f)
{
	cleanup_fclose FILE *in =
		fopen(fixture_path(FIXTURES "/truth/%s.tsv", f->layer_name), "re");
	unsigned long long size, off;
	char *line = NULL, hash[100], type[16];
	size_t cap = 0;
	uint64_t i = 0, files = 0;
	bool same = true;

	if (!in)
		bail("no truth/%s.tsv", f->layer_name);
	while (getline(&line, &cap, in) > 0 && same) {
		struct ztoc_entry e;

		if (*line == '#')
			continue;
		if (sscanf(line, "%99s %llu %llu %15s", hash, &size, &off, type) != 4 ||
		    i >= ztoc_entry_count(f->z))
			bail("truth/%s.tsv: %s", f->layer_name, line);
		ztoc_entry_get(f->z, i, &e);
		/* tarfile's data offset of a sparse file lies behind its map */
		same = !strcmp(type_word(e.type), type) &&
		       (e.offset == off || ztoc_entry_is_sparse(f->z, i));
		if (same && e.type == ZTOC_REG) {
			same = file_is(f, i, hash) && e.size == size;
			files++;
		}
		i++;
	}
	ok(same && i == ztoc_entry_count(f->z), "%s/%s: %llu files have their true content",
	   f->set, f->name, (unsigned long long)files);
	free(line);
}

static void check_spans(const struct fixture *f)
{
	struct err err = ERR_INIT;
	struct verify_totals t;
	int r = 0;

	for (int b = 0; r == 0 && b < 1 + inflate_has_isal(); b++) {
		struct extract x = { f->z, f->layer_fd, b ? INFLATE_ISAL : INFLATE_ZLIB };

		r = verify_layer(&x, &t, &err);
	}
	ok(r == 0, "%s/%s: verifies: spans, windows, entries %s", f->set, f->name,
	   err.text);
}

/* --- the fixtures ------------------------------------------------------------------- */

static bool fixture_open(struct fixture *f, const char *path)
{
	const char *base = strrchr(path, '/') + 1, *set = base - 1, *layer;
	struct err err = ERR_INIT;

	while (set[-1] != '/')
		set--;
	*f = (struct fixture){ .layer_fd = -1 };
	snprintf(f->set, sizeof(f->set), "%.*s", (int)(base - 1 - set), set);
	snprintf(f->name, sizeof(f->name), "%.*s", (int)(strlen(base) - strlen(".ztoc")), base);
	layer = strncmp(f->name, "synthetic-v1-", 13) ? f->name : f->name + 13;
	snprintf(f->layer_name, sizeof(f->layer_name), "%.*s", (int)strcspn(layer, "."), layer);
	if (io_read_file(AT_FDCWD, path, &f->bytes) < 0 ||
	    ztoc_open(f->bytes.data, f->bytes.len, &f->z, &err) < 0) {
		ok(false, "%s opens: %s", path, err.text);
		return false;
	}
	f->layer_fd = open(fixture_path(FIXTURES "/layers/%s.tar.gz", f->layer_name),
			   O_RDONLY | O_CLOEXEC);
	if (f->layer_fd < 0)
		f->layer_fd = open(fixture_path(FIXTURES "/layers/%s.tar", f->layer_name),
				   O_RDONLY | O_CLOEXEC);
	return ok(f->layer_fd >= 0, "%s/%s opens", f->set, f->name);
}

static void fixture_done(struct fixture *f)
{
	if (f->layer_fd >= 0)
		close(f->layer_fd);
	ztoc_free(f->z);
	buf_done(&f->bytes);
}

static void test_fixtures(void)
{
	glob_t g;

	if (glob(tap_src(FIXTURES "/ztoc/*/*.ztoc"), 0, NULL, &g) != 0)
		bail("no fixtures");
	ok(g.gl_pathc >= 57, "%zu zTOCs to read", g.gl_pathc);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct fixture f;

		if (fixture_open(&f, g.gl_pathv[i])) {
			if (strcmp(f.set, "timezone")) {
				check_decoded(&f);
				check_info(&f);
			}
			check_toc(&f);
			check_truth(&f);
			check_spans(&f);
			ok((ztoc_check_lazy(f.z, NULL) == 0) == !strstr(f.name, "sparse"),
			   "%s/%s: lazy unless sparse", f.set, f.name);
		}
		fixture_done(&f);
	}
	globfree(&g);
}

static void legacy_open(struct fixture *f, const char *layer)
{
	bool legacy;

	if (!fixture_open(f, fixture_path(FIXTURES "/synthetic/synthetic-v1-%s.ztoc", layer)))
		bail("no synthetic zTOC of %s", layer);
	ztoc_checkpoints_offset(f->z, &legacy);
	ok(legacy, "%s: legacy checkpoints are recognised", f->name);
}

static bool spans_are_equal(const struct ztoc *za, const struct ztoc *zb)
{
	if (ztoc_span_count(za) != ztoc_span_count(zb))
		return false;
	for (uint32_t i = 0; i < ztoc_span_count(za); i++) {
		struct ztoc_span a, b;

		ztoc_span_get(za, i, &a);
		ztoc_span_get(zb, i, &b);
		if (a.comp_start != b.comp_start || a.comp_end != b.comp_end ||
		    a.out_start != b.out_start || a.out_end != b.out_end || a.bits != b.bits ||
		    !digest_is_equal(&a.digest, &b.digest) || !a.window != !b.window ||
		    (a.window && memcmp(a.window, b.window, ZTOC_WINDOW_BYTES)))
			return false;
	}
	return true;
}

static void test_legacy(void)
{
	struct fixture f, now;

	legacy_open(&f, "gzv-lvl6");
	check_toc(&f);
	check_truth(&f);
	check_spans(&f);
	if (!fixture_open(&now, tap_src(FIXTURES "/ztoc/soci-0.4.1-smallspan/gzv-lvl6.ztoc")))
		bail("no gzv-lvl6");
	ok(spans_are_equal(f.z, now.z), "%s: the same spans as from current checkpoints", f.name);
	fixture_done(&f);
	fixture_done(&now);
}

/* Under a longer gzip header the implied span 0 is wrong: an error, never wrong bytes. */
static void test_legacy_fname(void)
{
	struct err err = ERR_INIT;
	struct verify_totals t;
	struct fixture f;

	legacy_open(&f, "gzv-fname");
	ok(verify_layer(&(struct extract){ f.z, f.layer_fd, INFLATE_BEST }, &t, &err) < 0 &&
	   strstr(err.text, "gzip header has 20 bytes"), "%s: does not verify: %s", f.name,
	   err.text);
	for (int b = 0; b < 1 + inflate_has_isal(); b++) {
		struct extract x = { f.z, f.layer_fd, b ? INFLATE_ISAL : INFLATE_ZLIB };
		struct digest_ctx ctx;

		digest_init(&ctx);
		ok(extract_range(&x, 0, 512, hash_sink, &ctx, &err) < 0 && err.kind == ERR_CORRUPT,
		   "%s: span 0 is unreadable: %s", f.name, err.text);
	}
	fixture_done(&f);
}

int main(void)
{
	test_fixtures();
	test_legacy();
	test_legacy_fname();
	return tap_done();
}
