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
 * Behind it lie its strings: name, linkname, uname, gname, mod_time, then per record key
 * length, value length (u32 each), key, value.
 */
struct packed_entry {
	struct packed_entry *prev;
	uint64_t offset;
	int64_t size, mode, devmajor, devminor;
	uint32_t uid, gid;
	uint32_t name_len, linkname_len, uname_len, gname_len, mod_time_len;
	uint32_t nrecords;
	uint8_t type;
	char strings[];
};

/* What one entry, record or string costs in the file beyond its bytes, at least. */
#define ENTRY_COST 96u
#define RECORD_COST 24u
#define RECORD_HEAD 8u			/* its two lengths in packed_entry.strings */
#define DIGEST_COST (DIGEST_TEXT_LEN + 9u)

_Static_assert(sizeof(struct packed_entry) + _Alignof(struct packed_entry) <=
		       ENTRY_COST,
	       "an entry is not larger here than in the file");

void ztoc_model_init(struct ztoc_model *m, uint64_t max_bytes)
{
	memset(m, 0, sizeof(*m));
	m->max_bytes = max_bytes && max_bytes < FBW_MAX_BYTES ? max_bytes : FBW_MAX_BYTES;
	m->compression = ZTOC_GZIP;
}

void ztoc_model_done(struct ztoc_model *m)
{
	chunks_done(&m->entries);
	chunks_done(&m->points);
	chunks_done(&m->digests);
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
	uint64_t have = m->nentries * ENTRY_COST + m->strings_bytes +
			m->npoints * ZF_CKPT_BYTES + m->ndigests * DIGEST_COST;

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

/* Never more than ENTRY_COST and strings_len(). */
static size_t packed_len(const struct ztoc_model_entry *e)
{
	const size_t align = _Alignof(struct packed_entry);
	uint64_t n = sizeof(struct packed_entry) + strings_len(e) -
		     (uint64_t)e->nrecords * (RECORD_COST - RECORD_HEAD);

	return (n + align - 1) & ~(align - 1);
}

static void append(char **p, struct ztoc_str s)
{
	if (s.len)
		memcpy(*p, s.s, s.len);
	*p += s.len;
}

static void append_u32(char **p, uint32_t v)
{
	memcpy(*p, &v, sizeof(v));
	*p += sizeof(v);
}

static void append_strings(char *p, const struct ztoc_model_entry *e)
{
	append(&p, e->name);
	append(&p, e->linkname);
	append(&p, e->uname);
	append(&p, e->gname);
	append(&p, e->mod_time);
	for (uint32_t i = 0; i < e->nrecords; i++) {
		append_u32(&p, e->records[i].key.len);
		append_u32(&p, e->records[i].value.len);
		append(&p, e->records[i].key);
		append(&p, e->records[i].value);
	}
}

int ztoc_model_add_entry(struct ztoc_model *m, const struct ztoc_model_entry *e,
			 struct err *err)
{
	uint64_t len = strings_len(e);
	struct packed_entry *p = NULL;
	int r = check_room(m, len + ENTRY_COST);

	if (r == 0) {
		p = chunks_add(&m->entries, packed_len(e));
		r = p ? 0 : -ENOMEM;
	}
	if (r < 0)
		return fail(m, r, err);
	*p = (struct packed_entry){
		.prev = m->last_entry, .offset = e->offset, .size = e->size, .mode = e->mode,
		.devmajor = e->devmajor, .devminor = e->devminor, .uid = e->uid,
		.gid = e->gid, .name_len = e->name.len, .linkname_len = e->linkname.len,
		.uname_len = e->uname.len, .gname_len = e->gname.len,
		.mod_time_len = e->mod_time.len, .nrecords = e->nrecords,
		.type = (uint8_t)e->type,
	};
	append_strings(p->strings, e);
	m->last_entry = p;
	m->nentries++;
	m->strings_bytes += len;
	return 0;
}

int ztoc_model_add_point(struct ztoc_model *m, uint64_t in, uint64_t out, uint8_t bits,
			 const uint8_t *window, struct err *err)
{
	uint8_t *p = NULL;
	int r = check_room(m, ZF_CKPT_BYTES);

	if (r == 0) {
		p = chunks_add(&m->points, ZF_CKPT_BYTES);
		r = p ? 0 : -ENOMEM;
	}
	if (r < 0)
		return fail(m, r, err);
	le64_put(p, in);
	le64_put(p + ZF_CKPT_OFF_OUT, out);
	p[ZF_CKPT_OFF_BITS] = bits;
	memcpy(p + ZF_CKPT_OFF_WINDOW, window, ZTOC_WINDOW_BYTES);
	m->npoints++;
	return 0;
}

int ztoc_model_add_digest(struct ztoc_model *m, const struct digest *d, struct err *err)
{
	struct digest *p = NULL;
	int r = check_room(m, DIGEST_COST);

	if (r == 0) {
		p = chunks_add(&m->digests, sizeof(*p));
		r = p ? 0 : -ENOMEM;
	}
	if (r < 0)
		return fail(m, r, err);
	*p = *d;
	m->ndigests++;
	return 0;
}

/*
 * --- serialisation: each object is made before what refers to it
 *
 * All of it runs twice: once measuring, where the model is kept, once for good, where each
 * chunk of the model is dropped when its last item is written.
 */

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

static fbw_ref put_entry(struct fbw *w, const struct packed_entry *e)
{
	static const char *const types[] = ZF_TYPE_NAMES;
	const char *s = e->strings;
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

static void add_ref(struct fbw *w, struct chunks *refs, fbw_ref ref)
{
	fbw_ref *p = chunks_add(refs, sizeof(*p));

	if (p)
		*p = ref;
	else if (!w->error)
		w->error = -ENOMEM;
}

static size_t refs_in(const struct chunk *k)
{
	return k->len / sizeof(fbw_ref);
}

/* The entries, last to first; their refs in this order. */
static void put_entries(struct fbw *w, struct ztoc_model *m, struct chunks *refs)
{
	const struct packed_entry *e = m->last_entry, *prev;
	const struct chunk *k = m->entries.last;

	for (; e && !w->error; e = prev) {
		prev = e->prev;
		add_ref(w, refs, put_entry(w, e));
		if ((const uint8_t *)e != k->data)
			continue;
		k = k->prev;
		if (!w->measure)
			chunks_drop_last(&m->entries);
	}
	if (!w->measure)
		m->last_entry = NULL;
}

/* A vector's elements are written from the last on: the first ref that was added. */
static fbw_ref put_toc(struct fbw *w, struct ztoc_model *m)
{
	struct chunks refs = { 0 };
	fbw_ref vector;

	put_entries(w, m, &refs);
	fbw_vector_begin(w, m->nentries * sizeof(fbw_ref));
	for (; refs.first; chunks_drop_first(&refs))
		for (size_t i = 0; i < refs_in(refs.first); i++)
			fbw_vector_ref(w, ((fbw_ref *)refs.first->data)[i]);
	vector = fbw_vector_end(w, m->nentries);
	fbw_table_begin(w, ZF_TOC_SLOTS);
	fbw_add_ref(w, ZF_TOC_METADATA, vector);
	return fbw_table_end(w);
}

static fbw_ref put_gzip_points(struct fbw *w, struct ztoc_model *m)
{
	size_t len = ZF_CKPT_HEAD_BYTES + (size_t)m->npoints * ZF_CKPT_BYTES;
	uint8_t head[ZF_CKPT_HEAD_BYTES];

	fbw_vector_begin(w, len);
	for (const struct chunk *k = m->points.last, *prev; k; k = prev) {
		prev = k->prev;
		fbw_vector_bytes(w, k->data, k->len);
		if (!w->measure)
			chunks_drop_last(&m->points);
	}
	le32_put(head, (uint32_t)m->npoints);
	le64_put(head + 4, m->span_size);
	fbw_vector_bytes(w, head, sizeof(head));
	return fbw_vector_end(w, len);
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

/* The first digest first; then the vector, from the last ref on. */
static fbw_ref put_digests(struct fbw *w, struct ztoc_model *m)
{
	char text[DIGEST_TEXT_SIZE];
	struct chunks refs = { 0 };

	for (const struct chunk *k = m->digests.first, *next; k; k = next) {
		const struct digest *d = (const struct digest *)k->data;

		next = k->next;
		for (size_t i = 0; i < k->len / sizeof(*d); i++) {
			digest_format(&d[i], text);
			add_ref(w, &refs, fbw_string(w, text, DIGEST_TEXT_LEN));
		}
		if (!w->measure)
			chunks_drop_first(&m->digests);
	}
	fbw_vector_begin(w, m->ndigests * sizeof(fbw_ref));
	for (; refs.last; chunks_drop_last(&refs))
		for (size_t i = refs_in(refs.last); i > 0; i--)
			fbw_vector_ref(w, ((fbw_ref *)refs.last->data)[i - 1]);
	return fbw_vector_end(w, m->ndigests);
}

static fbw_ref put_compression_info(struct fbw *w, struct ztoc_model *m)
{
	fbw_ref points = m->compression == ZTOC_GZIP ? put_gzip_points(w, m)
						     : put_plain_points(w, m);
	fbw_ref digests = put_digests(w, m);

	fbw_table_begin(w, ZF_COMP_SLOTS);
	fbw_add_i32(w, ZF_COMP_MAX_SPAN_ID, (int32_t)m->ndigests - 1, 0);
	fbw_add_ref(w, ZF_COMP_SPAN_DIGESTS, digests);
	fbw_add_ref(w, ZF_COMP_CHECKPOINTS, points);
	fbw_add_i8(w, ZF_COMP_ALGORITHM, (int8_t)m->compression, ZTOC_GZIP);
	return fbw_table_end(w);
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

static int run(struct fbw *w, struct ztoc_model *m, size_t *ret_len)
{
	const uint8_t *data;

	return fbw_finish(w, put_root(w, m), &data, ret_len);
}

int ztoc_model_write(struct ztoc_model *m, uint8_t **ret, size_t *ret_len, struct err *err)
{
	struct fbw w;
	size_t len;
	int r;

	if (m->compression == ZTOC_GZIP && m->ndigests != m->npoints)
		return err_set(err, ERR_BUG, EINVAL, "%llu span digests for %llu checkpoints",
			       (unsigned long long)m->ndigests, (unsigned long long)m->npoints);
	fbw_init_measure(&w, m->max_bytes);
	r = run(&w, m, &len);
	fbw_done(&w);
	if (r < 0)
		return fail(m, r, err);
	fbw_init(&w, len, m->max_bytes);
	r = run(&w, m, ret_len);
	if (r == 0)
		*ret = fbw_take(&w);
	fbw_done(&w);
	return r < 0 ? fail(m, r, err) : 0;
}
