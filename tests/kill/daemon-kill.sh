#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The daemon is killed again and again while many readers sweep over an image that comes
# slowly: they wait, nobody sees an error, and every byte is right.
. "$(dirname "$0")/lib.sh"
start_registry
slow_down 4000000
config background=off grace_ms=30000 jobs=4
start_daemon || { ok 1 "start"; finish; }
guardian=$(guardian_pid)
mount_image one
ok $? "mounted"
sweep one "$W/mnt" --threads 16 >"$W/result" &
load=$!
kills=0
while kill -0 $load 2>/dev/null && [ $kills -lt 16 ]; do
	sleep "0.$((RANDOM % 8))$((RANDOM % 10))"
	kill_daemon
	kills=$((kills + 1))
	start_daemon || break
done
[ $kills -ge 10 ]
ok $? "$kills kills while 16 threads read"
wait $load
is $? 0 "no reader saw an error"
is_all_right "$(cat "$W/result")" "every byte is right"
taken=$(sed -n 's/.*fanotify: \([0-9]*\) reads that waited.*/\1/p' "$W/log" | paste -sd+ | bc)
[ "${taken:-0}" -gt 0 ]
ok $? "${taken:-0} reads were taken over from dead daemons"
is "$(guardian_pid)" "$guardian" "one guardian through it all"
is "$(total digest_mismatches)" 0 "no digest differed"
unmount
ok $? "umount"
mount_image one
is_all_right "$(sweep one)" "all is right from a new mount, too"
unmount
is_nothing_left patient
finish
