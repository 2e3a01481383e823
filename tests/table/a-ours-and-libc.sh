#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The table of libc, of the loader, of bigger libraries where there are some, and of what we built ourselves has the
# rules that readelf reads from the same files, at each address where either changes.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
files=("$DUMP" "$PROGRAMS/truth")
# what the dump itself runs by: libc, the loader, and libraries that the collector needs
while read -r f; do
	files+=("$f")
done < <(ldd "$DUMP" | sed -n 's|^[^/]*\(/[^ ]*\) (0x.*|\1|p' | grep -E '/(libc|ld-linux[^/]*|libz|libelf)\.so')
for f in /usr/lib/*-linux-gnu/libstdc++.so.6 /usr/lib/*-linux-gnu/libcrypto.so.3; do
	[ ! -e "$f" ] || files+=("$f")
done
compared=0
for f in "${files[@]}"; do
	[ -e "$f" ] || continue
	[ "$(head -c 4 "$f" | tail -c 3)" = ELF ] || continue	# libtool's wrapper
	same_as_readelf "$f"
	compared=$((compared + 1))
done
[ "$compared" -ge 3 ] || fail "only $compared files were there to compare"
exit 0
