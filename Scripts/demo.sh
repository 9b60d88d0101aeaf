#!/usr/bin/env bash
# A mesh of one node whose events you see, and a second process that emits some. Needs `swift build` and setup.sh first.
#
#   DEMO_SECONDS=15    end after 15 seconds; otherwise with Ctrl-C
set -euo pipefail
cd "$(dirname "$0")/.."

# What a shell has set for its own mesh is none of the demo's business.
unset JB_NATS_URL JB_NODE_NAME
mesh_events="${MESH_EVENTS:-$(swift build --show-bin-path)/mesh-events}"
seconds="${DEMO_SECONDS:-}"
case "$seconds" in *[!0-9]*) echo "DEMO_SECONDS is a whole number of seconds, not '$seconds'." >&2; exit 64 ;; esac
if [ -n "$seconds" ] && [ "$seconds" -lt 5 ]; then
    echo "DEMO_SECONDS is at least 5: the events need time to come." >&2
    exit 64
fi

work="$(mktemp -d "${TMPDIR:-/tmp}/mesh-events-demo.XXXXXX")"
emitter=
finish() {
    if [ -n "$emitter" ]; then kill "$emitter" 2>/dev/null || true; wait "$emitter" 2>/dev/null || true; fi
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

# The second process: a node called "pi" that emits a batch of events every two seconds.
emit_events() {
    local deadline=$((SECONDS + 30)) round=0
    # The node's own announcement is in the stream: now events are kept and shown.
    until "$mesh_events" list node.joined --limit 1 --json --nats "$url" 2>/dev/null | grep -q node.joined; do
        if [ "$SECONDS" -ge "$deadline" ]; then echo "the node never announced itself" >"$work/failure"; return; fi
        sleep 0.2
    done
    {
        "$mesh_events" emit tool.installed tool=whisper version=v1.4.0 --node pi --nats "$url"
        "$mesh_events" emit tool.configured tool=whisper 'config={"model":"base.en"}' --node pi --nats "$url"
        "$mesh_events" emit tool.started tool=whisper --node pi --nats "$url"
    } >/dev/null || { echo "emit failed" >"$work/failure"; return; }
    while true; do
        round=$((round + 1))
        {
            "$mesh_events" emit user.transcript.done "file=meeting-$round.wav" "words=$((round * 137))" \
                --node pi --nats "$url" --ack
            "$mesh_events" emit node.health status=online 'resources={"cpu":0.42,"mem_mb":12345}' --node pi --nats "$url"
            if [ $((round % 3)) -eq 2 ]; then
                "$mesh_events" emit tool.crashed tool=whisper 'error=exit status 137: out of memory' \
                    "restart_count=$((round / 3 + 1))" --node pi --nats "$url"
                printf '%s\n' \
                    '{"type":"tool.started","node":"pi","data":{"tool":"whisper"}}' \
                    '{"type":"user.greeting","node":"pi","data":{"text":"Grüße aus dem Mesh"}}' |
                    "$mesh_events" emit --from - --nats "$url"
            fi
        } >/dev/null 2>"$work/errors" || {
            # The mesh is gone: that is how the demo ends.
            return
        }
        # What was emitted has to be in the history too.
        "$mesh_events" list 'user.transcript.>' --json --limit 1000 --nats "$url" 2>/dev/null | wc -l >"$work/stored" || return
        echo "$round" >"$work/rounds"
        sleep 2
    done
}

echo "A mesh of one node at $url; a second process emits events${seconds:+ for $seconds seconds}. Ctrl-C ends it."
echo "From another terminal: $mesh_events watch --nats $url"
emit_events &
emitter=$!

status=0
"$mesh_events" serve --port "$port" --store-dir "$work/store" --node demo ${seconds:+--for "${seconds}s"} || status=$?

if [ "$status" -ne 0 ]; then echo "demo: serve ended with exit code $status" >&2; exit "$status"; fi
if [ -e "$work/failure" ]; then echo "demo: $(cat "$work/failure")" >&2; exit 1; fi
rounds="$(cat "$work/rounds" 2>/dev/null || echo 0)"
stored="$(tr -d ' ' <"$work/stored" 2>/dev/null || echo 0)"
if [ -n "$seconds" ] && { [ "$rounds" -eq 0 ] || [ "$stored" -lt "$rounds" ]; }; then
    echo "demo: $rounds rounds were emitted and $stored of them found in the history. $(cat "$work/errors" 2>/dev/null)" >&2
    exit 1
fi
echo "demo: $rounds rounds of events emitted, $stored found in the history."
