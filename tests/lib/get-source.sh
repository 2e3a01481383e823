#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# get-source.sh - fetches a Debian source package and unpacks its upstream part.
#
# Usage: get-source.sh FOLDER PACKAGE
# Reads source lists of its own, made from those of the machine: few machines list sources, and
# theirs are not changed.  Afterwards FOLDER/src/PACKAGE is there.  Status 77 with a reason when it cannot be had.
set -u
folder=${1:?folder}
package=${2:?package}
mkdir -p "$folder/src" || exit 1
folder=$(cd "$folder/src" && pwd)
[ -d "$folder/$package" ] && exit 0

stop()
{
	echo "cannot get the source of $package: $*"
	exit 77
}

command -v apt-get >/dev/null || stop "apt-get is not here"
exec 9>"$folder/lock"
flock 9
[ -d "$folder/$package" ] && exit 0
rm -rf "$folder/apt" "$folder/part"
mkdir -p "$folder/apt/lists/partial" "$folder/apt/parts" "$folder/part"
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
	[ -e "$list" ] && sed -n 's/^deb /deb-src /p' "$list"
done >"$folder/apt/sources.list"
for list in /etc/apt/sources.list.d/*.sources; do
	[ -e "$list" ] && sed 's/^Types:.*/Types: deb-src/' "$list" >"$folder/apt/parts/$(basename "$list")"
done
apt=(apt-get -qq -o "Dir::Etc::sourcelist=$folder/apt/sources.list" -o "Dir::Etc::sourceparts=$folder/apt/parts"
	-o "Dir::State::lists=$folder/apt/lists" -o APT::Sandbox::User=root)
(cd "$folder/part" && timeout 120 "${apt[@]}" update && timeout 120 "${apt[@]}" source --download-only "$package") \
	>"$folder/log" 2>&1 || stop "$(tail -1 "$folder/log")"
mkdir "$folder/part/tree"
for archive in "$folder/part/"*.orig.tar.*; do
	case $archive in *.asc) continue ;; esac
	tar -xf "$archive" -C "$folder/part/tree" --strip-components=1 >"$folder/log" 2>&1 || stop "$(tail -1 "$folder/log")"
done
mv "$folder/part/tree" "$folder/$package"
rm -rf "$folder/part" "$folder/apt"
