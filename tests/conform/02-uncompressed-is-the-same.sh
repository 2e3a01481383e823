#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 2: the uncompressed message reads as the compressed one.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
usual
zcat "$P" >"$T/R" || fail "zcat"
pprof_ok a -raw "$P"
pprof_ok b -raw "$T/R"
cmp "$T/a.txt" "$T/b.txt" || fail "-raw differs"
