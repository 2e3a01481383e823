#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A daemon outlives its parent and its parent's collector: it works as bare, with a collector of its own.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program inside

has_profile()	# NAME
{
	local files=("$T/$1".*.pb.gz*)

	[ -s "${files[-1]}" ]
}

for ((i = 0; i < 5; i++)); do
	for what in daemon double-fork; do
		MUST_SAY=1 same_inside "$what" "$PROGRAMS/inside" "$what" "$T/work/said"
		until_true has_profile "$what"		# of the daemon, after its word
		rm -f "$T/$what".*.pb.gz*
	done
done
