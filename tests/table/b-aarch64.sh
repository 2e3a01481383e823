#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Tables of aarch64 files, made on whatever machine this is, agree with readelf: Debian's cross libc and libstdc++, and,
# with a cross compiler, code with signed return addresses and with a realigned stack.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
found=0
for f in /usr/aarch64-linux-gnu/lib/libc.so.6 /usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1 /usr/aarch64-linux-gnu/lib/libstdc++.so.6; do
	[ -e "$f" ] || continue
	found=$((found + 1))
	same_as_readelf "$f"
done
if command -v aarch64-linux-gnu-gcc >/dev/null; then
	cat >"$T/signed.c" <<'END'
int callee(int *p);
int caller(int n)
{
	int a[n + 1];

	return callee(a) + 1;
}
END
	aarch64-linux-gnu-gcc -O2 -shared -fPIC -mbranch-protection=standard -o "$T/signed.so" "$T/signed.c" || fail "cross compiler"
	same_as_readelf "$T/signed.so"
	rows_of "$T/signed.so" "$T/rows"
	grep -q ' ra=c-[0-9]* signed$' "$T/rows" || fail "no row with a signed address: $(cat "$T/rows")"
	[ "$(grep -c 'signed$' "$T/rows")" -lt "$(grep -c ' ra=' "$T/rows")" ] || fail "every row is signed"
	found=$((found + 1))
fi
[ "$found" -gt 0 ] || skip "no aarch64 file here (package libc6-arm64-cross)"
exit 0
