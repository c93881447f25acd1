#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# convert, byte for byte: what is kept of manifests, descriptors and indexes of images, and in
# which form; platforms; entries that are not converted; docker's types; converting again.
. "${SRCDIR:?}/tests/golden/cli.lib" python3
"$top/tests/tools/convert-layouts" . "$fx"/layers/{nodot2,whiteouts}.tar.gz || exit 1

convert() { # SRC DST OPTION...: of layouts
	rm -rf "$2"
	"$cli" convert "oci:$1:t" "oci:$2:t" --min-layer-size 0 "${@:3}" >out 2>err
}
cat >whole.py <<'PY'
# whole.py DIR: print the image index behind "t"; fails if a blob that hangs on it is missing or another
import hashlib, json, sys
def blob(d):
    data = open(f"{sys.argv[1]}/blobs/sha256/{d['digest'][7:]}", "rb").read()
    assert hashlib.sha256(data).hexdigest() == d["digest"][7:] and len(data) == d["size"], d
    return data
def walk(d):
    data = blob(d)
    if "manifest" in d["mediaType"] or "index" in d["mediaType"]:
        doc = json.loads(data)
        for x in doc.get("manifests", []) + doc.get("layers", []) + [doc[k] for k in ("config",) if k in doc]:
            walk(x)
    return data
entry, = [m for m in json.load(open(sys.argv[1] + "/index.json"))["manifests"] if m.get("annotations")]
assert entry["mediaType"] == "application/vnd.oci.image.index.v1+json", entry
sys.stdout.buffer.write(walk(entry) + b"\n")
PY

# --- the expected bytes -------------------------------------------------------------------
while IFS='|' read -r name options want; do
	# shellcheck disable=SC2086
	convert "$name" new $options && python3 whole.py new >got && cmp got <(printf '%s\n' "$want")
	ok $? "$name $options"
	# An image that stood alone is in an index of images now.
	# shellcheck disable=SC2086
	convert new again ${options:---all-platforms} && python3 whole.py again >got &&
		cmp got <(printf '%s\n' "$want")
	ok $? "and again"
done < <(sed '/^#/d; s/\t/|/; s/\t/|/' "$top/tests/golden/convert.golden")
[ $n -ge 58 ]
ok $? "all expectations were read"
if [ "$(uname -m)" = x86_64 ]; then
	convert platforms new && convert platforms again -p linux/amd64 && cmp new/index.json again/index.json
	ok $? "without an option: this machine's"
fi
convert platforms new -p linux/amd64 -p linux/amd64 && convert platforms again -p linux/amd64 &&
	cmp new/index.json again/index.json
ok $? "one platform asked for twice counts once"

# --- docker's types -----------------------------------------------------------------------
"$cli" create oci:list:t --all-platforms --min-layer-size 0 >/dev/null 2>&1
convert list new -p linux/amd64 && ! grep -l docker.distribution new/blobs/sha256/* &&
	! grep -l soci.index.v1 new/blobs/sha256/*
ok $? "a list of docker's: no manifest of docker's comes along, nor the SOCI index v1 of one"
"$cli" index list oci:new:t --all-platforms --json >list.json && [ "$(grep -c '"version": "v2"' list.json)" = 1 ] &&
	! grep -q '"version": "v1"' list.json
ok $? "and the others have none"
"$cli" create oci:platforms:t --all-platforms --min-layer-size 0 >/dev/null 2>&1
convert platforms new -p linux/amd64 && "$cli" index list oci:new:t --all-platforms --json >list.json &&
	[ "$(grep -c '"version": "v1"' list.json)" = 2 ]
ok $? "while OCI's others keep their v1"

# --- entries that are no manifests ---------------------------------------------------------
"$cli" push oci:note:t oci:pushed:t >out 2>err && cmp note/blobs/sha256/2cf2* pushed/blobs/sha256/2cf2*
ok $? "push: an entry that is no manifest goes as a blob"
rm note/blobs/sha256/2cf2*
"$cli" push oci:note:t oci:less:t >out 2>err && grep -q "sha256:2cf24dba.* is not in the layout: left out" err &&
	! grep -q 2cf24dba less/blobs/sha256/* && grep -q ref.name less/index.json
ok $? "push: one that is not there is left out of the index: $(grep lazyerofs: err)"

# --- values of another type ----------------------------------------------------------------
cat >spoil.py <<'PY'
# spoil.py NAME JSON: annotations of the image manifest of the layout "annotations", in a layout NAME
import hashlib, json, shutil, sys
name, value = sys.argv[1:]
shutil.copytree("annotations", name)
top = json.load(open(name + "/index.json"))
entry = top["manifests"][0]
doc = json.load(open(f"{name}/blobs/sha256/{entry['digest'][7:]}"))
doc.update(json.loads(value))
data = json.dumps(doc).encode()
entry.update(digest="sha256:" + hashlib.sha256(data).hexdigest(), size=len(data))
open(f"{name}/blobs/sha256/{entry['digest'][7:]}", "wb").write(data)
json.dump(top, open(name + "/index.json", "w"))
PY
for bad in '{"annotations": {"a": 1}}' '{"annotations": []}' '{"artifactType": 1}' '{"subject": "x"}' \
	'{"subject": {"data": "!"}}' '{"subject": {"platform": []}}' '{"subject": {"size": "1"}}'; do
	rm -rf bad
	python3 spoil.py bad "$bad"
	convert bad new
	[ $? = 1 ] && grep -q "another type than OCI" err && ! grep -q ref.name new/index.json
	ok $? "refused: $bad"
done
echo "1..$n"
exit $failed
