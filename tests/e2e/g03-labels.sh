#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The label thread is the name; thread_id on request; none.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P -- "$PROGRAMS/truth" -t 3 -s 1.5 -o "$T/truth.txt"
profile by "$T/P.pb.gz" thread >"$T/by"
while read -r _ name tid ns; do
	seen=$(awk -v n="$name" '$1 == n { print $2 }' "$T/by")
	near "$name" "${seen:-0}" "$ns" 25
	echo "$tid $ns" >>"$T/tids"
done < <(grep '^thread' "$T/truth.txt")
record_ok Q --labels thread_id -- "$PROGRAMS/truth" -t 3 -s 1.5 -o "$T/truth.txt"
profile by "$T/Q.pb.gz" thread_id >"$T/by"
while read -r _ name tid ns; do
	seen=$(awk -v n="$tid" '$1 == n { print $2 }' "$T/by")
	near "$name by number $tid" "${seen:-0}" "$ns" 25
done < <(grep '^thread' "$T/truth.txt")
is "no label thread" "$(profile by "$T/Q.pb.gz" thread | awk '{ print $1 }')" -
record_ok N --labels none -- "$PROGRAMS/truth" -t 2 -s 0.5 -o "$T/truth.txt"
is "no label" "$(profile by "$T/N.pb.gz" thread | awk '{ print $1 }')" -
