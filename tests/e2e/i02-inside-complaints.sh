#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A mistake in a variable is told once, by the first process of the tree; the program runs as ever.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
find_library
need_program forker

# shellcheck disable=SC2016  # for the shell that is started
tree='/bin/echo one; sh -c "/bin/echo two; /bin/echo three"'
said()	# NAME VARIABLE=VALUE...
{
	local name=$1

	shift
	env LD_PRELOAD="$LIBSONDE" SONDE_LOG="$T/$name.log" "$@" sh -c "$tree" >"$T/$name.out" 2>"$T/$name.err" </dev/null
	is "$name: status" $? 0
	is "$name: output" "$(tr '\n' ' ' <"$T/$name.out")" "one two three "
}

said bad SONDE_HZ=often
lines_are bad "$T/bad.err" 1
matches bad "$T/bad.err" '^sonde: SONDE_HZ=often is not allowed'
at_least "the log has those of the children" "$(grep -c often "$T/bad.log")" 4
said unknown SONDE_HERTZ=5
lines_are unknown "$T/unknown.err" 1
matches unknown "$T/unknown.err" 'unknown variable SONDE_HERTZ, nearest is SONDE_HZ'
said kubernetes SONDE_SERVICE_HOST=10.0.0.1 SONDE_PORT=tcp://10.0.0.1:80
is_empty kubernetes "$T/kubernetes.err"
said off SONDE=off
is_empty off "$T/off.err"
said on SONDE_HZ=50
is_empty on "$T/on.err"

# SONDE=off, and a shell that is left out: no thread, no module.
threads()	# CMD...
{
	"$@" -c 'import os; print(len(os.listdir("/proc/self/task")), "libsonde-collect" in open("/proc/self/maps").read())'
}
is "SONDE=off" "$(LD_PRELOAD=$LIBSONDE SONDE=off threads "$PYTHON")" "1 False"
is "left out" "$(LD_PRELOAD=$LIBSONDE SONDE_ONLY=nothing threads "$PYTHON")" "1 False"
is "inside" "$(LD_PRELOAD=$LIBSONDE threads "$PYTHON")" "2 True"
