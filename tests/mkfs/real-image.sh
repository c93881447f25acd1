#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The demo's image of Debian packages, whole: zTOCs by lazyerofs, bootstrap by mkfs.lazyerofs,
# data files filled from the layers, mounted on this kernel; every path equal to the same
# layers unpacked by GNU tar. Needs root.
set -euo pipefail

: "${SRCDIR:?}" "${BUILDDIR:?}"
tools=$SRCDIR/tests/tools
image=${DEMO_IMAGE:-$SRCDIR/build/demo/image}
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
grep -qw erofs /proc/filesystems || modprobe erofs 2>/dev/null || { echo "this kernel has no EROFS"; exit 77; }
mkdir -p "$(dirname "$image")"
"$tools/make-image" "$image"

work=$(mktemp -d "${TMPDIR:-/var/tmp}/lazyerofs-real.XXXXXX")
cleanup() {
	if mountpoint -q "$work/mnt"; then umount "$work/mnt" || umount -l "$work/mnt"; fi
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
mkdir "$work/mnt"

manifest=$image/blobs/sha256/$(jq -r '.manifests[0].digest' "$image/index.json" | cut -d: -f2)
layers=() ztocs=() maps=() devices=()
while read -r digest; do
	i=${#layers[@]}
	layers+=("$image/blobs/sha256/${digest#sha256:}")
	ztocs+=("$work/$i.ztoc")
	maps+=(--map "$work/$i.map")
	"$BUILDDIR/lazyerofs" ztoc build -o "$work/$i.ztoc" "${layers[i]}"
done < <(jq -r '.layers[].digest' "$manifest")
"$BUILDDIR/mkfs/mkfs.lazyerofs" -o "$work/bootstrap" --json "${maps[@]}" "${ztocs[@]}" >"$work/json"
jq -c '{inodes, bytes, devices}' "$work/json"
"$BUILDDIR/liberofs/fsck/fsck.erofs" "$work/bootstrap"
for i in "${!layers[@]}"; do
	mkdir "$work/$i"
	while IFS= read -r f; do devices+=("$f"); done < <(
		"$BUILDDIR/tests/tools/map_fill" "${ztocs[i]}" "${layers[i]}" "$work/$i.map" "$work/$i" || echo failed)
done
"$tools/mount-erofs" "$work/bootstrap" "$work/mnt" "${devices[@]}"
"$tools/unpack-layers" "$work/reference" "${layers[@]}"
"$tools/compare-tree" "$work/mnt" "$work/reference"
chroot "$work/mnt" /usr/bin/python3 -B -c 'import numpy; print(numpy.arange(6).sum())'
