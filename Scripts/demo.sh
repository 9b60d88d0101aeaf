#!/usr/bin/env bash
# A small mesh: a node with three supervised tools (Examples/Demo), its events as they come, its status every few seconds,
# and the live page. Needs setup.sh first.
#
# What has been built is used. Where nothing has been, it builds less than the package's default, into .build-demo: no TLS,
# which the demo does not need, and whose library takes a third of the time.
#
#   DEMO_SECONDS=15    end after 15 seconds; otherwise with Ctrl-C
#   DEMO_LIGHT=1       build without TLS in any case
#   MESH_EVENTS=FILE   this program, and the demo-trainer beside it; builds nothing
set -euo pipefail
cd "$(dirname "$0")/.."

# What a shell has set for its own mesh is none of the demo's business.
unset JB_NATS_URL JB_NODE_NAME NATS_CONTEXT
mesh_events="${MESH_EVENTS:-}"
seconds="${DEMO_SECONDS:-}"
case "$seconds" in *[!0-9]*) echo "DEMO_SECONDS is a whole number of seconds, not '$seconds'." >&2; exit 64 ;; esac
if [ -n "$seconds" ] && [ "$seconds" -lt 10 ]; then
    echo "DEMO_SECONDS is at least 10: a tool needs time to crash and to be started again." >&2
    exit 64
fi

if [ -z "$mesh_events" ]; then
    build=("${SWIFT:-swift}" build)
    if [ -n "${DEMO_LIGHT:-}" ] || ! [ -x .build/debug/mesh-events ]; then
        build+=(--scratch-path .build-demo --traits ServiceLifecycle)
    fi
    "${build[@]}" --product mesh-events
    "${build[@]}" --product demo-trainer
    mesh_events="$("${build[@]}" --show-bin-path)/mesh-events"
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
# A port that is free: the one that is named, if it is.
free_port() {
    python3 - "$1" <<'PYTHON'
import socket, sys
for port in (int(sys.argv[1]), 0):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            continue
        print(listener.getsockname()[1])
        break
PYTHON
}
port="$(free_port 0)"
url="nats://127.0.0.1:$port"
page_port="$(free_port 8080)"
page="http://127.0.0.1:$page_port/"

# What a browser would get.
fetch() {
    python3 -c 'import sys, urllib.request
sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1], timeout=5).read())' "$page$1" 2>/dev/null
}

# What anybody in the mesh can ask, from another process.
show_status() {
    while sleep 4; do
        status="$("$mesh_events" status --nats "$url" 2>/dev/null)" || continue
        printf '\n%s\n\nThe live page: %s\n\n' "$status" "$page"
        "$mesh_events" list '>' --json --limit 1000 --nats "$url" >"$work/events.new" 2>/dev/null || continue
        mv "$work/events.new" "$work/events"
        if [ -n "$seconds" ]; then
            for path in "" main.js page.css healthz api/mesh; do
                fetch "$path" >"$work/fetched" && mv "$work/fetched" "$work/page.${path//\//.}" || true
            done
        fi
    done
}

echo "A node with three tools at $url${seconds:+, for $seconds seconds}. Ctrl-C ends it."
echo "The live page: $page"
echo "From another terminal: $mesh_events status --watch --nats $url"
show_status &
watcher=$!

code=0
"$mesh_events" serve --config Examples/Demo/mesh.yaml --port "$port" --store-dir "$work/store" --log-directory "$work/logs" \
    --dashboard --dashboard-listen "127.0.0.1:$page_port" ${seconds:+--for "${seconds}s"} || code=$?

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
    shows() {
        if ! grep -q -- "$2" "$work/page.$1"; then
            echo "demo: the live page did not answer as it has to: no $2 in $page${1//./\/}" >&2
            exit 1
        fi
    }
    shows "" '<script type="module" src="/main.js">'
    shows main.js 'new Stream('
    shows page.css prefers-reduced-motion
    shows healthz '"status":"ok"'
    for tool in trainer transcriber flaky; do shows api.mesh "\"name\":\"$tool\""; done
    if grep -q this-is-redacted "$work/events"; then echo "demo: a secret was published" >&2; exit 1; fi
    if [ -n "${DEMO_LIGHT:-}" ]; then
        refusal="$("$mesh_events" list --nats "tls://127.0.0.1:$port" 2>&1 || true)"
        case "$refusal" in
        *"built without TLS"*) ;;
        *) echo "demo: without TLS, tls:// must be refused with the reason, not: $refusal" >&2; exit 1 ;;
        esac
    fi
fi
echo "demo: $(wc -l <"$work/events" 2>/dev/null || echo 0) events are in the history."
