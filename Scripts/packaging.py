"""What deb.py and oci.py have in common: the program and its files as packages have them, the time, the version, the notices.

Both build the same bytes from the same program and commit: times are those of the commit, owners are root, nothing is in the
order in which a directory lists it.
"""
import gzip
import hashlib
import json
import os
import shlex
import struct
import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
PACKAGING = SOURCE / "Packaging"
OUTPUT = SOURCE / ".build" / "packages"
RELEASE = (os.environ.get("BUILD") or "release") == "release"
HOMEPAGE = "https://github.com/mesh-events/mesh-events"


def fail(text):
    raise SystemExit(f"{Path(sys.argv[0]).stem}: {text}")


def run(*arguments, **options):
    """The output of a command that has to succeed."""
    options = {"stdin": subprocess.DEVNULL, "timeout": 3600, "cwd": SOURCE, **options}
    outcome = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if outcome.returncode != 0:
        fail(f"{shlex.join(map(str, arguments))[:200]}: {outcome.stdout[-1000:]}{outcome.stderr[-2000:]}")
    return outcome.stdout


def git(*arguments):
    """What git says of the commit, or nothing without a repository."""
    outcome = subprocess.run(["git", *arguments], cwd=SOURCE, capture_output=True, text=True, check=False, timeout=60)
    return outcome.stdout.strip() if outcome.returncode == 0 else ""


def epoch():
    """The time that everything in a package has, in seconds: SOURCE_DATE_EPOCH, else that of the last commit."""
    text = os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct")
    if not text.isdigit():
        fail("there is no repository to take the time from: set SOURCE_DATE_EPOCH to that of the release, in seconds")
    return int(text)


def version(program):
    return run(program, "--version").strip()


def snapshot(program):
    """The version in Debian's notation: of a tagged commit, or outside a repository, the version as it is; of any other
    commit its time behind a tilde, which sorts before the version to come."""
    number = version(program)
    if not git("rev-parse", "HEAD") or f"v{number}" in git("tag", "--points-at", "HEAD").split():
        return number
    return number + time.strftime("~%Y%m%d.%H%M%S", time.gmtime(epoch()))


def built():
    """The program: PROGRAM, else what `make release` builds (with BUILD=debug, the debug build)."""
    path = run(SOURCE / "Scripts/install.sh", "build").strip().splitlines()[-1]
    return Path(os.path.join(SOURCE, path))


def staged(program, root):
    """Installs into `root`, below /usr; the program as slim as a package has it."""
    environment = {**os.environ, "PROGRAM": str(program), "DESTDIR": str(root), "PREFIX": "/usr", "SOURCE_DATE_EPOCH": str(epoch())}
    run(SOURCE / "Scripts/install.sh", "install", env=environment)
    target = Path(root) / "usr/bin/mesh-events"
    slim(target)
    return target


def slim(program):
    """Removes debug information, and what two builds of the same sources in the same directory differ in.

    Those are the identities of clang's modules in the debug information, and after them Swift's checksum of each module, which
    only its compiler reads, and the linker's build id, a checksum of the whole. The first is filled with zeroes, since a part of
    what is loaded cannot be taken out; the build id is computed anew of what remains.
    """
    run("strip", "--strip-debug", "--remove-section=.comment", program)
    contents = bytearray(program.read_bytes())
    places = sections(contents)
    for place, length in places.get(".swift_modhash", []):
        contents[place:place + length] = bytes(length)
    for place, length in places.get(".note.gnu.build-id", []):
        # Three numbers and the name "GNU" are before the id.
        place, length = place + 16, length - 16
        contents[place:place + length] = bytes(length)
        contents[place:place + length] = hashlib.sha1(contents).digest()[:length].ljust(length, b"\0")
    program.write_bytes(contents)


def sections(contents):
    """Where the sections of a 64-bit ELF file are: for each name, offsets and lengths."""
    if contents[:6] != b"\x7fELF\x02\x01":
        fail("the program is no 64-bit little-endian ELF file")
    first, = struct.unpack_from("<Q", contents, 0x28)
    width, count, named = struct.unpack_from("<3H", contents, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", contents, first + width * number) for number in range(count)]
    names, found = headers[named][4], {}
    for header in headers:
        begin = names + header[0]
        name = contents[begin:contents.index(b"\0", begin)].decode()
        found.setdefault(name, []).append((header[4], header[5]))
    return found


def compressed(text):
    """As gzip -9n does it: without a name and a time."""
    return gzip.compress(text.encode() if isinstance(text, str) else text, 9, mtime=0)


def linked(program):
    """The packages that the program is linked with, each with its version, address and texts."""
    folders = [folder for folder in program.resolve().parents if (folder / "workspace-state.json").exists()]
    if not folders:
        fail(f"{program} is in no build directory of SwiftPM, so its dependencies and their licences cannot be named")
    state = json.loads((folders[0] / "workspace-state.json").read_text(encoding="utf-8"))
    found = []
    for one in sorted(state["object"]["dependencies"], key=lambda one: one["packageRef"]["identity"]):
        checkout = folders[0] / "checkouts" / one["subpath"]
        licence = next(iter(sorted(checkout.glob("LICENSE*"))), None)
        if not licence:
            fail(f"{checkout} has no licence")
        notice = next(iter(sorted(checkout.glob("NOTICE*"))), None)
        found.append({
            "name": checkout.name, "version": one["state"]["checkoutState"].get("version") or "",
            "address": one["packageRef"]["location"].removesuffix(".git"), "licence": licence.read_text(encoding="utf-8"),
            "notice": notice.read_text(encoding="utf-8") if notice else "",
        })
    return found


def kind(package):
    """The licence's name; an unknown one has to be read by a person first."""
    text = package["licence"]
    if "Apache License" in text[:200]:
        return "Apache-2.0" + (" with Swift's runtime exception" if "Runtime Library Exception" in text else "")
    if "Permission is hereby granted, free of charge" in text:
        return "MIT"
    return fail(f"{package['name']} has a licence that packaging.py does not know: may it be given away, and under which terms?")


def put_notices(program, folder):
    """Writes what licences ask for into a folder: `copyright`, and with the texts of others `NOTICES.gz`."""
    packages = linked(program)
    listed = [f"  {one['name']} {one['version']} ({kind(one)})\n    {one['address']}" for one in packages]
    listed += ["  the Swift runtime and Foundation (Apache-2.0 with Swift's runtime exception)\n    https://github.com/swiftlang",
               "  ICU, in Foundation (Unicode-3.0)\n    https://github.com/swiftlang/swift-foundation-icu"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "copyright").write_text(
        f"MeshEvents, {HOMEPAGE}\n\n" + (SOURCE / "LICENSE").read_text(encoding="utf-8")
        + "\nThe program contains other software, under licences of its own. Their notices are in NOTICES.gz\nbeside this file.\n\n"
        + "\n".join(listed) + "\n\nOn Debian systems the text of the Apache License, version 2.0, is in\n"
        "/usr/share/common-licenses/Apache-2.0.\n", encoding="utf-8")
    parts = []
    for one in packages:
        texts = [one["notice"]] + ([] if kind(one).startswith("Apache") else [one["licence"]])
        parts += [f"==== {one['name']}\n\n{text.strip()}\n" for text in texts if text]
    unicode = (PACKAGING / "licences/Unicode-3.0.txt").read_text(encoding="utf-8")
    apache = max((one["licence"] for one in packages if kind(one).startswith("Apache")), key=len)
    parts += [f"==== ICU\n\n{unicode}", f"==== Apache License 2.0, of all others\n\n{apache.strip()}\n"]
    (folder / "NOTICES.gz").write_bytes(compressed("\n\n".join(parts)))


def settle(root):
    """Gives all below `root` the modes and the time that it has in a package."""
    seconds = epoch()
    for path in [root, *sorted(root.rglob("*"))]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (seconds, seconds), follow_symlinks=False)


def size(path):
    """Bytes, as a row of the guide has them."""
    number = path if isinstance(path, int) else Path(path).stat().st_size
    return f"{number / 1e6:.1f} MB"
