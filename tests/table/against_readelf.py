#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# against_readelf.py TABLE_DUMP READELF FILE - each address at which either changes has the same rule in both.
#
# readelf is another reader of the same bytes: each FDE is a list of rows "address CFA registers".  It prints "exp" for
# expressions, which its list of instructions has word by word.  What a table says otherwise by intent:
#	- less than 16 bytes between two functions keep the rule in front of them
#	- code without FDE may have rows of its own where its bytes were recognised (.init, .fini, PLT)
#	- a CFA or a return address that no rule can say is "bad", also one too far away; a register is "lost"
#	- a return address column that is not the machine's own: the FDE is refused
import bisect
import re
import subprocess
import sys

HEX = r"[0-9a-f]{16}"
CFA_NAMES = {"rsp": "sp", "rbp": "fp", "rbx": "bx", "sp": "sp", "x29": "fp"}
X86 = ["rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"]
differences = 0


def complain(text):
    global differences
    differences += 1
    if differences <= 20:
        print(text)


class Fde:
    def __init__(self, lo, hi, signal, ra_column, initial):
        self.lo, self.hi, self.signal, self.ra_column = lo, hi, signal, ra_column
        self.rows = []          # (address, {column: rule})
        self.initial = initial  # of the CIE
        self.ends = False


def run(*words):
    """readelf ends with 1 when it has anything to warn of."""
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout


def read_undefined(readelf, path):
    """Starts of the FDEs that say somewhere that the return address is undefined; frames-interp prints that as "u"."""
    undefined, ends, key, start = set(), set(), None, None
    for line in run(readelf, "-W", "--debug-dump=frames,no-follow-links", path).splitlines():
        cie = re.match(r"([0-9a-f]+) [0-9a-f]+ [0-9a-f]+ CIE", line)
        fde = re.search(r" FDE cie=([0-9a-f]+) pc=([0-9a-f]+)\.\.", line)
        if cie:
            key, start = int(cie[1], 16), None
            ends.discard(key)
        elif fde:
            start = int(fde[2], 16)
            if int(fde[1], 16) in ends:
                undefined.add(start)
        elif re.search(r"DW_CFA_undefined: r(16|30) ", line):
            (ends if start is None else undefined).add(key if start is None else start)
    return undefined


def read_fdes(readelf, path):
    text = run(readelf, "-W", "--debug-dump=frames-interp,no-follow-links", path)
    undefined = read_undefined(readelf, path)
    cies, fdes, entry, columns, section = {}, [], None, [], 0
    for line in text.splitlines():
        if line.startswith("Contents of"):
            section += 1
            continue
        m = re.match(r"([0-9a-f]+) [0-9a-f]+ [0-9a-f]+ CIE \"(\S*)\" .*ra=(\d+)", line)
        if m:
            entry = Fde(0, 0, "S" in m[2], int(m[3]), {})
            cies[section, int(m[1], 16)] = entry
            continue
        m = re.match(r"[0-9a-f]+ [0-9a-f]+ [0-9a-f]+ FDE cie=([0-9a-f]+) pc=([0-9a-f]+)\.\.([0-9a-f]+)", line)
        if m:
            cie = cies[section, int(m[1], 16)]
            entry = Fde(int(m[2], 16), int(m[3], 16), cie.signal, cie.ra_column, cie.rows[-1][1] if cie.rows else {})
            entry.ends = entry.lo in undefined
            fdes.append(entry)
            continue
        if re.match(r"\s+LOC\s", line):
            columns = line.split()[1:]
            continue
        m = re.match(f"({HEX}) (.*)", line)
        if m and entry is not None:
            # "r10 (r10)" is one word of the table
            words = re.sub(r"(\S+) \((\S+)\)", r"\1", m[2]).split()
            entry.rows.append((int(m[1], 16), dict(zip(columns, words))))
    return fdes


def rule_at(fde, pc):
    rule = fde.initial
    for at, r in fde.rows:
        if at <= pc:
            rule = r
    return rule


def read_table(dump, path):
    rows = []
    for line in run(dump, path).splitlines():
        words = line.split()
        rows.append((int(words[0], 16), words[1], dict(w.split("=", 1) for w in words[2:] if "=" in w)))
    return rows


def too_far(readelf):
    """Offsets of a rule have 16 bits; aarch64 saves the return address at the low end of its frame."""
    return re.match(r"c[-+]\d+$", readelf) and not -32768 <= int(readelf[1:]) <= 32767


def saved_agrees(table, readelf):
    """A register of the table and of readelf."""
    if readelf in ("u", "s", None):
        return table == "u"
    if re.match(r"c[-+]\d+$", readelf):
        return table == readelf or (table == "lost" and too_far(readelf))
    if readelf == "exp":
        return table == "lost" or re.match(r"f[-+]", table)
    return table == "lost"


def agrees(fde, rule, row, x86):
    kind, saved = row[1], row[2]
    cfa, ra = rule.get("CFA", "exp"), rule.get("ra", "u" if not x86 else "c-8")
    sp_moves = rule.get("rsp" if x86 else "sp", "u") not in ("u", "s")
    if kind == "signal":
        return fde.signal and (not x86 or cfa == "exp")
    if kind == "end":
        return fde.ends and ra == "u"
    if kind == "bad":
        return sp_moves or cfa == "exp" or ra in ("exp", "vexp") or (x86 and ra == "u") or too_far(ra)
    if sp_moves or kind in ("none", "limit"):
        return False
    name = re.match(r"[a-z]+\*?(\d*)", kind)
    if cfa == "exp":
        if name[0] not in ("plt", "fp*", "sp*"):
            return False
    else:
        m = re.match(r"(\w+?)([-+]\d+)$", cfa)
        want = CFA_NAMES.get(m[1])
        if want is None:
            number = X86.index(m[1]) if x86 else int(m[1][1:])
            want = f"reg{number}"
        if kind != want + m[2]:
            return False
    if re.match(r"r\d+$", ra):
        ra_agrees = saved["ra"] == "r+" + ra[1:]
    else:
        ra_agrees = saved_agrees(saved["ra"], ra)
    return ra_agrees and saved_agrees(saved["fp"], rule.get("rbp" if x86 else "x29")) and \
        (saved_agrees(saved["bx"], rule.get("rbx")) if x86 else saved["bx"] == "u")


def main():
    dump, readelf, path = sys.argv[1:]
    header = run(readelf, "-hW", path)
    x86 = "X86-64" in header
    fdes = sorted((f for f in read_fdes(readelf, path) if f.hi > f.lo), key=lambda f: f.lo)
    rows = read_table(dump, path)
    starts = [r[0] for r in rows]
    compared, used = 0, [False] * len(rows)

    def row_at(pc):
        return bisect.bisect_right(starts, pc) - 1

    end, previous = 0, None
    for f in fdes:
        lo = max(f.lo, end)
        if f.ra_column != (16 if x86 else 30):
            print(f"not compared: {f.lo:x}..{f.hi:x} has its return address in column {f.ra_column}")
            for i in range(max(row_at(f.lo), 0), row_at(f.hi - 1) + 1):
                used[i] = True
            continue
        # the gap in front: no rule, least of all that of the function before it; a last byte as the entry of the next
        if previous is not None and 1 < lo - end < 16 and rows[row_at(end)][1] != "none":
            complain(f"{end:x}: padding has a rule: {rows[row_at(end)]}")
        changes = {lo} | {at for at, _ in f.rows if lo < at < f.hi} | {s for s in starts[row_at(lo) + 1:row_at(f.hi - 1) + 1]}
        for pc in changes:
            i = row_at(pc)
            used[i] = True
            compared += 1
            if i < 0 or not agrees(f, rule_at(f, pc), rows[i], x86):
                complain(f"{pc:x}: FDE {f.lo:x}..{f.hi:x}: readelf {rule_at(f, pc)}, table {rows[i] if i >= 0 else None}")
        end, previous = max(end, f.hi), f
    for i, row in enumerate(rows):
        if used[i] or row[1] in ("none", "limit"):
            continue
        # no FDE: only what is recognised by its bytes may say something here, and that is one of these
        if row[1] not in ("sp+0", "sp+8", "sp+16", "sp+24", "plt+9", "plt+11"):
            complain(f"{row[0]:x}: a row where no FDE is: {row}")
    print(f"{compared} addresses in {len(fdes)} FDEs, {len(rows)} rows, {differences} differences")
    sys.exit(1 if differences or compared < 10 else 0)


main()
