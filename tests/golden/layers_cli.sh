#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What of an image's layers goes into its SOCI index: prefetch lists, types of layers that get
# no zTOC, marks of --optimizations xattr, and which zTOCs are used again. The expected
# lists are those of the real program on the same layers, but where it says so.
. "${SRCDIR:?}/tests/golden/cli.lib" python3 jq
# Plain tars, in which spans are where offsets say.
cat >layers.py <<'PY'
import gzip, hashlib, io, json, os, random, tarfile
OCI = "application/vnd.oci.image."

def put(out, data):
    if not isinstance(data, bytes):
        data = json.dumps(data).encode()
    h = hashlib.sha256(data).hexdigest()
    open(f"{out}/blobs/sha256/{h}", "wb").write(data)
    return {"digest": "sha256:" + h, "size": len(data)}

def tar(*files):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as t:
        for name, size in files:
            info = tarfile.TarInfo(name)
            info.size = size
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            t.addfile(info, io.BytesIO(b"x" * size))
    return raw.getvalue()

def layout(out, *layers):   # (bytes, media type after "layer.")
    os.makedirs(out + "/blobs/sha256")
    descs = [dict(put(out, data), mediaType=media if "/" in media else OCI + "layer." + media) for data, media in layers]
    ids = ["sha256:" + hashlib.sha256(gzip.decompress(d) if d[:2] == b"\x1f\x8b" else d).hexdigest() for d, _ in layers]
    config = put(out, {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}})
    m = put(out, {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
                  "config": dict(config, mediaType=OCI + "config.v1+json"), "layers": descs})
    open(out + "/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
    json.dump({"schemaVersion": 2, "manifests": [dict(m, mediaType=OCI + "manifest.v1+json", annotations={
        "org.opencontainers.image.ref.name": "t"})]}, open(out + "/index.json", "w"))

A = tar(("bin/", 0), ("bin/a", 400000), ("bin/b", 300000), ("etc/conf", 4), ("z/last", 70000))
B = tar(("usr/x", 200000), ("etc/conf", 4))
C = tar(("./", 0), ("./app/main", 200000), ("/abs/f", 60000), ("dup", 100000), ("dup", 120000))
T = "v1.tar"
layout("ab", (A, T), (B, T))
layout("twice", (A, T), (B, T), (A, T), (B, T), (A, T))
layout("dots", (C, T))
layout("types", (A, "nondistributable.v1.tar"), (gzip.compress(B, mtime=0), "nondistributable.v1.tar+gzip"),
       (b"not a layer", "application/octet-stream"), (b"sealed", "v1.tar+gzip+encrypted"), (B, "v1.tar"))
layout("suffix", (tar(("x.wh..wh..opq", 9)), T), (tar(("d/.wh..wh..opq", 0)), T), (tar(("d/.wh.x", 0)), T))
# Two gzip members of blocks of some 16 KiB, the end of the last span near no block.
raw = io.BytesIO()
with tarfile.open(fileobj=raw, mode="w") as t:
    info = tarfile.TarInfo("random")
    info.size = 440 << 10
    t.addfile(info, io.BytesIO(random.Random(1).randbytes(info.size)))
layout("members", (gzip.compress(raw.getvalue()[:100000], mtime=0) + gzip.compress(raw.getvalue()[100000:], mtime=0),
                   "v1.tar+gzip"))
PY
python3 layers.py || exit 1
create() { # LAYOUT ARGS...: out has the index
	local d
	"$cli" create "oci:$1:t" --min-layer-size 0 --span-size 64K --json "${@:2}" >json 2>err || return
	d=$(jq -r '.[0].index.digest' json)
	cp "$1/blobs/sha256/${d#sha256:}" out
}
lists() { # LAYOUT: LAYER=SPANS of each prefetch list, layers by their number in the index
	local d layer digests
	mapfile -t digests < <(jq -r '.[0].layers[].digest' json)
	while read -r d layer; do
		for i in "${!digests[@]}"; do
			[ "${digests[$i]}" != "$layer" ] || { echo -n "$i="; break; }
		done
		jq -j '[.prefetch_spans[] | "\(.start_span)-\(.end_span)"] | join(",") + " "' "$1/blobs/sha256/${d#sha256:}"
	done < <(jq -r '.layers[] | select(.mediaType == "application/vnd.amazon.soci.prefetch.v1+json") |
		.digest + " " + .annotations["com.amazon.soci.image-layer-digest"]' out)
}
# listed LAYOUT WANT ARGS...
listed() {
	local got
	create "$1" "${@:3}" && got=$(lists "$1")
	[ "$got" = "$2" ]
	ok $? "$1: $(printf '%q ' "${@:3}"): ${got:-nothing}"
}
F=--prefetch-file

# --- prefetch -----------------------------------------------------------------------------
for p in bin/a /bin/a ./bin/a //bin//a bin/../bin/a ../../bin/a ./././bin/./a /bin/a/ x/../../bin/a ' bin/a ' $'\tbin/a\n' bin/a, ,bin/a; do
	listed ab "0=0-6 " $F "$p"
done
listed ab "0=6-10 " $F bin/b
listed ab "0=0-10 " $F bin/a,bin/b
listed ab "0=0-10 " $F "bin/b , bin/a" $F bin/a
listed ab "0=0-6 1=0-3 " $F usr/x,bin/a
listed ab "1=3-3 " $F etc/conf
for p in "" " " , / . .. bin/.. bin bin/ nope ./; do
	listed ab "" $F "$p"
done
create ab $F nope $F bin/a && grep -q "no indexed layer has nope" err && [ "$(lists ab)" = "0=0-6 " ]
ok $? "one that is nowhere is told"
create ab $F "" $F , && ! grep -q "no indexed layer" err
ok $? "what names nothing is not"
listed twice "0=0-6 0=0-6 0=0-6 " $F bin/a
listed twice "0=0-6 1=0-3 0=0-6 1=0-3 0=0-6 " $F usr/x,bin/a
listed twice "0=10-10 0=10-10 0=10-10 " $F etc/conf
files() { # WANT TEXT
	printf '%s' "$2" >files.json
	listed ab "$1" --prefetch-files-json files.json
}
files "0=0-10 " '["bin/a"," /bin/b\n"]'
files "" '["bin/a,bin/b"]'
files "0=0-6 " '[null,"bin/a",""]'
files "" '[]'
files "" 'null'
files "0=0-6 " $' [ "bin\\u002fa" ] \n'
for text in '{}' '"x"' '' '["bin/a"] x' '["bin/a",1]' 'nul'; do
	printf '%s' "$text" >files.json
	"$cli" create oci:ab:t --prefetch-files-json files.json >json 2>err
	[ $? = 1 ] && [ "$(wc -l <err)" = 1 ]
	ok $? "not a list: $(cat err)"
done
printf '["bin/a"]' >files.json
listed ab "0=0-10 " --prefetch-files-json files.json $F bin/b
# Not as soci, which compares with the name in the tar as it is, and takes the first.
listed dots "0=0-3 " $F app/main
listed dots "0=3-3 " $F abs/f
listed dots "0=5-7 " $F dup
listed dots "" $F ./

# --- types of layers ----------------------------------------------------------------------
create types && [ "$(jq -r '[.[0].layers[].state] | join(", ")' json)" = \
	"skipped: type, indexed, skipped: type, skipped: type, indexed" ]
ok $? "types: $(jq -r '[.[0].layers[].state] | join(", ")' json)"

# --- marks --------------------------------------------------------------------------------
create suffix --optimizations xattr &&
	[ "$(jq -r '.layers | map(.annotations["com.amazon.soci.disable-xattrs"] // "no") | join(" ")' out)" = "no no true" ]
ok $? "what ends like an opaque mark is one"

# --- zTOCs that are there already ---------------------------------------------------------
# soci 0.10 to 0.13 made what 0.4 made, under today's name.
create members && right=$(jq -r '.layers[0].digest' out) && create members &&
	[ "$(jq -r '.[0].layers[0].state' json)" = "was indexed" ]
ok $? "members: used again"
old() { # OPTIONS...: an index as such a soci made it
	create members --force "$@" --compat soci-0.1 || exit 1
	python3 - out <<'PY'
import hashlib, json, sys
index = json.load(open(sys.argv[1]))
def put(data):
    h = hashlib.sha256(data).hexdigest()
    open("members/blobs/sha256/" + h, "wb").write(data)
    return {"digest": "sha256:" + h, "size": len(data)}
z = open("members/blobs/sha256/" + index["layers"][0]["digest"][7:], "rb").read()
assert b"AWS SOCI CLI v0.1" in z
index["layers"][0].update(put(z.replace(b"AWS SOCI CLI v0.1", b"AWS SOCI CLI v0.2")))
d = put(json.dumps(index).encode())
top = json.load(open("members/index.json"))
top["manifests"] = [m for m in top["manifests"] if "artifactType" not in m] + [
    dict(d, mediaType="application/vnd.oci.image.manifest.v1+json", artifactType="application/vnd.amazon.soci.index.v1+json")]
json.dump(top, open("members/index.json", "w"))
PY
}
old && create members && [ "$(jq -r '.[0].layers[0].state' json)" = "indexed" ] && [ "$(jq -r '.layers[0].digest' out)" = "$right" ]
ok $? "members: one that stopped at the end of the first member is made anew"
create members --compat soci-0.1 && old=$(jq -r '.layers[0].digest' out) && create members --compat soci-0.1 &&
	[ "$(jq -r '.[0].layers[0].state' json)" = "was indexed" ] && [ "$(jq -r '.layers[0].digest' out)" = "$old" ] && [ "$old" != "$right" ]
ok $? "members: --compat soci-0.1 wants just that"
create ab && create ab && [ "$(jq -r '[.[0].layers[].state] | unique[]' json)" = "was indexed" ]
ok $? "those of plain tars are used again, whatever their last span"
echo "1..$n"
exit $failed
