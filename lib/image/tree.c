/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tree.c - store of the merged tree: nodes, inodes, the hash table over (directory, name).
 *
 * Knows nothing of layers' rules (tree_apply.c) nor of order (tree_walk.c). One thread.
 */
#include "image/tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "image/tree_private.h"

#define SLOTS_FIRST 1024u

DEFINE_CLEANUP(struct tree *, tree_free, tree_freep)

void tree_free(struct tree *t)
{
	if (!t)
		return;
	free(t->nodes);
	free(t->recs);
	free(t->slots);
	free(t->layers);
	free(t->stack);
	free(t);
}

/* Make room for one more element; capacity doubles. */
static int grow(void **array, uint32_t count, uint32_t *cap, size_t size, struct err *err)
{
	uint32_t want = *cap ? *cap * 2 : 256;
	void *p;

	if (count < *cap)
		return 0;
	if (want > TREE_NONE / 2 || want <= *cap)
		return err_set(err, ERR_UNSUPPORTED, EFBIG, "too many files in one image");
	p = realloc(*array, want * size);
	if (!p)
		return err_sys(err, ENOMEM, "file tree of %u entries", count);
	*array = p;
	*cap = want;
	return 0;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t p = (__uint128_t)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint32_t name_hash(const struct tree *t, uint32_t dir, const char *name, uint32_t len)
{
	uint64_t h = mix(t->seed ^ dir, 0x9e3779b97f4a7c15ull) ^ len;

	while (len) {
		uint32_t n = len < 8 ? len : 8;
		uint64_t w = 0;

		memcpy(&w, name, n);
		h = mix(h ^ w ^ t->seed, 0xd6e8feb86659fd93ull);
		name += n;
		len -= n;
	}
	return (uint32_t)(h ^ (h >> 32));
}

static uint32_t find_hashed(const struct tree *t, uint32_t hash, uint32_t dir,
			    const char *name, uint32_t len)
{
	for (uint32_t i = hash & (t->nslots - 1);; i = (i + 1) & (t->nslots - 1)) {
		const struct tree_node *n;

		if (!t->slots[i])
			return TREE_NONE;
		n = &t->nodes[t->slots[i] - 1];
		if (n->hash == hash && n->parent == dir && n->namelen == len &&
		    memcmp(n->name, name, len) == 0)
			return t->slots[i] - 1;
	}
}

uint32_t tree_node_find(const struct tree *t, uint32_t dir, const char *name, uint32_t len)
{
	return find_hashed(t, name_hash(t, dir, name, len), dir, name, len);
}

uint32_t tree_lookup(const struct tree *t, uint32_t dir, const char *name, uint32_t len)
{
	uint32_t node = tree_node_find(t, dir, name, len);

	return node == TREE_NONE ? TREE_NONE : t->nodes[node].inode;
}

static void slot_insert(uint32_t *slots, uint32_t nslots, uint32_t hash, uint32_t node)
{
	uint32_t i = hash & (nslots - 1);

	while (slots[i])
		i = (i + 1) & (nslots - 1);
	slots[i] = node + 1;
}

/* Keep the table at most 5/8 full. */
static int slots_reserve(struct tree *t, struct err *err)
{
	uint32_t *slots, n = t->nslots * 2;

	if (t->nnodes < t->nslots / 8 * 5)
		return 0;
	slots = calloc(n, sizeof(*slots));
	if (!slots)
		return err_sys(err, ENOMEM, "file tree of %u entries", t->nnodes);
	for (uint32_t i = 0; i < t->nnodes; i++)
		slot_insert(slots, n, t->nodes[i].hash, i);
	free(t->slots);
	t->slots = slots;
	t->nslots = n;
	return 0;
}

int tree_node_get(struct tree *t, uint32_t dir, const char *name, uint32_t len,
		  uint32_t *ret, struct err *err)
{
	uint32_t hash = name_hash(t, dir, name, len);
	uint32_t node = find_hashed(t, hash, dir, name, len);
	int r;

	if (node != TREE_NONE) {
		*ret = node;
		return 0;
	}
	r = grow((void **)&t->nodes, t->nnodes, &t->nodes_cap, sizeof(*t->nodes), err);
	if (r == 0)
		r = slots_reserve(t, err);
	if (r < 0)
		return r;
	node = t->nnodes++;
	t->nodes[node] = (struct tree_node){
		.name = name, .namelen = (uint8_t)len, .parent = dir, .inode = TREE_NONE,
		.next = t->recs[dir].first_child, .hash = hash,
	};
	t->recs[dir].first_child = node;
	slot_insert(t->slots, t->nslots, hash, node);
	*ret = node;
	return 0;
}

int tree_rec_new(struct tree *t, enum ztoc_type type, uint32_t layer, uint64_t entry,
		 uint32_t *ret, struct err *err)
{
	int r = grow((void **)&t->recs, t->nrecs, &t->recs_cap, sizeof(*t->recs), err);

	if (r < 0)
		return r;
	t->recs[t->nrecs] = (struct tree_rec){
		.entry = entry, .layer = layer, .type = (uint8_t)type,
		.first_child = TREE_NONE, .node = TREE_NONE,
	};
	*ret = t->nrecs++;
	return 0;
}

void tree_node_set(struct tree *t, uint32_t node, uint32_t inode, uint32_t stamp)
{
	struct tree_node *n = &t->nodes[node];

	n->inode = inode;
	n->stamp = stamp;
	if (t->recs[inode].type == ZTOC_DIR) {
		t->recs[inode].node = node;
		t->recs[inode].depth = node ? (uint16_t)(t->recs[n->parent].depth + 1) : 0;
	}
	for (uint32_t up = t->recs[n->parent].node; t->nodes[up].stamp != stamp;
	     up = t->recs[t->nodes[up].parent].node)
		t->nodes[up].stamp = stamp;
}

/* One directory of a prune: children without the stamp go, stamped directories follow. */
static int prune_dir(struct tree *t, uint32_t dir, uint32_t stamp, uint32_t *depth,
		     struct err *err)
{
	for (uint32_t c = t->recs[dir].first_child; c != TREE_NONE; c = t->nodes[c].next) {
		struct tree_node *n = &t->nodes[c];
		struct tree_rec *rec;
		int r;

		if (n->inode == TREE_NONE)
			continue;
		if (n->stamp != stamp) {
			n->inode = TREE_NONE;
			continue;
		}
		rec = &t->recs[n->inode];
		if (rec->type != ZTOC_DIR || rec->pruned == stamp)
			continue;
		r = grow((void **)&t->stack, *depth, &t->stack_cap, sizeof(*t->stack), err);
		if (r < 0)
			return r;
		t->stack[(*depth)++] = n->inode;
	}
	return 0;
}

int tree_prune(struct tree *t, uint32_t dir, uint32_t stamp, struct err *err)
{
	uint32_t depth = 0;

	for (bool first = true;; first = false) {
		struct tree_rec *rec = &t->recs[dir];
		int r = 0;

		/* A lower directory that lives on as a parent only: nothing of it remains. */
		if (!first && rec->layer + 1 != stamp) {
			rec->entry = ZTOC_NO_ENTRY;
			rec->layer = stamp - 1;
		}
		/* What came after the first prune of a layer is that layer's own. */
		if (rec->pruned != stamp) {
			rec->pruned = stamp;
			r = prune_dir(t, dir, stamp, &depth, err);
		}
		if (r < 0)
			return r;
		if (depth == 0)
			return 0;
		dir = t->stack[--depth];
	}
}

int tree_new(struct tree **ret, struct err *err)
{
	__attribute__((cleanup(tree_freep))) struct tree *t = calloc(1, sizeof(*t));
	uint32_t root, node;
	int r;

	if (!t)
		return err_sys(err, ENOMEM, "file tree");
	if (getrandom(&t->seed, sizeof(t->seed), 0) != (ssize_t)sizeof(t->seed))
		return err_sys(err, errno, "getrandom");
	t->nslots = SLOTS_FIRST;
	t->slots = calloc(t->nslots, sizeof(*t->slots));
	if (!t->slots)
		return err_sys(err, ENOMEM, "file tree");
	r = tree_rec_new(t, ZTOC_DIR, 0, ZTOC_NO_ENTRY, &root, err);
	if (r == 0)
		r = tree_node_get(t, root, "", 0, &node, err);
	if (r < 0)
		return r;
	/* The root is nobody's child. */
	t->recs[root].first_child = TREE_NONE;
	t->recs[root].node = node;
	t->nodes[node].inode = root;
	*ret = TAKE_PTR(t);
	return 0;
}
