#!/usr/bin/env bash
# Runs the unit tests one at a time. Suites that fail, three at the most, are tried once more by themselves: many tests wait for real
# timers, and a busy machine is late. Both outcomes stand at the end of the log. A crash is never tried again: input must not trap.
set -uo pipefail
swift=${1:-swift}
log=.build/units.log
failures() { grep -aE '✘|: error:|Fatal error' "$log" | tail -60; }

"$swift" test --skip-build --no-parallel 2>&1 | tee "$log" && exit 0
grep -aqE '^✘ Test run with [0-9]+ tests' "$log" || { failures; exit 1; }
# The types of the suites that failed: the log has the names they are shown by. Fails for a name that no source has.
suites=$(python3 - "$log" <<'EOF'
import glob, re, sys
types = {}
for path in glob.glob("Tests/*Tests/**/*.swift", recursive=True):
    for name, kind in re.findall(r'@Suite\(\s*"([^"]+)"[\s\S]*?\b(?:struct|class|actor)\s+(\w+)', open(path, encoding="utf-8").read()):
        types[name] = kind
text = open(sys.argv[1], encoding="utf-8", errors="replace").read()
print("\n".join(sorted({kind or types[name] for name, kind in re.findall(r'^✘ Suite (?:"(.+)"|(\w+)) failed', text, re.M)})))
EOF
) || { failures; exit 1; }
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
