#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# sonde fetch and sonde ps against a server of known manners: what is asked, what is written, and that a bad
# answer gives one line and no file.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
cd "$T" || exit 1
mkdir -m 700 "$T/s"
pid=
port=
serve()	# MANNER
{
	stop
	exec 9>&-
	rm -f "$T/fifo" "$T/port"
	mkfifo "$T/fifo"
	SONDE_SOCKET=$T/s "$PYTHON" "$SN_SRC/tests/lib/fake_server.py" "$1" "$T/s" <"$T/fifo" >"$T/port" &
	pid=$!
	exec 9>"$T/fifo"
	until_true test -s "$T/port"
	port=$(cat "$T/port")
}
stop()
{
	[ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null
	return 0
}
at_exit stop
fetch()	# NAME ARGS...
{
	local name=$1

	shift
	: >"$T/s/asked"
	"$SONDE" fetch "$@" >"$T/$name.out" 2>"$T/$name.err" </dev/null
	echo $? >"$T/$name.rc"
}
fine()	# NAME ASKED ARGS...
{
	local name=$1 asked=$2

	shift 2
	fetch "$name" "$@"
	status_is "$name" 0
	is_empty "$name: stderr" "$T/$name.err"
	is "$name: the request" "$(cat "$T/s/asked")" "GET $asked HTTP/1.0"
}
size_is()	# FILE
{
	is "$1: bytes" "$(stat -c %s "$1")" 76802
	rm "$1"
}
serve good
exe=$(basename "$(readlink "/proc/$pid/exe")")
fine default '/debug/pprof/profile?seconds=30' "$pid"
size_is "sonde.$exe.$pid.profile.pb.gz"
fine cpu '/debug/pprof/profile?seconds=5' --seconds 5 -o "$T/P" "$pid" cpu
size_is P
fine last '/debug/pprof/profile?last=60' --last=60 -oP.%k "$pid"
size_is P.profile
fine heap '/debug/pprof/heap' "$pid" heap
size_is "sonde.$exe.$pid.heap.pb.gz"
fine stdout '/debug/pprof/heap' -o - "$pid" heap
size_is stdout.out
fine text '/debug/pprof/cmdline' "$pid" cmdline
is "text" "$(tr '\0' ' ' <text.out)" "fake server"
fine tofile '/debug/pprof/cmdline' -o C "$pid" cmdline
is "text to a file" "$(tr '\0' ' ' <C)" "fake server"
fine status '/debug/sonde/status' "$pid" status
matches "status" status.out '^program fake$'
fine url '/debug/pprof/profile?seconds=30' "http://127.0.0.1:$port"
size_is "sonde.127.0.0.1.$port.profile.pb.gz"
fine urlkind '/debug/pprof/heap' "http://127.0.0.1:$port/debug/pprof/" heap -o P
size_is P
fine urlpath '/pid/7/debug/pprof/profile?x=1&seconds=2' --seconds 2 -o P "http://127.0.0.1:$port/pid/7/debug/pprof/profile?x=1"
size_is P
fine token '/debug/pprof/heap' -o P --token-file <(echo s3cret) "http://127.0.0.1:$port" heap
size_is P
"$SONDE" ps "$pid" >ps.out 2>ps.err
is "ps: status" $? 0
is_empty "ps: stderr" ps.err
lines_are "ps" ps.out 2
matches "ps: a row" ps.out "^ *$pid  fake +cpu +1000 \\(250\\) +1 \\(1\\.00%\\) +$T/s/$pid.sock  127.0.0.1:6060\$"
"$SONDE" ps >ps.out 2>ps.err
is "ps of all: status" $? 0
matches "ps of all" ps.out "^ *$pid  fake "
"$SONDE" ps "$pid" $$ >ps.out 2>ps.err
is "ps of one and none: status" $? 1
lines_are "ps of one and none" ps.out 2
lines_are "ps of one and none" ps.err 1
bad()	# MANNER REGEX [ARGS...]
{
	local manner=$1 regex=$2

	shift 2
	serve "$manner"
	echo before >P
	fetch "$manner" -o P "$@" "$pid" heap
	status_is "$manner" 1
	is_empty "$manner: stdout" "$manner.out"
	lines_are "$manner" "$manner.err" 1
	matches "$manner" "$manner.err" "^sonde: $pid: .*$regex"
	lacks "$manner" "$manner.err" $'\033'
	is "$manner: the file that was there" "$(cat P)" before
	is "$manner: other files" "$(find . -maxdepth 1 -name '.*' -type f | wc -l)" 0
}
bad refuse '404 Not Found: Unknown profile'
bad cut 'after 1000 of 76802 bytes'
bad endless 'head of the answer'
bad chunked 'Transfer-Encoding'
bad redirect '307 .*not followed'
bad token '401 .*--token-file'
serve token
fetch token --token-file <(echo s3cret) -o P "$pid" heap
status_is token 0
size_is P
# Nobody answers: ps says so, and an interrupted fetch leaves nothing.
serve silent
"$SONDE" ps "$pid" >ps.out 2>ps.err
is "silent: status" $? 0
matches "silent: a row" ps.out "^ *$pid  .*does not answer"
echo before >P
: >"$T/s/asked"
"$SONDE" fetch -o P "$pid" heap >int.out 2>int.err </dev/null &
fetching=$!
until_true test -s "$T/s/asked"
kill -TERM "$fetching"
wait "$fetching"
is "interrupted: status" $? 143
is "interrupted: the file that was there" "$(cat P)" before
is "interrupted: other files" "$(find . -maxdepth 1 -name '.*' -type f | wc -l)" 0
