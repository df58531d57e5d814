#!/usr/bin/env bash
# Runs every fuzz target for a bounded count and fails on the first crash, hang (FUZZ_TIMEOUT, 5 s, for one input) or growth past 1 GiB. What a run adds to the
# corpus stays in .build; a crash's input is kept as .build/crash-TARGET-HASH: put it into corpus/TARGET with the fix.
# FUZZ_RUNS and FUZZ_SECONDS bound each target, FUZZ_TARGETS names some of them, FUZZ_JOBS run at once.
set -euo pipefail
cd "$(dirname "$0")"
export FUZZ_RUNS=${FUZZ_RUNS:-200000} FUZZ_SECONDS=${FUZZ_SECONDS:-20} FUZZ_TIMEOUT=${FUZZ_TIMEOUT:-5}

fuzz() {
    local target=$1 found=.build/corpus/$1 log=.build/$1.log
    mkdir -p "$found"
    if FUZZ_TARGET=$target .build/release/Fuzz "$found" "corpus/$target" -runs="$FUZZ_RUNS" -max_total_time="$FUZZ_SECONDS" -timeout="$FUZZ_TIMEOUT" \
        -rss_limit_mb=1024 -max_len=4096 -artifact_prefix=".build/crash-$target-" >"$log" 2>&1; then
        echo "$target: $(grep -o 'Done [0-9]* runs.*' "$log" | tail -1)"
    else
        { grep -vE '^#|INFO:' "$log" | head -40; echo "$target: FAILED, see Fuzz/$log"; } >&2
        # Ends xargs, too.
        return 255
    fi
}

if [ "${1:-}" = --one ]; then
    fuzz "$2"
else
    # shellcheck disable=SC2086
    printf '%s\n' ${FUZZ_TARGETS:-$(ls corpus)} | xargs -P "${FUZZ_JOBS:-1}" -n 1 "$PWD/run.sh" --one
fi
