# SPDX-License-Identifier: Apache-2.0
#
# inside.py - the table of inside.sh: medians of interleaved runs, ratios to the bare program.
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

SONDE, LIBRARY, PROGRAMS, T, RUN, REPEAT, REDIS_S = sys.argv[1:6] + [int(sys.argv[6]), int(sys.argv[7])]
PLACES = ("bare", "outside", "inside")
ENV = {k: v for k, v in os.environ.items() if not k.startswith("SONDE") and k != "LD_PRELOAD"}
ENV["XDG_RUNTIME_DIR"] = RUN


def start(place, argv, **more):
    env = dict(ENV)
    if place == "inside":
        env["LD_PRELOAD"] = LIBRARY
    if place == "outside":
        argv = [SONDE, "run", "-o", os.path.join(T, "P.pb.gz"), "--"] + argv
    return subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, **more)


def median(values):
    values = sorted(values)
    return values[len(values) // 2]


def startup(place):
    argv = ["/bin/true"]
    at = time.perf_counter()
    start(place, argv).wait()
    return (time.perf_counter() - at) * 1e3


def fast_paths(place):
    out = start(place, [os.path.join(PROGRAMS, "single")], stdout=subprocess.PIPE, text=True).communicate()[0]
    return {k: float(v) for k, v in (line.split() for line in out.splitlines())}


def cpu(place):
    """CPU of the same work: the program alone, and everything (collector and children too)."""
    out = os.path.join(T, "truth.txt")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start(place, [os.path.join(PROGRAMS, "truth"), "-t", "1", "-r", "700", "-o", out]).wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    program = float(re.search(r"^rusage (\d+)", open(out).read(), re.M).group(1)) / 1e9
    return program, whole


def child_of(pid):
    for p in open("/proc/%d/task/%d/children" % (pid, pid)).read().split():
        if os.readlink("/proc/%s/exe" % p) != os.readlink("/proc/%d/exe" % pid):
            return int(p)
    return 0


def memory(pid):
    text = open("/proc/%d/smaps_rollup" % pid).read()
    rss = int(re.search(r"^Rss:\s+(\d+)", text, re.M).group(1))
    private = sum(int(re.search(r"^%s:\s+(\d+)" % k, text, re.M).group(1)) for k in ("Private_Clean", "Private_Dirty"))
    return rss / 1024, private / 1024


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def redis(place):
    """RSS and threads of a redis-server under light load, a minute after its start."""
    port = free_port()
    server = start(place, ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", T],
        stdout=subprocess.DEVNULL)
    pid = server.pid
    for _ in range(100):
        time.sleep(0.1)
        if place == "outside":
            pid = child_of(server.pid)
        if pid and subprocess.run(["redis-cli", "-p", str(port), "ping"], stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL).stdout == b"PONG\n":
            break
    until = time.time() + REDIS_S
    while time.time() < until:
        subprocess.run(["redis-benchmark", "-p", str(port), "-n", "20000", "-c", "20", "-r", "1000", "-t", "set,get", "-q"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(max(0, min(2, until - time.time())))
    figures = memory(pid) + (len(os.listdir("/proc/%d/task" % pid)),)
    os.kill(pid, signal.SIGTERM)
    server.wait()
    return figures


def row(name, unit, values, ratio=True):
    line = "%-44s" % (name + ", " + unit)
    for place in PLACES:
        line += " %9.3f" % values[place]
    if ratio and values["bare"]:
        line += "   %.3f %.3f" % (values["outside"] / values["bare"], values["inside"] / values["bare"])
    else:
        line += "   %+.3f %+.3f" % (values["outside"] - values["bare"], values["inside"] - values["bare"])
    print(line, flush=True)


def measure(fn, times):
    got = {p: [] for p in PLACES}
    for _ in range(times):
        for place in PLACES:
            got[place].append(fn(place))
    return got


def main():
    print("%-44s %9s %9s %9s   %s" % (("",) + PLACES + ("outside inside, to bare",)))
    got = measure(startup, 3 * REPEAT)
    row("start to end of /bin/true", "ms", {p: median(got[p]) for p in PLACES}, ratio=False)
    got = measure(fast_paths, REPEAT)
    for what in ("malloc", "mutex"):
        row(what + " pair, one thread", "ns", {p: median([g[what] for g in got[p]]) for p in PLACES}, ratio=False)
    got = measure(cpu, REPEAT)
    row("CPU of the program, 100 Hz", "s", {p: median([g[0] for g in got[p]]) for p in PLACES})
    row("CPU of all, 100 Hz", "s", {p: median([g[1] for g in got[p]]) for p in PLACES})
    if not shutil.which("redis-server") or not shutil.which("redis-benchmark"):
        print("redis-server is not installed: no row for memory")
        return
    got = {p: redis(p) for p in PLACES}
    row("redis-server after %d s: RSS" % REDIS_S, "MiB", {p: got[p][0] for p in PLACES}, ratio=False)
    row("  of that private", "MiB", {p: got[p][1] for p in PLACES}, ratio=False)
    row("  threads", "", {p: got[p][2] for p in PLACES}, ratio=False)
    sys.exit(got["inside"][0] - got["bare"][0] > 8 or got["outside"][0] - got["bare"][0] > 8)


main()
