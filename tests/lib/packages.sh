# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# packages.sh - what the two scripts of the README need from Debian, and how they get it: as root or by
# sudo, else they print the line and stop.  Never a service, never another registry.

# To build; then what the tests add.
# shellcheck disable=SC2034  # the scripts that source this use them
PACKAGES_BUILD="gcc libc6-dev make autoconf automake libtool pkg-config libunwind-dev libprotobuf-c-dev protobuf-c-compiler zlib1g-dev libdw-dev libiberty-dev libevent-dev"
# shellcheck disable=SC2034
PACKAGES_QUICKSTART="$PACKAGES_BUILD xz-utils python3-minimal"
# shellcheck disable=SC2034
PACKAGES_TEST="$PACKAGES_BUILD g++ check xz-utils clang libclang-rt-14-dev golang-go python3 mandoc shellcheck curl procps binutils libcap2-bin graphviz apache2-utils wrk nghttp2-client slowhttptest php-cli musl-tools libgoogle-perftools-dev"

missing_packages()	# PACKAGE...
{
	local p

	for p; do
		dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || printf '%s ' "$p"
	done
}

# Install what is missing; on other systems configure says what it lacks.
need_packages()	# LOG PACKAGE...
{
	local log=$1 missing as_root=

	shift
	command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || return 0
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	missing=${missing% }
	if [ "$(id -u)" -ne 0 ]; then
		if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
			echo "missing; as root:  apt-get install --no-install-recommends $missing"
			exit 1
		fi
		as_root=sudo
	fi
	echo "installing: apt-get install --no-install-recommends $missing"
	# shellcheck disable=SC2086  # words
	if ! { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends $missing ||
		{ $as_root apt-get -qq update &&
			$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends $missing; }; } \
		>"$log" 2>&1 </dev/null; then
		echo "that failed; $log ends:"
		tail -n 20 "$log"
		exit 1
	fi
}
