#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The daemon and its commands, end to end on this kernel: a registry, an image with a SOCI
# index, mounts, reads, umounts, and what is said when something is wrong.
. "$SRCDIR/tests/real/lib.sh"

make_trees
start_registry
config
digest=$(layout --push "http://$registry/v2/test/two" "$W/lay" "$W/t1" "$W/t2") || exit 1
image=$registry/test/two:latest
start_daemon

is "$(status .kernel_path)" fanotify "the daemon serves"
cli mount "$image" "$W/mnt" 2>>"$W/log"
ok $? "mount from a registry"
is "$(status .totals.fetched_bytes)" 0 "nothing of the layers is fetched by mounting"
ls "$W/mnt/app" >/dev/null
is "$(status .totals.fetched_bytes)" 0 "nor by listing"
cmp "$W/mnt/app/dir/3" "$W/t2/app/dir/3"
ok $? "one file is right"
[ "$(status .totals.fetched_bytes)" -lt 6000000 ]
ok $? "reading it fetched a part of its layer only ($(status .totals.fetched_bytes) bytes)"
same_tree "$W/full" "$W/mnt"
ok $? "the whole tree is right: names, modes, owners, bytes, links"
is "$(status '.images[0].mounts[0]')" "$W/mnt" "status names the mount"
is "$(status .totals.answered_error)" 0 "no read failed"

cli mount "$image" "$W/mnt2" 2>>"$W/log"
ok $? "the same image on a second folder"
same_tree "$W/full" "$W/mnt2"
ok $? "which shows the same"
is "$(status '.images | length')" 1 "it is one image for the daemon"
cli umount "$W/mnt" "$W/mnt2"
ok $? "umount"
images_gone() { [ "$(status '.images | length')" = 0 ]; }
wait_for 10 images_gone
ok $? "the daemon lets go of it"

for i in 1 2 3 4 5; do
	cli mount "$image" "$W/mnt" 2>>"$W/log" && cmp -s "$W/mnt/app/seq" "$W/t2/app/seq" &&
		cli umount "$W/mnt" || break
done
ok $? "mount, read and umount five times"

# Many at once, mounts and umounts mixed, while readers are at it.
layout --push "http://$registry/v2/test/one" "$W/lay1" "$W/t2" >/dev/null
one=$registry/test/one:latest
for i in 1 2 3 4 5 6; do mkdir -p "$W/many/$i"; done
many() { # FOLDER IMAGE
	local turn
	for turn in 1 2 3; do
		cli mount "$2" "$W/many/$1" 2>>"$W/log" &&
			timeout 60 cmp "$W/many/$1/app/random" "$W/t2/app/random" &&
			cli umount "$W/many/$1" || return 1
	done
}
pids=
for i in 1 3 5; do
	many $i "$image" & pids="$pids $!"
	many $((i + 1)) "$one" & pids="$pids $!"
done
bad=0
for pid in $pids; do wait "$pid" || bad=$((bad + 1)); done
is $bad 0 "six at once, three times each: two images that share a layer"
wait_for 10 images_gone
ok $? "all are let go of"

before=$(status .totals.fetched_bytes)
kill "$registry_pid"
wait_for 10 sh -c "! kill -0 $registry_pid 2>/dev/null"
registry_pid=
cli mount "$registry/test/two@$digest" "$W/mnt2" 2>/dev/null
ok $(($? == 0)) "an image that is not known by this name cannot be looked up without registry"
cli mount "$image" "$W/mnt" 2>>"$W/log"
ok $? "the one that is known is mounted without its registry"
same_tree "$W/full" "$W/mnt"
ok $? "and is whole"
is "$(status .totals.fetched_bytes)" "$before" "from what is local"
cli umount "$W/mnt"

says 'not running' "no daemon: says how to start one" \
	timeout 10 "$BUILDDIR/lazyerofs" --run-dir "$W" mount "$image" "$W/mnt"
says 'No such file' "folder missing" cli mount "$image" "$W/nowhere"
says 'not a directory' "target is a file" cli mount "$image" "$W/conf"
says 'belongs to' "target in the cache" cli mount "$image" "$W/cache/images"
says 'belongs to' "target above the cache" cli mount "$image" "$W"
says 'reference|REPO|form|name' "typo in the image" cli mount 'Exa mple//:x' "$W/mnt"
says 'not mounted' "umount of what is not mounted" cli umount "$W/mnt"
layout --no-index "$W/plain" "$W/t2" >/dev/null
says 'no SOCI index.*lazyerofs create' "no index: says how to make one" \
	cli mount "oci:$W/plain" "$W/mnt"
cli mount --build-index "oci:$W/plain" "$W/mnt" 2>>"$W/log"
ok $? "unless asked to index it here"
same_tree "$W/t2" "$W/mnt"
ok $? "which is right"
cli umount "$W/mnt"
mv "$W/plain/blobs" "$W/plain/away"
layout --skip 0 "$W/sparse" "$W/t1" "$W/t2" >/dev/null
cli mount "oci:$W/sparse" "$W/mnt" 2>>"$W/log"
ok $? "an index that leaves a layer out"
same_tree "$W/full" "$W/mnt"
ok $? "is completed here"
cli umount "$W/mnt"

PATH=$BUILDDIR:$PATH mount.lazyerofs "oci:$W/lay" "$W/mnt" -o "ro,nosuid,run-dir=$R"
ok $? "mount.lazyerofs"
grep -q " $W/mnt ro,nosuid" /proc/self/mountinfo
ok $? "with its options"
umount "$W/mnt"
"$BUILDDIR/mount.lazyerofs" "oci:$W/lay" "$W/mnt" -o "rw,run-dir=$R"
ok $? "mount.lazyerofs as mount(8) calls it where nobody says ro"
grep -q " $W/mnt ro" /proc/self/mountinfo
ok $? "mounts read-only all the same"
umount "$W/mnt"
"$BUILDDIR/mount.lazyerofs" "oci:$W/lay" "$W/mnt" -o "rw,bogus,run-dir=$R" 2>/dev/null
is $? 1 "mount.lazyerofs refuses an option it does not know"

stop_daemon TERM
is "$daemon_rc" 0 "SIGTERM: an orderly end"
mkdir "$W/tmpfs"
mount -t tmpfs tmpfs "$W/tmpfs"
says 'ext4, xfs or btrfs' "a cache on tmpfs is refused" \
	timeout 20 "$BUILDDIR/lazyerofsd" --config "$W/conf" --dir "$W/tmpfs/cache"
umount "$W/tmpfs"
is "$(ls "$W/cache/staging" | wc -l)" 0 "no staging is left"
grep -qE ' (error|warning) .*(BUG|leak)' "$W/log"
ok $(($? == 0)) "no complaint of the daemon about itself"
finish
