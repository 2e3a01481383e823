#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# GNU sort has a handler for SIGPROF that ends it, PHP one that ends its scripts: each does as it does bare.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
find_library
"$PYTHON" - "$T/data" <<'END'
import random, sys
random.seed(1)
with open(sys.argv[1], "w") as f:
    for i in range(2000000):
        f.write("%028x\n" % random.getrandbits(112))
END
sort=(sort --parallel=2 -S 8M -T "$T" "$T/data")
timeout -k 5 60 "${sort[@]}" >"$T/bare"
timeout -k 5 60 "$SONDE" run --hz 1000 -o "$T/sort.pb.gz" -- "${sort[@]}" >"$T/outside" || fail "sort outside: status $?"
cmp "$T/bare" "$T/outside" || fail "sort outside"
SONDE_ONLY=sort SONDE_HZ=1000 SONDE_FILE=$T/sortin.pb.gz LD_PRELOAD=$LIBSONDE "${sort[@]}" >"$T/inside" || fail "sort inside: status $?"
cmp "$T/bare" "$T/inside" || fail "sort inside"
for p in sort sortin; do
	valid "$T/$p.pb.gz"
	at_least "$p: CPU time" "$(profile total "$T/$p.pb.gz")" 300000000
	at_most "$p: not sampled" "$(profile flat "$T/$p.pb.gz" '[not sampled]')" "$(($(profile total "$T/$p.pb.gz") / 10))"
done
rm -f "$T/data" "$T/bare" "$T/outside" "$T/inside"

command -v php >/dev/null || exit 0
cat >"$T/loop.php" <<'END'
<?php
function spin() { $x = 0; while (true) { $x = ($x * 31 + 7) % 1000003; } }
spin();
END
php=(php -d max_execution_time=1 -d display_errors=1 -d log_errors=0 "$T/loop.php")
timeout -k 5 60 "${php[@]}" >"$T/bare" 2>&1
is "php bare" $? 255
matches php "$T/bare" 'Maximum execution time of 1 second exceeded'
timeout -k 5 60 "$SONDE" run -o "$T/php.pb.gz" -- "${php[@]}" >"$T/outside" 2>&1
is "php outside" $? 255
cmp "$T/bare" "$T/outside" || fail "php outside: $(diff "$T/bare" "$T/outside")"
SONDE_FILE=$T/phpin.pb.gz LD_PRELOAD=$LIBSONDE "${php[@]}" >"$T/inside" 2>&1
is "php inside" $? 255
cmp "$T/bare" "$T/inside" || fail "php inside: $(diff "$T/bare" "$T/inside")"
for p in php phpin; do
	valid "$T/$p.pb.gz"
	at_least "$p: CPU time" "$(profile total "$T/$p.pb.gz")" 500000000
done
