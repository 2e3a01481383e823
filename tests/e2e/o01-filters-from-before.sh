#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Under a seccomp filter that was there before the program: what it refuses or kills for is found out by a child, and the
# program runs as bare: profiled, or with one line that names the call.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program confine
need_program tenant
find_library
confine=$PROGRAMS/confine
"$confine" eperm timer_create true 2>/dev/null || skip "no seccomp filters here"

# As bare; the CPU time of main and threads in the profile, or, with a LINE, that line and nothing else on stderr.
same_under()	# NAME LINE HOW CMD...
{
	local name=$1 line=$2 how=$3

	shift 3
	rm -f "$T"/P.*
	if [ "$how" = inside ]; then
		SONDE_FILE=$T/P.%p.pb.gz SONDE_SOCKET=off "$@" >"$T/out" 2>"$T/err" </dev/null
	else
		"$SONDE" run -o "$T/P.pb.gz" --socket off "$@" >"$T/out" 2>"$T/err" </dev/null
	fi
	is "$name, $how: status" $? 5
	cmp "$T/bare" "$T/out" || fail "$name, $how: $(cat "$T/out")"
	if [ -n "$line" ]; then
		lines_are "$name, $how" "$T/err" 1
		matches "$name, $how" "$T/err" "^sonde: .*$line"
		return
	fi
	is_empty "$name, $how: stderr" "$T/err"
	at_least "$name, $how: CPU time" "$(largest)" 60000000
}

largest()	# of the profiles: that of the program, not of its child
{
	local f

	for f in "$T"/P.*; do
		[ ! -e "$f" ] || profile total "$f"
	done | sort -n | tail -1
}

"$PROGRAMS/tenant" 30 2 >"$T/bare" 2>&1
for action in eperm kill trap; do
	for calls in all timer_create socket; do
		tenant=("$confine" "$action" "$calls" env "LD_PRELOAD=$LIBSONDE" "$PROGRAMS/tenant" 30 2)
		line='runs unprofiled: the seccomp filter (kills for|refuses)'
		[ "$action" = eperm ] || line='runs unprofiled: the seccomp filter kills for'
		same_under "$action $calls" "$line" inside "${tenant[@]}"
		same_under "$action $calls" "$line" outside "$confine" "$action" "$calls" "$PROGRAMS/tenant" 30 2
	done
	# Only a collector needs these: outside it is not under the filter.
	calls=close_range,unshare
	same_under "$action $calls" 'the seccomp filter (kills for|refuses)' inside "$confine" "$action" "$calls" \
		env "LD_PRELOAD=$LIBSONDE" "$PROGRAMS/tenant" 30 2
	same_under "$action $calls" "" outside "$confine" "$action" "$calls" "$PROGRAMS/tenant" 30 2
	# These nobody needs.
	calls=perf_event_open,ptrace,process_vm_readv
	same_under "$action $calls" "" inside "$confine" "$action" "$calls" env "LD_PRELOAD=$LIBSONDE" \
		"$PROGRAMS/tenant" 30 2
	same_under "$action $calls" "" outside "$confine" "$action" "$calls" "$PROGRAMS/tenant" 30 2
	# The command itself under the filter.
	for calls in all signalfd4 memfd_create; do
		"$confine" "$action" "$calls" "$SONDE" run -o "$T/P.pb.gz" "$PROGRAMS/tenant" 30 2 >"$T/out" 2>"$T/err" </dev/null
		is "run under $action $calls: status" $? 5
		cmp "$T/bare" "$T/out" || fail "run under $action $calls: $(cat "$T/out")"
		lines_are "run under $action $calls" "$T/err" 1
		matches "run under $action $calls" "$T/err" '^sonde: the seccomp filter (kills for|refuses) .*; the program runs unprofiled'
	done
done
