#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A program for another libc (musl's loader): 125.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
cc=$(command -v gcc || command -v cc) || skip "no C compiler"
echo 'int main(void) { return 0; }' >"$T/m.c"
"$cc" -o "$T/musl" "$T/m.c" -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1 2>"$T/cc" || skip "cannot link: $(cat "$T/cc")"
record P -- "$T/musl"
refused P 125 'musl|libc|glibc'
