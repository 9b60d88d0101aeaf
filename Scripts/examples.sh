#!/usr/bin/env bash
# Builds and runs the examples, each a package of its own, and compares what they print with their expected.txt, where
# `…` stands for anything: `Scripts/examples.sh [NAME…]`.
#
# They share the build directory of this package, so that what it has built is not built again for each of them. On its
# own an example is built by `swift run` in its directory.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -z "${MESH_EVENTS_NATS_SERVER:-}" ]; then
    servers="$(Scripts/test-servers.sh)"
    export MESH_EVENTS_NATS_SERVER="${servers%%:*}"
fi
# What a shell has set for its own mesh is none of the examples' business.
unset JB_NATS_URL JB_NODE_NAME NATS_CONTEXT
work="$(mktemp -d "${TMPDIR:-/tmp}/mesh-events-examples.XXXXXX")"
build="$(swift build --show-bin-path)"
# Otherwise the next `swift build` of this package would take an example's build plan for its own.
trap 'rm -rf "$work" .build/debug.yaml' EXIT

# in_example NAME COMMAND…: `swift COMMAND…` for an example, in the shared directory.
in_example() {
    local name="$1" command="$2"
    shift 2
    swift "$command" --package-path "Examples/$name" --scratch-path .build --disable-build-manifest-caching "$@"
}

# Runs an example; its output is the program's, or the names of its tests in their order.
run() {
    local name="$1"
    # The same versions of the dependencies.
    if [ -e Package.resolved ]; then cp Package.resolved "Examples/$name/"; fi
    if [ -d "Examples/$name/Tests" ]; then
        in_example "$name" build --build-tests >"$work/log" 2>&1 || return 1
        in_example "$name" test --skip-build >"$work/log" 2>&1 || return 1
        sed -nE 's/^. (Test "?.*) passed after .*/\1/p' "$work/log" | LC_ALL=C sort >"$work/output"
    else
        in_example "$name" build >"$work/log" 2>&1 || return 1
        timeout 60 "$build/$name" >"$work/output" 2>"$work/log" || return 1
    fi
}

names=("$@")
if [ $# -eq 0 ]; then
    for package in Examples/*/Package.swift; do names+=("$(basename "$(dirname "$package")")"); done
fi
failed=()
for name in "${names[@]}"; do
    began=$SECONDS
    : >"$work/output"
    if ! run "$name"; then
        cat "$work/output" "$work/log" >&2
        echo "examples: $name could not be built, or has failed" >&2
        failed+=("$name")
    elif ! Scripts/matches.py "Examples/$name/expected.txt" "$work/output"; then
        failed+=("$name")
    else
        printf '  %-22s %s lines as expected, %d s\n' "$name" "$(wc -l <"$work/output")" $((SECONDS - began))
    fi
done
if [ ${#failed[@]} -ne 0 ]; then
    echo "examples: ${failed[*]} did not do what is expected" >&2
    exit 1
fi
