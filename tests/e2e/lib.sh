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

# libsonde.so.1 as LD_PRELOAD names it, its module beside it.
find_library()
{
	for LIBSONDE in "$SN_BUILD/inst/lib/libsonde.so.1" "$SN_BUILD/src/.libs/libsonde.so.1"; do
		[ -e "$LIBSONDE" ] && return 0
	done
	fail "no libsonde.so.1 in $SN_BUILD"
}

# Bare, then with the collector inside: the same output, status and stderr.  $T/work is made anew for each; what the
# command leaves in $T/work/said counts as output, and is waited for when MUST_SAY is set.
same_inside()	# NAME CMD...
{
	local name=$1 how

	shift
	find_library
	for how in bare inside; do
		rm -rf "$T/work" "$T/$name.pb.gz"
		mkdir "$T/work"
		if [ "$how" = bare ]; then
			timeout -k 5 60 "$@" >"$T/$name.bare" 2>"$T/$name.bare.err" </dev/null
		else
			SONDE_LOG=$T/log SONDE_FILE=$T/$name.%p.pb.gz LD_PRELOAD=$LIBSONDE \
				timeout -k 5 60 "$@" >"$T/$name.inside" 2>"$T/$name.inside.err" </dev/null
		fi
		echo $? >"$T/$name.$how.rc"
		if [ -n "${MUST_SAY:-}" ]; then
			until_true test -s "$T/work/said"
			cat "$T/work/said" >>"$T/$name.$how"
		fi
	done
	is "$name: exit status" "$(cat "$T/$name.inside.rc")" "$(cat "$T/$name.bare.rc")"
	cmp "$T/$name.bare" "$T/$name.inside" || fail "$name: $(diff "$T/$name.bare" "$T/$name.inside")"
	cmp "$T/$name.bare.err" "$T/$name.inside.err" || fail "$name: stderr: $(cat "$T/$name.inside.err")"
}
