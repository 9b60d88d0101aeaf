#!/usr/bin/env bash
# Attacks the parsers with libFuzzer, under the address sanitizer: `Fuzz/run.sh [seconds]`, 60 by default, shared by the
# targets. Fails on any finding, whose input it keeps in Fuzz/findings. `Fuzz/run.sh 600 event` attacks one target.
#
# Undefined behaviour needs no sanitizer of its own: Swift traps on overflow, on indices and on casts out of range, and
# a trap is a finding like any other; what Swift leaves unchecked, unsafe pointers, the address sanitizer checks.
set -euo pipefail
cd "$(dirname "$0")"

seconds="${1:-60}"
targets=(${2:-event data timestamp subject condition protocol manifest figures})
share=$((seconds / ${#targets[@]}))
[ "$share" -ge 1 ] || { echo "fuzz: $seconds s is less than a second for each target" >&2; exit 64; }
# The last -sanitize is the one that counts for Swift. The gold linker breaks on libFuzzer's main function.
options=(
    --scratch-path .build -c debug --sanitize address -Xcc -O1 -Xswiftc -O -Xswiftc -sanitize=address,fuzzer
    -Xswiftc -use-ld=lld
)

swift build "${options[@]}"
fuzz="$(swift build --show-bin-path "${options[@]}")/mesh-fuzz"
work="$(mktemp -d "${TMPDIR:-/tmp}/mesh-events-fuzz.XXXXXX")"
trap 'rm -rf "$work"' EXIT
mkdir -p findings
# The fuzzer reports a trap; Swift's own report would only be in its way.
export SWIFT_BACKTRACE=enable=no
export ASAN_OPTIONS="detect_leaks=0 ${ASAN_OPTIONS:-}"

attack() { # target seconds corpus…
    local target="$1" time="$2"
    shift 2
    mkdir -p "$work/$target"
    MESH_FUZZ_TARGET="$target" "$fuzz" "$work/$target" "$@" -max_total_time="$time" -max_len=4096 -timeout=10 \
        -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="findings/$target-" >"$work/$target.log" 2>&1
}

# Silence means something only when an error made on purpose is found.
if attack canary 60 || ! grep -q 'AddressSanitizer: heap-buffer-overflow' "$work/canary.log"; then
    tail -5 "$work/canary.log" >&2
    echo "fuzz: the deliberate error was not found" >&2
    exit 1
fi
rm -f findings/canary-*
echo "fuzz: the deliberate error is found"

failed=0
printf '%-10s %10s %8s %10s %8s\n' target seconds runs covered findings
for target in "${targets[@]}"; do
    found=0
    attack "$target" "$share" "Corpus/$target" || found=1
    log="$work/$target.log"
    runs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    covered="$(grep -oE 'cov: [0-9]+' "$log" | tail -1 | cut -d' ' -f2)"
    printf '%-10s %10s %8s %10s %8s\n' "$target" "$share" "${runs:-?}" "${covered:-?}" "$found"
    if [ "$found" -ne 0 ]; then
        failed=1
        grep -E 'Fatal error|SUMMARY|Test unit written|ERROR' "$log" >&2 || tail -20 "$log" >&2
    elif [ "${runs:-0}" -lt "$((share * 20))" ]; then
        echo "fuzz: $target hardly ran" >&2
        failed=1
    fi
done
exit "$failed"
