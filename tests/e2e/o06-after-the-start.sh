#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What programs do after their start does not take the profile away, nor change what they do: another user, another
# root, a folder that is gone, all descriptors closed; outside and inside.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_root "setuid and chroot"
[ -x /usr/bin/python3 ] || skip "no /usr/bin/python3 (apt-get install python3)"
find_library
mkdir -p "$T/files" "$T/root" "$T/gone"
chmod 777 "$T/files"
# Another user must get to the folder: below a home of mode 0700 nobody does.
reachable=yes
setpriv --reuid 65534 --regid 65534 --clear-groups test -w "$T/files" 2>/dev/null || reachable=no
while IFS='|' read -r name what; do
	case $name$reachable in userno | back-and-forthno) continue ;; esac
	code="import os, sys, time
def burn(s):
    end = time.thread_time() + s
    while time.thread_time() < end: sum(range(1000))
burn(.2)
$what
burn(.6)
print(os.getuid(), len(os.listdir('/')) == 0)
sys.stdout.flush()
os._exit(7)"
	for how in bare outside inside; do
		mkdir -p "$T/gone"
		case $how in
		bare) /usr/bin/python3 -c "$code" ;;
		outside) "$SONDE" run -o "$T/files/$name.outside.pb.gz" -- /usr/bin/python3 -c "$code" ;;
		inside) SONDE_FILE=$T/files/$name.inside.pb.gz LD_PRELOAD=$LIBSONDE /usr/bin/python3 -c "$code" ;;
		esac >"$T/$name.$how" 2>"$T/$name.$how.err" </dev/null
		is "$name, $how: status" $? 7
		cmp "$T/$name.bare" "$T/$name.$how" || fail "$name, $how: $(cat "$T/$name.$how")"
		is_empty "$name, $how: stderr" "$T/$name.$how.err"
		[ "$how" = bare ] && continue
		valid "$T/files/$name.$how.pb.gz"
		at_least "$name, $how: CPU time" "$(profile total "$T/files/$name.$how.pb.gz")" 790000000
		at_most "$name, $how: time without samples" "$(profile flat "$T/files/$name.$how.pb.gz" '[not sampled]')" 200000000
	done
done <<EOT
user|os.setgroups([]); os.setgid(65534); os.setuid(65534)
back-and-forth|os.seteuid(65534); os.seteuid(0); os.seteuid(65534)
root|os.chroot("$T/root"); os.chdir("/")
folder|os.chdir("$T/gone"); os.rmdir("$T/gone")
descriptors|os.closerange(3, 4096)
low-descriptors|[os.dup2(os.open("/dev/null", os.O_RDWR), n) for n in range(3, 40)]
EOT
