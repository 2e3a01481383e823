#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Code in memory gets its names from /tmp/perf-PID.map: outside, inside, and where names come from symbol tables only.  A map that
# another process of that number has left is not believed.  node: JIT names appear, and stacks reach the root.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program jitcode
find_library
# The command that runs next leaves its number, by which its map is removed.
# shellcheck disable=SC2016  # expanded by that shell
KEEP='echo $$ >"$0"; exec "$@"'
forget_map()
{
	case $(cat "$T/pid") in
	*[!0-9]* | '') ;;
	*) rm -f "/tmp/perf-$(cat "$T/pid").map" ;;
	esac
}

at_exit "[ ! -e '$T/pid' ] || forget_map"
by_name()	# WHAT FILE
{
	forget_map
	profile stacks "$2" >"$T/stacks"
	at_least "$1: ms in the named function" "$(awk '/jit_function_by_map < burn_until < / { n += $1 } END { print int(n / 1000000) }' "$T/stacks")" 350
	lacks "$1" "$T/stacks" '\[anon\]'
}

record_ok P -- sh -c "$KEEP" "$T/pid" "$PROGRAMS/jitcode" map 400
by_name outside "$T/P.pb.gz"
for how in lines functions; do
	SONDE_FILE=$T/I.pb.gz SONDE_ONLY=jitcode SONDE_SYMBOLIZE=$how LD_PRELOAD=$LIBSONDE \
		sh -c "$KEEP" "$T/pid" "$PROGRAMS/jitcode" map 400 >"$T/I.out" || fail "inside: status $?"
	by_name "inside, $how" "$T/I.pb.gz"
done

# All addresses are in this one; and then it is an hour old.
# shellcheck disable=SC2016
LEAVE='echo $$ >"$0"; echo "1000 7ffffffff000 stale_name" >"/tmp/perf-$$.map"; touch -d "$AGE" "/tmp/perf-$$.map"; exec "$@"'
export AGE
for AGE in now '1 hour ago'; do
	record_ok Q -- sh -c "$LEAVE" "$T/pid" "$PROGRAMS/jitcode" pointers 300
	forget_map
	profile names "$T/Q.pb.gz" >"$T/names"
	if [ "$AGE" = now ]; then
		matches "a new map" "$T/names" '^stale_name$'
	else
		lacks "an old map" "$T/names" stale_name
	fi
done

command -v node >/dev/null || exit 0
cat >"$T/work.js" <<'JS'
function fibonacci(n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
function digest(n) { let s = 0; for (let i = 0; i < n; i++) s = (s * 31 + i) % 1000003; return s; }
const words = {};
function text(n) { let c = 0; for (let i = 0; i < n; i++) { const k = 'k' + (i * 7919 % 5003); words[k] = (words[k] || 0) + 1; c += JSON.stringify({ a: i, b: [k] }).length; } return c; }
console.log(fibonacci(33), digest(1e8), text(800000));
JS
cd "$T" || exit 1
record_ok N --hz 1000 -- sh -c "$KEEP" "$T/pid" node --perf-basic-prof "$T/work.js"
forget_map
opens "$T/N.pb.gz"
profile stacks "$T/N.pb.gz" | awk '/ thread=node /' >"$T/stacks"
matches "node" "$T/stacks" 'fibonacci'
matches "node" "$T/stacks" 'JS:[*^~]?digest'
at_least "node: percent of the main thread's time that reaches the root" "$(awk '{ all += $1 } / < _start$/ { n += $1 } END { print int(100 * n / all) }' "$T/stacks")" 95
