#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Which images of an index -p, --all-platforms and nothing take; layouts that hold less than
# their index lists, and layouts whose index.json is the index of images.
. "${SRCDIR:?}/tests/golden/cli.lib" python3 jq
case $(uname -m) in x86_64) ;; *) echo "1..0 # SKIP the platforms of this test are for x86_64"; exit 77 ;; esac
image() { # [--flat] ENTRY...: the layout l; its manifests in m[0] ...
	local flat=()
	[ "$1" != --flat ] || { flat=(--flat); shift; }
	rm -rf l out.d
	mapfile -t m < <("$top/tests/tools/platform-layout" "${flat[@]}" l "$@")
	ref=oci:l:t
	[ ${#flat[@]} = 0 ] || ref=oci:l
}
# took [ARGS...] -- NUMBER...: create takes these manifests, in this order
took() {
	local args=() want=() r
	while [ "$1" != -- ]; do args+=("$1"); shift; done
	shift
	for r; do want+=("${m[$r]}"); done
	"$cli" create "$ref" --min-layer-size 0 --json "${args[@]}" >out 2>err &&
		[ "$(jq -r '[.[].manifest] | join(" ")' out)" = "${want[*]}" ]
}
refused() { # TEXT COMMAND...: one line on stderr with TEXT
	"$cli" "${@:2}" >out 2>err
	[ $? = 1 ] && [ "$(wc -l <err)" = 1 ] && grep -q "^lazyerofs: .*$1" err
}
# The platforms of an image index, SOCI indexes as "soci:"
shape() { # LAYOUT: what its tag t leads to
	local d
	d=$(jq -r '[.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == "t")][0].digest' "$1/index.json")
	jq -r '[.manifests[] | (if .artifactType == "application/vnd.amazon.soci.index.v2+json" then "soci:" else "" end) +
		(.platform | .os + "/" + .architecture)] | join(" ")' "$1/blobs/sha256/${d#sha256:}"
}
all_there() { # LAYOUT: all that its index names
	local d
	d=$(jq -r '.manifests[-1].digest' "$1/index.json")
	for d in $(jq -r '.manifests[].digest' "$1/blobs/sha256/${d#sha256:}"); do
		for d in ${d#sha256:} $(jq -r '.config.digest[7:], .layers[].digest[7:]' "$1/blobs/sha256/${d#sha256:}"); do
			[ -f "$1/blobs/sha256/$d" ] || return 1
		done
	done
}
OPTS=(--min-layer-size 0)

# --- what -p takes ------------------------------------------------------------------------
image linux/arm64/v8 linux/amd64 linux/arm/v6 linux/arm/v7 windows/amd64
for p in amd64 linux linux/amd64 linux/x86_64 LINUX/AMD64 X86-64 linux/amd64/v1; do
	took -p $p -- 1
	ok $? "-p $p"
done
for p in arm64 linux/arm64 linux/aarch64 linux/arm64/v8 linux/arm64/8 aarch64; do
	took -p $p -- 0
	ok $? "-p $p"
done
took -p linux/arm -- 3 && took -p linux/armhf -- 3 && took -p armhf -- 3 && took -p linux/arm/7 -- 3
ok $? "-p linux/arm is v7, though v6 stands before it"
took -p linux/armel -- 2 && took -p linux/arm/v6 -- 2
ok $? "-p linux/armel is v6"
took -p windows/amd64 -- 4
ok $? "-p windows/amd64"
took -p arm64,amd64 -p windows/amd64 -- 0 1 4
ok $? "-p A,B -p C: in this order"
took -p arm64,linux/arm64/v8 -p aarch64 -- 0
ok $? "one platform in three spellings is one"
took -- 1
ok $? "without -p: this machine's"
took --all-platforms -- 0 1 2 3 4
ok $? "--all-platforms"
image linux/x86_64 linux/aarch64
took -- 0 && took -p linux/arm64 -- 1
ok $? "an index that spells them x86_64 and aarch64"
refused "platform \"unheard\" is not" create $ref -p unheard
ok $? "-p unheard: $(cat err)"
refused "platform \"\" is not" create $ref -p amd64,
ok $? "-p amd64,: $(cat err)"

# --- just that one ------------------------------------------------------------------------
image linux/amd64 linux/arm/v6
there='there is: linux/amd64, linux/arm/v6'
for p in linux/amd64/v3 linux/arm/v7 linux/arm/v5; do
	refused "no image for $p ($there)" create $ref "${OPTS[@]}" -p $p
	ok $? "create -p $p: $(cat err)"
done
refused "no image for linux/arm/v7 ($there)" convert $ref oci:o:t "${OPTS[@]}" -p linux/arm/v7 && [ ! -e o ] &&
	refused "no image for linux/arm/v7 ($there)" push $ref oci:o:t -p linux/arm/v7 && [ ! -e o ] &&
	refused "no image for linux/arm/v7 ($there)" index list $ref -p linux/arm/v7
ok $? "convert, push and index, too, and nothing is made: $(cat err)"
image linux/amd64,feature=x linux/arm64
refused "no image for linux/amd64" create $ref "${OPTS[@]}" -p amd64 && took -- 0
ok $? "an image that wants an os feature is not asked for by -p, but is this machine's"
image linux/amd64,feature=x linux/amd64
took -p amd64 -- 1 && took -- 1
ok $? "and comes after one that wants none"
image linux/amd64/v2
refused "no image for linux/amd64 (there is: linux/amd64/v2)" create $ref "${OPTS[@]}" -p amd64 && took -- 0
ok $? "without -p what is likely to run is taken"
image linux/arm64,bare
took -p arm64 -- 0 && refused "the image is for linux/arm64, not linux/amd64" create $ref "${OPTS[@]}" -p amd64
ok $? "an only entry without platform: its config tells: $(cat err)"
"$cli" push $ref oci:one:t >out 2>err && rm -rf one && image linux/arm/v6 linux/amd64 &&
	"$cli" push $ref oci:one:t -p linux/armel >out 2>err &&
	[ "$(jq -r '.manifests[0].digest' one/index.json)" = "${m[0]}" ]
ok $? "push -p: that image alone"
refused "one platform can be pushed alone" push $ref oci:one:t -p linux/armel,linux/amd64
ok $? "push -p A,B: $(cat err)"
ref=oci:one:t
took -p linux/arm/v6 -- 0 && refused "the image is for linux/arm/v6, not linux/arm" create $ref -p linux/arm
ok $? "of an image that stands alone: $(cat err)"

# --- the only one there is ----------------------------------------------------------------
image linux/s390x unknown/unknown,attestation
took -- 0 && grep -q "the only image there is, for linux/s390x" err
ok $? "without -p the only image is taken, and told: $(grep only err)"
"$cli" convert $ref oci:o:t "${OPTS[@]}" >out 2>err && grep -q "linux/s390x" err &&
	[ "$(shape o)" = "linux/s390x unknown/unknown soci:linux/s390x" ]
ok $? "by convert, too"
image linux/s390x linux/arm64
refused "no image for linux/amd64 (there is: linux/s390x, linux/arm64)" create $ref "${OPTS[@]}"
ok $? "one of two is not guessed: $(cat err)"

# --- all, each once -----------------------------------------------------------------------
image linux/amd64 linux/x86_64 unknown/unknown linux/unknown linux/arm64 linux/arm64/v8 windows/amd64,version=10.0.17763.1 \
	windows/amd64,version=10.0.17763.2 windows/amd64,version=10.0.20348.1
took --all-platforms -- 0 4 6 8
ok $? "of one platform the first, of an unknown one none"
[ "$(grep -c "another image of this platform stands before it" err)" = 3 ] && grep -q "linux/x86_64 ${m[1]}" err
ok $? "the others are told: $(grep -m1 another err)"
rm -rf o; "$cli" convert $ref oci:o:t "${OPTS[@]}" --all-platforms --json >out 2>err &&
	[ "$(jq 'length' out)" = 4 ] && [ "$(shape o | wc -w)" = 13 ]
ok $? "convert: all stay, four are converted"

# --- artifacts ----------------------------------------------------------------------------
soci=application/vnd.amazon.soci.index
image linux/amd64,artifact=$soci.v2+json linux/amd64,artifact=$soci.v1+json linux/amd64,artifact=x/y,bare linux/amd64,attestation \
	linux/amd64,artifact=application/x
took -p amd64 -- 4 && took -- 4 && took --all-platforms -- 4
ok $? "an artifactType makes no artifact of an image with platform, unless it is SOCI's"

# --- layouts that hold less than they list ------------------------------------------------
image linux/amd64 linux/arm64,lost unknown/unknown,attestation,lost
took -- 0 && [ "$(grep -c "is not in the layout: left out" err)" = 2 ] && grep -q "linux/arm64 ${m[1]} is not" err
ok $? "create: $(grep -m1 "not in" err)"
took --all-platforms -- 0
ok $? "create --all-platforms"
"$cli" index list $ref -p arm64 >out 2>err; [ $? = 1 ] && grep -q "no image for linux/arm64 (there is: linux/amd64)" err
ok $? "-p of the one that is not there: $(tail -1 err)"
for all in "" --all-platforms; do
	rm -rf o; "$cli" convert $ref oci:o:t "${OPTS[@]}" $all >out 2>err &&
		[ "$(shape o)" = "linux/amd64 soci:linux/amd64" ] && all_there o
	ok $? "convert $all"
done
rm -rf o; "$cli" push $ref oci:o:t >out 2>err && [ "$(shape o)" = "linux/amd64" ] && all_there o &&
	[ "$(grep -c "left out" err)" = 2 ]
ok $? "push"
image linux/arm64 linux/amd64,lost
took -- 0 && grep -q "the only image there is, for linux/arm64" err
ok $? "the only one of them that is there is the only one"
image linux/arm64,lost linux/amd64,lost
"$cli" push $ref oci:none:t >out 2>err; [ $? = 1 ] && grep -q "holds none of the images" err && ! grep -q ref.name none/index.json
ok $? "push of an index of which nothing is there: $(tail -1 err)"
"$cli" create $ref >out 2>err; [ $? = 1 ] && grep -q "(there is: nothing)" err
ok $? "create of it: $(tail -1 err)"

image linux/arm64,lost-layer linux/amd64
took -- 1 && ! grep -q "left out" err
ok $? "layers of another platform do not matter to create"
rm -rf o; "$cli" convert $ref oci:o:t "${OPTS[@]}" >out 2>err && [ "$(shape o)" = "linux/amd64 soci:linux/amd64" ] &&
	all_there o && grep -q "linux/arm64 ${m[0]} lacks sha256:" err
ok $? "convert leaves the platform out: $(grep lacks err)"
rm -rf o; "$cli" push $ref oci:o:t >out 2>err && [ "$(shape o)" = "linux/amd64" ] && all_there o && grep -q lacks err
ok $? "push, too"
rm -rf o; refused "linux/arm64: layer 1 of 1, sha256:.*, is not in the layout" convert $ref oci:o:t "${OPTS[@]}" --all-platforms &&
	[ ! -e o/blobs ]
ok $? "where it is to be converted, nothing is begun: $(cat err)"
refused "linux/arm64: layer 1 of 1" create $ref "${OPTS[@]}" --all-platforms
ok $? "create likewise"
"$cli" create $ref --all-platforms >out 2>err; grep -q "no layer could be indexed" err
ok $? "a layer that gets no zTOC need not be there"

# --- index.json is the index of images ----------------------------------------------------
image --flat linux/arm64 linux/amd64 unknown/unknown,attestation
took -- 1 && took -p arm64 -- 0 && took --all-platforms -- 0 1
ok $? "flat: create, though its indexes stand in index.json, too"
[ "$("$BUILDDIR/tests/oci/oci_tool" resolve $ref 2>err | cut -d' ' -f1)" = "${m[1]}" ]
ok $? "flat: resolved as a mount does"
"$cli" index list $ref --all-platforms --json >out 2>err && [ "$(jq -r '[.[].manifest] | join(" ")' out)" = "${m[0]} ${m[1]}" ]
ok $? "flat: index list"
"$cli" convert $ref oci:o1:t "${OPTS[@]}" --all-platforms >out 2>err &&
	[ "$(shape o1)" = "linux/arm64 linux/amd64 unknown/unknown soci:linux/arm64 soci:linux/amd64" ] && all_there o1
ok $? "flat: convert"
"$cli" push $ref oci:o2:t >out 2>err && [ "$(shape o2)" = "linux/arm64 linux/amd64 unknown/unknown" ] && all_there o2 &&
	"$cli" index list oci:o2:t -p arm64 --json >out 2>err && [ "$(jq length out)" = 1 ]
ok $? "flat: push, with the indexes v1"
refused "has no image \"x\"" create oci:l:x
ok $? "flat: a tag is none of its: $(cat err)"
image --flat linux/arm64 linux/amd64,lost
took -- 0 && grep -q "linux/amd64 ${m[1]} is not in the layout" err
ok $? "flat, and one is not there"
image --flat linux/arm64,bare linux/amd64,bare
refused "has no image \"latest\"" create oci:l
ok $? "several without name or platform are no index: $(cat err)"
echo "1..$n"
exit $failed
