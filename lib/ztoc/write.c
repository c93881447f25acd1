/* SPDX-License-Identifier: GPL-2.0-or-later */
/* write.c - see write.h. */
#include "ztoc/write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "ztoc/fbw.h"
#include "ztoc/format.h"

/*
 * An entry's strings lie in m->strings from `strings` on: name, linkname, uname, gname,
 * mod_time, then per record key length, value length (u32 each), key, value.
 */
struct packed_entry {
	uint64_t offset, strings;
	int64_t size, mode, devmajor, devminor;
	uint32_t uid, gid;
	uint32_t name_len, linkname_len, uname_len, gname_len, mod_time_len;
	uint32_t nrecords;
	uint8_t type;
};

/* What one entry, record or string costs in the file beyond its bytes, at least. */
#define ENTRY_COST 96u
#define RECORD_COST 24u
#define DIGEST_COST (DIGEST_TEXT_LEN + 9u)

void ztoc_model_init(struct ztoc_model *m, uint64_t max_bytes)
{
	memset(m, 0, sizeof(*m));
	m->max_bytes = max_bytes && max_bytes < FBW_MAX_BYTES ? max_bytes : FBW_MAX_BYTES;
	m->compression = ZTOC_GZIP;
}

void ztoc_model_done(struct ztoc_model *m)
{
	buf_done(&m->entries);
	buf_done(&m->strings);
	buf_done(&m->points);
	buf_done(&m->digests);
	memset(m, 0, sizeof(*m));
}

static int fail(const struct ztoc_model *m, int r, struct err *err)
{
	if (r == -EFBIG)
		return err_set(err, ERR_UNSUPPORTED, EFBIG,
			       "the zTOC would be larger than %llu bytes",
			       (unsigned long long)m->max_bytes);
	return err_sys(err, -r, "building a zTOC");
}

static int check_room(const struct ztoc_model *m, uint64_t more)
{
	uint64_t have = m->nentries * ENTRY_COST + m->strings.len + m->points.len +
			m->digests.len;

	return more > m->max_bytes || have > m->max_bytes - more ? -EFBIG : 0;
}

static uint64_t strings_len(const struct ztoc_model_entry *e)
{
	uint64_t n = (uint64_t)e->name.len + e->linkname.len + e->uname.len + e->gname.len +
		     e->mod_time.len;

	for (uint32_t i = 0; i < e->nrecords; i++)
		n += (uint64_t)e->records[i].key.len + e->records[i].value.len + RECORD_COST;
	return n;
}

static void append(struct buf *b, struct ztoc_str s)
{
	if (s.len)
		memcpy(b->data + b->len, s.s, s.len);
	b->len += s.len;
}

static void append_u32(struct buf *b, uint32_t v)
{
	memcpy(b->data + b->len, &v, sizeof(v));
	b->len += sizeof(v);
}

int ztoc_model_add_entry(struct ztoc_model *m, const struct ztoc_model_entry *e,
			 struct err *err)
{
	uint64_t len = strings_len(e);
	struct buf *b = &m->strings;
	struct packed_entry p = {
		.offset = e->offset, .strings = b->len, .size = e->size, .mode = e->mode,
		.devmajor = e->devmajor, .devminor = e->devminor, .uid = e->uid,
		.gid = e->gid, .name_len = e->name.len, .linkname_len = e->linkname.len,
		.uname_len = e->uname.len, .gname_len = e->gname.len,
		.mod_time_len = e->mod_time.len, .nrecords = e->nrecords,
		.type = (uint8_t)e->type,
	};
	int r = check_room(m, len + ENTRY_COST);

	if (r == 0)
		r = buf_reserve(b, len);
	if (r == 0)
		r = buf_add(&m->entries, &p, sizeof(p));
	if (r < 0)
		return fail(m, r, err);
	append(b, e->name);
	append(b, e->linkname);
	append(b, e->uname);
	append(b, e->gname);
	append(b, e->mod_time);
	for (uint32_t i = 0; i < e->nrecords; i++) {
		append_u32(b, e->records[i].key.len);
		append_u32(b, e->records[i].value.len);
		append(b, e->records[i].key);
		append(b, e->records[i].value);
	}
	m->nentries++;
	return 0;
}

int ztoc_model_add_point(struct ztoc_model *m, uint64_t in, uint64_t out, uint8_t bits,
			 const uint8_t *window, struct err *err)
{
	uint8_t head[ZF_CKPT_OFF_WINDOW];
	int r = check_room(m, ZF_CKPT_BYTES);

	le64_put(head, in);
	le64_put(head + ZF_CKPT_OFF_OUT, out);
	head[ZF_CKPT_OFF_BITS] = bits;
	if (r == 0)
		r = buf_reserve(&m->points, ZF_CKPT_BYTES + ZF_CKPT_HEAD_BYTES);
	if (r < 0)
		return fail(m, r, err);
	if (!m->points.len) {
		/* The header's place; filled when the count is known. */
		memset(m->points.data, 0, ZF_CKPT_HEAD_BYTES);
		m->points.len = ZF_CKPT_HEAD_BYTES;
	}
	buf_add(&m->points, head, sizeof(head));
	buf_add(&m->points, window, ZTOC_WINDOW_BYTES);
	m->nspans++;
	return 0;
}

int ztoc_model_add_digest(struct ztoc_model *m, const struct digest *d, struct err *err)
{
	int r = check_room(m, DIGEST_COST);

	if (r == 0)
		r = buf_add(&m->digests, d, sizeof(*d));
	return r < 0 ? fail(m, r, err) : 0;
}

/* --- serialisation: each object is made before what refers to it -------------------- */

static fbw_ref put_string(struct fbw *w, const char **s, uint32_t len)
{
	fbw_ref ref = fbw_string(w, *s, len);

	*s += len;
	return ref;
}

static fbw_ref put_record(struct fbw *w, const char **s)
{
	uint32_t len[2];
	fbw_ref key, value;

	memcpy(len, *s, sizeof(len));
	*s += sizeof(len);
	key = put_string(w, s, len[0]);
	value = put_string(w, s, len[1]);
	fbw_table_begin(w, ZF_XATTR_SLOTS);
	fbw_add_ref(w, ZF_XATTR_KEY, key);
	fbw_add_ref(w, ZF_XATTR_VALUE, value);
	return fbw_table_end(w);
}

static fbw_ref put_records(struct fbw *w, const char *s, uint32_t n)
{
	cleanup_free fbw_ref *refs = calloc(n ? n : 1, sizeof(*refs));

	if (!refs) {
		w->error = -ENOMEM;
		return 0;
	}
	for (uint32_t i = 0; i < n; i++)
		refs[i] = put_record(w, &s);
	return fbw_ref_vector(w, refs, n);
}

static fbw_ref put_entry(struct fbw *w, const struct packed_entry *e, const char *s)
{
	static const char *const types[] = ZF_TYPE_NAMES;
	fbw_ref name = put_string(w, &s, e->name_len);
	fbw_ref type = fbw_string(w, types[e->type], strlen(types[e->type]));
	fbw_ref linkname = put_string(w, &s, e->linkname_len);
	fbw_ref uname = put_string(w, &s, e->uname_len);
	fbw_ref gname = put_string(w, &s, e->gname_len);
	fbw_ref mod_time = put_string(w, &s, e->mod_time_len);
	fbw_ref records = put_records(w, s, e->nrecords);

	fbw_table_begin(w, ZF_FILE_SLOTS);
	fbw_add_ref(w, ZF_FILE_NAME, name);
	fbw_add_ref(w, ZF_FILE_TYPE, type);
	fbw_add_i64(w, ZF_FILE_OFFSET, (int64_t)e->offset, 0);
	fbw_add_i64(w, ZF_FILE_SIZE, e->size, 0);
	fbw_add_ref(w, ZF_FILE_LINKNAME, linkname);
	fbw_add_i64(w, ZF_FILE_MODE, e->mode, 0);
	fbw_add_u32(w, ZF_FILE_UID, e->uid, 0);
	fbw_add_u32(w, ZF_FILE_GID, e->gid, 0);
	fbw_add_ref(w, ZF_FILE_UNAME, uname);
	fbw_add_ref(w, ZF_FILE_GNAME, gname);
	fbw_add_ref(w, ZF_FILE_MOD_TIME, mod_time);
	fbw_add_i64(w, ZF_FILE_DEVMAJOR, e->devmajor, 0);
	fbw_add_i64(w, ZF_FILE_DEVMINOR, e->devminor, 0);
	fbw_add_ref(w, ZF_FILE_XATTRS, records);
	return fbw_table_end(w);
}

/* The entries, last to first, then their vector and its table. Frees the entries. */
static fbw_ref put_toc(struct fbw *w, struct ztoc_model *m)
{
	cleanup_free fbw_ref *refs = calloc(m->nentries ? m->nentries : 1, sizeof(*refs));
	struct packed_entry e;
	fbw_ref vector;

	if (!refs) {
		w->error = -ENOMEM;
		return 0;
	}
	for (uint64_t i = m->nentries; i > 0 && !w->error; i--) {
		memcpy(&e, m->entries.data + (i - 1) * sizeof(e), sizeof(e));
		refs[i - 1] = put_entry(w, &e, (const char *)m->strings.data + e.strings);
	}
	buf_done(&m->entries);
	buf_done(&m->strings);
	vector = fbw_ref_vector(w, refs, m->nentries);
	fbw_table_begin(w, ZF_TOC_SLOTS);
	fbw_add_ref(w, ZF_TOC_METADATA, vector);
	return fbw_table_end(w);
}

static fbw_ref put_gzip_points(struct fbw *w, struct ztoc_model *m)
{
	fbw_ref ref;

	if (!m->points.len && buf_add(&m->points, (char[ZF_CKPT_HEAD_BYTES]){ 0 },
				      ZF_CKPT_HEAD_BYTES) < 0) {
		w->error = -ENOMEM;
		return 0;
	}
	le32_put(m->points.data, m->nspans);
	le64_put(m->points.data + 4, m->span_size);
	ref = fbw_byte_vector(w, m->points.data, m->points.len);
	buf_done(&m->points);
	return ref;
}

static fbw_ref put_plain_points(struct fbw *w, const struct ztoc_model *m)
{
	struct fbw nested;
	const uint8_t *data;
	size_t len;
	fbw_ref ref = 0;
	int r;

	fbw_init(&nested, 64, 0);
	fbw_table_begin(&nested, ZF_PLAIN_SLOTS);
	fbw_add_i32(&nested, ZF_PLAIN_VERSION, ZF_PLAIN_VERSION_VALUE, 0);
	fbw_add_i64(&nested, ZF_PLAIN_SPAN_SIZE, (int64_t)m->span_size, 0);
	fbw_add_i64(&nested, ZF_PLAIN_SIZE, (int64_t)m->comp_size, 0);
	r = fbw_finish(&nested, fbw_table_end(&nested), &data, &len);
	if (r == 0)
		ref = fbw_byte_vector(w, data, len);
	else
		w->error = r;
	fbw_done(&nested);
	return ref;
}

static fbw_ref put_digests(struct fbw *w, const struct ztoc_model *m, size_t n)
{
	cleanup_free fbw_ref *refs = calloc(n ? n : 1, sizeof(*refs));
	char text[DIGEST_TEXT_SIZE];
	struct digest d;

	if (!refs) {
		w->error = -ENOMEM;
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		memcpy(&d, m->digests.data + i * sizeof(d), sizeof(d));
		digest_format(&d, text);
		refs[i] = fbw_string(w, text, DIGEST_TEXT_LEN);
	}
	return fbw_ref_vector(w, refs, n);
}

static fbw_ref put_compression_info(struct fbw *w, struct ztoc_model *m)
{
	size_t n = m->digests.len / sizeof(struct digest);
	fbw_ref points = m->compression == ZTOC_GZIP ? put_gzip_points(w, m)
						     : put_plain_points(w, m);
	fbw_ref digests = put_digests(w, m, n);

	fbw_table_begin(w, ZF_COMP_SLOTS);
	fbw_add_i32(w, ZF_COMP_MAX_SPAN_ID, (int32_t)n - 1, 0);
	fbw_add_ref(w, ZF_COMP_SPAN_DIGESTS, digests);
	fbw_add_ref(w, ZF_COMP_CHECKPOINTS, points);
	fbw_add_i8(w, ZF_COMP_ALGORITHM, (int8_t)m->compression, ZTOC_GZIP);
	return fbw_table_end(w);
}

static uint64_t estimate(const struct ztoc_model *m)
{
	return m->nentries * 2 * ENTRY_COST + m->strings.len * 2 + m->points.len +
	       m->digests.len / DIGEST_BYTES * (DIGEST_COST + 4) + 1024;
}

static fbw_ref put_root(struct fbw *w, struct ztoc_model *m)
{
	fbw_ref version = fbw_string(w, ZTOC_FORMAT_VERSION, strlen(ZTOC_FORMAT_VERSION));
	fbw_ref tool = fbw_string(w, m->build_tool, strlen(m->build_tool));
	fbw_ref toc = put_toc(w, m);
	fbw_ref info = put_compression_info(w, m);

	fbw_table_begin(w, ZF_ZTOC_SLOTS);
	fbw_add_ref(w, ZF_ZTOC_VERSION, version);
	fbw_add_ref(w, ZF_ZTOC_BUILD_TOOL, tool);
	fbw_add_ref(w, ZF_ZTOC_TOC, toc);
	fbw_add_i64(w, ZF_ZTOC_COMP_SIZE, (int64_t)m->comp_size, 0);
	fbw_add_i64(w, ZF_ZTOC_OUT_SIZE, (int64_t)m->out_size, 0);
	fbw_add_ref(w, ZF_ZTOC_COMPRESSION_INFO, info);
	return fbw_table_end(w);
}

int ztoc_model_write(struct ztoc_model *m, uint8_t **ret, size_t *ret_len, struct err *err)
{
	uint64_t hint = estimate(m);
	const uint8_t *data;
	struct fbw w;
	size_t len;
	int r;

	if (m->compression == ZTOC_GZIP && m->digests.len / DIGEST_BYTES != m->nspans)
		return err_set(err, ERR_BUG, EINVAL, "%zu span digests for %u checkpoints",
			       m->digests.len / DIGEST_BYTES, m->nspans);
	fbw_init(&w, hint < m->max_bytes ? hint : m->max_bytes, m->max_bytes);
	r = fbw_finish(&w, put_root(&w, m), &data, &len);
	if (r == 0) {
		/* The content lies at the end of its memory: move it to the front. */
		memmove(w.bytes, data, len);
		data = realloc(w.bytes, len);
		*ret = data ? (uint8_t *)data : w.bytes;
		*ret_len = len;
		w.bytes = NULL;
	}
	fbw_done(&w);
	return r < 0 ? fail(m, r, err) : 0;
}
