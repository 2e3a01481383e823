#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# handler.sh - how long the handler of a profiler takes in a program that is really profiled, at 8 to 512 calls: sonde by
# tables and by copies, gperftools, async-profiler, interleaved; the medians of all runs' p50 and p99, in microseconds.
#
# Usage: handler.sh [REPETITIONS [MILLISECONDS]]
# libprofiler (libgoogle-perftools4) and async-profiler (libasyncProfiler.so, named in ASYNC_PROFILER) are left out where
# they are not installed.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
H=$SN_BUILD/tests/bench/handler
[ -x "$H" ] || skip "tests/bench/handler could not be built here"
repetitions=${1:-3}
ms=${2:-1000}
ways="table libunwind"
for gperf in /usr/lib/x86_64-linux-gnu /usr/lib/aarch64-linux-gnu /usr/lib64 /usr/lib; do
	gperf=$gperf/libprofiler.so.0
	[ ! -e "$gperf" ] || break
done
if [ -e "$gperf" ]; then ways="$ways gperftools"; else echo "libprofiler is not installed"; fi
if [ -e "${ASYNC_PROFILER:-}" ]; then ways="$ways async-profiler"; else echo "ASYNC_PROFILER names no library"; fi

measure()	# WAY CALLS
{
	case $1 in
	gperftools) CPUPROFILE=$T/gperf.prof CPUPROFILE_FREQUENCY=250 LD_PRELOAD=$gperf "$H" "$2" "$ms" 2>/dev/null ;;
	async-profiler)
		ASPROF_COMMAND="start,event=ctimer,interval=4ms,cstack=vm,file=$T/async.txt,collapsed" LD_PRELOAD=$ASYNC_PROFILER \
			"$H" "$2" "$ms" 2>/dev/null ;;
	*) "$SONDE" run --hz 250 --engine timer --unwind "$1" -o "$T/P.pb.gz" -- "$H" "$2" "$ms" ;;
	esac
}

for ((i = 0; i < repetitions; i++)); do
	for calls in 8 32 128 512; do
		for way in $ways; do
			measure "$way" "$calls" | sed "s/^/$way /" >>"$T/rows"
		done
	done
done
printf '%-16s %6s %9s %9s %9s %9s\n' handler calls samples 'p50 us' 'p90 us' 'p99 us'
sort -s -k2,2n -k1,1 -k6,6n "$T/rows" | awk '
	function done(  m)
	{
		m = int((n + 1) / 2)
		if (n > 0)
			printf "%-16s %6d %9d %9.2f %9.2f %9.2f\n", way, calls, count, p50[m] / 1000, p90[m] / 1000, p99[m] / 1000
		n = 0
		count = 0
	}
	{
		if ($1 != way || $2 != calls)
			done()
		way = $1; calls = $2; count += $4; n++
		p50[n] = $6; p90[n] = $8; p99[n] = $10
		if ($4 == 0) bad = 1
	}
	END { done(); exit bad }' || fail "a way took no sample"
