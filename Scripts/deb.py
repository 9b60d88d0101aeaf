#!/usr/bin/env -S python3 -B
"""Builds the Debian package, on Debian: `make deb`, .build/packages/mesh-events_VERSION_ARCHITECTURE.deb.

What it installs is what `make install` does, below /usr; Packaging/debian has the rest. No debhelper is needed: its parts of
the maintainer scripts are written out there. BUILD=debug is quicker; that package needs the Swift runtime beside it, and is
for trying the scripts only.
"""
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from email.utils import formatdate
from pathlib import Path

import packaging
from packaging import OUTPUT, PACKAGING, RELEASE, SOURCE, compressed, fail, run, size

MAINTAINER = "The MeshEvents authors <mesh-events@users.noreply.github.com>"
# A debug build is four times as large, and for trying only.
COMPRESSION = ["-Zxz"] if RELEASE else ["-Zxz", "-z0"]


def depends(program):
    """The packages that have the program's libraries, as dpkg-shlibdeps finds them."""
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "debian").mkdir()
        (Path(work) / "debian/control").write_text("Source: mesh-events\n\nPackage: mesh-events\nArchitecture: any\n")
        folders = [] if RELEASE else sorted({f"-l{Path(path).parent}" for path in runtime_libraries(program)})
        arguments = ["--ignore-missing-info", *folders] if folders else []
        found = run("dpkg-shlibdeps", "-O", "--warnings=0", *arguments, f"-e{program}", cwd=work)
    return re.search(r"^shlibs:Depends=(.*)$", found, re.M)[1]


def runtime_libraries(program):
    """The libraries of the Swift toolchain that a debug build needs."""
    paths = re.findall(r"=> (/\S+)", subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout)
    return sorted(path for path in paths if not re.match(r"/(usr/)?lib(64)?/", path))


def arrange(root, program, version):
    """The files of the package, in Debian's places."""
    share, debian = root / "usr/share", PACKAGING / "debian"
    # Debian's zsh looks here.
    (share / "zsh/site-functions").rename(share / "zsh/vendor-completions")
    for page in (share / "man/man1").iterdir():
        (page.parent / (page.name + ".gz")).write_bytes(compressed(page.read_bytes()))
        page.unlink()
    bash = share / "bash-completion/completions/mesh-events"
    # It is read, and not run.
    bash.write_text(bash.read_text(encoding="utf-8").removeprefix("#!/bin/bash\n"), encoding="utf-8")
    for source, target in {
        "mesh-events.sysusers": "usr/lib/sysusers.d/mesh-events.conf",
        "mesh.yaml": "etc/mesh-events/mesh.yaml",
        "environment": "etc/mesh-events/environment",
        "README.Debian": "usr/share/doc/mesh-events/README.Debian",
        "lintian-overrides": "usr/share/lintian/overrides/mesh-events",
    }.items():
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(debian / source, root / target)
    documents = share / "doc/mesh-events"
    packaging.put_notices(program, documents)
    (documents / "changelog.gz").write_bytes(compressed((SOURCE / "CHANGELOG.md").read_bytes()))
    commit = packaging.git("rev-parse", "HEAD")
    (documents / "changelog.Debian.gz").write_bytes(compressed(
        f"mesh-events ({version}) unstable; urgency=medium\n\n"
        f"  * {'Commit ' + commit if commit else 'A release'}.\n    What has changed: changelog.gz.\n\n"
        f" -- {MAINTAINER}  {formatdate(packaging.epoch())}\n"))


def control(root, version, architecture, needed):
    """The package's own files: what dpkg reads and runs."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    folders = [path for path in root.rglob("*") if path.is_dir()]
    # In KiB, by Debian's policy: each file rounded up, each folder one.
    installed = sum(-(-path.stat().st_size // 1024) for path in files) + len(folders)
    place = root / "DEBIAN"
    place.mkdir()
    text = (PACKAGING / "debian/control.in").read_text(encoding="utf-8")
    for name, value in {"VERSION": version, "ARCHITECTURE": architecture, "SIZE": installed, "DEPENDS": needed}.items():
        text = text.replace(f"@{name}@", str(value))
    (place / "control").write_text(text, encoding="utf-8")
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n"
            for path in files if path.relative_to(root).parts[0] != "etc"]
    (place / "md5sums").write_text("".join(sums), encoding="utf-8")
    (place / "conffiles").write_text(
        "".join(f"/{path.relative_to(root)}\n" for path in files if path.relative_to(root).parts[0] == "etc"), encoding="utf-8")
    for script in ("postinst", "prerm", "postrm"):
        shutil.copyfile(PACKAGING / "debian" / script, place / script)
        (place / script).chmod(0o755)


def build(target):
    """Builds the package into a directory, and returns its path with the sizes on the way."""
    began = time.monotonic()
    program = packaging.built()
    version = packaging.snapshot(program) + "-1"
    architecture = run("dpkg", "--print-architecture").strip()
    target.mkdir(parents=True, exist_ok=True)
    package = target / f"mesh-events_{version}_{architecture}.deb"
    with tempfile.TemporaryDirectory(prefix="mesh-events-deb.") as work:
        root = Path(work) / "root"
        slim = packaging.staged(program, root)
        arrange(root, program, version)
        control(root, version, architecture, depends(slim))
        packaging.settle(root)
        run("dpkg-deb", "--root-owner-group", *COMPRESSION, "--build", root, package,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(packaging.epoch())})
        sizes = {"built": program, "in the package": slim, "package": package}
        rows = {name: size(path) for name, path in sizes.items()}
    return package, rows, time.monotonic() - began


def main():
    if not shutil.which("dpkg-shlibdeps"):
        fail("dpkg-shlibdeps is missing: apt-get install dpkg-dev")
    package, rows, seconds = build(OUTPUT)
    print(f"deb: {package.relative_to(SOURCE)}, {seconds:.0f} s")
    for name, row in rows.items():
        print(f"deb: | {name} | {row} |")


if __name__ == "__main__":
    main()
