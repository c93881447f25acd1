#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Daemon and guardian are killed together under load: readers may get EIO, but no wrong
# byte; the next daemon serves the same mount, and then everything reads right.
. "$(dirname "$0")/lib.sh"
start_registry
slow_down 6000000
config background=off grace_ms=30000
start_daemon || { ok 1 "start"; finish; }
mount_image one
ok $? "mounted"
eio=0
for round in 1 2 3 4; do
	sweep one "$W/mnt" --threads 16 --max-files 150 >"$W/result" &
	load=$!
	sleep "0.$((3 + RANDOM % 6))"
	# In both orders.
	if [ $((round % 2)) = 0 ]; then
		kill_guardian
		kill_daemon
	else
		kill_daemon
		kill_guardian
	fi
	wait $load
	[ $? -ne 124 ]
	ok $? "round $round: readers end"
	is_clean "$(cat "$W/result")" "no wrong byte"
	eio=$((eio + $(field "$(cat "$W/result")" eio)))
	if [ "$round" = 2 ]; then
		line=$(sweep one "$W/mnt" --only data/)
		is_clean "$line" "nobody there: no wrong byte"
		[ "$(field "$line" max_ms)" -lt 2000 ]
		ok $? "nor does a reader wait"
	fi
	start_daemon
	ok $? "a new daemon starts"
done
[ $eio -gt 0 ]
ok $? "the kills were seen: $eio reads got EIO"
is "$(cli status --json | jq -r '.images[0].mounts[0]')" "$W/mnt" "it knows the mount"
is_all_right "$(sweep one)" "after all that everything is right, in the same mount"
is "$(total digest_mismatches)" 0 "no digest differed"
unmount
ok $? "umount"
is_nothing_left
finish
