#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `lazyerofs ztoc info|list|get-file --image`: zTOCs found in an image's SOCI indexes, in a
# layout and in a scripted registry; every file of an image out of its spans; layers, zTOCs
# and indexes that lie; ^C. Nothing wrong is ever written, and nothing is left.
. "${SRCDIR:?}/tests/golden/cli.lib" python3 jq curl
cleanup() { [ -z "${REG_PID:-}" ] || kill "$REG_PID"; }
mkdir tmp
export TMPDIR=$dir/tmp
z() { "$cli" ztoc "$@" >out 2>err; }
# fails CODE TEXT NAME ARGS...: that exit code, one line on stderr with TEXT, no output
fails() {
	local code=$1 text=$2 name=$3 rc
	shift 3
	z "$@"
	rc=$?
	[ $rc = "$code" ] && [ ! -s out ] && [ "$(wc -l <err)" = 1 ] && grep -q "^lazyerofs: .*$text" err
	ok $? "$name: exit $rc: $(head -c 250 err)"
}
sum() { sha256sum <"$1" | cut -d' ' -f1; }
blob() { echo "$1/blobs/sha256/${2#sha256:}"; }
layout() { rm -rf "$2"; "$top/tests/tools/fixture-layout" "$fx" "$1" "$2" || exit 1; }
# An index v1 of the image in LAYOUT, which goes before all others. ZTOC: a file, which is
# added, or a digest of 12 bytes that nobody has.
add_index() { # LAYOUT LAYER ZTOC [LAYER ZTOC]...: the index's digest
	python3 - "$@" <<'PY'
import hashlib, json, sys
out, pairs = sys.argv[1], sys.argv[2:]
top = json.load(open(out + "/index.json"))
image = next(m for m in top["manifests"] if "artifactType" not in m)
def put(data):
    h = hashlib.sha256(data).hexdigest()
    open(f"{out}/blobs/sha256/{h}", "wb").write(data)
    return {"digest": "sha256:" + h, "size": len(data)}
def ztoc(layer, z):
    d = {"digest": z, "size": 12} if z.startswith("sha256:") else put(open(z, "rb").read())
    return {"mediaType": "application/octet-stream", **d,
            "annotations": {"com.amazon.soci.image-layer-digest": layer}}
OCI = "application/vnd.oci.image."
index = put(json.dumps({"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
    "config": {"mediaType": "application/vnd.amazon.soci.index.v1+json", **put(b"{}")},
    "layers": [ztoc(*p) for p in zip(pairs[::2], pairs[1::2])],
    "subject": {"mediaType": image["mediaType"], "digest": image["digest"], "size": image["size"]}}).encode())
top["manifests"].insert(0, {"mediaType": OCI + "manifest.v1+json", **index,
                            "artifactType": "application/vnd.amazon.soci.index.v1+json"})
json.dump(top, open(out + "/index.json", "w"))
print(index["digest"])
PY
}
base=sha256:2589fa2024a91826326cf470f02ede2f7e3484a1708011d02a0e78716f91ee49
plain=sha256:5f85071c62d56a19c682e16438fbf9100f477a7a95cc84880eea1bb9d933e996
zstd=sha256:eecd0e2c92a57e5cb947ddcaa1df76b2d9f712a582084a3a2bd2cfe4b925f2bc

# --- usage --------------------------------------------------------------------------------
for c in info list get-file; do
	z $c --help && grep -q -- "--image=IMAGE" out && grep -q -- "--docker-config" out
	ok $? "ztoc $c --help"
done
fails 2 "go with --image" "options for registries, but no image" info x.ztoc --ca-file y
fails 2 "expected ZTOC or --image" "list without anything" list
fails 2 "layer or --image is required" "get-file without a layer or an image" get-file x.ztoc y
fails 2 "goes with --output" "get-file --json without -o" get-file --image oci:l:t x y --json
fails 2 "too few arguments" "info --image without ZTOC" info --image oci:l:t

# --- names --------------------------------------------------------------------------------
layout main l
z list --image oci:l:t --json && [ "$(jq length out)" = 0 ]; ok $? "list: an image without an index"
fails 1 "has no SOCI index with zTOCs" "info: an image without an index" info --image oci:l:t 2589fa
old=$("$cli" create oci:l:t --min-layer-size 0 --json 2>err | jq -r '.[0].index.digest')
new=$("$cli" create oci:l:t --min-layer-size 0 --span-size 64K --json 2>err | jq -r '.[0].index.digest')
some=$("$cli" create oci:l:t --min-layer-size 100K --span-size 64K --json 2>err | jq -r '.[0].index.digest')
z list --image oci:l:t --json && cp out all.json
[ "$(jq length all.json)" = 10 ]
ok $? "list: a row per zTOC of all indexes"
jq -e --arg some "$some" --arg new "$new" --arg old "$old" --arg base $base '
	(.[0] | .layer == $base and .indexes == [$some, $new] and .span_size == 65536 and .layer_size == 3618727) and
	(map(select(.layer == $base)) | length == 2 and .[1].indexes == [$old] and .[1].span_size == 4194304)
	' all.json >/dev/null
ok $? "list --json: the index that a mount takes first; a zTOC of two indexes once, with both"
for zt in $(jq -r '.[].digest' all.json); do
	[ "$(stat -c %s "$(blob l "$zt")")" = "$(jq --arg z "$zt" '.[] | select(.digest == $z).size' all.json)" ] || ok 1 "size of $zt"
done
z list --image oci:l:t && [ "$(wc -l <out)" = 11 ] && head -1 out | grep -q "^ZTOC .*LAYER .*INDEX" &&
	[ "$(awk 'length > 110' out | wc -l)" = 0 ]
ok $? "list: a table that fits"
while read -r zt _; do
	z info --image oci:l:t "$zt" --json && [[ $(jq -r .digest out) == "$zt"* ]] || ok 1 "info $zt"
done < <("$cli" ztoc list --image oci:l:t | tail -n +2)
ok $failed "what the table shows of a digest is enough to name it"
first=$(jq -r '.[0].digest' all.json)
other=$(jq -r --arg b $base 'map(select(.layer == $b))[1].digest' all.json)
"$cli" ztoc info "$(blob l "$first")" --json >want
for name in "$first" "${first#sha256:}" "${first:0:13}" "${first:7:6}" $base ${base:7:6}; do
	z info --image oci:l:t "$name" --json && jq 'del(.digest, .layer, .index)' out | diff - <(jq . want) >/dev/null &&
		jq -e --arg f "$first" --arg b $base --arg s "$some" '.digest == $f and .layer == $b and .index == $s' out >/dev/null
	ok $? "info $name: the same as of the file, and where it is from"
done
z info --image oci:l:t "$first" && grep -q "^of layer  *$base$" out && z info --image oci:l:t "$first" -s &&
	[ "$(grep -c sha256: out)" = $((3 + $(jq .num_spans want))) ]
ok $? "info for people, and with spans"
z info --image oci:l:t "$other" --json && [ "$(jq .num_spans out)" = 3 ]; ok $? "a zTOC of an older index"
diff <("$cli" ztoc list --image oci:l:t $plain) <("$cli" ztoc list "$(blob l "$(jq -r --arg p $plain 'map(select(.layer == $p))[0].digest' all.json)")")
ok $? "list: the files, as of the file"
fails 1 'no digest of a zTOC or layer' "too short" info --image oci:l:t 2589f
fails 1 'no digest of a zTOC or layer' "no digits" info --image oci:l:t sha256:2589fX
fails 1 'no digest of a zTOC or layer' "another algorithm" info --image oci:l:t sha512:2589fa2024
fails 1 'no digest of a zTOC or layer' "too long" info --image oci:l:t ${base}0
fails 1 'no digest of a zTOC or layer' "standard input" info --image oci:l:t -
fails 1 "it has zTOCs ${first:0:19}, " "unknown" info --image oci:l:t 000000
fails 1 "layer $zstd of oci:l:t has no zTOC" "a layer without a zTOC" info --image oci:l:t $zstd
fails 1 "no image \"nosuch\"" "no such image" list --image oci:l:nosuch
cp -r l amb
add_index amb $base sha256:abcdef1"$(printf '%057d' 1)" $plain sha256:abcdef2"$(printf '%057d' 2)" >/dev/null
fails 1 "beginning of several digests: sha256:abcdef100000, sha256:abcdef200000" "ambiguous" info --image oci:amb:t abcdef
fails 1 "abcdef1" "named at length, but not there" info --image oci:amb:t abcdef1
z list --image oci:amb:t --json && [ "$(jq -r '.[0].span_size' out)" = null ]; ok $? "list: a span size that the index does not say"

"$top/tests/tools/multi-layout" m "$fx"/layers/{nodot2,gzv-lvl6}.tar.gz
"$cli" create oci:m:t --min-layer-size 0 -p linux/arm64 >/dev/null 2>err
z list --image oci:m:t -p linux/arm64 --json && [ "$(jq length out)" = 2 ] &&
	z list --image oci:m:t -p linux/amd64 --json && [ "$(jq length out)" = 0 ]
ok $? "-p: another platform's image"
fails 1 "the image is for linux/amd64" "-p: a single image of another platform" list --image oci:l:t -p linux/arm64
fails 1 "platform" "-p: nonsense" list --image oci:m:t -p linux/
"$cli" convert oci:l:t oci:v2:t --min-layer-size 0 >/dev/null 2>err
z list --image oci:v2:t --json && [ "$(jq length out)" = 5 ] && z get-file --image oci:v2:t $plain dir0/f03 &&
	[ "$(sum out)" = "$(awk -F'\t' '$5 == "./dir0/f03" { print $1 }' "$fx/truth/plain.tsv")" ]
ok $? "index v2"

# Further indexes may be lost or spoilt.
cp -r l spoilt
printf x >>"$(blob spoilt "$old")"
rm "$(blob spoilt "$new")"
z list --image oci:spoilt:t --json && [ "$(jq length out)" = 2 ]
ok $? "a lost and a spoilt index beside a good one: $(cat err)"
printf x >>"$(blob spoilt "$some")"
z list --image oci:spoilt:t; [ $? = 1 ] || [ "$(wc -l <out)" = 1 ]
ok $? "none that is good"

# --- every file of an image ---------------------------------------------------------------
all_files() { # IMAGE LAYER TRUTH: *files, *fetched (the most for one)
	local want size type name path got_digest got_size got_fetched good=0
	files=0 fetched=0
	while IFS=$'\t' read -r want size _ type name; do
		[ "$type" = reg ] || continue
		# shellcheck disable=SC2059
		printf -v path "${name//%/%%}"
		z get-file --image "$1" "$2" "$path" -o got --json &&
			read -r got_digest got_size got_fetched < <(jq -r '"\(.digest) \(.size) \(.fetched_bytes)"' out) &&
			[ "$got_digest $got_size $(sum got)" = "sha256:$want $size $want" ] ||
			{ good=1; echo "# $name: $(cat err)"; }
		[ "$got_fetched" -le $fetched ] || fetched=$got_fetched
		files=$((files + 1))
	done < <(tail -n +3 "$fx/truth/$3.tsv" | awk -F'\t' '{ v[$5] = $0 } END { for (k in v) print v[k] }')
	return $good
}
all_files oci:l:t $base base
ok $? "get-file: $files files of a gzip layer of 3618727 bytes, of which at most $fetched were fetched"
[ "$files" = 118 ] && [ "$fetched" -gt 100000 ] && [ "$fetched" -lt 2000000 ]; ok $? "that is some, and a part of it"
big=usr/lib/big.dat
z get-file --image oci:l:t "$other" $big -o got --json && [ "$(sum got)" = 9f61608dbce983340870ab31e4edcbadab26699a370dbc29fc54399ef405e094 ] &&
	[ "$(jq .fetched_bytes out)" -gt "$fetched" ]
ok $? "get-file: with larger spans more is fetched"
all_files oci:l:t $plain plain; ok $? "get-file: $files files of a plain tar"
[ "$fetched" -lt 522240 ]; ok $? "at most $fetched of 522240 bytes"
all_files oci:l:t d91b4a228e54 features-pax; ok $? "get-file: $files files with odd names"
layout x-gzv-mm2 mm
"$cli" create oci:mm:t --min-layer-size 0 --span-size 64K >/dev/null 2>err
mm=$(jq -r '.layers[0].digest' "$fx/images/x-gzv-mm2.manifest.json")
all_files oci:mm:t "$mm" gzv-mm2; ok $? "get-file: $files files of a layer of two gzip members"
z get-file --image oci:l:t $base usr/lib/mod0.bin && cp out got && z get-file --image oci:l:t $base //./usr/lib/mod0.bin &&
	cmp out got && [ "$(sum got)" = c444866439b01838accb49a47ee0723c62268dbd280a8de267a90acd1e48f573 ]
ok $? "get-file to standard output, and not a byte more"
z get-file --image oci:l:t $base usr/lib/mod0.bin -l "$(blob l $base)" -o got --json && jq -e 'has("fetched_bytes") | not' out >/dev/null
ok $? "get-file: the zTOC of the image, a local copy of the layer"
layout x-sparsepax sp
"$cli" create oci:sp:t --min-layer-size 0 >/dev/null 2>err
sparse=$(jq -r '.layers[0].digest' "$fx/images/x-sparsepax.manifest.json")
rm -f got
fails 1 "a sparse file" "get-file: a sparse file" get-file --image oci:sp:t "$sparse" b-sparse -o got
fails 1 "no such file in this layer" "get-file: no such path" get-file --image oci:l:t $base no/such -o got
fails 1 "not a regular file" "get-file: a directory" get-file --image oci:l:t $base usr -o got
TMPDIR=$dir/none fails 1 "temporary file in .*none" "get-file: no place for the spans" get-file --image oci:l:t $base usr/lib/mod0.bin -o got
fails 1 "beside no/out" "get-file: no place for the file" get-file --image oci:l:t $base usr/lib/mod0.bin -o no/out

# --- what lies ------------------------------------------------------------------------------
bad() { # TEXT NAME LAYOUT ZTOC [PATH]: refused, and the file that was there stays
	echo old >kept
	fails 1 "$1" "$2" get-file --image "oci:$3:t" "$4" "${5:-$big}" -o kept
	[ "$(cat kept)" = old ] && [ -z "$(find . -maxdepth 1 -name 'kept?*')" ]
	ok $? "$2: the old file stays, and nothing beside it"
}
cp -r l lie
printf '\377\376' | dd of="$(blob lie $base)" bs=1 seek=1300000 conv=notrunc status=none
bad "layer bytes .* have digest" "a layer with other bytes" lie $base usr/lib/mod0.bin
z get-file --image oci:lie:t $base $big && [ "$(sum out)" = 9f61608dbce983340870ab31e4edcbadab26699a370dbc29fc54399ef405e094 ]
ok $? "whose other spans are as they should be"
dd if=/dev/zero of="$(blob lie $base)" bs=1M count=2 conv=notrunc status=none
bad "have digest" "a layer of zeros" lie $base
truncate -s 3000000 "$(blob lie $base)"
bad "another size" "a layer that is too short" lie $base
rm "$(blob lie $base)"
bad "No such file" "a layer that is not there" lie $base
printf '\1' | dd of="$(blob lie "$first")" bs=1 seek=5000 conv=notrunc status=none
bad "does not have that digest" "a zTOC with other bytes" lie $base
printf x >>"$(blob lie "$other")"
bad "another size" "a zTOC of another size" lie "$other"

# zTOCs with the right digest that say what is not true.
"$cli" ztoc build "$fx/layers/gzv-lvl6.tar.gz" -o other.ztoc >/dev/null
cp -r l lie2
add_index lie2 $base other.ztoc >/dev/null
bad "but its zTOC is for one of" "a zTOC of another layer" lie2 $base dir0/f03
cat "$fx/layers/base.tar.gz" "$fx/layers/gzv-lvl6.tar.gz" >long.tar.gz
"$cli" ztoc build long.tar.gz -o long.ztoc --span-size 64K >/dev/null 2>err
cp -r l lie3
add_index lie3 $base long.ztoc >/dev/null
bad "but its zTOC is for one of" "a zTOC whose last spans lie behind the layer" lie3 $base
# The fields of one span, as they stand in the file.
python3 - "$(blob l "$first")" want.json <<PY
import json, struct, subprocess, sys
path = sys.argv[1]
data = open(path, "rb").read()
info = json.load(open("want"))
s = info["spans"][40]
here = s["comp_start"] + (1 if s["bits"] else 0)
at = data.find(struct.pack("<QQ", here, s["out_start"]))
assert at > 0
def write(name, off, value):
    open(name, "wb").write(data[:off] + struct.pack("<Q", value) + data[off + 8:])
write("outside.ztoc", at, info["compressed_archive_size"] + 1000)
write("huge.ztoc", at, (1 << 63) + 5)
write("back.ztoc", at, 11)
write("shift.ztoc", at, here + 1)
size = struct.pack("<Q", info["compressed_archive_size"])
assert data.count(size) == 1
write("size.ztoc", data.find(size), info["compressed_archive_size"] + 4096)
PY
"$cli" ztoc list "$(blob l "$first")" --json >files
in40=$(jq -r '[.[] | select(.type == "reg" and .size > 0 and .start_span <= 40 and .end_span >= 40)][0].name' files)
for lie in outside:"outside the layer" huge:"outside the layer" back:"does not come after" shift:"span [34][0-9]: " \
	size:"but its zTOC is for one of"; do
	rm -rf lie4
	cp -r l lie4
	add_index lie4 $base "${lie%%:*}.ztoc" >/dev/null
	bad "${lie#*:}" "a zTOC that lies (${lie%%:*})" lie4 $base "$in40"
done

# --- a registry that is asked, and lies -------------------------------------------------------
layout main r
"$cli" create oci:r:t --min-layer-size 0 --span-size 64K >/dev/null 2>err
coproc REG { exec python3 "$top/tests/tools/scripted-registry" --content r/blobs --tag "a/b:1=$(jq -r '.manifests[0].digest' r/index.json)"; }
read -r _ port _ <&"${REG[0]}"
ref=127.0.0.1:$port/a/b:1
ctl() { curl -fsS "http://127.0.0.1:$port/_ctl/$1" -d "${2:-{\}}"; }
count() { ctl count "{\"match\": \"$1\"}"; }
fault() { # BLOB ACTION...
	ctl reset >/dev/null
	ctl fault "{\"match\": \"GET .*blobs/$1\", $2}" >/dev/null
}
mod0=c444866439b01838accb49a47ee0723c62268dbd280a8de267a90acd1e48f573
diff <("$cli" ztoc list --image "$ref" --json) <("$cli" ztoc list --image oci:r:t --json) >/dev/null
ok $? "list: the registry's are the layout's"
ctl reset >/dev/null
z get-file --image "$ref" $base usr/lib/mod0.bin -o got --json && [ "$(sum got)" = $mod0 ] &&
	[ "$(count "blobs/$base")" = 1 ] && ctl log | grep -q "bytes=[1-9][0-9]*-" && [ "$(jq .fetched_bytes out)" -lt 600000 ]
ok $? "get-file: one request, of a range ($(jq .fetched_bytes out) bytes)"
z list --image "$ref" d91b4a228e54 --json && name=$(jq -r '[.[] | select(.type == "reg" and .size == 0)][0].name' out)
ctl reset >/dev/null
z get-file --image "$ref" d91b4a228e54 "$name" -o got --json && [ ! -s got ] && [ "$(count blobs/sha256:d91b)" = 0 ] &&
	jq -e '.fetched_bytes == 0' out >/dev/null
ok $? "get-file: nothing is fetched for an empty file ($name)"
for f in '"do": "no-range"' '"do": "short", "after": 5000' '"do": "reset-body", "after": 70000' '"do": "wrong-range", "shift": 7' \
	'"do": "wrong-total"' '"do": "short-range"' '"do": "status", "status": 503'; do
	fault $base "$f"
	z get-file --image "$ref" $base usr/lib/mod0.bin && [ "$(sum out)" = $mod0 ]
	ok $? "get-file all the same after $f"
done
ctl set '{"redirect": true}' >/dev/null
z get-file --image "$ref" $base usr/lib/mod0.bin && [ "$(sum out)" = $mod0 ]; ok $? "get-file: a layer elsewhere"
for f in '"do": "corrupt", "at": 0' '"do": "corrupt", "at": 100000' '"do": "corrupt", "at": 484469'; do
	fault $base "$f"
	echo old >kept
	fails 1 "have digest" "get-file: $f" get-file --image "$ref" $base usr/lib/mod0.bin -o kept
	[ "$(cat kept*)" = old ]; ok $? "the old file stays"
done
fault "$("$cli" ztoc list --image "$ref" --json | jq -r '.[0].digest')" '"do": "corrupt", "at": 1000'
fails 1 "does not have that digest" "a zTOC that came wrong" get-file --image "$ref" $base usr/lib/mod0.bin -o kept
fault $base '"do": "status", "status": 404, "times": -1'
fails 1 "404" "a layer that is gone" get-file --image "$ref" $base usr/lib/mod0.bin -o kept

fault $base '"do": "stall-body", "after": 100000, "seconds": 60, "times": -1'
env --default-signal=INT "$cli" ztoc get-file --image "$ref" $base usr/lib/mod0.bin -o kept >out 2>err &
pid=$!
until [ "$(count "blobs/$base")" -ge 1 ]; do sleep 0.05; done
[ -z "$(ls tmp)" ]; ok $? "what is fetched has no name"
kill -INT $pid
wait $pid
rc=$?
[ $rc = 1 ] && [ "$(wc -l <err)" = 1 ] && grep -q "interrupted" err; ok $? "^C: exit $rc: $(cat err)"
[ "$(cat kept*)" = old ] && [ -z "$(ls tmp)" ]; ok $? "^C leaves nothing behind"

# A further index of the image that makes no sense.
ctl reset >/dev/null
ctl add "$(jq -n --arg text "$(jq -c '.layers = [{"digest": "none"}]' "$(blob r "$("$cli" index list oci:r:t --json | jq -r '.[0].digest')")")" \
	'{"text": $text}')" >/dev/null
z list --image "$ref" --json && [ "$(jq length out)" = 5 ] && [ "$(wc -l <err)" = 1 ] && grep -q "left out: SOCI index" err
ok $? "a spoilt index is told, and the others are used: $(cat err)"
echo "1..$n"
exit $failed
