#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A library whose file is cut or made hostile while it runs: names fall back, counted; nothing crashes.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
spoil()	# HOW FILE
{
	case $1 in
	cut) truncate -s 3000 "$2.new" ;;
	empty) : >"$2.new" ;;
	text) echo "no ELF at all" >"$2.new" ;;
	noise) head -c 40000 /dev/urandom >"$2.new" ;;
	sections) "$PYTHON" - "$2.new" <<'PY' ;;
import random, sys
b = bytearray(open(sys.argv[1], "rb").read())
random.seed(1)
for i in range(len(b) // 2, len(b)):
    if random.random() < 0.2:
        b[i] = random.randrange(256)
open(sys.argv[1], "wb").write(b)
PY
	esac
}
for how in cut empty text noise sections; do
	dir=$T/$how
	mkdir "$dir"
	cp "$PROGRAMS/dso_pie" "$PROGRAMS/libhotdso.so" "$dir/"
	"$SONDE" run -o "$dir/P.pb.gz" -- "$dir/dso_pie" 800 >"$dir/out" 2>"$dir/err" </dev/null &
	runner=$!
	until_true has_child $runner dso_pie
	until_true grep -q libhotdso.so "/proc/$(child_of $runner dso_pie)/maps"
	# Replaced, not written into: the program's own pages stay whole.
	cp "$dir/libhotdso.so" "$dir/libhotdso.so.new"
	spoil $how "$dir/libhotdso.so"
	mv "$dir/libhotdso.so.new" "$dir/libhotdso.so"
	wait $runner
	is "$how: status" $? 0
	is_empty "$how: stderr" "$dir/err"
	valid "$dir/P.pb.gz"
	near "$how: CPU time" "$(profile total "$dir/P.pb.gz")" 810000000 5
	at_least "$how: the program's own function" "$(profile cum "$dir/P.pb.gz" exe_hot)" 200000000
done
