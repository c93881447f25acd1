#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A real image (Debian's python3, numpy, perl, git; whiteouts, hard links, devices, extended
# attributes), mounted lazily from a registry with its SOCI index: name by name and byte by
# byte what unpacking its layers gives. The same from a layout on disk, without a registry.
. "$SRCDIR/tests/real/lib.sh"

layout=$BUILDDIR/demo/image
if ! mkdir -p "$BUILDDIR/demo" || ! "$tools/make-image" "$layout" >>"$W/log" 2>&1; then
	tail -n 1 "$W/log"
	echo "the packages for the image cannot be had"
	exit 77
fi
cp -a --reflink=auto "$layout" "$W/layout"
digest=$(jq -r '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == "demo") |
	.digest' "$layout/index.json")
jq -r '.layers[].digest' "$layout/blobs/sha256/${digest#sha256:}" |
	sed "s,^sha256:,$layout/blobs/sha256/," | xargs "$tools/unpack-layers" "$W/full" || exit 1

start_registry
config
start_daemon
timeout 200 "$BUILDDIR/lazyerofs" create "oci:$W/layout:demo" >>"$W/log" 2>&1
ok $? "create: an index beside the image"
timeout 100 "$BUILDDIR/lazyerofs" push "oci:$W/layout:demo" "$registry/demo/science:latest" >>"$W/log" 2>&1
ok $? "push both"
cli mount "$registry/demo/science:latest" "$W/mnt" 2>>"$W/log"
ok $? "mount from the registry"
is "$(status '.images[0].manifest')" "$digest" "the image is the one that was made"
# Pages that come by mmap, in the order of a program's start.
timeout 60 chroot "$W/mnt" /usr/bin/python3 -B /app/hello.py >"$W/lazy"
ok $? "a program runs from it"
fetched=$(status .totals.fetched_bytes)
size=$(status '[.images[0].layers[].size] | add')
[ "$fetched" -lt $((size / 2)) ]
ok $? "which took $((fetched / 1000000)) of $((size / 1000000)) MB"
timeout 60 chroot "$W/full" /usr/bin/python3 -B /app/hello.py | cmp - "$W/lazy"
ok $? "and says the same as from the unpacked image"
timeout 280 "$tools/compare-tree" "$W/full" "$W/mnt" >"$W/differences" 2>&1
ok $? "$(tail -n 1 "$W/differences")"
grep -v 'no difference' "$W/differences" | head -n 10 | sed 's/^/# /'
is "$(status .totals.digest_mismatches)$(status .totals.answered_error)" 00 "no read failed"
cli umount "$W/mnt" 2>>"$W/log"
ok $? "umount"

# From the layout, with an empty cache and in the background.
stop_daemon TERM
kill "$registry_pid"
registry_pid=
rm -rf "$W/cache"
config 'background on' 'background_jobs 4'
sed -i '/^background off$/d' "$W/conf"
start_daemon
cli mount "oci:$W/layout:demo" "$W/mnt" 2>>"$W/log"
ok $? "mount from a layout"
all_local() { [ "$(status '.images[0] | .present_bytes == .data_bytes')" = true ]; }
wait_for 100 all_local
ok $? "the background fetches all of it"
events=$(status .kernel.events)
timeout 280 "$tools/compare-tree" "$W/full" "$W/mnt" >"$W/differences" 2>&1
ok $? "$(tail -n 1 "$W/differences")"
grep -v 'no difference' "$W/differences" | head -n 10 | sed 's/^/# /'
is "$(status .kernel.events)" "$events" "without asking the daemon once"
cli umount "$W/mnt" 2>>"$W/log"
ok $? "umount"
stop_daemon TERM
is "$daemon_rc" 0 "orderly end"
finish
