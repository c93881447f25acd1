#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The cache's disk is full, or becomes read-only: EIO, a clear message, no wrong byte; with
# room again everything goes on, without a restart.
. "$(dirname "$0")/lib.sh"
start_registry
mkdir "$W/cache"
truncate -s 64M "$W/disk"
mkfs.ext4 -q -O ^has_journal -m 0 "$W/disk" || { echo "needs mkfs.ext4"; exit 77; }
loop_dev=$(losetup -f --show "$W/disk") || { loop_dev=; echo "needs loop devices"; exit 77; }
mount "$loop_dev" "$W/cache" || { echo "cannot mount a loop device"; exit 77; }
start_daemon || { ok 1 "start"; finish; }
mount_image one
ok $? "mounted"
fallocate -l "$(($(df --output=avail -B1 "$W/cache" | tail -n 1) - 8000000))" "$W/cache/ballast"
line=$(sweep one "$W/mnt" --only data/)
is_clean "$line" "disk full: no wrong byte"
[ "$(field "$line" eio)" -gt 0 ] && [ "$(field "$line" right)" -gt 50 ]
ok $? "EIO for what does not fit"
grep 'No space left' "$W/log" | tail -n 1 | sed 's/^/# /'
grep -q ' \(warning\|error\) .*layer.*No space left' "$W/log"
ok $? "the log says why"
mkdir "$W/mnt2"
cli mount "$(image two)" "$W/mnt2" 2>"$W/message"
rc=$?
if [ $rc -ne 0 ]; then
	grep -q 'No space left' "$W/message"
	ok $? "a mount that does not fit says why ($(cat "$W/message"))"
else
	umount "$W/mnt2"
fi
is "$(find "$W/cache/staging" -mindepth 1 | wc -l)" 0 "and leaves nothing"
kill_daemon
start_daemon
ok $? "a daemon starts with a full disk"
is_clean "$(sweep one "$W/mnt" --only data/)" "and gives no wrong byte"
rm "$W/cache/ballast"
is_all_right "$(sweep one)" "room again: all is right, without a restart"
unmount

# Read-only
stop_daemon
ok $? "orderly stop"
rm "$W"/cache/layers/*/seg/00001
start_daemon
mount_image one
# The self-test's own mount is taken down a moment later than the test ends.
for _ in $(seq 50); do
	mount -o remount,ro "$W/cache" 2>/dev/null && break
	sleep 0.1
done
[ -n "$(findmnt -no OPTIONS "$W/cache" | grep -w ro)" ]
ok $? "remounted read-only, in the middle of it all"
line=$(sweep one)
is_clean "$line" "no wrong byte"
[ "$(field "$line" eio)" -gt 0 ] && [ "$(field "$line" right)" -gt "$(field "$line" eio)" ]
ok $? "what is there is right, the rest is EIO"
grep 'Read-only' "$W/log" | tail -n 1 | sed 's/^/# /'
grep -q ' \(warning\|error\) .*Read-only file system' "$W/log"
ok $? "the log says why"
kill_daemon
if start_daemon; then
	ok 0 "a daemon starts on it"
	is_clean "$(sweep one)" "and gives no wrong byte"
	cli mount "$(image small)" "$W/mnt2" 2>"$W/message"
	[ $? -ne 0 ] && grep -q 'Read-only' "$W/message"
	ok $? "a new image: says why not ($(cat "$W/message"))"
	kill_daemon
else
	tail -n 1 "$W/log" | grep -q 'Read-only file system'
	ok $? "a daemon does not start on it, and says why"
fi
mount -o remount,rw "$W/cache"
start_daemon
ok $? "writable again"
is_all_right "$(sweep one)" "all is right"
unmount
is_nothing_left
finish
