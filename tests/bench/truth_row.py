#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# truth_row.py - one row of truth.sh: a profile against what the program says of itself.
#
# Usage: truth_row.py --head | THREADS HZ PROFILE TRUTH
import math
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import profile as reader  # noqa: E402

COLUMNS = "%7s %5s %8s %8s %10s %9s %14s %22s %6s"


def truth_of(path):
    threads, spent, rusage = {}, {}, 0
    for line in open(path):
        word = line.split()
        if word[0] == "thread":
            threads[word[1]] = int(word[3])
        elif word[0] == "share":
            spent[word[2]] = spent.get(word[2], 0) + int(word[3])
        elif word[0] == "rusage":
            rusage = int(word[1])
    return threads, spent, rusage


def number(p, name):
    for c in p.comments:
        m = re.search(r"(?:^|[\s#,;])%s=([0-9.]+)" % name, c)
        if m:
            return float(m.group(1))
    return 0.0


def main(argv):
    if argv[1] == "--head":
        print(COLUMNS % ("threads", "hz", "signals", "samples", "cpu s", "sum off %", "worst thread pt",
                         "worst function, sd", ""))
        return 0
    p = reader.Profile(argv[3])
    threads, spent, rusage = truth_of(argv[4])
    total, signals = p.total(), number(p, "signals")
    samples = sum(s[1][0] for s in p.samples)
    off = 100.0 * (total - rusage) / rusage

    seen = {}
    leaves = {}
    for s in p.samples:
        name = p.labels(s).get("thread", "-")
        seen[name] = seen.get(name, 0) + p.value(s)
        frames = p.frames(s)
        leaf = frames[0] if frames else "-"
        leaves[leaf] = leaves.get(leaf, 0) + p.value(s)
    points = [100.0 * (seen.get(t, 0) / total - ns / rusage) for t, ns in threads.items()]
    worst_thread = max(points, key=abs)

    # Shares among the eight; what was not sampled has no function.
    # Unequal weights (threads that share a CPU) are worth fewer equal ones: the profile says how many.
    n = number(p, "independent")
    hot = sum(leaves.get(f, 0) for f in spent) or 1
    deviations = []
    for f, ns in spent.items():
        share = ns / sum(spent.values())
        sd = math.sqrt(share * (1 - share) / n) if n else 1.0
        deviations.append(((leaves.get(f, 0) / hot - share) / sd, f))
    worst_fn = max(deviations, key=lambda d: abs(d[0]))

    good = abs(off) <= 1 and abs(worst_thread) <= 1 and abs(worst_fn[0]) <= 5 and n > 0
    print(COLUMNS % (argv[1], argv[2], "%d" % signals, samples, "%.3f" % (rusage / 1e9), "%+.2f" % off,
                     "%+.2f" % worst_thread, "%s %+.1f" % (worst_fn[1], worst_fn[0]), "PASS" if good else "FAIL"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
