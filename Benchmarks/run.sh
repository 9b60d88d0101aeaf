#!/usr/bin/env bash
# Sets up what is missing, builds for release, measures and prints a line for each goal.
#
#   Benchmarks/run.sh                      everything
#   Benchmarks/run.sh P1 P4                some of it; `make bench GOAL=P1` is the same
#   Benchmarks/run.sh --check              exit with 1 when a goal is missed
#   Benchmarks/run.sh --quick              short runs: shows that everything works
#   Benchmarks/run.sh scaling [--long]     cost against sizes and numbers, to results/; `make bench-scaling`
#
# MESH_EVENTS_NATS_SERVER names the server to measure with; otherwise it is the newest one that is installed.
set -euo pipefail
cd "$(dirname "$0")"

../Scripts/setup.sh bench

newest_server() {
    local server best="" best_version="" version
    local IFS=:
    for server in $(../Scripts/test-servers.sh); do
        version="$("$server" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1)"
        if [ -z "$best" ] || [ "$(printf '%s\n%s\n' "$best_version" "$version" | sort -V | tail -n 1)" = "$version" ]; then
            best="$server"
            best_version="$version"
        fi
    done
    echo "$best"
}

export MESH_EVENTS_NATS_SERVER="${MESH_EVENTS_NATS_SERVER:-$(newest_server)}"
# For the rows beside nats-py, which are left out where PyPI cannot be reached.
python="$PWD/../.tools/bench/bin/python"
if "$python" -c 'import nats, orjson' 2>/dev/null; then
    export MESH_BENCH_PYTHON="$python" MESH_BENCH_PEER="$PWD/Peer/nats_py.py"
fi

arguments=("$@")
if [ ${#arguments[@]} -eq 0 ] && [ -n "${GOAL:-}" ]; then read -r -a arguments <<<"$GOAL"; fi

swift build -c release --product mesh-bench
if [ "${arguments[0]:-}" = scaling ]; then
    if [ ! -x "$python" ]; then python=python3; fi
    exec "$python" Scaling/scaling.py .build/release/mesh-bench ${arguments[@]+"${arguments[@]:1}"}
fi
exec .build/release/mesh-bench ${arguments[@]+"${arguments[@]}"}
