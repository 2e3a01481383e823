#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# fresh.sh - a minimal Debian in a folder, this tree in it, and the two commands of the README.
#
# Usage: tests/fresh.sh [SUITE]	(default: what this machine runs, else bookworm)
# Needs root and mmdebstrap or debootstrap; takes long; no part of run.sh.  Uses the machine's own apt
# sources.  KEEP=1 keeps the folder.
set -u
top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
suite=${1:-bookworm}

skip()
{
	echo "SKIP: $*"
	exit 77
}

[ "$(id -u)" -eq 0 ] || skip "needs root"
command -v mmdebstrap >/dev/null || command -v debootstrap >/dev/null || skip "needs mmdebstrap (apt-get install mmdebstrap)"
root=$(mktemp -d "${TMPDIR:-/var/tmp}/sonde-fresh.XXXXXX") || exit 1

# shellcheck disable=SC2317  # the trap calls it
leave()
{
	local status=$? m

	for m in proc sys dev/pts dev; do
		! mountpoint -q "$root/$m" || umount -l "$root/$m"
	done
	if [ -n "${KEEP:-}" ]; then
		echo "kept: $root"
	else
		rm -rf --one-file-system "$root"
	fi
	exit "$status"
}
trap leave EXIT
trap 'exit 130' INT TERM

# The archive that this machine takes that suite from, in either form of sources.
mirror()
{
	# shellcheck disable=SC2016  # apt's own words
	apt-get indextargets --format '$(SITE) $(CODENAME) $(ORIGIN)' 2>/dev/null |
		awk -v s="$suite" '$2 == s && tolower($3) == "debian" { print $1; exit }'
}

echo "a minimal $suite in $root"
from=$(mirror)
if command -v mmdebstrap >/dev/null; then
	mmdebstrap --quiet --variant=minbase "$suite" "$root" ${from:+"$from"} || exit 1
else
	debootstrap --variant=minbase "$suite" "$root" ${from:+"$from"} >"$root.log" || exit 1
fi
cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null
# How this machine reaches the archive: its proxy and certificates.
for f in /etc/apt/apt.conf /etc/apt/apt.conf.d/*proxy* /etc/apt/apt.conf.d/*roxy*; do
	[ ! -f "$f" ] || cp "$f" "$root/etc/apt/apt.conf.d/$(basename "$f")-host"
done
mount --rbind /dev "$root/dev" && mount -t proc proc "$root/proc" && mount -t sysfs sysfs "$root/sys" || exit 1
mkdir -p "$root/root/sonde"
git -C "$top" archive HEAD | tar -xf - -C "$root/root/sonde" || exit 1
failed=0
for command in ./tools/quickstart.sh ./tests/run.sh; do
	echo "== $command"
	began=$SECONDS
	chroot "$root" env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
		${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
		bash -c "cd /root/sonde && $command" </dev/null
	status=$?
	echo "== $command: status $status, $((SECONDS - began)) s"
	[ $status -eq 0 ] || failed=1
done
exit $failed
