#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The program's streams are its own: bytes in, bytes out, nothing added.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
head -c 300000 /dev/urandom >"$T/in"
cp "$T/in" "$T/second"
"$SONDE" run -o "$T/P.pb.gz" -- cat - "$T/second" <"$T/in" >"$T/out" 2>"$T/err"
is "status" $? 0
is_empty "stderr" "$T/err"
cat "$T/in" "$T/in" | cmp - "$T/out" || fail "the output differs"
# Nothing of ours is open in the program.
"$SONDE" run -o "$T/P.pb.gz" -- ls /proc/self/fd >"$T/fds" 2>"$T/err" </dev/null
"$(command -v env)" ls /proc/self/fd >"$T/bare" 2>"$T/err" </dev/null
cmp "$T/fds" "$T/bare" || fail "descriptors: $(tr '\n' ' ' <"$T/fds"), bare: $(tr '\n' ' ' <"$T/bare")"
