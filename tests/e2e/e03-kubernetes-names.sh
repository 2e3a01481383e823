#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What Kubernetes sets for a service called sonde is no mistake.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
env SONDE_PORT=tcp://10.0.0.1:6060 SONDE_PORT_6060_TCP=tcp://10.0.0.1:6060 SONDE_PORT_6060_TCP_ADDR=10.0.0.1 \
	SONDE_SERVICE_HOST=10.0.0.1 SONDE_SERVICE_PORT=6060 SONDE_SERVICE_PORT_HTTP=6060 \
	SONDE_WEB_SERVICE_HOST=10.0.0.1 SONDE_WEB_PORT_80_TCP_PROTO=tcp \
	"$SONDE" run -o "$T/P.pb.gz" -- "$PROGRAMS/burner" -m 100 >"$T/out" 2>"$T/err" </dev/null
is "status" $? 0
is_empty "stderr" "$T/err"
valid "$T/P.pb.gz"
