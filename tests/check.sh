#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What `make check`, `make lab`, `make bench` and `make fuzz` run. Needs what packaging/setup.sh check installs.
set -euo pipefail
cd "$(dirname "$0")/.."
export CK_VERBOSITY=normal MESON_TESTTHREADS=2
started=$SECONDS passed=0 failed=0 skipped=0

say() { printf '== %s\n' "$*"; }

configure() { # folder, then meson's options
    local dir=$1
    shift
    [ -f "$dir/build.ninja" ] || meson setup "$dir" -Dwerror=true "$@" >"$dir.log" 2>&1 || {
        cat "$dir.log" >&2
        exit 1
    }
}

compile() { # folder, targets (none: all)
    local dir=$1
    shift
    say "build $dir"
    ninja -C "$dir" --quiet "$@"
}

run_tests() { # folder, which
    local dir=$1 r=0 log
    shift
    say "test $dir: $*"
    # The lab's guests mostly wait, as do some of the others.
    meson test -C "$dir" --no-rebuild --print-errorlogs --num-processes 4 "$@" || r=$?
    log=$dir/meson-logs/testlog.json
    count "$log"
    [ "$r" = 0 ] || finish 1
    [[ " $* " != *" lab "* ]] || shown "$dir"
}

# In the background, beside what waits as much: log, command. In a session of its own, to be ended as one.
beside() {
    local log=$1
    shift
    say "$* (beside what follows)"
    setsid "$@" >"$log" 2>&1 &
    beside_pid=$!
}

# Returns how it ended, and prints what it said.
joined() { # log
    local r=0
    wait "$beside_pid" || r=$?
    beside_pid=
    cat "$1"
    return "$r"
}

count() { # meson's log
    passed=$((passed + $(grep -c '"result": "OK"' "$1" || true)))
    failed=$((failed + $(grep -cE '"result": "(FAIL|TIMEOUT|ERROR|UNEXPECTEDPASS)"' "$1" || true)))
    skipped=$((skipped + $(grep -c '"result": "SKIP"' "$1" || true)))
}

# Real guests are what it is all about: without them nothing was shown. (Only a memory cgroup and swap, and KSM, take root.)
shown() { # folder
    if grep '"result": "SKIP"' "$1/meson-logs/testlog.json" | grep -qvE 'lab-(scope|ksm)'; then
        say "the tests on real guests were skipped; $1/meson-logs/testlog.txt says why"
        finish 1
    fi
    grep -hE '^(FIGURE|SKIP:) ' "$1/meson-logs/testlog.txt" || true
}

step() { # name, command
    local name=$1
    shift
    say "$name"
    local r=0
    "$@" || r=$?
    case $r in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) ;;
    *)
        failed=$((failed + 1))
        finish 1
        ;;
    esac
}

finish() {
    [ -z "${beside_pid:-}" ] || kill -- "-$beside_pid" 2>/dev/null || true
    printf '== %d s\n%d passed, %d failed, %d skipped\n' $((SECONDS - started)) "$passed" "$failed" "$skipped"
    exit "$1"
}

formatted() {
    find base proto policy guest-agent host-agent tests -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run --Werror
}

# What the tests on real guests use.
real_guests=(guest-agent/ballast-guestd host-agent/ballastd host-agent/ctl/ballastctl tests/lab/load tests/lab/hostile)
simulations=(balloon-sim ksm-policy)

mkdir -p build
case "${1:-all}" in
all)
    configure build/check -Ddebug=false
    # For its warnings: nothing of it is run.
    CC=clang configure build/clang -Dbuildtype=plain
    configure build/asan -Dc_args=-g1 -Db_sanitize=address,undefined -Db_lundef=false
    step "format" formatted
    compile build/clang
    compile build/asan
    compile build/check "${real_guests[@]}" "${simulations[@]/#/tests/unit/test-}"
    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:halt_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    beside build/packages.log packaging/deb.sh --test
    run_tests build/asan --suite unit --suite fuzz
    # Sanitizers had only a part of these.
    run_tests build/check "${simulations[@]}"
    step "packages" joined build/packages.log
    beside build/asan.beside.log meson test -C build/asan --no-rebuild --logbase beside --print-errorlogs --suite integration
    run_tests build/check --suite lab
    integration=0
    joined build/asan.beside.log || integration=$?
    count build/asan/meson-logs/beside.json
    [ "$integration" = 0 ] || finish 1
    ;;
lab)
    configure build/check
    compile build/check "${real_guests[@]}"
    run_tests build/check --suite lab
    ;;
bench)
    configure build/check
    compile build/check
    say "bench"
    meson test -C build/check --no-rebuild --benchmark --no-suite soak --verbose --num-processes 1
    exit
    ;;
soak)
    configure build/check
    compile build/check
    say "soak"
    meson test -C build/check --no-rebuild --benchmark --suite soak --verbose
    exit
    ;;
fuzz)
    CC=clang configure build/fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args=-fsanitize=fuzzer-no-link
    compile build/fuzz
    for target in build/fuzz/tests/fuzz/fuzz-*; do
        [ -x "$target" ] && [ -f "$target" ] || continue
        name=${target##*/fuzz-}
        mkdir -p "build/fuzz/found/$name"
        dict=()
        [ -f "tests/fuzz/$name.dict" ] && dict=(-dict="tests/fuzz/$name.dict")
        step "fuzz $name" "$target" -max_total_time="${FUZZ_SECONDS:-60}" -print_final_stats=0 -verbosity=0 \
            -artifact_prefix="build/fuzz/found/$name-" "${dict[@]}" "build/fuzz/found/$name" "tests/fuzz/corpus/$name"
    done
    ;;
*)
    echo "Usage: tests/check.sh [all|lab|soak|bench|fuzz]" >&2
    exit 2
    ;;
esac
finish 0
