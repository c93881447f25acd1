#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Large numbers on this machine's kernel: a file of 10 GiB (10,241 chunks in one inode) and
# thousands of devices; every chunk must come from its place. Needs root, little disk.
set -euo pipefail

: "${SRCDIR:?}" "${BUILDDIR:?}"
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
grep -qw erofs /proc/filesystems || modprobe erofs 2>/dev/null || { echo "this kernel has no EROFS"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/var/tmp}/lazyerofs-large.XXXXXX")
cleanup() {
	if mountpoint -q "$work/mnt"; then umount "$work/mnt" || umount -l "$work/mnt"; fi
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
mkdir "$work/mnt"

"$BUILDDIR/tests/mkfs/big_layer" "$BUILDDIR/mkfs/mkfs.lazyerofs" "$work"
"$BUILDDIR/liberofs/fsck/fsck.erofs" "$work/bootstrap"
mapfile -t devices <"$work/devices"
echo "# ${#devices[@]} devices"
"$SRCDIR/tests/tools/mount-erofs" "$work/bootstrap" "$work/mnt" "${devices[@]}"
"$BUILDDIR/tests/mkfs/big_layer" --check "$work/mnt"
