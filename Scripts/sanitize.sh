#!/usr/bin/env bash
# Runs the core's, the client's and the race tests under a sanitizer: `sanitize.sh thread` or `sanitize.sh address`.
# First it shows that the sanitizer works here: it has to find errors that are made on purpose.
#
# Swift has no undefined-behaviour sanitizer on Linux: the language traps by itself on overflow, on an index or a cast
# out of range. What it does not check, the unsafe reads of the codec and the protocol parser, is the address
# sanitizer's to find.
set -euo pipefail
cd "$(dirname "$0")/.."

kind="${1:?thread or address}"
build=(--sanitize="$kind" --scratch-path ".build-$kind")
export MESH_EVENTS_CORE_ONLY=1
export TSAN_OPTIONS="halt_on_error=0 exitcode=66 ${TSAN_OPTIONS:-}"
# The Swift runtime keeps what it has once made: no leaks.
export ASAN_OPTIONS="detect_leaks=0 ${ASAN_OPTIONS:-}"

swift build --build-tests "${build[@]}"
fixture="$(swift build --show-bin-path "${build[@]}")/sanitizer-fixture"

must_find() {
    local report code=0
    report="$("$fixture" "$1" 2>&1)" || code=$?
    if [ "$code" -eq 0 ] || ! grep -q "$2" <<<"$report"; then
        printf '%s\n' "$report" >&2
        echo "sanitize: the $kind sanitizer did not find the deliberate error '$1' (exit code $code)" >&2
        exit 1
    fi
    echo "sanitize: the deliberate error '$1' is found"
}
case "$kind" in
thread)
    # Whichever of the two it sees first: the memory, or the property above it.
    must_find race 'ThreadSanitizer: \(data\|Swift access\) race'
    "$fixture" mutex >/dev/null || { echo "sanitize: a lock is reported that is none of a race" >&2; exit 1; }
    ;;
address)
    must_find overflow 'AddressSanitizer: heap-buffer-overflow'
    must_find freed 'AddressSanitizer: heap-use-after-free'
    ;;
esac

Scripts/run-tests.sh "${build[@]}" --no-parallel
