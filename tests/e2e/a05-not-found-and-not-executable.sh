#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 127 for a program that is not there, 126 for one that cannot be run.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record none -- "$T/no-such-program"
refused none 127 no-such-program
record path -- no-such-program-anywhere
refused path 127 no-such-program-anywhere
echo text >"$T/text"
record text -- "$T/text"
refused text 126 text
mkdir "$T/folder"
record folder -- "$T/folder"
refused folder 126 folder
