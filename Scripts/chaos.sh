#!/usr/bin/env bash
# The fault suite in full, and the table of what became of the events: `Scripts/chaos.sh [--short]`.
set -euo pipefail
cd "$(dirname "$0")/.."

form=full
if [ "${1:-}" = --short ]; then form=short; fi
log="$(mktemp "${TMPDIR:-/tmp}/mesh-events-chaos.XXXXXX")"
trap 'rm -f "$log"' EXIT

swift build --build-tests
# A build wants it (Makefile); tests want the order of sets and dictionaries that programs get.
unset SWIFT_DETERMINISTIC_HASHING
code=0
MESH_EVENTS_CHAOS="$form" MESH_EVENTS_TEST_SERVERS="${MESH_EVENTS_TEST_SERVERS:-$(Scripts/test-servers.sh)}" \
    swift test --skip-build --no-parallel --filter '^ChaosTests\.' >"$log" 2>&1 || code=$?
grep -v '^chaos|' "$log" | grep -E '✘|failed|passed after' || true
echo
echo '| fault | sent | acknowledged | stored | received | dropped, counted | |'
echo '| --- | ---: | ---: | ---: | ---: | ---: | --- |'
sed -n 's/^chaos|/|/p' "$log"
[ "$code" -eq 0 ] || exit "$code"
rows="$(grep -c '^chaos|' "$log" || true)"
tests="$(grep -hoE '@Test\(' Tests/ChaosTests/*.swift | wc -l)"
if [ "$rows" -ne "$tests" ]; then
    echo "chaos: $rows rows of $tests tests" >&2
    exit 1
fi
