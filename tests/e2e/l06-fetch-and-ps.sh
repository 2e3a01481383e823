#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# sonde ps finds what is profiled, outside and inside; sonde fetch takes profiles from it over its Unix socket, by
# pid, and over TCP, by URL; what cannot be had is one line and status 1.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
for place in outside inside; do
	serve $place $place -- "$PROGRAMS/truth" -t 2 -s 60
	"$SONDE" ps "$SERVED" >"$T/ps" 2>"$T/ps.err" || fail "$place: sonde ps: $(cat "$T/ps.err")"
	matches "$place: ps" "$T/ps" "^ *$SERVED +truth +cpu .*$RUN/sonde/$SERVED.sock +.*$ADDRESS"
	"$SONDE" fetch "$SERVED" --seconds 2 -o "$T/F.pb.gz" 2>"$T/fetch.err" || fail "$place: sonde fetch: $(cat "$T/fetch.err")"
	valid "$T/F.pb.gz"
	at_least "$place: its total" "$(profile total "$T/F.pb.gz")" 500000000
	"$SONDE" fetch "$SERVED" --last 1 -o "$T/L.pb.gz" 2>"$T/fetch.err" || fail "$place: --last: $(cat "$T/fetch.err")"
	valid "$T/L.pb.gz"
	"$SONDE" fetch "http://$ADDRESS" --seconds 1 -o "$T/U.pb.gz" 2>"$T/fetch.err" || fail "$place: by URL: $(cat "$T/fetch.err")"
	valid "$T/U.pb.gz"
	"$SONDE" fetch "$SERVED" cmdline >"$T/cmdline" 2>"$T/fetch.err" || fail "$place: cmdline: $(cat "$T/fetch.err")"
	is "$place: cmdline" "$(tr '\0' ' ' <"$T/cmdline")" "$PROGRAMS/truth -t 2 -s 60"
	"$SONDE" fetch "$SERVED" nothing -o "$T/none" >"$T/none.out" 2>"$T/none.err"
	is "$place: status of an unknown kind" $? 1
	matches "$place: what it says" "$T/none.err" '^sonde: .*[Uu]nknown profile'
	absent "$place: a file" "$T/none"
	mode=$(stat -c %a "$RUN/sonde/$SERVED.sock")
	is "$place: mode of the socket" "$mode" 600
	is "$place: mode of its folder" "$(stat -c %a "$RUN/sonde")" 700
	stop_served
	# A program that a signal ended leaves its socket; nobody is shown for it, and the next one takes it away.
	[ $place = inside ] || until_true test ! -e "$RUN/sonde/$SERVED.sock"
	"$SONDE" ps >"$T/ps" 2>&1
	lacks "$place: ps after its end" "$T/ps" "$SERVED"
	last=$SERVED
done
serve again inside -- "$PROGRAMS/truth" -t 1 -s 60
absent "the socket of the dead" "$RUN/sonde/$last.sock"
stop_served
"$SONDE" fetch $$ -o "$T/none" 2>"$T/none.err"
is "status for a program that is not profiled" $? 1
lines_are "its line" "$T/none.err" 1
