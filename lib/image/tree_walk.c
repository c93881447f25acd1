/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tree_walk.c - the merged tree, read out: directories breadth first, children in byte order.
 *
 * Inode numbers are given in that order, so that they depend on the tree alone and not on
 * the way it was made. A queue, no recursion: depth is the input's. One thread.
 */
#include "image/tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/quote.h"
#include "image/tree_private.h"

#define INO_UNSEEN UINT32_MAX

/* Called for every live node but the root's, children of a directory in byte order. */
typedef int (*node_visit)(void *arg, uint32_t node);

static int name_cmp(const void *a, const void *b, void *arg)
{
	const struct tree *t = arg;
	const struct tree_node *x = &t->nodes[*(const uint32_t *)a];
	const struct tree_node *y = &t->nodes[*(const uint32_t *)b];
	uint8_t common = x->namelen < y->namelen ? x->namelen : y->namelen;
	int c = memcmp(x->name, y->name, common);

	return c ? c : (int)x->namelen - (int)y->namelen;
}

/* Visit the live children of dir; append those that are directories to the queue. */
static int walk_dir(const struct tree *t, uint32_t dir, uint32_t *children, uint32_t *queue,
		    uint32_t *tail, node_visit visit, void *arg)
{
	uint32_t n = 0;

	for (uint32_t c = t->recs[dir].first_child; c != TREE_NONE; c = t->nodes[c].next)
		if (t->nodes[c].inode != TREE_NONE)
			children[n++] = c;
	qsort_r(children, n, sizeof(*children), name_cmp, (void *)t);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t inode = t->nodes[children[i]].inode;
		int r = visit(arg, children[i]);

		if (r < 0)
			return r;
		if (t->recs[inode].type == ZTOC_DIR)
			queue[(*tail)++] = inode;
	}
	return 0;
}

static int walk_nodes(const struct tree *t, node_visit visit, void *arg, struct err *err)
{
	cleanup_free uint32_t *children = calloc(t->nnodes, sizeof(*children));
	cleanup_free uint32_t *queue = calloc(t->nrecs, sizeof(*queue));
	uint32_t head = 0, tail = 0;

	if (!children || !queue)
		return err_sys(err, ENOMEM, "walk of %u files", t->nnodes);
	queue[tail++] = 0;
	while (head < tail) {
		int r = walk_dir(t, queue[head++], children, queue, &tail, visit, arg);

		if (r < 0)
			return r;
	}
	return 0;
}

/* --- first pass: links and inode numbers ------------------------------------------- */

struct count {
	struct tree_rec *recs;
	const struct tree_node *nodes;
	uint32_t next_ino;
};

static int count_node(void *arg, uint32_t node)
{
	struct count *c = arg;
	struct tree_rec *rec = &c->recs[c->nodes[node].inode];

	if (rec->ino == INO_UNSEEN) {
		rec->ino = c->next_ino++;
		rec->nlink = rec->type == ZTOC_DIR ? 2 : 0;
	}
	if (rec->type == ZTOC_DIR)
		c->recs[c->nodes[node].parent].nlink++;
	else
		rec->nlink++;
	return 0;
}

static int number_inodes(const struct tree *t, uint64_t *ret_count, struct err *err)
{
	struct count c = { .recs = t->recs, .nodes = t->nodes, .next_ino = 1 };
	int r;

	for (uint32_t i = 0; i < t->nrecs; i++)
		t->recs[i].ino = INO_UNSEEN;
	t->recs[0].ino = 0;
	t->recs[0].nlink = 2;
	r = walk_nodes(t, count_node, &c, err);
	if (r == 0)
		*ret_count = c.next_ino;
	return r;
}

int tree_inode_count(const struct tree *t, uint64_t *ret, struct err *err)
{
	return number_inodes(t, ret, err);
}

/* --- second pass: the caller's visit ------------------------------------------------ */

struct visitor {
	const struct tree *t;
	uint8_t *seen;		/* per inode number */
	tree_visit visit;
	void *arg;
	struct err *err;
};

static int fill_from_entry(const struct tree *t, const struct tree_rec *rec,
			   struct tree_inode *in, struct err *err)
{
	const struct tree_layer *l = &t->layers[rec->layer];
	struct ztoc_entry e;

	ztoc_entry_get(l->ztoc, rec->entry, &e);
	/* Linux has no other mode for a symlink, whatever the tar says. */
	in->mode = rec->type == ZTOC_SYMLINK ? 0777 : e.mode & 07777;
	in->uid = e.uid;
	in->gid = e.gid;
	in->mtime_sec = e.mtime_sec;
	in->mtime_nsec = e.mtime_nsec;
	in->devmajor = e.devmajor;
	in->devminor = e.devminor;
	in->target = e.linkname;
	in->size = rec->type == ZTOC_REG ? e.size : 0;
	in->ztoc = l->ztoc;
	in->nxattrs = e.nxattrs;
	if (in->size && layer_map_file_offset(l->map, e.offset, &in->blob_off) < 0) {
		char quoted[IMAGE_QUOTE_SIZE];

		return err_set(err, ERR_BUG, EINVAL, "entry %s: no extent in the layer's map",
			       image_quote(e.name, quoted));
	}
	return 0;
}

static int inode_fill(const struct tree *t, const struct tree_rec *rec,
		      struct tree_inode *in, struct err *err)
{
	*in = (struct tree_inode){
		.ino = rec->ino, .type = (enum ztoc_type)rec->type, .nlink = rec->nlink,
		.layer = rec->layer, .entry = rec->entry, .mode = 0755,
	};
	return rec->entry == ZTOC_NO_ENTRY ? 0 : fill_from_entry(t, rec, in, err);
}

static int visit_node(void *arg, uint32_t node)
{
	struct visitor *v = arg;
	const struct tree_node *n = &v->t->nodes[node];
	const struct tree_rec *rec = &v->t->recs[n->inode];
	struct ztoc_str name = { n->name, n->namelen };
	bool first = !v->seen[rec->ino];
	struct tree_inode in;
	int r = inode_fill(v->t, rec, &in, v->err);

	if (r < 0)
		return r;
	v->seen[rec->ino] = 1;
	return v->visit(v->arg, v->t->recs[n->parent].ino, name, first, &in, v->err);
}

int tree_walk(const struct tree *t, tree_visit visit, void *arg, struct err *err)
{
	struct visitor v = { .t = t, .visit = visit, .arg = arg, .err = err };
	cleanup_free uint8_t *seen = NULL;
	struct tree_inode root;
	uint64_t count;
	int r = number_inodes(t, &count, err);

	if (r == 0)
		r = inode_fill(t, &t->recs[0], &root, err);
	if (r < 0)
		return r;
	seen = calloc(count, 1);
	if (!seen)
		return err_sys(err, ENOMEM, "walk of %llu files", (unsigned long long)count);
	v.seen = seen;
	r = visit(arg, 0, (struct ztoc_str){ "", 0 }, true, &root, err);
	return r < 0 ? r : walk_nodes(t, visit_node, &v, err);
}
