# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# lib.sh - end to end tests of the sonde command: names are LETTER NUMBER - WHAT, from the most basic
# (a) to the slow ones (s), so that the first failure is the most basic one.
# shellcheck source=../lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
need_sonde
need_python

# sonde must refuse to start: status, one line on stderr, nothing on stdout, and CMD was not run.
refused()	# NAME STATUS REGEX_OF_THE_LINE
{
	status_is "$1" "$2"
	lines_are "$1" "$T/$1.err" 1
	matches "$1: the line" "$T/$1.err" "^sonde: "
	matches "$1: the line" "$T/$1.err" "$3"
	is_empty "$1: stdout" "$T/$1.out"
	absent "$1: a profile" "$T/$1.pb.gz"
}

# A copy of a library or program that may be spoilt.
copy_of()	# PROGRAM NAME
{
	cp "$PROGRAMS/$1" "$T/$2" || fail "cannot copy $1"
}

# Did a process of that pid end?  A zombie counts.
gone()	# PID
{
	! kill -0 "$1" 2>/dev/null || grep -q '^State:	Z' "/proc/$1/status" 2>/dev/null
}

# The child of a process that runs that executable (by base name).
child_of()	# PID NAME
{
	local -a children=()
	local p

	read -r -a children 2>/dev/null <"/proc/$1/task/$1/children"
	for p in "${children[@]}"; do
		case $(readlink "/proc/$p/exe") in
		*/"$2") echo "$p"; return 0 ;;
		esac
	done
	return 1
}

has_child()	# PID NAME
{
	child_of "$1" "$2" >/dev/null
}

# Debian packages, unpacked beside the build; skips when they cannot be had.
unpacked()	# PACKAGE...
{
	local why

	DEBS=$SN_BUILD/debs
	why=$("$SN_SRC/tests/lib/get-debs.sh" "$DEBS" "$@") || skip "$why"
	LD_LIBRARY_PATH="$DEBS/usr/lib/$(uname -m)-linux-gnu:$DEBS/lib/$(uname -m)-linux-gnu"
	export LD_LIBRARY_PATH
}

free_port()
{
	"$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# A profile that Debian's go tool pprof opens with nothing on stderr.
opens()	# FILE
{
	valid "$1"
	if find_pprof; then
		pprof_ok opens -top "$1"
	fi
}
