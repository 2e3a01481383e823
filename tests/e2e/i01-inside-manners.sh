#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# With the collector inside, what programs do to themselves comes out as bare: on all processors, and on one.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program manners
need_program inside
one=()
command -v taskset >/dev/null && one=(taskset -c 0)
for run in 1 2; do
	[ "$run" = 2 ] || before=()
	[ "$run" = 1 ] || before=("${one[@]}")
	for what in sigwait ignore interrupt own-handler dlerror main-exit "exec-self 5" exec-clean coroutine \
		thread-coroutine memory many-threads; do
		# shellcheck disable=SC2086  # a word and its argument
		same_inside "${what%% *}" "${before[@]}" "$PROGRAMS/manners" $what
	done
	# CLONE_NEWUSER, NEWNS, FS, NEWPID, VM
	for what in "descriptors $T/work" last-worker "unshare 0x10000000" "unshare 0x20000" "unshare 0x200" \
		"unshare 0x20000000" "unshare 0x100" "setns /proc/self/ns/user" "setns /proc/self/ns/mnt" \
		"setns /proc/self/ns/pid" set-ids "sandbox prctl" "sandbox seccomp" "sandbox all" races small-stacks "terminate 15" "terminate 2" "terminate 9" "forks 30"; do
		# shellcheck disable=SC2086
		same_inside "${what%% *}" "${before[@]}" "$PROGRAMS/inside" $what
	done
	# A user cannot give up root: every answer is another, and the same as bare.
	# (Where the build lies in a folder of root's alone, that user cannot load us at all.)
	if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null &&
		setpriv --reuid 65534 --regid 65534 --clear-groups test -r "$LIBSONDE" -a -x "$PROGRAMS/inside"; then
		same_inside unprivileged "${before[@]}" setpriv --reuid 65534 --regid 65534 --clear-groups "$PROGRAMS/inside" set-ids
	fi
done
