/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tree_apply.c - apply one layer to the merged tree, entry by entry, as an extraction in tar
 * order would. Rules: OCI image-spec layer.md; where that is silent, containerd's archive
 * apply, and where the two differ, as said here:
 *
 *   - names are cleaned lexically; then parent components are looked up in the merged tree,
 *     symlinks among them are followed inside the root (containerd: fs.RootPath), missing
 *     ones become directories, a file among them is an error; the last component is never
 *     followed: an entry replaces a symlink
 *   - whiteouts work on lower layers only, wherever they stand in their layer: an entry of
 *     the same layer stays. A directory that lives on only as a parent of such an entry
 *     loses its lower content and its lower metadata
 *   - hardlinks share the target's inode and metadata, as GNU tar does; the target must
 *     exist when the link is met, and be no directory
 *   - the root's own entry ("./") sets the root's metadata, as GNU tar does; other entries
 *     that resolve to the root are ignored, as containerd does
 *   - ".wh..wh.*" but the opaque marker is AUFS's own bookkeeping: ignored
 */
#include "image/tree.h"

#include <stdlib.h>
#include <string.h>

#include "image/quote.h"
#include "image/tree_private.h"

#define WH_PREFIX ".wh."
#define WH_META_PREFIX ".wh..wh."
#define WH_OPAQUE ".wh..wh..opq"

struct apply {
	struct tree *t;
	uint32_t layer, stamp;
	uint64_t entry;
	uint32_t links_left;	/* symlinks that this name may still follow */
	struct err *err;
};

/* A path, cut into components. */
struct path {
	struct ztoc_str part[TREE_DEPTH_MAX];
	uint32_t n;
};

static bool str_is(struct ztoc_str s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.s, text, s.len) == 0;
}

static bool has_prefix(struct ztoc_str s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.len >= n && memcmp(s.s, prefix, n) == 0;
}

static int refuse(const struct apply *a, const char *what)
{
	return err_set(a->err, ERR_CORRUPT, EUCLEAN, "%s", what);
}

/* Cut text at slashes; with clean, resolve ".." lexically, never above the root. */
static int path_cut(const struct apply *a, struct ztoc_str text, bool clean, struct path *p)
{
	const char *s = text.s, *end = text.s + text.len;

	p->n = 0;
	if (text.len > TREE_PATH_MAX)
		return refuse(a, "path longer than 4096 bytes");
	if (memchr(text.s, '\0', text.len))
		return refuse(a, "path with a NUL byte");
	while (s < end) {
		const char *slash = memchr(s, '/', (size_t)(end - s));
		const char *stop = slash ? slash : end;
		struct ztoc_str part = { s, (uint32_t)(stop - s) };

		s = stop + 1;
		if (part.len == 0 || str_is(part, "."))
			continue;
		if (clean && str_is(part, "..")) {
			p->n -= p->n > 0;
			continue;
		}
		if (part.len > TREE_NAME_MAX)
			return refuse(a, "a name of more than 255 bytes");
		if (p->n == TREE_DEPTH_MAX)
			return refuse(a, "path of more than 2048 directories");
		p->part[p->n++] = part;
	}
	return 0;
}

static int set_new(struct apply *a, uint32_t node, enum ztoc_type type, uint64_t entry)
{
	uint32_t inode;
	int r = tree_rec_new(a->t, type, a->layer, entry, &inode, a->err);

	if (r < 0)
		return r;
	if (a->t->recs[a->t->nodes[node].parent].depth >= TREE_DEPTH_MAX)
		return refuse(a, "more than 2048 directories above one another");
	tree_node_set(a->t, node, inode, a->stamp);
	return 0;
}

static int make_parent(struct apply *a, uint32_t dir, struct ztoc_str name, uint32_t *ret)
{
	uint32_t node;
	int r = tree_node_get(a->t, dir, name.s, name.len, &node, a->err);

	if (r == 0)
		r = set_new(a, node, ZTOC_DIR, ZTOC_NO_ENTRY);
	if (r == 0)
		*ret = a->t->nodes[node].inode;
	return r;
}

static struct ztoc_str link_target(const struct apply *a, uint32_t inode)
{
	const struct tree_rec *rec = &a->t->recs[inode];
	struct ztoc_entry e;

	ztoc_entry_get(a->t->layers[rec->layer].ztoc, rec->entry, &e);
	return e.linkname;
}

/* Paths still to be walked, innermost symlink target last; bounded by TREE_LINKS_MAX. */
struct walk {
	struct ztoc_str rest[TREE_LINKS_MAX + 1];
	uint32_t n;
};

/* Next component of the innermost path; false when all is walked. */
static bool walk_next(struct walk *w, struct ztoc_str *ret)
{
	while (w->n) {
		struct ztoc_str *top = &w->rest[w->n - 1];
		const char *slash = memchr(top->s, '/', top->len);
		uint32_t len = slash ? (uint32_t)(slash - top->s) : top->len;

		*ret = (struct ztoc_str){ top->s, len };
		top->s += len + (slash != NULL);
		top->len -= len + (slash != NULL);
		if (top->len == 0)
			w->n--;
		if (len && !str_is(*ret, "."))
			return true;
	}
	return false;
}

static int follow_link(struct apply *a, struct walk *w, uint32_t link, uint32_t *dir)
{
	struct ztoc_str target = link_target(a, link);

	if (a->links_left == 0)
		return refuse(a, "too many symlinks on the way (a loop?)");
	a->links_left--;
	if (target.len > TREE_PATH_MAX || memchr(target.s, '\0', target.len))
		return refuse(a, "a symlink on the way has an impossible target");
	if (target.len && target.s[0] == '/')
		*dir = 0;
	if (target.len)
		w->rest[w->n++] = target;
	return 0;
}

/*
 * One component below *dir, which becomes the directory reached. With create, what is
 * missing is made; without, *dir becomes TREE_NONE.
 */
static int step(struct apply *a, struct walk *w, struct ztoc_str name, bool create,
		uint32_t *dir)
{
	uint32_t child;

	if (str_is(name, "..")) {
		*dir = a->t->nodes[a->t->recs[*dir].node].parent;
		return 0;
	}
	if (name.len > TREE_NAME_MAX)
		return refuse(a, "a symlink on the way has a name of more than 255 bytes");
	child = tree_lookup(a->t, *dir, name.s, name.len);
	if (child == TREE_NONE && create)
		return make_parent(a, *dir, name, dir);
	if (child == TREE_NONE) {
		*dir = TREE_NONE;
		return 0;
	}
	if (a->t->recs[child].type == ZTOC_DIR)
		*dir = child;
	else if (a->t->recs[child].type == ZTOC_SYMLINK)
		return follow_link(a, w, child, dir);
	else if (create)
		return refuse(a, "a parent is not a directory");
	else
		*dir = TREE_NONE;
	return 0;
}

/* The directory that holds the last component of p. */
static int resolve_parent(struct apply *a, const struct path *p, bool create, uint32_t *ret)
{
	struct walk w;
	uint32_t dir = 0;

	w.n = 0;
	a->links_left = TREE_LINKS_MAX;
	for (uint32_t i = 0; i + 1 < p->n && dir != TREE_NONE; i++) {
		struct ztoc_str name = p->part[i];

		do {
			int r = step(a, &w, name, create, &dir);

			if (r < 0)
				return r;
		} while (dir != TREE_NONE && walk_next(&w, &name));
	}
	*ret = dir;
	return 0;
}

/* The new entry takes the metadata; a directory over a directory keeps its children. */
static int put_entry(struct apply *a, uint32_t dir, struct ztoc_str name, enum ztoc_type type)
{
	struct tree *t = a->t;
	uint32_t node;
	int r = tree_node_get(t, dir, name.s, name.len, &node, a->err);

	if (r < 0)
		return r;
	if (type == ZTOC_DIR && t->nodes[node].inode != TREE_NONE &&
	    t->recs[t->nodes[node].inode].type == ZTOC_DIR) {
		struct tree_rec *rec = &t->recs[t->nodes[node].inode];

		rec->entry = a->entry;
		rec->layer = a->layer;
		tree_node_set(t, node, t->nodes[node].inode, a->stamp);
		return 0;
	}
	return set_new(a, node, type, a->entry);
}

static int put_hardlink(struct apply *a, uint32_t dir, struct ztoc_str name,
			struct ztoc_str linkname)
{
	struct path *p = malloc(sizeof(*p));
	uint32_t target = TREE_NONE, parent, node;
	int r;

	if (!p)
		return err_sys(a->err, ENOMEM, "path");
	r = path_cut(a, linkname, true, p);
	if (r == 0)
		r = resolve_parent(a, p, false, &parent);
	if (r == 0 && p->n && parent != TREE_NONE)
		target = tree_lookup(a->t, parent, p->part[p->n - 1].s, p->part[p->n - 1].len);
	free(p);
	if (r < 0)
		return r;
	if (target == TREE_NONE)
		return refuse(a, "hardlink to a file that does not exist (yet)");
	if (a->t->recs[target].type == ZTOC_DIR)
		return refuse(a, "hardlink to a directory");
	r = tree_node_get(a->t, dir, name.s, name.len, &node, a->err);
	if (r < 0)
		return r;
	tree_node_set(a->t, node, target, a->stamp);
	return 0;
}

static int put_whiteout(struct apply *a, uint32_t dir, struct ztoc_str name)
{
	struct tree *t = a->t;
	struct ztoc_str victim = { name.s + 4, name.len - 4 };
	uint32_t node;
	struct tree_rec *rec;

	tree_node_set(t, t->recs[dir].node, dir, a->stamp);
	if (str_is(name, WH_OPAQUE))
		return tree_prune(t, dir, a->stamp, a->err);
	if (victim.len == 0 || str_is(victim, ".") || str_is(victim, ".."))
		return refuse(a, "whiteout of no name");
	node = tree_node_find(t, dir, victim.s, victim.len);
	if (node == TREE_NONE || t->nodes[node].inode == TREE_NONE)
		return 0;
	if (t->nodes[node].stamp != a->stamp) {
		t->nodes[node].inode = TREE_NONE;
		return 0;
	}
	rec = &t->recs[t->nodes[node].inode];
	if (rec->type != ZTOC_DIR)
		return 0;
	if (rec->layer + 1 != a->stamp) {
		rec->layer = a->layer;
		rec->entry = ZTOC_NO_ENTRY;
	}
	return tree_prune(t, t->nodes[node].inode, a->stamp, a->err);
}

/* Entries below an AUFS bookkeeping directory: 1. A parent that is a whiteout: error. */
static int check_parts(const struct apply *a, const struct path *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		bool last = i + 1 == p->n;

		if (!has_prefix(p->part[i], WH_PREFIX))
			continue;
		if (last && str_is(p->part[i], WH_OPAQUE))
			return 0;
		if (has_prefix(p->part[i], WH_META_PREFIX))
			return 1;
		if (!last)
			return refuse(a, "a parent has a whiteout's name");
	}
	return 0;
}

static int apply_entry(struct apply *a, const struct ztoc_entry *e, struct path *p)
{
	struct ztoc_str name;
	uint32_t dir;
	int r = path_cut(a, e->name, true, p);

	if (r == 0)
		r = check_parts(a, p);
	if (r != 0)
		return r < 0 ? r : 0;
	if (p->n == 0) {
		if (e->type == ZTOC_DIR) {
			a->t->recs[0].entry = a->entry;
			a->t->recs[0].layer = a->layer;
		}
		return 0;
	}
	r = resolve_parent(a, p, true, &dir);
	if (r < 0)
		return r;
	name = p->part[p->n - 1];
	if (has_prefix(name, WH_PREFIX))
		return put_whiteout(a, dir, name);
	if (e->type == ZTOC_HARDLINK)
		return put_hardlink(a, dir, name, e->linkname);
	return put_entry(a, dir, name, e->type);
}

static int add_layer_slot(struct tree *t, uint32_t layer, const struct ztoc *z,
			  const struct layer_map *m, struct err *err)
{
	struct tree_layer *p;

	if (layer != t->nlayers || layer == UINT32_MAX - 1)
		return err_set(err, ERR_BUG, EINVAL, "layer %u out of order", layer);
	p = realloc(t->layers, ((size_t)layer + 1) * sizeof(*p));
	if (!p)
		return err_sys(err, ENOMEM, "layers");
	t->layers = p;
	t->layers[t->nlayers++] = (struct tree_layer){ .ztoc = z, .map = m };
	return 0;
}

int tree_add_layer(struct tree *t, uint32_t layer, const struct ztoc *z,
		   const struct layer_map *m, struct err *err)
{
	struct apply a = { .t = t, .layer = layer, .stamp = layer + 1, .err = err };
	struct path *p = NULL;
	int r = add_layer_slot(t, layer, z, m, err);

	if (r == 0) {
		p = malloc(sizeof(*p));
		if (!p)
			return err_sys(err, ENOMEM, "path");
	}
	for (uint64_t i = 0; r == 0 && i < ztoc_entry_count(z); i++) {
		char quoted[IMAGE_QUOTE_SIZE];
		struct ztoc_entry e;

		ztoc_entry_get(z, i, &e);
		a.entry = i;
		r = apply_entry(&a, &e, p);
		if (r < 0)
			err_prefix(err, "entry %s", image_quote(e.name, quoted));
	}
	free(p);
	return r;
}
