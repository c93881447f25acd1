#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# --user and --insecure against a scripted registry: given, asked for on a terminal, wrong,
# and for which of two registries; a certificate that nobody vouches for.
. "${SRCDIR:?}/tests/golden/cli.lib" python3 jq curl openssl
cleanup() { for pid in ${PLAIN_PID:-} ${TLS_PID:-}; do kill "$pid"; done; }
export DOCKER_CONFIG=$dir HOME=$dir
refused() { # TEXT COMMAND...: one line on stderr with TEXT
	"$cli" "${@:2}" >out 2>err </dev/null
	[ $? = 1 ] && [ "$(wc -l <err)" = 1 ] && grep -q "^lazyerofs: .*$1" err
}
"$top/tests/tools/platform-layout" l linux/amd64 linux/arm64 >manifests
tag="a/b:1=$(jq -r '.manifests[0].digest' l/index.json)"
coproc PLAIN { exec python3 "$top/tests/tools/scripted-registry" --content l/blobs --tag "$tag"; }
read -r _ port _ <&"${PLAIN[0]}"
plain=127.0.0.1:$port/a/b:1
ctl() { curl -fsS "http://127.0.0.1:$port/_ctl/$1" -d "$2" >/dev/null; }

for auth in basic bearer; do
	ctl set "{\"auth\": \"$auth\", \"user\": \"anna\", \"password\": \"se:cret\"}"
	refused "login" index list $plain --all-platforms
	ok $? "$auth: no password: $(cat err)"
	"$cli" index list $plain -p arm64 -u anna:se:cret >out 2>err
	ok $? "$auth: --user NAME:PASSWORD"
	refused "refused the password of user anna" index list $plain -p arm64 --user=anna:wrong && ! grep -q wrong err
	ok $? "$auth: a wrong one: $(cat err)"
done
"$cli" push $plain oci:p:t -u anna:se:cret >out 2>err && "$cli" create oci:p:t --all-platforms --min-layer-size 0 >out 2>err &&
	"$cli" push oci:p:t "${plain%:*}:2" -u anna:se:cret >out 2>err && "$cli" ztoc list --image "${plain%:*}:2" -p arm64 \
	-u anna:se:cret --json >out 2>err && [ "$(jq length out)" = 1 ]
ok $? "push there and back, ztoc list"
refused "no password, and no terminal" index list $plain -u anna
ok $? "no password: $(cat err)"
refused "name is empty" index list $plain -u :se:cret
ok $? "no name: $(cat err)"
refused "whose, of" push $plain docker.io/a/b -u anna:se:cret
ok $? "two registries: $(cat err)"
refused "whose, of" convert $plain docker.io/a/b -u anna:se:cret
ok $? "convert, too"
"$cli" push $plain "${plain%:*}:3" -u anna:se:cret >out 2>err
ok $? "one registry twice"
"$cli" ztoc info x -u anna >out 2>err; [ $? = 2 ] && "$cli" ztoc info x -k >out 2>err; [ $? = 2 ]
ok $? "of a file: $(cat err)"

# On a terminal it is asked for, and not shown.
cat >ask.py <<'PY'
import os, pty, select, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
seen = b""
sent = False
while select.select([fd], [], [], 20)[0]:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    seen += data
    if not sent and seen.endswith(b"Password of anna: "):
        os.write(fd, sys.argv[1].encode() + b"\n")
        sent = True
os.write(1, seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
python3 ask.py se:cret "$cli" index list $plain --all-platforms -u anna --json >out 2>err && grep -q "Password of anna:" out && ! grep -q "se:cret" out
ok $? "asked for: $(head -1 out)"
python3 ask.py wrong "$cli" index list $plain --all-platforms -u anna >out 2>err
[ $? = 1 ] && grep -q "refused the password of user anna" out && ! grep -q wrong out
ok $? "and wrong"

eval "exec ${PLAIN[1]}>&-"	# it ends with its input
wait "$PLAIN_PID"

# --- TLS ----------------------------------------------------------------------------------
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
	-addext subjectAltName=DNS:localhost >openssl.log 2>&1 || { cat openssl.log >&2; exit 1; }
coproc TLS { exec python3 "$top/tests/tools/scripted-registry" --content l/blobs --tag "$tag" --tls cert.pem key.pem; }
read -r _ port _ <&"${TLS[0]}"
tls=localhost:$port/a/b:1
refused "certificate" index list $tls -p arm64
ok $? "a certificate of nobody's: $(cat err)"
"$cli" index list $tls -p arm64 --insecure >out 2>err && "$cli" index list $tls -p arm64 -k >out 2>err && [ ! -s err ]
ok $? "--insecure"
"$cli" index list $tls -p arm64 --ca-file cert.pem >out 2>err
ok $? "or vouched for"
echo "1..$n"
exit $failed
