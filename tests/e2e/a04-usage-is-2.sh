#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the command line gets wrong: status 2, and nothing runs.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
refuses()	# WHAT ARGS...
{
	local what=$1

	shift
	"$SONDE" "$@" >"$T/out" 2>"$T/err" </dev/null
	is "$what: status" $? 2
	is_empty "$what: stdout" "$T/out"
	exists "$what: a word on stderr" "$T/err"
	absent "$what: the program ran" "$T/ran"
}
refuses "no command" run
refuses "no command after --" run --
refuses "unknown option" run --no-such-option -- touch "$T/ran"
refuses "bad rate" run --hz 0 -- touch "$T/ran"
matches "bad rate: option, value, range" "$T/err" 'hz.*0.*1 to 10000'
refuses "rate that is no number" run --hz 10x -- touch "$T/ran"
refuses "bad kind" run --kinds cpu,nonsense -- touch "$T/ran"
refuses "option without its value" run --hz
refuses "unknown subcommand" no-such-command
