#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# quickstart.sh - builds sonde and shows it at work on two real programs: xz on 64 MiB that it makes, and
# a small server under load.  Everything stays in build/quickstart.
#
# Usage: tools/quickstart.sh
set -u
top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
# shellcheck source=../tests/lib/packages.sh
. "$top/tests/lib/packages.sh"
work=$top/build/quickstart
jobs=$(nproc 2>/dev/null || echo 2)
unset MAKEFLAGS MFLAGS
for v in ${!SONDE*}; do unset "$v"; done
mkdir -p "$work" || exit 1
run=$(mktemp -d "${TMPDIR:-/tmp}/sn.XXXXXX") || exit 1	# names of sockets must be short
trap 'rm -rf "$run"' EXIT
began=$SECONDS

# One line a step: on a terminal it is there while the step runs.
step()	# WHAT COMMAND...
{
	local what=$1 log=$work/log status at=$SECONDS

	shift
	[ ! -t 1 ] || printf '%s ...' "$what"
	"$@" >"$log" 2>&1 </dev/null
	status=$?
	[ ! -t 1 ] || printf '\r\033[K'
	if [ $status -ne 0 ]; then
		echo "$what: failed (status $status); $log ends:"
		tail -n 40 "$log" | sed 's/^/  | /'
		exit 1
	fi
	echo "$what: $((SECONDS - at)) s"
}

bootstrap()
{
	if [ ! -x "$top/configure" ] || [ "$top/configure.ac" -nt "$top/configure" ]; then
		(cd "$top" && autoreconf -fi) || return 1
	fi
	if [ ! -x "$work/b/config.status" ]; then
		mkdir -p "$work/b" && (cd "$work/b" && "$top/configure" "--prefix=$work/inst") || return 1
	fi
}

build()
{
	make -C "$work/b" -j "$jobs" install && make -C "$work/b" tests/programs/demo_server
}

# Some of everything that a system holds: text, programs, documents.
make_data()
{
	[ "$(stat -c %s "$work/data" 2>/dev/null)" = 67108864 ] && return 0
	# tar ends early when head has enough.
	tar -cf - -C / usr/share usr/lib usr/bin 2>/dev/null | head -c 67108864 >"$work/data"
	# A very small system: again, until it is enough.
	while [ "$(stat -c %s "$work/data")" -lt 67108864 ]; do
		{ cat "$work/data" "$work/data"; } | head -c 67108864 >"$work/data.new" && mv "$work/data.new" "$work/data" || return 1
	done
}

profile_xz()
{
	rm -f "$work/data.xz"
	"$sonde" run -o "$work/xz.pb.gz" -- xz -T0 -k -1 "$work/data" && xz -t "$work/data.xz"
}

# A server that never had it gets /debug/pprof by LD_PRELOAD; the profile is taken from there while it works.
profile_server()
{
	local server i port="" http=""

	: >"$work/server.out"
	env "XDG_RUNTIME_DIR=$run" SONDE_HTTP=127.0.0.1:0 "LD_PRELOAD=$work/inst/lib/libsonde.so.1" \
		"$work/b/tests/programs/demo_server" -d 12 >"$work/server.out" &
	server=$!
	for ((i = 0; i < 100; i++)); do
		port=$(sed -n 's/^port //p' "$work/server.out")
		http=$(cat "$run/sonde/$server.http" 2>/dev/null)
		[ -z "$port" ] || [ -z "$http" ] || break
		sleep 0.1
	done
	if [ -z "$port" ] || [ -z "$http" ]; then
		kill $server
		return 1
	fi
	"$work/b/tests/programs/demo_server" --load "$port" 7 &
	"$sonde" fetch "http://$http/debug/pprof/profile?seconds=5" -o "$work/server.pb.gz" || { kill $server; return 1; }
	wait $! || return 1
	kill $server
	wait $server
}

show()	# WHAT FILE
{
	echo
	echo "$1: share of the CPU time, in the function itself, with what it calls, name"
	python3 "$top/tests/lib/profile.py" top "$2" 10 || exit 1
}

# shellcheck disable=SC2086  # words
need_packages "$work/apt.log" $PACKAGES_QUICKSTART
sonde=$work/inst/bin/sonde
step "configure" bootstrap
step "build" build
step "64 MiB of data" make_data
step "xz -T0 under sonde" profile_xz
step "the demo server: 5 s of its /debug/pprof/profile" profile_server
show "xz -T0" "$work/xz.pb.gz"
show "the demo server" "$work/server.pb.gz"
echo
echo "The profiles ($((SECONDS - began)) s in all):"
echo "  $work/xz.pb.gz"
echo "  $work/server.pb.gz"
echo "Open one in the browser (Debian: apt-get install golang-go graphviz):"
echo "  go tool pprof -http=: $work/server.pb.gz"
echo "Profile your own program, or give /debug/pprof to a server:"
echo "  $sonde run -o my.pb.gz -- PROGRAM ARGS"
echo "  SONDE_HTTP=6060 LD_PRELOAD=$work/inst/lib/libsonde.so.1 SERVER ARGS"
echo "  $sonde ps; $sonde fetch PID --last 60"
