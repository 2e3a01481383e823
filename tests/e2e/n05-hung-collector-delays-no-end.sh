#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A collector inside that does nothing any more (its thread is stopped by a debugger) delays no end for longer than
# SONDE_EXIT_WAIT: the program ends as bare, whatever way.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program ends
find_library
for wait in 0 1s; do
	for signal in 15 2 1 10; do
		SONDE_EXIT_WAIT=$wait SONDE_SOCKET=$T/sock SONDE_FILE=$T/P.pb.gz timeout -k 5 90 "$PYTHON" - "$LIBSONDE" "$PROGRAMS/ends" "$signal" >"$T/said" 2>&1 <<'PY'
import ctypes, os, signal, subprocess, sys, threading
PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
library, program, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
p = subprocess.Popen([program, "wait"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                     env=dict(os.environ, LD_PRELOAD=library))
while p.stdout.readline().strip() != b"ready":
    pass
task = "/proc/%d/task/" % p.pid
tid = [int(t) for t in os.listdir(task) if open(task + t + "/comm").read() == "sonde\n"][0]
if libc.ptrace(PTRACE_SEIZE, tid, None, None) != 0 or libc.ptrace(PTRACE_INTERRUPT, tid, None, None) != 0:
    sys.exit("SKIP %s" % os.strerror(ctypes.get_errno()))
os.waitpid(tid, 0x40000000)
os.kill(p.pid, number)
os.waitpid(tid, 0x40000000)         # the thread's end is told to its tracer first
print(p.wait())
PY
		! grep -q '^SKIP' "$T/said" || skip "no thread may be traced here: $(cat "$T/said")"
		wanted=-$signal
		[ "$signal" != 10 ] || wanted=0		# the program waits for it, and then exits
		is "the end by signal $signal, SONDE_EXIT_WAIT=$wait" "$(cat "$T/said")" "$wanted"
	done
done
