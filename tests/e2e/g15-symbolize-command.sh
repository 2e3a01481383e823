#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# sonde symbolize: a profile without names gets those that it would have had; all else stays.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
cp "$PROGRAMS/inline" "$T/inline"
record_ok L -- "$T/inline" 500
record_ok N --symbolize none -- "$T/inline" 500
symbolize()	# NAME ARGS...: T/NAME.pb.gz, and nothing on stderr
{
	local name=$1

	shift
	"$SONDE" symbolize "$@" >"$T/$name.pb.gz" 2>"$T/$name.err" </dev/null || fail "$name: status $?: $(cat "$T/$name.err")"
	is_empty "$name: stderr" "$T/$name.err"
	valid "$T/$name.pb.gz"
}
symbolize S "$T/N.pb.gz"
for f in L S; do
	profile stacks "$T/$f.pb.gz" | sed 's/^[0-9]* //' >"$T/$f.stacks"
	profile mappings "$T/$f.pb.gz" | sed 's/^[^[]*//' | grep '/' >"$T/$f.flags"
done
matches "lines" "$T/S.stacks" 'inner < middle < outer < caller < main'
is "stacks" "$(head -1 "$T/S.stacks")" "$(head -1 "$T/L.stacks")"
is "flags of the mappings" "$(head -1 "$T/S.flags")" "$(head -1 "$T/L.flags")"
for what in total samples types; do
	is "$what" "$(profile $what "$T/S.pb.gz")" "$(profile $what "$T/N.pb.gz")"
done
profile comments "$T/N.pb.gz" >"$T/N.comments"
profile comments "$T/S.pb.gz" >"$T/S.comments"
is "comments" "$(head -n "$(wc -l <"$T/N.comments")" "$T/S.comments")" "$(cat "$T/N.comments")"
matches "counters" "$T/S.comments" '^# other_files=0:'
opens "$T/S.pb.gz"

# On two pipes with limits, as the collector inside a program runs it; unzipped; in place; once more.
"$SONDE" symbolize --memory 1GiB --cpu-seconds 60 < <(cat "$T/N.pb.gz") 2>"$T/P.err" | cat >"$T/P.pb.gz"
is "status on pipes" "${PIPESTATUS[0]}" 0
is_empty "stderr on pipes" "$T/P.err"
cmp "$T/P.pb.gz" "$T/S.pb.gz" || fail "another result on pipes"
gzip -dc "$T/N.pb.gz" >"$T/N.pb"
symbolize U "$T/N.pb"
cmp "$T/U.pb.gz" "$T/S.pb.gz" || fail "another result unzipped"
cp "$T/N.pb.gz" "$T/in-place.pb.gz"
"$SONDE" symbolize -o "$T/in-place.pb.gz" "$T/in-place.pb.gz" || fail "in place: status $?"
cmp "$T/in-place.pb.gz" "$T/S.pb.gz" || fail "another result in place"
symbolize A "$T/S.pb.gz"
cmp "$T/A.pb.gz" "$T/S.pb.gz" || fail "symbolizing twice changes something"
symbolize F --symbolize functions "$T/N.pb.gz"
profile stacks "$T/F.pb.gz" >"$T/F.stacks"
matches "functions" "$T/F.stacks" ' outer < caller < main'
lacks "functions: inlines" "$T/F.stacks" 'inner'

# Another program of that name, and none: left alone, and it says so.
cp "$PROGRAMS/truth" "$T/inline"
symbolize R "$T/N.pb.gz"
profile stacks "$T/R.pb.gz" >"$T/R.stacks"
lacks "names of another program" "$T/R.stacks" 'inner|hot_40_0'
matches "the rest has names" "$T/R.stacks" '__libc_start'
profile comments "$T/R.pb.gz" >"$T/R.comments"
matches "another file" "$T/R.comments" '^# other_files=1:'
rm "$T/inline"
symbolize M "$T/N.pb.gz"
profile comments "$T/M.pb.gz" >"$T/M.comments"
matches "no file" "$T/M.comments" '^# missing_files=1:'

# What goes wrong: one line, a status that says whose fault it is, no output.
wrong_use()	# STATUS REGEX ARGS...
{
	local status=$1 regex=$2

	shift 2
	"$SONDE" symbolize "$@" >"$T/W.out" 2>"$T/W.err" </dev/null
	is "status of $*" $? "$status"
	lines_are "$*" "$T/W.err" 1
	matches "$*" "$T/W.err" "^sonde: .*$regex"
	is_empty "output of $*" "$T/W.out"
}
wrong_use 1 'string_table'
wrong_use 1 'not a message' /etc/passwd
head -c 200 "$T/N.pb.gz" >"$T/cut.pb.gz"
wrong_use 1 'gzip' "$T/cut.pb.gz"
wrong_use 125 'No such file' "$T/nothing"
wrong_use 125 'Permission denied|No such file|Is a directory' -o "$T/no/such/folder" "$T/N.pb.gz"
wrong_use 125 'emory' --memory 4MiB "$T/N.pb.gz"
wrong_use 2 'cpu-seconds' --cpu-seconds 0
wrong_use 2 'functions lines' --symbolize none
wrong_use 2 'is no option' --frobnicate
wrong_use 2 'needs a value' --pid
wrong_use 2 'one profile' a b
