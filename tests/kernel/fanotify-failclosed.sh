#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Nobody left: missing data is EIO, never zeros, and a new daemon serves the same mount.
# Only the daemon gone: readers wait for the grace period, then get EIO.
. "$(dirname "$0")/lib.sh"
random_file big 64000000
random_file other 4000000
for i in 1 2 3 4; do random_file s$i 16000000; done
opts="guardian=$guardian step=4096"

start_daemon $opts grace=30000 delay=40 || { ok 1 "start"; finish; }
for i in 1 2 3 4; do reader read s$i >"$W/result.$i" & done
reader random big 16 2000 >"$W/result.5" &
sleep 0.6
kill_guardian
kill_daemon
wait
cat "$W"/result.? | sed 's/^/# /'
is "$(grep -c 'zero=0 wrong=0 other=0' "$W"/result.? | grep -c :1)" 5 \
	"both killed under load: no wrong byte"
for i in 1 2 3 4; do
	line=$(cat "$W/result.$i")
	[ "$(field "$line" eio)" -gt 100 ] && [ "$(field "$line" right)" -gt 100 ]
	ok $? "EIO for what is missing, bytes for what is there ($line)"
done
line=$(reader read other)
is "$(field "$line" right)$(field "$line" zero)$(field "$line" wrong)" 000 \
	"nobody there: EIO at once"
start_daemon $opts grace=1500
ok $? "a new daemon starts"
is "$(reader read other)" "right=977 eio=0 zero=0 wrong=0 other=0" "and serves the same mount"
for i in 1 2 3 4; do
	is "$(reader read s$i)" "right=3907 eio=0 zero=0 wrong=0 other=0" \
		"pages that failed before come right"
done

# hold: the request is read by the daemon, and never answered.
stop_daemon
umount "$W/mnt"
rm -rf "$W/cache"
start_daemon $opts grace=1500 mode=hold
(reader read other >"$W/result"; date +%s%N >"$W/ended") &
load=$!
sleep 0.5
kill_daemon
killed=$(date +%s%N)
kill -0 $load
ok $? "daemon killed: its reader waits"
wait $load
line=$(cat "$W/result")
waited=$(( ($(cat "$W/ended") - killed) / 1000000 ))
is "$(field "$line" right)$(field "$line" zero)$(field "$line" wrong)" 000 \
	"after the grace period: EIO"
[ $waited -ge 1000 ] && [ $waited -lt 10000 ]
ok $? "after $waited ms, where 1500 are allowed"
start_daemon $opts grace=1500
is "$(reader read other)" "right=977 eio=0 zero=0 wrong=0 other=0" "the next daemon serves it"

# A daemon that only starts and dies does not buy time.
kill_daemon
sleep 2
timeout 30 "$bin/reader" read "$W/mnt/big" "$W/src/big" >"$W/result"
line=$(cat "$W/result")
is "$(field "$line" zero)$(field "$line" wrong)$(field "$line" other)" 000 \
	"grace period over: missing data is EIO"
umount "$W/mnt"
ok $? "umount without a daemon"

# Without a guardian: a daemon that stops in order answers first, and a reader can be killed.
kill_guardian
rm -rf "$W/cache"
start_daemon mode=hold
reader read other >"$W/result" &
load=$!
"$bin/reader" read "$W/mnt/big" "$W/src/big" &
victim=$!
sleep 0.3
kill -9 $victim
wait $victim 2>/dev/null
is $? 137 "a reader that waits can be killed"
stop_daemon
ok $? "orderly stop with requests pending"
wait $load
is $? 1 "their readers get EIO"
is "$(counter pending) $(counter refused)" "0 0" "every request was answered"
umount "$W/mnt"
finish
