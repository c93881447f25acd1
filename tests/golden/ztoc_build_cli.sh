#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ztoc_build_cli.sh - `lazyerofs ztoc build` as a user sees it: the same bytes as soci in
# each zone and generation, nothing left behind by a failure, exit codes.
set -u
lazyerofs=${BUILDDIR:-build}/lazyerofs
fixtures=${SRCDIR:-.}/tests/fixtures/soci
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0
failed=0

# ok CONDITION-STATUS NAME
ok() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		failed=1
	fi
}

build() {
	"$lazyerofs" ztoc build "$@" >"$dir/stdout" 2>"$dir/stderr"
}

for c in "soci-0.1 Asia/Kolkata nodot2.soci-0.4.1-TZ-Asia-Kolkata" \
	"soci-0.2 America/Los_Angeles nodot2.soci-head-TZ-America-Los_Angeles"; do
	read -r compat zone name <<<"$c"
	if [ ! -e "/usr/share/zoneinfo/$zone" ]; then
		n=$((n + 1))
		echo "ok $n - $zone # SKIP no time zone data on this machine"
		continue
	fi
	build "$fixtures/layers/nodot2.tar.gz" -o "$dir/z" --span-size 64K --compat "$compat" \
		--tz "$zone" && cmp -s "$dir/z" "$fixtures/ztoc/timezone/$name.ztoc"
	ok $? "--tz $zone --compat $compat: the bytes of soci"
done

TZ=Asia/Kolkata build "$fixtures/layers/nodot2.tar.gz" -o "$dir/z" &&
	cmp -s "$dir/z" "$fixtures/ztoc/soci-head-default/nodot2.ztoc"
ok $? "the zone of the machine does not matter without --tz"
build - -o "$dir/z" --compat soci-0.1 <"$fixtures/layers/plain.tar" &&
	cmp -s "$dir/z" "$fixtures/ztoc/soci-0.4.1-default/plain.ztoc"
ok $? "a plain tar from standard input"
[ "$(sha256sum <"$dir/z" | cut -d' ' -f1)" = "$(sed 's/^sha256:\([0-9a-f]*\) .*/\1/' "$dir/stdout")" ]
ok $? "the digest is printed"
build "$fixtures/layers/base.tar.gz" -o "$dir/z" --json && [ "$(stat -c %s "$dir/z")" = \
	"$(sed -n 's/.*"ztoc_size": \([0-9]*\).*/\1/p' "$dir/stdout")" ]
ok $? "--json tells the size"

cp "$dir/z" "$dir/old"
build "$fixtures/layers/sparsegnu.tar.gz" -o "$dir/z"
[ $? -eq 1 ] && grep -q "^lazyerofs: .*'S'" "$dir/stderr" && [ "$(wc -l <"$dir/stderr")" = 1 ]
ok $? "what soci refuses is refused, in one line"
cmp -s "$dir/z" "$dir/old"
ok $? "a failure leaves the old file alone"
[ -z "$(find "$dir" -name 'z?*')" ]
ok $? "and no temporary file"
head -c 100000 "$fixtures/layers/base.tar.gz" >"$dir/short.tar.gz"
build "$dir/short.tar.gz" -o "$dir/z"
[ $? -eq 1 ] && grep -q "ends early" "$dir/stderr"
ok $? "a layer cut short is refused"
build "$fixtures/layers/globalhdr.tar.gz" -o "$dir/z" && grep -q "has global PAX headers, which soci refuses" "$dir/stderr"
ok $? "global PAX headers are skipped, which is said"
build "$fixtures/layers/globalhdr.tar.gz" -o "$dir/y" --strict
[ $? -eq 1 ] && grep -q "'g' (a global PAX header)" "$dir/stderr" && [ ! -e "$dir/y" ]
ok $? "--strict refuses them"
build "$fixtures/layers/features-gnu.tar.gz" -o "$dir/y" --max-ztoc-size 40K
[ $? -eq 1 ] && grep -q "larger than 40960 bytes" "$dir/stderr" && [ ! -e "$dir/y" ]
ok $? "--max-ztoc-size"
build "$fixtures/layers/zstd.tar.zst" -o "$dir/z"
[ $? -eq 1 ] && grep -q zstd "$dir/stderr"
ok $? "zstd is named"
build "$fixtures/layers/base.tar.gz" -o "$dir/nodir/z"
[ $? -eq 1 ]
ok $? "an output that cannot be written is a failure"
# --- where the output goes ----------------------------------------------------------------
want=$fixtures/ztoc/soci-head-smallspan/plain.ztoc
build "$fixtures/layers/plain.tar" -o - --span-size 256K && cmp -s "$dir/stdout" "$want"
ok $? "-o - is standard output, the zTOC and nothing else"
build "$fixtures/layers/plain.tar" -o - --json
[ $? -eq 2 ]
ok $? "where --json has no place"
mkfifo "$dir/fifo"
timeout 20 cat "$dir/fifo" >"$dir/read" &
timeout 20 "$lazyerofs" ztoc build "$fixtures/layers/plain.tar" -o "$dir/fifo" --span-size 256K >/dev/null
wait
cmp -s "$dir/read" "$want" && [ -p "$dir/fifo" ]
ok $? "a FIFO is written to, and stays one"
: >"$dir/target"
ln -s target "$dir/link"
build "$fixtures/layers/plain.tar" -o "$dir/link" --span-size 256K
[ -L "$dir/link" ] && cmp -s "$dir/target" "$want"
ok $? "a symbolic link is followed"
build "$fixtures/layers/plain.tar" -o "$dir"
[ $? -eq 1 ] && [ -d "$dir" ]
ok $? "a folder is no place for a zTOC"
cp "$fixtures/layers/plain.tar" "$dir/layer.tar"
ln "$dir/layer.tar" "$dir/same.tar"
build "$dir/layer.tar" -o "$dir/same.tar"
[ $? -eq 1 ] && grep -q "is the layer itself" "$dir/stderr" && cmp -s "$dir/layer.tar" "$fixtures/layers/plain.tar"
ok $? "the layer is not overwritten with its zTOC"

# --- ^C while the layer comes slowly --------------------------------------------------------
cp "$dir/z" "$dir/old"
mkfifo "$dir/slow"
exec 3<>"$dir/slow"
head -c 20000 "$fixtures/layers/base.tar.gz" >&3
env --default-signal=INT "$lazyerofs" ztoc build "$dir/slow" -o "$dir/z" >/dev/null 2>"$dir/stderr" &
pid=$!
# Not the shell that becomes it: that one catches signals, too.
until [ ! -e /proc/$pid ] || { grep -q "^Name:.*lazyerofs" /proc/$pid/status &&
	grep -q "^SigCgt:.*[2367abef]$" /proc/$pid/status; }; do
	sleep 0.01
done 2>/dev/null
kill -INT $pid
wait $pid
[ $? -eq 1 ] && grep -q "^lazyerofs: .*interrupted" "$dir/stderr" && cmp -s "$dir/z" "$dir/old" &&
	[ -z "$(find "$dir" -name 'z?*')" ]
ok $? "^C leaves the old file and nothing else"
exec 3>&-

for bad in "" "-o $dir/z --span-size 0" "-o $dir/z --compat soci-9" "-o $dir/z --compression xz"; do
	# shellcheck disable=SC2086
	build "$fixtures/layers/base.tar.gz" $bad
	[ $? -eq 2 ]
	ok $? "wrong usage: '${bad#-o "$dir"/z}'"
done
build "$fixtures/layers/base.tar.gz" -o "$dir/z" --tz Mars/Olympus
[ $? -eq 1 ] && grep -q "Mars/Olympus" "$dir/stderr"
ok $? "an unknown zone is refused"

echo "1..$n"
exit $failed
