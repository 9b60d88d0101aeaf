#!/usr/bin/env bash
# `swift test` with the arguments given, against each nats-server found. A run prints some thousand lines: what failed is
# said once more at its end, where people, and logs of which only the end is kept, look for it.
set -euo pipefail
cd "$(dirname "$0")/.."

export MESH_EVENTS_TEST_SERVERS="${MESH_EVENTS_TEST_SERVERS:-$(Scripts/test-servers.sh)}"
log="$(mktemp "${TMPDIR:-/tmp}/mesh-events-test.XXXXXX")"
trap 'rm -f "$log"' EXIT

code=0
"${SWIFT:-swift}" test --skip-build "$@" 2>&1 | tee "$log" || code=$?
if [ "$code" -ne 0 ]; then
    printf '\n=== what failed:\n'
    grep -A 3 -E '✘|Fatal error|error:' "$log" | grep -vE '(✔|◇) (Test|Suite)' | cut -c 1-600 | tail -n 60 || true
    exit "$code"
fi
