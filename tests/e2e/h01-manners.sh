#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What programs do that a profiler could spoil: the same words and status as bare, every time.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program manners
for what in sigwait ignore interrupt own-handler dlerror main-exit "exec-self 5" exec-clean coroutine thread-coroutine \
	memory many-threads; do
	# shellcheck disable=SC2086  # a word and its argument
	set -- $what
	timeout 20 "$PROGRAMS/manners" "$@" >"$T/bare" 2>&1 </dev/null
	bare=$?
	is "$what bare" "$bare" 0
	timeout 20 "$SONDE" run -o "$T/$1.pb.gz" -- "$PROGRAMS/manners" "$@" >"$T/said" 2>&1 </dev/null
	is "status of $what" $? "$bare"
	cmp "$T/bare" "$T/said" || fail "$what: $(diff "$T/bare" "$T/said")"
	valid "$T/$1.pb.gz"
done
