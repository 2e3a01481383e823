#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# main that ends before its threads, and many programs in one process id: no CPU time counted twice or not at all.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program manners

"$SONDE" run -o "$T/M.pb.gz" -- "$PROGRAMS/manners" main-exit
total=$(profile total "$T/M.pb.gz")
at_least "main and its thread" "$total" 1250000000
[ "$total" -lt 1400000000 ] || fail "1.3 CPU seconds show as $total ns"
"$SONDE" run -o "$T/E.pb.gz" -- "$PROGRAMS/manners" exec-self 10 >"$T/said"
total=$(profile total "$T/E.pb.gz")
at_least "eleven programs" "$total" 640000000
[ "$total" -lt 800000000 ] || fail "0.66 CPU seconds show as $total ns"
unseen=$(profile flat "$T/E.pb.gz" '[not sampled]')
[ "$((unseen * 100 / total))" -lt 20 ] || fail "$unseen ns of $total not sampled in eleven short programs"
