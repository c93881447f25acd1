# SPDX-License-Identifier: GPL-2.0-or-later
# fixture.sh DIR: the images of this folder's tests, made once.
#
#   DIR/registry/data   of docker-registry: one, two (which shares layers with one),
#                       small, storm1 to storm8 (which share one layer)
#   DIR/truth/NAME      the image NAME, unpacked
#   DIR/digests/NAME    the digests of its layers, bottom first
#
# Sourced by nobody: run with bash; needs the staged programs in PATH.
set -euo pipefail

dir=${1:?usage: fixture.sh DIR}
mkdir -p "$(dirname "$dir")"
exec 9>"$dir.lock"
flock 9
[ ! -f "$dir/.complete" ] || exit 0
rm -rf "$dir"
tools=$SRCDIR/tests/tools
mkdir -p "$dir"/{registry,truth,digests,trees,layouts}

python3 - "$dir/trees" <<'PY'
import os, random, sys
top = sys.argv[1]
rng = random.Random(20)
words = [rng.randbytes(rng.randint(2, 12)).hex() for _ in range(5000)]

def text(size):
    found, n = [], 0
    while n < size:
        found.append(rng.choice(words))
        n += len(found[-1]) + 1
    return " ".join(found).encode()[:size]

def put(tree, name, data):
    path = os.path.join(top, tree, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)

# Sizes around block and span boundaries, too.
for i in range(300):
    size = rng.choice((0, 1, 100, 4095, 4096, 4097, rng.randint(1, 30000), rng.randint(1, 200000)))
    put("base", f"small/{i % 7}/file{i}", text(size))
for i in range(10):
    put("data", f"data/random{i}", rng.randbytes(rng.randint(1, 5 << 20)))
put("data", "data/exact", rng.randbytes(4 << 20))
put("data", "data/zeros", bytes(3 << 20))
put("data", "data/zeros-and-more", bytes(1 << 20) + text(50000) + bytes(1 << 20))
for i in range(4):
    put("top", f"text/book{i}", text(3 << 20))
for i in range(100):
    put("top", f"small/{i % 5}/over{i}", text(rng.randint(1, 20000)))
put("top", "small/0/file0", b"replaced\n" * 1000)
for i in range(3):
    put("other", f"other/book{i}", text(2 << 20))
put("little", "little/file", rng.randbytes(600000))
put("little", "little/other", text(600000))
for s in range(1, 9):
    put(f"storm{s}", f"own/random{s}", rng.randbytes(1 << 20))
    put(f"storm{s}", f"own/text{s}", text(1 << 20))
    for i in range(20):
        put(f"storm{s}", f"own/small{i}", text(rng.randint(1, 9000)))
PY

port=$("$tools/start-registry" "$dir/registry" --pid-file "$dir/registry.pid")
trap 'kill "$(cat "$dir/registry.pid")"' EXIT

make() { # NAME TREE...
	local name=$1 digest blobs=$dir/layouts/$1/blobs/sha256 trees=()
	shift
	for tree in "$@"; do trees+=("$dir/trees/$tree"); done
	digest=$("$tools/make-layout" --push "http://127.0.0.1:$port/v2/$name" \
		"$dir/layouts/$name" "${trees[@]}")
	jq -r '.layers[].digest' "$blobs/${digest#sha256:}" >"$dir/digests/$name"
	sed "s,^sha256:,$blobs/," "$dir/digests/$name" |
		xargs "$tools/unpack-layers" "$dir/truth/$name"
}
make one base data top
make two base data other
make small little
for s in 1 2 3 4 5 6 7 8; do make "storm$s" base "storm$s"; done
rm -rf "$dir/trees" "$dir/layouts"
touch "$dir/.complete"
