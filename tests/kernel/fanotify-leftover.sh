#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A daemon that dies between reading an event and knowing its file, or after: the successor
# answers, with the bytes if it can know them, else with EIO (upon which the kernel asks once
# more for the one page that the reader needs); the reader never hangs.
. "$(dirname "$0")/lib.sh"
random_file one 100000
opts="guardian=$guardian grace=30000"
start_daemon $opts || { ok 1 "start"; finish; }
try() {
	local known=$1 number=$2 want=$3 text=$4 load
	kill_daemon
	"$bin/halfread" "$R" "$guardian" "$known" "$number" >"$W/half" &
	load=$!
	for _ in $(seq 200); do grep -q waiting "$W/half" && break; sleep 0.02; done
	timeout 20 dd if="$W/mnt/one" of=/dev/null bs=4096 count=1 iflag=nonblock \
		>"$W/dd" 2>&1 &
	local reader=$!
	wait $load
	sed 's/^/# /' "$W/half"
	kill -0 $reader
	ok $? "$text: its reader waits"
	start_daemon $opts
	wait $reader
	is $? 0 "$text: then goes on"
	is "$(grep -o '1 reads that waited.*' "$W/log" | tail -n 1 | tr -cd 0-9)" "1$want" \
		"$text: the event itself was $([ "$want" = 0 ] && echo served || echo denied)"
	timeout 20 cmp "$W/mnt/one" "$W/src/one"
	ok $? "$text: and all is right afterwards"
	# Empty again, for the next: the daemon knows its files by their inodes.
	umount "$W/mnt"
	stop_daemon
	rm -rf "$W/cache"
	start_daemon $opts
}
try unknown high 1 "file not noted"
try unknown low 1 "file not noted, number in use"
try identified high 0 "file noted"
try identified low 1 "file noted, number in use"
umount "$W/mnt"
stop_daemon
ok $? "orderly stop"
finish
