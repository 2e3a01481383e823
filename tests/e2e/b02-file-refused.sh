#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# - and folders are no FILE; nor are unwritable or missing folders: said before the start.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
bad()	# NAME FILE REGEX
{
	"$SONDE" run -o "$2" -- touch "$T/ran" >"$T/$1.out" 2>"$T/$1.err" </dev/null
	status=$?
	[ $status = 125 ] || [ $status = 2 ] || fail "$1: status $status"
	lines_are "$1" "$T/$1.err" 1
	matches "$1" "$T/$1.err" "$3"
	absent "$1: the program ran" "$T/ran"
}
mkdir "$T/folder"
bad dash - '-'
bad folder "$T/folder" 'folder'
bad missing "$T/no/such/P.pb.gz" '/no/such'
is "a missing folder: status" "$status" 125
bad slash "$T/folder/" 'folder'
bad file "$T/dash.err/P.pb.gz" 'dash.err'
bad letter "$T/x.%q.pb.gz" "%q"
if [ "$(id -u)" -ne 0 ]; then
	chmod 500 "$T/folder"
	bad unwritable "$T/folder/P.pb.gz" 'folder'
	is "an unwritable folder: status" "$status" 125
fi
