#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Debian's docker-registry as others run it: plain on loopback; with a password (htpasswd);
# with TLS under an authority of its own. An image and its SOCI index go in, are found
# again, ranges are read. The registry is the real program, not ours.
set -euo pipefail
top=${SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${BUILDDIR:-$top/build}
for p in docker-registry htpasswd openssl python3; do
	command -v $p >/dev/null || { echo "no $p"; exit 77; }
done
make -s -C "$build" tests/oci/oci_tool >&2
tool=$build/tests/oci/oci_tool

work=$(mktemp -d)
pids=()
cleanup() {
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
	wait 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
n=0
fail() { echo "FAILED: $*"; sed 's/^/    /' "$work"/registry*.log | tail -n 5; exit 1; }
pass() { n=$((n + 1)); echo "ok $n - $*"; }
free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }

# start NAME [EXTRA YAML]: $port is where it listens
start() {
	local name=$1 extra=${2:-} http=${3:-}
	port=$(free_port)
	cat >"$work/$name.yml" <<-YML
	version: 0.1
	log: {level: warn}
	storage: {filesystem: {rootdirectory: $work/data}, delete: {enabled: true}}
	http:
	  addr: 127.0.0.1:$port
	$http
	$extra
	YML
	docker-registry serve "$work/$name.yml" >"$work/registry-$name.log" 2>&1 &
	pids+=($!)
	for _ in $(seq 100); do
		python3 -c "import socket; socket.create_connection(('127.0.0.1', $port), 1)" 2>/dev/null && return
		sleep 0.05
	done
	fail "docker-registry ($name) does not start"
}

# The source: the fixture image, in a layout made from the scripted registry's content.
coproc SCRIPTED { exec python3 "$top/tests/tools/scripted-registry" --content "$top/tests/fixtures/soci" \
	--tag fix/main:v1=sha256:430749d89e61796dbef5eecac1d5dbf02c350bea70e17274fb2411aea8921077; }
read -r ready sport _ <&"${SCRIPTED[0]}"
pids+=("$SCRIPTED_PID")
[ "$ready" = READY ] || fail "scripted registry"
# Two indexes whose zTOCs are not among the fixtures.
curl -sf -d '{"digest":"sha256:0254f0d1f28dc04acfcf3cf4fa71c57ded1436e9aa0fcea6a23e2183e2711e78"}' \
	"http://127.0.0.1:$sport/_ctl/drop" >/dev/null
src=127.0.0.1:$sport/fix/main:v1
want="sha256:430749d89e61796dbef5eecac1d5dbf02c350bea70e17274fb2411aea8921077 linux/amd64 6 layers, 5 zTOCs"

start plain
"$tool" copy "$src" "127.0.0.1:$port/fix/main:v1" || fail "copy into a plain registry"
got=$("$tool" resolve "127.0.0.1:$port/fix/main:v1")
# docker-registry 2.8 knows no referrers: the index is found by the fallback tag.
[ "$got" = "$want, index: fallback-tag" ] || fail "plain: $got"
pass "plain: pushed, found by the fallback tag"
"$tool" copy "$src" "127.0.0.1:$port/fix/pieces:v1" 500000 || fail "copy in pieces"
[ "$("$tool" resolve "127.0.0.1:$port/fix/pieces:v1")" = "$want, index: fallback-tag" ] || fail pieces
pass "plain: pushed in pieces"
"$tool" range "127.0.0.1:$port/fix/main:v1" 0 100000 250000 >"$work/range"
cmp "$work/range" <(tail -c +100001 "$top/tests/fixtures/soci/layers/base.tar.gz" | head -c 250000) ||
	fail "range differs"
pass "plain: a range of a layer"
"$tool" resolve "127.0.0.1:$port/no/such:v1" 2>"$work/err" && fail "resolved what is not there"
grep -q "not there (404)" "$work/err" || fail "404: $(cat "$work/err")"
pass "plain: an image that is not there: $(cat "$work/err")"
plain_port=$port

htpasswd -Bbn tester pass:word >"$work/htpasswd"
start basic "auth: {htpasswd: {realm: basic, path: $work/htpasswd}}"
mkdir "$work/docker"
auth=$(printf 'tester:pass:word' | base64)
printf '{"auths":{"127.0.0.1:%d":{"auth":"%s"}}}' "$port" "$auth" >"$work/docker/config.json"
got=$("$tool" --config "$work/docker" resolve "127.0.0.1:$port/fix/main:v1")
[ "$got" = "$want, index: fallback-tag" ] || fail "basic: $got"
pass "password: config.json"
"$tool" resolve "127.0.0.1:$port/fix/main:v1" 2>"$work/err" && fail "no password was needed"
grep -q "wants a login.*docker login 127.0.0.1:$port" "$work/err" || fail "$(cat "$work/err")"
pass "password: none: $(cat "$work/err")"
printf '{"auths":{"127.0.0.1:%d":{"auth":"%s"}}}' "$port" "$(printf 'tester:wrong' | base64)" \
	>"$work/docker/config.json"
"$tool" --config "$work/docker" resolve "127.0.0.1:$port/fix/main:v1" 2>"$work/err" && fail "wrong password taken"
grep -q "refused the password of user tester" "$work/err" || fail "$(cat "$work/err")"
! grep -q wrong "$work/err" || fail "the password is in the message"
pass "password: wrong: $(cat "$work/err")"

openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=test authority" \
	-keyout "$work/ca.key" -out "$work/ca.crt" 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj "/CN=localhost" -keyout "$work/tls.key" -out "$work/tls.csr" 2>/dev/null
openssl x509 -req -in "$work/tls.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 2 \
	-extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1") -out "$work/tls.crt" 2>/dev/null
start tls "" "  tls: {certificate: $work/tls.crt, key: $work/tls.key}"
got=$("$tool" --ca "$work/ca.crt" resolve "localhost:$port/fix/main:v1") || fail "TLS with ca_file"
[ "$got" = "$want, index: fallback-tag" ] || fail "TLS: $got"
pass "TLS: authority given"
"$tool" resolve "localhost:$port/fix/main:v1" 2>"$work/err" && fail "an unknown authority was trusted"
grep -qi "certificate" "$work/err" || fail "$(cat "$work/err")"
pass "TLS: unknown authority: $(cat "$work/err")"
mkdir -p "$work/certs.d/localhost:$port" "$work/hosts.d/localhost_${port}_"
cp "$work/ca.crt" "$work/certs.d/localhost:$port/ca.crt"
[ "$("$tool" --hosts "$work/certs.d" resolve "localhost:$port/fix/main:v1")" = "$want, index: fallback-tag" ] ||
	fail "certs.d"
pass "TLS: authority from certs.d"
cp "$work/ca.crt" "$work/hosts.d/localhost_${port}_/own.pem"
cat >"$work/hosts.d/localhost_${port}_/hosts.toml" <<TOML
server = "https://localhost:$port"
ca = "own.pem"

[host."http://127.0.0.1:$plain_port"]
  capabilities = ["pull", "resolve"]
TOML
[ "$("$tool" --hosts "$work/hosts.d" resolve "localhost:$port/fix/main:v1")" = "$want, index: fallback-tag" ] ||
	fail "hosts.toml"
pass "hosts.toml: a mirror first, the authority of the registry"
"$tool" --hosts "$work/hosts.d" copy "$src" "localhost:$port/fix/tls:v1" || fail "push over TLS"
[ "$("$tool" --ca "$work/ca.crt" resolve "localhost:$port/fix/tls:v1")" = "$want, index: fallback-tag" ] ||
	fail "pushed over TLS"
pass "TLS: pushed, to the registry and not to the mirror"
echo "1..$n"
