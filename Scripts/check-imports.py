#!/usr/bin/env python3
"""Checks that every target imports only what it declares in Package.swift.

What it does not declare may be there by the order in which another target happened to be built, or not. SwiftPM's own
check (--explicit-target-dependency-import-check) changes every command of the build, so that all is compiled again.
"""

import json
import pathlib
import re
import subprocess
import sys

# Of the toolchain and the system.
SYSTEM = {
    "CDispatch", "Darwin", "Dispatch", "Foundation", "FoundationEssentials", "FoundationNetworking", "Glibc", "Musl",
    "Swift", "Synchronization", "Testing", "os",
}
IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|private|fileprivate)\s+)?"
    r"import\s+(?:(?:actor|class|enum|func|let|protocol|struct|typealias|var)\s+)?(\w+)(?:\.\w+)*\s*(?://.*)?$",
    re.MULTILINE,
)
TEXTS = re.compile(r'(#*)"""\n.*?"""\1', re.DOTALL)


def main():
    package = json.loads(subprocess.run(["swift", "package", "dump-package"], capture_output=True, check=True).stdout)
    mistakes = []
    imports = 0
    for target in package["targets"]:
        declared = {target["name"]} | {
            next(iter(dependency.values()))[0].replace("-", "_") for dependency in target["dependencies"]
        }
        directory = target.get("path") or f"{'Tests' if target['type'] == 'test' else 'Sources'}/{target['name']}"
        for path in sorted(pathlib.Path(directory).rglob("*.swift")):
            for module in IMPORT.findall(TEXTS.sub("", path.read_text())):
                imports += 1
                if module not in declared | SYSTEM:
                    mistakes.append(f"{path}: imports {module}, which the target {target['name']} does not declare")
                    declared.add(module)
    if not imports:
        sys.exit("imports: no import was found")
    if mistakes:
        sys.exit("imports: " + "\nimports: ".join(mistakes))


main()
