#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The daemon stays away for longer than the grace period: readers wait so long, then get
# EIO; later ones at once. The next daemon serves them.
. "$(dirname "$0")/lib.sh"
start_registry
slow_down 2000000
config background=off grace_ms=2000
start_daemon || { ok 1 "start"; finish; }
mount_image one
ok $? "mounted"
sweep one "$W/mnt" --threads 8 --only data/ >"$W/result" &
load=$!
sleep 1
kill_daemon
killed=$(date +%s%N)
sleep 1
kill -0 $load
ok $? "daemon killed: its readers wait"
wait $load
waited=$((($(date +%s%N) - killed) / 1000000))
line=$(cat "$W/result")
is_clean "$line" "then no wrong byte"
[ "$(field "$line" eio)" -gt 0 ] && [ "$(field "$line" max_ms)" -ge 1900 ]
ok $? "but EIO, after the grace period"
[ $waited -lt 12000 ]
ok $? "all readers had ended $waited ms after the kill, with 2000 ms of grace"
line=$(sweep one "$W/mnt" --only data/)
is_clean "$line" "later readers"
[ "$(field "$line" max_ms)" -lt 1000 ]
ok $? "do not wait"
start_daemon
ok $? "a new daemon"
is_all_right "$(sweep one "$W/mnt" --only data/)" "serves what failed"

# A daemon that comes back within the grace period, again and again: nobody notices.
sweep one "$W/mnt" --threads 8 >"$W/result" &
load=$!
for i in 1 2 3; do
	sleep 0.3
	kill_daemon
	sleep 1
	start_daemon
done
wait $load
is_all_right "$(cat "$W/result")" "away for less than the grace period, three times"

# An orderly stop is no different.
unmount
stop_daemon
ok $? "orderly stop"
rm -r "$W"/cache/layers/*/seg
start_daemon
mount_image one
sweep one "$W/mnt" --threads 4 --only text/ >"$W/result" &
load=$!
sleep 0.5
stop_daemon
ok $? "orderly stop under load"
sleep 0.5
start_daemon
wait $load
is_all_right "$(cat "$W/result")" "its readers wait for the next daemon"
unmount
is_nothing_left
finish
