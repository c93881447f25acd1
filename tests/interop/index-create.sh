#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# index-create.sh - the same image indexed by Debian's real `soci` 0.4.1 and by `lazyerofs
# create`: one index manifest, byte for byte, and the same zTOCs; then soci shows ours.
set -uo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
if [ -z "${SOCI_SCRATCH:-}" ]; then
	"$top/tests/tools/get-soci" >/dev/null || { echo "the soci package cannot be had"; exit 77; }
	exec "$top/tests/tools/with-soci" "$0"
fi
lazyerofs=${BUILDDIR:-$top/build}/lazyerofs
fixtures=$top/tests/fixtures/soci
store=/var/lib/soci-snapshotter-grpc/content/blobs/sha256
work=$SOCI_SCRATCH/index
mkdir -p "$work/layout"
n=0
failed=0
ok() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; failed=1; fi
}

args=()
for l in base nodot2 plain features-pax gzv-go-std gzv-mm2 whiteouts; do
	file=$fixtures/layers/$l.tar
	[ -f "$file" ] || file=$file.gz
	args+=("$(sed -n '1s/.*diff_id=\(sha256:[0-9a-f]*\).*/\1/p' "$fixtures/truth/$l.tsv")=$file")
done
"$top/tests/tools/oci-archive" example.test/image:1 "$work/image.tar" "${args[@]}"
ctr images import --no-unpack "$work/image.tar" >/dev/null || exit 1
tar -C "$work/layout" -xf "$work/image.tar"

for span in 65536 4194304; do
	for min in 0 50000; do
		TZ=UTC soci create --min-layer-size $min --span-size $span example.test/image:1 >"$work/create" || exit 1
		"$lazyerofs" create "oci:$work/layout" --min-layer-size $min --span-size $span --compat soci-0.1 \
			--json >"$work/ours.json"
		ok $? "create: spans of $span, layers from $min"
		digest=$(jq -r '.[0].index.digest' "$work/ours.json")
		cmp "$store/${digest#sha256:}" "$work/layout/blobs/sha256/${digest#sha256:}"
		ok $? "soci made the same index manifest, $digest"
		bad=0
		for z in $(jq -r '.[0].layers[].ztoc.digest // empty' "$work/ours.json"); do
			cmp "$store/${z#sha256:}" "$work/layout/blobs/sha256/${z#sha256:}" || bad=1
		done
		ok $bad "and the same zTOCs"
		soci index info "$digest" >"$work/info" 2>&1 &&
			cmp <(jq -S . "$work/info") <(jq -S . "$work/layout/blobs/sha256/${digest#sha256:}")
		ok $? "soci index info shows it"
	done
done
echo "1..$n"
exit $failed
