#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The examples of the API, built by pkg-config against the installed tree, profile themselves.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
command -v pkg-config >/dev/null || skip "pkg-config is not installed"
read -r -a cc <<<"${CC:-cc}"
command -v "${cc[0]}" >/dev/null || skip "no C compiler"
inst=$SN_BUILD/inst
if [ ! -d "$inst/lib/pkgconfig" ]; then
	make -C "$SN_BUILD" --no-print-directory install "DESTDIR=$T/root" >"$T/install.log" 2>&1 ||
		fail "make install: $(tail -5 "$T/install.log")"
	export PKG_CONFIG_SYSROOT_DIR=$T/root
	inst=$T/root
fi
pc=$(find "$inst" -name sonde.pc | head -1)
[ -n "$pc" ] || fail "no sonde.pc in $inst"
export PKG_CONFIG_PATH=${pc%/*}
LD_LIBRARY_PATH=${pc%/pkgconfig/*}
export LD_LIBRARY_PATH
read -r -a flags < <(pkg-config --cflags --libs sonde)
[ "${#flags[@]}" -gt 0 ] || fail "pkg-config knows no sonde"
is "version" "$(pkg-config --modversion sonde)" "$("$SONDE" --version | cut -d' ' -f2)"

"${cc[@]}" -std=gnu99 -Wall -Wextra -Werror -O2 -g "$SN_SRC/tests/examples/profiled.c" "${flags[@]}" -o "$T/profiled" 2>"$T/cc.err" ||
	fail "profiled.c: $(head -5 "$T/cc.err")"

# Linked and not started, it is as without: no thread, no descriptor, no file.
"$T/profiled" >"$T/unused.out" 2>&1
is "status without a file name" $? 1
is_empty "output" "$T/unused.out"

mkfifo "$T/keys"
"$T/profiled" "$T/c.pb.gz" <"$T/keys" >"$T/c.out" 2>"$T/c.err" &
program=$!
at_exit "kill $program 2>/dev/null"
exec 3>"$T/keys"
has_written()
{
	grep -q written "$T/c.out" || ! kill -0 $program 2>/dev/null
}
until_true has_written
is_empty "stderr" "$T/c.err"
port=$(sed -n 's/^port //p' "$T/c.out")
matches "port" <(echo "$port") '^[0-9]+$'
fetch()	# PATH FILE
{
	"$PYTHON" - "http://127.0.0.1:$port$1" "$2" <<-'END' || fail "cannot fetch $1"
		import sys, urllib.request
		opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
		open(sys.argv[2], "wb").write(opener.open(sys.argv[1], timeout=30).read())
	END
}
fetch /debug/pprof/ "$T/index"
matches "the index" "$T/index" 'profile'
fetch "/debug/pprof/profile?last=60" "$T/last.pb.gz"
echo >&3
exec 3>&-
wait $program
is "status" $? 0
is_empty "stderr" "$T/c.err"
opens "$T/c.pb.gz"
opens "$T/last.pb.gz"
for f in c last; do
	near "$f: CPU time in count_primes" "$(profile cum "$T/$f.pb.gz" count_primes)" "$(profile total "$T/$f.pb.gz")" 10
done
profile comments "$T/c.pb.gz" >"$T/c.comments"
matches "the rate of the struct" "$T/c.comments" 'asked=250Hz'
# Who runs a program can overrule who wrote it.
SONDE_HZ=100 "$T/profiled" "$T/d.pb.gz" </dev/null >/dev/null 2>"$T/d.err"
is "status with SONDE_HZ" $? 0
profile comments "$T/d.pb.gz" >"$T/d.comments"
matches "the rate of the environment" "$T/d.comments" 'asked=100Hz'
# … and what the environment does not say is the program's to say.
SONDE_DEPTH=64 "$T/profiled" "$T/e.pb.gz" </dev/null >/dev/null 2>"$T/e.err"
is "status with SONDE_DEPTH" $? 0
profile comments "$T/e.pb.gz" >"$T/e.comments"
matches "the rate of the struct beside another variable" "$T/e.comments" 'asked=250Hz'

# A call right behind a start does not miss the collector, and after stop, start begins anew.
cat >"$T/again.c" <<-'END'
	#include <fcntl.h>
	#include <sonde/profiler.h>
	#include <stdio.h>

	int main(int argc, char **argv)
	{
		struct profiler_options o = { .size = sizeof(o), .file = argv[argc - 1] };
		int null = open("/dev/null", O_WRONLY);

		for (int i = 0; i < 5; i++) {
			int start = profiler_start(&o), twice = profiler_start(&o), flush = profiler_flush();
			int written = profiler_write("cpu", null), stop = profiler_stop(), off = profiler_write("cpu", null);

			printf("%d %d %d %d %d %d\n", start, twice, flush, written, stop, off);
		}
		return 0;
	}
END
"${cc[@]}" -std=gnu99 -g "$T/again.c" "${flags[@]}" -o "$T/again" || fail "again.c does not compile"
"$T/again" "$T/again.pb.gz" >"$T/again.out" 2>"$T/again.err"
is "status of again" $? 0
is_empty "stderr of again" "$T/again.err"
is "answers" "$(sort -u "$T/again.out")" "0 -114 0 0 0 -107"
valid "$T/again.pb.gz"

cxx=(c++)
command -v c++ >/dev/null || cxx=("${cc[@]}" -x c++)
if echo 'int main() { return 0; }' | "${cxx[@]}" -x c++ - -o "$T/try" -lstdc++ 2>/dev/null; then
	"${cxx[@]}" -std=c++11 -Wall -Wextra -Werror -O2 -g "$SN_SRC/tests/examples/scoped.cc" "${flags[@]}" -lstdc++ -o "$T/scoped" 2>"$T/cxx.err" ||
		fail "scoped.cc: $(head -5 "$T/cxx.err")"
	"$T/scoped" "$T/cxx.pb.gz" >"$T/cxx.out" 2>"$T/cxx.err"
	is "C++: status" $? 0
	is_empty "C++: stderr" "$T/cxx.err"
	opens "$T/cxx.pb.gz"
	near "C++: CPU time in sort_words" "$(profile cum "$T/cxx.pb.gz" work::sort_words)" "$(profile total "$T/cxx.pb.gz")" 20
else
	echo "no C++ compiler: scoped.cc is left out"
fi
