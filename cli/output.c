/* SPDX-License-Identifier: GPL-2.0-or-later */
/* output.c - messages, tables, JSON and files that the commands write; see cli.h. */
#include "cli/cli.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

/* Length of the valid UTF-8 sequence at s (1..4) and its code point, or 0. */
static size_t utf8_decode(const unsigned char *s, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3
		   : s[0] < 0xf5 ? 4 : 0;
	uint32_t c;

	if (n == 0 || n > len)
		return 0;
	c = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

void cli_print_bytes(FILE *f, const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;

	for (size_t i = 0; i < len;) {
		uint32_t c = 0;
		size_t n = utf8_decode(p + i, len - i, &c);

		if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0)) {
			n = n ? n : 1;
			for (size_t k = 0; k < n; k++)
				fprintf(f, "\\x%02x", p[i + k]);
		} else if (c == '\\') {
			fputs("\\\\", f);
		} else {
			fwrite(p + i, 1, n, f);
		}
		i += n;
	}
}

/* Like cli_print_bytes(), but backslashes stay: the text is ours but for quoted names. */
static void print_message(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len = strlen(text);

	fputs("lazyerofs: ", stderr);
	for (size_t i = 0; i < len;) {
		uint32_t c = 0;
		size_t n = utf8_decode(p + i, len - i, &c);

		if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0)) {
			fprintf(stderr, "\\x%02x", p[i]);
			n = 1;
		} else {
			fwrite(p + i, 1, n, stderr);
		}
		i += n;
	}
	fputc('\n', stderr);
}

int cli_fail(const struct err *err)
{
	print_message(err->text[0] ? err->text : "failed for an unknown reason");
	return CLI_FAILED;
}

int cli_failf(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	print_message(text);
	return CLI_FAILED;
}

void cli_warn(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	print_message(text);
}

int cli_misuse(const char *command, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cli_warn("%s: %s (see `lazyerofs %s --help`)", command, text, command);
	return CLI_USAGE;
}

const char *cli_format_size(uint64_t bytes, char ret[24])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)bytes;
	size_t u = 0;

	if (bytes < 1024) {
		snprintf(ret, 24, "%u B", (unsigned int)bytes);
		return ret;
	}
	for (v /= 1024; v >= 1024 && u < 5; v /= 1024)
		u++;
	snprintf(ret, 24, "%.1f %s", v, units[u]);
	return ret;
}

/* --- tables ------------------------------------------------------------------------ */

struct cli_table {
	size_t ncols, nrows;
	const char *const *heads;
	char **cells;
	bool failed;		/* out of memory: rows are missing */
};

struct cli_table *cli_table_new(const char *const *heads, size_t ncols)
{
	struct cli_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->heads = heads;
	t->ncols = ncols;
	return t;
}

void cli_table_add(struct cli_table *t, const char *const *cells)
{
	char **v;

	if (!t || t->failed)
		return;
	v = reallocarray(t->cells, (t->nrows + 1) * t->ncols, sizeof(*v));
	if (!v) {
		t->failed = true;
		return;
	}
	t->cells = v;
	for (size_t i = 0; i < t->ncols; i++) {
		char *cell = strdup(cells[i] ? cells[i] : "");

		v[t->nrows * t->ncols + i] = cell;
		t->failed |= !cell;
	}
	t->nrows++;
}

static void print_row(const struct cli_table *t, const char *const *row, const int *width,
		      FILE *f)
{
	for (size_t i = 0; i < t->ncols; i++) {
		bool right = t->heads[i][0] == '>';
		bool last = i + 1 == t->ncols;
		const char *cell = row[i];

		if (row == t->heads && right)
			cell++;
		if (right)
			fprintf(f, "%*s", width[i], cell);
		else
			fprintf(f, "%-*s", last ? 0 : width[i], cell);
		fputs(last ? "\n" : "  ", f);
	}
}

int cli_table_print(const struct cli_table *t, FILE *f)
{
	cleanup_free int *width = NULL;

	if (t && !t->failed)
		width = calloc(t->ncols, sizeof(*width));
	if (!width)
		return cli_failf("out of memory");
	for (size_t i = 0; i < t->ncols; i++) {
		width[i] = (int)strlen(t->heads[i]) - (t->heads[i][0] == '>');
		for (size_t r = 0; r < t->nrows; r++) {
			int n = (int)strlen(t->cells[r * t->ncols + i]);

			width[i] = n > width[i] ? n : width[i];
		}
	}
	print_row(t, t->heads, width, f);
	for (size_t r = 0; r < t->nrows; r++)
		print_row(t, (const char *const *)t->cells + r * t->ncols, width, f);
	return CLI_OK;
}

void cli_table_free(struct cli_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->nrows * t->ncols; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

/* --- JSON -------------------------------------------------------------------------- */

static int add_as_utf8(struct buf *b, const char *s, size_t len, bool *ret_exact)
{
	const unsigned char *p = (const unsigned char *)s;
	int r = 0;

	*ret_exact = true;
	for (size_t i = 0; i < len && r == 0;) {
		uint32_t c = 0;
		size_t n = utf8_decode(p + i, len - i, &c);

		if (n == 0 || c == 0) {
			*ret_exact = false;
			n = 1;
			r = buf_add(b, "\xef\xbf\xbd", 3);
		} else {
			r = buf_add(b, p + i, n);
		}
		i += n;
	}
	return r;
}

int cli_json_set_bytes(json_t *obj, const char *key, const char *s, size_t len)
{
	cleanup_buf struct buf text = BUF_INIT(0), hex = BUF_INIT(0);
	char hex_key[64];
	bool exact;

	if (add_as_utf8(&text, s, len, &exact) < 0)
		return -ENOMEM;
	if (json_object_set_new(obj, key,
				json_stringn(text.data ? (char *)text.data : "", text.len)) < 0)
		return -ENOMEM;
	if (exact)
		return 0;
	for (size_t i = 0; i < len; i++)
		if (buf_addf(&hex, "%02x", (unsigned char)s[i]) < 0)
			return -ENOMEM;
	snprintf(hex_key, sizeof(hex_key), "%s_hex", key);
	return json_object_set_new(obj, hex_key, json_string((char *)hex.data)) < 0 ? -ENOMEM : 0;
}

int cli_json_print(json_t *value)
{
	int r;

	if (!value)
		return cli_failf("out of memory");
	r = json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	json_decref(value);
	if (r < 0)
		return cli_failf("cannot write JSON to standard output");
	putchar('\n');
	return CLI_OK;
}

/* --- files ------------------------------------------------------------------------- */

static int open_in_place(struct cli_outfile *o, struct err *err)
{
	o->fd = strcmp(o->path, "-") ? open(o->path, O_WRONLY | O_CLOEXEC | O_NOCTTY) :
				       fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return o->fd < 0 ? err_sys(err, errno, "cannot write %s", o->path) : 0;
}

static int open_beside(struct cli_outfile *o, mode_t mode, struct err *err)
{
	mode_t mask = umask(0);
	int e;

	umask(mask);
	if (asprintf(&o->tmp, "%s.tmpXXXXXX", o->path) < 0) {
		o->tmp = NULL;
		return err_sys(err, ENOMEM, "%s", o->path);
	}
	o->fd = mkostemp(o->tmp, O_CLOEXEC);
	if (o->fd >= 0 && fchmod(o->fd, mode & ~mask) == 0)
		return 0;
	e = errno;
	if (o->fd < 0)
		free(TAKE_PTR(o->tmp));
	return err_sys(err, e, "cannot create a file beside %s", o->path);
}

int cli_outfile_open(struct cli_outfile *o, const char *path, mode_t mode, struct err *err)
{
	bool is_there, is_file;
	struct stat st;
	int r;

	is_there = strcmp(path, "-") && stat(path, &st) == 0;
	is_file = strcmp(path, "-") && (!is_there || S_ISREG(st.st_mode));
	*o = (struct cli_outfile){ .fd = -1 };
	o->path = is_there && is_file ? realpath(path, NULL) : strdup(path);
	if (!o->path)
		return err_sys(err, errno, "%s", path);
	r = is_file ? open_beside(o, mode, err) : open_in_place(o, err);
	if (r < 0)
		cli_outfile_abort(o);
	return r;
}

int cli_outfile_commit(struct cli_outfile *o, struct err *err)
{
	int fd = TAKE_FD(o->fd), e = 0, r = 0;

	/* Terminals and pipes have nothing to sync. */
	if (fsync(fd) < 0 && (o->tmp || (errno != EINVAL && errno != EROFS)))
		e = errno;
	if (close(fd) < 0 && !e)
		e = errno;
	if (!e && o->tmp && rename(o->tmp, o->path) < 0)
		e = errno;
	if (e)
		r = err_sys(err, e, "cannot write %s", o->path);
	else
		free(TAKE_PTR(o->tmp));
	cli_outfile_abort(o);
	return r;
}

void cli_outfile_abort(struct cli_outfile *o)
{
	if (o->fd >= 0)
		close(TAKE_FD(o->fd));
	if (o->tmp)
		unlink(o->tmp);
	free(TAKE_PTR(o->tmp));
	free(TAKE_PTR(o->path));
}

int cli_read_file(const char *path, uint64_t max_bytes, struct buf *ret, struct err *err)
{
	int r;

	ret->max_bytes = max_bytes;
	r = io_read_file(AT_FDCWD, strcmp(path, "-") ? path : "/dev/stdin", ret);
	if (r == -EFBIG)
		return err_set(err, ERR_UNSUPPORTED, EFBIG, "%s: larger than %llu bytes", path,
			       (unsigned long long)max_bytes);
	return r < 0 ? err_sys(err, -r, "cannot read %s", path) : 0;
}
