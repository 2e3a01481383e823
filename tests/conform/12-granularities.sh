#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 12: every granularity opens with the same total.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P -- "$PROGRAMS/inline" 800
pprof_ok functions -functions -top "$P"
want=$(pprof_total functions)
at_least "total" "$want" 500000000
for g in addresses files filefunctions lines noinlines; do
	if [ "$g" = noinlines ]; then
		pprof_ok $g -noinlines -top "$P"
	else
		pprof_ok $g -$g -top "$P"
	fi
	is "total by -$g" "$(pprof_total $g)" "$want"
done
