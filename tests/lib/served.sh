# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# served.sh - programs with /debug/pprof, from outside (sonde run) and from inside (LD_PRELOAD), on loopback
# and free ports.  Source it after a lib.sh.

LIBSONDE=
for candidate in "$SN_BUILD/inst/lib/libsonde.so.1" "$SN_BUILD/src/.libs/libsonde.so.1"; do
	[ -n "$LIBSONDE" ] || { [ -e "$candidate" ] && LIBSONDE=$candidate; }
done
[ -n "$LIBSONDE" ] || fail "no libsonde.so.1 in $SN_BUILD"

# A folder for sockets: their names may have 107 bytes, and $T is longer.
RUN=$(mktemp -d "${TMPDIR:-/tmp}/sn.XXXXXX") || exit 1
at_exit "rm -rf '$RUN'"
XDG_RUNTIME_DIR=$RUN	# sonde ps and fetch look there too
export XDG_RUNTIME_DIR

# The program that a sonde run started: its child that is not a worker of sonde's own.
command_of()	# PID_OF_SONDE
{
	local -a children=()
	local p

	read -r -a children 2>/dev/null <"/proc/$1/task/$1/children"
	for p in "${children[@]}"; do
		[ "$(readlink "/proc/$p/exe")" = "$(readlink "/proc/$1/exe")" ] || { echo "$p"; return 0; }
	done
	return 1
}

has_command()	# PID_OF_SONDE
{
	command_of "$1" >/dev/null
}

# Start a program and wait until it is served.  Sets SERVED (its pid), STARTED (of what was started), ADDRESS, URL.
# Its output is in T/NAME.{out,err}.  OPTION are VARIABLE=VALUE.
serve()	# NAME inside|outside [OPTION...] -- CMD...
{
	local name=$1 place=$2
	local -a options=()

	shift 2
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	if [ "$place" = outside ]; then
		env "XDG_RUNTIME_DIR=$RUN" SONDE_HTTP=127.0.0.1:0 "${options[@]}" "$SONDE" run -o "$T/$name.pb.gz" -- "$@" \
			>"$T/$name.out" 2>"$T/$name.err" </dev/null &
		STARTED=$!
		at_exit "stop_tree $STARTED"
		until_true has_command $STARTED
		SERVED=$(command_of $STARTED)
	else
		env "XDG_RUNTIME_DIR=$RUN" SONDE_HTTP=127.0.0.1:0 "${options[@]}" "LD_PRELOAD=$LIBSONDE" "$@" \
			>"$T/$name.out" 2>"$T/$name.err" </dev/null &
		STARTED=$!
		at_exit "stop_tree $STARTED"
		SERVED=$STARTED
	fi
	until_true test -s "$RUN/sonde/$SERVED.http"
	ADDRESS=$(head -1 "$RUN/sonde/$SERVED.http")
	URL=http://$ADDRESS/debug/pprof
}

# What a fetch must bring: T/NAME.pb.gz, valid.
fetch()	# NAME PATH_AND_QUERY
{
	curl -fsS --max-time 120 -o "$T/$1.pb.gz" "$URL/$2" || fail "curl $URL/$2: status $?"
	valid "$T/$1.pb.gz"
}

stop_served()
{
	kill "$SERVED" 2>/dev/null
	wait "$STARTED"
	return 0
}
