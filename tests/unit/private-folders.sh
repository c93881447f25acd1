#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The daemon makes its folders private, but no folder that others use.
set -u
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root, as the daemon does"; exit 0; }
W=$(mktemp -d /tmp/lzfolders.XXXXXX)
trap 'rm -rf "$W"' EXIT
n=0 failed=0
ok() { # TEXT; $? of the line before
	if [ $? -eq 0 ]; then echo "ok $((++n)) - $1"; else failed=1; echo "not ok $((++n)) - $1"; fi
}
mode_is() { [ "$(stat -c %a "$W/$1")" = "$2" ]; }
# A lock that is held ends the daemon right after it has looked at its folders.
daemon() {
	timeout 60 flock "$W/own/lock" timeout 30 "$BUILDDIR/lazyerofsd" -c "$W/conf" \
		--dir "$W/$1" --run-dir "$W/$2" >"$W/said" 2>&1
	[ $? -eq 1 ]
}
mkdir -m 755 "$W/shared" "$W/own" "$W/empty"
touch "$W/conf" "$W/shared/of-somebody" "$W/own/lock"
daemon shared empty && grep -q 'not ours' "$W/said"
ok "a cache folder with things of others is refused"
mode_is shared 755
ok "and left as it is"
daemon own shared && grep -q 'not ours' "$W/said" && mode_is shared 755
ok "so is a run folder"
daemon own empty && ! grep -q 'not ours' "$W/said"
ok "one of ours, and an empty one, are taken"
mode_is own 700 && mode_is empty 700
ok "and made private"
echo "1..$n"
exit $failed
