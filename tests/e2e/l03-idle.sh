#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# SONDE=idle: no timer until a client asks (outside: but a slow one that looks whether anybody does), a whole profile for
# it, none afterwards; time without sampling is in no profile.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
command -v curl >/dev/null || skip "curl is not installed (apt-get install curl)"
[ -r /proc/self/timers ] || skip "this kernel has no /proc/PID/timers"
no_timer()
{
	[ $place = outside ] || ! grep -q 'signal: 27/' "/proc/$SERVED/timers"
}
for place in outside inside; do
	serve $place $place SONDE=idle -- "$PROGRAMS/truth" -t 2 -s 120
	until_true test "$(find "/proc/$SERVED/task" -mindepth 1 -maxdepth 1 | wc -l)" -ge 2
	is "$place: mode" "$("$SONDE" ps "$SERVED" | awk 'NR == 2 { print $4 }')" idle
	no_timer || fail "$place: timers before anybody asked: $(cat "/proc/$SERVED/timers")"
	fetch P-$place "profile?seconds=3"
	at_least "$place: its total" "$(profile total "$T/P-$place.pb.gz")" 300000000
	profile by "$T/P-$place.pb.gz" thread >/dev/null
	near "$place: not sampled" "$(($(profile total "$T/P-$place.pb.gz") - $(profile flat "$T/P-$place.pb.gz" '[not sampled]')))" \
		"$(profile total "$T/P-$place.pb.gz")" 10
	until_true no_timer
	fetch Q-$place "profile?seconds=2"
	at_most "$place: the second one" "$(profile total "$T/Q-$place.pb.gz")" 5000000000
	until_true no_timer
	stop_served
done

# The same with perf events: they come with the first tick, and go with the last client.
for place in outside inside; do
	serve perf-$place $place SONDE=idle SONDE_ENGINE=perf SONDE_HZ=2000 -- "$PROGRAMS/truth" -t 1 -s 120
	fetch R-$place "profile?seconds=2"
	near "$place, perf: not sampled" "$(($(profile total "$T/R-$place.pb.gz") - $(profile flat "$T/R-$place.pb.gz" '[not sampled]')))" \
		"$(profile total "$T/R-$place.pb.gz")" 10
	until_true no_timer
	fetch S-$place "profile?seconds=1"
	at_most "$place, perf: the second one" "$(profile total "$T/S-$place.pb.gz")" 1600000000
	stop_served
done
