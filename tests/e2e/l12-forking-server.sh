#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A server that forks, under one port: the index lists the children that work, each is asked by /pid/PID, and its
# profile is its own; SONDE_ONLY leaves out what it starts besides.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
command -v curl >/dev/null || skip "curl is not installed (apt-get install curl)"
port=$(free_port)
mkdir -p "$T/run"
chmod 700 "$T/run"
LINGER=1 XDG_RUNTIME_DIR=$T/run "$SONDE" run --only forker --http "127.0.0.1:$port" -o "$T/P.pb.gz" -- \
	"$PROGRAMS/forker" -n 3 -m 300 -e "$PROGRAMS/burner" -- -m 100000 >"$T/out" 2>"$T/err" </dev/null &
runner=$!
at_exit "stop_tree $runner"
four_rest()
{
	[ "$(grep -c '^rusage' "$T/out")" -eq 4 ]
}
until_true four_rest
base=http://127.0.0.1:$port
curl -fsS --max-time 20 "$base/debug/pprof/" >"$T/index" || fail "the index: $?"
while read -r _ pid what; do
	if [ "$what" = exec ]; then
		lacks "the index" "$T/index" "/pid/$pid/"
		is "what SONDE_ONLY leaves out" "$(curl -s -o /dev/null -w '%{http_code}' "$base/pid/$pid/debug/pprof/")" 404
		continue
	fi
	matches "the index" "$T/index" "href=\"/pid/$pid/debug/pprof/\">$pid</a>"
	curl -fsS --max-time 20 -o "$T/C.pb.gz" "$base/pid/$pid/debug/pprof/profile?last=60" || fail "profile of $pid: $?"
	valid "$T/C.pb.gz"
	near "the child's work" "$(profile cum "$T/C.pb.gz" child_hot)" 300000000 12
	is "the parent's work in it" "$(profile cum "$T/C.pb.gz" parent_hot)" 0
done < <(grep '^child' "$T/out")
curl -fsS --max-time 20 -o "$T/M.pb.gz" "$base/debug/pprof/profile?last=60" || fail "the parent's profile: $?"
near "the parent's work" "$(profile cum "$T/M.pb.gz" parent_hot)" 300000000 12
is "children's work in it" "$(profile cum "$T/M.pb.gz" child_hot)" 0
