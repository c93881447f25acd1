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
build "$fixtures/layers/globalhdr.tar.gz" -o "$dir/z" --lenient
ok $? "--lenient skips global PAX headers"
build "$fixtures/layers/zstd.tar.zst" -o "$dir/z"
[ $? -eq 1 ] && grep -q zstd "$dir/stderr"
ok $? "zstd is named"
build "$fixtures/layers/base.tar.gz" -o "$dir/nodir/z"
[ $? -eq 1 ]
ok $? "an output that cannot be written is a failure"
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
