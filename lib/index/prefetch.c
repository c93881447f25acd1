/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * prefetch.c - paths -> lists of spans to fetch first.
 *
 * As upstream does it: the topmost layer that has the path wins, the end of a file counts to
 * the span that holds the byte after it, and a layer that an image lists twice has its list
 * twice. Other than there, "./a" and "/a" in a tar are the path "a", so that layers made
 * with "./" match, and of several entries of one name the last counts, which is the file.
 */
#include "index/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct ranges {
	struct soci_span_range *v;
	uint32_t n, cap;
};

/* A name of a tar without what stands before the path. */
static struct ztoc_str strip(struct ztoc_str s)
{
	for (;;) {
		if (s.len && s.s[0] == '/') {
			s.s++;
			s.len--;
		} else if (s.len > 1 && s.s[0] == '.' && s.s[1] == '/') {
			s.s += 2;
			s.len -= 2;
		} else {
			return s;
		}
	}
}

/* Beneath the root, without empty parts, ".", ".." and '/' at either end; in place. */
static void clean(char *path)
{
	char *out = path;

	for (const char *s = path; *s;) {
		size_t n = strcspn(s, "/");

		if (n == 2 && s[0] == '.' && s[1] == '.') {
			while (out > path && *--out != '/')
				;
		} else if (n && !(n == 1 && s[0] == '.')) {
			if (out > path)
				*out++ = '/';
			memmove(out, s, n);
			out += n;
		}
		s += n + (s[n] == '/');
	}
	*out = '\0';
}

static int add_range(struct ranges *r, uint32_t start, uint32_t end, struct err *err)
{
	if (r->n == r->cap) {
		uint32_t cap = r->cap ? r->cap * 2 : 16;
		struct soci_span_range *v = reallocarray(r->v, cap, sizeof(*v));

		if (!v)
			return err_sys(err, ENOMEM, "prefetch list");
		r->v = v;
		r->cap = cap;
	}
	r->v[r->n++] = (struct soci_span_range){ start, end };
	return 0;
}

static struct index_hit look_up(const struct ztoc *z, const char *path)
{
	size_t len = strlen(path);

	if (len == 0)
		return (struct index_hit){ false, 0, 0 };
	for (uint64_t i = ztoc_entry_count(z); i-- > 0;) {	/* the last of a name counts */
		struct ztoc_entry e;
		struct ztoc_str name;

		ztoc_entry_get(z, i, &e);
		name = strip(e.name);
		if (name.len == len && !memcmp(name.s, path, len))
			return (struct index_hit){ true, ztoc_span_find(z, e.offset),
						   ztoc_span_find(z, e.offset + e.size) };
	}
	return (struct index_hit){ false, 0, 0 };
}

int index_prefetch_find(struct index_work *w, uint32_t number, const struct ztoc *z,
			struct err *err)
{
	w->hits[number] = calloc(w->opts->nprefetch ? w->opts->nprefetch : 1,
				 sizeof(**w->hits));
	if (!w->hits[number])
		return err_sys(err, ENOMEM, "prefetch list");
	for (size_t i = 0; i < w->opts->nprefetch; i++) {
		cleanup_free char *path = strdup(w->opts->prefetch[i]);

		if (!path)
			return err_sys(err, ENOMEM, "prefetch list");
		clean(path);
		w->hits[number][i] = look_up(z, path);
	}
	return 0;
}

/* Path number `path` to the list of the topmost layer that has it, the first of its digest. */
static int place_path(const struct index_work *w, struct ranges *ranges, size_t path,
		      struct err *err)
{
	for (uint32_t i = w->img->nlayers; i-- > 0;) {
		uint32_t first = w->first[i];
		const struct index_hit *hit = w->hits[first] ? &w->hits[first][path] : NULL;

		if (hit && hit->is_found)
			return add_range(&ranges[first], hit->start_span, hit->end_span, err);
	}
	if (w->opts->warn)
		w->opts->warn(w->opts->prefetch[path]);
	return 0;
}

static int put_list(struct index_work *w, struct oci_client *c, uint32_t layer,
		    struct ranges *ranges, struct soci_index_layer *ret, struct err *err)
{
	cleanup_buf struct buf out = { 0 };
	int r = soci_prefetch_write(ranges->v, ranges->n, &out);

	if (r < 0)
		return err_sys(err, -r, "prefetch list");
	*ret = (struct soci_index_layer){ .layer_digest = w->img->layers[layer].desc.digest,
					  .is_prefetch = true };
	digest_of(out.data, out.len, &ret->desc.digest);
	ret->desc.size = out.len;
	return oci_blob_put(c, w->dst, &ret->desc, out.data, err);
}

int index_prefetch(struct index_work *w, struct oci_client *c,
		   struct soci_index_layer *layers, uint32_t *n, struct err *err)
{
	cleanup_free struct ranges *ranges = calloc(w->img->nlayers + 1, sizeof(*ranges));
	int r = 0;

	if (!ranges)
		return err_sys(err, ENOMEM, "prefetch list");
	for (size_t i = 0; r == 0 && i < w->opts->nprefetch; i++)
		r = place_path(w, ranges, i, err);
	for (uint32_t i = 0; r == 0 && i < w->img->nlayers; i++) {
		if (!ranges[w->first[i]].n)
			continue;
		r = put_list(w, c, i, &ranges[w->first[i]], &layers[*n], err);
		if (r == 0)
			(*n)++;
	}
	for (uint32_t i = 0; i < w->img->nlayers; i++)
		free(ranges[i].v);
	return r;
}
