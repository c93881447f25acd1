#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every fixture zTOC through mkfs.lazyerofs, both kernel paths: exit code, sha256 of bootstrap
# and map as recorded in mkfs.golden, fsck.erofs clean. Then refusals and the promises about
# output files. After a deliberate change of format: mkfs_fixtures.sh --record > mkfs.golden.
set -uo pipefail

: "${SRCDIR:?}" "${BUILDDIR:?}"
mkfs=$BUILDDIR/mkfs/mkfs.lazyerofs
ztocs=$SRCDIR/tests/fixtures/soci/ztoc
fsck=$BUILDDIR/liberofs/fsck/fsck.erofs
[ -x "$fsck" ] || fsck=$SRCDIR/build/liberofs/fsck/fsck.erofs
[ -x "$fsck" ] || fsck=${FSCK_EROFS:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=0

ok() { # CONDITION-RC NAME
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}
sum() { if [ -e "$1" ]; then sha256sum "$1" | cut -d' ' -f1; else echo -; fi; }

# "SET/NAME PATH EXIT BOOTSTRAP MAP" for every fixture and two stacks of layers
results() {
	local z path rc
	for path in fanotify cachefiles; do
		for z in "$ztocs"/*/*.ztoc; do
			rm -f "$work/b" "$work/m"
			"$mkfs" -o "$work/b" -k "$path" --map "$work/m" "$z" 2>"$work/err"
			rc=$?
			echo "${z#"$ztocs"/} $path $rc $(sum "$work/b") $(sum "$work/m")"
			[ "${1:-}" = --record ] || check_fsck "${z#"$ztocs"/} $path" "$rc"
		done
		rm -f "$work/b"
		"$mkfs" -o "$work/b" -k "$path" "$ztocs"/soci-0.4.1-smallspan/{base,features-pax,whiteouts,plain}.ztoc
		echo "stack $path $? $(sum "$work/b") -"
		[ "${1:-}" = --record ] || check_fsck "stack $path" 0
	done
}

check_fsck() { # NAME RC
	if [ "$2" != 0 ]; then
		[ ! -e "$work/b" ] && [ ! -e "$work/m" ] && [ "$(wc -l <"$work/err")" = 1 ]
		echo "$? $1: refused in one line, leaving nothing" >>"$work/checks"
	elif [ -n "$fsck" ]; then
		"$fsck" "$work/b" >/dev/null 2>&1
		echo "$? $1: fsck.erofs is content" >>"$work/checks"
	fi
}

if [ "${1:-}" = --record ]; then
	results --record
	exit 0
fi
: >"$work/checks"
results >"$work/results"
while read -r want; do
	name=${want% * * *}
	grep -qxF -- "$want" "$work/results"
	ok $? "$name as recorded"
done <"$SRCDIR/tests/golden/mkfs.golden"
[ "$(wc -l <"$work/results")" = "$(wc -l <"$SRCDIR/tests/golden/mkfs.golden")" ]
ok $? "no fixture without a record"
while read -r rc name; do ok "$rc" "$name"; done <"$work/checks"

[ -n "$fsck" ] || { n=$((n + 1)); echo "ok $n # SKIP fsck.erofs is not built (mkfs/build-liberofs builds it)"; }

# --- refusals ---------------------------------------------------------------------------
refused() { # EXIT PATTERN NAME ARGS...
	local want=$1 pattern=$2 name=$3 rc
	shift 3
	"$mkfs" "$@" >"$work/out" 2>"$work/err"
	rc=$?
	[ $rc = "$want" ] && [ "$(wc -l <"$work/err")" = 1 ] && grep -q -- "$pattern" "$work/err"
	ok $? "$name: $(cat "$work/err")"
}
good=$ztocs/soci-0.4.1-smallspan/base.ztoc
refused 2 "no output" "no output" "$good"
refused 2 "no zTOC" "no input" -o "$work/r"
refused 2 "more maps" "more maps than layers" -o "$work/r" --map "$work/1" --map "$work/2" "$good"
refused 2 "kernel path" "unknown kernel path" -o "$work/r" -k fuse "$good"
refused 2 "seconds" "timeout of nothing" -o "$work/r" -t 0 "$good"
refused 1 "No such file" "missing zTOC" -o "$work/r" "$work/none"
refused 1 "No such file" "missing directory" -o "$work/none/b" "$good"
refused 1 "not a regular file" "output to a device" -o /dev/null "$good"
refused 3 "sparse" "sparse files name themselves" -o "$work/r" "$ztocs"/soci-0.4.1-smallspan/sparsepax.ztoc
head -c 1000 "$good" >"$work/short"
refused 1 "^mkfs.lazyerofs: $work/short: " "truncated zTOC names its file" -o "$work/r" "$good" "$work/short"
: >"$work/empty"
refused 1 "^mkfs.lazyerofs: $work/empty: " "empty zTOC" -o "$work/r" "$work/empty"
[ -z "$(find "$work" -name "r*" ! -name results)" ]
ok $? "no output is left of all that"

# --- outputs ----------------------------------------------------------------------------
echo precious >"$work/b"
"$mkfs" -o "$work/b" "$work/short" 2>/dev/null
[ "$(cat "$work/b")" = precious ]
ok $? "a failure leaves the old file alone"
"$mkfs" -o "$work/b" "$good" && "$mkfs" -o /dev/fd/5 --map /dev/fd/6 "/dev/fd/7" \
	5<>"$work/b5" 6<>"$work/m6" 7<"$good"
ok $? "descriptors as files"
cmp "$work/b" "$work/b5"
ok $? "the same bootstrap"
echo precious >"$work/b5"
"$mkfs" -o /dev/fd/5 "$work/short" 5<>"$work/b5" 2>/dev/null
[ ! -s "$work/b5" ]
ok $? "a failure empties a descriptor's file"
umask 027
"$mkfs" -o "$work/mode" "$good" && [ "$(stat -c %a "$work/mode")" = 640 ]
ok $? "the output's mode follows the umask"
"$mkfs" --json -o "$work/b" "$good" | python3 -c '
import json, sys
j = json.load(sys.stdin)
assert j["kernel_path"] == "fanotify" and j["devices"] == 3 and len(j["layers"]) == 1
assert j["layers"][0]["segments"] == 3 and j["layers"][0]["ztoc"].startswith("sha256:")'
ok $? "the JSON summary"
"$mkfs" --help | grep -q "usage: mkfs.lazyerofs" && "$mkfs" --version | grep -q "^mkfs.lazyerofs [0-9]"
ok $? "help and version"
echo "1..$n"
