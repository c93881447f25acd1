/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * prefetch.c - paths -> lists of spans to fetch first.
 *
 * As upstream does it: the topmost layer that has the path wins, and the end of a file
 * counts to the span that holds the byte after it. Other than there, names are compared
 * cleaned ("./a", "/a" and "a" are one path), so that layers made with "./" match.
 */
#include "index/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct ranges {
	struct soci_span_range *v;
	uint32_t n, cap;
};

static struct ztoc_str clean(struct ztoc_str s)
{
	for (;;) {
		if (s.len && s.s[0] == '/') {
			s.s++;
			s.len--;
		} else if (s.len > 1 && s.s[0] == '.' && s.s[1] == '/') {
			s.s += 2;
			s.len -= 2;
		} else {
			break;
		}
	}
	while (s.len && s.s[s.len - 1] == '/')
		s.len--;
	return s;
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

static struct index_hit look_up(const struct ztoc *z, const char *text)
{
	struct ztoc_str path = clean((struct ztoc_str){ text, (uint32_t)strlen(text) });

	for (uint64_t i = ztoc_entry_count(z); i-- > 0;) {	/* the last of a name counts */
		struct ztoc_entry e;
		struct ztoc_str name;

		ztoc_entry_get(z, i, &e);
		name = clean(e.name);
		if (name.len == path.len && !memcmp(name.s, path.s, path.len))
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
	for (size_t i = 0; i < w->opts->nprefetch; i++)
		w->hits[number][i] = look_up(z, w->opts->prefetch[i]);
	return 0;
}

/* Path number `path` to the list of the topmost layer that has it. */
static int place_path(const struct index_work *w, struct ranges *ranges, size_t path,
		      struct err *err)
{
	for (uint32_t i = w->img->nlayers; i-- > 0;) {
		const struct index_hit *hit = w->hits[i] ? &w->hits[i][path] : NULL;

		if (hit && hit->is_found)
			return add_range(&ranges[i], hit->start_span, hit->end_span, err);
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
		if (!ranges[i].n)
			continue;
		r = put_list(w, c, i, &ranges[i], &layers[*n], err);
		if (r == 0)
			(*n)++;
	}
	for (uint32_t i = 0; i < w->img->nlayers; i++)
		free(ranges[i].v);
	return r;
}
