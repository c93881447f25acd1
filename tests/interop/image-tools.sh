#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# image-tools.sh - images as umoci, buildah and skopeo make them, through the whole of a
# user's way: pushed to a registry with a password, indexed there and in the layout, listed,
# pulled back, converted, unindexed; every file read through its zTOC; and the same tools
# copy and unpack what came out. OCI and docker media types, indexes of images, gzip of all
# shapes, plain tar, zstd, and labels that are wrong.
set -uo pipefail
top=${SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
lazyerofs=${BUILDDIR:-$top/build}/lazyerofs
for p in umoci skopeo buildah docker-registry htpasswd python3 jq unshare; do
	command -v $p >/dev/null || { echo "no $p"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo "not root: umoci and buildah keep owners"; exit 77; }

# A /var/lib of their own: buildah and skopeo remember there what they saw in earlier runs.
if [ "${IMAGE_TOOLS_INNER:-}" != 1 ]; then
	IMAGE_TOOLS_INNER=1 exec unshare --mount --propagation private "$0" "$@"
fi
work=$(mktemp -d)
cleanup() {
	trap '' INT TERM
	[ ! -s "$work/registry.pid" ] || kill "$(cat "$work/registry.pid")" 2>/dev/null
	umount -l /var/lib 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
mkdir "$work/varlib" "$work/tmp"
mount --bind "$work/varlib" /var/lib || exit 1
export TMPDIR=$work/tmp HOME=$work
unset DOCKER_CONFIG REGISTRY_AUTH_FILE XDG_RUNTIME_DIR
cd "$work" || exit 1

n=0 failed=0
ok() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		failed=1
		sed 's/^/#   /' err 2>/dev/null | tail -n 5
	fi
}
quiet() { # COMMAND...: its output is seen only if it fails, and that ends the test
	"$@" >quiet.log 2>&1 </dev/null || { echo "FAILED: $*"; tail -n 20 quiet.log; exit 1; }
}
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >policy.json
: >registries.conf
sk() { skopeo --insecure-policy --registries-conf registries.conf "$@"; }
copy() { sk copy --src-tls-verify=false --dest-tls-verify=false --dest-oci-accept-uncompressed-layers "$@"; }
raw() { sk inspect --raw --tls-verify=false "$1"; }
bd() {
	buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs \
		--registries-conf registries.conf "$@"
}
commit() { bd commit -q --signature-policy policy.json "$@"; }
lz() { "$lazyerofs" "$@" --docker-config "$work/auth.json"; }
blob() { echo "$1/blobs/sha256/${2#sha256:}"; }
top_of() { # LAYOUT TAG: the digest
	jq -r --arg t "$2" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $t) | .digest' \
		"$1/index.json"
}
manifest() { cat "$(blob "$1" "$(top_of "$1" "$2")")"; }
media_types() { jq -r '[.config, .layers[]] | map(.mediaType | sub("^application/vnd\\."; "")) | join(" ")'; }
layers() { jq -r '.layers[].digest'; }
refused() { # TEXT COMMAND...: exit code 1 and one line that has TEXT
	local text=$1 rc=0
	shift
	"$@" >out 2>err || rc=$?
	[ $rc = 1 ] && [ "$(grep -c '^lazyerofs: ' err)" = 1 ] && grep -q "$text" err
}

# --- the files ----------------------------------------------------------------------------
python3 - <<'PY' || exit 1
import os, random
random.seed(7)
def put(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
for i in range(5):  # half of it compresses
    put("t1/usr/lib/lib%d.so" % i, b"".join(random.randbytes(700) + b"some text, again and again\n" * 30
                                             for _ in range(90 + 40 * i)))
put("t1/etc/config", b"one = 1\n")
put("t1/etc/gone", b"the second layer takes it away\n")
put("t1/etc/empty", b"")
put("t1/usr/share/" + "long-name-" * 15 + "/" + "file-" * 20, b"long\n")
put("t1/usr/share/\u00fcml\u00e4ut \u2603", "\u2603\n".encode())
os.chmod("t1/usr/lib/lib0.so", 0o4755)
os.link("t1/usr/lib/lib1.so", "t1/usr/lib/hard")
os.symlink("../lib/lib2.so", "t1/usr/share/soft")
put("t2/etc/config", b"two = 22\n")  # of another size: within one second buildah goes by that
put("t2/opt/app", random.randbytes(150000) + b"app" * 50000)
PY
cp -a t1 merged
cp -a t2/. merged/
rm merged/etc/gone
cat >edit.py <<'PY'
# edit.py LAYOUT SRC DST ACTION: the image SRC with something changed becomes DST.
import gzip, hashlib, json, struct, sys, zlib
layout, src, dst, action = sys.argv[1:5]
REF = "org.opencontainers.image.ref.name"
def tagged(layout, tag):
    index = json.load(open(layout + "/index.json"))
    d = next(m for m in index["manifests"] if m.get("annotations", {}).get(REF) == tag)
    return index, d, json.loads(get(layout, d["digest"]))
def get(layout, digest):
    return open(layout + "/blobs/sha256/" + digest[7:], "rb").read()
def put(data):
    h = hashlib.sha256(data).hexdigest()
    open(layout + "/blobs/sha256/" + h, "wb").write(data)
    return {"digest": "sha256:" + h, "size": len(data)}
def member(data, flags):
    c = zlib.compressobj(6, zlib.DEFLATED, -15)
    head = b"\x1f\x8b\x08" + bytes([flags]) + struct.pack("<I", 1) + b"\0\3"
    if flags & 4:
        head += struct.pack("<H", 6) + b"LZ\2\0hi"
    head += b"name.tar\0" if flags & 8 else b""
    head += b"a comment\0" if flags & 16 else b""
    if flags & 2:
        head += struct.pack("<H", zlib.crc32(head) & 0xffff)
    return head + c.compress(data) + c.flush() + struct.pack("<II", zlib.crc32(data), len(data) & 0xffffffff)
index, desc, doc = tagged(layout, src)
layer = doc["layers"][int(sys.argv[5])]
if action == "relabel":
    layer["mediaType"] = sys.argv[6]
elif action == "take":  # the same layer of another layout
    other = tagged(sys.argv[6], sys.argv[7])[2]["layers"][int(sys.argv[5])]
    put(get(sys.argv[6], other["digest"]))
    doc["layers"][int(sys.argv[5])] = other
else:
    tar = gzip.decompress(get(layout, layer["digest"]))
    n = len(tar) // 3
    layer.update(put(member(tar, 31) if action == "flags" else
                     member(tar[:n], 0) + member(b"", 0) + member(tar[n:2 * n], 31) + member(tar[2 * n:], 8)))
new = dict({k: desc[k] for k in ("mediaType",)}, **put(json.dumps(doc).encode()))
new["annotations"] = {REF: dst}
index["manifests"] = [m for m in index["manifests"] if m.get("annotations", {}).get(REF) != dst] + [new]
json.dump(index, open(layout + "/index.json", "w"))
PY

# --- a registry with a password -----------------------------------------------------------
mkdir registry
port=$("$top/tests/tools/start-registry" "$work/registry" --pid-file "$work/registry.pid" \
	--htpasswd anna:secret) || exit 1
reg=127.0.0.1:$port

# --- the images ---------------------------------------------------------------------------
quiet umoci init --layout um
quiet umoci new --image um:base
quiet umoci unpack --image um:base bundle
cp -a t1/. bundle/rootfs/
quiet umoci repack --image um:one bundle
rm -rf bundle
quiet umoci unpack --image um:one bundle
cp -a t2/. bundle/rootfs/
rm bundle/rootfs/etc/gone
quiet umoci repack --image um:two bundle
quiet umoci config --image um:two --config.cmd /opt/app --config.env "A=b"
rm -rf bundle

quiet bd from --name c1 scratch
quiet bd copy c1 t1 /
quiet commit c1 localhost/base
quiet bd from --name c2 localhost/base
quiet bd copy c2 t2 /
rm "$(bd mount c2)/etc/gone" || exit 1
quiet bd config --cmd /opt/app c2
quiet commit --format oci c2 oci:bo:two				# plain tar: buildah's default
quiet commit --format oci --disable-compression=false c2 oci:bz:two
quiet commit --format docker c2 dir:bdocker
quiet bd from --name c3 --arch arm64 scratch
cp -a t2 t3
echo "arm = 3" >t3/etc/config
quiet bd copy c3 t3 /
quiet bd config --arch arm64 c3
quiet commit c2 localhost/multi:amd64
quiet commit c3 localhost/multi:arm64
quiet bd manifest create list
quiet bd manifest add list containers-storage:localhost/multi:amd64
quiet bd manifest add --arch arm64 --variant v8 list containers-storage:localhost/multi:arm64
quiet bd manifest push --all --signature-policy policy.json list oci:multi:list

# --- passwords ----------------------------------------------------------------------------
refused "wants a login" lz push oci:um:two "$reg/um:two"
ok $? "no password: $(cat err)"
quiet skopeo login --authfile auth.json --tls-verify=false -u anna -p secret "$reg"
lz push oci:um:two "$reg/login:skopeo" >out 2>err
ok $? "with what skopeo login wrote"
quiet skopeo logout --authfile auth.json "$reg"
refused "wants a login" lz index list "$reg/login:skopeo"
ok $? "skopeo logout takes it away"
jq -n --arg r "$reg" '{auths: {($r): {auth: ("anna:wrong" | @base64)}}}' >auth.json
refused "refused the password of user anna" lz index list "$reg/login:skopeo" && ! grep -q wrong err
ok $? "a wrong one: $(cat err)"
quiet buildah login --authfile auth.json --tls-verify=false -u anna -p secret "$reg"
lz index list "$reg/login:skopeo" >out 2>err
ok $? "with what buildah login wrote"
mkdir docker
cp auth.json docker/config.json
"$lazyerofs" index list "$reg/login:skopeo" --docker-config docker >out 2>err &&
	DOCKER_CONFIG=docker "$lazyerofs" index list "$reg/login:skopeo" >out 2>err
ok $? "and from a folder as docker's, given and in the environment"
export REGISTRY_AUTH_FILE=$work/auth.json
# Compressed only as long as the registry does not have the plain layers.
quiet copy dir:bdocker "docker://$reg/buildah-docker:src"

# --- the way of one image -----------------------------------------------------------------
# same_files ZTOC LAYER TREE: the layer has the files of the tree, and each is read right
same_files() {
	local f count=0
	"$lazyerofs" ztoc verify "$1" -l "$2" >out 2>err || return 1
	while IFS= read -r -d '' f; do
		count=$((count + 1))
		rm -f file
		"$lazyerofs" ztoc get-file "$1" "$f" -l "$2" -o file >out 2>err && cmp file "$3/$f" >>err || return 1
	done < <(cd "$3" && find . -type f -print0)
	[ $count -gt 0 ] && [ "$("$lazyerofs" ztoc list "$1" --json | jq '[.[] | select(.type == "reg" or .type == "hardlink")
		| select(.name | test("(^|/)\\.wh\\.") | not)] | length')" = $count ]
}
# ztocs LAYOUT INDEX TREE...: the index has one zTOC per tree ("-": none), each right
ztocs() {
	local layout=$1 index=$2 i=0 tree layer ztoc
	shift 2
	for tree in "$@"; do
		layer=$(manifest "$layout" t | jq -r ".layers[$i].digest")
		ztoc=$(jq -r --arg l "$layer" '.layers[] | select(.annotations["com.amazon.soci.image-layer-digest"] == $l) | .digest' \
			"$(blob "$layout" "$index")")
		i=$((i + 1))
		if [ "$tree" = - ]; then
			[ -z "$ztoc" ] || return 1
		else
			[ -n "$ztoc" ] && same_files "$(blob "$layout" "$ztoc")" "$(blob "$layout" "$layer")" "$tree" || return 1
		fi
	done
	[ "$(manifest "$layout" t | jq '.layers | length')" = $i ]
}
opts="--min-layer-size 0 --span-size 64K"
# way NAME TYPES TREE...: the image oci:way:t, of these media types, its layers made of the
# trees; it unpacks to the folder merged
way() {
	local name=$1 types=$2 index conv
	shift 2
	[ "$(manifest way t | media_types)" = "$types" ]
	ok $? "$name: is of $types"
	manifest way t >manifest
	cp -r way before
	lz push oci:way:t "$reg/$name:t" >out 2>err && raw "docker://$reg/$name:t" | cmp - manifest
	ok $? "$name: skopeo finds what push put into the registry"
	# shellcheck disable=SC2086
	lz create oci:way:t $opts --json >layout.json 2>err && lz create "$reg/$name:t" $opts --json >registry.json 2>err &&
		cmp layout.json registry.json
	ok $? "$name: create: one index in the layout and in the registry"
	index=$(jq -r '.[0].index.digest' layout.json)
	for where in oci:way:t "$reg/$name:t"; do
		lz index list "$where" --json >out 2>err && [ "$(jq -r '.[].digest' out)" = "$index" ] &&
			lz index info "$where" --json >out 2>err && jq -S . out | cmp - <(jq -S . "$(blob way "$index")")
		ok $? "$name: index list, index info: ${where%%:*}"
	done
	rm -rf back
	lz push "$reg/$name:t" oci:back:t >out 2>err && cmp manifest <(manifest back t) && diff <(ls way/blobs/sha256) <(ls back/blobs/sha256) >err
	ok $? "$name: pulled back with its index"
	ztocs back "$index" "$@"
	ok $? "$name: every file, read through its zTOC"

	rm -rf conv conv2 out1 bundle
	# shellcheck disable=SC2086
	lz convert oci:way:t oci:conv:t $opts >out 2>err && lz convert "$reg/$name:t" "$reg/$name:conv" $opts >out 2>err &&
		raw "docker://$reg/$name:conv" | cmp - <(manifest conv t)
	ok $? "$name: convert: the same in the layout and in the registry"
	lz push "$reg/$name:conv" oci:conv2:t >out 2>err && cmp conv/index.json conv2/index.json &&
		copy "docker://$reg/$name:conv" oci:out1:t >out 2>err &&
		diff <(manifest out1 t | layers) <(layers <manifest) &&
		conv=$(manifest out1 t | jq -r '.annotations["com.amazon.soci.index-digest"]') &&
		[ "$(lz index list "$reg/$name:conv" --json | jq -r '.[0].digest')" = "$conv" ]
	ok $? "$name: skopeo copies the converted image: same layers, its index named"
	for l in $(layers <manifest); do
		cmp "$(blob way "$l")" "$(blob out1 "$l")" 2>err
		ok $? "$name: layer ${l:7:12} is the same file"
	done

	lz index rm "$reg/$name:t" >out 2>err && lz index rm oci:way:t >out 2>err &&
		[ "$(lz index list "$reg/$name:t" --json)" = "[]" ] && diff -r way before >err
	ok $? "$name: index rm: nothing of it is left"
	rm -rf before
}
unpacks() { # LAYOUT NAME: umoci makes of tag t of the layout what was put in
	rm -rf bundle
	umoci unpack --image "$1:t" bundle >out 2>err && diff -r --no-dereference bundle/rootfs merged >err
	ok $? "$2: umoci unpacks it"
	rm -rf bundle
}
image() { # LAYOUT TAG: it alone becomes oci:way:t
	rm -rf way
	quiet copy --preserve-digests "oci:$1:$2" oci:way:t
}
gzip="oci.image.layer.v1.tar+gzip" tar="oci.image.layer.v1.tar" zstd="oci.image.layer.v1.tar+zstd" config="oci.image.config.v1+json"

image um two
way umoci "$config $gzip $gzip" t1 t2
unpacks out1 "umoci, converted"
quiet bd from --signature-policy policy.json --tls-verify=false --name c4 "docker://$reg/umoci:conv"
diff -r --no-dereference "$(bd mount c4)" merged >err 2>&1
ok $? "buildah starts from the converted image"
image bo two
way buildah-plain "$config $tar $tar" t1 t2
image bz two
way buildah-gzip "$config $gzip $gzip" t1 t2
unpacks out1 "buildah, converted"

quiet umoci tag --image um:two flags
quiet python3 edit.py um two flags flags 0
quiet python3 edit.py um flags members members 1
image um members
for l in $(manifest way t | layers); do
	gzip -t <"$(blob way "$l")" 2>err
	ok $? "gzip finds nothing wrong with all its header fields, and with several members"
done
way gzip-shapes "$config $gzip $gzip" t1 t2	# umoci cannot: it counts some fields out of the header's CRC

quiet copy --dest-decompress oci:um:two dir:plain
quiet copy dir:plain oci:plain:two
image plain two
way skopeo-plain "$config $tar $tar" t1 t2
unpacks out1 "plain tar, converted"

# docker's types cannot stand in skopeo's layouts: those images come by the registry
docker_way() { # NAME TYPES TREE...
	rm -rf way
	lz push "$reg/$1:src" oci:way:t >out 2>err
	ok $? "$1: from the registry to a layout"
	way "$@"
}
d_config=docker.container.image.v1+json d_gzip=docker.image.rootfs.diff.tar.gzip d_tar=docker.image.rootfs.diff.tar
quiet copy --format v2s2 oci:um:two "docker://$reg/v2s2:src"
docker_way v2s2 "$d_config $d_gzip $d_gzip" t1 t2
docker_way buildah-docker "$d_config $d_gzip $d_gzip" t1 t2
quiet copy --preserve-digests dir:bdocker "docker://$reg/docker-plain:src"
docker_way docker-plain "$d_config $d_tar $d_tar" t1 t2

# --- zstd, wrong labels -------------------------------------------------------------------
quiet copy --dest-compress --dest-compress-format zstd dir:plain dir:zdir
quiet copy dir:zdir oci:zs:two
quiet python3 edit.py um two sparse take 0 zs two
image um sparse
way zstd-sparse "$config $zstd $gzip" - t2
lz create oci:way:t --min-layer-size 0 --json >out 2>err &&
	[ "$(jq -r '[.[0].layers[].state] | join(", ")' out)" = "skipped: zstd, indexed" ] && grep -q "skipped: zstd" err
ok $? "a zstd layer is skipped, and said to be: $(grep skipped err)"

wrong() { # NAME TEXT: oci:way:t is refused everywhere, and nothing changes
	rm -rf before none
	cp -r way before
	quiet lz push oci:way:t "$reg/$1:t"
	# What was indexed before the refusal may stay: a zTOC that nothing names.
	refused "$2" lz create oci:way:t --min-layer-size 0 && cmp way/index.json before/index.json
	ok $? "$1: refused in a layout: $(grep '^lazyerofs' err)"
	refused "$2" lz create "$reg/$1:t" --min-layer-size 0 && [ "$(lz index list "$reg/$1:t" --json)" = "[]" ]
	ok $? "$1: refused in a registry"
	refused "$2" lz convert oci:way:t oci:none:t --min-layer-size 0 && [ -z "$(top_of none t)" ]
	ok $? "$1: not converted"
}
image zs two
wrong zstd-only "no layer could be indexed"
mislabel() { # NAME LAYOUT LABEL TEXT
	quiet python3 edit.py "$2" two wrong relabel 1 "application/vnd.$3"
	rm -rf way
	quiet lz push "oci:$2:wrong" oci:way:t
	wrong "$1" "mislabelled: its bytes are $4"
}
mislabel gzip-as-tar um $tar gzip
mislabel tar-as-gzip plain $gzip "a plain tar"
mislabel zstd-as-gzip zs $gzip zstd
mislabel gzip-as-docker-tar um $d_tar gzip

# --- indexes of images --------------------------------------------------------------------
quiet bd manifest push --all --signature-policy policy.json --tls-verify=false list "docker://$reg/list:oci"
quiet bd manifest push --all --signature-policy policy.json --tls-verify=false --format v2s2 list "docker://$reg/list:docker"
platforms() { jq -r '[.manifests[] | select(.annotations["com.amazon.soci.image-manifest-digest"] | not) | .platform | .os + "/" + .architecture + (.variant // "")] | join(" ")'; }
both="linux/amd64 linux/arm64v8"
quiet lz push "$reg/list:docker" oci:multi:docker
quiet lz push "$reg/list:oci" oci:multi:oci
for t in list oci docker; do
	case $t in
	docker) type=application/vnd.docker.distribution.manifest.list.v2+json ;;
	*) type=application/vnd.oci.image.index.v1+json ;;
	esac
	[ "$(manifest multi $t | jq -r .mediaType)" = $type ] && [ "$(manifest multi $t | platforms)" = "$both" ]
	ok $? "list $t: is a $type"
	quiet lz push "oci:multi:$t" "$reg/multi:$t"
	raw "docker://$reg/multi:$t" | cmp - <(manifest multi $t) && lz push "$reg/multi:$t" "oci:pulled-$t:t" >out 2>err &&
		cmp <(manifest "pulled-$t" t) <(manifest multi $t)
	ok $? "list $t: pushed and pulled, byte for byte"
	# shellcheck disable=SC2086
	lz create "$reg/multi:$t" --all-platforms $opts --json >registry.json 2>err &&
		lz create "oci:pulled-$t:t" --all-platforms $opts --json >layout.json 2>err && cmp layout.json registry.json &&
		[ "$(jq -r '[.[].platform] | join(" ")' layout.json)" = "linux/amd64 linux/arm64" ]
	ok $? "list $t: create --all-platforms"
	[ "$(lz index list "$reg/multi:$t" -p linux/arm64 --json | jq -r '.[].digest')" = "$(jq -r '.[1].index.digest' layout.json)" ] &&
		[ "$(lz index list "oci:pulled-$t:t" --all-platforms --json | jq -r '.[].digest')" = "$(jq -r '.[].index.digest' layout.json)" ]
	ok $? "list $t: each platform's index is found"
	i=$(jq -r '.[1].index.digest' layout.json)
	same_files "$(blob "pulled-$t" "$(jq -r '.layers[0].digest' "$(blob "pulled-$t" "$i")")")" \
		"$(blob "pulled-$t" "$(jq -r '.[1].layers[0].digest' layout.json)")" t3
	ok $? "list $t: files of the other platform, read through the zTOC"
	lz index rm "$reg/multi:$t" --all-platforms --all >out 2>err &&
		[ "$(lz index list "$reg/multi:$t" --all-platforms --json)" = "[]" ]
	ok $? "list $t: index rm of all platforms"
	for what in "-p linux/arm64" --all-platforms; do
		name=conv-$t-$(echo "$what" | tr -dc a-z0-9)
		# shellcheck disable=SC2086
		lz convert "oci:multi:$t" "$reg/$name:t" $what $opts >out 2>err && raw "docker://$reg/$name:t" >index &&
			[ "$(platforms <index)" = "$both" ]
		ok $? "list $t: convert $what: platforms in their order"
		rm -rf out1 outall
		copy --all "docker://$reg/$name:t" "docker://$reg/$name:copy" >out 2>err &&
			copy --all "docker://$reg/$name:t" oci:outall:t >out 2>err &&
			[ "$(lz index list "$reg/$name:copy" --all-platforms --json | jq -c '[.[] | select(.found == "annotation") | .platform]')" = \
				"$([ "$what" = --all-platforms ] && echo '["linux/amd64","linux/arm64"]' || echo '["linux/arm64"]')" ] &&
			diff <(lz index list "$reg/$name:t" --all-platforms | sort) <(lz index list oci:outall:t --all-platforms | sort) >err
		ok $? "list $t: skopeo copy --all of it: SOCI indexes come along"
		copy --override-arch arm64 --override-variant v8 "docker://$reg/$name:t" oci:out1:t >out 2>err &&
			diff <(manifest out1 t | layers) <(jq -r '.[1].layers[].digest' layout.json) &&
			cmp "$(blob out1 "$(manifest out1 t | layers)")" "$(blob multi "$(manifest out1 t | layers)")"
		ok $? "list $t: skopeo takes one platform out of it"
	done
done
rm -rf bundle
quiet copy --override-arch arm64 --override-variant v8 "docker://$reg/conv-oci-allplatforms:t" oci:outarm:t
umoci unpack --image outarm:t bundle >out 2>err && diff -r bundle/rootfs t3 >err
ok $? "umoci unpacks a platform of a converted list"

# --- layouts that other tools write to ----------------------------------------------------
quiet lz create oci:um:two --min-layer-size 0
quiet lz create oci:um:one --min-layer-size 0
lz index list oci:um:two >want
quiet umoci tag --image um:two again
quiet umoci gc --layout um
quiet copy oci:bz:two oci:um:from-skopeo
quiet commit --format oci c3 oci:um:from-buildah
rm -rf way
lz index list oci:um:two >out 2>err && cmp out want && lz push oci:um:two oci:way:t >out 2>err &&
	ztocs way "$(lz index list oci:um:two --json | jq -r '.[0].digest')" t1 t2
ok $? "after umoci tag, umoci gc, skopeo copy, buildah commit: the index is there, whole"
echo "1..$n"
exit $failed
