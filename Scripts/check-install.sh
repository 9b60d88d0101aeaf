#!/usr/bin/env bash
# Installs into a directory of its own and tries what is there: the program, completions, manual pages, systemd unit.
#
#   BUILD=release    (the default) as it is installed; also looks at the libraries that the program needs
#   BUILD=debug      the same with the build that is there already, which is quicker
#
# Needs what `Scripts/setup.sh install` brings.
set -euo pipefail
cd "$(dirname "$0")/.."
unset JB_NATS_URL JB_NODE_NAME NATS_CONTEXT

export BUILD="${BUILD:-release}" PREFIX=/opt/mesh
DESTDIR="$(mktemp -d "${TMPDIR:-/tmp}/mesh-events-install.XXXXXX")"
export DESTDIR
server=
finish() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
    rm -rf "$DESTDIR"
}
trap finish EXIT

checks=0
passed() { checks=$((checks + 1)); printf 'check-install: %s\n' "$*"; }
fail() { printf 'check-install: %s\n' "$*" >&2; exit 1; }
# Nothing may be said: a warning is a failure.
quiet() {
    local said
    said="$("$@" 2>&1)" || fail "$*: $said"
    [ -z "$said" ] || fail "$*: $said"
}
wait_for() { # SECONDS COMMAND...
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}

Scripts/install.sh install
root="$DESTDIR$PREFIX"
program="$root/bin/mesh-events"

# 1. The program.
version="$("$program" --version)"
grep -q "current = \"$version\"" Sources/NATSClient/Version.swift || fail "--version says $version"
passed "the program is version $version"

# 2. A node, an event, the stream.
mkdir "$DESTDIR/home"
HOME="$DESTDIR/home" "$program" serve --port 0 --node check --for 60s >"$DESTDIR/serve.out" 2>"$DESTDIR/serve.err" &
server=$!
url() { grep -ohE 'nats://127\.0\.0\.1:[0-9]+' "$DESTDIR/serve.err" "$DESTDIR/serve.out" | head -1; }
has_url() { [ -n "$(url)" ] || ! kill -0 "$server" 2>/dev/null; }
wait_for 30 has_url || fail "serve says no address: $(cat "$DESTDIR/serve.err")"
[ -n "$(url)" ] || fail "serve ended: $(cat "$DESTDIR/serve.err")"
export JB_NATS_URL
JB_NATS_URL="$(url)"
"$program" emit user.checked 'build='"$BUILD" --ack >/dev/null
"$program" list user.checked --json | grep -F "\"data\":{\"build\":\"$BUILD\"}" >/dev/null ||
    fail "list does not show what was emitted"
kill "$server"
wait "$server" || fail "serve ended with $?"
server=
unset JB_NATS_URL
passed "it serves, emits and lists"

# 3. Completions, loaded and asked.
bash -c 'set -eu; . "$1"; complete -p mesh-events >/dev/null' _ "$root/share/bash-completion/completions/mesh-events" ||
    fail "bash does not load its completion"
found="$(PATH="$root/bin:$PATH" bash -c '
    . "$1"
    COMP_WORDS=(mesh-events exp); COMP_CWORD=1; COMP_LINE="mesh-events exp"; COMP_POINT=15
    "$(complete -p mesh-events | sed "s/.*-F \([^ ]*\).*/\1/")" mesh-events exp mesh-events
    printf "%s\n" "${COMPREPLY[@]}"' _ "$root/share/bash-completion/completions/mesh-events")"
grep -qx 'export' <<<"${found// /}" || fail "bash completes 'exp' to '$found'"
quiet zsh -fn "$root/share/zsh/site-functions/_mesh-events"
zsh -fc 'fpath=($1 $fpath); autoload -Uz compinit && compinit -D && [[ ${_comps[mesh-events]} == _mesh-events ]]' _ \
    "$root/share/zsh/site-functions" || fail "zsh does not find its completion"
found="$(PATH="$root/bin:$PATH" HOME="$DESTDIR/home" fish --no-config -c \
    "source $root/share/fish/vendor_completions.d/mesh-events.fish; complete -C 'mesh-events exp'")"
grep -q '^export' <<<"$found" || fail "fish completes 'exp' to '$found'"
passed "bash, zsh and fish load their completions, and complete"

# 4. Manual pages: one for each command, without a warning.
count=0
for page in "$root"/share/man/man1/*.1; do
    quiet mandoc -Tlint -Wwarning "$page"
    quiet groff -man -Kutf8 -Tutf8 -ww -z "$page"
    count=$((count + 1))
done
for command in $("$program" --help | sed -n '/SUBCOMMANDS:$/,$s/^  \([a-z-]*\) .*/\1/p'); do
    [ "$command" = help ] || [ -e "$root/share/man/man1/mesh-events-$command.1" ] || fail "no manual page for $command"
done
[ "$count" -ge 15 ] || fail "only $count manual pages"
MANPATH="$root/share/man" man -P cat mesh-events-emit | grep 'sign-key' >/dev/null ||
    fail "man does not show mesh-events-emit(1)"
passed "$count manual pages without a warning"

# 5. The unit: systemd reads it without a word. The program is looked for where it will be.
sed "s|=$PREFIX/|=$root/|" "$root/lib/systemd/system/mesh-events.service" >"$DESTDIR/mesh-events.service"
grep -q "^ExecStart=$root/bin/mesh-events serve" "$DESTDIR/mesh-events.service" || fail "the unit starts something else"
quiet systemd-analyze verify --man=no "$DESTDIR/mesh-events.service"
mkdir "$DESTDIR/mesh-events.service.d"
cp "$root/share/mesh-events/gpu.conf" "$DESTDIR/mesh-events.service.d/"
quiet systemd-analyze verify --man=no "$DESTDIR/mesh-events.service"
echo 'DeviceAlow=char-drm' >>"$DESTDIR/mesh-events.service.d/gpu.conf"
[ -n "$(systemd-analyze verify --man=no "$DESTDIR/mesh-events.service" 2>&1)" ] || fail "systemd-analyze does not read drop-ins"
rm -r "$DESTDIR/mesh-events.service.d"
sed -i 's/^DynamicUser=yes/DynamicUsr=yes/' "$DESTDIR/mesh-events.service"
[ -n "$(systemd-analyze verify --man=no "$DESTDIR/mesh-events.service" 2>&1)" ] || fail "systemd-analyze takes anything"
passed "systemd-analyze verify takes the unit, and its drop-in for GPUs"
systemd-analyze security --offline=true --no-pager "$root/lib/systemd/system/mesh-events.service" 2>/dev/null | tail -1 || true

# 6. The libraries: what every Debian has, none of Swift's.
if [ "$BUILD" = release ] && [ "$(uname)" = Linux ]; then
    needed="$(objdump -p "$program" | awk '/NEEDED/ { print $2 }' | sort | tr '\n' ' ')"
    for library in $needed; do
        case "$library" in
        libc.so.6 | libm.so.6 | libdl.so.2 | libpthread.so.0 | librt.so.1 | libgcc_s.so.1 | libstdc++.so.6 | ld-linux*) ;;
        *) fail "the program needs $library, which a plain Debian does not have" ;;
        esac
    done
    passed "the program needs $needed"
fi

# 7. Nothing stays.
Scripts/install.sh uninstall 2>/dev/null
left="$(find "$root" ! -type d)"
[ -z "$left" ] || fail "uninstall left $left"
passed "uninstall removes everything"
printf 'check-install: %d passed, 0 failed\n' "$checks"
