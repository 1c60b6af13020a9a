#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What `make check`, `make check-builds`, `make lab`, `make soak`, `make bench`, `make fuzz`, `make analyze`, `make races`
# and `make coverage` run. Needs what packaging/setup.sh check installs, and for `make analyze` clang-tidy.
#
# Every suite runs, also when one before it failed. The last lines name what failed and its log; the very last one is
# "N passed, N failed, N skipped". Exit status 1: something failed. What a suite found is kept in a file (results),
# since two lanes of suites run at a time: one that mostly waits next to one that computes. The tests on real guests
# come last and alone, for guests without KVM take all of a core.
set -uo pipefail
cd "$(dirname "$0")/.."

# Who kills make, or this script, also ends what these started: each process is tied to the one that started it.
tied=()
! command -v setpriv >/dev/null || tied=(setpriv --pdeathsig TERM --)
if [ -n "${MAKELEVEL:-}" ] && [ -z "${CHECK_TIED:-}" ]; then
    CHECK_TIED=1 exec "${tied[@]}" "$0" "$@"
fi
trap 'exit 130' INT

export CK_VERBOSITY=normal MESON_TESTTHREADS=2
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:halt_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# How many times as many cases the tests take that go over the same code again and again.
export BALLAST_CASES=${BALLAST_CASES:-1}
# Two cores bear two programs of the lab: their guests boot and move memory half of the time, and wait the other half.
LAB_AT_ONCE=${LAB_AT_ONCE:-2}
RESULTS=build/check.results

say() { printf '== %s\n' "$*"; }

# One line for each: passed, failed or skipped, how often, what, where its log is.
result() { printf '%s\t%s\t%s\t%s\n' "$@" >>"$RESULTS"; }

took() { # what, since when in seconds
    printf 'time\t%s\t%s\t\n' $((SECONDS - $2)) "$1" >>"$RESULTS"
}

# A command with a log of its own, which is shown if it fails. Exit status 77: skipped.
step() { # name, log, command
    local name=$1 log=$2 r=0 began=$SECONDS
    shift 2
    say "$name"
    "$@" >"$log" 2>&1 || r=$?
    took "$name" $began
    case $r in
    0) result passed 1 "$name" "$log" ;;
    77) result skipped 1 "$name" "$log" ;;
    *)
        tail -n 60 "$log"
        result failed 1 "$name" "$log"
        ;;
    esac
    [ "$r" = 0 ]
}

# Warnings are errors here, and only here.
build_() { # folder, targets (all: everything), meson's options
    local dir=$1 targets=$2
    shift 2
    [ -f "$dir/build.ninja" ] || meson setup "$dir" -Dwerror=true "$@" || return 1
    # shellcheck disable=SC2086
    "${tied[@]}" ninja -C "$dir" -j 2 --quiet $targets
}

build() { # name, folder, targets, meson's options
    local name=$1 dir=$2
    shift
    mkdir -p "$(dirname "$dir")"
    step "build $name" "$dir.log" build_ "$@"
}

# A suite of meson's. Its log says what each test printed.
suite() { # name, folder, how many at once, what
    local name=$1 dir=$2 at_once=$3 base=${1// /-} began=$SECONDS
    shift 3
    say "$name"
    # shellcheck disable=SC2086
    "${tied[@]}" meson test -C "$dir" --no-rebuild --logbase "$base" --print-errorlogs --num-processes "$at_once" "$@" \
        >"$dir/$base.out" 2>&1
    took "$name" $began
    python3 - "$name" "$dir/meson-logs/$base" "$dir/$base.out" >>"$RESULTS" <<'PYTHON'
import collections, json, os, sys
name, log, out = sys.argv[1:]
count, failed = collections.Counter(), []
if os.path.exists(log + '.json'):
    with open(log + '.json') as f:
        for test in map(json.loads, f):
            what = {'OK': 'passed', 'EXPECTEDFAIL': 'passed', 'SKIP': 'skipped'}.get(test['result'], 'failed')
            count[what] += 1
            if what == 'failed':
                failed.append(f"{test['name'].split(' / ')[-1]} ({test['result'].lower()})")
            elif what == 'skipped' and name == 'lab' and not test['name'].endswith(('lab-scope', 'lab-ksm')):
                # Real guests are what it is all about: without them nothing was shown.
                failed.append(f"{test['name'].split(' / ')[-1]} (skipped)")
for what in 'passed', 'skipped':
    print(what, count[what], name, log + '.txt', sep='\t')
for test in failed:
    print('failed', 1, f'{name}: {test}', log + '.txt', sep='\t')
if not count:
    print('failed', 1, f'{name}: no test ran', out, sep='\t')
PYTHON
    grep -vE '^(ninja: |$)' "$dir/$base.out"
    [ "$name" != lab ] || grep -hE '^(FIGURE|SKIP:) ' "$dir/meson-logs/$base.txt"
    true
}

finish() {
    local passed failed skipped
    passed=$(awk -F'\t' '$1 == "passed" {n += $2} END {print n + 0}' "$RESULTS")
    failed=$(awk -F'\t' '$1 == "failed" {n += $2} END {print n + 0}' "$RESULTS")
    skipped=$(awk -F'\t' '$1 == "skipped" {n += $2} END {print n + 0}' "$RESULTS")
    say "seconds: $(awk -F'\t' '$1 == "time" {printf "%s%s %d", n++ ? ", " : "", $3, $2}' "$RESULTS"); in all $SECONDS"
    awk -F'\t' '$1 == "failed" {printf "FAILED %s; see %s\n", $3, $4}' "$RESULTS"
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" = 0 ]
    exit
}

formatted() {
    find base proto policy guest-agent host-agent tests -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run --Werror
}

# What the tests on real guests use.
real_guests="guest-agent/ballast-guestd host-agent/ballastd host-agent/ctl/ballastctl tests/lab/load tests/lab/hostile"
simulations="balloon-sim ksm-policy"
# What has threads, and what its tests and those of the same names need.
threads="host-agent/ballastd host-agent/ctl/ballastctl tests/integration/virt-watch tests/unit/test-virt-queue
         tests/unit/test-virt-workers tests/unit/test-ctl"
# What a builder gets, with either compiler and each optimisation that isn't built anyway: for its warnings.
others="gcc-plain gcc-release gcc-minsize gcc-lto clang-debugoptimized clang-release clang-minsize clang-lto"

check_build() { # more targets
    # shellcheck disable=SC2086
    build check build/check "$real_guests $*" -Ddebug=false
}

build_others() {
    local other how
    for other in $others; do
        how=-Dbuildtype=${other#*-}
        [ "${other#*-}" != lto ] || how=-Db_lto=true
        CC=${other%-*} build "$other" "build/others/$other" all -Dtests=false -Ddebug=false "$how"
    done
}

lane_waits() {
    suite integration build/asan 4 --suite integration
}

lane_computes() {
    [ -z "$asan" ] || suite unit build/asan 2 --suite unit --suite fuzz
    # Sanitizers had only a part of these.
    # shellcheck disable=SC2086
    [ -z "$check" ] || suite simulations build/check 2 $simulations
    step packages build/packages.log "${tied[@]}" packaging/deb.sh --test
    CC=clang build clang-plain build/clang all -Dbuildtype=plain
}

all() {
    asan=built check=built waits=
    step format build/format.log formatted
    build asan build/asan all -Dc_args=-g1 -Db_sanitize=address,undefined -Db_lundef=false || asan=
    # shellcheck disable=SC2086
    check_build $(printf 'tests/unit/test-%s ' $simulations) || check=
    if [ "$asan" ]; then
        "${tied[@]}" "$0" lane_waits >build/lane.out 2>&1 &
        waits=$!
    else
        result failed 1 "unit, integration: not built" build/asan.log
    fi
    lane_computes
    if [ "$waits" ]; then
        wait "$waits"
        cat build/lane.out
    fi
    if [ "$check" ]; then
        suite lab build/check "$LAB_AT_ONCE" --suite lab
    else
        result failed 1 "simulations, lab: not built" build/check.log
    fi
}

# What clang's analyser finds and tests/analyze.known doesn't have, a line for each file and checker. Not in generated
# code, nor in tests. The checkers that are left out take a _cleanup_ for a leak, and memcpy() for insecure.
analyze() {
    local checks='-*,clang-analyzer-*,-clang-analyzer-unix.Malloc,-clang-analyzer-security.insecureAPI.*'
    "${tied[@]}" run-clang-tidy -p build/check -quiet -j 2 -checks="$checks" \
        "$PWD/(base|proto|policy|guest-agent|host-agent)/" | sed 's/\x1b\[[0-9;]*m//g' | tee build/analyze.all |
        sed -nE 's|^.*/\.\./\.\./([^:]*):.* warning: .*\[(clang-analyzer-[^]]*)\]$|\1 \2|p' | sort -u >build/analyze.found
    grep -q . build/analyze.all || return 1
    ! grep -vxFf tests/analyze.known build/analyze.found
}

# Of each file: how many of its lines were run.
coverage() {
    local room
    for room in proto policy host-agent/decide host-agent/config; do
        find "build/coverage/$room" -path '*.a.p/*.gcno' -exec gcov -n {} + 2>/dev/null | awk -v room="$room" '
            /^File/ { file = $2; mine = file ~ "/" room "/[^/]*[.]c.$" }
            /^Lines/ && mine { split($2, part, /[:%]/); of += $NF; ran += part[2] * $NF / 100; mine = 0
                               if (part[2] < 90) printf "  %s %s %% of %d\n", file, part[2], $NF }
            END { printf "%s: %.1f %% of %d lines\n", room, 100 * ran / of, of }'
    done
}

mkdir -p build
case "${1:-all}" in
lane_waits)
    lane_waits
    exit
    ;;
all)
    rm -f "$RESULTS" build/lane.out
    all
    ;;
builds)
    rm -f "$RESULTS"
    build_others
    ;;
lab)
    rm -f "$RESULTS"
    ! check_build || suite lab build/check "$LAB_AT_ONCE" --suite lab
    ;;
bench)
    rm -f "$RESULTS"
    build check build/check all -Ddebug=false || finish
    say "bench"
    exec "${tied[@]}" meson test -C build/check --no-rebuild --benchmark --no-suite soak --verbose --num-processes 1
    ;;
soak)
    rm -f "$RESULTS"
    [ "$BALLAST_CASES" != 1 ] || BALLAST_CASES=10
    build check build/check all -Ddebug=false || finish
    say "soak"
    exec "${tied[@]}" meson test -C build/check --no-rebuild --benchmark --suite soak --verbose --num-processes 2
    ;;
fuzz)
    rm -f "$RESULTS"
    CC=clang build fuzz build/fuzz all -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args=-fsanitize=fuzzer-no-link || finish
    for target in build/fuzz/tests/fuzz/fuzz-*; do
        [ -x "$target" ] && [ -f "$target" ] || continue
        name=${target##*/fuzz-}
        mkdir -p "build/fuzz/found/$name"
        dict=()
        [ -f "tests/fuzz/$name.dict" ] && dict=(-dict="tests/fuzz/$name.dict")
        step "fuzz $name" "build/fuzz/$name.log" "$target" -max_total_time="${FUZZ_SECONDS:-60}" -print_final_stats=0 \
            -verbosity=0 -artifact_prefix="build/fuzz/found/$name-" "${dict[@]}" "build/fuzz/found/$name" \
            "tests/fuzz/corpus/$name"
    done
    ;;
analyze)
    rm -f "$RESULTS"
    ! check_build all || step analyze build/analyze.log analyze
    ;;
races)
    rm -f "$RESULTS"
    export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp"
    ! build races build/races "$threads" -Db_sanitize=thread || suite races build/races 2 virt-queue virt-workers virt ctl
    ;;
coverage)
    rm -f "$RESULTS"
    build coverage build/coverage all -Db_coverage=true -Dbuildtype=debug || finish
    find build/coverage -name '*.gcda' -delete
    suite coverage build/coverage 2 --suite unit --suite fuzz
    coverage
    ;;
*)
    echo "Usage: tests/check.sh [all|builds|lab|soak|bench|fuzz|analyze|races|coverage]" >&2
    exit 2
    ;;
esac
finish
