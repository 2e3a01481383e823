#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Under small limits (descriptors, addresses, data, processes, signals, files) the program does what it does bare; sonde
# works, or steps aside with one line.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program tenant
find_library
command -v prlimit >/dev/null || skip "no prlimit (util-linux)"
as_user=()
if [ "$(id -u)" -eq 0 ] && setpriv --reuid 12345 --regid 12345 --clear-groups test -r "$LIBSONDE" -a -x "$PROGRAMS/tenant"; then
	as_user=(setpriv --reuid 12345 --regid 12345 --clear-groups)	# root's limits do not bind
fi
mkdir "$T/P"
chmod 777 "$T/P"

# Each with the collector inside, with sonde under the limit, with the program alone under it.
same_limited()	# LINE LIMIT [TENANT'S ARGUMENT...]
{
	local line=$1 limit=$2 how

	shift 2
	[ $# -gt 0 ] || set -- 30 2
	"${as_user[@]}" prlimit "$limit" "$PROGRAMS/tenant" "$@" >"$T/bare" 2>"$T/bare.err" </dev/null
	is "bare $limit" $? 5
	for how in inside under outside; do
		rm -f "$T"/P/*
		case $how in
		inside) "${as_user[@]}" prlimit "$limit" env "LD_PRELOAD=$LIBSONDE" "SONDE_FILE=$T/P/%p.pb.gz" \
			"$PROGRAMS/tenant" "$@" ;;
		under) "${as_user[@]}" prlimit "$limit" "$SONDE" run -o "$T/P/%p.pb.gz" "$PROGRAMS/tenant" "$@" ;;
		outside) "$SONDE" run -o "$T/P/%p.pb.gz" "${as_user[@]}" prlimit "$limit" "$PROGRAMS/tenant" "$@" ;;
		esac >"$T/out" 2>"$T/err" </dev/null
		is "$limit, $how: status" $? 5
		cmp "$T/bare" "$T/out" || fail "$limit, $how: $(diff "$T/bare" "$T/out")"
		[ -s "$T/err" ] || continue
		[ -n "$line" ] || fail "$limit, $how: $(cat "$T/err")"
		lines_are "$limit, $how" "$T/err" 1
		matches "$limit, $how" "$T/err" "^sonde: .*$line"
	done
}

for n in 4 5 8; do
	same_limited 'Too many open files' --nofile=$n
done
same_limited "" --nofile=20
for megabytes in 20 40 160; do
	same_limited 'Cannot allocate memory' --as=${megabytes}000000
done
same_limited 'Cannot allocate memory' --data=20000000
same_limited "" --stack=65536
same_limited "" --memlock=0
same_limited "" --core=0
same_limited 'File too large' --fsize=100000
same_limited "" --fsize=50000000
[ "${#as_user[@]}" -eq 0 ] || same_limited 'Resource temporarily unavailable' --nproc=1
# Threads whose timer is refused: their time is there, by that name, and no nudge ends the program.  (Among 500 threads
# that run at once the collector may be kept from mapping rings for them: those are [not sampled].)
same_limited "" --sigpending=100 8 500
total=0
unsampled=0
for f in "$T"/P/*; do
	n=$(profile total "$f")
	if [ "$n" -gt "$total" ]; then
		total=$n
		unsampled=$(profile cum "$f" '[unsampled thread]')
	fi
done
at_least "the sum" "$total" 3800000000
[ "${#as_user[@]}" -eq 0 ] || at_least "threads without a timer" "$unsampled" 100000000
same_limited "" --sigpending=0
