#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# --symbolize none, functions, lines.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok L -- "$PROGRAMS/inline" 500
record_ok F --symbolize functions -- "$PROGRAMS/inline" 500
record_ok N --symbolize none -- "$PROGRAMS/inline" 500
profile stacks "$T/L.pb.gz" >"$T/L.stacks"
matches "lines" "$T/L.stacks" 'inner < middle < outer < caller < main'
profile stacks "$T/F.pb.gz" >"$T/F.stacks"
matches "functions" "$T/F.stacks" ' outer < caller < main'
lacks "functions: inlines" "$T/F.stacks" 'inner'
profile stacks "$T/N.pb.gz" >"$T/N.stacks"
lacks "none: names" "$T/N.stacks" 'outer|caller'
matches "none: addresses" "$T/N.stacks" '0x[0-9a-f]+ < 0x[0-9a-f]+'
profile mappings "$T/N.pb.gz" >"$T/mappings"
matches "none: build id and no flag" "$T/mappings" '^1 .* [0-9a-f]{16,} - .*/inline$'
