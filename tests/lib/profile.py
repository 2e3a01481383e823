#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# profile.py - reads a pprof profile without sonde's code or any library: gzip, the wire form of
# protobuf, and the rules of profile.proto, from first principles.  The oracle of the tests.
#
# Usage: profile.py COMMAND FILE [ARGS]
#   check              every rule of validity; says what is wrong and ends with 1
#   total              CPU nanoseconds of all samples
#   samples            value 1 of all samples
#   top [N]            share, flat and cumulative ns, name: the N largest by flat
#   flat NAME          ns of samples whose leaf function is NAME (exact name, first line of the leaf)
#   cum NAME           ns of samples that have NAME anywhere
#   by KEY             label value and ns, largest first ("-" where a sample has none)
#   cross KEY          label value, leaf function, ns
#   stacks             ns, labels, and the frames from leaf to root, largest first
#   mappings           number, start, limit, offset, build id or -, flags, file
#   comments           one a line
#   number NAME        the number behind NAME= in the comments (0 when there is none)
#   names              every function name
#   types              sample types, period type, period, time, duration
#   depth              the largest number of locations of a sample
#   json               all of it
#   sum [FILE ...]     files, CPU ns of all of them, then ns of each pseudo frame that is a leaf

# Modules of python3-minimal only: the quickstart uses it too.
import re
import sys
import zlib


class Bad(Exception):
    pass


def varint(b, i):
    n = shift = 0
    while True:
        if i >= len(b):
            raise Bad("a number is cut off at byte %d" % i)
        c = b[i]
        i += 1
        n |= (c & 0x7F) << shift
        shift += 7
        if c < 0x80:
            return n & (2**64 - 1), i
        if shift > 63:
            raise Bad("a number is too long at byte %d" % i)


def fields(b):
    """(number, value) of every field; bytes for length-delimited ones."""
    i = 0
    while i < len(b):
        key, i = varint(b, i)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise Bad("field number 0 at byte %d" % i)
        if wire == 0:
            value, i = varint(b, i)
        elif wire == 2:
            size, i = varint(b, i)
            if i + size > len(b):
                raise Bad("field %d is cut off at byte %d" % (number, i))
            value, i = b[i:i + size], i + size
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, i = int.from_bytes(b[i:i + size], "little"), i + size
        else:
            raise Bad("wire type %d at byte %d" % (wire, i))
        yield number, value


def signed(n):
    return n - 2**64 if n >= 2**63 else n


def message(b, **names):
    """Fields by name; a name ending in _s is repeated (packed or not)."""
    out = {k: ([] if k.endswith("_s") else 0) for k in names}
    by_number = {v: k for k, v in names.items()}
    for number, value in fields(b):
        name = by_number.get(number)
        if name is None:
            continue
        if not name.endswith("_s"):
            out[name] = value
        elif isinstance(value, bytes) and name.startswith("n_"):
            i = 0
            while i < len(value):
                n, i = varint(value, i)
                out[name].append(n)
        else:
            out[name].append(value)
    return out


def gunzip(raw):
    out = b""
    while raw:
        d = zlib.decompressobj(31)
        out += d.decompress(raw)
        if not d.eof:
            raise Bad("the gzip stream is cut off")
        raw = d.unused_data
    return out


def is_text(s):
    try:
        return b"\0" not in s and s.decode("utf-8") is not None
    except UnicodeDecodeError:
        return False


class Profile:
    def __init__(self, path):
        raw = open(path, "rb").read()
        if not raw:
            raise Bad("empty file")
        if raw[:2] == b"\x1f\x8b":
            raw = gunzip(raw)
        self.times = 0
        top = message(raw, type_s=1, sample_s=2, mapping_s=3, location_s=4, function_s=5, string_s=6,
                      drop=7, keep=8, time=9, duration=10, period_type=11, period=12, n_comment_s=13,
                      default_type=14, doc=15)
        self.times = sum(1 for n, _ in fields(raw) if n == 9)
        self.strings = [s.decode("utf-8", "backslashreplace") for s in top["string_s"]]
        self.not_text = [s for s in top["string_s"] if not is_text(s)]
        self.types = [self.value_type(t) for t in top["type_s"]]
        self.period_type = self.value_type(top["period_type"]) if top["period_type"] else None
        self.period, self.time, self.duration = (signed(top[k]) for k in ("period", "time", "duration"))
        self.comments = [self.text(c) for c in top["n_comment_s"]]
        self.default_type = self.text(top["default_type"])
        self.mappings = [message(m, id=1, start=2, limit=3, offset=4, file=5, build=6, fn=7, fl=8, ln=9, inl=10)
                         for m in top["mapping_s"]]
        self.functions = [message(f, id=1, name=2, system=3, file=4, line=5) for f in top["function_s"]]
        self.locations = []
        for raw_loc in top["location_s"]:
            loc = message(raw_loc, id=1, mapping=2, address=3, line_s=4, folded=5)
            loc["lines"] = [message(x, function=1, line=2, column=3) for x in loc.pop("line_s")]
            self.locations.append(loc)
        self.samples = []
        for raw_sample in top["sample_s"]:
            s = message(raw_sample, n_loc_s=1, n_value_s=2, label_s=3)
            labels = [message(x, key=1, str=2, num=3, unit=4) for x in s["label_s"]]
            self.samples.append((s["n_loc_s"], [signed(v) for v in s["n_value_s"]], labels))
        self.fn_by_id = {f["id"]: f for f in self.functions}
        self.loc_by_id = {x["id"]: x for x in self.locations}
        self.map_by_id = {m["id"]: m for m in self.mappings}

    def text(self, i):
        if i >= len(self.strings):
            raise Bad("string %d of %d" % (i, len(self.strings)))
        return self.strings[i]

    def value_type(self, b):
        m = message(b, type=1, unit=2)
        return self.text(m["type"]), self.text(m["unit"])

    def names(self, loc_id):
        """Names at one location, innermost first."""
        loc = self.loc_by_id[loc_id]
        if not loc["lines"]:
            return ["0x%x" % loc["address"]]
        return [self.text(self.fn_by_id[x["function"]]["name"]) for x in loc["lines"]]

    def frames(self, sample):
        return [n for loc in sample[0] for n in self.names(loc)]

    def labels(self, sample):
        return {self.text(x["key"]): self.text(x["str"]) if x["str"] else signed(x["num"]) for x in sample[2]}

    def value(self, sample):
        return sample[1][-1]

    def total(self):
        return sum(self.value(s) for s in self.samples)


def check_ids(what, rows):
    ids = [r["id"] for r in rows]
    if 0 in ids:
        yield "%s with id 0" % what
    if len(set(ids)) != len(ids):
        yield "%s ids are not unique" % what


def check_locations(p):
    for x in p.locations:
        m = p.map_by_id.get(x["mapping"])
        if x["mapping"] and m is None:
            yield "location %d: no mapping %d" % (x["id"], x["mapping"])
        for line in x["lines"]:
            if line["function"] not in p.fn_by_id:
                yield "location %d: no function %d" % (x["id"], line["function"])
        if m is not None and x["address"] and not m["start"] <= x["address"] < m["limit"]:
            yield "location %d: 0x%x outside of its mapping" % (x["id"], x["address"])


def check_samples(p):
    for n, s in enumerate(p.samples):
        if len(s[1]) != len(p.types):
            yield "sample %d: %d values" % (n, len(s[1]))
        for loc in s[0]:
            if loc not in p.loc_by_id:
                yield "sample %d: no location %d" % (n, loc)
        keys = [x["key"] for x in s[2]]
        if len(set(keys)) != len(keys):
            yield "sample %d: a label key twice" % n
        if any(x["str"] and x["num"] for x in s[2]):
            yield "sample %d: a label with text and number" % n


def check(p):
    if not p.strings or p.strings[0] != "":
        yield "string 0 is not empty"
    for s in p.not_text:
        yield "a string is not UTF-8, or has a NUL: %r" % s[:100]
    if not p.types:
        yield "no sample type"
    if p.times != 1:
        yield "time_nanos occurs %d times" % p.times
    if not p.mappings or not p.text(p.mappings[0]["file"]):
        yield "mapping 1 has no file"
    if any("(deleted)" in p.text(m["file"]) for m in p.mappings):
        yield "a mapping says (deleted)"
    for m in p.mappings:
        if p.text(m["build"]) != p.text(m["build"]).lower():
            yield "a build id is not in lower case"
    for what, rows in (("mapping", p.mappings), ("location", p.locations), ("function", p.functions)):
        yield from check_ids(what, rows)
    for f in p.functions:
        if not p.text(f["name"]):
            yield "function %d has no name" % f["id"]
    yield from check_locations(p)
    yield from check_samples(p)


def sums(pairs):
    out = {}
    for key, value in pairs:
        out[key] = out.get(key, 0) + value
    return sorted(out.items(), key=lambda kv: (-kv[1], str(kv[0])))


def leaf(p, s):
    names = p.frames(s)
    return names[0] if names else "-"


def cmd_check(p):
    faults = list(check(p))
    for f in faults[:20]:
        print(f)
    return 1 if faults else 0


def cmd_total(p):
    print(p.total())


def cmd_samples(p):
    print(sum(s[1][0] for s in p.samples))


def cmd_top(p, n="10"):
    total = p.total() or 1
    cum = dict(sums((name, p.value(s)) for s in p.samples for name in set(p.frames(s))))
    for name, ns in sums((leaf(p, s), p.value(s)) for s in p.samples)[:int(n)]:
        print("%6.2f%% %10.3fs %10.3fs  %s" % (100 * ns / total, ns / 1e9, cum.get(name, 0) / 1e9, name))


def cmd_flat(p, name):
    print(sum(p.value(s) for s in p.samples if leaf(p, s) == name))


def cmd_cum(p, name):
    print(sum(p.value(s) for s in p.samples if name in p.frames(s)))


def cmd_by(p, key):
    for value, ns in sums((p.labels(s).get(key, "-"), p.value(s)) for s in p.samples):
        print(value, ns)


def cmd_cross(p, key):
    for (value, name), ns in sums(((p.labels(s).get(key, "-"), leaf(p, s)), p.value(s)) for s in p.samples):
        print(value, name, ns)


def cmd_stacks(p):
    rows = sums(((" ".join("%s=%s" % kv for kv in sorted(p.labels(s).items())), tuple(p.frames(s))), p.value(s))
                for s in p.samples)
    for (labels, frames), ns in rows:
        print(ns, labels or "-", " < ".join(frames))


def cmd_mappings(p):
    for m in p.mappings:
        flags = "".join(t for t, k in (("[FN]", "fn"), ("[FL]", "fl"), ("[LN]", "ln"), ("[IN]", "inl")) if m[k])
        print(m["id"], "0x%x 0x%x 0x%x" % (m["start"], m["limit"], m["offset"]), p.text(m["build"]) or "-",
              flags or "-", p.text(m["file"]) or "-")


def cmd_comments(p):
    for c in p.comments:
        print(c)


def cmd_number(p, name):
    for c in p.comments:
        m = re.search(r"(?:^|[\s#,;])%s=(-?[0-9.]+)" % re.escape(name), c)
        if m:
            print(m.group(1).rstrip("."))
            return
    print(0)


def cmd_names(p):
    for f in p.functions:
        print(p.text(f["name"]))


def cmd_types(p):
    print("samples", " ".join("/".join(t) for t in p.types))
    print("period", "/".join(p.period_type or ("-",)), p.period)
    print("default", p.default_type or "-")
    print("time", p.time)
    print("duration", p.duration)


def cmd_depth(p):
    print(max((len(s[0]) for s in p.samples), default=0))


def cmd_sum(p, *files):
    everything = [p] + [Profile(f) for f in files]
    pseudo = sums((leaf(q, s), q.value(s)) for q in everything for s in q.samples if leaf(q, s).startswith("["))
    print("files %d\ntotal %d" % (len(everything), sum(q.total() for q in everything)))
    for name, ns in pseudo:
        print("%s %d" % (name, ns))


def cmd_json(p):
    import json
    json.dump({
        "types": p.types, "period_type": p.period_type, "period": p.period, "time": p.time,
        "duration": p.duration, "comments": p.comments,
        "mappings": [dict(m, file=p.text(m["file"]), build=p.text(m["build"])) for m in p.mappings],
        "functions": [dict(f, name=p.text(f["name"]), system=p.text(f["system"]), file=p.text(f["file"]))
                      for f in p.functions],
        "locations": p.locations,
        "samples": [{"locations": s[0], "values": s[1], "labels": p.labels(s)} for s in p.samples],
    }, sys.stdout, indent=1)
    print()


def main(argv):
    commands = {k[4:]: v for k, v in globals().items() if k.startswith("cmd_")}
    if len(argv) < 3 or argv[1] not in commands:
        print("usage: profile.py %s FILE [ARGS]" % "|".join(sorted(commands)), file=sys.stderr)
        return 2
    try:
        return commands[argv[1]](Profile(argv[2]), *argv[3:]) or 0
    except (Bad, OSError, zlib.error, IndexError, KeyError) as e:
        print("%s: %s: %s" % (argv[2], type(e).__name__, e), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
