#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Functions that look at their return address, or that return twice, are left by a jump: after our part stack and
# arguments are as they were, and nothing of ours is returned to.  dlopen and dlmopen find RUNPATH and name space by
# the caller's address; syscall may be a vfork.
. "$(dirname "$0")/lib.sh"
[ -z "${SN_SANITIZE:-}" ] || skip "a sanitizer's calls are in the code"
so=
for candidate in "$SN_BUILD/src/.libs/libsonde.so.1" "$SN_BUILD/inst/lib/libsonde.so.1"; do
	[ -e "$candidate" ] && { so=$candidate; break; }
done
[ -n "$so" ] || { echo "FAIL: no libsonde.so.1 in $SN_BUILD"; exit 1; }
must_have="dlopen dlmopen syscall"
if_there="vfork dlsym dlvsym setjmp _setjmp __sigsetjmp sigsetjmp getcontext swapcontext"

# One function: a call may go to our own begin function only; there is a jump through a register or memory; the bytes
# that were pushed are popped before it.
# shellcheck disable=SC2016
check='
	/^[0-9a-f]+ <.*>:$/ { next }
	{ op = $2; to = $0 }
	op ~ /^(call|callq|bl)$/ {
		if (to !~ /<sn_(dlopen|dlmopen)_begin>/) print "calls:" to
		next
	}
	op ~ /^(blr|blra.*)$/ || to ~ /\tcall.*\*/ { print "calls:" to; next }
	op ~ /^push/ { depth += 8 }
	op ~ /^pop/ { depth -= 8 }
	op ~ /^(sub|add)/ && to ~ /,%rsp/ { print "moves the stack pointer:" to }
	op == "stp" && match(to, /\[sp, #-[0-9]+\]!/) { depth += substr(to, RSTART + 6, RLENGTH - 8) }
	op == "ldp" && match(to, /\[sp\], #[0-9]+/) { depth -= substr(to, RSTART + 7, RLENGTH - 7) }
	(op ~ /^(jmp|jmpq)$/ && to ~ /\*/) || op == "br" {
		jumps++
		if (depth != 0) print "leaves " depth " bytes on the stack:" to
	}
	END { if (jumps == 0) print "never jumps to the real function" }'
functions=0
for f in $must_have $if_there; do
	objdump -d --no-show-raw-insn --disassemble="$f" "$so" 2>/dev/null |
		sed -n '/^[0-9a-f]* <.*>:$/,/^$/p' | grep -v '^$' >"$T/asm"
	if [ ! -s "$T/asm" ]; then
		case " $must_have " in *" $f "*) wrong "$f is not in $so" ;; esac
		continue
	fi
	functions=$((functions + 1))
	while IFS= read -r line; do wrong "$f $line"; done < <(awk "$check" "$T/asm")
done
verdict "$functions" "functions left by a jump"
