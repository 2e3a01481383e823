#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 21: the pages of pprof -http.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
command -v curl >/dev/null || skip "curl is not installed (apt-get install curl)"
command -v dot >/dev/null && graph=1 || graph=0
usual
port=$("$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
pprof -http="127.0.0.1:$port" -no_browser "$P" >"$T/http.log" 2>&1 </dev/null &
server=$!
at_exit "stop_tree $server"
until_true curl -fsS "http://127.0.0.1:$port/ui/top"
for page in flamegraph top "peek?f=hot_40_0" "source?f=hot_40_0" download; do
	code=$(curl -s -o "$T/page" -w '%{http_code}' "http://127.0.0.1:$port/ui/$page")
	is "/ui/$page" "$code" 200
	exists "/ui/$page" "$T/page"
done
if [ "$graph" = 1 ]; then
	is "/ui/ (the graph)" "$(curl -sL -o /dev/null -w "%{http_code}" "http://127.0.0.1:$port/ui/")" 200
fi
curl -s "http://127.0.0.1:$port/ui/top" >"$T/page"
matches "the table" "$T/page" 'hot_40_0'
is "a bogus sample index" "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/ui/top?si=bogus")" 400
