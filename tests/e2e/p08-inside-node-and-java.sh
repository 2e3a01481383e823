#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# node and java with the collector inside: the same output and status as bare, and a profile meanwhile.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
cat >"$T/work.js" <<'JS'
const { execFileSync } = require('child_process');
const { Worker, isMainThread, parentPort } = require('worker_threads');
function work(n) { let s = 0; for (let i = 0; i < n; i++) s = (s * 31 + i) % 1000003; return s; }
if (!isMainThread) { parentPort.postMessage(work(3e7)); } else {
	const out = [work(5e7), execFileSync('/bin/echo', ['child']).toString()];
	let left = 3;
	for (let i = 0; i < 3; i++)
		new Worker(__filename).on('message', v => { out.push(v); }).on('exit', () => { if (--left === 0) console.log(JSON.stringify(out)); });
}
JS
cat >"$T/Work.java" <<'JAVA'
public class Work {
	static long work(long n) { long s = 0; for (long i = 0; i < n; i++) s = (s * 31 + i) % 1000003; return s; }
	public static void main(String[] a) throws Exception {
		Thread[] t = new Thread[4];
		long[] r = new long[4];
		for (int i = 0; i < 4; i++) { final int k = i; t[i] = new Thread(() -> r[k] = work(60000000L + k)); t[i].start(); }
		for (Thread x : t) x.join();
		System.out.println(java.util.Arrays.toString(r));
		System.gc();
		Process p = new ProcessBuilder("/bin/echo", "child").start();
		System.out.println(new String(p.getInputStream().readAllBytes()).trim() + " " + p.waitFor());
		System.exit(3);
	}
}
JAVA
compare()	# NAME CMD...
{
	local name=$1 pid

	shift
	"$@" >"$T/bare.out" 2>"$T/bare.err" </dev/null
	echo $? >"$T/bare.rc"
	env "XDG_RUNTIME_DIR=$RUN" "LD_PRELOAD=$LIBSONDE" "SONDE_FILE=$T/$name.pb.gz" SONDE_EXIT_WAIT=20s "$@" >"$T/inside.out" 2>"$T/inside.err" </dev/null &
	pid=$!
	wait $pid
	is "$name: status" $? "$(cat "$T/bare.rc")"
	cmp "$T/bare.out" "$T/inside.out" || fail "$name: the output differs: $(cat "$T/inside.out")"
	cmp "$T/bare.err" "$T/inside.err" || fail "$name: stderr differs: $(cat "$T/inside.err")"
	opens "$T/$name.pb.gz"
	at_least "$name: CPU time" "$(profile total "$T/$name.pb.gz")" 100000000
}
none=1
if command -v node >/dev/null; then
	none=0
	compare node node "$T/work.js"
fi
if command -v java >/dev/null && java -version >/dev/null 2>&1; then
	none=0
	cd "$T" || exit 1
	compare java java "$T/Work.java"
fi
[ $none -eq 0 ] || skip "neither node nor java is installed"
