/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz.h - a fuzz harness is one file with this one function.
 *
 * To add one for a parser X: write fuzz_X.c (a comment line "fuzz-sources:" lists what
 * tests/fuzz/run compiles with it, "fuzz-libs:" what it links), put small inputs into
 * corpus/X/, and add fuzz_X to tests/fuzz/Makemodule.am as its neighbours do.
 * `make check` replays the corpus; `tests/fuzz/run X SECONDS` searches with libFuzzer.
 * A crash it finds is fixed, and its input goes to corpus/X or tests/golden/should-fail.
 */
#ifndef LZ_TESTS_FUZZ_H
#define LZ_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Always returns 0; a defect is a crash, a sanitizer's report or an abort(). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#endif
