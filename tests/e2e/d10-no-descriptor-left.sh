#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A collector that has no descriptor left turns programs away at once: none waits for it until its patience is over.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
command -v prlimit >/dev/null || skip "no prlimit (util-linux)"
LIMIT=64

is_full()
{
	local fds=("/proc/$1/fd"/*)

	[ ${#fds[@]} -ge $LIMIT ]
}

mkfifo "$T/go"
# shellcheck disable=SC2016
prlimit --nofile=$LIMIT:$LIMIT "$SONDE" run --log "$T/log" -o "$T/p.pb.gz" -- timeout -k 5 60 sh -c '
	for i in $(seq 40); do sleep 60 & pids="$pids $!"; done
	read -r _ <"$1/go"
	for i in 1 2 3 4 5; do /bin/true || exit 1; done
	kill $pids
	exit 7' sh "$T" >"$T/out" 2>"$T/err" </dev/null &
pid=$!
sleep 1.5		# by then those that were let in get their sockets
until_true is_full $pid
echo >"$T/go"
wait $pid
is "status" $? 7
is_empty "stderr" "$T/err"
lacks "who waited" "$T/log" 'timed out'
at_least "who was turned away" "$(grep -c 'runs unprofiled' "$T/log")" 1
