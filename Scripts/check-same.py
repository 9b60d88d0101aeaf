#!/usr/bin/env -S python3 -B
"""Builds the release twice, each time from nothing in the same directory, and compares what packages have of it: `make check-same`.

It takes as long as two builds. What two builds differ in, and is removed, is said in packaging.py.
"""
import filecmp
import os
import shutil
import tempfile
from pathlib import Path

import packaging
from bare_debian import Checks

checks = Checks("check-same")
PLACE = packaging.SOURCE / ".build-same"


def build(target):
    shutil.rmtree(PLACE, ignore_errors=True)
    environment = {name: value for name, value in os.environ.items() if name != "PROGRAM"}
    flags = f"{environment.get('SWIFT_BUILD_FLAGS', '')} --scratch-path {PLACE}"
    environment["SWIFT_BUILD_FLAGS"] = flags
    said = checks.run(packaging.SOURCE / "Scripts/install.sh", "build", env=environment, timeout=7200)
    shutil.copyfile(said.strip().splitlines()[-1], target)


with tempfile.TemporaryDirectory() as work:
    programs = [Path(work) / name for name in ("one", "two")]
    try:
        for program in programs:
            build(program)
    finally:
        shutil.rmtree(PLACE, ignore_errors=True)
    as_built = filecmp.cmp(*programs, shallow=False)
    print(f"check-same: as they are built the programs are {'equal' if as_built else 'different'}")
    for program in programs:
        packaging.slim(program)
    different = sum(one != two for one, two in zip(*(program.read_bytes() for program in programs)))
    checks.check(filecmp.cmp(*programs, shallow=False), "as packages have them two builds are equal, byte for byte",
                 f"{different} bytes are different")
checks.done()
