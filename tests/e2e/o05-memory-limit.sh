#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# In a control group of 64 MiB sonde keeps to an eighth, says so, and the profile is right, outside and inside.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_root "control groups are made by root"
find_library
for group in /sys/fs/cgroup/memory/sonde-test-$$ /sys/fs/cgroup/sonde-test-$$; do
	mkdir "$group" 2>/dev/null && [ -e "$group/cgroup.procs" ] && break
	rmdir "$group" 2>/dev/null
	group=
done
[ -n "$group" ] || skip "no control group can be made here"
at_exit "rmdir '$group'"
{ echo 67108864 >"$group/memory.max"; } 2>/dev/null || { echo 67108864 >"$group/memory.limit_in_bytes"; } 2>/dev/null ||
	skip "the control group takes no memory limit"
within()	# CMD...
{
	bash -c "echo \$\$ >'$group/cgroup.procs' && exec \"\$@\"" within "$@"
}
within "$SONDE" check >"$T/check" 2>&1
matches "sonde check" "$T/check" 'memory limit of the cgroup is 64 MiB, sonde takes at most an eighth'
within "$SONDE" run -o "$T/P.pb.gz" -- "$PROGRAMS/truth" -t 2 -s 1 -o "$T/truth.txt" 2>"$T/err" || fail "status $?"
is_empty "stderr" "$T/err"
near "CPU time" "$(profile total "$T/P.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/truth.txt")" 3
SONDE_FILE=$T/I.pb.gz LD_PRELOAD=$LIBSONDE within "$PROGRAMS/truth" -t 2 -s 1 -o "$T/inside.txt" || fail "inside: status $?"
near "CPU time inside" "$(profile total "$T/I.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/inside.txt")" 6
