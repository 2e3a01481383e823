#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# scale.sh - 10,000 threads of which 100 are busy: what starting them takes beside the bare program, what a thread at
# rest costs in memory, what the collector costs while nothing happens and while 100 are busy, and what of it is seen.
#
# Usage: scale.sh [THREADS [BUSY [MILLISECONDS_EACH [SECONDS_AT_REST]]]]
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
# shellcheck source=../lib/manythreads.sh
. "$SN_SRC/tests/lib/manythreads.sh"
threads=${1:-10000}
busy=${2:-100}
each=${3:-100}
rest=${4:-15}
failed=0
for limit in -u -i; do
	[ "$(ulimit $limit)" = unlimited ] || [ "$(ulimit $limit)" -gt $((threads + 1000)) ] || skip "ulimit $limit is too small"
done

# Resident KiB of the program and of a collector outside.
memory()	# NAME PLACE
{
	echo "$(said "$1" rest) $([ "$2" = outside ] && awk '/^VmRSS/ { print $2 }' "/proc/$MANY/status" || echo 0)"
}

# Collector's share of a core between two readings of its clock.
share()	# NS_BEFORE NS_AFTER WALL_NS
{
	awk -v a="$1" -v b="$2" -v w="$3" 'BEGIN { printf "%.2f", 100 * (b - a) / w }'
}

printf '%-8s %10s %14s %16s %10s %10s %10s %8s %8s\n' '' 'start ms' 'KiB a thread' 'collector KiB' 'at rest %' 'busy %' \
	unsampled lost 'sum off %'
for place in bare outside inside; do
	many_at_rest few $place -n "$busy" -k "$busy" -m 1
	few=$(memory few $place)
	many_burn few
	many_end few
	many_at_rest M $place -n "$threads" -k "$busy" -m "$each"
	kib=$(memory M $place)
	sleep 10				# until each has been looked at once
	ns=$(collector_ns $place "$MANY")
	began=$(date +%s%N)
	sleep "$rest"
	at_rest=$(share "$ns" "$(collector_ns $place "$MANY")" $(($(date +%s%N) - began)))
	ns=$(collector_ns $place "$MANY")
	many_burn M
	at_work=$(share "$ns" "$(collector_ns $place "$MANY")" "$(said M burn)")
	own=0					# inside, the kernel's figure has our thread in it
	[ $place != inside ] || own=$(collector_ns $place "$MANY")
	many_end M
	if [ $place = bare ]; then
		bare_start=$(said M start)
		bare_kib="$few $kib"
		unsampled=0 lost=0 off=0
	else
		unsampled=$(profile number "$T/M.pb.gz" unsampled_threads)
		lost=$(profile number "$T/M.pb.gz" lost)
		off=$(awk -v t="$(profile total "$T/M.pb.gz")" -v r=$(($(said M rusage) - own)) 'BEGIN { printf "%+.2f", 100 * (t - r) / r }')
	fi
	awk -v place=$place -v start="$(said M start)" -v bare="$bare_start" -v mem="$few $kib" -v bare_mem="$bare_kib" -v n=$((threads - busy)) \
		-v rest="$at_rest" -v work="$at_work" -v unsampled="$unsampled" -v lost="$lost" -v off="$off" 'BEGIN {
			split(mem, m); split(bare_mem, b)
			mine = (m[3] - m[1] - (b[3] - b[1])) / n; theirs = (m[4] - m[2]) / n
			good = start - bare < 1e9 && mine + theirs <= 8 && rest <= 1 && unsampled == 0 && lost == 0 && off >= -5 && off <= 5
			printf "%-8s %10.0f %14.2f %16.2f %10s %10s %10d %8d %8s %s\n", place, start / 1e6, mine, theirs, rest, work, unsampled, lost, off,
				good ? "PASS" : "FAIL"
			exit !good }' || failed=$((failed + 1))
done
[ $failed -eq 0 ] || fail "$failed rows"
