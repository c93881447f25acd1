#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The cache's disk fills up, or becomes read-only: EIO, no wrong byte, and on it goes when
# there is room again.
. "$(dirname "$0")/lib.sh"
random_file big 20000000
random_file small 500000
truncate -s 32M "$W/disk"
mkfs.ext4 -q -O ^has_journal -m 0 "$W/disk" || { echo "needs mkfs.ext4"; exit 77; }
mkdir "$W/cache"
loop_dev=$(losetup -f --show "$W/disk") || { loop_dev=; echo "needs loop devices"; exit 77; }
mount "$loop_dev" "$W/cache" || { echo "cannot mount a loop device"; exit 77; }
fallocate -l 12M "$W/cache/ballast"

start_daemon || { ok 1 "start"; finish; }
is "$(reader read small)" "right=123 eio=0 zero=0 wrong=0 other=0" "room: served"
line=$(reader read big)
echo "# $line"
is "$(field "$line" zero)$(field "$line" wrong)$(field "$line" other)" 000 \
	"disk full: no wrong byte"
[ "$(field "$line" eio)" -gt 0 ] && [ "$(field "$line" right)" -gt 1000 ]
ok $? "EIO beyond what fitted"
grep -q 'No space left' "$W/log"
ok $? "the log says why"
stop_daemon
line=$(reader mmap big)
is "$(field "$line" zero)$(field "$line" wrong)" 00 "and nothing false is left in the files"

# Room again: the ballast goes, the files stay.
rm "$W/cache/ballast"
start_daemon
is "$(reader read big)" "right=4883 eio=0 zero=0 wrong=0 other=0" "room again: all right"
stop_daemon
umount "$W/mnt"
rm -f "$W/cache/layers"/a*/seg/00000
start_daemon && stop_daemon
umount "$W/mnt"

mount -o remount,ro "$W/cache"
ok $? "read-only"
start_daemon
ok $? "a daemon starts on a read-only cache"
is "$(reader read small)" "right=123 eio=0 zero=0 wrong=0 other=0" "what is there is served"
line=$(reader read big)
is "$(field "$line" right)$(field "$line" zero)$(field "$line" wrong)" 000 \
	"what is missing is EIO"
umount "$W/mnt"
stop_daemon
ok $? "orderly stop"
is "$(grep -c "$R" /proc/self/mountinfo)" 0 "nothing is mounted any more"
finish
