#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The registry goes away, comes back, and gives wrong bytes: reads fail in bounded time, and
# only those that need it; never a wrong byte; and they succeed once the registry is well.
. "$(dirname "$0")/lib.sh"
start_registry
slow_down 4000000
config background=off deadline_ms=3000
start_daemon || { ok 1 "start"; finish; }
mount_image one
ok $? "mounted"
sweep one "$W/mnt" --threads 16 --only data/ --give-up >"$W/result" &
load=$!
sleep 0.7
kill_registry
wait $load
line=$(cat "$W/result")
is_clean "$line" "registry killed under load: no wrong byte"
[ "$(field "$line" eio)" -gt 0 ]
ok $? "but EIO for what was not there"
# One read() is several requests of the kernel, one after another: 64 KiB each, then a page.
[ "$(field "$line" max_ms)" -lt 25000 ]
ok $? "no read took longer than $(field "$line" max_ms) ms, where 3000 are allowed per request"
grep -E ' (warning|error) ' "$W/log" | tail -n 1 | sed 's/^/# /'
grep -E ' (warning|error) .*layer sha256:[0-9a-f]{64} of 127' "$W/log" | grep 'segment [0-9]' |
	grep -q 'Connection refused\|reset by peer\|Empty reply\|not done within'
ok $? "the log names layer, segment and cause"
timeout 10 ls -lR "$W/mnt" >/dev/null
ok $? "names can be listed without a registry"
restart_registry
ok $? "the registry is back"
is_all_right "$(sweep one "$W/mnt" --only data/)" "the same reads succeed"
is_all_right "$(sweep one)" "and all others"
unmount

# A layer of image two is damaged on the registry's disk.
digest=$(tail -n 1 "$F/digests/two")
blob=$(find "$W/registry/data" -path "*/${digest#sha256:}/data")
cp "$blob" "$W/good"
size=$(stat -c %s "$blob")
python3 - "$blob" $((size / 2)) <<'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2]))
    b = f.read(1)
    f.seek(int(sys.argv[2]))
    f.write(bytes([b[0] ^ 1]))
PY
mount_image two
ok $? "an image with a layer that was damaged is mounted"
line=$(sweep two "$W/mnt" --give-up --names "$W/names")
is_clean "$line" "no wrong byte"
[ "$(field "$line" eio)" -gt 0 ]
ok $? "EIO where the digest differs"
is "$(grep -vc '^other/' "$W/names")" 0 "in files of that layer only"
[ "$(wc -l <"$W/names")" -lt 3 ]
ok $? "and not in all of them: $(tr '\n' ' ' <"$W/names")"
grep -E "$digest" "$W/log" | tail -n 1 | sed 's/^/# /'
grep -E ' (warning|error) ' "$W/log" | grep "$digest" | grep -qi 'span [0-9].*digest'
ok $? "the log names layer and span"
[ "$(total digest_mismatches)" -gt 0 ]
ok $? "and status counts it"
cp "$W/good" "$blob"
sleep 1
is_all_right "$(sweep two)" "the right blob is back: all is right"
unmount
is_nothing_left
finish
