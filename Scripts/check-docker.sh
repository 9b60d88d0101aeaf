#!/usr/bin/env bash
# Tries the Dockerfile where there is no engine: see check-docker.py. Needs root and Debian; takes a release build.
set -euo pipefail
cd "$(dirname "$0")/.."
Scripts/install.sh build
built="$(swift build -c release --product mesh-events --static-swift-stdlib --show-bin-path)/mesh-events"
exec Scripts/check-docker.py "$built"
