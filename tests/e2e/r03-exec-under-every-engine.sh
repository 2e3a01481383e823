#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A late signal ends the image after an exec: chains of 200 execs, each with samples on the way, come to their end
# under every engine.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
for engine in timer perf itimer; do
	for round in 1 2; do
		# The kernel's first ITIMER_PROF signal takes a tick longer.
		us=20000
		if [ "$engine" = itimer ]; then us=40000; fi
		record_ok "$engine$round" --engine "$engine" --hz 10000 -- "$PROGRAMS/engines" execs 200 $us
		at_least "$engine: samples" "$(profile number "$T/$engine$round.pb.gz" signals)" 50
	done
done
near "CPU time of all images" "$(profile total "$T/timer1.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/timer1.out")" 5
near "CPU time of all images" "$(profile total "$T/perf1.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/perf1.out")" 5
