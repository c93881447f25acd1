#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The daemon ends, is killed, comes back: mounts stay, readers get right bytes or wait.
. "$SRCDIR/tests/real/lib.sh"

make_trees
start_registry
config 'sync_ms 200'
layout --push "http://$registry/v2/test/two" "$W/lay" "$W/t1" "$W/t2" >/dev/null || exit 1
image=$registry/test/two:latest
start_daemon
cli mount "$image" "$W/mnt" 2>>"$W/log" || exit 1

cmp "$W/mnt/app/dir/1" "$W/t2/app/dir/1"
ok $? "a first file"
stop_daemon TERM
timeout 60 cmp "$W/mnt/app/seq" "$W/t2/app/seq" &
reader=$!
sleep 0.3
kill -0 $reader
ok $? "without daemon a reader of what is missing waits"
start_daemon
wait $reader
ok $? "and gets right bytes from the next daemon"
is "$(status '.images | length')" 1 "which serves the image again"

# An overlay keeps the file system although its mount is gone.
mkdir -p "$W/upper" "$W/work"
mount -t overlay overlay -o "lowerdir=$W/mnt,upperdir=$W/upper,workdir=$W/work" "$W/mnt2" &&
	umount "$W/mnt"
ok $? "umounted below an overlay"
sleep 3
is "$(status '.images | length')" 1 "the image stays open for it"
stop_daemon KILL
start_daemon
is "$(status '.images | length')" 1 "also after kill -9"
timeout 60 cmp "$W/mnt2/app/dir/40" "$W/t2/app/dir/40"
ok $? "and is readable"
umount "$W/mnt2"
images_gone() { [ "$(status '.images | length')" = 0 ]; }
wait_for 10 images_gone
ok $? "until the overlay goes"

# Killed again and again under readers.
stop_daemon TERM
rm -rf "$W/cache/layers"/*/seg
start_daemon
cli mount "$image" "$W/mnt" 2>>"$W/log"
ok $? "mounted with an empty cache"
(timeout 120 "$tools/compare-tree" --ignore mtime "$W/full" "$W/mnt" >>"$W/log" 2>&1) &
reader=$!
for i in 1 2 3 4 5 6; do
	sleep 0.2
	stop_daemon KILL
	start_daemon
done
wait $reader
ok $? "a reader survives six kill -9"
same_tree "$W/full" "$W/mnt"
ok $? "the tree is right"
is "$(status .totals.digest_mismatches)" 0 "no digest differed"
cli umount "$W/mnt"

# ^C in the middle of a mount leaves nothing. The registry is held, so that it is the middle.
kill -STOP "$registry_pid"
timeout 60 "$BUILDDIR/lazyerofs" --run-dir "$R" mount "$registry/test/other" "$W/mnt2" &
client=$!
staging_used() { [ -n "$(ls "$W/cache/staging")" ]; }
wait_for 10 staging_used
ok $? "a mount under way"
kill -INT $client
wait $client
staging_empty() { [ -z "$(ls "$W/cache/staging")" ]; }
wait_for 10 staging_empty
ok $? "interrupted, its staging goes"
kill -CONT "$registry_pid"
grep -q " $W/mnt2 " /proc/self/mountinfo
ok $(($? == 0)) "nothing is mounted"

"$BUILDDIR/lazyerofsd" --config "$W/conf" >"$W/second" 2>&1
rc=$?
[ $rc = 1 ] && grep -q 'another lazyerofsd' "$W/second"
ok $? "a second daemon on the same cache is refused"
stop_daemon TERM
is "$daemon_rc" 0 "orderly end"
finish
