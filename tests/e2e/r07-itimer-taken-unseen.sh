#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# ITIMER_PROF and SIGPROF are taken where we do not see it: by libc itself, for what was built with gcc -pg, and before
# sampling begins.  The one has its own ticks and none of ours, the other its profile.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
"$PROGRAMS/engines" profil >"$T/bare" || fail "bare: status $?"
bare=$(awk '/^ticks/ { print $2 }' "$T/bare")
for engine in timer itimer perf; do
	record_ok "libc-$engine" --engine "$engine" --hz 250 -- "$PROGRAMS/engines" profil
	ticks=$(awk '/^ticks/ { print $2 }' "$T/libc-$engine.out")
	at_least "$engine: libc's ticks" "$ticks" "$((bare / 2))"
	at_most "$engine: libc's ticks" "$ticks" "$((bare * 2))"
	near "$engine: CPU time" "$(profile total "$T/libc-$engine.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/libc-$engine.out")" 3
	at_most "$engine: time without samples" "$(profile flat "$T/libc-$engine.pb.gz" '[not sampled]')" 150000000
done

# Nothing is sampled until somebody asks, and the program has taken the timer by then.
find_library
SONDE=idle SONDE_ENGINE=itimer LD_PRELOAD=$LIBSONDE "$PROGRAMS/engines" armed 2500 >"$T/armed.out" &
pid=$!
until_true "$SONDE" fetch --seconds 1 -o "$T/armed.pb.gz" "$pid" 2>"$T/armed.err"
wait "$pid" || fail "armed: status $?"
at_most "asked later: time without samples" "$(profile flat "$T/armed.pb.gz" '[not sampled]')" \
	"$(($(profile total "$T/armed.pb.gz") / 2))"
