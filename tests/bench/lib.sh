# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# lib.sh - the benches print tables and end with 1 if a row failed.
# shellcheck source=../lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
need_sonde
need_python
