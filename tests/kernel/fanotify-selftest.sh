#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The start-up self-test passes on this kernel, refuses tmpfs, and leaves nothing behind.
. "$(dirname "$0")/lib.sh"
timeout 60 "$bin/selftest" "$W" >"$W/report"
rc=$?
sed 's/^/# /' "$W/report"
case $rc in
0|1) ;;
*) tail -n 1 "$W/report"; exit 77 ;;
esac
is $rc 0 "all checks of the self-test pass"
is "$(grep -c '^pass' "$W/report")" 9 "there are nine of them"
mkdir "$W/tmpfs" && mount -t tmpfs none "$W/tmpfs"
timeout 60 "$bin/selftest" "$W/tmpfs" >"$W/report"
is $? 2 "a cache on tmpfs is refused"
grep -q 'FAIL.*ext4, xfs or btrfs' "$W/report"
ok $? "and it says what to do"
umount "$W/tmpfs"
is "$(grep -c "$W" /proc/self/mountinfo)" 0 "no mount is left"
[ -z "$(ls -d "$W"/selftest.* 2>/dev/null)" ]
ok $? "no file is left"
finish
