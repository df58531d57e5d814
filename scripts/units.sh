#!/usr/bin/env bash
# Runs the unit tests one at a time. Suites that fail, three at the most, are tried once more by themselves: many tests wait for real
# timers, and a busy machine is late. Both outcomes stand at the end of the log. A crash is never tried again: input must not trap.
set -uo pipefail
swift=${1:-swift}
log=.build/units.log
failures() { grep -aE '✘|: error:|Fatal error' "$log" | tail -60; }

"$swift" test --skip-build --no-parallel 2>&1 | tee "$log" && exit 0
grep -aqE '^✘ Test run with [0-9]+ tests' "$log" || { failures; exit 1; }
suites=$(grep -aoE '^✘ Suite [A-Za-z0-9_]+ failed' "$log" | cut -d' ' -f3 | sort -u)
if [ -z "$suites" ] || [ "$(wc -l <<<"$suites")" -gt 3 ]; then
    failures
    exit 1
fi
first=$(failures)
"$swift" test --skip-build --no-parallel --filter "\\.($(paste -sd'|' <<<"$suites"))(/|\$)" 2>&1 | tee "$log"
outcome=$?
echo "Failed at the first try:"
echo "$first"
[ $outcome = 0 ] && grep -aqE '^✔ Test run with [1-9][0-9]* test' "$log" && { echo "Passed at the second: $(paste -sd' ' <<<"$suites")"; exit 0; }
failures
exit 1
