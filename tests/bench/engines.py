# SPDX-License-Identifier: Apache-2.0
#
# engines.py - the tables of engines.sh: medians of interleaved runs, ratios to the bare program.
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import zlib

SONDE, PROGRAMS, T, REPEAT, REQUESTS = sys.argv[1:4] + [int(sys.argv[4]), int(sys.argv[5])]
ENV = {k: v for k, v in os.environ.items() if not k.startswith("SONDE") and k != "LD_PRELOAD"}
WAYS = (("bare", None), ("timer 100", ("timer", 100)), ("timer 1000", ("timer", 1000)), ("auto 1000", ("auto", 1000)),
        ("perf 1000", ("perf", 1000)))
PROFILE = os.path.join(T, "P.pb.gz")


def command(how, argv):
    if how is None:
        return ["taskset", "-c", "0"] + argv
    return [SONDE, "run", "-o", PROFILE, "--engine", how[0], "--hz", str(how[1]), "--", "taskset", "-c", "0"] + argv


def median(values):
    values = sorted(values)
    return values[len(values) // 2]


def pingpong(how):
    out = subprocess.run(command(how, [os.path.join(PROGRAMS, "engines"), "pingpong", "100000"]), env=ENV,
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    return float(re.search(r"^switch \S+ (\S+)", out, re.M).group(1))


def find(pid, name):
    """The process of that name at or below pid."""
    if os.path.basename(os.readlink("/proc/%d/exe" % pid)).startswith(name):
        return pid
    for child in open("/proc/%d/task/%d/children" % (pid, pid)).read().split():
        found = find(int(child), name)
        if found:
            return found
    return None


def cpu_of(pid):
    return sum(int(open("/proc/%d/task/%s/schedstat" % (pid, t)).read().split()[0])
               for t in os.listdir("/proc/%d/task" % pid))


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
        return True
    except OSError:
        return False


def redis(how):
    """CPU of the server for each request, in us, and requests a second."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    p = subprocess.Popen(command(how, ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                                       "--appendonly", "no", "--dir", T]), env=ENV, stdout=subprocess.DEVNULL)
    try:
        while not answers(port):
            time.sleep(0.05)
        server = find(p.pid, "redis")
        load = ["taskset", "-c", "0", "redis-benchmark", "-p", str(port), "-t", "set,get", "-c", "20", "-q"]
        subprocess.run(load + ["-n", str(REQUESTS // 4)], env=ENV, stdout=subprocess.DEVNULL, check=True)
        cpu, at = cpu_of(server), time.perf_counter()
        subprocess.run(load + ["-n", str(REQUESTS)], env=ENV, stdout=subprocess.DEVNULL, check=True)
        cpu, at = cpu_of(server) - cpu, time.perf_counter() - at
        os.kill(server, 15)
    finally:
        p.wait()
    return cpu / (2 * REQUESTS) / 1e3, 2 * REQUESTS / at


def engine():
    text = zlib.decompress(open(PROFILE, "rb").read(), 31).decode("latin-1")
    return re.search(r"sonde: engine=(\S+) asked=(\S+) effective=(\S+)", text).groups()


def rates():
    print("asked   engine  samples of a CPU second")
    for name in ("timer", "perf"):
        for hz in (100, 1000, 4000, 10000):
            subprocess.run(command((name, hz), [os.path.join(PROGRAMS, "truth"), "-t", "1", "-s", "1"]), env=ENV,
                           stdout=subprocess.DEVNULL, check=True)
            found = engine()
            print("%-7d %-7s %s" % (hz, found[0], found[2]))


def table(title, measure):
    rows = {name: [] for name, _ in WAYS}
    for _ in range(REPEAT):
        for name, how in WAYS:
            rows[name].append(measure(how))
    first = lambda row: median([v[0] if isinstance(v, tuple) else v for v in row])
    print("\n%s\n%-12s %9s %7s" % (title, "engine", "median", "ratio"))
    for name, row in rows.items():
        each = sorted((v[0] if isinstance(v, tuple) else v) / first(rows["bare"]) for v in row)
        print("%-12s %9.3f %7.3f  [%.3f .. %.3f]%s" % (
            name, first(row), first(row) / first(rows["bare"]), each[0], each[-1],
            "  %.0f requests/s" % median([v[1] for v in row]) if isinstance(row[0], tuple) else ""))


rates()
table("pipe ping-pong of two threads on one CPU: CPU ns for each switch", pingpong)
if shutil.which("redis-server") and shutil.which("redis-benchmark"):
    table("redis-server, client on the same CPU: CPU us for each request", redis)
