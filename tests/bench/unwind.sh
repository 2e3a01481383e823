#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# unwind.sh - the walk of a stack in a signal handler: by tables beside libunwind, libgcc and frame pointers, hot and
# with flushed caches, at 8, 32 and 128 calls; the stack that it uses; the system calls that it makes.
#
# Usage: unwind.sh [REPETITIONS]
# Each figure is the median of so many processes' medians; ratios are to the tables.  strace is needed for the last part.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
B=$SN_BUILD/tests/bench
[ -x "$B/unwind" ] || skip "tests/bench/unwind could not be built here"
repetitions=${1:-7}

for ((i = 0; i < repetitions; i++)); do
	"$B/unwind" time >>"$T/plain" || fail "unwind time"
	"$B/unwind_fp" time >>"$T/framed" || fail "unwind_fp time"
done
# What it was built with decides what frame pointers find.
{
	grep -v ' fp ' "$T/plain"
	grep ' fp ' "$T/framed"
} | sort -s -k1,1 -k3,3n -k2,2 -k5,5n >"$T/rows"
awk '
	function done()
	{
		if (n > 0) {
			ns[key] = v[int((n + 1) / 2)]
			frames[key] = f
		}
		n = 0
	}
	{ k = $1 " " $3 " " $2; if (k != key) done(); key = k; v[++n] = $5; f = $4 }
	END {
		done()
		m = split("table fp unw_step unw_backtrace _Unwind_Backtrace push", method, " ")
		printf "%-5s %5s %-18s %7s %10s %12s\n", "", "calls", "walk", "frames", "ns", "of the table"
		for (h = 0; h < 2; h++)
			for (d = 8; d <= 128; d *= 4)
				for (i = 1; i <= m; i++) {
					key = (h ? "cold" : "hot") " " d " " method[i]
					table = ns[(h ? "cold" : "hot") " " d " table"]
					printf "%-5s %5d %-18s %7d %10d %12.2f\n", h ? "cold" : "hot", d, method[i],
						frames[key], ns[key], ns[key] / (table > 0 ? table : 1)
				}
	}' "$T/rows"
echo 'push: clocks, walk and record, as the handler does it.  fp: of a build with frame pointers.'

printf '\nbytes of stack, beyond a handler that does nothing (at the first sample of a process)\n'
"$B/unwind" stack | awk '$2 == "frame-of-the-kernel" { print "  (the kernel'"'"'s frame and that handler: " $3 ")" }
	$4 == "first" { printf "  %-18s %6d (%d)\n", $2, $3, $5 } $2 == "sn_handler" { printf "  %-18s %6d\n", "whole handler", $3 }'

printf '\nsystem calls a sample, beside the signal itself\n'
if ! command -v strace >/dev/null; then
	echo "  strace is not installed"
else
	for walk in table push unw_step unw_backtrace _Unwind_Backtrace; do
		timeout -k 5 60 strace -qq -o "$T/strace" "$B/unwind" calls "$walk" 100 || fail "strace of $walk"
		awk -v walk="$walk" '/^getppid/ { marks++ } marks == 1 && !/^(getppid|rt_tgsigqueueinfo|rt_sigreturn|---)/ { n++ }
			END { printf "  %-18s %8.2f\n", walk, n / 100; exit marks != 2 }' "$T/strace" || fail "no marks in the strace of $walk"
	done
	# A program that is really profiled: what its thread calls in the second half of its ticks.  Under strace the tables
	# come late, and until then stacks are copied, which probes a page.
	timeout -k 5 60 strace -qq -f -o "$T/strace" "$SONDE" run -o "$T/P.pb.gz" --hz 250 -- "$PROGRAMS/deep" 32 3000 >/dev/null ||
		fail "strace of a profiled program"
	awk '/SIGPROF/ { at[$1, ++ticks[$1]] = NR; if (ticks[$1] > ticks[most]) most = $1 }
		{ line[NR] = $0 }
		END {
			half = int(ticks[most] / 2)
			for (i = at[most, half]; i < at[most, ticks[most]]; i++) {
				split(line[i], w, " ")
				if (w[1] == most && line[i] !~ /SIGPROF|rt_sigreturn|clock_gettime/)
					n++
			}
			printf "  %-18s %8.2f\n", "sonde run", n / (half > 0 ? half : 1)
			exit half < 50
		}' "$T/strace" || fail "no ticks in the strace of a profiled program"
fi
