/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tree_test.c - the merge rules, one case each: layers in, listing out.
 *
 * A listing has one line per name, in the order of the walk (breadth first): PATH TYPE MODE SIZE LAYER NLINK, the
 * layer being the one that gave the inode ("-": made up on the way). Paths are the
 * visitor's, rebuilt from the parents' numbers.
 */
#include "image/tree.h"

#include "image_make.h"

#define DIR ZTOC_DIR
#define LNK ZTOC_SYMLINK
#define HRD ZTOC_HARDLINK
#define MAX_LAYERS 4

struct listing {
	struct buf text;
	char *paths[4096];	/* of directories, by inode number */
};

static int list_one(void *arg, uint64_t parent, struct ztoc_str name, bool first,
		    const struct tree_inode *in, struct err *err)
{
	struct listing *l = arg;
	char path[8192], layer[16] = "-";

	(void)err, (void)first;
	if (in->ino == 0)
		snprintf(path, sizeof(path), "%s", "");
	else
		snprintf(path, sizeof(path), "%s/%.*s", l->paths[parent], (int)name.len, name.s);
	if (in->type == ZTOC_DIR)
		l->paths[in->ino] = strdup(path);
	if (in->entry != ZTOC_NO_ENTRY)
		snprintf(layer, sizeof(layer), "%u", in->layer);
	buf_addf(&l->text, "%s %c %o %llu %s %u\n", path[0] ? path : "/",
		 "fhldcbp"[in->type], in->mode, (unsigned long long)in->size, layer, in->nlink);
	return 0;
}

static char *list_tree(const struct tree *t, struct err *err)
{
	struct listing *l = calloc(1, sizeof(*l));
	char *text;

	if (tree_walk(t, list_one, l, err) < 0)
		buf_addf(&l->text, "walk failed");
	for (int i = 0; i < 4096; i++)
		free(l->paths[i]);
	text = (char *)buf_take(&l->text, NULL);
	free(l);
	return text;
}

struct tree_case {
	const char *what;
	const char *want;	/* listing without the root's line, or "!error text" */
	struct mk_entry layers[MAX_LAYERS][12];
};

static const struct tree_case cases[] = {
	{ "an empty layer", "", { { { 0 } } } },
	{ "names are cleaned",
	  "/a f 644 0 0 1\n/b f 644 0 0 1\n/c f 644 0 0 1\n/d f 644 0 0 1\n/x d 755 0 0 2\n",
	  { { { "./a" }, { "/b" }, { "x/../../c" }, { "x/", DIR }, { "//d/" } } } },
	{ "missing parents are made up",
	  "/a d 755 0 - 3\n/a/b d 755 0 - 2\n/a/b/c f 644 3 0 1\n",
	  { { { "a/b/c", .size = 3 } } } },
	{ "a parent described later takes its metadata",
	  "/a d 700 0 0 2\n/a/b f 644 0 0 1\n",
	  { { { "a/b" }, { "a", DIR, .mode = 0700 } } } },
	{ "duplicates: the last wins",
	  "/a f 600 9 0 1\n",
	  { { { "a", .size = 5 }, { "a", DIR }, { "a", .size = 9, .mode = 0600 } } } },
	{ "upper layers replace lower ones",
	  "/a f 644 2 1 1\n/b f 644 1 0 1\n",
	  { { { "a", .size = 1 }, { "b", .size = 1 } }, { { "a", .size = 2 } } } },
	{ "a directory over a directory keeps the children",
	  "/d d 711 0 1 2\n/d/x f 644 0 0 1\n",
	  { { { "d", DIR }, { "d/x" } }, { { "d", DIR, .mode = 0711 } } } },
	{ "a file over a directory removes it, a directory over a file is empty",
	  "/d f 644 1 1 1\n/f d 755 0 1 2\n/f/y f 644 0 1 1\n",
	  { { { "d/x" }, { "f" } }, { { "d", .size = 1 }, { "f", DIR }, { "f/y" } } } },
	{ "a directory that comes back does not bring its old children",
	  "/d d 755 0 2 2\n",
	  { { { "d/x" } }, { { "d" } }, { { "d", DIR } } } },
	{ "a whiteout removes lower files and trees",
	  "/keep f 644 0 0 1\n",
	  { { { "a" }, { "d/e/f" }, { "keep" } }, { { ".wh.a" }, { ".wh.d" } } } },
	{ "a whiteout of nothing, and a parent it makes",
	  "/n d 755 0 - 2\n",
	  { { { ".wh.x" }, { "n/.wh.y" } } } },
	{ "a whiteout spares its own layer, standing first",
	  "/a f 644 7 1 1\n",
	  { { { "a", .size = 1 } }, { { ".wh.a" }, { "a", .size = 7 } } } },
	{ "a whiteout spares its own layer, standing last",
	  "/a f 644 7 1 1\n",
	  { { { "a", .size = 1 } }, { { "a", .size = 7 }, { ".wh.a" } } } },
	{ "a whiteout after a child of the same layer: lower content and metadata go",
	  "/d d 755 0 - 2\n/d/new f 644 0 1 1\n",
	  { { { "d", DIR, .mode = 0700 }, { "d/old" } }, { { "d/new" }, { ".wh.d" } } } },
	{ "the same, the whiteout first",
	  "/d d 755 0 - 2\n/d/new f 644 0 1 1\n",
	  { { { "d", DIR, .mode = 0700 }, { "d/old" } }, { { ".wh.d" }, { "d/new" } } } },
	{ "the same, with the directory described",
	  "/d d 711 0 1 2\n/d/new f 644 0 1 1\n",
	  { { { "d", DIR }, { "d/old" } },
	    { { "d", DIR, .mode = 0711 }, { "d/new" }, { ".wh.d" } } } },
	{ "an opaque directory hides lower children",
	  "/d d 755 0 0 2\n/d/new f 644 0 1 1\n",
	  { { { "d", DIR }, { "d/old" }, { "d/s/x" } }, { { "d/.wh..wh..opq" }, { "d/new" } } } },
	{ "an opaque marker standing last spares its own layer, deep down too",
	  "/d d 755 0 0 3\n/d/s d 755 0 - 2\n/d/s/new f 644 0 1 1\n",
	  { { { "d", DIR }, { "d/s", DIR, .mode = 0700 }, { "d/s/old" }, { "d/old" } },
	    { { "d/s/new" }, { "d/.wh..wh..opq" } } } },
	{ "an opaque root",
	  "/b f 644 0 1 1\n",
	  { { { "a" } }, { { ".wh..wh..opq" }, { "b" } } } },
	{ "two opaque layers, and what comes after",
	  "/d d 755 0 - 2\n/d/c f 644 0 2 1\n/d/e f 644 0 3 1\n",
	  { { { "d/a" } }, { { "d/.wh..wh..opq" }, { "d/b" } },
	    { { "d/c" }, { "d/.wh..wh..opq" } }, { { "d/e" } } } },
	{ "AUFS bookkeeping is ignored",
	  "/a f 644 0 0 1\n",
	  { { { "a" }, { ".wh..wh.plnk/1.2" }, { ".wh..wh.aufs" }, { ".wh..wh.orph", DIR } } } },
	{ "hardlinks, across directories",
	  "/a f 600 4 0 3\n/b f 600 4 0 3\n/d d 755 0 - 2\n/d/c f 600 4 0 3\n",
	  { { { "a", .size = 4, .mode = 0600 }, { "b", HRD, .link = "a" },
	      { "d/c", HRD, .link = "./b" } } } },
	{ "a hardlink to a lower layer's file outlives a whiteout that comes later",
	  "/b f 644 4 0 1\n",
	  { { { "a", .size = 4 } }, { { "b", HRD, .link = "/a" } }, { { ".wh.a" } } } },
	{ "a link replaced: the others stay",
	  "/a f 644 8 1 1\n/b f 644 4 0 1\n",
	  { { { "a", .size = 4 }, { "b", HRD, .link = "a" } }, { { "a", .size = 8 } } } },
	{ "a hardlink to itself changes nothing",
	  "/a f 644 4 0 1\n",
	  { { { "a", .size = 4 }, { "a", HRD, .link = "a" } } } },
	{ "a hardlink to a symlink",
	  "/s l 777 0 0 2\n/t l 777 0 0 2\n",
	  { { { "s", LNK, .link = "x" }, { "t", HRD, .link = "s" } } } },
	{ "a hardlink through a symlinked directory",
	  "/b f 644 4 0 2\n/d d 755 0 - 2\n/s l 777 0 0 1\n/d/a f 644 4 0 2\n",
	  { { { "d/a", .size = 4 }, { "s", LNK, .link = "d" }, { "b", HRD, .link = "s/a" } } } },
	{ "a hardlink to nothing", "!hardlink to a file that does not exist",
	  { { { "b", HRD, .link = "a" } } } },
	{ "a hardlink forward", "!hardlink to a file that does not exist",
	  { { { "b", HRD, .link = "a" }, { "a" } } } },
	{ "a hardlink to a directory", "!hardlink to a directory",
	  { { { "d", DIR }, { "b", HRD, .link = "d" } } } },
	{ "a hardlink to the root", "!hardlink to a file that does not exist",
	  { { { "b", HRD, .link = "/" } } } },
	{ "symlinked parents are followed: relative, absolute, dot-dot",
	  "/d d 755 0 - 2\n/s l 777 0 0 1\n/t l 777 0 0 1\n/u l 777 0 0 1\n"
	  "/d/1 f 644 0 0 1\n/d/2 f 644 0 0 1\n/d/3 f 644 0 0 1\n",
	  { { { "d/1" }, { "s", LNK, .link = "d" }, { "t", LNK, .link = "/d" },
	      { "u", LNK, .link = "../../s/../d/." }, { "t/2" }, { "u/3" } } } },
	{ "a dangling symlinked parent makes its target",
	  "/n d 755 0 - 3\n/s l 777 0 0 1\n/n/m d 755 0 - 2\n/n/m/f f 644 0 0 1\n",
	  { { { "s", LNK, .link = "n/m" }, { "s/f" } } } },
	{ "an entry replaces a symlink, it does not follow it",
	  "/d d 755 0 - 2\n/s d 755 0 1 2\n/d/x f 644 0 0 1\n/s/y f 644 0 1 1\n",
	  { { { "d/x" }, { "s", LNK, .link = "d" } }, { { "s", DIR }, { "s/y" } } } },
	{ "a whiteout through a symlinked parent",
	  "/d d 755 0 - 2\n/s l 777 0 0 1\n",
	  { { { "d/x" }, { "s", LNK, .link = "d" } }, { { "s/.wh.x" } } } },
	{ "a symlink loop on the way", "!too many symlinks",
	  { { { "a", LNK, .link = "b" }, { "b", LNK, .link = "a" }, { "a/x" } } } },
	{ "a symlink that grows on the way", "!too many symlinks",
	  { { { "a", LNK, .link = "a/a" }, { "a/x" } } } },
	{ "a file as a parent", "!a parent is not a directory", { { { "a" }, { "a/b" } } } },
	{ "a whiteout as a parent", "!a parent has a whiteout's name", { { { ".wh.a/b" } } } },
	{ "a whiteout of no name", "!whiteout of no name", { { { ".wh." } } } },
	{ "a whiteout of dot-dot", "!whiteout of no name", { { { "d/.wh..." } } } },
	{ "NUL in a name", "!NUL", { { { "a\0b", .name_len = 3 } } } },
	{ "the root's entry sets its metadata",
	  "", { { { "./", DIR, .mode = 0711 }, { "/", .size = 0 } } } },
	{ "devices, fifos, odd bytes",
	  "/\x01\xff f 644 0 0 1\n/b b 644 0 0 1\n/c c 644 0 0 1\n/p p 644 0 0 1\n",
	  { { { "c", ZTOC_CHAR }, { "b", ZTOC_BLOCK }, { "p", ZTOC_FIFO }, { "\x01\xff" } } } },
};

static void run_case(const struct tree_case *c)
{
	struct mk_layer layers[MAX_LAYERS];
	struct err err = ERR_INIT;
	struct tree *t = NULL;
	int n = 0, r = tree_new(&t, &err);

	for (int i = 0; i < MAX_LAYERS && r == 0; i++, n++) {
		mk_layer(&layers[i], c->layers[i], 4 << 20);
		r = tree_add_layer(t, (uint32_t)i, layers[i].ztoc, layers[i].map, &err);
	}
	if (c->want[0] == '!') {
		ok(r < 0 && err.kind == ERR_CORRUPT && strstr(err.text, c->want + 1),
		   "refused: %s (%s)", c->what, err.text);
	} else if (r < 0) {
		ok(false, "%s: %s", c->what, err.text);
	} else {
		char *got = list_tree(t, &err);
		char *rest = strchr(got, '\n') + 1;	/* the root's own line */

		is_str(rest, c->want, "%s", c->what);
		free(got);
	}
	tree_free(t);
	while (n-- > 0)
		mk_done(&layers[n]);
}

static void test_root_metadata(void)
{
	const struct mk_entry e[] = {
		{ "./", DIR, .mode = 01711, .uid = 70000, .gid = 80000,
		  .mtime = "1969-12-31T23:59:58.5Z" }, { 0 } };
	struct mk_layer l;
	struct tree *t;
	char *text;
	uint64_t n = 0;

	mk_layer(&l, e, 4 << 20);
	tree_new(&t, NULL);
	tree_add_layer(t, 0, l.ztoc, l.map, NULL);
	text = list_tree(t, NULL);
	is_str(text, "/ d 1711 0 0 2\n", "the root has its entry's mode");
	free(text);
	is_int(tree_inode_count(t, &n, NULL), 0, "counts");
	is_int(n, 1, "one inode");
	tree_free(t);
	tree_new(&t, NULL);
	text = list_tree(t, NULL);
	is_str(text, "/ d 755 0 - 2\n", "a tree of no layers has a root");
	free(text);
	ok(tree_add_layer(t, 1, l.ztoc, l.map, NULL) < 0, "layers come in order");
	tree_free(t);
	mk_done(&l);
}

static void test_long_names(void)
{
	static char long255[256], long256[257], deep[4096 + 2], over[4100];
	struct mk_entry e[] = { { long255 }, { 0 } };
	const char *bad[] = { long256, over };
	struct mk_layer l;
	struct tree *t;

	memset(long255, 'n', 255);
	memset(long256, 'n', 256);
	for (int i = 0; i < 4096; i++)
		deep[i] = i % 2 ? '/' : 'd';
	memset(over, '/', 4099);
	for (int i = 0; i < 2; i++) {
		e[0].name = i ? deep : long255;
		mk_layer(&l, e, 4 << 20);
		tree_new(&t, NULL);
		is_int(tree_add_layer(t, 0, l.ztoc, l.map, NULL), 0, i ?
		       "2048 directories in 4096 bytes" : "a name of 255 bytes");
		tree_free(t);
		mk_done(&l);
	}
	for (int i = 0; i < 2; i++) {
		struct err err = ERR_INIT;

		e[0].name = bad[i];
		mk_layer(&l, e, 4 << 20);
		tree_new(&t, NULL);
		ok(tree_add_layer(t, 0, l.ztoc, l.map, &err) < 0, "refused: %s", err.text);
		tree_free(t);
		mk_done(&l);
	}
}

/* Depth that no single name has, reached through symlinks. */
static void test_depth_through_links(void)
{
	static char deep[4000], through[4000];
	const struct mk_entry e[] = {
		{ deep, DIR }, { "s", LNK, .link = deep }, { through, DIR }, { 0 } };
	struct err err = ERR_INIT;
	struct mk_layer l;
	struct tree *t;

	for (int i = 0; i < 3990; i++) {
		deep[i] = i % 2 ? '/' : 'd';
		through[i] = i % 2 ? '/' : 's';
	}
	mk_layer(&l, e, 4 << 20);
	tree_new(&t, NULL);
	ok(tree_add_layer(t, 0, l.ztoc, l.map, &err) < 0 && strstr(err.text, "2048"),
	   "refused: %s", err.text);
	tree_free(t);
	mk_done(&l);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		run_case(&cases[i]);
	test_root_metadata();
	test_long_names();
	test_depth_through_links();
	return tap_done();
}
