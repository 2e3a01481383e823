#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A daemon outlives its parent and its parent's collector: it works as bare, with a collector of its own.  Its file lies
# beside its parent's, and replaces it not.
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

cd "$T" || exit 1
for how in SONDE_FILE=root.pb.gz CPUPROFILE=root.pb.gz; do
	timeout -k 5 60 env "$how" SONDE_LOG="$T/log" LD_PRELOAD="$LIBSONDE" \
		"$PROGRAMS/inside" daemon-in-root "$T/said" </dev/null
	is "$how: status" $? 0
	case $how in
	SONDE*) daemons="root.*.pb.gz" ;;
	*) daemons="root.pb.gz_*" ;;
	esac
	until_true compgen -G "$daemons"
	valid root.pb.gz
	valid "$(compgen -G "$daemons")"
	at_least "$how: the parent" "$(profile total root.pb.gz)" 90000000
	rm -f root.*
done
