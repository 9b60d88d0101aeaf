#!/usr/bin/env bash
# Builds the guide and the reference of every library into .build/docs; a warning is an error, a broken link too.
# From the debug build as it is: nothing is compiled for it but what has changed.
set -euo pipefail
cd "$(dirname "$0")/.."

# Each after those that its documentation links to.
modules=(MeshEvents NKeys NATSClient LocalNATSServer MeshEventsNATS MeshEventsSigning MeshEventsConformance MeshEventsTesting
    MeshEventsInterop MeshMonitoring MeshAlerts MeshNotifiers MeshToolSDK MeshSupervision MeshLifecycle MeshAuth
    MeshMetrics MeshDashboard)
guide=Sources/MeshEvents/MeshEvents.docc
out=.build/docs
work="$(mktemp -d "${TMPDIR:-/tmp}/mesh-events-docs.XXXXXX")"
trap 'rm -rf "$work"' EXIT

products="$(sed -nE 's/.*\.library\(name: "([A-Za-z]+)".*/\1/p' Package.swift | sort)"
if [ "$products" != "$(printf '%s\n' "${modules[@]}" | sort)" ]; then
    echo "docs: the libraries of Package.swift are others than the modules of Scripts/docs.sh" >&2
    exit 1
fi

docc="$(command -v docc || xcrun --find docc)"
if ! swift package dump-symbol-graph --minimum-access-level public --skip-synthesized-members >"$work/log" 2>&1; then
    cat "$work/log" >&2
    exit 1
fi
graphs="$(sed -n 's/^Files written to //p' "$work/log")"

# convert MODULE [CATALOG]: into $work/MODULE.doccarchive.
convert() {
    local module="$1" catalog="${2:-}" dependencies=()
    mkdir -p "$work/graphs/$module"
    # Of what a module adds to others, only what it adds to ours.
    cp "$graphs/$module.symbols.json" "$work/graphs/$module/"
    for other in "${modules[@]}"; do
        if [ -e "$graphs/$module@$other.symbols.json" ]; then
            cp "$graphs/$module@$other.symbols.json" "$work/graphs/$module/"
        fi
        if [ -d "$work/$other.doccarchive" ]; then dependencies+=(--dependency "$work/$other.doccarchive"); fi
    done
    "$docc" convert ${catalog:+"$catalog"} --warnings-as-errors \
        --additional-symbol-graph-dir "$work/graphs/$module" \
        --fallback-display-name "$module" --fallback-bundle-identifier "mesh-events.$module" \
        --enable-experimental-external-link-support ${dependencies[@]+"${dependencies[@]}"} \
        --output-path "$work/$module.doccarchive"
}

# First that a broken link is an error, so that silence means something.
cp -R "$guide" "$work/Broken.docc"
echo 'See ``EventBus/noSuchMethod()`` and <doc:NoSuchArticle>.' >>"$work/Broken.docc/Design.md"
if convert MeshEvents "$work/Broken.docc" >"$work/broken.log" 2>&1 \
    || ! grep -q "'noSuchMethod()' doesn't exist" "$work/broken.log" \
    || ! grep -q "'NoSuchArticle'" "$work/broken.log"; then
    cat "$work/broken.log" >&2
    echo "docs: a broken link was not found" >&2
    exit 1
fi
rm -rf "$work/MeshEvents.doccarchive"

archives=()
for module in "${modules[@]}"; do
    catalog="Sources/$module/$module.docc"
    if [ ! -d "$catalog" ]; then catalog=; fi
    if ! convert "$module" "$catalog" >"$work/log" 2>&1; then
        cat "$work/log" >&2
        echo "docs: errors in the documentation of $module" >&2
        exit 1
    fi
    archives+=("$work/$module.doccarchive")
done
rm -rf "$out"
"$docc" merge "${archives[@]}" --synthesized-landing-page-name mesh-events --output-path "$out" >/dev/null
echo "docs: to read them, run \`python3 -m http.server --directory $out 8000\` and open"
echo "      http://127.0.0.1:8000/documentation/meshevents/"
