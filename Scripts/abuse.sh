#!/usr/bin/env bash
# The abuse suites in full, and the table of the acts that they tried on each server.
set -euo pipefail
cd "$(dirname "$0")/.."

servers="${MESH_EVENTS_TEST_SERVERS:-$(Scripts/test-servers.sh)}"
log="$(mktemp "${TMPDIR:-/tmp}/mesh-events-abuse.XXXXXX")"
trap 'rm -f "$log"' EXIT

swift build --build-tests
# A build wants it (Makefile); tests want the order of sets and dictionaries that programs get.
unset SWIFT_DETERMINISTIC_HASHING
code=0
MESH_EVENTS_LONG=1 MESH_EVENTS_TEST_SERVERS="$servers" \
    swift test --skip-build --no-parallel --filter 'Abuse|HostileServer' >"$log" 2>&1 || code=$?
grep -v '^abuse|' "$log" | grep -E '✘|failed|passed after|error:' || true

# Each server by its version.
names=""
IFS=: read -ra paths <<<"$servers"
for path in "${paths[@]}"; do
    version="$("$path" --version)"
    names+="$path"$'\t'"${version##* v}"$'\n'
done

# One line for each act, a column for each server; of several outcomes of an act on a server, the worst.
sed -n 's/^.*abuse|//p' "$log" | NAMES="$names" awk -F '\t' '
    BEGIN {
        lines = split(ENVIRON["NAMES"], line, "\n")
        for (i = 1; i <= lines; i++) if (split(line[i], pair, "\t") == 2) { path[++servers] = pair[1]; name[servers] = pair[2] }
        rank["refused"] = 1; rank["held"] = 2; rank["open"] = 3
    }
    {
        key = $1 FS $2
        if (!(key in seen)) { seen[key] = 1; order[++acts] = key }
        if (rank[$4] > rank[outcome[key, $3]]) outcome[key, $3] = $4
        if ($5 != "" && !index(note[key] "; ", $5 "; ")) note[key] = note[key] (note[key] == "" ? "" : "; ") $5
    }
    END {
        head = "| suite | act |"; rule = "| --- | --- |"
        for (i = 1; i <= servers; i++) { head = head " nats-server " name[i] " |"; rule = rule " --- |" }
        print "\n" head " without a server | |\n" rule " --- | --- |"
        path[servers + 1] = "-"
        for (a = 1; a <= acts; a++) {
            split(order[a], part, FS)
            row = "| " part[1] " | " part[2] " |"
            for (i = 1; i <= servers + 1; i++) {
                what = outcome[order[a], path[i]]
                if (what != "") { tried++; count[what]++ }
                row = row " " (what == "" ? "–" : what) " |"
            }
            print row " " note[order[a]] " |"
        }
        printf "\n%d acts, tried %d times: %d refused, %d held, %d open\n", acts, tried, count["refused"], count["held"], count["open"]
    }'
[ "$code" -eq 0 ] || exit "$code"
if ! grep -q 'abuse|' "$log"; then
    echo "abuse: no suite has noted an act" >&2
    exit 1
fi
