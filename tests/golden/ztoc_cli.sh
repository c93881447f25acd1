#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ztoc_cli.sh - `lazyerofs ztoc info|list|get-file|verify` as a user sees them: exit codes,
# one line on stderr, JSON that is JSON whatever names the layer has, no half-written file.
set -u
command -v jq >/dev/null || { echo "jq is not installed"; exit 77; }
lazyerofs=${BUILDDIR:-build}/lazyerofs
fixtures=${SRCDIR:-.}/tests/fixtures/soci
ztocs=$fixtures/ztoc/soci-0.4.1-smallspan
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0
failed=0

# ok STATUS NAME
ok() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		sed 's/^/# /' "$dir/stderr"
		failed=1
	fi
}

z() {
	"$lazyerofs" ztoc "$@" >"$dir/stdout" 2>"$dir/stderr"
}

# fails CODE NAME ARGS...: that exit code, nothing on stdout, one "lazyerofs: " line
fails() {
	local code=$1 name=$2 rc
	shift 2
	z "$@"
	rc=$?
	[ $rc -eq "$code" ] && [ ! -s "$dir/stdout" ] &&
		[ "$(wc -l <"$dir/stderr")" -eq 1 ] && grep -q '^lazyerofs: ' "$dir/stderr"
	ok $? "$name: exit $rc: $(head -c 200 "$dir/stderr")"
}

truth() {	# LAYER NAME: sha256 of the file, as tarfile saw it
	awk -F'\t' -v n="$2" '$5 == n { print $1 }' "$fixtures/truth/$1.tsv"
}

# --- usage
z --help && grep -q verify "$dir/stdout"; ok $? "ztoc --help lists the commands"
for c in info list get-file verify; do
	z $c --help && grep -q "^Usage: lazyerofs ztoc $c " "$dir/stdout"
	ok $? "ztoc $c --help"
done
"$lazyerofs" --version | grep -q '^lazyerofs [0-9]'; ok $? "--version"
fails 2 "no ZTOC" info
fails 2 "too many arguments" info a b
fails 2 "unknown option" info --nonsense "$ztocs/base.ztoc"
fails 2 "unknown command" nonsense
fails 2 "get-file without --layer" get-file "$ztocs/base.ztoc" x
fails 2 "get-file --json without -o" get-file "$ztocs/base.ztoc" x --layer y --json
fails 1 "no such file" info "$dir/nothing"
fails 1 "a directory" info "$dir"
fails 1 "not a zTOC" list "$fixtures/README.md"

# --- get-file
layer=$fixtures/layers/base.tar.gz
want=$(truth base ./usr/lib/mod0.bin)
for path in ./usr/lib/mod0.bin usr/lib/mod0.bin /usr/lib/mod0.bin //./usr/lib/mod0.bin; do
	z get-file "$ztocs/base.ztoc" "$path" --layer "$layer" &&
		[ "$(sha256sum <"$dir/stdout")" = "$want  -" ]
	ok $? "get-file $path to stdout, and not a byte more"
done
z get-file "$ztocs/base.ztoc" usr/lib/mod0.bin -l "$layer" -o "$dir/out" --json &&
	[ "$(sha256sum <"$dir/out")" = "$want  -" ] &&
	jq -e --arg d "sha256:$want" '.digest == $d and .size == 846806' "$dir/stdout" >/dev/null
ok $? "get-file -o --json"
fails 1 "get-file: no such path" get-file "$ztocs/base.ztoc" usr/lib/none -l "$layer" -o "$dir/o2"
fails 1 "get-file: a directory" get-file "$ztocs/base.ztoc" usr/lib -l "$layer"
fails 1 "get-file: another layer" get-file "$ztocs/base.ztoc" usr/lib/mod0.bin \
	-l "$fixtures/layers/plain.tar"
fails 1 "get-file: a sparse file" get-file "$ztocs/sparsepax.ztoc" b-sparse \
	-l "$fixtures/layers/sparsepax.tar.gz" -o "$dir/o2"
z get-file "$ztocs/sparsepax.ztoc" a-before -l "$fixtures/layers/sparsepax.tar.gz" &&
	[ "$(sha256sum <"$dir/stdout")" = "$(truth sparsepax ./a-before)  -" ]
ok $? "get-file: a plain file beside a sparse one"
z get-file "$ztocs/hlsize.ztoc" hl -l "$fixtures/layers/hlsize.tar.gz" &&
	[ "$(sha256sum <"$dir/stdout")" = "$(truth hlsize target)  -" ]
ok $? "get-file: a hard link leads to its target's data"

cp "$layer" "$dir/layer"
printf '\377\376' | dd of="$dir/layer" bs=1 seek=1300000 conv=notrunc status=none
echo old >"$dir/kept"
fails 1 "get-file: a damaged layer" get-file "$ztocs/base.ztoc" usr/lib/big.dat -l "$dir/layer" \
	-o "$dir/kept"
[ "$(cat "$dir/kept")" = old ]; ok $? "a failed get-file leaves the old file as it was"
[ "$(ls "$dir" | sort | tr '\n' ' ')" = "kept layer out stderr stdout " ]
ok $? "and nothing else"
fails 1 "get-file: output directory is missing" get-file "$ztocs/base.ztoc" usr/lib/mod0.bin \
	-l "$layer" -o "$dir/no/out"
if [ -e /dev/full ]; then
	"$lazyerofs" ztoc get-file "$ztocs/base.ztoc" usr/lib/mod0.bin -l "$layer" \
		>/dev/full 2>"$dir/stderr"
	[ $? -eq 1 ] && grep -q 'No space left' "$dir/stderr"
	ok $? "get-file: a full disk is an error"
	"$lazyerofs" ztoc list "$ztocs/base.ztoc" >/dev/full 2>"$dir/stderr"
	[ $? -eq 1 ]
	ok $? "list: a full disk is an error"
fi

# --- names that occur twice, absolute names, stdin
mkdir "$dir/tree"
(
	cd "$dir/tree" && echo first >dup && ln dup link && tar -cf ../dup.tar dup link &&
		echo second >dup2 && mv dup2 dup && echo third >abs &&
		tar -rf ../dup.tar dup && tar -rPf ../dup.tar --transform 's,^,/,' abs &&
		ln -s dup sym && tar -rf ../dup.tar sym
)
z build "$dir/dup.tar" -o "$dir/dup.ztoc"; ok $? "a layer with duplicates is built"
z get-file "$dir/dup.ztoc" dup -l "$dir/dup.tar" && [ "$(cat "$dir/stdout")" = second ]
ok $? "get-file: of two files of one name, the last"
z get-file "$dir/dup.ztoc" link -l "$dir/dup.tar" && [ "$(cat "$dir/stdout")" = first ]
ok $? "get-file: a hard link leads to the file of its time"
z get-file "$dir/dup.ztoc" abs -l "$dir/dup.tar" && [ "$(cat "$dir/stdout")" = third ]
ok $? "get-file: an absolute name in the tar matches a relative path"
fails 1 "get-file: a symbolic link" get-file "$dir/dup.ztoc" sym -l "$dir/dup.tar"
z verify "$dir/dup.ztoc" -l "$dir/dup.tar"; ok $? "verify: a layer with duplicates"
z info - <"$dir/dup.ztoc" && grep -q '^files *5$' "$dir/stdout"; ok $? "info - reads stdin"
cat "$dir/dup.ztoc" | z list - ; ok $? "list - reads a pipe"

# --- verify
z verify "$ztocs/base.ztoc" --layer "$layer" && grep -q '^28 spans ' "$dir/stdout"
ok $? "verify"
z verify "$ztocs/base.ztoc" --layer "$layer" --json &&
	jq -e '.ok and .files == 118 and .spans == 28 and (has("error") | not)' "$dir/stdout" >/dev/null
ok $? "verify --json"
fails 1 "verify: a damaged layer" verify "$ztocs/base.ztoc" --layer "$dir/layer"
z verify "$ztocs/base.ztoc" --layer "$dir/layer" --json
[ $? -eq 1 ] && jq -e '.ok == false and (.error | contains("digest"))' "$dir/stdout" >/dev/null
ok $? "verify --json: a damaged layer"
fails 1 "verify: sparse" verify "$ztocs/sparsepax.ztoc" --layer "$fixtures/layers/sparsepax.tar.gz"

# --- info, list
z info "$ztocs/base.ztoc" --spans && [ "$(grep -c sha256: "$dir/stdout")" -eq 28 ]
ok $? "info --spans"
for f in "$fixtures"/ztoc/*/*.ztoc; do
	z info "$f" --json && jq -e '.num_spans == (.spans | length)' "$dir/stdout" >/dev/null ||
		{ ok 1 "info --json $f"; continue; }
	cp "$dir/stdout" "$dir/info"
	z list "$f" --json &&
		jq -e --slurpfile i "$dir/info" 'length == $i[0].num_files' "$dir/stdout" >/dev/null ||
		ok 1 "list --json $f"
	z list "$f" && [ "$(wc -l <"$dir/stdout")" -eq "$(jq .num_files "$dir/info")" ] ||
		ok 1 "list $f"
done
rm -f "$dir/info"
[ $failed -eq 0 ]; ok $? "info and list of every fixture, one line per file"
z list "$ztocs/features-pax.ztoc" --json &&
	jq -e 'any(.[]; .name_hex == "2e2f6e616d65732f6c6174696e312de9ff")' "$dir/stdout" >/dev/null
ok $? "list --json: a name that is no UTF-8 has its bytes in name_hex"
jq -e 'any(.[]; .name == "./names/with\nnewline" and (has("name_hex") | not))' "$dir/stdout" \
	>/dev/null
ok $? "list --json: a newline in a name is an escape"
z list "$ztocs/features-pax.ztoc" && grep -qF './names/latin1-\xe9\xff' "$dir/stdout" &&
	grep -qF './names/with\x0anewline' "$dir/stdout" && ! grep -q $'\x1b' "$dir/stdout"
ok $? "list: control characters and bad UTF-8 are shown as \\xNN"

echo "1..$n"
exit $failed
