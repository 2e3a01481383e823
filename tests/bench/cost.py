#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# cost.py - the runs and the table of cost.sh.
#
# Usage: cost.py SONDE PROGRAMS FOLDER REPETITIONS ROUNDS
import ctypes.util
import os
import random
import resource
import statistics
import subprocess
import sys


def libprofiler():
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"):
        path = os.path.join(folder, "libprofiler.so.0")
        if os.path.exists(path):
            return path
    return ctypes.util.find_library("profiler")


def cpu_of_children():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


def run(argv, env, truth):
    before = cpu_of_children()
    subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    both = cpu_of_children() - before
    for line in open(truth):
        if line.startswith("rusage"):
            return int(line.split()[1]) / 1e9, both
    raise SystemExit("the program said nothing of its CPU time")


def main(argv):
    sonde, programs, folder, repetitions, rounds = argv[1:]
    clean = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "CPUPROFILE")}
    gperf = libprofiler()
    if gperf is None:
        print("libprofiler is not here (apt-get install libgoogle-perftools4): its columns are left out")
    print("%7s %-16s %12s %7s %10s %7s" % ("threads", "under", "program s", "ratio", "all s", "ratio"))
    for threads, each in ((1, int(rounds)), (4, max(1, int(rounds) // 10))):
        truth = os.path.join(folder, "cost.txt")
        work = [os.path.join(programs, "truth"), "-t", str(threads), "-r", str(each), "-o", truth]
        ways = {"bare": (work, clean)}
        for hz in (100, 250):
            out = os.path.join(folder, "cost.pb.gz")
            ways["sonde %d" % hz] = ([sonde, "run", "--hz", str(hz), "-o", out, "--"] + work, clean)
            if gperf is not None:
                ways["libprofiler %d" % hz] = (work, dict(clean, LD_PRELOAD=gperf, CPUPROFILE_FREQUENCY=str(hz),
                                                          CPUPROFILE=os.path.join(folder, "cost.prof")))
        seen = {name: [] for name in ways}
        for _ in range(int(repetitions)):
            order = list(ways)
            random.shuffle(order)
            for name in order:
                seen[name].append(run(*ways[name], truth))
        bare = [statistics.median(x[i] for x in seen["bare"]) for i in (0, 1)]
        for name, pairs in seen.items():
            m = [statistics.median(x[i] for x in pairs) for i in (0, 1)]
            print("%7d %-16s %12.4f %7.4f %10.4f %7.4f" % (threads, name, m[0], m[0] / bare[0], m[1], m[1] / bare[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
