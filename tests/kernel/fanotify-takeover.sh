#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kill -9 of the daemon under load, again and again, with a guardian: readers wait, nobody
# gets an error or a wrong byte, and the successor answers what the dead one had read.
. "$(dirname "$0")/lib.sh"
random_file big 64000000
# Slow answers, so that the load outlasts the kills however fast the machine is.
opts="guardian=$guardian grace=30000 delay=50 step=4096"
start_daemon $opts || { ok 1 "start"; finish; }
first_guardian=$(guardian_pid)
reader random big 16 1000 >"$W/result" &
load=$!
kills=0 taken=0
while kill -0 $load 2>/dev/null && [ $kills -lt 25 ]; do
	sleep 0.1
	kill_daemon
	kills=$((kills + 1))
	start_daemon $opts || break
done
[ $kills -ge 10 ]
ok $? "$kills kills while 16 threads read"
wait $load
is $? 0 "no reader saw an error"
is "$(cat "$W/result")" "right=16000 eio=0 zero=0 wrong=0 other=0" "every page is right"
taken=$(sed -n 's/.*fanotify: \([0-9]*\) reads that waited.*/\1/p' "$W/log" | paste -sd+ | bc)
[ "${taken:-0}" -gt 0 ]
ok $? "${taken:-0} reads were taken over from dead daemons"
is "$(guardian_pid)" "$first_guardian" "one guardian through it all"
"$bin/toyd" "$W/cache" "$R" "$W/src" "$W/mnt" $opts 2>&1 | grep -q 'another daemon is running'
ok $? "a second daemon is refused"
kill -0 "$daemon_pid"
ok $? "the first goes on"
umount "$W/mnt"
stop_daemon
ok $? "orderly stop"
is "$(counter lost)" 0 "no read was of an unknown file"
is "$(counter refused)" 0 "the kernel took every answer"
for _ in $(seq 150); do kill -0 "$first_guardian" 2>/dev/null || break; sleep 0.1; done
kill -0 "$first_guardian" 2>/dev/null
is $? 1 "the guardian ends when it has nothing to keep"
is "$(grep -c "$R\|$W" /proc/self/mountinfo)" 0 "nothing is mounted any more"
finish
