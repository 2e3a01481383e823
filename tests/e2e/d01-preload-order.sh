#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Our library is first in LD_PRELOAD, by its absolute path; the user's stay.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
user=$PROGRAMS/libuserpreload.so
need_program libuserpreload.so
LD_PRELOAD=$user USERPRELOAD_FILE=$T/order "$SONDE" run -o "$T/P.pb.gz" -- "$PROGRAMS/burner" -m 100 2>"$T/err"
is "status" $? 0
is_empty "stderr" "$T/err"
exists "the user's library ran" "$T/order"
matches "order" "$T/order" "^/[^ :]*/libsonde\.so\.1[: ]$user\$"
valid "$T/P.pb.gz"
at_least "CPU time seen" "$(profile total "$T/P.pb.gz")" 80000000
