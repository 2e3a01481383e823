#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 2,000 threads of which 40 are busy, outside and inside: each has its slot, no sample is lost, the sum is the kernel's,
# and a thread at rest costs the program and the collector 8 KiB at most together.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/manythreads.sh
. "$SN_SRC/tests/lib/manythreads.sh"
need_program manythreads
find_library
[ "$(ulimit -u)" = unlimited ] || [ "$(ulimit -u)" -gt 4000 ] || skip "no 2,000 threads here: ulimit -u"
[ "$(ulimit -i)" = unlimited ] || [ "$(ulimit -i)" -gt 4000 ] || skip "no 2,000 timers here: ulimit -i"

# Resident KiB of the program, and of the collector where that is a process of its own.
resident()	# NAME PLACE
{
	local other=0

	[ "$2" != outside ] || other=$(awk '/^VmRSS/ { print $2 }' "/proc/$MANY/status")
	echo $(($(said "$1" rest) + other))
}

for place in bare outside inside; do
	for n in 100 2000; do
		many_at_rest "$place.$n" $place -n $n -k 40 -m $((n / 40))
		resident "$place.$n" $place >"$T/kib.$place.$n"
		many_burn "$place.$n"
		many_end "$place.$n"
	done
	[ $place != bare ] || continue
	f=$T/$place.2000.pb.gz
	valid "$f"
	is "$place: threads without a slot" "$(profile number "$f" unsampled_threads)" 0
	is "$place: lost" "$(profile number "$f" lost)" 0
	near "$place: the sum" "$(profile total "$f")" "$(said $place.2000 rusage)" 8
	at_least "$place: the busy ones" "$(profile cum "$f" busy_work)" $(($(said $place.2000 busy) / 2))
	more=$(($(cat "$T/kib.$place.2000") - $(cat "$T/kib.$place.100")))
	bare=$(($(cat "$T/kib.bare.2000") - $(cat "$T/kib.bare.100")))
	at_most "$place: KiB more for 1,900 threads" $((more - bare)) $((1900 * 8))
done
