#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# poll, nanosleep and sem_timedwait end with EINTR at any signal, SA_RESTART or not: under no engine does one of ours
# meet a thread that is on its way to sleep.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
for engine in timer perf itimer; do
	record_ok "$engine" --engine "$engine" --hz 5000 -- "$PROGRAMS/engines" waits 30000
	is "$engine: calls that ended early" "$(grep '^early' "$T/$engine.out")" "early 0"
done
