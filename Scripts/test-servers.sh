#!/usr/bin/env bash
# Prints the nats-servers that the tests run against, with colons between them: the machine's own, and the one that
# Scripts/setup.sh put into .tools/venv.
set -euo pipefail
cd "$(dirname "$0")/.."

servers=()
own="$PWD/.tools/venv/bin/nats-server"
for candidate in "$(command -v nats-server || true)" \
    /usr/sbin/nats-server /usr/local/sbin/nats-server /usr/local/bin/nats-server /opt/homebrew/bin/nats-server; do
    if [ -n "$candidate" ] && [ -x "$candidate" ] && [ "$candidate" != "$own" ]; then
        servers+=("$candidate")
        break
    fi
done
if [ -x "$own" ]; then servers+=("$own"); fi
if [ ${#servers[@]} -eq 0 ]; then
    echo "No nats-server found: run \`make setup\`." >&2
    exit 1
fi
(IFS=:; echo "${servers[*]}")
