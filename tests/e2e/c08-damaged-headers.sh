#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Truncated and hostile ELF headers: one line, 125 or 126, never a crash or a hang.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
i=0
for size in 1 4 16 40 63 64 80 200; do
	head -c $size "$PROGRAMS/burner" >"$T/cut$size"
	chmod +x "$T/cut$size"
	record P -- "$T/cut$size" -m 10
	case $(cat "$T/P.rc") in
	125 | 126) lines_are "cut at $size" "$T/P.err" 1 ;;
	*)	# Too short for an ELF file: a shell gets it, as under env.
		env "$T/cut$size" -m 10 >/dev/null 2>&1
		status_is P $? ;;
	esac
done
"$PYTHON" - "$PROGRAMS/burner" "$T" <<'PY'
import struct, sys
good = open(sys.argv[1], "rb").read()
def spoil(name, at, fmt, value):
    b = bytearray(good)
    struct.pack_into(fmt, b, at, value)
    open("%s/bad-%s" % (sys.argv[2], name), "wb").write(b)
spoil("phoff", 32, "<Q", 2**64 - 8)
spoil("phnum", 56, "<H", 65535)
spoil("phentsize", 54, "<H", 1)
spoil("machine", 18, "<H", 40)
spoil("data", 5, "<B", 2)
for i in range(13):
    spoil("filesz%d" % i, 64 + 56 * i + 32, "<Q", 2**63)
PY
for f in "$T"/bad-*; do
	chmod +x "$f"
	"$f" -m 1 >/dev/null 2>&1
	bare=$?
	timeout 20 "$SONDE" run -o "$T/P.pb.gz" -- "$f" -m 10 >"$T/P.out" 2>"$T/P.err" </dev/null
	status=$?
	case $status in
	125 | 126) lines_are "$(basename "$f")" "$T/P.err" 1 ;;
	*) [ $status = $bare ] || fail "$(basename "$f"): status $status, bare $bare: $(cat "$T/P.err")" ;;
	esac
	i=$((i + 1))
done
at_least "hostile files tried" $i 10
