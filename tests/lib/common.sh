# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# common.sh - what every test script shares.  Source it first; it makes a folder $T for the test,
# kept when the test fails, and gives skip, fail and the comparisons.
#
# From the environment (all have defaults for a run by hand):
#   SN_SRC     top of the sources          SN_BUILD   top of the build
#   SONDE_BIN  the sonde command           SONDE_PPROF  a pprof to use
# No SONDE_* variable of the caller reaches the program under test.
set -u
LC_ALL=C
export LC_ALL
SN_SRC=${SN_SRC:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
SN_BUILD=${SN_BUILD:-$SN_SRC/build}
PROGRAMS=$SN_BUILD/tests/programs
NAME=$(basename "$(dirname "$0")")-$(basename "$0" .sh)
T=$SN_BUILD/tests/tmp/$NAME
sonde_pprof=${SONDE_PPROF:-}
sonde_bin=${SONDE_BIN:-}
for v in ${!SONDE*}; do unset "$v"; done
unset v LD_PRELOAD
SONDE=$sonde_bin
for candidate in "$SN_BUILD/inst/bin/sonde" "$SN_BUILD/tools/sonde"; do
	[ -n "$SONDE" ] || { [ -x "$candidate" ] && SONDE=$candidate; }
done
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=$(command -v python3 || true)

skip()
{
	echo "SKIP: $*"
	exit 77
}

fail()
{
	echo "FAIL: $*"
	exit 1
}

AT_EXIT=

# Have a command run when the test ends, however it ends.
at_exit()	# COMMAND
{
	AT_EXIT="$1; $AT_EXIT"
}

finish()
{
	local status=$?

	eval "$AT_EXIT"
	if [ "$status" -eq 0 ] || [ "$status" -eq 77 ]; then
		rm -rf "$T"
	else
		echo "(what it made is in $T)"
	fi
	exit "$status"
}

rm -rf "$T"
mkdir -p "$T" || exit 1
trap finish EXIT
trap 'exit 130' INT TERM

need_sonde()
{
	[ -n "$SONDE" ] || fail "no sonde command in $SN_BUILD; build it or name it in SONDE_BIN"
	[ -d "$PROGRAMS" ] || fail "no test programs in $PROGRAMS; make check TESTS= builds them"
}

need_python()
{
	[ -n "$PYTHON" ] || skip "python3 is not installed (apt-get install python3)"
}

need_root()
{
	[ "$(id -u)" -eq 0 ] || skip "needs root: $*"
}

need_program()
{
	[ -x "$PROGRAMS/$1" ] || skip "the test program $1 could not be built here${2:+ ($2)}"
}

# A file's facts by our independent reader.
profile()
{
	"$PYTHON" "$SN_SRC/tests/lib/profile.py" "$@"
}

is()	# WHAT GOT WANTED
{
	[ "$2" = "$3" ] || fail "$1: got '$2', wanted '$3'"
}

isnt()	# WHAT GOT UNWANTED
{
	[ "$2" != "$3" ] || fail "$1: got '$2'"
}

matches()	# WHAT FILE REGEX
{
	grep -Eq -- "$3" "$2" || fail "$1: nothing matches /$3/ in: $(head -c 2000 "$2")"
}

lacks()	# WHAT FILE REGEX
{
	! grep -Eq -- "$3" "$2" || fail "$1: /$3/ matches in: $(grep -E -- "$3" "$2" | head -5)"
}

is_empty()	# WHAT FILE
{
	[ ! -s "$2" ] || fail "$1 is not empty: $(head -c 2000 "$2")"
}

exists()	# WHAT FILE
{
	[ -s "$2" ] || fail "$1: $2 is missing or empty"
}

absent()	# WHAT FILE...
{
	local what=$1 f

	shift
	for f in "$@"; do
		[ ! -e "$f" ] || fail "$what: $f is there"
	done
}

lines_are()	# WHAT FILE COUNT
{
	is "$1: lines of $(basename "$2")" "$(wc -l <"$2")" "$3"
}

near()	# WHAT GOT WANTED PERCENT
{
	awk -v g="$2" -v w="$3" -v p="$4" 'BEGIN { d = g - w; if (d < 0) d = -d; exit !(d <= w * p / 100) }' ||
		fail "$1: got $2, wanted $3 within $4 %"
}

at_least()	# WHAT GOT WANTED
{
	awk -v g="$2" -v w="$3" 'BEGIN { exit !(g + 0 >= w + 0) }' || fail "$1: got $2, wanted at least $3"
}

at_most()	# WHAT GOT WANTED
{
	awk -v g="$2" -v w="$3" 'BEGIN { exit !(g + 0 <= w + 0) }' || fail "$1: got $2, wanted at most $3"
}

# Wait until a command succeeds; for states, never for time.
until_true()	# COMMAND...
{
	local i

	for ((i = 0; i < 1200; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	fail "never became true: $*"
}

# End a process that this test started, and its children, by their ids.
stop_tree()	# PID
{
	local -a children=()
	local child

	read -r -a children 2>/dev/null <"/proc/$1/task/$1/children"
	for child in "${children[@]}"; do
		stop_tree "$child"
	done
	kill "$1" 2>/dev/null
	return 0
}

# sonde run, quietly: T/NAME.{out,err,rc} and the profile T/NAME.pb.gz
record()	# NAME [OPTION...] -- CMD...
{
	local name=$1

	shift
	"$SONDE" run -o "$T/$name.pb.gz" "$@" >"$T/$name.out" 2>"$T/$name.err" </dev/null
	echo $? >"$T/$name.rc"
}

status_is()	# NAME STATUS
{
	is "$1: exit status" "$(cat "$T/$1.rc")" "$2"
}

# record, and insist on status 0, an empty stderr and a valid profile.
record_ok()	# NAME [OPTION...] -- CMD...
{
	record "$@"
	[ "$(cat "$T/$1.rc")" = 0 ] || fail "$1: exit status $(cat "$T/$1.rc"), stderr: $(head -c 2000 "$T/$1.err")"
	is_empty "$1: stderr" "$T/$1.err"
	valid "$T/$1.pb.gz"
}

valid()	# FILE
{
	exists "profile" "$1"
	profile check "$1" >"$T/check.out" 2>&1 || fail "$1 is not valid: $(cat "$T/check.out")"
}

# Which pprof: $SONDE_PPROF, pprof, then the distribution's go, then any go.
find_pprof()
{
	local go

	PPROF=()
	if [ -n "$sonde_pprof" ]; then
		read -r -a PPROF <<<"$sonde_pprof"
	elif command -v pprof >/dev/null && pprof -h 2>&1 | grep -q symbolize; then
		PPROF=(pprof)
	else
		for go in /usr/bin/go "$(command -v go || true)"; do	# the distribution's has it built
			if [ -n "$go" ] && [ -x "$go" ]; then
				PPROF=("$go" tool pprof)
				break
			fi
		done
	fi
	[ "${#PPROF[@]}" -gt 0 ] || return 1
	mkdir -p "$T/home"
}

need_pprof()
{
	find_pprof || skip "no pprof (apt-get install golang-go, or name one in SONDE_PPROF)"
}

pprof()
{
	env HOME="$T/home" PPROF_TMPDIR="$T/home" PPROF_BINARY_PATH=/nonexistent GOTOOLCHAIN=local \
		GOCACHE="$SN_BUILD/gocache" GOFLAGS=-mod=mod "${PPROF[@]}" "$@"
}

# pprof with its output in T/NAME.txt; status 0 and an empty stderr or the test has failed.
pprof_ok()	# NAME ARGS...
{
	local name=$1

	shift
	pprof "$@" >"$T/$name.txt" 2>"$T/$name.perr" </dev/null ||
		fail "pprof $*: status $?, $(head -c 2000 "$T/$name.perr")"
	is_empty "stderr of pprof $*" "$T/$name.perr"
}

# The sum that `pprof -top` states, in nanoseconds.
pprof_total()	# NAME of a pprof_ok -top
{
	sed -n 's/.*of \([0-9.]*[a-z]*\) total.*/\1/p; s/.*Total samples = \([0-9.]*[a-z]*\) .*/\1/p' "$T/$1.txt" |
		head -1 | awk '/[0-9]ns$/ { print $1 + 0 } /us$/ { print $1 * 1e3 } /ms$/ { print $1 * 1e6 }
			/[0-9]s$/ { print $1 * 1e9 } /min/ || /mins$/ { print $1 * 60e9 } /^0$/ { print 0 }' | head -1
}
