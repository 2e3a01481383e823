#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# sonde fetch and sonde ps without a server: one line that says what is wrong, status 1; wrong usage is 2.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
cd "$T" || exit 1
says()	# STATUS REGEX ARGS...
{
	local status=$1 regex=$2

	shift 2
	"$SONDE" "$@" >"$T/out" 2>"$T/err" </dev/null
	is "$*: status" $? "$status"
	is_empty "$*: stdout" "$T/out"
	lines_are "$*" "$T/err" 1
	matches "$*" "$T/err" "^sonde: .*$regex"
}
sh -c 'exit 0' &
gone=$!
wait "$gone"
says 2 'which process' fetch
says 2 'neither a process id' fetch localhost:6060
says 2 'https' fetch https://localhost:6060
says 2 'port' fetch http://localhost:0
says 2 'no process id' fetch 0
says 2 'no process id' fetch 99999999999999999999
says 2 'too many' fetch 1 profile more
says 2 'unknown option --no-such' fetch --no-such x 1
says 2 'unknown option -x' fetch -x 1
says 2 'needs a value' fetch -o
says 2 'seconds 0 .*1 to 86400' fetch --seconds 0 1
says 2 'seconds 1.5' fetch --seconds=1.5 1
says 2 'last 3601 .*1 to 3600' fetch --last 3601 1
says 2 'only one of them' fetch --last 5 --seconds 5 1
says 2 'kind \.\./\.\./etc' fetch 1 ../../etc
says 2 'cmdline' fetch --seconds 5 1 cmdline
says 1 "no process $gone" fetch "$gone"
says 1 'not profiled.*sonde run' fetch $$
says 1 'refused' fetch http://127.0.0.1:1
says 1 'token file .*No such' fetch --token-file "$T/none" http://127.0.0.1:1
printf 'two words\n' >"$T/token"
says 1 'token file .*no token' fetch --token-file "$T/token" http://127.0.0.1:1
rm "$T/token"
says 1 'cannot write output .*none/P' fetch -o "$T/none/P" http://127.0.0.1:1
says 1 'after % comes' fetch -o '%x' http://127.0.0.1:1
says 2 'no process id' ps 12x
says 2 'no process id' ps --all
says 1 "no process $gone" ps "$gone"
says 1 "$$ is not profiled" ps $$
rm -f "$T/out" "$T/err"
is "files left behind" "$(find "$T" -mindepth 1 | wc -l)" 0
for command in fetch ps; do
	"$SONDE" $command --help >"$T/out" 2>"$T/err"
	is "$command --help: status" $? 0
	is_empty "$command --help: stderr" "$T/err"
	matches "$command --help" "$T/out" "^usage: sonde $command"
done
