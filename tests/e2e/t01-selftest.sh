#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# sonde selftest: every section is there, totals are the kernel's, the status says that sampling works, nothing is left
# behind; and it says when sampling is broken.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
mkdir "$T/tmp"
TMPDIR=$T/tmp timeout -k 5 170 "$SONDE" selftest >"$T/out" 2>"$T/err" </dev/null
is "status (last line: $(tail -n 1 "$T/out"))" $? 0
is_empty "stderr" "$T/err"
is "files left" "$(ls "$T/tmp")" ""
for section in machine engines unwinders 'sample: ' 'truth: ' 'overhead: ' 'verdict: sampling works here'; do
	matches "a section" "$T/out" "^$section"
done
lacks "verdict" "$T/out" 'BROKEN'
matches "engines" "$T/out" '^  timer +ok +[1-9][0-9]* samples'
for what in perf itimer auto table fp libunwind; do
	matches "engine or unwinder" "$T/out" "^  $what +(ok|no) +[^ ]"
done
for depth in 8 32 128; do
	matches "a sample at $depth calls" "$T/out" "^  table +$depth +([0-9]+ +){8}complete\$"
done
# profiler Hz got of samples lost share chance thread total handler
sed -n '/^truth/,/^overhead/p' "$T/out" >"$T/truth"
for hz in 100 1000 4000; do
	read -r -a row < <(grep -E "^  sonde +$hz " "$T/truth")
	[ "${#row[@]}" -ge 11 ] || fail "no row for $hz Hz: ${row[*]}"
	at_most "$hz Hz: lost" "${row[5]}" 0
	at_least "$hz Hz: the total's error in percent" "${row[9]}" -3
	at_most "$hz Hz: the total's error in percent" "${row[9]}" 3
	matches "an overhead at $hz Hz" "$T/out" "^  sonde +$hz +(< noise |[-+])[0-9.]+ %"
done
for peer in gperftools perf async-profiler; do
	is "sections that name $peer" "$(grep -cE "^  $peer +(100 |not installed)" "$T/out")" 2
done

# A library that cannot be loaded: no sample is taken, and it says so.
mkdir "$T/bin" "$T/lib"
cp "$SONDE" "$T/bin/sonde" || fail "cannot copy the command"
echo nothing >"$T/lib/libsonde.so.1"
"$T/bin/sonde" selftest >"$T/none.out" 2>"$T/none.err" </dev/null
is "status when nothing is sampled" $? 1
matches "what is wrong" "$T/none.out" '^  BROKEN: '
matches "verdict" "$T/none.out" '^verdict: something is BROKEN'

"$SONDE" selftest --no-such >"$T/out" 2>"$T/err"
is "usage: status" $? 2
lines_are "usage" "$T/err" 1
"$SONDE" selftest --help >"$T/out" 2>"$T/err"
is "help: status" $? 0
is_empty "help: stderr" "$T/err"
matches "help" "$T/out" '^usage: sonde selftest'
