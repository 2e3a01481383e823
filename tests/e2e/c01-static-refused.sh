#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A static program cannot be preloaded: 125 and the remedy.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program static "no static libc"
record P -- "$PROGRAMS/static"
refused P 125 '[Ss]tatic'
