#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every kind of access gives the right bytes; what cannot be served is EIO; a complete file
# needs no daemon.
. "$(dirname "$0")/lib.sh"
for f in read mmap sendfile readahead random; do random_file $f 3000001; done
random_file late 1000000
cp /bin/bash "$W/src/prog"
start_daemon || { ok 1 "start"; finish; }

for f in read mmap sendfile readahead; do
	is "$(reader $f $f)" "right=733 eio=0 zero=0 wrong=0 other=0" "$f: all pages right"
done
is "$(reader random random 4 500)" "right=2000 eio=0 zero=0 wrong=0 other=0" \
	"random pages by four threads"
is "$(timeout 20 "$W/mnt/prog" -c 'echo $((6 * 7))')" 42 "a program runs from the mount"
grep -q "images/b*/bootstrap.fanotify" /proc/self/mountinfo
ok $? "mountinfo names the image"
[ "$(stat -c %s "$W/cache/layers"/a*/seg/00000)" -lt 1000000 ]
ok $? "what nobody read was not fetched"
stop_daemon
ok $? "orderly stop"
is "$(counter error)" 0 "no request was denied"
is "$(counter overflows)" 0 "no overflow"

# mmap, read, readahead, sendfile are complete now: segments in the order of their names.
is "$(reader read read)" "right=733 eio=0 zero=0 wrong=0 other=0" \
	"a complete file is read without a daemon"
line=$(reader read late)
is "$(field "$line" zero)$(field "$line" wrong)$(field "$line" right)" 000 \
	"without a daemon a missing file is EIO"

start_daemon mode=deny
line=$(reader read late)
is "$(field "$line" right)$(field "$line" zero)$(field "$line" wrong)" 000 "denied: EIO only"
[ "$(field "$line" eio)" -gt 0 ]
ok $? "and the reader is told so"
stop_daemon
start_daemon mode=nolayer
line=$(timeout 20 "$bin/reader" mmap "$W/mnt/late" "$W/src/late")
is "$(field "$line" eio)" 245 "a file that nobody knows: EIO (mmap: SIGBUS)"
stop_daemon
[ "$(counter unknown)" -gt 0 ]
ok $? "counted as unknown"
start_daemon
is "$(reader mmap late)" "right=245 eio=0 zero=0 wrong=0 other=0" \
	"served again: the denied pages come right, same mount"
umount "$W/mnt"
ok $? "umount"
stop_daemon
ok $? "orderly stop"
is "$(grep -c "$R\|$W" /proc/self/mountinfo)" 0 "nothing is mounted any more"
finish
