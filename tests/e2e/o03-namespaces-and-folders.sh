#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# As PID 1, without /proc, on a read-only root, without a user's name or folders: the program's answer is that of bare,
# and the profile has its CPU time wherever a file could be made.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program tenant
find_library
tenant=("$PROGRAMS/tenant" 30 2)
"${tenant[@]}" >"$T/bare" 2>&1

answers()	# NAME STDERR
{
	is "$1: status" "$(cat "$T/rc")" 5
	cmp "$T/bare" "$T/out" || fail "$1: $(cat "$T/out")"
	if [ -n "$2" ]; then
		lines_are "$1" "$T/err" 1
		matches "$1" "$T/err" "$2"
	else
		is_empty "$1: stderr" "$T/err"
		at_least "$1: CPU time" "$(largest)" 60000000
	fi
	rm -rf "$T/P"
	mkdir "$T/P"
	chmod 777 "$T/P"
}
largest()
{
	local f

	for f in "$T"/P/*; do
		[ ! -e "$f" ] || profile total "$f"
	done | sort -n | tail -1
}
everywhere()	# NAME [WRAP...]: with the collector inside, with all of sonde in there, with the program alone in there
{
	local name=$1

	shift
	mkdir -p "$T/P"
	chmod 777 "$T/P"
	"$@" env "LD_PRELOAD=$LIBSONDE" "SONDE_FILE=$T/P/%p.pb.gz" "${tenant[@]}" >"$T/out" 2>"$T/err" </dev/null
	echo $? >"$T/rc"
	answers "$name, inside" ""
	"$@" "$SONDE" run -o "$T/P/%p.pb.gz" "${tenant[@]}" >"$T/out" 2>"$T/err" </dev/null
	echo $? >"$T/rc"
	answers "$name, sonde too" ""
	"$SONDE" run -o "$T/P/%p.pb.gz" "$@" "${tenant[@]}" >"$T/out" 2>"$T/err" </dev/null
	echo $? >"$T/rc"
	answers "$name, outside" ""
}

everywhere "no HOME, no runtime folder" env -u HOME XDG_RUNTIME_DIR=/nonexistent
everywhere "no ASLR" setarch -R
everywhere "all symbols at once" env LD_BIND_NOW=1
mkdir "$T/gone"
everywhere "a folder that is gone" sh -c "mkdir -p '$T/gone' && cd '$T/gone' && rmdir '$T/gone' && exec \"\$@\"" sh
everywhere "umask 0777" sh -c 'umask 0777; exec "$@"' sh
everywhere "umask 0" sh -c 'umask 0; exec "$@"' sh
[ "$(id -u)" -eq 0 ] || skip "the rest needs root: namespaces"
unshare -m true 2>/dev/null || skip "no namespaces here"
everywhere "no user's name" env setpriv --reuid 12345 --regid 12345 --clear-groups
everywhere "PID 1" unshare -pf --mount-proc
everywhere "no /proc" unshare -m sh -c 'umount -l /proc; exec "$@"' sh
# The folder for the file cannot be written: it is said at the start, and nothing else changes.
# shellcheck disable=SC2016  # of the inner shell
unshare -m sh -c 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"' sh "$T/P" \
	env "LD_PRELOAD=$LIBSONDE" "SONDE_FILE=$T/P/%p.pb.gz" "${tenant[@]}" >"$T/out" 2>"$T/err" </dev/null
echo $? >"$T/rc"
answers "read-only folder" '^sonde: SONDE_FILE cannot be written in .*: Read-only file system'
