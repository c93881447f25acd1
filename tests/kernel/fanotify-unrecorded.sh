#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The record of what is present is lost while the image stays mounted: nothing is trusted, so
# files that were complete, and raise no events any more, are emptied. They must raise events
# again, or nobody would ever fetch them.
. "$(dirname "$0")/lib.sh"
random_file one 300000
random_file two 100000
opts="guardian=$guardian grace=30000"
start_daemon $opts || { ok 1 "start"; finish; }
timeout 20 cmp "$W/mnt/one" "$W/src/one"
ok $? "read whole"
kill_daemon
rm "$W"/cache/layers/*/state
ok $? "killed, and the record is gone"
start_daemon $opts
is "$(cat "$W"/cache/layers/*/seg/* | wc -c)" 0 "nothing is trusted"
dd if="$W/mnt/one" iflag=nocache count=0 2>/dev/null
timeout 20 cmp "$W/mnt/one" "$W/src/one"
ok $? "what was complete before is fetched again when it is read"
timeout 20 cmp "$W/mnt/two" "$W/src/two"
ok $? "and the other"
umount "$W/mnt"
stop_daemon
ok $? "orderly stop"
finish
