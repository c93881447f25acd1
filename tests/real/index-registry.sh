#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# create, convert, push, index and ztoc --image against Debian's docker-registry, open and with a
# password: found by the fallback tag, removed from it, wrong passwords, a registry that
# forbids deletion, ^C at any time.
set -euo pipefail
top=${SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${BUILDDIR:-$top/build}
for p in docker-registry htpasswd python3 jq; do
	command -v $p >/dev/null || { echo "no $p"; exit 77; }
done
cli=$build/lazyerofs
work=$(mktemp -d)
pids=()
cleanup() {
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
	rm -rf "$work"
}
trap cleanup EXIT
cd "$work"
n=0
fail() { echo "FAILED: $*"; cat err 2>/dev/null || true; exit 1; }
pass() { n=$((n + 1)); echo "ok $n - $*"; }
start() { # NAME OPTIONS...: $port
	mkdir -p "$1"
	port=$("$top/tests/tools/start-registry" "$1" --pid-file "$1.pid" "${@:2}") || fail "registry $1"
	pids+=("$(cat "$1.pid")")
}
refused() { # TEXT COMMAND...: fails with one line that has TEXT
	local text=$1
	shift
	"$cli" "$@" >out 2>err && fail "$* succeeded"
	grep -q "$text" err || fail "$*: not: $text"
}
fallback() { echo "sha256-430749d89e61796dbef5eecac1d5dbf02c350bea70e17274fb2411aea8921077"; }
accept='Accept: application/vnd.oci.image.index.v1+json'

"$top/tests/tools/fixture-layout" "$top/tests/fixtures/soci" main l

start open
open=127.0.0.1:$port
"$cli" push oci:l:t "$open/a/b:1" >/dev/null 2>err || fail push
"$cli" create "$open/a/b:1" --min-layer-size 0 --json >out.json 2>err || fail create
index=$(jq -r '.[0].index.digest' out.json)
cmp <(curl -fsS "http://$open/v2/a/b/manifests/$index" -H 'Accept: application/vnd.oci.image.manifest.v1+json') \
	"$top/tests/fixtures/soci/index/soci-head-default/main.soci-index.json" || fail "index differs"
pass "create: the index in the registry is soci's, byte for byte"
curl -fsS -H "$accept" "http://$open/v2/a/b/manifests/$(fallback)" >tag.json
[ "$(jq -r '.manifests[] | .digest + " " + .artifactType' tag.json)" = \
	"$index application/vnd.amazon.soci.index.v1+json" ] || fail "fallback tag: $(cat tag.json)"
[ "$("$cli" index list "$open/a/b:1" --json | jq -r '.[].found')" = "fallback tag" ] || fail list
pass "create: found by the fallback tag"
"$cli" create "$open/a/b:1" --min-layer-size 0 --span-size 256K >/dev/null 2>err
[ "$("$cli" index list "$open/a/b:1" --json | jq -r '.[1].digest')" = "$index" ] || fail order
pass "a newer index goes first"
"$cli" push "$open/a/b:1" "$open/a/copy:1" --json >out.json 2>err || fail "push between repositories"
[ "$(jq -r '.blobs, .blobs_taken_over > 5' out.json | paste -sd' ')" = "0 true" ] || fail "blobs went through us: $(cat out.json)"
diff <("$cli" index list "$open/a/b:1") <("$cli" index list "$open/a/copy:1") || fail "indexes of the copy"
"$cli" push "$open/a/copy:1" oci:back:t >/dev/null 2>err || fail "push to a layout"
diff <("$cli" index list "$open/a/b:1" --json | jq -r '.[].digest') \
	<("$cli" index list oci:back:t --json | jq -r '.[].digest') || fail "indexes in the layout"
pass "push: all indexes, in order, to another repository (which the registry does by itself) and back to a layout"
"$cli" index rm "$open/a/b:1" "$index" >/dev/null 2>err || fail rm
curl -fsS "http://$open/v2/a/b/manifests/$index" -o /dev/null 2>/dev/null && fail "still there"
[ "$("$cli" index list "$open/a/b:1" --json | jq length)" = 1 ] || fail "still listed"
"$cli" index rm "$open/a/b:1" --all >/dev/null 2>err || fail "rm --all"
[ "$("$cli" index list "$open/a/b:1" --json | jq length)" = 0 ] || fail "still listed"
pass "index rm: manifest deleted, off the fallback tag"
"$cli" convert "$open/a/b:1" "$open/a/v2:1" --min-layer-size 0 >/dev/null 2>err || fail convert
[ "$("$cli" index list "$open/a/v2:1" --json | jq -r '.[] | .version + " " + .found')" = "v2 annotation" ] ||
	fail "v2 is not found"
pass "convert: found by the annotation"

# --- zTOCs and files of an image --------------------------------------------------------------
fx=$top/tests/fixtures/soci
base=2589fa2024a91826326cf470f02ede2f7e3484a1708011d02a0e78716f91ee49
stored() { echo "open/data/docker/registry/v2/blobs/sha256/${1:0:2}/$1/data"; }
"$cli" push oci:l:t "$open/a/ztoc:1" >/dev/null 2>err && "$cli" create "$open/a/ztoc:1" --min-layer-size 0 \
	--span-size 64K >/dev/null 2>err || fail "index for ztoc"
diff <("$cli" ztoc list --image "$open/a/ztoc:1" --json | jq -r '.[] | .digest + " " + .layer') \
	<("$cli" index info "$open/a/ztoc:1" --json | jq -r '.layers[] | .digest + " " + .annotations["com.amazon.soci.image-layer-digest"]') ||
	fail "ztoc list"
curl -fsS "http://$open/v2/a/ztoc/blobs/$("$cli" ztoc info --image "$open/a/ztoc:1" $base --json | jq -r .digest)" >base.ztoc
diff <("$cli" ztoc list --image "$open/a/ztoc:1" $base) <("$cli" ztoc list base.ztoc) || fail "ztoc list of files"
files=0 most=0
for layer in $("$cli" ztoc list --image "$open/a/ztoc:1" --json | jq -r '.[].layer'); do
	truth=$(grep -l "^# layer=$layer " "$fx"/truth/*.tsv)
	while IFS=$'\t' read -r want size _ type name; do
		[ "$type" = reg ] || continue
		# shellcheck disable=SC2059
		printf -v path "${name//%/%%}"
		"$cli" ztoc get-file --image "$open/a/ztoc:1" "$layer" "$path" -o got --json >out.json 2>err || fail "${truth##*/} $name"
		[ "$(sha256sum <got | cut -d' ' -f1) $(jq .size out.json)" = "$want $size" ] || fail "${truth##*/} $name differs"
		[ "$(jq .fetched_bytes out.json)" -le $most ] || most=$(jq .fetched_bytes out.json)
		files=$((files + 1))
	done < <(awk -F'\t' '/^#/ { next } { v[$5] = $0 } END { for (k in v) print v[k] }' "$truth")
done
[ $files -gt 150 ] || fail "only $files files"
pass "get-file: $files files of the image are the truth; at most $most bytes were fetched for one"
sent() { # bytes of the layer that the registry says it sent
	awk -v b="blobs/sha256:$base" '/response completed/ && /http.request.method=GET/ && index($0, b) {
		match($0, /http.response.written=[0-9]+/); n += substr($0, RSTART + 22, RLENGTH - 22) } END { print n + 0 }' open/log
}
before=$(sent)
"$cli" ztoc get-file --image "$open/a/ztoc:1" $base usr/lib/mod0.bin -o got --json >out.json 2>err || fail "get-file"
want=$((before + $(jq .fetched_bytes out.json)))
for _ in $(seq 100); do	# the registry writes its log after the answer
	[ "$(sent)" != "$before" ] && break
	sleep 0.05
done
[ "$(sent)" = $want ] || fail "the registry sent $before, then $(sent): $(cat out.json)"
[ "$(jq .fetched_bytes out.json)" -lt 600000 ] || fail "too much was fetched: $(cat out.json)"
pass "get-file: the registry sent $(jq .fetched_bytes out.json) of 3618727 bytes"
echo old >kept
printf '\377\376' | dd of="$(stored $base)" bs=1 seek=1300000 conv=notrunc status=none
refused "layer bytes .* have digest" ztoc get-file --image "$open/a/ztoc:1" $base usr/lib/mod0.bin -o kept
"$cli" ztoc get-file --image "$open/a/ztoc:1" $base usr/lib/big.dat -o got 2>err || fail "a file before the wrong bytes"
cp l/blobs/sha256/$base "$(stored $base)"
z=$("$cli" ztoc info --image "$open/a/ztoc:1" $base --json | jq -r .digest)
printf '\1' | dd of="$(stored "${z#sha256:}")" bs=1 seek=5000 conv=notrunc status=none
refused "does not have that digest" ztoc get-file --image "$open/a/ztoc:1" $base usr/lib/mod0.bin -o kept
[ "$(cat kept*)" = old ] || fail "something was written"
pass "get-file: a layer or zTOC with other bytes in the registry is refused, and nothing written"

# --- a registry that forbids deletion ------------------------------------------------------
mkdir forbids
ln -s ../open/data forbids/data
start forbids --no-delete
forbids=127.0.0.1:$port
refused "does not allow manifests to be deleted" index rm "$forbids/a/copy:1" "$index"
[ "$("$cli" index list "$forbids/a/copy:1" --json | jq length)" = 2 ] || fail "half removed"
pass "deletion forbidden: $(cat err)"

# --- with a password -----------------------------------------------------------------------
start closed --htpasswd tester:secret
closed=127.0.0.1:$port
mkdir right wrong none
login() { printf '{"auths":{"%s":{"auth":"%s"}}}' "$closed" "$(printf %s "$1" | base64)"; }
login tester:secret >right/config.json
login tester:mistake >wrong/config.json
for d in none wrong; do
	refused "$closed" push oci:l:t "$closed/a/b:1" --docker-config $d
	! grep -q "mistake\|secret" err || fail "the password is in the message"
	pass "push, $d password: $(cat err)"
done
"$cli" push oci:l:t "$closed/a/b:1" --docker-config right >/dev/null 2>err || fail "push with the password"
"$cli" create "$closed/a/b:1" --min-layer-size 0 --docker-config right >/dev/null 2>err || fail "create"
refused "$closed" index list "$closed/a/b:1" --docker-config wrong
refused "$closed" ztoc list --image "$closed/a/b:1" --docker-config wrong
refused "$closed" ztoc get-file --image "$closed/a/b:1" $base usr/lib/mod0.bin --docker-config none
"$cli" ztoc get-file --image "$closed/a/b:1" $base usr/lib/mod0.bin --docker-config right 2>err |
	sha256sum | grep -q ^c444866439b01838 || fail "get-file with the password"
"$cli" index rm "$closed/a/b:1" --docker-config right >/dev/null 2>err || fail rm
pass "with the password: push, create, ztoc get-file, index rm"

# --- one pass -------------------------------------------------------------------------------
# gets BLOB: how often the registry sent it
gets() { grep -c "msg=\"response completed\".*http.request.method=GET.*blobs/$1.*http.response.status=20" "$from_log"; }
start from
from=127.0.0.1:$port from_log=$work/from/log
start onto
onto=127.0.0.1:$port
"$cli" push oci:l:t "$from/a/b:1" --chunk-size 100K >/dev/null 2>err || fail push
grep -q "http.request.method=PATCH" "$from_log" || fail "nothing was uploaded in pieces"
layers=$("$cli" index info "$open/a/v2:1" --json | jq -r '.layers[].annotations["com.amazon.soci.image-layer-digest"]')
TMPDIR=/nonexistent "$cli" convert "$from/a/b:1" "$onto/a/b:1" --min-layer-size 0 --json >a.json 2>err || fail "convert"
"$cli" convert "$from/a/b:1" oci:onto-l:t --min-layer-size 0 --json >b.json 2>err || fail "convert to a layout"
[ -n "$layers" ] && cmp a.json b.json || fail "registry and layout differ"
for l in $layers; do
	[ "$(gets "$l")" = 2 ] || fail "$l was read $(gets "$l") times for two conversions"
	curl -fsS "http://$onto/v2/a/b/blobs/$l" | cmp - "onto-l/blobs/sha256/${l#sha256:}" || fail "$l differs"
done
pass "convert: each layer is read once, for index and copy, and stored nowhere else"

# --- ^C ------------------------------------------------------------------------------------
start last
open=127.0.0.1:$port
# A large layer of noise, so that there is something to interrupt.
mkdir -p big/blobs/sha256
python3 - <<'PY'
import gzip, hashlib, io, json, os, tarfile
b = io.BytesIO()
with tarfile.open(fileobj=b, mode="w") as t:
    for i in range(24):
        data = os.urandom(4 << 20)
        e = tarfile.TarInfo("f%d" % i)
        e.size = len(data)
        t.addfile(e, io.BytesIO(data))
tar = b.getvalue()
def put(data, media):
    h = hashlib.sha256(data).hexdigest()
    open("big/blobs/sha256/" + h, "wb").write(data)
    return {"mediaType": media, "digest": "sha256:" + h, "size": len(data)}
layer = put(gzip.compress(tar, 1), "application/vnd.oci.image.layer.v1.tar+gzip")
config = put(json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers",
    "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]}}).encode(), "application/vnd.oci.image.config.v1+json")
m = put(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": config, "layers": [layer]}).encode(), "application/vnd.oci.image.manifest.v1+json")
m["annotations"] = {"org.opencontainers.image.ref.name": "t"}
m["platform"] = {"architecture": "amd64", "os": "linux"}
json.dump({"schemaVersion": 2, "manifests": [m]}, open("big/index.json", "w"))
open("big/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
PY
"$cli" push oci:big:t "$open/big:1" >/dev/null 2>err || fail "push of the large image"
cp -r big before
interrupted=0
# listens PID: lazyerofs catches SIGINT by now, or has ended. Starting takes it long on a loaded machine.
listens() {
	local key value name=
	while read -r key value; do
		case $key in
		Name:) name=$value ;;
		State:) [ "${value%% *}" != Z ] || return 0 ;;
		SigCgt:) [ "$name" = lazyerofs ] && [ $((0x$value & 2)) != 0 ]; return ;;
		esac
	done 2>/dev/null <"/proc/$1/status"
	[ ! -e "/proc/$1" ]
}
# interrupt DELAY COMMAND...: 0 if it was interrupted, 1 if it had ended
interrupt() {
	local delay=$1 rc=0
	shift
	env --default-signal=INT "$cli" "$@" >out 2>err &
	local pid=$!
	until listens $pid; do sleep 0.005; done
	sleep "$delay"
	kill -INT "$pid" 2>/dev/null || true
	wait "$pid" || rc=$?
	[ $rc != 0 ] || return 1
	[ $rc = 1 ] || fail "$*: exit code $rc"
	grep -q interrupted err || fail "$*: no word of the interruption"
	interrupted=$((interrupted + 1))
}
for delay in 0.02 0.05 0.1 0.15 0.2 0.3; do
	if interrupt $delay create oci:big:t; then
		# A zTOC that nothing names may be there, whole.
		diff -r big before | grep -v "^Only in big/blobs/sha256: [0-9a-f]\{64\}$" && fail "half-written"
		[ "$("$cli" index list oci:big:t --json | jq length)" = 0 ] || fail "an index is there"
	fi
	rm -rf big && cp -r before big
	if interrupt $delay create "$open/big:1"; then
		[ "$("$cli" index list "$open/big:1" --json | jq length)" = 0 ] || fail "an index is there"
	else
		"$cli" index rm "$open/big:1" >/dev/null
	fi
	if interrupt $delay convert "$open/big:1" oci:to$delay:t; then
		[ -z "$(find to$delay -name '.?*' 2>/dev/null)" ] || fail "temporary files: $(find to$delay)"
		! grep -q ref.name to$delay/index.json 2>/dev/null || fail "a tag is set"
		for f in to$delay/blobs/sha256/*; do
			[ ! -e "$f" ] || [ "$(sha256sum <"$f" | cut -d' ' -f1)" = "${f##*/}" ] || fail "half a blob: $f"
		done
	fi
	if interrupt $delay push oci:big:t "$open/pushed$delay:1"; then
		[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$open/v2/pushed$delay/manifests/1")" = 404 ] ||
			fail "a tag is set"
	fi
done
# This registry cannot forget a session that broke off within a request (it refuses the
# state of before, and there is no other); it was asked to, and purges them later.
for s in $(find last/data -path '*/_uploads/*' -name startedat); do
	s=$(basename "$(dirname "$s")")
	grep -q "DELETE /v2/.*$s" last/log || fail "upload session $s is left, and nobody wanted it deleted"
done
[ $interrupted -ge 4 ] || fail "only $interrupted commands could be interrupted"
pass "^C, $interrupted times: nothing half-written, no index, no tag"
"$cli" create "$open/big:1" >/dev/null 2>err && [ "$("$cli" index list "$open/big:1" --json | jq length)" = 1 ] ||
	fail "create after interruptions"
pass "the next run is as if nothing had been"
echo "1..$n"
