#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A 32-bit program: 125.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# ELF32, little endian, i386, dynamic with an interpreter: a header by hand is enough.
"$PYTHON" - "$T/elf32" <<'PY'
import struct, sys
interp = b"/lib/ld-linux.so.2\0"
header = b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0x8048000, 52, 0, 0, 52, 32, 2, 0, 0, 0)
load = struct.pack("<IIIIIIII", 1, 0, 0x8048000, 0x8048000, 200, 200, 5, 4096)
name = struct.pack("<IIIIIIII", 3, 116, 0x8048000 + 116, 0x8048000 + 116, len(interp), len(interp), 4, 1)
open(sys.argv[1], "wb").write((header + name + load + interp).ljust(200, b"\0"))
PY
chmod +x "$T/elf32"
record P -- "$T/elf32"
refused P 125 '32'
