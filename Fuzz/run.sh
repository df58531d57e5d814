#!/usr/bin/env bash
# Runs every fuzz target for a bounded count and fails on the first crash, hang (5 s for one input) or growth past 1 GiB. What a run adds to the
# corpus stays in .build; a crash's input is kept as .build/crash-TARGET-HASH: put it into corpus/TARGET with the fix.
# FUZZ_RUNS and FUZZ_SECONDS bound each target, FUZZ_TARGETS names some of them.
set -euo pipefail
cd "$(dirname "$0")"
runs=${FUZZ_RUNS:-200000}
seconds=${FUZZ_SECONDS:-20}
targets=${FUZZ_TARGETS:-$(ls corpus)}
for target in $targets; do
    found=.build/corpus/$target
    log=.build/$target.log
    mkdir -p "$found"
    if FUZZ_TARGET=$target .build/release/Fuzz "$found" "corpus/$target" -runs="$runs" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 \
        -max_len=4096 -artifact_prefix=".build/crash-$target-" >"$log" 2>&1; then
        echo "$target: $(grep -o 'Done [0-9]* runs.*' "$log" | tail -1)"
    else
        grep -vE '^#|INFO:' "$log" | head -40
        echo "$target: FAILED, see Fuzz/$log" >&2
        exit 1
    fi
done
