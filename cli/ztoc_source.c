/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ztoc_source.c - see ztoc_source.h. */
#include "cli/ztoc_source.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cli/progress.h"
#include "index/copy.h"
#include "oci/index.h"
#include "oci/push.h"

#define ZTOC_MAX_BYTES (512u << 20)	/* what a mount takes */
#define NAME_MIN_DIGITS 6u
#define TOLD_MAX 6u			/* digests in a message */

bool ztoc_source_misuse(const struct ztoc_source *s, const char *command)
{
	const struct cli_registry *r = &s->registry;

	if (s->image || !(s->platform || r->plain_http || r->ca_file || r->docker_config ||
			  r->hosts_dirs || r->user || r->insecure))
		return false;
	cli_misuse(command, "--platform and the options for registries go with --image");
	return true;
}

void ztoc_source_done(struct ztoc_source *s)
{
	free(TAKE_PTR(s->rows));
	cli_images_done(&s->images);
	s->img = NULL;
	if (s->client)
		oci_client_free(TAKE_PTR(s->client));
}

/* --- the indexes of the image ---------------------------------------------------------- */

static int open_image(struct ztoc_source *s, struct err *err)
{
	struct cli_registry registry = s->registry;
	struct oci_opts opts;
	struct oci_ref ref;
	int r = oci_ref_parse(s->image, &ref, err);

	if (r < 0)
		return r;
	if (s->platform)
		registry.platforms = (struct cli_list){ &s->platform, 1 };
	r = cli_registry_opts(&registry, &opts, err);
	if (r < 0)
		return r;
	s->stop = opts.stop = cli_stop_flag();
	r = oci_client_new(&opts, NULL, &s->client, err);
	if (r == 0)
		r = cli_images_resolve(s->client, &registry, &ref, false, &s->images, err);
	if (r == 0)
		s->img = s->images.v[0];
	return r;
}

/* What the index says of the span size of a zTOC; 0: nothing. */
static uint64_t span_size(const json_t *index, const struct digest *ztoc)
{
	const json_t *e;
	size_t i;

	json_array_foreach(json_object_get(index, "layers"), i, e) {
		const char *text = jdoc_annotation(e, ANNOTATION_SOCI_SPAN_SIZE);
		struct digest d;
		uint64_t v;

		if (text && jdoc_digest(e, "digest", &d) == 0 && digest_is_equal(&d, ztoc) &&
		    cli_parse_size(text, &v) == 0 && v <= INT64_MAX)
			return v;
	}
	return 0;
}

/* s->img is as the index `digest` has it: a row for each layer with a zTOC. */
static int add_rows(struct ztoc_source *s, const struct digest *digest, const json_t *index,
		    struct err *err)
{
	struct ztoc_row *v = reallocarray(s->rows, s->nrows + s->img->nlayers, sizeof(*v));

	if (!v)
		return err_sys(err, ENOMEM, "zTOCs");
	s->rows = v;
	for (uint32_t i = 0; i < s->img->nlayers; i++) {
		const struct oci_layer *l = &s->img->layers[i];
		bool again = false;

		for (uint32_t k = 0; k < i; k++)
			again |= digest_is_equal(&s->img->layers[k].desc.digest, &l->desc.digest);
		if (l->has_ztoc && !again)
			v[s->nrows++] = (struct ztoc_row){
				.ztoc = l->ztoc, .layer = l->desc, .index = *digest,
				.span_size = span_size(index, &l->ztoc.digest),
			};
	}
	return 0;
}

static int add_index(struct ztoc_source *s, const struct digest *digest, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(OCI_MANIFEST_MAX_BYTES);
	cleanup_json json_t *doc = NULL;
	char what[DIGEST_TEXT_SIZE];
	struct oci_desc desc;
	struct oci_ref ref;
	int r;

	digest_format(digest, what);
	copy_ref_by_digest(&s->img->ref, digest, &ref);
	r = oci_manifest_get(s->client, &ref, &b, &desc, err);
	if (r == 0)
		r = jdoc_parse(b.data ? b.data : (const void *)"", b.len, what, &doc, err);
	for (uint32_t i = 0; i < s->img->nlayers; i++)
		s->img->layers[i].has_ztoc = s->img->layers[i].has_prefetch = false;
	if (r == 0)
		r = index_parse(b.data, b.len, what, s->img, err);
	return r < 0 ? r : add_rows(s, digest, doc, err);
}

/* A further index: that it is lost or spoilt does not matter to those who want another. */
static int add_other(struct ztoc_source *s, const struct digest *digest, struct err *err)
{
	struct err e = ERR_INIT;
	int r = add_index(s, digest, &e);

	if (r == 0 || e.num == ENOENT)
		return 0;
	if (e.kind == ERR_CORRUPT || e.kind == ERR_UNSUPPORTED) {
		cli_warn("left out: %s", e.text);
		return 0;
	}
	*err = e;
	return r;
}

int ztoc_source_look(struct ztoc_source *s, struct err *err)
{
	struct oci_index_list list = { 0 };
	struct digest first;
	int r = open_image(s, err);

	if (r < 0)
		return r;
	first = s->img->index.digest;
	if (s->img->index_found != OCI_INDEX_NONE)
		r = add_index(s, &first, err);
	if (r == 0)
		r = oci_index_list(s->client, s->img, &list, err);
	for (uint32_t i = 0; r == 0 && i < list.n; i++)
		if (s->img->index_found == OCI_INDEX_NONE ||
		    !digest_is_equal(&list.v[i].desc.digest, &first))
			r = add_other(s, &list.v[i].desc.digest, err);
	return r;
}

/* --- names ----------------------------------------------------------------------------- */

/* The digits of "sha256:HEX" or "HEX", at least NAME_MIN_DIGITS; NULL: it is neither. */
static const char *name_digits(const char *name)
{
	const char *hex = strncmp(name, "sha256:", 7) ? name : name + 7;
	size_t n = strspn(hex, "0123456789abcdef");

	return hex[n] || n < NAME_MIN_DIGITS || n > DIGEST_HEX_LEN ? NULL : hex;
}

static bool digest_begins(const struct digest *d, const char *hex)
{
	char text[DIGEST_HEX_LEN + 1];

	digest_format_hex(d, text);
	return !strncmp(text, hex, strlen(hex));
}

/* Different digests, the first few of them by name. */
struct told {
	struct digest v[TOLD_MAX];
	size_t n;
	bool more;
};

static void tell(struct told *t, const struct digest *d)
{
	for (size_t i = 0; i < t->n; i++)
		if (digest_is_equal(&t->v[i], d))
			return;
	if (t->n < TOLD_MAX)
		t->v[t->n++] = *d;
	else
		t->more = true;
}

/* The first so many of their digits. */
static const char *told_text(const struct told *t, size_t digits, char ret[TOLD_MAX * 80])
{
	char digest[DIGEST_TEXT_SIZE];
	size_t len = 0;

	*ret = '\0';
	for (size_t i = 0; i < t->n; i++) {
		digest_format(&t->v[i], digest);
		len += (size_t)sprintf(ret + len, "%s%.*s", i ? ", " : "", (int)(7 + digits), digest);
	}
	return t->more ? strcat(ret, ", ...") : ret;
}

static int not_found(const struct ztoc_source *s, const char *name, const char *hex,
		     struct err *err)
{
	struct told t = { 0 };
	char text[TOLD_MAX * 80];

	if (!s->nrows)
		return err_set(err, ERR_UNSUPPORTED, ENOENT, "%.200s has no SOCI index with zTOCs "
			       "(`lazyerofs create` makes one)", s->image);
	for (uint32_t i = 0; i < s->img->nlayers; i++)
		if (digest_begins(&s->img->layers[i].desc.digest, hex))
			return err_set(err, ERR_UNSUPPORTED, ENOENT, "layer %.80s of %.200s has no "
				       "zTOC in any SOCI index", name, s->image);
	for (size_t i = 0; i < s->nrows; i++)
		tell(&t, &s->rows[i].ztoc.digest);
	return err_set(err, ERR_UNSUPPORTED, ENOENT, "%.100s has no zTOC or layer %.80s; it has "
		       "zTOCs %s", s->image, name, told_text(&t, 12, text));
}

/* Of the rows that the name fits the first; they must be of one digest. */
static int choose(struct ztoc_source *s, const char *name, struct err *err)
{
	const char *hex = name_digits(name);
	struct told t = { 0 };
	char text[TOLD_MAX * 80];

	if (!hex)
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "\"%.100s\" is no digest of a zTOC or "
			       "layer, nor the first %u digits of one or more", name,
			       NAME_MIN_DIGITS);
	for (size_t i = 0; i < 2 * s->nrows; i++) {
		const struct ztoc_row *row = &s->rows[i / 2];
		const struct digest *d = i % 2 ? &row->layer.digest : &row->ztoc.digest;

		if (!digest_begins(d, hex))
			continue;
		if (!s->chosen)
			s->chosen = row;
		tell(&t, d);
	}
	if (!s->chosen)
		return not_found(s, name, hex, err);
	if (t.n > 1)
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "%.80s is the beginning of several "
			       "digests: %s", name, told_text(&t, strlen(hex) + 6, text));
	return 0;
}

int ztoc_source_file(struct ztoc_source *s, const char *name, struct ztoc_file *ret,
		     struct err *err)
{
	char text[DIGEST_TEXT_SIZE];
	int r;

	if (!s->image)
		return ztoc_file_open(ret, name, err);
	r = ztoc_source_look(s, err);
	if (r == 0)
		r = choose(s, name, err);
	if (r < 0)
		return r;
	ret->bytes = (struct buf)BUF_INIT(ZTOC_MAX_BYTES);
	r = oci_blob_get(s->client, &s->img->ref, &s->chosen->ztoc, &ret->bytes, err);
	if (r < 0)
		return err_prefix(err, "zTOC");
	digest_format(&s->chosen->ztoc.digest, text);
	r = ztoc_open(ret->bytes.data, ret->bytes.len, &ret->ztoc, err);
	return r < 0 ? err_prefix(err, "%s", text) : 0;
}

/* --- part of a layer ------------------------------------------------------------------- */

struct fetch {
	int fd, write_errno;
	uint64_t bytes;
	bool is_done;
	struct err err;
};

static int fetch_data(void *arg, const uint8_t *data, size_t len)
{
	struct fetch *f = arg;
	int r = io_write_full(f->fd, data, len);

	f->write_errno = -r;
	f->bytes += len;
	return r;
}

static void fetch_done(void *arg, const struct err *err)
{
	struct fetch *f = arg;

	f->is_done = true;
	if (err)
		f->err = *err;
}

/* O_TMPFILE; where the file system has none, a name for a moment. */
static int nameless_file(int *ret_fd, struct err *err)
{
	const char *dir = getenv("TMPDIR");
	cleanup_free char *name = NULL;
	int fd;

	/* Not /tmp, which may be memory, unless there is nothing else. */
	if (!dir || !*dir)
		dir = access("/var/tmp", W_OK | X_OK) == 0 ? "/var/tmp" : "/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		if (asprintf(&name, "%s/lazyerofs.XXXXXX", dir) < 0)
			return err_sys(err, ENOMEM, "temporary file");
		fd = mkostemp(name, O_CLOEXEC);
		if (fd >= 0)
			unlink(name);
	}
	if (fd < 0)
		return err_sys(err, errno, "cannot create a temporary file in %s", dir);
	*ret_fd = fd;
	return 0;
}

static int fetch_run(struct ztoc_source *s, uint64_t start, uint64_t len, struct fetch *f,
		     struct err *err)
{
	cleanup_repo struct oci_repo *repo = NULL;
	const struct oci_read read = { .on_data = fetch_data, .on_done = fetch_done, .arg = f };
	struct oci_req *req;
	int r = oci_repo_get(s->client, &s->img->ref, &repo, err);

	if (r == 0)
		r = oci_blob_read(repo, &s->chosen->layer, start, len, &read, &req, err);
	if (r < 0)
		return r;
	r = oci_client_wait(s->client, &f->is_done, err);
	if (r < 0) {
		if (!f->is_done)
			oci_req_cancel(req);
		return r;
	}
	if (f->write_errno)
		return err_sys(err, f->write_errno, "temporary file");
	if (f->err.num) {
		*err = f->err;
		return -f->err.num;
	}
	if (f->bytes != len)
		return err_set(err, ERR_BUG, EIO, "%" PRIu64 " bytes came, not %" PRIu64, f->bytes,
			       len);
	return 0;
}

int ztoc_source_fetch(struct ztoc_source *s, const struct ztoc *z, uint64_t i,
		      struct extract *ret, struct err *err)
{
	struct extract x = { .ztoc = z, .layer_fd = -1, .backend = INFLATE_BEST };
	cleanup_close int fd = -1;
	struct fetch f = { 0 };
	char layer[DIGEST_TEXT_SIZE];
	int r = extract_entry_part(z, i, &x.part_start, &x.part_end, err);

	if (r < 0)
		return r;
	digest_format(&s->chosen->layer.digest, layer);
	if (ztoc_comp_size(z) != s->chosen->layer.size)
		return err_set(err, ERR_CORRUPT, EIO, "layer %s has %" PRIu64 " bytes, but its zTOC "
			       "is for one of %" PRIu64, layer, s->chosen->layer.size,
			       ztoc_comp_size(z));
	if (x.part_start < x.part_end) {
		r = nameless_file(&fd, err);
		f.fd = fd;
		if (r == 0)
			r = fetch_run(s, x.part_start, x.part_end - x.part_start, &f, err);
		if (r < 0)
			return r;
	}
	x.layer_fd = TAKE_FD(fd);
	*ret = x;
	return 0;
}
