#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# An external library's header is included in one room only. PATTERN | FILES THAT MAY.
cd "${SRCDIR:-.}" || exit 99
fail=0
check() {
	bad=$(grep -rlE "#[[:space:]]*include[[:space:]]*<($1)" --include='*.c' --include='*.h' \
		lib mkfs daemon cli bench tests 2>/dev/null | grep -vE "^($2)$")
	if [ -n "$bad" ]; then
		echo "<$1> may be included only in $2, but is in:"
		echo "$bad"
		fail=1
	fi
}
check 'nettle/' 'lib/base/digest\.c'
check 'zlib\.h' 'lib/ztoc/(inflate_zlib|gzindex)\.c|tests/.*'
check 'isa-l' 'lib/ztoc/inflate_isal\.c'
check 'jansson\.h' '(lib/oci|cli|daemon/control)/[a-z_]*\.[ch]|tests/.*'
check 'curl/' 'lib/oci/http[a-z_]*\.[ch]'
check 'liburing\.h' 'daemon/loop/[a-z_]*\.c'
check 'erofs/' 'mkfs/bootstrap[a-z_]*\.c'
check 'seccomp\.h|sys/capability\.h' '(mkfs|daemon)/sandbox[a-z_]*\.c'
check 'linux/landlock\.h' '(mkfs|daemon)/sandbox[a-z_]*\.c'
exit $fail
