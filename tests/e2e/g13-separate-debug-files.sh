#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Separate debug files by build id and by debuglink.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
command -v objcopy >/dev/null || skip "binutils are not installed (apt-get install binutils)"
mkdir "$T/link" "$T/link/.debug"
cp "$PROGRAMS/inline" "$T/link/inline"
objcopy --only-keep-debug "$T/link/inline" "$T/link/.debug/inline.debug"
objcopy --strip-all --add-gnu-debuglink="$T/link/.debug/inline.debug" "$T/link/inline"
record_ok P -- "$T/link/inline" 500
profile stacks "$T/P.pb.gz" >"$T/stacks"
matches "by debuglink" "$T/stacks" 'inner < middle < outer < caller < main'
# Stripped with nothing beside it: a name for every frame all the same.
mkdir "$T/bare"
objcopy --strip-all "$PROGRAMS/inline" "$T/bare/inline"
record_ok Q -- "$T/bare/inline" 500
profile stacks "$T/Q.pb.gz" >"$T/stacks"
matches "module and offset" "$T/stacks" 'inline\+0x[0-9a-f]+ < '
# A debuglink whose file belongs to another program is not believed.
cp "$T/link/inline" "$T/bare/lie"
mkdir "$T/bare/.debug"
objcopy --only-keep-debug "$PROGRAMS/truth" "$T/bare/.debug/inline.debug"
record_ok R -- "$T/bare/lie" 500
profile names "$T/R.pb.gz" >"$T/names"
lacks "names of another program" "$T/names" 'hot_40_0|layer_1|one_round'
