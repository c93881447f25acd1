#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What is kept: nothing is fetched twice, over restarts and between images. And what is not
# believed: bytes beyond what was recorded before the machine went down.
. "$(dirname "$0")/lib.sh"
start_registry
config background=off sync_ms=0
start_daemon || { ok 1 "start"; finish; }
mount_image one
is_all_right "$(sweep one)" "first mount"
first=$(layer_requests)
[ "$first" -gt 0 ]
ok $? "the registry was asked for layers $first times"
unmount
mount_image one
is_all_right "$(sweep one)" "second mount"
is "$(layer_requests)" "$first" "nothing is fetched again"
base=$(layer_requests "$(head -n 1 "$F/digests/one")")
mount_image two "$W/mnt2"
is_all_right "$(sweep two "$W/mnt2")" "another image"
is "$(layer_requests "$(head -n 1 "$F/digests/two")")" "$base" "a layer that both hold is fetched once"
[ "$(layer_requests)" -gt "$first" ]
ok $? "the other one is fetched"
second=$(layer_requests)
unmount
unmount "$W/mnt2"
stop_daemon
ok $? "orderly stop"
start_daemon
mount_image one
is_all_right "$(sweep one)" "after a restart"
is "$(layer_requests)" "$second" "nothing is fetched again"
unmount
stop_daemon
kill_guardian

# Another boot: lengths that were recorded count, what is beyond does not. So give it wrong
# bytes there.
other_boot() { # LAYER...: the state says another boot; what is recorded halved for the first
	python3 - "$@" <<'PY'
import hashlib, os, struct, sys
for number, layer in enumerate(sys.argv[1:]):
    path = layer + "/state"
    with open(path, "rb") as f:
        data = bytearray(f.read()[:-32])
    n = struct.unpack_from("<I", data, 12)[0]
    data[16:52] = b"00000000-1111-2222-3333-444444444444"
    for i in range(n):
        (length,) = struct.unpack_from("<Q", data, 56 + 8 * i)
        if i % 2 == 0:
            length = length // 2 // 4096 * 4096
            struct.pack_into("<Q", data, 56 + 8 * i, length)
        segment = f"{layer}/seg/{i:05}"
        size = os.path.getsize(segment)
        # What a power cut leaves: zeros, or junk, within the length.
        with open(segment, "r+b") as f:
            f.seek(length)
            f.write((bytes if i % 4 else os.urandom)(size - length))
    data += hashlib.sha256(data).digest()
    with open(path, "wb") as f:
        f.write(data)
PY
}
other_boot "$W"/cache/layers/*
ok $? "as if the machine had gone down"
start_daemon
ok $? "start"
mount_image one
is_all_right "$(sweep one)" "all bytes are right"
[ "$(layer_requests)" -gt "$second" ]
ok $? "what had not been recorded was fetched anew"
third=$(layer_requests)
unmount
mount_image one
is_all_right "$(sweep one)" "once more"
is "$(layer_requests)" "$third" "now it is there"
unmount
stop_daemon
kill_guardian

# A record that is damaged, missing, or of another layer is not believed at all.
n=0
for layer in "$W"/cache/layers/*; do
	case $n in
	0) rm "$layer/state" ;;
	1) printf 'x' | dd of="$layer/state" bs=1 seek=60 conv=notrunc status=none ;;
	*) truncate -s 70 "$layer/state" ;;
	esac
	for segment in "$layer"/seg/*; do
		dd if=/dev/zero of="$segment" bs=4096 count=1 conv=notrunc status=none
	done
	n=$((n + 1))
done
start_daemon
mount_image two
is_all_right "$(sweep two)" "no record: all bytes are right"
mount_image one "$W/mnt2"
is_all_right "$(sweep one "$W/mnt2")" "of both images"
is "$(total digest_mismatches)" 0 "no digest differed"
unmount
unmount "$W/mnt2"
is_nothing_left
finish
