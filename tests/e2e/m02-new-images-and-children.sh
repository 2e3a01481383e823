#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Children and new images find the profiler's signal blocked or ignored as they would have bare, by every exec and
# spawn; a child may reset it; 200 images in one process id all live, at 1000 Hz.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program images
for SONDE_SIGNAL in 27 39; do
	export SONDE_SIGNAL
	for what in start inherit vfork fork session chain; do
		SONDE_HZ=
		[ "$what" != chain ] || SONDE_HZ=1000
		export SONDE_HZ
		timeout -k 5 100 "$PROGRAMS/images" "$what" "$SONDE_SIGNAL" >"$T/bare" 2>&1 </dev/null
		is "$what bare" $? 0
		timeout -k 5 100 "$SONDE" run -o "$T/outside.pb.gz" -- "$PROGRAMS/images" "$what" "$SONDE_SIGNAL" \
			>"$T/outside" 2>&1 </dev/null
		is "$what outside" $? 0
		cmp "$T/bare" "$T/outside" || fail "$what outside, signal $SONDE_SIGNAL: $(diff "$T/bare" "$T/outside")"
		same_inside "$what" "$PROGRAMS/images" "$what" "$SONDE_SIGNAL"
	done
done
