#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Children that cannot load libsonde.so.1 - 32-bit, static, of another libc - say and do what they do without us, and
# the program that starts them is profiled; from the build tree as from where it was installed.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
cat >"$T/hello.c" <<'C'
#include <stdio.h>
int main(void) { puts("hello"); return 7; }
C
# No libc is needed to link this one, only its loader to run it.
cat >"$T/small.c" <<'C'
void _start(void) { __asm__ volatile("mov $1, %eax; mov $7, %ebx; int $0x80"); }
C
children=()
if command -v musl-gcc >/dev/null && musl-gcc -o "$T/musl" "$T/hello.c" 2>/dev/null && "$T/musl" >/dev/null; [ $? -eq 7 ]; then
	children+=(musl)
fi
if gcc -static -o "$T/static" "$T/hello.c" 2>/dev/null; then
	children+=(static)
fi
if [ -e /lib/ld-linux.so.2 ] && gcc -m32 -nostdlib -Wl,--dynamic-linker=/lib/ld-linux.so.2 -pie -fPIE -o "$T/i386" \
	"$T/small.c" 2>/dev/null && "$T/i386"; [ $? -eq 7 ]; then
	children+=(i386)
fi
[ ${#children[@]} -gt 0 ] || skip "no musl-gcc, static libc or 32-bit loader here"
echo "children: ${children[*]}"

run_all()	# OUT COMMAND...
{
	local out=$1 child

	shift
	for child in "${children[@]}"; do
		"$@" "$T/$child"
		echo "$child $?"
	done >"$out" 2>&1
}

refused_odd()	# FOLDER
{
	"$1/bin/sonde" run -o "$T/H.pb.gz" -- touch "$T/ran" >"$T/H.out" 2>"$T/H.err"
	is "$1: status" $? 125
	lines_are "$1" "$T/H.err" 1
	matches "$1" "$T/H.err" 'install sonde elsewhere'
	absent "$1: the program ran" "$T/ran"
}

cat >"$T/parent.py" <<'PY'
import subprocess, sys
end = subprocess.run([sys.argv[1]])
sum(i for i in range(3000000))
sys.exit(end.returncode)
PY
run_all "$T/bare" "$PYTHON" "$T/parent.py"
for command in "$SN_BUILD/inst/bin/sonde" "$SN_BUILD/tools/sonde"; do
	[ -x "$command" ] || continue
	run_all "$T/with" "$command" run --hz 1000 -o "$T/P.pb.gz" -- "$PYTHON" "$T/parent.py"
	cmp -s "$T/bare" "$T/with" || fail "$command: $(diff "$T/bare" "$T/with")"
	valid "$T/P.pb.gz"
	at_least "CPU time of the parent" "$(profile total "$T/P.pb.gz")" 50000000
done
# What LD_PRELOAD names leads to the library, or is the library.
"$SONDE" run -o "$T/E.pb.gz" -- env >"$T/env"
named=$(sed -n 's/^LD_PRELOAD=\([^:]*\).*/\1/p' "$T/env")
# shellcheck disable=SC2016
case $named in
*'/$LIB/libsonde.so.1') ;;
*) fail "LD_PRELOAD names $named" ;;
esac
# Moved away from its links the command goes by the absolute path.
if [ -x "$SN_BUILD/inst/bin/sonde" ]; then
	mkdir -p "$T/moved/bin" "$T/moved/lib"
	cp "$SN_BUILD/inst/bin/sonde" "$T/moved/bin/"
	cp "$SN_BUILD/inst/lib/libsonde.so.1" "$T/moved/lib/"
	"$T/moved/bin/sonde" run -o "$T/G.pb.gz" -- env >"$T/env"
	matches "without the links" "$T/env" "^LD_PRELOAD=$T/moved/lib/libsonde.so.1"
	"$T/moved/bin/sonde" run -o "$T/F.pb.gz" -- "$PROGRAMS/burner" -m 50
	valid "$T/F.pb.gz"
	# A path that LD_PRELOAD cannot say is refused; other odd ones work.
	# shellcheck disable=SC2016
	for odd in 'a b' 'a:b' '$LIB' 'x${ORIGIN}'; do
		mv "$T/moved" "$T/$odd"
		refused_odd "$T/$odd"
		mv "$T/$odd" "$T/moved"
	done
	# shellcheck disable=SC2016
	for odd in 'a$b' "quo'te" 'per%p'; do
		mv "$T/moved" "$T/$odd"
		"$T/$odd/bin/sonde" run -o "$T/odd.pb.gz" -- "$PROGRAMS/burner" -m 50 >"$T/out" 2>"$T/err"
		is "$odd: status" $? 0
		is_empty "$odd: stderr" "$T/err"
		valid "$T/odd.pb.gz"
		rm "$T/odd.pb.gz"
		mv "$T/$odd" "$T/moved"
	done
fi
