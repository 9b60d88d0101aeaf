#!/usr/bin/env bash
# Tries the Dockerfile where there is no engine: see check-docker.py. Needs root and Debian; BUILD=debug takes the build that
# is there already, in place of a release build as the Dockerfile makes it.
set -euo pipefail
cd "$(dirname "$0")/.."
exec Scripts/check-docker.py "$(Scripts/install.sh build)"
