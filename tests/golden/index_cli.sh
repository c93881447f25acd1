#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# create, convert, index, push over layouts on disk: SOCI indexes byte for byte those that
# the real program made of the same layers; refusals; order, removal, interruption.
. "${SRCDIR:?}/tests/golden/cli.lib" python3
layout() { rm -rf "$2"; "$top/tests/tools/fixture-layout" "$fx" "$1" "$2" "${@:3}" || exit 1; }
json() { python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$@"; }
blob() { echo "$1/blobs/sha256/${2#sha256:}"; }

# --- index v1 -----------------------------------------------------------------------------
for image in main x-emptyonly x-gzv-mm2 x-gzv-mmblock x-gzv-mmempty x-gzv-mmtail \
	x-gzv-trailjunk x-hlsize x-sparsepax x-sparsepax00; do
	for set in soci-0.4.1-smallspan soci-head-smallspan; do
		want=$fx/index/$set/$image.soci-index.json
		[ -f "$want" ] || continue
		span=65536 compat=soci-0.2
		[ $image != main ] || span=262144
		[ $set != soci-0.4.1-smallspan ] || compat=soci-0.1
		layout $image l
		"$cli" create oci:l:t --min-layer-size 0 --span-size $span --compat $compat --json \
			>out.json 2>err && cmp "$(blob l "$(json out.json 'd[0]["index"]["digest"]')")" "$want"
		ok $? "create: $image as $set"
	done
done
for set in soci-0.4.1-default:soci-0.1 soci-head-default:soci-0.2; do
	layout main l
	"$cli" create oci:l:t --min-layer-size 0 --compat ${set#*:} --json >out.json 2>err &&
		cmp "$(blob l "$(json out.json 'd[0]["index"]["digest"]')")" \
			"$fx/index/${set%:*}/main.soci-index.json"
	ok $? "create: main as ${set%:*}"
done
json out.json '[l["state"] for l in d[0]["layers"]][4]' | grep -q "skipped: zstd"
ok $? "a zstd layer is left out, and said to be"
grep -q "skipped: zstd" err
ok $? "also among the lines for people"

# --- again, newest first, info, removal ---------------------------------------------------
"$cli" create oci:l:t --min-layer-size 0 --json 2>err >again.json
json again.json '{l["state"] for l in d[0]["layers"]}' | grep -q "'was indexed'" &&
	! json again.json '{l["state"] for l in d[0]["layers"]}' | grep -q "'indexed'"
ok $? "a second run uses the zTOCs again"
"$cli" create oci:l:t --min-layer-size 0 --force --json 2>err >again.json
json again.json '{l["state"] for l in d[0]["layers"]}' | grep -q "'indexed'"
ok $? "--force builds them anew"
"$cli" create oci:l:t --min-layer-size 0 --span-size 256K --json >small.json 2>/dev/null
"$cli" index list oci:l:t --json >list.json
[ "$(json list.json 'len(d)')" = 2 ] &&
	[ "$(json list.json 'd[0]["digest"]')" = "$(json small.json 'd[0]["index"]["digest"]')" ]
ok $? "index list: both, the newest first"
[ "$(json list.json 'd[0]["ztocs"], d[0]["version"]')" = "(5, 'v1')" ]
ok $? "index list: version and zTOCs"
"$cli" index list oci:l >/dev/null
ok $? "the only image of a layout needs no tag, though indexes stand beside it"
"$cli" index info oci:l:t >info
grep -q "^version     v1$" info && [ "$(grep -c "^zTOC .*262144$" info)" = 5 ]
ok $? "index info"
"$cli" index rm oci:l:t 2>err; [ $? = 1 ] && grep -q "say which" err
ok $? "index rm wants to know which of two"
"$cli" index rm oci:l:t "$(json list.json 'd[1]["digest"]')" >/dev/null
"$cli" index list oci:l:t --json >list2.json
[ "$(json list2.json '[i["digest"] for i in d]')" = "$(json list.json '[d[0]["digest"]]')" ]
ok $? "index rm of one leaves the other"
"$cli" index info oci:l:t --json >/dev/null &&
	for z in $(python3 -c 'import json; print(*[l["digest"][7:] for l in json.load(open("small.json"))[0]["layers"] for l in [l.get("ztoc")] if l])'); do
		[ -f "l/blobs/sha256/$z" ] || false
	done
ok $? "with all its zTOCs"
"$cli" index rm oci:l:t >/dev/null && layout main fresh && diff <(ls l/blobs/sha256) <(ls fresh/blobs/sha256)
ok $? "after the last, the layout holds what it held at first"
"$cli" index rm oci:l:t 2>err; [ $? = 1 ] && grep -q "no such SOCI index" err
ok $? "index rm where there is none"

# --- many images in one layout ------------------------------------------------------------
layout x-emptyonly many
"$cli" create oci:many:t --min-layer-size 0 >/dev/null 2>&1
layout main l
"$cli" push oci:l:t oci:many:main >/dev/null 2>&1
for span in 100K 200K 300K 400K 500K 600K 700K 800K 900K; do
	"$cli" create oci:many:main --min-layer-size 0 --span-size $span >/dev/null 2>&1
done
"$cli" index list oci:many:main --json >list.json && [ "$(json list.json 'len({i["digest"] for i in d})')" = 9 ]
ok $? "nine indexes of one image are all listed"
"$cli" index list oci:many:t --json >list.json && [ "$(json list.json 'len(d)')" = 1 ]
ok $? "and do not hide that of another image"
"$cli" create oci:many:t --min-layer-size 0 --json >again.json 2>/dev/null
json again.json '{l["state"] for l in d[0]["layers"]}' | grep -q "'was indexed'"
ok $? "whose zTOCs are used again"
"$cli" index rm oci:many:main --all >/dev/null && "$cli" index list oci:many:main --json >list.json &&
	[ "$(json list.json 'len(d)')" = 0 ] && "$cli" index info oci:many:t >/dev/null
ok $? "index rm --all takes the nine alone"

# --- refusals -----------------------------------------------------------------------------
refuse() { # IMAGE TEXT OPTIONS...
	layout "$1" l
	cp l/index.json before
	"$cli" create oci:l:t --min-layer-size 0 "${@:3}" >/dev/null 2>err
	[ $? = 1 ] && grep -q "$2" err && cmp l/index.json before
	ok $? "refused: $1: $(grep lazyerofs: err)"
}
refuse x-mislabeled-gzip-as-plain "mislabelled: its bytes are gzip, but its media type"
refuse x-mislabeled-plain-as-gzip "mislabelled: its bytes are a plain tar, but its media type"
refuse x-contig "contiguous file" --strict
refuse x-sparsegnu "old GNU sparse"
refuse x-globalhdr "global PAX header" --strict
refuse x-gzv-trailjunk "after the gzip data" --strict
for l in "globalhdr:global PAX headers" "contig:contiguous files" "gzv-trailjunk:junk after the gzip data"; do
	layout "x-${l%%:*}" l
	"$cli" create oci:l:t --min-layer-size 0 --json >out.json 2>err &&
		[ "$(json out.json 'd[0]["layers"][0]["ztoc"] and d[0]["layers"][0]["accepted"]')" = "['${l#*:}']" ] &&
		grep -q "lazyerofs: sha256:.*: has ${l#*:}, which soci refuses" err
	ok $? "served all the same, and said to be: ${l#*:}"
done
# A tar may begin with what other formats begin with: its first file's name.
python3 - <<'PY'
import hashlib, io, json, os, tarfile
os.makedirs("odd/blobs/sha256")
def put(data, media):
    h = hashlib.sha256(data).hexdigest()
    open("odd/blobs/sha256/" + h, "wb").write(data)
    return {"mediaType": "application/vnd.oci.image." + media, "digest": "sha256:" + h, "size": len(data)}
layers = []
for name in b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd":
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as t:
        e = tarfile.TarInfo(name.decode("latin-1"))
        e.size = 4
        t.addfile(e, io.BytesIO(b"data"))
    layers.append(put(b.getvalue(), "layer.v1.tar"))
config = put(json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers",
    "diff_ids": [l["digest"] for l in layers]}}).encode(), "config.v1+json")
m = put(json.dumps({"schemaVersion": 2, "config": config, "layers": layers}).encode(), "manifest.v1+json")
json.dump({"schemaVersion": 2, "manifests": [m]}, open("odd/index.json", "w"))
open("odd/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
PY
"$cli" create oci:odd --min-layer-size 0 --json >out.json 2>err &&
	[ "$(json out.json '[l["state"] for l in d[0]["layers"]]')" = "['indexed', 'indexed']" ]
ok $? "a file name that looks like gzip or zstd does not make a tar one"
layout main l
"$cli" create oci:l:t >/dev/null 2>err; [ $? = 1 ] && grep -q "min-layer-size" err
ok $? "all layers small: said so"
printf x | dd of="$(blob l sha256:64e6e0a0093f22d1a1df8b3ae93c6be5db37730485be71b5ec2ae51064bf0e91)" \
	bs=1 seek=20000 conv=notrunc 2>/dev/null
cp l/index.json before
"$cli" create oci:l:t --min-layer-size 0 >/dev/null 2>err; [ $? = 1 ] && cmp l/index.json before
ok $? "a damaged layer: $(grep lazyerofs: err)"

# --- index v2 -----------------------------------------------------------------------------
# One layer of this image is not among the fixtures, but its zTOC is: with the index v1
# beside the image it is used again, and the layer is not read.
layout nodot n --fake-missing
cp "$fx"/v2/nodot/blobs/sha256/{d928451869b724aa1f0586c8214f02280b4a34cf91d2a8055c1df8fc4ddad975,2b714173dec86e1a6fa475ff4f404a08a5c67ba8a310ae18c7e93f15327d4613} n/blobs/sha256
python3 - "$fx/index/soci-head-smallspan/nodot.soci-index.json" <<'PY'
import hashlib, json, sys
data = open(sys.argv[1], "rb").read()
h = hashlib.sha256(data).hexdigest()
open("n/blobs/sha256/" + h, "wb").write(data)
doc = json.load(open("n/index.json"))
doc["manifests"].append({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + h,
                         "size": len(data), "artifactType": "application/vnd.amazon.soci.index.v1+json"})
json.dump(doc, open("n/index.json", "w"))
PY
mkdir -p c/blobs/sha256
cp n/blobs/sha256/1af0* c/blobs/sha256
echo '["/etc/config.json", "usr/lib/lib20.so"]' >paths.json
"$cli" convert oci:n:t oci:c:t --min-layer-size 0 --span-size 65536 --optimizations xattr \
	--prefetch-file ./app/main --prefetch-files-json paths.json >out 2>err
ok $? "convert: nodot"
good=0
for f in "$fx"/v2/nodot/blobs/sha256/*; do
	case $f in */580d9d91*) continue ;; esac	# the manifest before conversion
	cmp "$f" "c/blobs/sha256/${f##*/}" || good=1
done
ok $good "convert: every blob is soci's: manifest, index, zTOCs, prefetch lists, image index"
grep -q "sha256:7dc7090951f309b5047c38e9777ace5b58c467fc7e103749bce381b253d8d223" c/index.json
ok $? "convert: the tag names the image index"
cp -r c c1
"$cli" convert oci:n:t oci:c1:t --min-layer-size 0 --span-size 65536 --prefetch-file no/such \
	>out 2>err && grep -q "no indexed layer has no/such" err
ok $? "a path that no layer has is told"
"$cli" convert oci:n:t oci:c2:t --min-layer-size 0 --span-size 65536 >out 2>err
[ $? = 1 ] && grep -q "lazyerofs: layer 1 of 2 .*another sha256" err && ! grep -q ref.name c2/index.json
ok $? "a layer that cannot be copied is named, and no tag is set"

# --- an index of images ------------------------------------------------------------------
# Two of one platform, told apart by os.version alone, and a third.
layout x-emptyonly multi
"$cli" push oci:multi:t oci:multi:two >/dev/null 2>&1
layout main l
"$cli" push oci:l:t oci:multi:one >/dev/null 2>&1
layout x-hlsize l
"$cli" push oci:l:t oci:multi:three >/dev/null 2>&1
cat >list.py <<'PY'
import hashlib, json, sys
doc = json.load(open("multi/index.json"))
def put(name, obj):
    data = json.dumps(obj).encode()
    h = hashlib.sha256(data).hexdigest()
    open("multi/blobs/sha256/" + h, "wb").write(data)
    doc["manifests"] = [m for m in doc["manifests"]
                        if m.get("annotations", {}).get("org.opencontainers.image.ref.name") != name]
    doc["manifests"].append({"mediaType": obj["mediaType"], "digest": "sha256:" + h, "size": len(data),
                             "annotations": {"org.opencontainers.image.ref.name": name}})
    json.dump(doc, open("multi/index.json", "w"))
def tagged(name):
    return next({k: m[k] for k in ("mediaType", "digest", "size")} for m in doc["manifests"]
                if m.get("annotations", {}).get("org.opencontainers.image.ref.name") == name)
if sys.argv[1] == "make":
    windows = {"architecture": "amd64", "os": "windows"}
    put("all", {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        dict(tagged("one"), platform=dict(windows, **{"os.version": "10.0.1"})),
        dict(tagged("two"), platform=dict(windows, **{"os.version": "10.0.2"})),
        dict(tagged("three"), platform={"architecture": "arm64", "os": "linux", "variant": "v8"})]})
else:  # as tools write it that know no artifactType
    index = json.load(open("multi/blobs/sha256/" + tagged(sys.argv[2])["digest"][7:]))
    for m in index["manifests"]:
        m.pop("artifactType", None)
    put(sys.argv[3], index)
PY
python3 list.py make
"$cli" create oci:multi:all --all-platforms --min-layer-size 0 --json >out.json 2>/dev/null
[ "$(json out.json 'len({i["manifest"] for i in d})')" = 3 ]
ok $? "create --all-platforms: both images of one platform, too"
shape() { # TAG: the entries of an image index
	json multi/index.json 'next(m["digest"] for m in d["manifests"] if m.get("annotations", {}).get("org.opencontainers.image.ref.name") == "'"$1"'")' >digest
	json "$(blob multi "$(cat digest)")" '[("soci" if "com.amazon.soci.image-manifest-digest" in m.get("annotations", {}) else "v2" if m.get("annotations") else "image") + " " + m["platform"].get("os.version", m["platform"].get("variant", "?")) for m in d["manifests"]]'
}
"$cli" convert oci:multi:all oci:multi:conv -p linux/arm64 --min-layer-size 0 >/dev/null 2>&1
[ "$(shape conv)" = "['image 10.0.1', 'image 10.0.2', 'v2 v8', 'soci ?']" ]
ok $? "convert of one platform: it keeps its place and all that is said of it; the index's is as asked for"
"$cli" convert oci:multi:conv oci:multi:conv2 --all-platforms --min-layer-size 0 >/dev/null 2>&1
[ "$(shape conv2)" = "['v2 10.0.1', 'v2 10.0.2', 'v2 v8', 'soci v8', 'soci 10.0.1', 'soci 10.0.2']" ]
ok $? "convert of all: the others follow"
layout main l
"$cli" create oci:l:t -p linux/arm64 --min-layer-size 0 >/dev/null 2>err; [ $? = 1 ] &&
	grep -q "is for linux/amd64, not linux/arm64" err
ok $? "one image, another platform wanted: $(cat err)"
python3 list.py strip conv2 stripped
"$cli" index list oci:multi:stripped --all-platforms --json >list.json &&
	[ "$(json list.json '[i["version"] for i in d].count("v2")')" = 3 ]
ok $? "an index whose artifactTypes were lost: SOCI indexes are no images"
"$cli" convert oci:multi:stripped oci:multi:conv3 --all-platforms --min-layer-size 0 >/dev/null 2>&1
[ "$(shape conv3)" = "$(shape conv2)" ]
ok $? "and converting it restores them"

# --- completion ----------------------------------------------------------------------------
complete_words() { # WORD...: what bash would offer for the last
	(
		# shellcheck disable=SC1091
		. "$top/cli/completion/lazyerofs.bash"
		COMP_WORDS=("$cli" "$@") COMP_CWORD=$#
		COMP_LINE=${COMP_WORDS[*]} COMP_POINT=${#COMP_LINE}
		_lazyerofs 2>/dev/null	# compopt works under readline only
		echo "${COMPREPLY[*]}"
	)
}
[ "$(complete_words index "")" = "list ls info rm" ] && [ "$(complete_words create --sp)" = "--span-size=" ] &&
	[ "$(complete_words conv)" = convert ]
ok $? "bash completion: commands, subcommands, options"

for words in create "ztoc build" "index rm"; do
	# shellcheck disable=SC2086
	cmp <("$cli" help $words) <("$cli" $words --help) && "$cli" help $words | grep -q "^Usage: lazyerofs $words "
	ok $? "help $words is $words --help"
done
"$cli" help nonsense 2>err; [ $? = 2 ] && grep -q "no such command: 'nonsense'" err
ok $? "help of what is no command"

# --- push between layouts -----------------------------------------------------------------
layout main l
"$cli" create oci:l:t --min-layer-size 0 >/dev/null 2>&1
"$cli" create oci:l:t --min-layer-size 0 --span-size 256K >/dev/null 2>&1
"$cli" push oci:l:t oci:p:new --json >out.json && [ "$(json out.json 'd["indexes"]')" = 2 ]
ok $? "push: the image and its two indexes"
diff <("$cli" index list oci:l:t) <("$cli" index list oci:p:new)
ok $? "found there in the same order"
diff <(ls l/blobs/sha256) <(ls p/blobs/sha256)
ok $? "with all blobs"
"$cli" push oci:c:t oci:p2 2>err; [ $? = 1 ] && ! grep -q ref.name p2/index.json
ok $? "push of a broken image sets no tag"
"$cli" convert oci:l:t oci:v:t --min-layer-size 0 --json >a.json 2>/dev/null &&
	"$cli" convert oci:v:t oci:v2:t --min-layer-size 0 --json >b.json 2>/dev/null && cmp a.json \
	<(sed 's/was indexed/indexed/' b.json) >/dev/null; diff v/index.json v2/index.json
ok $? "an image that was converted stays the same when converted again"
"$cli" index list oci:v2:t | grep -q "v2 *annotation"
ok $? "and names its index"
"$cli" index rm oci:v2:t 2>err; grep -q "part of the image" err
ok $? "which cannot be removed alone"
# --- several platforms, a layer twice ------------------------------------------------------
"$top/tests/tools/multi-layout" m "$fx"/layers/{nodot2,gzv-lvl6,nodot2}.tar.gz
"$cli" create oci:m:t --min-layer-size 0 --all-platforms --json >out.json 2>err
[ "$(json out.json '[i["platform"] for i in d], [l["state"] for l in d[0]["layers"]]')" = \
	"(['linux/amd64', 'linux/arm64'], ['indexed', 'indexed', 'indexed'])" ] &&
	[ "$(json out.json 'd[0]["layers"][0] == d[0]["layers"][2]')" = True ]
ok $? "create --all-platforms, a layer twice in each image"
[ "$(json out.json '[l["state"] for l in d[1]["layers"]] + [d[0]["layers"][i]["ztoc"] == d[1]["layers"][i]["ztoc"] for i in (0, 1, 2)]')" = \
	"['was indexed', 'was indexed', 'was indexed', True, True, True]" ]
ok $? "layers that both images have are read once"
"$cli" convert oci:m:t oci:pre:t --min-layer-size 0 --all-platforms --force --prefetch-file bin/sh --prefetch-file dir0/f00 >/dev/null 2>err
[ "$("$cli" index list oci:pre:t --all-platforms --json | grep -c '"prefetch_lists": 1')" = 2 ]
ok $? "and both get their prefetch lists"
"$cli" index list oci:m:t --all-platforms --json >list.json
[ "$(json list.json '[(i["platform"], i["version"], i["ztocs"]) for i in d]')" = \
	"[('linux/amd64', 'v1', 3), ('linux/arm64', 'v1', 3)]" ]
ok $? "both have an index"
"$cli" convert oci:m:t oci:one:t --min-layer-size 0 --platform linux/amd64 >/dev/null 2>err
"$cli" index list oci:one:t --all-platforms --json >list.json
[ "$(json list.json '[(i["platform"], i["version"]) for i in d]')" = \
	"[('linux/amd64', 'v2'), ('linux/arm64', 'v1')]" ]
ok $? "convert of one platform leaves the other its index v1"
python3 - m one <<'PY'
import json, sys
def top(d):
    e = [m for m in json.load(open(d + "/index.json"))["manifests"] if "annotations" in m][0]
    return json.load(open(d + "/blobs/sha256/" + e["digest"][7:]))["manifests"]
old, new = map(top, sys.argv[1:])
assert [m["platform"]["architecture"] for m in new] == ["amd64", "arm64", "unknown", "amd64"], new
assert new[1] == old[1], (new, old)
assert old[2]["annotations"].pop("vnd.docker.reference.digest") == old[0]["digest"]
assert new[2]["annotations"].pop("vnd.docker.reference.digest") == new[0]["digest"] != old[0]["digest"]
assert new[2] == old[2], (new, old)
PY
ok $? "and its manifest as it was; the attestation names the new one"
"$cli" convert oci:m:t oci:two:t --min-layer-size 0 --all-platforms >/dev/null 2>err &&
	[ "$("$cli" index list oci:two:t --all-platforms --json | grep -c '"version": "v2"')" = 2 ]
ok $? "convert --all-platforms"
"$cli" push oci:two:t oci:three --json >out.json 2>err
[ "$(json out.json 'd["images"], d["indexes"], d["indexes_incomplete"]')" = "(2, 1, 0)" ] &&
	diff <(ls two/blobs/sha256) <(ls three/blobs/sha256)
ok $? "push of all of it"
"$cli" push oci:one:t oci:arm --platform linux/arm64 --json >out.json 2>err
[ "$(json out.json 'd["images"], d["indexes"]')" = "(1, 1)" ] && "$cli" index list oci:arm -p linux/arm64 | grep -q " v1 "
ok $? "push of one platform, with its index"
"$cli" index info oci:m:t -p linux/arm64 --json >info.json
rm "$(blob m "$(json info.json 'd["layers"][0]["digest"]')")"
"$cli" push oci:m:t oci:less --json >out.json 2>err
[ "$(json out.json 'd["images"], d["indexes"], d["indexes_incomplete"]')" = "(2, 0, 2)" ] &&
	grep -q "left out" err && [ "$("$cli" index list oci:less --all-platforms --json)" = "[]" ]
ok $? "push: indexes whose zTOC is lost stay behind, and that is said"
for layers in "gzv-lvl6 -- noeof" "noeof -- gzv-lvl6"; do
	rm -rf u v
	# shellcheck disable=SC2046
	"$top/tests/tools/multi-layout" u $(for l in $layers; do [ "$l" = -- ] && echo -- || echo "$fx/layers/$l.tar.gz"; done)
	"$cli" convert oci:u:t oci:v:t --min-layer-size 100K --all-platforms >/dev/null 2>err &&
		grep -q "lazyerofs: linux/a.*64: no layer could be indexed" err &&
		[ "$("$cli" index list oci:v:t --all-platforms --json | grep -c '"version": "v2"')" = 1 ]
	ok $? "convert: one platform of $layers has nothing to index, and stays as it is"
	"$cli" create oci:u:t --min-layer-size 100K --all-platforms --json >out.json 2>err &&
		[ "$(json out.json 'len(d)')" = 1 ]
	ok $? "create likewise"
done
"$cli" convert oci:u:t oci:v:x --min-layer-size 1M --all-platforms >/dev/null 2>err
[ $? = 1 ] && grep -q "no layer could be indexed" err && ! grep -q '"x"' v/index.json
ok $? "but an image of which no platform can be indexed is refused"
# --- several writers of one layout ---------------------------------------------------------
layout main l
pids=()
for i in 1 2 3 4 5 6 7 8; do
	"$cli" push oci:l:t oci:shared:t$i >/dev/null 2>&1 &
	pids+=($!)
done
bad=0
for p in "${pids[@]}"; do wait "$p" || bad=1; done
[ $bad = 0 ] && [ "$(json shared/index.json 'sorted(m["annotations"]["org.opencontainers.image.ref.name"] for m in d["manifests"])')" = \
	"['t1', 't2', 't3', 't4', 't5', 't6', 't7', 't8']" ]
ok $? "eight pushes into one layout at once: eight tags"
for f in shared/blobs/sha256/*; do [ "$(sha256sum <"$f" | cut -d' ' -f1)" = "${f##*/}" ] || bad=1; done
ok $bad "and every blob is whole"
"$cli" push oci:nowhere:t oci:never 2>err; [ $? = 1 ] && [ ! -e never ]
ok $? "a source that is not there leaves no layout behind"
mkdir fifo && mkfifo fifo/index.json
timeout 10 "$cli" index list oci:fifo 2>err; [ $? = 1 ] && grep -q "index.json: not a regular" err
ok $? "a layout whose index.json is a FIFO is refused, not waited for"
[ -z "$(find . -name '.?*' -type f)" ]
ok $? "no temporary file is left"
echo "1..$n"
exit $failed
