#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# sonde check: a line for each thing, in one form; its status says whether CPU profiling works, and it tells when not.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
check()	# NAME [COMMAND...]
{
	local name=$1

	shift
	"$@" "$SONDE" check >"$T/$name.out" 2>"$T/$name.err" </dev/null
	echo $? >"$T/$name.rc"
	is_empty "$name: stderr" "$T/$name.err"
	is "$name: lines that have another form" "$(grep -cvE '^(ok|limited|no) +[a-z_/ ]+: .+' "$T/$name.out")" 0
	[ "$(wc -l <"$T/$name.out")" -eq 12 ] || fail "$name: $(wc -l <"$T/$name.out") lines, wanted 12"
}
check plain
status_is plain 0		# the other tests need it as well
for what in 'cpu timer' rate kernel libraries memory /proc; do
	matches "$what works" "$T/plain.out" "^(ok|limited) +$what: "
done
matches "signals were counted" "$T/plain.out" 'cpu timer: [1-9][0-9]* signals'
# No signal may be queued: no timer can be made, and it says what would help.
check nosignals prlimit --sigpending=0
if [ "$(id -u)" -ne 0 ] || ! grep -q '^ok *cpu timer' "$T/nosignals.out"; then
	status_is nosignals 1
	matches "the remedy" "$T/nosignals.out" '^no +cpu timer: .*ulimit -i'
fi
# Little address space: fewer threads, still a profile.
check small prlimit --as=200000000
status_is small 0
matches "fewer threads" "$T/small.out" '^limited +memory: .*for [0-9]+ threads.*ulimit -v'
"$SONDE" check --no-such >"$T/out" 2>"$T/err"
is "usage: status" $? 2
lines_are "usage" "$T/err" 1
"$SONDE" check --help >"$T/out" 2>"$T/err"
is "help: status" $? 0
is_empty "help: stderr" "$T/err"
matches "help" "$T/out" '^usage: sonde check'
