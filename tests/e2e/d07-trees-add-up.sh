#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A thousand children that come and go, by every way of making one: none dies, each that was sampled has one file, and
# the files add up to what the kernel says that the tree has used; those too short for a tick, or made behind libc's
# back, are [unsampled processes] of the command.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program tree

tree_of()	# HOW COUNT LEAST_FILES [MORE...]
{
	local how=$1 count=$2 least=$3

	shift 3
	rm -f "$T"/*.pb.gz
	record "$how" --hz 1000 -- "$PROGRAMS/tree" "$how" "$count" "$@"
	status_is "$how" 0
	is_empty "$how: stderr" "$T/$how.err"
	profile sum "$T"/*.pb.gz >"$T/sum" || fail "$how: a profile cannot be read"
	near "$how: all files" "$(awk '$1 == "total" { print $2 }' "$T/sum")" \
		"$(awk '$1 == "tree" { print $2 }' "$T/$how.out")" 2
	at_least "$how: files" "$(awk '$1 == "files" { print $2 }' "$T/sum")" "$least"
	lacks "$how: names" "$T/sum" '^\[unknown\]'
}

tree_of fork 1000 400
tree_of exec 1000 400
for how in vfork spawn; do
	tree_of $how 200 80
done
for how in clone clone3 libclone; do
	tree_of $how 200 1
done
at_least "raw children" "$(awk '$2 == "processes]" { print $3 }' "$T/sum")" 500000000
# Samples of an image that has called exec carry its names, not those of the next one.
tree_of chain 300 1
# More processes at a time than the collector, whose hard limit this is, has descriptors for: some go unprofiled.
ulimit -n 64
tree_of exec 100 20 20 50
