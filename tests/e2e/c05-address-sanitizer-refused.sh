#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# An AddressSanitizer program wants its runtime first: 125.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program asan "no AddressSanitizer runtime"
record P -- "$PROGRAMS/asan" 10
refused P 125 'AddressSanitizer|ASan'
