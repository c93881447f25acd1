#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The real data path: a layer of some 90 MB, its zTOC, the bootstrap from mkfs, the
# conductor; the mounted tree equals the one that was packed, also while the daemon is killed.
. "$(dirname "$0")/lib.sh"
: "${SRCDIR:?}"
tree=$W/src
cp -a "$SRCDIR/tests" "$SRCDIR/lib" "$SRCDIR/daemon" "$tree"
for i in 1 2 3; do head -c 17000001 /dev/urandom >"$tree/random$i"; done
seq 6000000 >"$tree/numbers"
ln "$tree/random1" "$tree/link"
ln -s random2 "$tree/symlink"
(cd "$tree" && tar -cf - . | gzip -1 >"$W/layer.tar.gz")
"$BUILDDIR/lazyerofs" ztoc build -o "$W/ztoc" "$W/layer.tar.gz" >>"$W/log" 2>&1 &&
	"$BUILDDIR/mkfs/mkfs.lazyerofs" -o "$W/boot" -m "$W/map" "$W/ztoc" >>"$W/log" 2>&1
rc=$?
ok $rc "zTOC and bootstrap"
[ $rc -eq 0 ] || finish

start_fill() { # [KEY=VALUE]...
	: >"$W/out"
	mkdir -p "$W/cache"
	"$bin/filld" "$W/cache" "$R" "$W/mnt" "$W/boot" "$@" -- "$W/map" "$W/ztoc" \
		"$W/layer.tar.gz" >"$W/out" 2>>"$W/log" &
	daemon_pid=$!
	for _ in $(seq 500); do
		grep -q ready "$W/out" && return 0
		kill -0 "$daemon_pid" 2>/dev/null || break
		sleep 0.02
	done
	tail -n 5 "$W/log" | sed 's/^/#   /'
	daemon_pid=
	ok 1 "the daemon starts"
	finish
}
forget() {
	umount "$W/mnt" && stop_daemon && rm -rf "$W/cache"
}
start_fill
ok $? "mounted and served"
is "$(timeout 20 head -c 100 "$W/mnt/numbers")" "$(head -c 100 "$tree/numbers")" "a small read"
present=$(du -sm "$W/cache/layers" | cut -f1)
[ "$present" -lt 30 ]
ok $? "fetched little of it ($present MB)"
timeout 100 diff -r --no-dereference "$W/mnt" "$tree" >"$W/diff" 2>&1
ok $? "the tree is that which was packed"
timeout 100 diff -r --no-dereference "$W/mnt" "$tree" >"$W/diff" 2>&1
ok $? "and is so when read again"
forget
ok $? "orderly stop"
is "$(counter error) $(counter mismatches) $(counter overflows) $(counter refused)" "0 0 0 0" \
	"no denial, no digest mismatch, no overflow"

# Killed again and again, with a guardian.
start_fill guardian="$guardian"
ok $? "again, with a guardian"
readers=
for i in 1 2 3; do
	reader random random$i 4 2000 >"$W/result.$i" &
	readers="$readers $!"
done
timeout 200 diff -r --no-dereference "$W/mnt" "$tree" >"$W/diff" 2>&1 &
diff_pid=$!
kills=0
while kill -0 $diff_pid 2>/dev/null && [ $kills -lt 10 ]; do
	sleep 0.15
	kill_daemon
	kills=$((kills + 1))
	start_fill guardian="$guardian" || break
done
wait $diff_pid
ok $? "the tree is right, the daemon was killed $kills times meanwhile"
wait $readers
for i in 1 2 3; do
	is "$(cat "$W/result.$i")" "right=8000 eio=0 zero=0 wrong=0 other=0" \
		"random reads of four threads beside it"
done
forget
ok $? "orderly stop"

# Killed for good: what is there stays right, what is missing is an error.
start_fill guardian="$guardian"
timeout 200 diff -r --no-dereference "$W/mnt" "$tree" >"$W/diff" 2>&1 &
diff_pid=$!
sleep 0.05
kill_daemon
kill_guardian
wait $diff_pid
! grep -q 'differ$' "$W/diff"
ok $? "daemon and guardian killed: no file differs"
missing=0
for f in random1 random2 random3 numbers; do
	line=$(reader read $f)
	missing=$((missing + $(field "$line" eio)))
	is "$(field "$line" zero)$(field "$line" wrong)$(field "$line" other)" 000 "$f: $line"
done
[ $missing -gt 0 ]
ok $? "something was missing"
start_fill
timeout 100 diff -r --no-dereference "$W/mnt" "$tree" >"$W/diff" 2>&1
ok $? "a new daemon serves the rest"
forget
ok $? "orderly stop"
finish
