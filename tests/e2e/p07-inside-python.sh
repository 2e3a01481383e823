#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Python that forks, starts threads and processes, with the collector inside: the same output and status as bare.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
python=/usr/bin/python3
[ -x $python ] || skip "no /usr/bin/python3 (apt-get install python3)"
cat >"$T/work.py" <<'PY'
import os, subprocess, sys, threading, multiprocessing, signal

def work(n):
    return sum(i * i % 7 for i in range(n))

def main():
    out = []
    for i in range(50):                     # plain forks, half of them exec
        pid = os.fork()
        if pid == 0:
            if i % 2:
                os.execv("/bin/true", ["true"])
            work(20000)
            os._exit(i)
        out.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    results = {}
    threads = [threading.Thread(target=lambda k=k: results.__setitem__(k, work(50000))) for k in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    out.append(sorted(results.items()))
    with multiprocessing.get_context("fork").Pool(4) as pool:
        out.append(pool.map(work, [30000] * 16))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        out.append(pool.map(work, [30000] * 4))
    out.append(subprocess.run(["echo", "child"], stdout=subprocess.PIPE, text=True).stdout)
    out.append(sorted(os.listdir("/proc/self/fd")))
    try:
        os.waitpid(-1, os.WNOHANG)
        out.append("a child that is not ours")
    except ChildProcessError:
        out.append("no child left")
    print(out)

if __name__ == "__main__":
    main()
PY
cd "$T" || exit 1
$python -B work.py >bare.out 2>bare.err </dev/null
is "bare status" $? 0
for i in 1 2 3; do
	env "XDG_RUNTIME_DIR=$RUN" "LD_PRELOAD=$LIBSONDE" $python -B work.py >inside.out 2>inside.err </dev/null
	is "status" $? 0
	cmp bare.out inside.out || fail "the output differs: $(cat inside.out)"
	cmp bare.err inside.err || fail "stderr differs: $(head -5 inside.err)"
done
