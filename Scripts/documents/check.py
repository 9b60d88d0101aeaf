#!/usr/bin/env python3
"""Checks the README and the guide: every block of Swift compiles, the tests among them pass, every command of a shell
block exists with its options, every test suite that is named exists, and the version is the same everywhere.

The Swift is compiled in a package that is made of the documents, in this package's build directory, so that nothing is
built twice. Errors come with the document's line."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
WORK = ROOT / ".build" / "documents"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "Sources/MeshEvents/MeshEvents.docc").glob("*.md"))]
PRODUCTS = ["LocalNATSServer", "MeshEvents", "MeshEventsInterop", "MeshEventsNATS", "MeshEventsSigning",
            "MeshEventsTesting", "MeshLifecycle", "MeshMetrics", "MeshMonitoring", "MeshSupervision", "MeshToolSDK",
            "NATSClient", "NKeys"]

# What a block is given.
GIVEN = """transport: NATSTransport, bus: EventBus, persistent: PersistentEventBus, mesh: InMemoryMesh, node: MeshNode,
    tool: MeshTool, server: LocalNATSServer, event: Event, logger: Logger"""

DECLARATION = re.compile(r"(?:@\w+(?:\(.*\))?\s*)*(?:(?:public|private|final|indirect)\s+)*(?:struct|class|enum|actor|protocol|extension|func)\b")
MANIFEST = re.compile(r"\.(package|product|target)\(")


class Block:
    """A fenced block: its language, its lines, and the line of the document where they begin."""

    def __init__(self, document, language, first, lines):
        self.document, self.language, self.first, self.lines = document, language, first, lines


def blocks(document):
    language, first, lines = None, 0, []
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```") and language is None:
            language, first, lines = line[3:].strip(), number + 1, []
        elif line.startswith("```"):
            yield Block(document, language, first, lines)
            language = None
        elif language is not None:
            lines.append(line)
    if language is not None:
        raise SystemExit(f"{document}: a block begins in line {first - 1} and does not end")


def split(block):
    """A block's imports, declarations and statements, each with its line numbers."""
    imports, declarations, statements = [], [], []
    depth = 0
    inside = False
    for number, line in enumerate(block.lines, block.first):
        if re.match(r"(@testable )?import ", line):
            imports.append(line)
            continue
        if not inside and (DECLARATION.match(line) or line.startswith(("@Suite", "@main"))):
            inside, depth = True, 0
        if inside:
            declarations.append((number, line))
            depth += line.count("{") - line.count("}")
            if depth <= 0 and "}" in line:
                inside = False
        else:
            statements.append((number, line))
    return imports, declarations, statements


def located(document, lines):
    name = document.relative_to(ROOT)
    last = None
    for number, line in lines:
        if last is None or number != last + 1:
            yield f'#sourceLocation(file: "{ROOT / name}", line: {number})'
        yield line
        last = number
    if last is not None:
        yield "#sourceLocation()"


def source(document):
    """A document's Swift as one file; the lines of package manifests in it; how many blocks there were."""
    imports, body, extensions, manifest = [], [], [], []
    count = 0
    for block in blocks(document):
        if block.language != "swift":
            continue
        count += 1
        if any(MANIFEST.match(line) for line in block.lines):
            manifest += block.lines
            continue
        found, declarations, statements = split(block)
        imports += found
        target = extensions if declarations and declarations[0][1].startswith("extension") else body
        target += located(document, declarations)
        if any(line.strip() for _, line in statements):
            body.append(f"static func block{block.first}(\n    {GIVEN}\n) async throws {{")
            body += located(document, statements)
            body.append("}")
    environment = (HERE / "Environment.swift").read_text(encoding="utf-8")
    imports += re.findall(r"^import \w+$", environment, re.M)
    name = re.sub(r"\W", "", document.stem)
    text = sorted(set(imports)) + [f"enum Document{name} {{", *body, "}", *extensions]
    return "\n".join(text) + "\n", manifest, count


def write_package():
    tests = WORK / "Tests" / "DocumentTests"
    tests.mkdir(parents=True, exist_ok=True)
    for old in tests.iterdir():
        old.unlink()
    (tests / "Environment.swift").write_text((HERE / "Environment.swift").read_text(encoding="utf-8"), encoding="utf-8")
    manifest, total = [], 0
    for document in DOCUMENTS:
        text, lines, count = source(document)
        manifest += lines
        total += count
        (tests / f"{document.stem}.swift").write_text(text, encoding="utf-8")
    packages = [line for line in manifest if line.startswith(".package(")]
    products = [line for line in manifest if line.startswith(".product(")]
    dependencies = ",\n".join(f'    .product(name: "{name}", package: "mesh-events")' for name in PRODUCTS)
    (WORK / "Package.swift").write_text(f"""// swift-tools-version: 6.2
import PackageDescription

// What documents tell to write into a manifest: compiled, not used.
let packages: [Package.Dependency] = [
{chr(10).join(packages)}
]
let products: [Target.Dependency] = [
{chr(10).join(products)}
]

let package = Package(
    name: "documents",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "mesh-events", path: "../.."),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
    ],
    targets: [.testTarget(name: "DocumentTests", dependencies: [
{dependencies},
    .product(name: "Logging", package: "swift-log"),
    .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
    .product(name: "UnixSignals", package: "swift-service-lifecycle"),
    ])]
)
""", encoding="utf-8")
    resolved = ROOT / "Package.resolved"
    if resolved.exists():
        (WORK / "Package.resolved").write_bytes(resolved.read_bytes())
    return total


def swift(command, *options):
    result = subprocess.run(
        [os.environ.get("SWIFT", "swift"), command, "--package-path", str(WORK), "--scratch-path", str(ROOT / ".build"),
         "--disable-build-manifest-caching", *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    if result.returncode != 0:
        shown = [line for line in result.stdout.splitlines() if "error" in line] or result.stdout.splitlines()[-40:]
        sys.exit("\n".join(dict.fromkeys(shown)) + f"\ndocuments: swift {command} failed")
    return result.stdout


def compile_swift():
    total = write_package()
    try:
        swift("build", "--build-tests")
        output = swift("test", "--skip-build")
    finally:
        # Otherwise the next `swift build` of this package would take this one's build plan for its own.
        (ROOT / ".build" / "debug.yaml").unlink(missing_ok=True)
    run = re.search(r"Test run with (\d+) tests?.* passed", output)
    if not run or int(run[1]) == 0:
        sys.exit(output + "\ndocuments: no test of the guide was run")
    print(f"documents: {total} blocks of Swift compile, {run[1]} tests among them pass")


class Commands:
    """What `mesh-events` understands, as it says itself."""

    def __init__(self):
        bin_path = subprocess.run([os.environ.get("SWIFT", "swift"), "build", "--show-bin-path"], cwd=ROOT, check=True,
                                  stdout=subprocess.PIPE, text=True).stdout.strip()
        dump = subprocess.run([f"{bin_path}/mesh-events", "--experimental-dump-help"], check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        self.root = json.loads(dump)["command"]

    def problem(self, words):
        """What is wrong with the words after `mesh-events`; None when nothing is."""
        command, path = self.root, "mesh-events"
        words = list(words)
        while words and not words[0].startswith("-") and command.get("subcommands"):
            match = [sub for sub in command["subcommands"] if sub["commandName"] == words[0]]
            if not match:
                default = command.get("defaultSubcommand")
                if default:
                    break
                return f"{path} has no command {words[0]}"
            command, path = match[0], f"{path} {words.pop(0)}"
        known = set()
        for argument in command.get("arguments", []):
            for name in argument.get("names", []):
                known.add(("-" if name["kind"] == "short" else "--") + name["name"])
        for word in words:
            if word == "--":
                break
            option = word.split("=")[0]
            if re.match(r"--?[a-z]", option) and option not in known:
                return f"{path} has no option {option}"
        return None


def commands_of(text):
    """The commands of a line of shell, as lists of words."""
    try:
        words = shlex.split(text, comments=True)
    except ValueError:
        return
    command = []
    for word in words + [";"]:
        if word in (";", "|", "&&", "||", "&") or word.startswith((">", "2>")):
            if command:
                yield command
            command = []
        else:
            command.append(word.rstrip(";"))


def check_shell():
    commands = Commands()
    # First that mistakes are found, so that silence means something.
    for mistake in (["no-such-command"], ["watch", "--no-such-option"], ["stream", "no-such-command"]):
        if commands.problem(mistake) is None:
            sys.exit(f"documents: the mistake in mesh-events {' '.join(mistake)} was not found")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    problems, count = [], 0
    for document in DOCUMENTS:
        lines = []
        for block in blocks(document):
            if block.language in ("sh", "shell", "bash"):
                text = "\n".join(block.lines).replace("\\\n", " ")
                lines += text.splitlines()
            elif block.language == "":
                sys.exit(f"{document}: the block in line {block.first - 1} says no language")
        prose = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.S | re.M)
        lines += [span for span in re.findall(r"`((?:mesh-events|make) [^`]+)`", prose)]
        for words in (words for line in lines for words in commands_of(line)):
            while words and re.match(r"\w+=", words[0]):
                words = words[1:]
            if words[:1] == ["mesh-events"]:
                problem = commands.problem(words[1:])
            elif words[:1] == ["make"]:
                problem = None if words[1] in targets else f"the Makefile has no target {words[1]}"
            else:
                continue
            count += 1
            if problem:
                problems.append(f"{document.relative_to(ROOT)}: {problem}: {' '.join(words)}")
    if problems:
        sys.exit("\n".join(problems))
    print(f"documents: {count} commands exist, with their options")


def check_tests():
    """Who names a test as the proof of a claim has to name one that exists: a suite, or a suite and its function."""
    known, functions = set(), {}
    for path in [*(ROOT / "Tests").rglob("*.swift"), *(ROOT / "Examples").glob("*/Tests/**/*.swift")]:
        text = path.read_text(encoding="utf-8")
        suites = set(re.findall(r"(?:struct|class|enum|actor) (\w+)", text))
        known |= suites | {part for part in path.parts}
        for suite in suites:
            functions.setdefault(suite, set()).update(re.findall(r"func (\w+)\(", text))
    problems, count = [], 0
    for document in DOCUMENTS:
        for suite, function in re.findall(r"`(\w+Tests)(?:\.(\w+))?`", document.read_text(encoding="utf-8")):
            count += 1
            if suite not in known:
                problems.append(f"{document.relative_to(ROOT)}: there is no {suite}")
            elif function and function not in functions.get(suite, ()):
                problems.append(f"{document.relative_to(ROOT)}: there is no {function} in {suite}")
    if problems:
        sys.exit("\n".join(problems))
    print(f"documents: {count} tests are named and exist")


def check_version():
    """README, guide, examples and CHANGELOG name the version that the program prints."""
    version = re.search(r'current = "(.+)"', (ROOT / "Sources/NATSClient/Version.swift").read_text(encoding="utf-8"))[1]
    problems, count = [], 0
    for path in [*DOCUMENTS, *sorted((ROOT / "Examples").glob("*/Package.swift"))]:
        for named in re.findall(r'mesh-events", from: "([^"]+)"', path.read_text(encoding="utf-8")):
            count += 1
            if named != version:
                problems.append(f"{path.relative_to(ROOT)} names version {named}, the package is {version}")
    newest = re.search(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    if not newest or newest[1] != version:
        problems.append(f"CHANGELOG.md does not begin with [{version}]")
    if count < 3:
        problems.append(f"only {count} documents name the version")
    if problems:
        sys.exit("\n".join(problems))
    print(f"documents: {count} places and CHANGELOG name version {version}")


check_version()
check_tests()
check_shell()
compile_swift()
