#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Eight images are mounted, read and unmounted at once, again and again; some readers and
# some mounts are interrupted. The daemon stays up, and nothing is left.
. "$(dirname "$0")/lib.sh"
start_registry
slow_down 20000000
config background=on deadline_ms=20000
start_daemon || { ok 1 "start"; finish; }
mount_image storm1
is_all_right "$(sweep storm1)" "one by itself"
unmount
images_gone() { [ "$(cli status --json | jq '.images | length')" = 0 ]; }
wait_gone() {
	for _ in $(seq 100); do images_gone && return; sleep 0.1; done
	return 1
}
wait_gone
ok $? "and it goes"
fds=$(ls "/proc/$daemon_pid/fd" | wc -l)

worker() { # NUMBER
	local i line dir=$W/mnt/$1
	mkdir -p "$dir"
	for i in $(seq 5); do
		mount_image "storm$1" "$dir" || { echo "mount $1 failed"; continue; }
		case $i in
		2|4) # Unmounted under a reader, which is then killed.
			sweep "storm$1" "$dir" --threads 4 >/dev/null 2>&1 &
			sleep "0.0$((RANDOM % 10))"
			umount -l "$dir"
			kill %% 2>/dev/null
			wait %% 2>/dev/null
			continue ;;
		esac
		line=$(sweep "storm$1" "$dir" --threads 3)
		echo "$1 $line"
		umount "$dir" || echo "umount $1 failed"
	done
}
interrupter() {
	local i
	mkdir -p "$W/mnt/i"
	for i in $(seq 12); do
		lazyerofs --run-dir "$W/run" mount "$(image storm$((i % 8 + 1)))" "$W/mnt/i" \
			>/dev/null 2>&1 &
		sleep "0.$((RANDOM % 5))"
		kill -INT $! 2>/dev/null
		wait $!
		umount "$W/mnt/i" 2>/dev/null
	done
}
workers=()
for n in 1 2 3 4 5 6 7 8; do
	worker "$n" >"$W/worker.$n" 2>&1 &
	workers+=($!)
done
interrupter &
workers+=($!)
wait "${workers[@]}"
cat "$W"/worker.* >"$W/workers"
is "$(grep -c failed "$W/workers")" 0 "no mount and no umount failed"
grep failed "$W/workers" | head -n 5 | sed 's/^/# /'
is "$(grep -c 'eio=0 zero=0 wrong=0 other=0' "$W/workers")" 24 "24 sweeps, all bytes right"
grep -v 'eio=0 zero=0 wrong=0 other=0' "$W/workers" | head -n 5 | sed 's/^/# /'
kill -0 "$daemon_pid" && is "$(cli status --json | jq .pid)" "$daemon_pid" "the daemon is up"
is "$(grep -c " $W/mnt" /proc/self/mountinfo)" 0 "no mount is left"
wait_gone
ok $? "no image is open"
after=$(ls "/proc/$daemon_pid/fd" | wc -l)
[ "$after" -le $((fds + 4)) ]
ok $? "no descriptors are left: $fds before, $after after"
is "$(find "$W/cache/staging" -mindepth 1 | wc -l)" 0 "no staging is left"
children() { ps -o pid= --ppid "$daemon_pid" | wc -l; }
is "$(children)" 0 "the daemon has no children"
is "$(cli status --json | jq .kernel.pending)" 0 "no request is pending"
is "$(layer_requests "$(head -n 1 "$F/digests/storm1")" | awk '{ print ($1 < 30) }')" 1 \
	"the layer of all eight was not fetched eight times"
is_nothing_left
finish
