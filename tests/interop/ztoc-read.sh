#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ztoc-read.sh - each side reads what the other wrote, with Debian's real `soci` 0.4.1:
# the zTOCs in soci's store are replaced by ours (built to the same digest) before
# `soci ztoc info` and `soci ztoc get-file` read them; and `lazyerofs ztoc` reads soci's.
set -uo pipefail

if [ -z "${SOCI_SCRATCH:-}" ]; then
	top=$(cd "$(dirname "$0")/../.." && pwd)
	"$top/tests/tools/get-soci" >/dev/null || { echo "the soci package cannot be had"; exit 77; }
	exec "$top/tests/tools/with-soci" "$0"
fi

top=$(cd "$(dirname "$0")/../.." && pwd)
lazyerofs=${BUILDDIR:-$top/build}/lazyerofs
fixtures=$top/tests/fixtures/soci
store=/var/lib/soci-snapshotter-grpc/content/blobs/sha256
work=$SOCI_SCRATCH/read
mkdir -p "$work/theirs"
n=0
failed=0
ok() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; failed=1; fi
}

layers="nodot2 plain features-pax features-gnu gzv-go-std gzv-fname whiteouts base"
args=()
file_of() { local f=$fixtures/layers/$1.tar; [ -f "$f" ] || f=$f.gz; echo "$f"; }
for l in $layers; do
	diff_id=$(sed -n '1s/.*diff_id=\(sha256:[0-9a-f]*\).*/\1/p' "$fixtures/truth/$l.tsv")
	args+=("$diff_id=$(file_of "$l")")
done
"$top/tests/tools/oci-archive" example.test/image:1 "$work/image.tar" "${args[@]}"
ctr images import --no-unpack "$work/image.tar" >/dev/null || exit 1
TZ=UTC soci create --min-layer-size 0 --span-size 65536 example.test/image:1 >"$work/create" || exit 1

# The regular files of a layer whose names are plain: name, sha256 of the content.
files_of() {
	awk -F '\t' 'NR > 2 && $4 == "reg" && $5 !~ /[\\ ]/ && !seen[$5]++ { print $5, $1 }' "$fixtures/truth/$1.tsv"
}

for l in $layers; do
	layer=$(file_of "$l")
	digest=$(sha256sum <"$layer" | cut -d' ' -f1)
	ztoc=$(sed -n "s/^layer sha256:$digest -> ztoc sha256://p" "$work/create")
	[ -n "$ztoc" ]; ok $? "$l: soci made a zTOC"
	mv "$store/$ztoc" "$work/theirs/$l"
	"$lazyerofs" ztoc build "$layer" -o "$store/$ztoc" --span-size 64K --compat soci-0.1 >"$work/built"
	grep -q "^sha256:$ztoc " "$work/built"; ok $? "$l: ours has its digest"

	soci ztoc info "sha256:$ztoc" >"$work/info" 2>&1
	ok $? "$l: soci ztoc info reads ours"
	[ "$(jq .num_files "$work/info")" = "$(awk 'NR > 2' "$fixtures/truth/$l.tsv" | wc -l)" ]
	ok $? "$l: and counts the entries right"

	bad=0 seen=0
	while read -r name sum; do
		[ $seen -lt 12 ] || break
		seen=$((seen + 1))
		soci ztoc get-file -o "$work/file" "sha256:$ztoc" "$name" >"$work/log" 2>&1 &&
			[ "$(sha256sum <"$work/file" | cut -d' ' -f1)" = "$sum" ] ||
			{ bad=1; echo "#   $name: $(head -c 200 "$work/log")"; }
	done < <(files_of "$l")
	[ $seen -gt 0 ] || bad=1
	ok $bad "$l: soci ztoc get-file reads $seen files through ours"

	"$lazyerofs" ztoc verify "$work/theirs/$l" --layer "$layer" >"$work/log" 2>&1
	ok $? "$l: lazyerofs ztoc verify reads soci's"
	bad=0 seen=0
	while read -r name sum; do
		[ $seen -lt 12 ] || break
		seen=$((seen + 1))
		"$lazyerofs" ztoc get-file "$work/theirs/$l" "$name" --layer "$layer" -o "$work/file" \
			>"$work/log" 2>&1 && [ "$(sha256sum <"$work/file" | cut -d' ' -f1)" = "$sum" ] ||
			{ bad=1; echo "#   $name: $(head -c 200 "$work/log")"; }
	done < <(files_of "$l")
	[ $seen -gt 0 ] || bad=1
	ok $bad "$l: lazyerofs ztoc get-file reads $seen files through soci's"
done
echo "1..$n"
exit $failed
