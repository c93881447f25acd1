#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ztoc-build.sh - our builder against Debian's real `soci` 0.4.1, layer by layer: every
# layer of the fixtures, every oddity of tar and gzip, random mixtures of them. Same bytes,
# or both refuse. Mixtures: SEED=n COUNT=n (1, 40).
set -uo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$top/tests/tools/get-soci" >/dev/null || { echo "the soci package cannot be had"; exit 77; }
cp "$top"/tests/fixtures/soci/layers/*.tar* "$dir"
rm "$dir"/zstd.tar.zst	# soci leaves zstd layers out of its index, without an error
"$top/tests/tools/odd-layers" "$dir" "${SEED:-1}" "${COUNT:-40}" >/dev/null || exit 1
"$top/tests/tools/with-soci" "$top/tests/tools/soci-compare" "$dir"
