dnl SPDX-License-Identifier: GPL-2.0-or-later
dnl LZ_PROBE_CFLAGS(VARIABLE, FLAGS): append to VARIABLE each flag that the compiler takes.
AC_DEFUN([LZ_PROBE_CFLAGS], [
	for lz_flag in m4_normalize([$2]); do
		AC_MSG_CHECKING([whether $CC takes $lz_flag])
		lz_saved=$CFLAGS
		CFLAGS="$CFLAGS -Werror $lz_flag"
		AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
			[AC_MSG_RESULT([yes]); $1="$$1 $lz_flag"], [AC_MSG_RESULT([no])])
		CFLAGS=$lz_saved
	done
])
