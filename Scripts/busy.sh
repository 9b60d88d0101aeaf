#!/usr/bin/env bash
# The whole suite five times in a row (BUSY_RUNS) beside two processes that eat the processors: no test may depend on time
# that a busy machine does not have. Ends with the first run that fails.
set -euo pipefail
cd "$(dirname "$0")/.."

runs="${BUSY_RUNS:-5}"
eaters=()
trap 'kill "${eaters[@]}" 2>/dev/null || true' EXIT
for _ in 1 2; do
    while :; do :; done &
    eaters+=($!)
done
for run in $(seq "$runs"); do
    began=$SECONDS
    make test || { printf '=== run %d of %d: FAILED after %d s\n' "$run" "$runs" $((SECONDS - began)) >&2; exit 1; }
    printf '=== run %d of %d: passed in %d s; load %s\n' "$run" "$runs" $((SECONDS - began)) "$(uptime | sed 's/.*: //')"
done
