#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A handler that walks by tables makes no system call but its return.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
command -v strace >/dev/null || skip "strace is not installed (apt-get install strace)"
strace -o "$T/probe" true 2>/dev/null || skip "strace cannot trace here"

# What is called between a signal and its return, in the second half of the samples: tables are there by then.
calls_in_handlers()	# TRACE
{
	awk -v half="$(($(grep -c '^--- SIGPROF' "$1") / 2))" '
		/^--- SIGPROF/ { inside = 1; n++; next }
		/^rt_sigreturn/ { inside = 0; next }
		inside && n > half { print }' "$1"
}

for engine in timer perf; do
	for unwind in table fp; do
		rm -f "$T"/trace.* "$T/P.pb.gz"
		strace -ff -o "$T/trace" "$SONDE" run -o "$T/P.pb.gz" --engine $engine --hz 1000 --unwind $unwind -- "$PROGRAMS/burner" -m 1000 \
			>"$T/out" 2>&1 </dev/null || fail "$engine, $unwind: status $?, $(cat "$T/out")"
		valid "$T/P.pb.gz"
		seen=0
		for trace in "$T"/trace.*; do
			n=$(grep -c '^--- SIGPROF' "$trace")
			[ "$n" -ge 40 ] || continue
			seen=1
			calls_in_handlers "$trace" >"$T/calls"
			is_empty "$engine, $unwind: calls in handlers of $n samples" "$T/calls"
		done
		is "$engine, $unwind: a thread with samples" $seen 1
	done
done
