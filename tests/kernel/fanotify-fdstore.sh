#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# No guardian, but systemd's fd store (a stand-in for it): kill -9 under load is not noticed.
. "$(dirname "$0")/lib.sh"
random_file big 64000000
: >"$W/out"
"$bin/fdstore" "$R" "$bin/toyd" "$W/cache" "$R" "$W/src" "$W/mnt" delay=50 step=4096 \
	>"$W/out" 2>>"$W/log" &
store=$!
ready() { # COUNT: so many daemons have become ready
	for _ in $(seq 500); do
		[ "$(grep -c ready "$W/out")" -ge "$1" ] && return 0
		sleep 0.02
	done
	return 1
}
ready 1
ok $? "started with an fd store"
daemon_pid=$store
reader random big 16 500 >"$W/result" &
load=$!
for kills in 1 2 3 4 5; do
	sleep 0.1
	kill -9 "$(cat "$R/main.pid")"
	ready $((kills + 1)) || break
done
is "$kills" 5 "killed and restarted five times"
wait $load
is "$(cat "$W/result")" "right=8000 eio=0 zero=0 wrong=0 other=0" "every page is right"
taken=$(sed -n 's/.*fanotify: \([0-9]*\) reads that waited.*/\1/p' "$W/log" | paste -sd+ | bc)
[ "${taken:-0}" -gt 0 ]
ok $? "${taken:-0} reads were taken over"
umount "$W/mnt"
kill -TERM "$(cat "$R/main.pid")"
wait $store
ok $? "orderly stop"
daemon_pid=
is "$(counter lost) $(counter refused)" "0 0" "no read given up, no refused answer"
finish
