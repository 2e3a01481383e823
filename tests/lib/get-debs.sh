#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# get-debs.sh - unpacks Debian packages into a folder: nothing is installed and no service starts.
#
# Usage: get-debs.sh FOLDER PACKAGE...
# Fetches what is not there yet with `apt-get download` (the sources that the machine has), unpacks with
# `dpkg -x`.  A stamp for each package makes the next call cost nothing.  Status 77 with a reason
# when the tools or the packages cannot be had.
set -u
folder=${1:?folder}
shift

stop()
{
	echo "$*"
	exit 77
}

if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then stop "apt-get or dpkg is not here"; fi
mkdir -p "$folder/debs" "$folder/stamps" || exit 1
folder=$(cd "$folder" && pwd)
for package; do
	[ -e "$folder/stamps/$package" ] && continue
	(
		flock 9
		[ -e "$folder/stamps/$package" ] && exit 0
		rm -f "$folder/debs/${package}_"*.deb
		# As root, apt would hand the download to a user who may not write here.
		(cd "$folder/debs" && timeout 120 apt-get -qq -o APT::Sandbox::User=root download "$package") \
			>"$folder/debs/log" 2>&1 || exit 77
		dpkg -x "$folder/debs/${package}_"*.deb "$folder" >>"$folder/debs/log" 2>&1 || exit 77
		: >"$folder/stamps/$package"
	) 9>"$folder/lock" || stop "cannot get $package: $(tail -1 "$folder/debs/log")"
done
