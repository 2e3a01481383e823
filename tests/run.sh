#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh - builds and runs every test.
#
# Usage: tests/run.sh [--long] [--again] [--no-install] [STAGE...]
#   --long        the benches and longer fuzzing too
#   --again       also the stages whose inputs did not change since they passed
#   --no-install  say what is missing and stop, install nothing
# Everything is made in build/test.  One line a stage; what failed is told with its log.  The last line is
# `N passed, N failed, N skipped`: programs and scripts.  Status 1 if any failed.
# shellcheck disable=SC2317  # stages are called by their names
set -u
top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
# shellcheck source=lib/packages.sh
. "$top/tests/lib/packages.sh"
work=$top/build/test
jobs=$(nproc 2>/dev/null || echo 2)
long=0
again=0
install=1
chosen=
passed=0
failed=0
skipped=0
for arg; do
	case $arg in
	--long) long=1 ;;
	--again) again=1 ;;
	--no-install) install=0 ;;
	-h | --help) sed -n '5,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
	-*) echo "run.sh: unknown option $arg" >&2; exit 2 ;;
	*) chosen="$chosen $arg " ;;
	esac
done
mkdir -p "$work/log" "$work/passed" || exit 1
unset MAKEFLAGS MFLAGS CFLAGS CPPFLAGS LDFLAGS
export LC_ALL=C

# Steps that take long say so: on a terminal in place, else a line now and then.
last_told=$SECONDS
progress()
{
	if [ -t 1 ]; then
		printf '\r\033[K  %s' "$*"
	elif [ $((SECONDS - last_told)) -ge 30 ]; then
		last_told=$SECONDS
		echo "  ... $*"
	fi
}

wipe()
{
	if [ -t 1 ]; then printf '\r\033[K'; fi
}

# One number for everything that a stage reads.
inputs_of()	# PATH...
{
	{
		"${CC:-gcc}" --version
		(cd "$top" && find configure.ac Makefile.am "$@" -type f ! -name '*.pb-c.[ch]' ! -path '*/__pycache__/*' -print0 2>/dev/null |
			sort -z | xargs -0 sha256sum)
	} 2>/dev/null | sha256sum | cut -c1-32
}
code="src proto tools tests/Makemodule.am man/Makemodule.am"

# Run one command with its output in a log, with signs of life.
quietly()	# LOG COMMAND...
{
	local log=$1 pid

	shift
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		progress "$stage: $((SECONDS - stage_began)) s"
		sleep 0.2
	done
	wait "$pid"
}

show_log()	# WHAT LOG
{
	wipe
	echo "FAILED: $1"
	echo "  log: $2; its last lines:"
	tail -n 40 "$2" | sed 's/^/  | /'
}

# A stage passes, fails or is unchanged; it counts in stage_passed, stage_failed, stage_skipped.
stage()	# NAME FUNCTION PATH...
{
	local function=$2 key line

	stage=$1
	shift 2
	[ -z "$chosen" ] || [[ $chosen == *" $stage "* ]] || return 0
	key=$(inputs_of "$@")
	if [ $again -eq 0 ] && [ -e "$work/passed/$stage" ] && read -r line stage_passed stage_skipped <"$work/passed/$stage" &&
		[ "$line" = "$key" ]; then
		stage_failed=0
		printf '%-12s unchanged since it passed (%d passed, %d skipped)\n' "$stage" "$stage_passed" "$stage_skipped"
	else
		stage_passed=0
		stage_failed=0
		stage_skipped=0
		stage_began=$SECONDS
		rm -f "$work/passed/$stage"
		$function
		wipe
		printf '%-12s %4d s  %d passed, %d failed, %d skipped\n' "$stage" $((SECONDS - stage_began)) $stage_passed $stage_failed $stage_skipped
		[ $stage_failed -gt 0 ] || echo "$key $stage_passed $stage_skipped" >"$work/passed/$stage"
	fi
	passed=$((passed + stage_passed))
	failed=$((failed + stage_failed))
	skipped=$((skipped + stage_skipped))
}

one_step()	# WHAT LOG COMMAND...: a step that is one pass or one failure
{
	local what=$1 log=$2

	shift 2
	if quietly "$log" "$@"; then
		stage_passed=$((stage_passed + 1))
		return 0
	fi
	show_log "$what" "$log"
	stage_failed=$((stage_failed + 1))
	return 1
}

finish()
{
	wipe
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
	exit $?
}

# Without this step there is nothing to test.
stop_here()
{
	passed=$((passed + stage_passed))
	failed=$((failed + stage_failed))
	finish
}

# Configure in work/NAME unless that is done with the same words.
configured()	# NAME ARGS...
{
	local dir=$work/$1

	shift
	if [ -x "$dir/config.status" ] && [ "$(cat "$dir/words" 2>/dev/null)" = "$*" ]; then
		return 0
	fi
	rm -rf "$dir"
	mkdir -p "$dir" && cd "$dir" && "$top/configure" "$@" && echo "$*" >words
}

build_in()	# NAME "MAKE WORDS" CONFIGURE WORDS...
{
	local name=$1 words=$2

	shift 2
	# shellcheck disable=SC2086  # words
	(configured "$name" "$@") && make -C "$work/$name" -j "$jobs" --no-print-directory $words
}

sum_of()	# WORDS SUMMARY
{
	sed -n "s/^# \\($1\\): *//p" "$2" | awk '{ n += $1 } END { print n + 0 }'
}

# What automake's harness counted.
count_suite()	# SUMMARY
{
	stage_passed=$((stage_passed + $(sum_of 'PASS\|XFAIL' "$1")))
	stage_skipped=$((stage_skipped + $(sum_of SKIP "$1")))
	stage_failed=$((stage_failed + $(sum_of 'FAIL\|XPASS\|ERROR' "$1")))
}

harness()	# WHAT NAME LOG COMMAND...
{
	local what=$1 dir=$work/$2 log=$3 before=$stage_failed status

	shift 3
	rm -f "$dir/test-suite.log"
	quietly "$log" "$@"
	status=$?
	[ -e "$dir/test-suite.log" ] && count_suite "$dir/test-suite.log"
	[ "$status" -ne 0 ] && [ "$stage_failed" -eq "$before" ] && stage_failed=$((stage_failed + 1))
	[ "$status" -eq 0 ] && return 0
	if [ -e "$dir/test-suite.log" ] && grep -q '^FAIL\|^ERROR' "$dir/test-suite.log"; then
		show_log "$what: $(sed -n 's/^\(FAIL\|ERROR\): //p' "$dir/test-suite.log" | sort -u | tr '\n' ' ')" "$dir/test-suite.log"
	else
		show_log "$what" "$log"
	fi
}

# Scripts, as many at a time as there are processors; 0 pass, 77 skip, else fail.
run_one()	# SCRIPT LOG
{
	SN_SRC=$top SN_BUILD=$work/main timeout -k 10 "${TEST_SECONDS:-300}" "$1" >"$2" 2>&1 </dev/null
	echo $? >"$2.status"
}

run_scripts()	# SCRIPT...
{
	local script log n=0 status running=0

	for script; do
		log=$work/log/$(basename "$(dirname "$script")")-$(basename "$script" .sh).log
		rm -f "$log.status"
		while [ "$running" -ge "$jobs" ]; do
			wait -n
			running=$((running - 1))
		done
		n=$((n + 1))
		progress "$stage: $n of $#, $(basename "$script" .sh)"
		run_one "$script" "$log" &
		running=$((running + 1))
	done
	wait
	for script; do
		log=$work/log/$(basename "$(dirname "$script")")-$(basename "$script" .sh).log
		status=$(cat "$log.status" 2>/dev/null || echo none)
		case $status in
		0) stage_passed=$((stage_passed + 1)) ;;
		77)
			stage_skipped=$((stage_skipped + 1))
			wipe
			echo "skipped: ${script#"$top/"}: $(sed -n 's/^SKIP: //p' "$log" | head -1)" ;;
		*)
			stage_failed=$((stage_failed + 1))
			[ "$status" != 124 ] || echo "(stopped after ${TEST_SECONDS:-300} s)" >>"$log"
			show_log "${script#"$top/"}" "$log" ;;
		esac
	done
}

stage_build()
{
	if [ ! -x "$top/configure" ] || [ -n "$(find "$top" -maxdepth 2 \( -name build -o -name .git \) -prune -o \( -name configure.ac -o -name '*.am' \) -newer "$top/configure" -print)" ]; then
		(cd "$top" && quietly "$work/log/autoreconf.log" autoreconf -fi) || {
			show_log autoreconf "$work/log/autoreconf.log"
			stage_failed=1
			stop_here
		}
	fi
	one_step "build with gcc -Werror" "$work/log/build.log" build_in main "" CC=gcc --enable-werror "--prefix=$work/main/inst" || stop_here
	one_step "make install" "$work/log/install.log" make -C "$work/main" --no-print-directory install || stop_here
	one_step "the test programs" "$work/log/programs.log" make -C "$work/main" -j "$jobs" --no-print-directory check TESTS= || stop_here
}

stage_check()
{
	harness "make check" main "$work/log/check.log" make -C "$work/main" -j "$jobs" --no-print-directory check
}

stage_e2e()
{
	run_scripts "$top"/tests/e2e/[a-oq-t]*[0-9]-*.sh
}

stage_real()
{
	run_scripts "$top"/tests/e2e/p[0-9]*.sh
}

stage_conform()
{
	run_scripts "$top"/tests/conform/[0-9]*.sh
}

unit_with()	# NAME SANITIZERS CC MAKE_TARGET
{
	harness "unit tests with $2" "$1" "$work/log/$1.log" \
		build_in "$1" "$4" "CC=$3" "CFLAGS=-g -O1" "--enable-sanitizer=$2"
}

stage_asan()
{
	ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 \
		unit_with asan address,undefined gcc check-unit
}

stage_tsan()
{
	# Check itself allocates when an assertion in a signal handler passes.
	TSAN_OPTIONS=halt_on_error=1:report_signal_unsafe=0 unit_with tsan thread gcc check-tsan
}

stage_clang()
{
	if ! command -v clang >/dev/null; then
		echo "skipped: clang is not installed"
		stage_skipped=1
		return
	fi
	one_step "build with clang -Werror" "$work/log/clang.log" build_in clang "" CC=clang --enable-werror "--prefix=$work/clang/inst" || return
	harness "unit tests built with clang" clang "$work/log/clang-unit.log" make -C "$work/clang" -j "$jobs" --no-print-directory check-unit
}

# Each target over its corpus and a bounded number of new inputs.
stage_fuzz()
{
	local target name runs=20000

	if ! command -v clang >/dev/null || ! ls "$top"/tests/fuzz/fuzz_*.c >/dev/null 2>&1; then
		echo "skipped: no clang or no fuzz target"
		stage_skipped=1
		return
	fi
	[ "$long" -eq 0 ] || runs=2000000
	one_step "build of the fuzz targets" "$work/log/fuzz-build.log" build_in fuzz "fuzz-targets" CC=clang "CFLAGS=-g -O1 -fsanitize=fuzzer-no-link" \
		--enable-sanitizer=address,undefined --enable-fuzz || return
	for target in "$top"/tests/fuzz/fuzz_*.c; do
		name=$(basename "$target" .c)
		mkdir -p "$work/fuzz/new/$name"
		one_step "$name" "$work/log/$name.log" "$work/fuzz/tests/fuzz/$name" "-runs=$runs" "-seed=$((long ? 0 : 1))" -max_total_time=$((long ? 600 : 15)) \
			-timeout=10 -rss_limit_mb=1024 "-artifact_prefix=$work/fuzz/new/" "$work/fuzz/new/$name" \
			"$top/tests/corpus/${name#fuzz_}"
	done
}

stage_dist()
{
	one_step "make distcheck" "$work/log/dist.log" make -C "$work/main" -j "$jobs" --no-print-directory distcheck \
		"AM_DISTCHECK_CONFIGURE_FLAGS=CC=gcc"
}

stage_bench()
{
	TEST_SECONDS=1800 run_scripts "$top"/tests/bench/truth.sh "$top"/tests/bench/churn.sh
	jobs=1 TEST_SECONDS=1800 run_scripts "$top"/tests/bench/cost.sh "$top"/tests/bench/scale.sh \
		"$top"/tests/bench/unwind.sh "$top"/tests/bench/handler.sh
	cat "$work"/log/bench-*.log
}

if [ $install -eq 1 ]; then
	# shellcheck disable=SC2086  # words
	need_packages "$work/log/apt.log" $PACKAGES_TEST
else
	# shellcheck disable=SC2086
	lacking=$(missing_packages $PACKAGES_TEST)
	[ -z "$lacking" ] || { echo "missing; as root:  apt-get install --no-install-recommends $lacking"; exit 1; }
fi
# What runs is ours alone: by its ids.
trap 'wipe; jobs -p | xargs -r kill 2>/dev/null; exit 130' INT TERM
# The code is built first whatever is asked for; make knows what there is to do.
wanted=$chosen
[ -z "$chosen" ] || chosen="$chosen build "
again_asked=$again
[ -x "$work/main/inst/bin/sonde" ] && [ -d "$work/main/tests/programs" ] || again=1
# shellcheck disable=SC2086  # words
stage build stage_build $code man tests/programs tests/step tests/unit
again=$again_asked
chosen=$wanted
# shellcheck disable=SC2086
{
	stage check stage_check $code man tests README.md
	stage e2e stage_e2e $code tests/programs tests/e2e tests/lib
	stage conform stage_conform $code tests/programs tests/conform tests/lib
	stage real stage_real $code tests/programs tests/e2e tests/lib
	stage asan stage_asan $code tests/unit
	stage tsan stage_tsan $code tests/unit
	stage clang stage_clang $code tests/unit
	stage fuzz stage_fuzz $code tests/fuzz tests/corpus
	stage dist stage_dist $code man tests README.md ARCHITECTURE HACKING NEWS LICENSE .ci
	[ "$long" -eq 0 ] || stage bench stage_bench $code tests/programs tests/bench tests/lib
}
finish
