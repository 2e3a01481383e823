#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A program of 5 s costs more than its budget: the rate falls, outside and inside, and the profile still adds up to
# getrusage; it says which rates were in force and what they cost, as does the log.  A rate that was named is kept,
# unless a budget is named too; with off it never falls.  A span behind the change adds up and is of its own rate.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
program=("$PROGRAMS/truth" -t 1 -s 5)
rate()	# NAME: its line about rates
{
	profile comments "$T/$1.pb.gz" | grep '^# rate: '
}
changes()	# NAME
{
	profile number "$T/$1.pb.gz" rate_changes
}
# Of the asked rate, then of the lower one; and all of it is there.
fell()	# NAME ASKED
{
	at_least "$1: changes of the rate" "$(changes "$1")" 1
	matches "$1: rates" <(rate "$1") "^# rate: $2Hz [0-9.]+s, [0-9.]+Hz [0-9.]+s.* \(budget [0-9.]+%, cost [0-9.]+%\)$"
	near "$1: CPU time" "$(profile total "$T/$1.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/$1.out")" 1
	matches "$1: period" <(profile types "$T/$1.pb.gz") "$((1000000000 / $2))"
}
# One rate from its start to its end.
kept()	# NAME ASKED BUDGET
{
	is "$1: changes of the rate" "$(changes "$1")" 0
	matches "$1: rates" <(rate "$1") "^# rate: $2Hz [0-9.]+s \(budget $3, cost [0-9.]+%\)$"
}

record_ok default --budget 0.05 --log "$T/log" -- "${program[@]}"
fell default 100
matches "log" "$T/log" '^sonde: process [0-9]+: [0-9.]+Hz after 100Hz, which cost [0-9.]+% of its CPU time; budget 0.05%$'
is "lines in the log" "$(grep -c 'Hz after' "$T/log")" "$(changes default)"
matches "own cost" <(profile comments "$T/default.pb.gz") '^sonde: .* handler=[0-9.]+% delivery=[0-9.]+% collector=[0-9.]+%'

# The first comment's rate is what the samples say it is.
effective=$(profile comments "$T/default.pb.gz" | sed -n 's/^sonde: .*effective=\([0-9.]*\)Hz.*/\1/p')
at_most "effective rate" "$effective" 90
near "effective rate" "$(awk -v n="$(profile number "$T/default.pb.gz" samples)" -v ns="$(profile total "$T/default.pb.gz")" \
	'BEGIN { print n * 1e9 / ns }')" "$effective" 5

record_ok both --hz 200 --budget 0.05 -- "${program[@]}"
fell both 200
record_ok named --hz 200 -- "$PROGRAMS/truth" -t 1 -s 3
kept named 200 'none, the rate was named'
record_ok off --budget off -- "$PROGRAMS/truth" -t 1 -s 3
kept off 100 off

SONDE_BUDGET=0.05 SONDE_FILE=$T/inside.pb.gz LD_PRELOAD=$LIBSONDE "${program[@]}" >"$T/inside.out" 2>"$T/inside.err" ||
	fail "inside: exit status $?"
is_empty "inside: stderr" "$T/inside.err"
valid "$T/inside.pb.gz"
fell inside 100

command -v curl >/dev/null || exit 0
serve spans outside SONDE_BUDGET=0.05 "SONDE_LOG=$T/spans.log" -- "$PROGRAMS/truth" -t 2 -s 120
until_true grep -q 'Hz after 100Hz' "$T/spans.log"
fetch behind "profile?seconds=2"
matches "span behind the change" <(rate behind) '^# rate: [0-9.]+Hz '
lacks "span behind the change" <(rate behind) '100Hz'
fetch across "profile?last=60"
matches "span across the change" <(rate across) '^# rate: 100Hz [0-9.]+s, [0-9.]+Hz '
for name in behind across; do
	cpu=$(profile comments "$T/$name.pb.gz" | sed -n "s/^# kernel's CPU time of the process: \([0-9.]*\) s/\1/p")
	total=$(profile total "$T/$name.pb.gz")
	# What is less than a period of 10 ms is left out, and there may be little CPU time to be had here.
	at_least "$name: CPU time" "$total" "$(awk -v s="$cpu" 'BEGIN { printf "%.0f", s * 0.99e9 - 1e7 }')"
	at_most "$name: CPU time" "$total" "$(awk -v s="$cpu" 'BEGIN { printf "%.0f", s * 1.01e9 + 1e7 }')"
done
stop_served
