#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A thousand forked children of a program with the collector inside: none dies, none is lost because the
# collector could not keep up, and the files hold what the tree has used, but for what the kernel does for a child
# after its exit handlers.  Children that exec have collectors of their own.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program tree
find_library

tree_inside()	# HOW COUNT LEAST_FILES
{
	rm -f "$T"/*.pb.gz
	SONDE_HZ=1000 SONDE_LOG=$T/log SONDE_FILE=$T/P.%p.pb.gz LD_PRELOAD=$LIBSONDE \
		"$PROGRAMS/tree" "$1" "$2" >"$T/$1.out" 2>"$T/$1.err" </dev/null
	is "$1: status" $? 0
	is_empty "$1: stderr" "$T/$1.err"
	profile sum "$T"/*.pb.gz >"$T/sum" || fail "$1: a profile cannot be read"
	at_least "$1: files" "$(awk '$1 == "files" { print $2 }' "$T/sum")" "$3"
}

share()	# HOW: of the tree, in percent
{
	awk -v t="$(awk '$1 == "tree" { print $2 }' "$T/$1.out")" '$1 == "total" { printf "%d", $2 * 100 / t }' "$T/sum"
}

for how in fork clone3; do
	tree_inside $how 1000 1		# on a busy machine many are not answered in time, and leave word instead
	at_least "$how: share" "$(share $how)" 88
	at_most "$how: share" "$(share $how)" 102
done
for how in exec vfork spawn; do
	tree_inside $how 60 61
done
