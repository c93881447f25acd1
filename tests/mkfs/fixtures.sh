#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Whole images against GNU tar. For stacks of fixture layers, on both kernel paths: make the
# bootstrap and the maps, fill the data files completely, mount from plain files on this
# kernel, and compare everything with the layers unpacked by GNU tar. Needs root.
set -euo pipefail

: "${SRCDIR:?}" "${BUILDDIR:?}"
fixtures=$SRCDIR/tests/fixtures/soci
tools=$SRCDIR/tests/tools
mkfs=$BUILDDIR/mkfs/mkfs.lazyerofs
fill=$BUILDDIR/tests/tools/map_fill
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
grep -qw erofs /proc/filesystems || modprobe erofs 2>/dev/null || { echo "this kernel has no EROFS"; exit 77; }

# EROFS takes no bootstrap on tmpfs.
work=$(mktemp -d "${TMPDIR:-/var/tmp}/lazyerofs-mkfs.XXXXXX")
cleanup() {
	if mountpoint -q "$work/mnt"; then umount "$work/mnt" || umount -l "$work/mnt"; fi
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
mkdir "$work/mnt"
failed=0 count=0

layer_file() { # NAME -> file
	local f
	for f in "$fixtures/layers/$1".tar*; do echo "$f"; done
}

# image KERNEL_PATH SET LAYER...: one image, one comparison
image() {
	local path=$1 set=$2 dir=$work/image layer z i=0 maps=() ztocs=() devices=() layers=() blob=()
	shift 2
	rm -rf "$dir"
	mkdir "$dir"
	[ "$path" = fanotify ] || blob=(--blob)
	for layer in "$@"; do
		layers+=("$(layer_file "$layer")")
		ztocs+=("$fixtures/ztoc/$set/$layer.ztoc")
		maps+=(--map "$dir/$i.map")
		i=$((i + 1))
	done
	"$mkfs" -o "$dir/bootstrap" --kernel-path "$path" "${maps[@]}" "${ztocs[@]}"
	fsck "$dir/bootstrap"
	i=0
	for z in "${ztocs[@]}"; do
		mkdir "$dir/$i"
		while IFS= read -r f; do devices+=("$f"); done < <(
			"$fill" "${blob[@]}" "$z" "${layers[i]}" "$dir/$i.map" "$dir/$i" || echo failed)
		i=$((i + 1))
	done
	"$tools/mount-erofs" "$dir/bootstrap" "$work/mnt" "${devices[@]}"
	"$tools/unpack-layers" "$dir/reference" "${layers[@]}"
	count=$((count + 1))
	echo "# $path, $set: $*"
	"$tools/compare-tree" "$work/mnt" "$dir/reference" || failed=$((failed + 1))
	umount "$work/mnt"
}

fsck() { # the pinned version's own, where it was built
	local tool=$BUILDDIR/liberofs/fsck/fsck.erofs
	[ -x "$tool" ] || tool=${FSCK_EROFS:-$tool}
	"$tool" "$1" >"$work/fsck.log" 2>&1 || { cat "$work/fsck.log"; exit 1; }
}

for path in fanotify cachefiles; do
	for z in "$fixtures"/ztoc/soci-0.4.1-smallspan/*.ztoc; do
		layer=$(basename "$z" .ztoc)
		case $layer in
		sparsepax*) continue ;;			# refused: tests/golden/mkfs_fixtures.sh
		empty.main) continue ;;			# the same layer under another name
		esac
		[ -e "$(layer_file "$layer")" ] || continue
		image "$path" soci-0.4.1-smallspan "$layer"
	done
	image "$path" soci-0.4.1-smallspan base features-pax whiteouts
	image "$path" soci-0.4.1-smallspan features-gnu features-pax whiteouts nodot2 plain
	image "$path" soci-0.4.1-default base plain whiteouts zeros
	image "$path" soci-head-smallspan base features-pax whiteouts nodot2
done
echo "$count images compared, $failed differ"
[ "$failed" = 0 ]
