#!/usr/bin/env bash
# `swift test` with the arguments given, against each nats-server found. Behind `--` each argument is a share of the tests,
# with arguments of its own; the shares run at once: tests wait more than they work. A run prints some thousand lines: what
# failed is said once more at its end, where people, and logs of which only the end is kept, look for it.
set -euo pipefail
cd "$(dirname "$0")/.."

# A build wants it (Makefile); tests want the order of sets and dictionaries that programs get.
unset SWIFT_DETERMINISTIC_HASHING

common=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    common+=("$1")
    shift
done
shares=("${@:2}")
[ ${#shares[@]} -gt 0 ] || shares=("")

export MESH_EVENTS_TEST_SERVERS="${MESH_EVENTS_TEST_SERVERS:-$(Scripts/test-servers.sh)}"
# SwiftPM locks the build directory by a file in the temporary directory: each share has one of its own.
directory="$(mktemp -d "${TMPDIR:-/tmp}/mesh-events-tests.XXXXXX")"
# Some tests run programs as other users, who have to get to their files.
chmod 755 "$directory"
pids=()
stop() {
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    rm -rf "$directory"
}
trap stop EXIT

for index in "${!shares[@]}"; do
    read -ra own <<<"${shares[$index]}"
    temporary="$directory/$index"
    mkdir "$temporary"
    (
        set -o pipefail
        TMPDIR="$temporary" "${SWIFT:-swift}" test --skip-build "${common[@]}" "${own[@]}" 2>&1 | tee "$directory/$index.log"
    ) &
    pids+=($!)
    # Until its tests run, it has the build directory to itself. What they print may come late.
    while kill -0 "${pids[-1]}" 2>/dev/null && ! ps -eo args | grep -F '.xctest ' | grep -qF -- "${shares[$index]}"; do
        sleep 0.2
    done
done
code=0
for pid in "${pids[@]}"; do wait "$pid" || code=$?; done
pids=()

for index in "${!shares[@]}"; do
    line="$(grep -E 'Test run with' "$directory/$index.log" | tail -n 1 || true)"
    printf '%s: %s\n' "${shares[$index]:-all}" "${line:-no end}"
    # A filter that fits no test tests nothing.
    case "$line" in *' 0 tests '*) code=1 ;; esac
done
if [ "$code" -ne 0 ]; then
    printf '\n=== what failed:\n'
    for index in "${!shares[@]}"; do
        grep -A 3 -E '✘|Fatal error|error:' "$directory/$index.log" | grep -vE '(✔|◇) (Test|Suite)' | cut -c 1-600 \
            | tail -n 60 || true
    done
    exit "$code"
fi
