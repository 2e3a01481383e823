#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 6: pprof needs no binary to name everything.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
usual
pprof_ok none -symbolize=none -top "$P"
pprof_ok top -top "$P"
cmp "$T/none.txt" "$T/top.txt" || fail "-symbolize=none shows something else"
