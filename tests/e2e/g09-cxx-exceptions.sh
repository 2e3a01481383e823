#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Exceptions thrown under samples are caught as ever; templates and lambdas have names.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program cxx "no C++ compiler"
record_ok P --hz 1000 -- "$PROGRAMS/cxx" 1500
is "what it says" "$(cat "$T/P.out")" "caught 1 sorted 1"
profile names "$T/P.pb.gz" >"$T/names"
matches "a template" "$T/names" '^foo::bar'
matches "std::sort" "$T/names" 'std::.*sort'
lacks "mangled names" "$T/names" '^_Z'
