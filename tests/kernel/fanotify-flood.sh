#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Many readers at once, slow answers: no overflow, no lost request; also over several groups.
. "$(dirname "$0")/lib.sh"
for i in 1 2 3 4; do random_file f$i 16000000; done
for shards in 1 4; do
	start_daemon shards=$shards delay=10 step=4096 || { ok 1 "start"; finish; }
	for i in 1 2 3 4; do
		reader random f$i 64 40 >"$W/result.$i" &
	done
	wait -n; wait -n; wait -n; wait -n
	for i in 1 2 3 4; do
		is "$(cat "$W/result.$i")" "right=2560 eio=0 zero=0 wrong=0 other=0" \
			"$shards group(s): file $i, 64 readers"
	done
	umount "$W/mnt"
	stop_daemon
	is "$(counter overflows) $(counter error) $(counter refused) $(counter pending)" \
		"0 0 0 0" "$shards group(s): no overflow, no denial, nothing pending"
	rm -rf "$W/cache"
done
# Few descriptors: the kernel denies what has none, and says so to the reader.
(
	ulimit -n 64
	start_daemon delay=20 step=4096 && echo "$daemon_pid" >"$W/pid"
)
daemon_pid=$(cat "$W/pid")
reader random f1 64 10 >"$W/result"
line=$(cat "$W/result")
is "$(field "$line" zero)$(field "$line" wrong)$(field "$line" other)" 000 \
	"descriptors run out: no wrong byte ($line)"
is "$(reader read f2)" "right=3907 eio=0 zero=0 wrong=0 other=0" "and it goes on afterwards"
finish
