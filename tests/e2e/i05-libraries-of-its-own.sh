#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The program's libevent is its own, with its allocator and its debug mode; functions that it exports under the names
# of the collector's libraries are not called.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program ownevent
need_program impostor
for ((i = 0; i < 3; i++)); do
	same_inside ownevent "$PROGRAMS/ownevent"
done
same_inside impostor "$PROGRAMS/impostor"
