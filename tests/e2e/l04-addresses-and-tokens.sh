#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Addresses beyond loopback are refused with one line unless there are tokens, or the word none; a bearer token
# opens, nothing else does; a port that is taken is told.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
command -v curl >/dev/null || skip "curl is not installed (apt-get install curl)"
for address in :0 0.0.0.0:0 '[::]:0'; do
	record open --http "$address" -- "$PROGRAMS/idle"
	refused open 125 SONDE_TOKEN_FILE
done
for address in 6060x localhost 127.0.0.1:65536 '[::1:6060' example.com:80 ' 6060'; do
	record bad --http "$address" -- "$PROGRAMS/idle"
	refused bad 125 "SONDE_HTTP|address|port"
done
printf 'correct-horse-battery\n' >"$T/tokens"
chmod 644 "$T/tokens"
record loose --http :0 --token-file "$T/tokens" -- "$PROGRAMS/idle"
refused loose 125 "tokens"
chmod 600 "$T/tokens"
status_of()	# ARGS...
{
	curl -s -o "$T/body" -w '%{http_code}' --max-time 20 "$@"
}
for place in outside inside; do
	serve token-$place $place SONDE_HTTP=0.0.0.0:0 "SONDE_TOKEN_FILE=$T/tokens" -- "$PROGRAMS/truth" -t 1 -s 60
	at="http://127.0.0.1:${ADDRESS##*:}/debug/pprof/cmdline"
	is "$place: without a token" "$(status_of "$at")" 401
	is "$place: with a wrong one" "$(status_of -H 'Authorization: Bearer correct-horse-batterx' "$at")" 401
	is "$place: with another scheme" "$(status_of -u a:correct-horse-battery "$at")" 401
	is "$place: with the token" "$(status_of -H 'Authorization: Bearer correct-horse-battery' "$at")" 200
	"$SONDE" fetch --token-file "$T/tokens" -o "$T/fetched" "$at" 2>"$T/fetch.err" || fail "sonde fetch: $(cat "$T/fetch.err")"
	is "$place: the token is on no command line" "$(tr '\0' ' ' <"/proc/$SERVED/cmdline" | grep -c correct)" 0
	stop_served
	serve none-$place $place SONDE_HTTP=:0 SONDE_TOKEN_FILE=none -- "$PROGRAMS/truth" -t 1 -s 60
	is "$place: open" "$(status_of "http://127.0.0.1:${ADDRESS##*:}/debug/pprof/cmdline")" 200
	port=${ADDRESS##*:}
	record taken --http "localhost:$port" -- "$PROGRAMS/idle"
	refused taken 125 "in use"
	stop_served
done
# `:PORT` where there is no IPv6, as in many containers: IPv4 then.
if command -v strace >/dev/null && strace -o "$T/sockets" -e trace=socket true 2>/dev/null; then
	strace -o "$T/sockets" -e trace=socket "$SONDE" run --http :0 --token-file none -o "$T/six.pb.gz" -- "$PROGRAMS/idle"
	nth=$(grep -n AF_INET6 "$T/sockets" | head -1 | cut -d: -f1)
	strace -o "$T/sockets" -e trace=socket -e "inject=socket:error=EAFNOSUPPORT:when=${nth:-1}" \
		"$SONDE" run --http :0 --token-file none -o "$T/four.pb.gz" -- "$PROGRAMS/idle" 2>"$T/four.err"
	is "status without IPv6" $? 0
	matches "its sockets" "$T/sockets" 'AF_INET,'
fi
