#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# However a process ends, it says and ends as bare, down to the core dump bit; outside its whole profile is there, and
# inside too where the library is told of the end.  No socket and no half file stays.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program ends
find_library
ulimit -c unlimited 2>/dev/null

# The status as wait() gives it; output in $T/NAME.out and .err.
raw_status()	# NAME CMD...
{
	local name=$1

	shift
	rm -rf "$T/work"
	mkdir "$T/work"
	(cd "$T/work" && exec timeout -k 5 60 "$PYTHON" - "$@" >"$T/$name.status" 3>"$T/$name.out" 2>"$T/$name.err") <<'PY'
import ctypes, os, sys
pid = os.fork()
if pid == 0:
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)      # PR_SET_PDEATHSIG: one that does not end is not left behind
    os.dup2(3, 1)
    os.close(3)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    if sys.argv[1].startswith("LD_PRELOAD="):
        os.environ["LD_PRELOAD"] = sys.argv[1][11:]
        del sys.argv[1]
    os.execv(sys.argv[1], sys.argv[1:])
print(os.waitpid(pid, 0)[1])
PY
	[ -s "$T/$name.status" ] || fail "$name did not end"
}

same_as_bare()	# WAY HOW
{
	# Of two threads in exit() one may end the process before the other has said all.
	if [ "$1" = exit-twice ]; then sed -i '/^exit handler$/d' "$T/$1.bare.out" "$T/$1.$2.out"; fi
	cmp "$T/$1.bare.out" "$T/$1.$2.out" || fail "$1, $2: $(diff "$T/$1.bare.out" "$T/$1.$2.out")"
	is_empty "$1, $2: stderr" "$T/$1.$2.err"
}

nothing_left()	# WAY HOW
{
	local left

	left=$(find "$T/sock" "$T/files" -type s -o -name '*.http' -o -name '.sonde.*')
	is "$1, $2: what stays behind" "$left" ""
}

# WAY, CPU milliseconds that the profile has, and "none" where no word of the end reaches the library.
ways="return 100
exit 100
_exit 100
_Exit 100
quick_exit 120
abort 100
abort-and-live 200
raise 100
term 100
int 100
hup 100
kill 100 none
segv 100 none
usr1 100 none
quit 100 none
main-leaves 200
last-leaves 200
exit-in-exit 100
exit-twice 100
exit-in-handler 100
exec-fails 200
child-fork 200
child-vfork 200
child-vfork-term 200
child-spawn 200
sigsuspend 100
threads 150
in-malloc 150
ignore-then-die 100"
mkdir -m 700 "$T/sock" "$T/files"
while read -r way ms inside; do
	export SONDE_EXIT_WAIT=30s SONDE_SOCKET=$T/sock SONDE_LOG=$T/log SONDE_ONLY=ends
	raw_status "$way.bare" "$PROGRAMS/ends" "$way"
	SONDE_FILE=$T/files/$way.pb.gz raw_status "$way.inside" "LD_PRELOAD=$LIBSONDE" "$PROGRAMS/ends" "$way"
	is "$way, inside: status" "$(cat "$T/$way.inside.status")" "$(cat "$T/$way.bare.status")"
	same_as_bare "$way" inside
	if [ "$inside" != none ]; then
		valid "$T/files/$way.pb.gz"
		at_least "$way, inside: CPU time" "$(profile total "$T/files/$way.pb.gz")" $((ms * 900000))
		at_least "$way, inside: in ends_hot" "$(profile cum "$T/files/$way.pb.gz" ends_hot)" $((ms * 400000))
		nothing_left "$way" inside
	fi
	rm -rf "$T/sock" "$T/files"
	mkdir -m 700 "$T/sock" "$T/files"
	raw_status "$way.outside" "$SONDE" run -o "$T/files/$way.pb.gz" -- "$PROGRAMS/ends" "$way"
	is "$way, outside: status" $(($(cat "$T/$way.outside.status") & ~128)) $(($(cat "$T/$way.bare.status") & ~128))
	same_as_bare "$way" outside
	valid "$T/files/$way.pb.gz"
	at_least "$way, outside: CPU time" "$(profile total "$T/files/$way.pb.gz")" $((ms * 900000))
	nothing_left "$way" outside
	rm -rf "$T/sock" "$T/files"
	mkdir -m 700 "$T/sock" "$T/files"
done <<<"$ways"
