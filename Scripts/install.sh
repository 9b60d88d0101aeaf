#!/usr/bin/env bash
# Installs mesh-events, its completions, manual pages, systemd unit, and what Prometheus and Grafana take:
# `make install PREFIX=/usr/local DESTDIR=`.
#
#   install.sh install      builds (BUILD=release, the Swift runtime linked in, or BUILD=debug) and installs
#   install.sh uninstall    removes what install put there
#   install.sh list         says what those files are
#   install.sh build        builds, and says where the program is
#
# SWIFT_BUILD_FLAGS are handed to `swift build` as well.
# Without a Swift toolchain in PATH (sudo has its own) what `make release` has built is taken; PROGRAM names another
# program that is built already. The date of the manual pages is SOURCE_DATE_EPOCH's, else the last commit's.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix="${PREFIX:-/usr/local}"
destination="${DESTDIR:-}"
build="${BUILD:-release}"
swift="${SWIFT:-swift}"

fail() { printf 'install: %s\n' "$*" >&2; exit 1; }

case "$prefix" in /*) ;; *) fail "PREFIX must be an absolute path, not '$prefix'" ;; esac
read -ra flags <<<"--product mesh-events ${SWIFT_BUILD_FLAGS:-}"
case "$build" in
release)
    flags+=(-c release)
    # A Mac has the runtime itself.
    if [ "$(uname)" != Darwin ]; then flags+=(--static-swift-stdlib); fi
    ;;
debug) ;;
*) fail "BUILD is release or debug, not '$build'" ;;
esac

program="$prefix/bin/mesh-events"
bash_completion="$prefix/share/bash-completion/completions/mesh-events"
zsh_completion="$prefix/share/zsh/site-functions/_mesh-events"
fish_completion="$prefix/share/fish/vendor_completions.d/mesh-events.fish"
manuals="$prefix/share/man/man1"
unit="$prefix/lib/systemd/system/mesh-events.service"
data="$prefix/share/mesh-events"
drop_in="$data/gpu.conf"
# Alert rules with an example of a configuration, and a dashboard.
monitoring=(prometheus/mesh-events.rules.yml prometheus/prometheus.yml grafana/mesh-events.json)

build() {
    if [ -n "${PROGRAM:-}" ]; then
        built="$PROGRAM"
        [ -x "$built" ] || fail "PROGRAM names no program: $built"
    elif command -v "$swift" >/dev/null; then
        "$swift" build "${flags[@]}" >&2
        built="$("$swift" build "${flags[@]}" --show-bin-path)/mesh-events"
    else
        built=".build/$build/mesh-events"
        [ -x "$built" ] || fail "there is neither Swift in PATH nor $built: run \`make release\` first"
    fi
}

# The day of the last commit, or of SOURCE_DATE_EPOCH, in the notation of GNU's date or a Mac's.
day() {
    if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then
        date -u -d "@$SOURCE_DATE_EPOCH" +%F 2>/dev/null || date -u -r "$SOURCE_DATE_EPOCH" +%F
    else
        git log -1 --format=%cs 2>/dev/null || date +%F
    fi
}

put() { # MODE SOURCE TARGET
    mkdir -p "$destination$(dirname "$3")"
    install -m "$1" "$2" "$destination$3"
}

install_all() {
    local work shell file
    build
    work="$(mktemp -d)"
    trap 'rm -rf "$work"' RETURN
    put 755 "$built" "$program"
    if [ "$build" = release ] && [ "$(uname)" = Linux ] && command -v strip >/dev/null; then
        # A third of its size; names stay for backtraces.
        strip --strip-debug "$destination$program"
    fi
    for shell in bash zsh fish; do "$built" --generate-completion-script "$shell" >"$work/$shell"; done
    put 644 "$work/bash" "$bash_completion"
    put 644 "$work/zsh" "$zsh_completion"
    put 644 "$work/fish" "$fish_completion"
    mkdir "$work/man"
    Scripts/manual.py "$built" "$work/man" "$(day)"
    for page in "$work"/man/*.1; do put 644 "$page" "$manuals/$(basename "$page")"; done
    for file in "${monitoring[@]}"; do put 644 "Packaging/$file" "$data/$file"; done
    if [ "$(uname)" = Linux ]; then
        sed "s|@BINDIR@|$prefix/bin|g; s|@DATADIR@|$data|g" Packaging/mesh-events.service.in >"$work/unit"
        put 644 "$work/unit" "$unit"
        sed "s|@DATADIR@|$data|g" Packaging/gpu.conf >"$work/gpu.conf"
        put 644 "$work/gpu.conf" "$drop_in"
    fi
    printf 'install: %s\n' "$destination$program" >&2
}

files() {
    local page
    for page in "$program" "$bash_completion" "$zsh_completion" "$fish_completion" "$unit" "$drop_in" \
        "${monitoring[@]/#/$data/}" \
        "$destination$manuals"/mesh-events.1 "$destination$manuals"/mesh-events-*.1; do
        page="${page#"$destination"}"
        if [ -e "$destination$page" ]; then printf '%s\n' "$destination$page"; fi
    done
}

case "${1:-}" in
build)
    build
    printf '%s\n' "$built"
    ;;
install) install_all ;;
list) files ;;
uninstall) files | while IFS= read -r file; do rm -f "$file"; printf 'removed %s\n' "$file" >&2; done ;;
*) fail "say install, uninstall, list or build" ;;
esac
