#!/usr/bin/env bash
# A small mesh: a node with three supervised tools (Examples/Demo), its events as they come, its status every few seconds,
# and the live page. Needs `swift build` and setup.sh first.
#
#   DEMO_SECONDS=15    end after 15 seconds; otherwise with Ctrl-C
set -euo pipefail
cd "$(dirname "$0")/.."

# What a shell has set for its own mesh is none of the demo's business.
unset JB_NATS_URL JB_NODE_NAME
mesh_events="${MESH_EVENTS:-$(swift build --show-bin-path)/mesh-events}"
seconds="${DEMO_SECONDS:-}"
case "$seconds" in *[!0-9]*) echo "DEMO_SECONDS is a whole number of seconds, not '$seconds'." >&2; exit 64 ;; esac
if [ -n "$seconds" ] && [ "$seconds" -lt 10 ]; then
    echo "DEMO_SECONDS is at least 10: a tool needs time to crash and to be started again." >&2
    exit 64
fi

work="$(mktemp -d "${TMPDIR:-/tmp}/mesh-events-demo.XXXXXX")"
watcher=
finish() {
    if [ -n "$watcher" ]; then kill "$watcher" 2>/dev/null || true; wait "$watcher" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap finish EXIT
# `serve` gets the Ctrl-C itself and leaves the mesh; this script then goes on to its end.
trap : INT

# A server on a machine without one in PATH or /usr/sbin: the one that setup.sh brought.
if [ -z "${MESH_EVENTS_NATS_SERVER:-}" ]; then
    servers="$(Scripts/test-servers.sh)"
    export MESH_EVENTS_NATS_SERVER="${servers%%:*}"
fi
port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
url="nats://127.0.0.1:$port"

# What anybody in the mesh can ask, from another process.
show_status() {
    while sleep 4; do
        status="$("$mesh_events" status --nats "$url" 2>/dev/null)" || continue
        printf '\n%s\n\n' "$status"
        "$mesh_events" list '>' --json --limit 1000 --nats "$url" >"$work/events.new" 2>/dev/null || continue
        mv "$work/events.new" "$work/events"
    done
}

echo "A node with three tools at $url${seconds:+, for $seconds seconds}. Ctrl-C ends it."
echo "From another terminal: $mesh_events status --watch --nats $url"
show_status &
watcher=$!

code=0
"$mesh_events" serve --config Examples/Demo/mesh.yaml --port "$port" --store-dir "$work/store" \
    --dashboard --dashboard-listen 127.0.0.1:0 ${seconds:+--for "${seconds}s"} || code=$?

if [ "$code" -ne 0 ]; then echo "demo: serve ended with exit code $code" >&2; exit "$code"; fi
# With a time limit this is a check, too: of what each tool was to show.
if [ -n "$seconds" ]; then
    for event in node.joined node.health tool.installed tool.configured tool.started tool.crashed \
        user.training.epoch user.transcript.done; do
        if ! grep -q "\"type\":\"$event\"" "$work/events"; then
            echo "demo: no $event was among the events that are kept" >&2
            exit 1
        fi
    done
    if grep -q this-is-redacted "$work/events"; then echo "demo: a secret was published" >&2; exit 1; fi
fi
echo "demo: $(wc -l <"$work/events" 2>/dev/null || echo 0) events are in the history."
