#!/usr/bin/env python3
"""Counts what one event costs in instructions and in allocations, and fails when it has become more.

Counts, not seconds: what else the machine does changes nothing. Each case of `event-costs` runs under callgrind with N
and with 2 N events; the difference divided by N is one event's cost, whatever start-up took.

    guard.py            compare with guard.json; exit with 1 when a case has become dearer
    guard.py --update   write what was counted to guard.json
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
BASELINE = FOLDER / "guard.json"
CASES = ["build-encode", "decode", "emit", "emit-payload", "filter", "handle", "iterate"]
# A multiple of the cases' batch of 100.
COUNT = 3000
ALLOCATORS = {
    "malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign",
    "__libc_malloc", "__libc_calloc", "__libc_realloc", "__libc_memalign",
}


def fail(message):
    print(f"guard: {message}", file=sys.stderr)
    sys.exit(2)


def run(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        output = "\n".join(line[:300] for line in done.stdout.splitlines()[:40])
        fail(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{output}")
    return done.stdout


def build(directory):
    """Builds event-costs for release; returns a copy without debug information, which old valgrinds cannot read."""
    command = ["swift", "build", "-c", "release", "--package-path", FOLDER.parent, "--product", "event-costs"]
    run(command)
    built = Path(run([*command, "--show-bin-path"]).strip().splitlines()[-1]) / "event-costs"
    strip = shutil.which("strip") or shutil.which("llvm-strip")
    if strip is None:
        fail("strip is missing: install binutils")
    run([strip, "-o", directory / "event-costs", built])
    return directory / "event-costs"


def count(program, case, events):
    """Instructions and allocations of a whole run."""
    profile = program.with_name(f"{case}.{events}")
    environment = {
        **os.environ,
        "SWIFT_DETERMINISTIC_HASHING": "1",
        # One memcpy for all processors: valgrind shows a program what the machine has.
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX,-ERMS,-FSRM",
    }
    run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", program, case, str(events)],
        env=environment, timeout=300,
    )
    return read(profile.read_text(errors="replace"))


def read(profile):
    """Sums up a callgrind profile: all instructions, and all calls of an allocator."""
    instructions = int(re.search(r"^(?:summary|totals): (\d+)", profile, re.MULTILINE)[1])
    names = {}
    allocations = 0
    called = ""
    for line in profile.splitlines():
        if line.startswith(("fn=", "cfn=")):
            number, _, name = line.partition("=")[2].partition(" ")
            # A function's name stands where its number comes first; a recursion's has '2 behind it.
            if name:
                names[number] = re.sub(r"'\d+$", "", name)
            if line.startswith("cfn="):
                called = names.get(number, "")
        elif line.startswith("calls=") and called in ALLOCATORS:
            allocations += int(line[len("calls="):].split()[0])
    if allocations == 0:
        fail("callgrind names no allocator: is libc stripped of its dynamic symbols?")
    return instructions, allocations


def measure():
    with tempfile.TemporaryDirectory() as directory:
        program = build(Path(directory))
        runs = [(case, events) for case in CASES for events in (COUNT, 2 * COUNT)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            results = dict(zip(runs, pool.map(lambda one: count(program, *one), runs)))
    costs = {}
    for case in CASES:
        (instructions, allocations), (more_instructions, more_allocations) = (
            results[case, events] for events in (COUNT, 2 * COUNT)
        )
        costs[case] = {
            "instructions": round((more_instructions - instructions) / COUNT),
            "allocations": round((more_allocations - allocations) / COUNT, 2),
        }
    return costs


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--update", action="store_true", help="write what was counted to guard.json")
    update = arguments.parse_args().update
    if shutil.which("valgrind") is None:
        fail("valgrind is missing (there is none for Macs): run Scripts/setup.sh guard on Linux")

    recorded = json.loads(BASELINE.read_text())
    margins = recorded["margins"]
    machine = platform.machine()
    baseline = recorded["machines"].get(machine)
    swift = re.search(r"Swift version ([\d.]+)", run(["swift", "--version"]))[1]
    if baseline is None and not update:
        fail(f"guard.json has nothing for {machine}: run `make guard-update` on such a machine and commit it")

    costs = measure()
    if baseline and baseline["swift"] != swift:
        print(f"guard.json was counted with Swift {baseline['swift']}; this is {swift}")
    print(f"One event, {machine}: at most {margins['instructions']:.0%} more instructions and "
          f"{margins['allocations']} more allocations than in guard.json")
    print(f"{'':14}{'instructions':>14}{'recorded':>10}{'':>9}{'allocations':>13}{'recorded':>10}")
    dearer = []
    for case, cost in costs.items():
        before = (baseline or {"costs": {}})["costs"].get(case)
        if before is None:
            if not update:
                fail(f"guard.json has no case {case}: run `make guard-update`")
            print(f"{case:14}{cost['instructions']:14}{'-':>10}{'':9}{cost['allocations']:13}{'-':>10}")
            continue
        change = cost["instructions"] / before["instructions"] - 1
        is_dearer = (
            change > margins["instructions"]
            or cost["allocations"] - before["allocations"] > margins["allocations"]
        )
        if is_dearer:
            dearer.append(case)
        print(f"{case:14}{cost['instructions']:14}{before['instructions']:10}{change:+9.1%}"
              f"{cost['allocations']:13}{before['allocations']:10}  {'DEARER' if is_dearer else 'ok'}")

    if update:
        recorded["machines"][machine] = {"swift": swift, "costs": costs}
        BASELINE.write_text(json.dumps(recorded, indent=2) + "\n")
        print(f"written to {BASELINE.name}")
    elif dearer:
        print(f"dearer than recorded: {', '.join(dearer)}. Make it cheaper, or, when it is worth it, say so in the "
              "commit that changes guard.json (make guard-update)")
        sys.exit(1)


if __name__ == "__main__":
    main()
