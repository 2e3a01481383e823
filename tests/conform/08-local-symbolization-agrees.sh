#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 8: without our symbols pprof finds the same stacks from the mappings (PIE, fixed, library).
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
command -v addr2line >/dev/null || skip "binutils are not installed (apt-get install binutils)"
for program in dso_pie dso_nopie; do
	record_ok "$program" --symbolize none -- "$PROGRAMS/$program" 800
	pprof -symbolize=local -traces "$T/$program.pb.gz" >"$T/$program.txt" 2>"$T/perr" || fail "pprof: $(cat "$T/perr")"
	awk '{ sub(/^ *[0-9.]+m?s +/, ""); sub(/^ +/, ""); print }' "$T/$program.txt" >"$T/frames"
	main=" main"
	new_pprof || main=
	for chain in "dso_hot dso_entry both$main" "exe_hot both$main"; do
		tr '\n' ' ' <"$T/frames" | grep -q "$chain" || fail "$program: no '$chain' in: $(head -40 "$T/$program.txt")"
	done
done
